//! The shape of what `organization.toml` says of the workflows around decisions.

use std::collections::BTreeMap;

use assent_engine::state::{Emergencies, Rules};
use assent_policy::LoadProblem;
use assent_workflow::approval::Rule;
use assent_workflow::break_glass::Settings;
use assent_workflow::{Unfit, disclosure};
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

/// `[break_glass]`: the terms of emergencies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassConfig {
    /// The reasons that can be given; those of the policies.
    pub reasons: Vec<String>,
    /// How long the justification must be, in characters.
    #[serde(default = "BreakGlassConfig::justification_min")]
    pub justification_min: u32,
    /// For how many hours one lasts.
    #[serde(default = "BreakGlassConfig::lasts_hours")]
    pub lasts_hours: u64,
    /// Within how many hours it must be reviewed.
    #[serde(default = "BreakGlassConfig::review_within_hours")]
    pub review_within_hours: u64,
    /// After how many hours more a review that is due is escalated.
    #[serde(default = "BreakGlassConfig::escalate_after_hours")]
    pub escalate_after_hours: u64,
    /// Roles of which whoever declares must have one.
    pub declarers: Vec<String>,
    /// Roles of which whoever reviews must have one.
    pub reviewers: Vec<String>,
}

impl BreakGlassConfig {
    /// As the base policies ask for.
    const fn justification_min() -> u32 {
        10
    }

    /// Half a shift.
    const fn lasts_hours() -> u64 {
        4
    }

    /// Over a weekend.
    const fn review_within_hours() -> u64 {
        72
    }

    const fn escalate_after_hours() -> u64 {
        48
    }

    fn emergencies(&self) -> Emergencies {
        let settings = Settings {
            reasons: self.reasons.clone(),
            justification_min: self.justification_min,
            lasts_ms: self.lasts_hours.saturating_mul(HOUR_MS),
            review_within_ms: self.review_within_hours.saturating_mul(HOUR_MS),
            escalate_after_ms: self.escalate_after_hours.saturating_mul(HOUR_MS),
        };
        Emergencies { settings, declarers: self.declarers.clone(), reviewers: self.reviewers.clone() }
    }
}

/// `[disclosure_decisions]`: the terms of professionals' decisions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosureConfig {
    /// For how many days one that discloses lasts at most.
    pub expires_within_days: u64,
    /// Roles of which somebody may withdraw one besides its author.
    #[serde(default)]
    pub withdrawing_roles: Vec<String>,
}

impl DisclosureConfig {
    fn settings(&self) -> disclosure::Settings {
        disclosure::Settings {
            expires_within_ms: self.expires_within_days.saturating_mul(24 * HOUR_MS),
            withdrawing_roles: self.withdrawing_roles.clone(),
        }
    }
}

/// What the organization sets for its workflows.
pub(crate) fn rules(config: &OrganizationConfig) -> Rules {
    Rules {
        approvals: config.approvals.iter().map(ApprovalConfig::rule).collect(),
        emergencies: config.break_glass.as_ref().map(BreakGlassConfig::emergencies),
        disclosures: config.disclosure_decisions.as_ref().map(DisclosureConfig::settings),
        consents: config.consents.clone(),
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
    let mut problem = |table: &str, unfit: Unfit| {
        let name = written(unfit.setting);
        let message = format!("`{table}.{name}`: expected {}", unfit.expected);
        problems.push(places.problem(&format!("/{table}/{name}"), message));
    };
    if let Some(Err(unfit)) = config.break_glass.as_ref().map(|table| table.emergencies().settings.check()) {
        problem("break_glass", unfit);
    }
    for (name, roles) in config
        .break_glass
        .iter()
        .flat_map(|table| [("declarers", &table.declarers), ("reviewers", &table.reviewers)])
    {
        if roles.is_empty() {
            problem("break_glass", Unfit { setting: name, expected: "at least one role" });
        }
    }
    if let Some(Err(unfit)) = config.disclosure_decisions.as_ref().map(|table| table.settings().check()) {
        problem("disclosure_decisions", unfit);
    }
    for (index, row) in config.approvals.iter().enumerate() {
        if let Err(unfit) = row.rule().check() {
            let name = written(unfit.setting);
            let message = format!("`approval.{name}`: expected {}", unfit.expected);
            problems.push(places.problem(&format!("/approval/{index}/{name}"), message));
        }
    }
    problems
}

/// Rows of one kind that begin alike: the service would take the one that asks more of people, and whoever reads the
/// other believes it.
pub(crate) fn doubled_rows(config: &OrganizationConfig, places: &Places) -> Vec<LoadProblem> {
    let mut first = BTreeMap::new();
    let rows = config.approvals.iter().enumerate();
    rows.filter_map(|(index, row)| {
        let before = *first.entry((&row.kind, row.records_over)).or_insert(index);
        (before != index).then(|| {
            let message = format!(
                "`approval`: row {} is of the kind `{}` and begins above {} records, as row {} does; write one, or have \
                 them begin differently",
                index + 1,
                row.kind,
                row.records_over,
                before + 1
            );
            let pointer = format!("/approval/{index}");
            let part = format!("{pointer}/records_over");
            places.problem(if places.has(&part) { &part } else { &pointer }, message)
        })
    })
    .collect()
}

/// A setting as `organization.toml` writes it.
fn written(setting: &'static str) -> &'static str {
    match setting {
        "answerWithinMs" => "answer_within_hours",
        "lastsMs" => "lasts_hours",
        "reviewWithinMs" => "review_within_hours",
        "escalateAfterMs" => "escalate_after_hours",
        "justificationMin" => "justification_min",
        "expiresWithinMs" => "expires_within_days",
        "withdrawingRoles" => "withdrawing_roles",
        name => name,
    }
}
