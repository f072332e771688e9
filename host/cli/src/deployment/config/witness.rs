//! The shape of `[[audit.witness]]`, and what can be wrong with it as it is written.

use std::path::PathBuf;

use assent_outbound::http;
use assent_outbound::witness::{self, WitnessError};
use assent_policy::LoadProblem;
use serde::Deserialize;

use super::super::places::Places;
use super::AuditConfig;

/// The least seconds between two rounds: witnesses are other people's machines.
const INTERVAL_S_MIN: u64 = 5;
/// The most: a day, after which nobody would call it seen.
const INTERVAL_S_MAX: u64 = 86_400;

/// `[[audit.witness]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it is: what `/add-checkpoint` follows. `https`, or `http` on this machine.
    pub url: String,
    /// Its verifier key, as its operator publishes it (c2sp.org/signed-note, of the kind that cosigns).
    pub key: String,
    /// A file of certificates in PEM, relative to `assent.toml`, that alone vouch for it. Left out: the system's.
    pub authorities: Option<PathBuf>,
}

/// What is wrong with the witnesses.
pub(super) fn check(audit: &AuditConfig, places: &Places) -> Vec<LoadProblem> {
    let mut problems = vec![];
    let interval = audit.witness_interval_s;
    if !(INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&interval) {
        let message = format!(
            "`audit.witness_interval_s` is {interval}: expected {INTERVAL_S_MIN} to {INTERVAL_S_MAX} seconds"
        );
        problems.push(places.problem("/audit/witness_interval_s", message));
    }
    for (at, config) in audit.witnesses.iter().enumerate() {
        if let Err(error) = http::address(&config.url) {
            problems.push(places.problem(&format!("/audit/witness/{at}/url"), error.to_string()));
        }
        let pointer = format!("/audit/witness/{at}/key");
        match witness::key_of(&config.key) {
            Err(error) => problems.push(places.problem(&pointer, error.to_string())),
            Ok(key) => {
                let earlier = audit.witnesses.iter().take(at);
                let mut keys = earlier.filter_map(|other| witness::key_of(&other.key).ok());
                if keys.any(|other| other.name() == key.name()) {
                    let twice = WitnessError::Twice { name: key.name().to_owned() };
                    problems.push(places.problem(&pointer, twice.to_string()));
                }
            }
        }
    }
    problems
}
