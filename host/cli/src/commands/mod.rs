//! The verbs of the command line. Each takes plain arguments, prints to the writer it is given,
//! and returns whether all was well; only `main` knows the process.

pub mod check;
pub mod eval;
pub mod serve;
pub mod test;

use std::path::Path;

use assent_policy::LoadErrors;

use crate::deployment::{self, Deployment, build::Built};

/// Reads and builds a deployment; the error is every problem, one line each.
///
/// # Errors
/// When anything in the deployment is wrong.
pub fn load(root: &Path) -> anyhow::Result<(Deployment, Built)> {
    let built = deployment::read(root).and_then(|deployment| {
        let built = deployment::build::build(&deployment)?;
        Ok((deployment, built))
    });
    built.map_err(|errors| anyhow::anyhow!(listed(&errors)))
}

/// The problems, one line each, and how many.
pub fn listed(LoadErrors(problems): &LoadErrors) -> String {
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = lines.len();
    lines.push(format!("{count} problem{} found; nothing was loaded", if count == 1 { "" } else { "s" }));
    lines.join("\n")
}
