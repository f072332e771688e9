//! A deployment directory: `assent.toml`, organizations with their policies, plugins, entities and
//! cases, read whole and built into releases.
//!
//! Bad configuration is refused here, at load, with every problem that can be told at once; it is
//! never a surprise at request time.

pub mod archive;
pub mod build;
pub mod config;
pub mod files;
pub mod guarded;
pub mod places;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assent_policy::{LoadErrors, LoadProblem};

use config::{DeploymentConfig, OrganizationConfig};
use files::Files;
use places::Places;

/// A deployment directory, read but not yet built.
#[derive(Debug)]
pub struct Deployment {
    /// The directory.
    pub root: PathBuf,
    /// `assent.toml`.
    pub config: DeploymentConfig,
    /// Where its parts stand.
    pub places: Places,
    /// `assent.toml` as it is written, for the record.
    pub settings: serde_json::Value,
    /// Its organizations, in the order of `assent.toml`.
    pub organizations: Vec<OrganizationFiles>,
}

/// An organization's directory.
#[derive(Debug)]
pub struct OrganizationFiles {
    /// The directory; of an archive, the empty path.
    pub root: PathBuf,
    /// Where the files in it are.
    pub files: Files,
    /// `organization.toml` as it is written.
    pub text: String,
    /// `organization.toml`.
    pub config: OrganizationConfig,
    /// Where its parts stand.
    pub places: Places,
}

impl OrganizationFiles {
    /// Reads the `organization.toml` of a folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(root: PathBuf, files: Files) -> Result<Self, LoadProblem> {
        let path = root.join(ORGANIZATION_FILE);
        let text = files.read_text(&path)?;
        let name = files::shown(&path);
        let (config, places) = (files::parse_toml(&name, &text)?, Places::of(&name, &text));
        Ok(Self { root, files, text, config, places })
    }
}

/// The name of the deployment's file.
pub const DEPLOYMENT_FILE: &str = "assent.toml";
/// The name of an organization's file.
pub const ORGANIZATION_FILE: &str = "organization.toml";

/// `assent.toml`, understood and as it is written, and where its parts stand.
fn read_settings(file: &Path) -> Result<(DeploymentConfig, serde_json::Value, Places), LoadProblem> {
    let text = files::read_text(file)?;
    let name = files::shown(file);
    let config = files::parse_toml(&name, &text)?;
    Ok((config, files::parse_toml(&name, &text)?, Places::of(&name, &text)))
}

/// Reads `assent.toml` and every organization's `organization.toml`.
///
/// # Errors
/// All problems of all files.
pub fn read(root: &Path) -> Result<Deployment, LoadErrors> {
    if root.is_file() {
        let message = format!("this is a file: expected the folder that holds `{DEPLOYMENT_FILE}`");
        return Err(LoadErrors(vec![LoadProblem::of_file(&files::shown(root), message)]));
    }
    let file = root.join(DEPLOYMENT_FILE);
    let (config, settings, places) = read_settings(&file).map_err(|problem| LoadErrors(vec![problem]))?;
    let mut problems = config::check_deployment(&config, &places);
    let mut organizations: Vec<OrganizationFiles> = vec![];
    for (index, path) in config.organizations.iter().enumerate() {
        let directory = root.join(path);
        let named = format!("/organizations/{index}");
        if config.organizations.iter().take(index).any(|other| other == path) {
            let message = format!("the folder `{}` is named twice", path.display());
            problems.push(places.problem(&named, message));
            continue;
        }
        if !directory.is_dir() {
            let shown = files::shown(&directory);
            let message = format!(
                "`organizations` names `{shown}`: expected a folder that holds `{ORGANIZATION_FILE}`"
            );
            problems.push(places.problem(&named, message));
            continue;
        }
        match OrganizationFiles::read(directory, Files::Disk) {
            Err(problem) => problems.push(problem),
            Ok(organization) => {
                let OrganizationFiles { config, places, .. } = &organization;
                if let Some(other) = organizations.iter().find(|other| other.config.id == config.id) {
                    let message = format!("the id `{}` is already taken by another organization", config.id);
                    let problem = places.problem("/id", message);
                    problems.push(problem.with_help(format!("the other is {}", other.places.file())));
                }
                organizations.push(organization);
            }
        }
    }
    // An organization that did not read, or took another's id, is not one that a caller must not name.
    let known: BTreeSet<&str> = organizations.iter().map(|o| o.config.id.as_str()).collect();
    if known.len() == config.organizations.len() {
        problems.extend(config::check_callers(&config, &known, &places));
        if let Some(audit) = &config.audit {
            problems.extend(config::check_exports(audit, root, &known, &places));
        }
    }
    if problems.is_empty() {
        Ok(Deployment { root: root.to_owned(), config, places, settings, organizations })
    } else {
        Err(LoadErrors(problems))
    }
}
