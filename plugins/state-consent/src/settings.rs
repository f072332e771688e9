//! How an organization sets the rule: what it is, where it is, and which rows it has made its own.
//!
//! INVARIANT (signed law): a row is overridden or trusted only by a named person, on a date, for a
//! reason; settings without them are refused.

use assent_plugin_sdk::prelude::*;

/// The settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the organization is: `provider`, `mental-health-facility`, `treatment-facility`,
    /// `part2-program`, `exchange`, `health-plan`, `digital-mental-health`, `consumer-service`. Rows
    /// that bind other kinds only do not apply.
    pub kinds: Vec<String>,
    /// The states (USPS codes) in which it gives care: each counts where the state of service is not on record.
    pub states: Vec<String>,
    /// The queue of people who answer what no row can decide.
    #[serde(default = "privacy_office")]
    pub queue: String,
    /// What a record is that nobody labelled.
    #[serde(default)]
    pub unlabelled: Unlabelled,
    /// What a record of substance use is that does not say whether a Part 2 program made it.
    #[serde(default)]
    pub unmarked_sud: UnmarkedSud,
    /// Rows of low confidence, or under review, that the organization has checked and relies upon as
    /// they are: `row` and the signature only.
    #[serde(default)]
    pub trusted: Vec<Signed>,
    /// Rows that hold otherwise for this organization.
    #[serde(default)]
    pub overrides: Vec<Signed>,
}

/// What a record is that nobody labelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unlabelled {
    /// Unknown: withheld for other purposes than treatment, outside the organization.
    #[default]
    Unknown,
    /// Not sensitive.
    Normal,
}

/// What a record of substance use is that does not say whether a Part 2 program made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnmarkedSud {
    /// A Part 2 record.
    #[default]
    Part2,
    /// None: the organization marks every Part 2 record that it makes or receives, by `part2` or the
    /// label `42CFRPart2`.
    NotPart2,
}

/// A row that somebody has signed for; what is not named stays as in the table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The row's id.
    pub row: String,
    /// What holds without consent, in the words of the table.
    pub default_without_consent: Option<String>,
    /// The forms of consent of which one is enough.
    pub forms: Option<Vec<String>>,
    /// Whether the consent must name the recipient.
    pub names_recipient: Option<bool>,
    /// The exceptions.
    pub exceptions: Option<Vec<String>>,
    /// Who signed.
    #[serde(default)]
    pub approved_by: String,
    /// When: `2026-11-21`.
    pub approved_on: Option<Date>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

fn privacy_office() -> String {
    "privacy-office".to_owned()
}
