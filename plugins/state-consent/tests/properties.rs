//! What holds for any request: consents only open, objections and labels only close, order is nothing.

mod harness;

use std::collections::BTreeSet;

use assent_plugin_cases::{Given, GivenProvision};
use assent_plugin_sdk::prelude::*;
use assent_state_consent::StateConsent;
use harness::Case;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// How much a rule withholds: whether the whole, and which rules' parts of a list.
#[derive(Debug, PartialEq)]
struct Withheld {
    codes: BTreeSet<String>,
    redacted: BTreeSet<String>,
}

fn withheld(case: &Case) -> Withheld {
    let findings = harness::findings(case);
    let found = harness::found(&findings, &harness::Expect::default());
    Withheld { codes: findings.codes().into_iter().map(str::to_owned).collect(), redacted: found.redacts }
}

const LABELS: &[&str] = &[
    "N", "SUD", "ETH", "HIV", "STD", "MH", "PSY", "PSYTHPN", "GDIS", "SEX", "GENDER", "SPI", "SDV", "VIP",
    "OPIOIDUD",
];
const CATEGORIES: &[&str] =
    &["general", "substance_use", "sti_hiv", "outpatient_mental_health", "genetic", "reiki"];
const STATES: &[&str] = &["NY", "CA", "WA", "MD", "MN", "TX", "IL", "OR", "PA"];
const PURPOSES: &[&str] = &[
    "TREAT",
    "COC",
    "HPAYMT",
    "HOPERAT",
    "HLEGAL",
    "HRESCH",
    "HMARKT",
    "BTG",
    "ETREAT",
    "MLTRAINING",
    "FAMRQT",
];
const FORMS: &[&str] = &[
    "part2-tpo",
    "part2-specific",
    "hiv-specific",
    "psychotherapy-notes",
    "mental-health-written",
    "genetic-written",
    "reproductive-written",
    "cmia-authorization",
    "mn-release",
    "sud-written",
];

fn own(words: Vec<&str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// A consent that can only open: it could be read, and refuses nothing.
fn grant() -> impl Strategy<Value = Given> {
    (
        subsequence(FORMS, 0..=FORMS.len()),
        subsequence(&["sti_hiv", "substance_use", "genetic"][..], 0..=2),
        subsequence(&["Organization::other", "Practitioner::dr-2", "Organization::third"][..], 0..=2),
        select(&["2026-11-21T12:00:00Z", "2026-11-21T12:00:00.001Z", "2027-01-01T00:00:00Z"][..]),
        select(&["2025-01-01T00:00:00Z", "2026-06-01T00:00:00Z"][..]),
    )
        .prop_map(|(forms, categories, recipients, end, given)| Given {
            forms: own(forms),
            categories: own(categories),
            recipients: own(recipients),
            end: Some(end.to_owned()),
            given: Some(given.to_owned()),
            ..Given::default()
        })
}

/// A consent that can only close.
fn objection() -> impl Strategy<Value = Given> {
    let refusal = GivenProvision { effect: "deny".into(), ..GivenProvision::default() };
    (grant(), select(vec![0, 1, 2])).prop_map(move |(grant, kind)| match kind {
        0 => Given { unsupported: vec!["provision".into()], ..grant },
        1 => Given { base: Some("deny".into()), ..grant },
        _ => Given { provisions: vec![refusal.clone()], ..grant },
    })
}

prop_compose! {
    fn case()(
        labels in subsequence(LABELS, 0..=4),
        categories in subsequence(CATEGORIES, 0..=2),
        (service, residence) in (select(STATES), select(STATES)),
        purpose in select(PURPOSES),
        subject in select(&["Practitioner::dr-2", "Application::a1", "RelatedPerson::r1", "Patient::p1"][..]),
        organization in select(&["@Organization::ours", "@Organization::other"][..]),
        kind in select(&["provider", "payer", "exchange"][..]),
        list in any::<bool>(),
        care in any::<bool>(),
        proxy in any::<bool>(),
        consents in prop::collection::vec(prop_oneof![4 => grant(), 1 => objection()], 0..4),
    ) -> Case {
        let text = |text: &str| toml::Value::String(text.to_owned());
        let texts = |words: &[&str]| toml::Value::Array(words.iter().map(|word| text(word)).collect());
        let mut case = Case {
            action: Some(if list { "search" } else { "read" }.to_owned()),
            subject: Some(subject.to_owned()),
            resource: Some(if list { "Bundle::b" } else { "Observation::o" }.to_owned()),
            patient: Some("p1".to_owned()),
            purpose: Some(purpose.to_owned()),
            consents,
            ..Case::default()
        };
        case.settings.insert("kinds".to_owned(), serde_json::json!(["provider", "mental-health-facility", "part2-program"]));
        case.settings.insert("states".to_owned(), serde_json::json!([service]));
        for (path, value) in [
            ("resource.labels", texts(&labels)),
            ("resource.categories", texts(&categories)),
            ("resource.serviceState", text(service)),
            ("patient.state", text(residence)),
            ("resource.organization", text("@Organization::ours")),
            ("subject.organization", text(organization)),
            ("subject.organization.category", text(kind)),
            ("subject.organization.state", text(service)),
            ("context.proxy.verified", toml::Value::Boolean(proxy)),
        ] {
            case.facts.insert(path.to_owned(), value);
        }
        if care {
            case.facts.insert("context.care".to_owned(), text("@CareRelationship::k"));
        }
        case
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn removing_a_consent_never_turns_deny_into_permit(case in case(), consent in grant(), at in 0usize..4) {
        let mut with = case.clone();
        with.consents.insert(at.min(with.consents.len()), consent);
        let (with, without) = (withheld(&with), withheld(&case));
        prop_assert!(with.codes.is_subset(&without.codes), "{with:?} {without:?}");
        prop_assert!(with.redacted.is_subset(&without.redacted), "{with:?} {without:?}");
    }

    #[test]
    fn adding_an_objection_never_turns_deny_into_permit(case in case(), objection in objection()) {
        let mut with = case.clone();
        with.consents.push(objection);
        let (with, without) = (withheld(&with), withheld(&case));
        prop_assert!(without.codes.is_subset(&with.codes), "{with:?} {without:?}");
        prop_assert!(without.redacted.is_subset(&with.redacted), "{with:?} {without:?}");
    }

    // A first label ends that a record is unknown, and may so release it: only labelled records here.
    #[test]
    fn adding_a_sensitive_label_never_turns_deny_into_permit(case in case(), label in select(LABELS)) {
        let labels = |case: &mut Case, more: &str| {
            let labels = case.facts.get_mut("resource.labels").and_then(toml::Value::as_array_mut).unwrap();
            if !labels.iter().any(|known| known.as_str() == Some(more)) {
                labels.push(more.into());
            }
        };
        let mut case = case;
        labels(&mut case, "N");
        let mut with = case.clone();
        labels(&mut with, label);
        let (with, without) = (withheld(&with), withheld(&case));
        prop_assert!(without.codes.is_subset(&with.codes), "{with:?} {without:?}");
        prop_assert!(without.redacted.is_subset(&with.redacted), "{with:?} {without:?}");
    }

    #[test]
    fn the_order_of_consents_never_matters(case in case(), turn in 0usize..4) {
        let request = case.request();
        let mut consents: Vec<_> = case.consents.iter().enumerate().map(|(at, given)| given.consent(at)).collect();
        if !consents.is_empty() {
            let turn = turn % consents.len();
            consents.rotate_left(turn);
        }
        let mut bare = case.clone();
        bare.consents.clear();
        let turned = consents.into_iter().fold(bare.request(), |request, consent| request.consent(consent));
        let rule = case.rule::<StateConsent>();
        prop_assert_eq!(
            format!("{:?}", request.evaluate(&rule).unwrap()),
            format!("{:?}", turned.evaluate(&rule).unwrap())
        );
    }

    #[test]
    fn a_patient_is_refused_nothing_but_psychotherapy_notes(case in case()) {
        let mut case = case;
        case.subject = Some("Patient::p1".to_owned());
        let Withheld { codes, redacted } = withheld(&case);
        prop_assert!(codes.iter().chain(&redacted).all(|code| code == "us-psynotes"), "{codes:?} {redacted:?}");
    }

    #[test]
    fn an_unsettled_row_never_decides_alone(case in case()) {
        let findings: Findings = harness::findings(&case);
        prop_assert!(findings.denial("wa-repro").is_none());
    }
}
