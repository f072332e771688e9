//! How an organization sets the rule, and what it may not.
//!
//! INVARIANT (law is adopted by name): a row of law is changed, or an unsettled one relied upon,
//! only with the name of who approved it, the day and the reason.

use assent_law::minor_consent::{Category, Day, Disclosure, MayConsent, find};
use assent_plugin_sdk::prelude::*;

use crate::input::{AdoptedRow, Organization, Posture};

/// Completed years in which a majority is set anywhere in the table.
const MAJORITY_AGES: std::ops::RangeInclusive<u32> = 18..=21;
/// An account or a limit of one's own makes sense only for a minor.
const MINOR_AGES: std::ops::RangeInclusive<u32> = 0..=18;

/// How an organization sets the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Age of majority for every patient, in place of the table's age by state: 18 to 21.
    pub majority_age: Option<u32>,
    /// From this age a minor may have an account of their own.
    pub teen_account_min: u32,
    /// Below this age a parent's view does not depend on the teen.
    pub full_proxy_below: u32,
    /// What a parent of a teen sees without more: everything but the categories that the law keeps
    /// from them, or no clinical record.
    pub posture: PostureSetting,
    /// Rows that are under review, unclear or of low confidence decide as if they were settled.
    pub trust_low_confidence_rows: bool,
    /// When somebody born on 29 February is a year older in a common year.
    pub leap_day: LeapDay,
    /// The queue for what a person must look at.
    pub review_queue: String,
    /// Rows of law that the organization has adopted or changed.
    pub overrides: Vec<Override>,
}

/// What a parent of a teen sees without more.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostureSetting {
    /// Everything but the categories that the law keeps from them.
    CategoryScoped,
    /// Messages, appointments, immunizations, bills and forms only.
    Limited,
}

/// A row that the organization has adopted; what is left out stays as in the table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The row's id, such as `OH/outpatient_mental_health`.
    pub row: String,
    /// Whether a minor may consent alone.
    pub minor_may_consent: Option<MayConsentSetting>,
    /// From which age, in completed years.
    pub min_age: Option<u8>,
    /// No age is stated: any minor.
    #[serde(default)]
    pub any_age: bool,
    /// What the parent may see of care that the minor consented to alone.
    pub parent_disclosure: Option<DisclosureSetting>,
    /// Where the changed rule is written.
    pub citation: Option<String>,
    /// Who adopted the row.
    pub approved_by: Option<String>,
    /// On which day; it holds from then on.
    pub approved_on: Option<Date>,
    /// Why.
    pub reason: Option<String>,
}

/// Whether a minor may consent alone.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MayConsentSetting {
    /// Yes.
    Yes,
    /// If the row's conditions are met.
    Conditional,
    /// No.
    No,
}

/// What the parent may see.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisclosureSetting {
    /// Nothing without the minor's consent.
    Prohibited,
    /// What a professional decides to disclose.
    Permitted,
    /// All.
    Required,
    /// The law is silent: a licensed professional decides.
    Silent,
}

impl Default for Settings {
    fn default() -> Self {
        let organization = Organization::default();
        Self {
            majority_age: organization.majority_age,
            teen_account_min: organization.teen_account_min,
            full_proxy_below: organization.full_proxy_below,
            posture: PostureSetting::CategoryScoped,
            trust_low_confidence_rows: organization.trust_low_confidence_rows,
            leap_day: LeapDay::default(),
            review_queue: "privacy".to_owned(),
            overrides: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings as the decision table takes them.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn organization(&self) -> Result<Organization, Problems> {
        let mut problems = Problems::new();
        if self.majority_age.is_some_and(|age| !MAJORITY_AGES.contains(&age)) {
            problems.at("/majority_age", "expected 18 to 21; leave it out for the table's age by state");
        }
        for (key, age) in
            [("teen_account_min", self.teen_account_min), ("full_proxy_below", self.full_proxy_below)]
        {
            if !MINOR_AGES.contains(&age) {
                problems.at(format!("/{key}"), "expected an age from 0 to 18");
            }
        }
        if self.review_queue.trim().is_empty() {
            problems.at("/review_queue", "expected the name of a queue");
        }
        let mut overrides: Vec<AdoptedRow> = Vec::new();
        for (at, entry) in self.overrides.iter().enumerate() {
            if overrides.iter().any(|earlier| earlier.row == entry.row) {
                problems.at(format!("/overrides/{at}/row"), "a second override of this row: expected one");
            }
            overrides.extend(entry.adopt(&format!("/overrides/{at}"), &mut problems));
        }
        problems.or(Organization {
            majority_age: self.majority_age,
            teen_account_min: self.teen_account_min,
            full_proxy_below: self.full_proxy_below,
            posture: match self.posture {
                PostureSetting::CategoryScoped => Posture::CategoryScoped,
                PostureSetting::Limited => Posture::Limited,
            },
            trust_low_confidence_rows: self.trust_low_confidence_rows,
            overrides,
        })
    }
}

impl Override {
    fn adopt(&self, path: &str, problems: &mut Problems) -> Option<AdoptedRow> {
        let (state, category) = self.row.split_once('/').unwrap_or_default();
        let code = state.len() == 2 && state.bytes().all(|byte| byte.is_ascii_uppercase());
        if !code || Category::from_code(category).is_none() {
            problems
                .at(format!("{path}/row"), "expected a state and a category of care, such as `OH/sti_hiv`");
        } else if find(state, category).is_none() {
            let complete = self.minor_may_consent.is_some()
                && self.parent_disclosure.is_some()
                && self.citation.is_some();
            if !complete {
                problems.at(
                    format!("{path}/row"),
                    "the table has no such row: expected `minor_may_consent`, `parent_disclosure` and `citation`",
                );
            }
        }
        if self.any_age && self.min_age.is_some() {
            problems.at(format!("{path}/any_age"), "expected either `any_age` or `min_age`");
        }
        if self.min_age.is_some_and(|age| age > 21) {
            problems.at(format!("{path}/min_age"), "expected completed years, at most 21");
        }
        let changed = self.minor_may_consent.is_some()
            || self.min_age.is_some()
            || self.any_age
            || self.parent_disclosure.is_some();
        if changed && blank(self.citation.as_deref()) {
            problems.at(format!("{path}/citation"), "expected where the changed rule is written");
        }
        if blank(self.approved_by.as_deref()) {
            problems.at(
                format!("{path}/approved_by"),
                "expected the name of the person who approved the override",
            );
        }
        if blank(self.reason.as_deref()) {
            problems.at(format!("{path}/reason"), "expected the reason for the override");
        }
        if self.approved_on.is_none() {
            problems
                .at(format!("{path}/approved_on"), "expected the day of the approval, such as `2026-03-01`");
        }
        Some(AdoptedRow {
            row: self.row.clone(),
            may_consent: self.minor_may_consent.map(MayConsent::from),
            min_age: if self.any_age { Some(None) } else { self.min_age.map(Some) },
            disclosure: self.parent_disclosure.map(Disclosure::from),
            citation: self.citation.clone(),
            approved_by: self.approved_by.clone()?,
            approved_on: day(self.approved_on?),
        })
    }
}

fn blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}

/// A date as the table of law has it.
pub(crate) const fn day(date: Date) -> Day {
    Day { year: date.year, month: date.month, day: date.day }
}

impl From<MayConsentSetting> for MayConsent {
    fn from(setting: MayConsentSetting) -> Self {
        match setting {
            MayConsentSetting::Yes => Self::Yes,
            MayConsentSetting::Conditional => Self::Conditional,
            MayConsentSetting::No => Self::No,
        }
    }
}

impl From<DisclosureSetting> for Disclosure {
    fn from(setting: DisclosureSetting) -> Self {
        match setting {
            DisclosureSetting::Prohibited => Self::Prohibited,
            DisclosureSetting::Permitted => Self::Permitted,
            DisclosureSetting::Required => Self::Required,
            DisclosureSetting::Silent => Self::Silent,
        }
    }
}
