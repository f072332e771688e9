//! Every case of `cases/`, put to the decision table and through the SDK.

use std::collections::BTreeSet;

use assent_adolescent_privacy::AdolescentPrivacy;
use assent_adolescent_privacy::decide::{Effect, decide};
use assent_adolescent_privacy::report::NEUTRAL_MESSAGE;
use assent_adolescent_privacy::rules::Rule;
use assent_plugin_sdk::prelude::{Findings, Ground, ObligationCode, Remedy};
use assent_plugin_sdk::testing::{check_description, configure};

use crate::case::{Case, CaseFile};

const FILES: &[(&str, &str)] = &[
    ("examples", include_str!("../../cases/examples.toml")),
    ("rules", include_str!("../../cases/rules.toml")),
];

fn cases() -> Vec<Case> {
    let read = |(name, text): &(&str, &str)| {
        toml::from_str::<CaseFile>(text).unwrap_or_else(|error| panic!("cases/{name}.toml: {error}")).case
    };
    FILES.iter().flat_map(read).collect()
}

#[test]
fn the_table_decides_each_case_as_expected() {
    for case in cases() {
        let organization = case.organization();
        let input = case.input(&organization);
        let decision = decide(&input);
        let effect = match decision.effect {
            Effect::Permit => "permit",
            Effect::PermitWithMask => "permit_with_mask",
            Effect::Deny => "deny",
        };
        let duties: Vec<_> = decision.duties.iter().map(|duty| duty.code()).collect();
        let masked: BTreeSet<_> = decision.masked.iter().map(|judged| judged.category.code).collect();
        let expect = &case.expect;
        assert_eq!(
            (effect, decision.rule.code()),
            (expect.decision.as_str(), expect.rule.as_str()),
            "{}",
            case.id
        );
        assert_eq!(duties, expect.obligations, "{}", case.id);
        assert_eq!(masked.into_iter().collect::<Vec<_>>(), expect.mask_categories, "{}", case.id);
    }
}

#[test]
fn the_rule_finds_in_each_case_what_the_table_decides() {
    for case in cases() {
        let rule: AdolescentPrivacy = configure(case.settings()).unwrap();
        let findings = case.request().evaluate(&rule).unwrap();
        check_findings(&case, &findings);
    }
}

fn check_findings(case: &Case, findings: &Findings) {
    let (id, expect) = (&case.id, &case.expect);
    let obliged = |code: &ObligationCode| findings.obligations.iter().any(|o| o.code == *code);
    let note = format!("rule {};", expect.rule);
    assert!(findings.notes.iter().any(|found| found.starts_with(&note)), "{id}: {:?}", findings.notes);
    assert_eq!(findings.allows(), expect.decision != "deny", "{id}: {:?}", findings.codes());
    assert_eq!(obliged(&ObligationCode::Redact), expect.decision == "permit_with_mask", "{id}");
    if expect.decision == "deny" {
        let denial = findings.denial(&expect.rule).unwrap_or_else(|| panic!("{id}: {:?}", findings.codes()));
        let neutral = expect.obligations.iter().any(|duty| duty == "neutral_reason") || expect.rule == "P9r";
        assert_eq!(denial.neutral, neutral, "{id}");
        assert_eq!(denial.message == NEUTRAL_MESSAGE, neutral, "{id}");
        let own_policy = denial.ground == Ground::OrganizationPolicy;
        assert_eq!(
            denial.citation.is_none(),
            own_policy,
            "{id}: whatever is not mere policy has its citation"
        );
        assert_eq!(
            findings.notes.iter().any(|note| note.contains("information blocking")),
            own_policy,
            "{id}"
        );
    }
    for duty in &expect.obligations {
        let met = match duty.as_str() {
            "audit" => obliged(&ObligationCode::Audit),
            "neutral_reason" => obliged(&ObligationCode::NeutralReason),
            "review_right_notice" => obliged(&ObligationCode::ReviewRightNotice),
            "suppress_billing_detail" => obliged(&ObligationCode::SuppressBillingDetail),
            "paper_request_route" => remedies(findings).any(|remedy| *remedy == Remedy::PaperRequest),
            "human_review" => findings.reviews.iter().any(|review| review.queue == "privacy"),
            "route_to_clinician" => {
                remedies(findings).any(|remedy| matches!(remedy, Remedy::ClinicianDecision(_)))
            }
            // Of an item nothing is handed out.
            "redact" => expect.decision == "deny" || obliged(&ObligationCode::Redact),
            other => panic!("{id}: unknown obligation `{other}`"),
        };
        assert!(met, "{id}: {duty}");
    }
}

fn remedies(findings: &Findings) -> impl Iterator<Item = &Remedy> {
    findings.denials.iter().flat_map(|denial| &denial.remedies)
}

#[test]
fn every_line_of_the_table_decides_a_case_and_misses_one() {
    let cases = cases();
    let decided: BTreeSet<_> = cases.iter().map(|case| case.expect.rule.as_str()).collect();
    let missed: BTreeSet<_> = cases.iter().filter_map(|case| case.instead_of.as_deref()).collect();
    for rule in Rule::ALL {
        assert!(decided.contains(rule.code()), "{}: no case in which it decides", rule.code());
        assert!(missed.contains(rule.code()), "{}: no case in which it just does not", rule.code());
    }
    for case in &cases {
        assert_ne!(case.instead_of.as_deref(), Some(case.expect.rule.as_str()), "{}", case.id);
    }
}

#[test]
fn case_ids_are_distinct() {
    let cases = cases();
    let ids: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len());
}

/// Compares with the vectors that the examples were taken from. Reads `../shared` beside the
/// checkout; skips where it is not there.
#[test]
fn the_examples_are_the_shared_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/health/adolescent_vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return;
    };
    let shared: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ours: toml::Table = toml::from_str(FILES[0].1).unwrap();
    let mut ours = serde_json::to_value(&ours["case"]).unwrap();
    // The files say `yes` and `no` where the vectors say true and false.
    let mut shared = shared["cases"].clone();
    for case in shared.as_array_mut().unwrap() {
        let input = case["input"].take();
        case.as_object_mut().unwrap().remove("input");
        for (section, value) in input.as_object().unwrap() {
            case[section] = value.clone();
        }
        if let Some(consented) = case["resource"].get_mut("minor_consented") {
            *consented = if *consented == true { "yes".into() } else { "no".into() };
        }
    }
    let by_id = |cases: &mut serde_json::Value| {
        cases.as_array_mut().unwrap().sort_by_key(|case| case["id"].as_str().unwrap().to_owned());
    };
    by_id(&mut ours);
    by_id(&mut shared);
    assert_eq!(ours, shared);
}

#[test]
fn the_description_is_admissible() {
    check_description::<AdolescentPrivacy>();
}
