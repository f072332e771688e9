//! What cases of this rule expect, and what was found in that form.
#![allow(dead_code, reason = "each test executable uses its own part")]

use std::collections::BTreeSet;

use assent_plugin_cases::{code, noted, values};
use assent_plugin_sdk::prelude::*;
use assent_state_consent::StateConsent;

pub(crate) type Case = assent_plugin_cases::Case<Expect>;

/// What must be found, exactly; what is not said must not be found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) denials: BTreeSet<String>,
    pub(crate) reviews: BTreeSet<String>,
    /// The rules of the obligation to redact.
    pub(crate) redacts: BTreeSet<String>,
    /// Other obligations, as `code` or `code rule`.
    pub(crate) obligations: BTreeSet<String>,
    /// Of the denials: those that look like an absent record. Checked where said.
    pub(crate) neutral: Option<BTreeSet<String>>,
    /// Forms of consent named as remedies. Checked where said.
    pub(crate) remedies: Option<BTreeSet<String>>,
    /// Labels and categories of the obligation to redact, of which each must be there.
    pub(crate) redacted: BTreeSet<String>,
    /// Parts of notes that must be there.
    pub(crate) notes: Vec<String>,
}

/// All cases of `cases/`.
pub(crate) fn cases() -> Vec<Case> {
    assent_plugin_cases::cases(env!("CARGO_MANIFEST_DIR"))
}

/// What the rule finds.
pub(crate) fn findings(case: &Case) -> Findings {
    case.findings::<StateConsent>()
}

/// What was found, in the form in which cases expect it.
pub(crate) fn found(findings: &Findings, expected: &Expect) -> Expect {
    let denials = || findings.denials.iter();
    let redact = findings.obligations.iter().find(|o| matches!(o.code, ObligationCode::Redact));
    let others = findings.obligations.iter().filter(|o| !matches!(o.code, ObligationCode::Redact));
    let forms = denials().flat_map(|denial| &denial.remedies).filter_map(|remedy| match remedy {
        Remedy::Consent(consent) => Some(consent.form.clone()),
        Remedy::HumanReview(_) => Some("human-review".to_owned()),
        Remedy::BreakGlass => Some("break-glass".to_owned()),
        _ => None,
    });
    let redacted = |name: &str| redact.and_then(|redact| values(redact, name)).unwrap_or_default();
    let left_out: BTreeSet<_> = ["labels", "categories"].iter().copied().flat_map(redacted).collect();
    Expect {
        denials: denials().map(|denial| denial.code.clone()).collect(),
        reviews: findings.reviews.iter().map(|review| review.code.clone()).collect(),
        redacts: redacted("rules").into_iter().collect(),
        obligations: others.map(shown).collect(),
        neutral: expected
            .neutral
            .is_some()
            .then(|| denials().filter(|denial| denial.neutral).map(|denial| denial.code.clone()).collect()),
        remedies: expected.remedies.is_some().then(|| forms.collect()),
        redacted: expected.redacted.intersection(&left_out).cloned().collect(),
        notes: noted(findings, &expected.notes),
    }
}

/// An obligation as cases write it.
fn shown(obligation: &Obligation) -> String {
    let rule = values(obligation, "rule").and_then(|rules| rules.into_iter().next());
    rule.map_or_else(|| code(&obligation.code), |rule| format!("{} {rule}", code(&obligation.code)))
}
