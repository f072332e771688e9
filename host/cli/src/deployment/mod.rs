//! A deployment directory: `assent.toml`, organizations with their policies, plugins, entities and
//! cases, read whole and built into releases.
//!
//! Bad configuration is refused here, at load, with every problem that can be told at once; it is
//! never a surprise at request time.

pub mod build;
pub mod config;
pub mod files;

use std::path::{Path, PathBuf};

use assent_policy::{LoadErrors, LoadProblem};

use config::{DeploymentConfig, OrganizationConfig};

/// A deployment directory, read but not yet built.
#[derive(Debug)]
pub struct Deployment {
    /// The directory.
    pub root: PathBuf,
    /// `assent.toml`.
    pub config: DeploymentConfig,
    /// Its organizations, in the order of `assent.toml`.
    pub organizations: Vec<OrganizationFiles>,
}

/// An organization's directory.
#[derive(Debug)]
pub struct OrganizationFiles {
    /// The directory.
    pub root: PathBuf,
    /// The path of `organization.toml`, as messages show it.
    pub file: String,
    /// `organization.toml`.
    pub config: OrganizationConfig,
}

/// The name of the deployment's file.
pub const DEPLOYMENT_FILE: &str = "assent.toml";
/// The name of an organization's file.
pub const ORGANIZATION_FILE: &str = "organization.toml";

/// Reads `assent.toml` and every organization's `organization.toml`.
///
/// # Errors
/// All problems of all files.
pub fn read(root: &Path) -> Result<Deployment, LoadErrors> {
    let file = root.join(DEPLOYMENT_FILE);
    let config: DeploymentConfig = files::read_toml(&file).map_err(|problem| LoadErrors(vec![problem]))?;
    let mut problems = config::check_deployment(&config, &files::shown(&file));
    let mut organizations: Vec<OrganizationFiles> = vec![];
    for path in &config.organizations {
        let directory = root.join(path);
        let file = directory.join(ORGANIZATION_FILE);
        match files::read_toml::<OrganizationConfig>(&file) {
            Err(problem) => problems.push(problem),
            Ok(config) => {
                let file = files::shown(&file);
                if organizations.iter().any(|other| other.config.id == config.id) {
                    let message = format!("the id `{}` is already taken by another organization", config.id);
                    problems.push(whole_file(&file, message));
                }
                organizations.push(OrganizationFiles { root: directory, file, config });
            }
        }
    }
    // An organization that did not read is not one that a caller must not name.
    if organizations.len() == config.organizations.len() {
        let known: Vec<&str> = organizations.iter().map(|o| o.config.id.as_str()).collect();
        problems.extend(config::check_callers(&config, &known, &files::shown(&file)));
    }
    if problems.is_empty() {
        Ok(Deployment { root: root.to_owned(), config, organizations })
    } else {
        Err(LoadErrors(problems))
    }
}

/// A problem with a file as a whole.
pub(crate) fn whole_file(file: &str, message: impl Into<String>) -> LoadProblem {
    LoadProblem { file: file.to_owned(), line: 1, column: 1, message: message.into(), help: None }
}
