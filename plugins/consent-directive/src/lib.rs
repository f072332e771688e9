//! What the patient's own consent directives allow, and what they keep back.
//!
//! For every request by anybody but the patient: which consents are in force and about it, what do their
//! nested provisions come to for this person, purpose and action, and for these data? What the known facts
//! decide is denied or passed; what they leave open, of a list or of a record that nobody labelled, has to
//! be left out by the caller.
//! INVARIANT (unreadable is an objection): a consent that the host could not read in full, whose provisions
//! hang together wrongly, or that does not say what holds, denies until a person has cleared it up.
//! INVARIANT (order never matters): permuting consents, provisions or the values in them changes nothing.

pub mod answer;
pub mod codes;
pub mod condition;
pub mod directive;
pub mod facts;
pub mod question;
pub mod record;
pub mod report;
pub mod settings;

use assent_plugin_sdk::prelude::*;

use crate::facts::Facts;
use crate::question::Question;
use crate::settings::{Configured, Settings};

/// The configured rule.
#[derive(Debug)]
pub struct ConsentDirective {
    configured: Configured,
}

impl Rule for ConsentDirective {
    const NAME: &'static str = "consent-directive";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "keeps back what the patient's consent directives do not allow";
    type Settings = Settings;
    type Facts = Facts;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        Configured::new(settings).map(|configured| Self { configured })
    }

    fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
        let configured = &self.configured;
        let mut findings = Findings::default();
        let Some(patient) = &request.patient else {
            // Data of nobody in particular are nobody's to consent to; of many people, nothing is known here.
            if facts.deidentified == Some(true) {
                findings.oblige(ObligationCode::Deidentify);
            } else if facts.synthetic != Some(true) {
                return Ok(report::without_patient(configured));
            }
            return Ok(findings);
        };
        // Directives are about others: what patients see of their own record is their right (45 CFR 164.524).
        if request.subject == *patient && facts.destination.is_none() {
            return Ok(findings);
        }
        let now = request.now;
        let directives = facts.consents.iter().filter(|consent| {
            consent.status == ConsentStatus::Active
                && consent.given_at <= now
                && !self.authorizes_only(consent)
        });
        let (in_force, others): (Vec<_>, Vec<_>) =
            directives.partition(|consent| consent.period.contains(now));
        let ended = others.iter().any(|consent| consent.period.end.is_some_and(|end| end <= now));
        let (unsupported, readable): (Vec<_>, Vec<_>) =
            in_force.into_iter().partition(|consent| !consent.unsupported.is_empty());
        let (readable, malformed): (Vec<_>, Vec<_>) =
            readable.into_iter().partition(|consent| directive::leaves_first(&consent.provisions).is_some());
        report::unreadable(&mut findings, configured, "consent.unsupported", &unsupported);
        report::unreadable(&mut findings, configured, "consent.malformed", &malformed);
        let question = Question::of(&configured.groups, request, facts);
        if findings.allows() && readable.is_empty() && ended && configured.expired_denies {
            report::expired(&mut findings, &question);
        } else if findings.allows() || !readable.is_empty() {
            report::judged(&mut findings, configured, &readable, &question);
        }
        Ok(findings)
    }
}

impl ConsentDirective {
    /// Whether the consent is an authorization for other rules to judge, and no directive.
    fn authorizes_only(&self, consent: &Consent) -> bool {
        let listed = |form: &String| self.configured.authorizations.contains(form);
        consent.base.is_none()
            && consent.provisions.is_empty()
            && consent.unsupported.is_empty()
            && !consent.forms.is_empty()
            && consent.forms.iter().all(listed)
    }
}

assent_plugin_sdk::plugin!(ConsentDirective);
