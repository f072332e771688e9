//! What cases of this rule expect, and what was found in that form.
#![allow(dead_code, reason = "each test executable uses its own part")]
#![expect(clippy::panic, reason = "a mistake in a case must stop the test")]

use std::collections::BTreeSet;

use assent_consent_directive::ConsentDirective;
use assent_plugin_cases::{code, noted, texts};
use assent_plugin_sdk::prelude::*;

pub(crate) type Case = assent_plugin_cases::Case<Expect>;

/// What must be found, exactly; what is not said must not be found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) denials: BTreeSet<String>,
    pub(crate) reviews: BTreeSet<String>,
    /// Obligations, as `redact labels=SUD,ETH unlabelled`, without the names of consents.
    pub(crate) obligations: BTreeSet<String>,
    /// Whether the denials look like an absent record. Checked where said.
    pub(crate) neutral: Option<bool>,
    /// Remedies of the denials. Checked where said.
    pub(crate) remedies: Option<BTreeSet<String>>,
    /// Parts of notes that must be there.
    pub(crate) notes: Vec<String>,
}

/// All cases of `cases/`.
pub(crate) fn cases() -> Vec<Case> {
    assent_plugin_cases::cases(env!("CARGO_MANIFEST_DIR"))
}

/// What the rule finds.
pub(crate) fn findings(case: &Case) -> Findings {
    case.findings::<ConsentDirective>()
}

/// What was found, in the form in which cases expect it.
pub(crate) fn found(findings: &Findings, expected: &Expect) -> Expect {
    let denials = || findings.denials.iter();
    let remedies = denials().flat_map(|denial| &denial.remedies).map(|remedy| match remedy {
        Remedy::Consent(consent) => format!("consent {}", consent.form),
        Remedy::HumanReview(queue) => format!("human-review {queue}"),
        Remedy::SupplyFact(path) => format!("supply-fact {path}"),
        other => panic!("{other:?}"),
    });
    Expect {
        denials: denials().map(|denial| denial.code.clone()).collect(),
        reviews: findings.reviews.iter().map(|review| review.code.clone()).collect(),
        obligations: findings.obligations.iter().map(shown).collect(),
        neutral: expected
            .neutral
            .is_some()
            .then(|| !findings.denials.is_empty() && denials().all(|d| d.neutral)),
        remedies: expected.remedies.is_some().then(|| remedies.collect()),
        notes: noted(findings, &expected.notes),
    }
}

/// An obligation as cases write it.
fn shown(obligation: &Obligation) -> String {
    let mut words = vec![code(&obligation.code)];
    for parameter in obligation.parameters.iter().filter(|parameter| parameter.name != "consents") {
        words.push(match texts(&parameter.value).join(",").as_str() {
            "true" => parameter.name.clone(),
            values => format!("{}={values}", parameter.name),
        });
    }
    words.join(" ")
}
