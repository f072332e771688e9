//! The shape of the table `[state]` of `assent.toml`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use assent_engine::state::Sharing;
use assent_policy::LoadProblem;
use serde::Deserialize;

use super::DeploymentConfig;
use crate::deployment::places::Places;

/// `[state]`: where what changes without a release is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// SQLite's file, relative to this one, for one node; `.assent/state.db` where nothing is said.
    pub file: Option<PathBuf>,
    /// Where the address of PostgreSQL is, for several nodes: `file:PATH`, or `env:NAME` for development.
    pub postgres: Option<String>,
    /// The name of the state, which all of its nodes share; left out, that of the audit log.
    pub name: Option<String>,
    /// For how many seconds facts count after PostgreSQL was last heard of; the same on every node. Whoever takes
    /// something back waits so long for a node that is silent.
    pub staleness_s: u64,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { file: None, postgres: None, name: None, staleness_s: Sharing::default().staleness.as_secs() }
    }
}

/// Shorter, and a busy second would deny; longer, and a revocation waits longer than anybody would.
const STALENESS_S: RangeInclusive<u64> = 2..=60;

/// What is wrong with the table.
pub(super) fn check(config: &DeploymentConfig, places: &Places) -> Vec<LoadProblem> {
    let Some(state) = &config.state else { return vec![] };
    let mut problems = vec![];
    if config.audit.is_none() {
        let message = "`[state]` needs `[audit]`: a change is first a record of the audit log";
        problems.push(places.problem("/state", message));
    }
    if !STALENESS_S.contains(&state.staleness_s) {
        let (least, most) = (STALENESS_S.start(), STALENESS_S.end());
        let message = format!("`state.staleness_s` is {}: expected {least} to {most}", state.staleness_s);
        problems.push(places.problem("/state/staleness_s", message));
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
