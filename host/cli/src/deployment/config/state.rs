//! The shape of the table `[state]` of `assent.toml`.

use std::path::PathBuf;

use assent_policy::LoadProblem;
use serde::Deserialize;

use super::DeploymentConfig;
use crate::deployment::places::Places;

/// `[state]`: where what changes without a release is kept.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// SQLite's file, relative to this one, for one node; `.assent/state.db` where nothing is said.
    pub file: Option<PathBuf>,
    /// Where the address of PostgreSQL is, for several nodes: `file:PATH`, or `env:NAME` for development.
    pub postgres: Option<String>,
    /// The name of the state, which all of its nodes share; left out, that of the audit log.
    pub name: Option<String>,
}

/// What is wrong with the table.
pub(super) fn check(config: &DeploymentConfig, places: &Places) -> Vec<LoadProblem> {
    let Some(state) = &config.state else { return vec![] };
    let mut problems = vec![];
    if config.audit.is_none() {
        let message = "`[state]` needs `[audit]`: a change is first a record of the audit log";
        problems.push(places.problem("/state", message));
    }
    if state.file.is_some() && state.postgres.is_some() {
        let message = "`state.postgres` and `state.file`: expected one of them";
        problems.push(places.problem("/state/postgres", message));
    }
    if state.postgres.as_ref().is_some_and(|text| !text.starts_with("file:") && !text.starts_with("env:")) {
        // Not shown: it may be the address with its password.
        let message = "`state.postgres`: expected `file:PATH` or `env:NAME`, never the address itself";
        problems.push(places.problem("/state/postgres", message));
    }
    problems
}
