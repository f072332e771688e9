//! What parents and other representatives see of a minor's record, and what minors see themselves.
//!
//! The rule withholds by category of care and legal ground, never by age alone. [`decide`] holds
//! the ordered decision table and is pure; [`facts`] fills its input from the request, [`report`]
//! turns its decision into findings, [`law`] looks up the rows of state law.
//! The rule has nothing to say to clinicians and applications: other policies do.

pub mod decide;
pub mod facts;
pub mod input;
pub mod law;
pub mod report;
pub mod rules;
pub mod settings;

use assent_plugin_sdk::prelude::*;

use crate::facts::{Facts, concerns};
use crate::input::Organization;
use crate::settings::Settings;

/// The configured rule.
#[derive(Debug)]
pub struct AdolescentPrivacy {
    organization: Organization,
    leap_day: LeapDay,
    review_queue: String,
}

impl Rule for AdolescentPrivacy {
    const NAME: &'static str = "adolescent-privacy";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "what representatives see of a minor's record, by category of care and legal ground";
    type Settings = Settings;
    type Facts = Facts;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let organization = settings.organization()?;
        Ok(Self { organization, leap_day: settings.leap_day, review_queue: settings.review_queue })
    }

    fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
        if !concerns(request) {
            return Ok(Findings::default());
        }
        let input = facts.input(request, &self.organization, self.leap_day);
        let decision = decide::decide(&input);
        Ok(report::findings(&input, &decision, &self.review_queue))
    }
}

assent_plugin_sdk::plugin!(AdolescentPrivacy);
