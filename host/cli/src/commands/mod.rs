//! The verbs of the command line. Each takes plain arguments, prints to the writer it is given,
//! and returns whether all was well; only `main` knows the process.

pub mod audit;
pub mod check;
pub mod eval;
pub mod release;
pub mod serve;
pub mod state;
pub mod test;

use std::path::Path;

use assent_policy::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES};

use crate::deployment::{self, Deployment, build::Built};

/// How the list of a deployment's problems ends.
pub const NOT_LOADED: &str = "; nothing was loaded";

/// Reads and builds a deployment; the error is every problem, one line each.
///
/// # Errors
/// When anything in the deployment is wrong.
pub fn load(root: &Path) -> anyhow::Result<(Deployment, Built)> {
    read_and_build(root).map_err(|errors| anyhow::anyhow!(listed(&errors, NOT_LOADED)))
}

/// Reads a deployment's own files, without its policies, plugins and entities.
///
/// # Errors
/// When anything in them is wrong.
pub fn read(root: &Path) -> anyhow::Result<Deployment> {
    deployment::read(root).map_err(|errors| anyhow::anyhow!(listed(&errors, NOT_LOADED)))
}

fn read_and_build(root: &Path) -> Result<(Deployment, Built), LoadErrors> {
    let deployment = deployment::read(root)?;
    let built = deployment::build::build(&deployment)?;
    Ok((deployment, built))
}

/// The same for a service, whose error output ends in a log: INVARIANT (no patient in logs). What is
/// wrong with entities is named by its place alone, since messages about them quote ids.
///
/// # Errors
/// As [`load`].
pub fn load_quietly(root: &Path) -> anyhow::Result<(Deployment, Built)> {
    read_and_build(root).map_err(|LoadErrors(mut problems)| {
        let quotes_no_entity = |problem: &LoadProblem| {
            [".toml", ".cedar", ".cedarschema"].iter().any(|ending| problem.file.ends_with(ending))
                && !problem.message.contains(NOT_AMONG_ENTITIES)
        };
        for problem in problems.iter_mut().filter(|problem| !quotes_no_entity(problem)) {
            "a problem with an entity; `assent check` says which".clone_into(&mut problem.message);
            problem.help = None;
        }
        anyhow::anyhow!(listed(&LoadErrors(problems), NOT_LOADED))
    })
}

/// The problems, one line each, and how many; `whence` ends the sentence.
pub fn listed(LoadErrors(problems): &LoadErrors, whence: &str) -> String {
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = lines.len();
    lines.push(format!("{count} problem{} found{whence}", if count == 1 { "" } else { "s" }));
    lines.join("\n")
}
