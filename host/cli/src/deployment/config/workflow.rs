//! The shape of what `organization.toml` says of the workflows around decisions.

use assent_engine::state::Rules;
use assent_policy::LoadProblem;
use assent_workflow::approval::Rule;
use serde::Deserialize;

use super::OrganizationConfig;
use crate::deployment::places::Places;

const HOUR_MS: u64 = 3_600_000;

/// `[[approval]]`: who approves what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalConfig {
    /// The kind, such as `export`.
    pub kind: String,
    /// The row begins above this number of records.
    #[serde(default)]
    pub records_over: u64,
    /// How many different people must approve.
    pub quorum: u32,
    /// Roles of which each of them must have one.
    pub roles: Vec<String>,
    /// For how many hours it may be answered.
    #[serde(default = "ApprovalConfig::answer_within_hours")]
    pub answer_within_hours: u64,
    /// For how many hours it lasts once it is approved.
    #[serde(default = "ApprovalConfig::lasts_hours")]
    pub lasts_hours: u64,
    /// How often it can be used.
    #[serde(default = "ApprovalConfig::uses")]
    pub uses: u32,
}

impl ApprovalConfig {
    /// Three days: over a weekend.
    const fn answer_within_hours() -> u64 {
        72
    }

    /// A day.
    const fn lasts_hours() -> u64 {
        24
    }

    const fn uses() -> u32 {
        1
    }

    fn rule(&self) -> Rule {
        Rule {
            kind: self.kind.clone(),
            records_over: self.records_over,
            quorum: self.quorum,
            roles: self.roles.clone(),
            answer_within_ms: self.answer_within_hours.saturating_mul(HOUR_MS),
            lasts_ms: self.lasts_hours.saturating_mul(HOUR_MS),
            uses: self.uses,
        }
    }
}

/// What the organization sets for its workflows.
pub(crate) fn rules(config: &OrganizationConfig) -> Rules {
    Rules {
        approvals: config.approvals.iter().map(ApprovalConfig::rule).collect(),
        go_on: config.state.go_on_when_stale.iter().cloned().collect(),
    }
}

/// `[state]` of an organization.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationStateConfig {
    /// Actions, as policies name them, that are still permitted where the database was not heard of for too long: on
    /// facts that others may have changed since.
    pub go_on_when_stale: Vec<String>,
}

/// What is wrong with it.
pub(crate) fn check(config: &OrganizationConfig, places: &Places) -> Vec<LoadProblem> {
    let mut problems = vec![];
    for (index, row) in config.approvals.iter().enumerate() {
        if let Err(unfit) = row.rule().check() {
            let name = match unfit.setting {
                "answerWithinMs" => "answer_within_hours",
                "lastsMs" => "lasts_hours",
                name => name,
            };
            let message = format!("`approval.{name}`: expected {}", unfit.expected);
            problems.push(places.problem(&format!("/approval/{index}/{name}"), message));
        }
    }
    problems
}
