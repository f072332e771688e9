//! What holds for any tree of provisions: it decides as a naive reading of it, order is nothing, what is
//! left to the caller keeps back what the reading denies, a list shows nothing that its records alone would
//! not, and no consent opens more than its words.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a mistake in a test must stop the test")]

mod caller;
mod harness;
mod naive;

use std::collections::BTreeSet;

use assent_consent_directive::ConsentDirective;
use assent_plugin_cases::{Given, GivenProvision};
use assent_plugin_sdk::prelude::*;
use caller::{Item, handed_out};
use harness::Case;
use naive::{Kept, reading};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const PURPOSES: &[&str] =
    &["TREAT", "COC", "ETREAT", "ERTREAT", "BTG", "HPAYMT", "ENROLLM", "HOPERAT", "HRESCH"];
const LABELS: &[&str] =
    &["N", "R", "V", "M", "SUD", "ETH", "OPIOIDUD", "PSY", "HIV", "SPI", "STD", "VIP", "DEMO", "GENDER"];
/// What a record carries beside its confidentiality. Not `SPI`, which leaves open what is meant.
const SENSITIVITY: &[&str] = &["SUD", "ETH", "OPIOIDUD", "PSY", "HIV"];
/// Labels of an encounter; restricted ones say why.
const ENCOUNTERS: &[&[&str]] = &[&[], &[], &["N"], &["R", "PSY"], &["N", "ETH"], &["V", "HIV"]];
const CATEGORIES: &[&[&str]] = &[&[], &[], &["general"], &["sti_hiv"], &["substance_use"]];
const CLASSES: &[&str] = &["Observation", "Condition", "Immunization"];
/// And a patient's own entry.
const ALL_CLASSES: &[&str] = &["Observation", "Condition", "Immunization", "Patient"];
const ACTORS: &[&str] =
    &["Practitioner::dr-a", "Practitioner::dr-b", "Organization::clinic", "Organization::other"];
const CODES: &[&str] = &["urn:c|1", "urn:c|2", "urn:c|3"];
const ACTIONS: &[&str] = &["access", "correct", "disclose"];
const DATES: &[&str] = &["2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "2026-01-01T00:00:00Z"];

fn own(words: Vec<&str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// Some of a list; mostly none, so that deep trees still match.
fn some(list: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![3 => Just(vec![]), 2 => subsequence(list, 1..=2).prop_map(own)]
}

fn moment() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => Just(None), 1 => select(DATES).prop_map(|date| Some(date.to_owned()))]
}

fn effect() -> impl Strategy<Value = String> {
    select(&["permit", "deny"][..]).prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = GivenProvision> {
    let asked = (effect(), some(ACTORS), some(PURPOSES), some(ACTIONS), moment());
    let data = (some(CLASSES), some(LABELS), some(CODES), moment(), moment());
    (asked, data).prop_map(
        |((effect, actors, purposes, actions, end), (classes, labels, codes, from, until))| {
            GivenProvision {
                effect,
                actors,
                purposes,
                actions,
                // The requests of these tests are made in June 2025, when some rules have ended.
                end,
                classes,
                labels,
                codes,
                data_start: from,
                data_end: until,
                ..GivenProvision::default()
            }
        },
    )
}

/// Trees of any depth.
fn provisions() -> impl Strategy<Value = Vec<GivenProvision>> {
    let tree = leaf().prop_recursive(6, 24, 3, |inner| {
        (leaf(), prop::collection::vec(inner, 0..4)).prop_map(|(one, but)| GivenProvision { but, ..one })
    });
    prop::collection::vec(tree, 0..4)
}

fn consent() -> impl Strategy<Value = Given> {
    (effect(), provisions()).prop_map(|(base, provisions)| Given {
        base: Some(base),
        provisions,
        given: Some("2020-01-01T00:00:00Z".to_owned()),
        ..Given::default()
    })
}

/// Trees of one level, without times of data.
fn flat_consent() -> impl Strategy<Value = Given> {
    let flat = leaf().prop_map(|one| GivenProvision { data_start: None, data_end: None, ..one });
    (effect(), prop::collection::vec(flat, 0..4)).prop_map(|(base, provisions)| Given {
        base: Some(base),
        provisions,
        given: Some("2020-01-01T00:00:00Z".to_owned()),
        ..Given::default()
    })
}

prop_compose! {
    fn item(classes: &'static [&'static str])(
        class in select(classes),
        confidentiality in select(&["L", "N", "R", "V"][..]),
        sensitivity in subsequence(SENSITIVITY, 0..=2),
        encounter in select(ENCOUNTERS),
        categories in select(CATEGORIES),
        codes in subsequence(CODES, 0..=2),
        date in select(&["2024-06-01T00:00:00Z", "2025-01-01T00:00:00Z", "2025-08-01T00:00:00Z"][..]),
    ) -> Item {
        // Restricted without saying why leaves open what is meant.
        let restricted = matches!(confidentiality, "R" | "V") && sensitivity.is_empty();
        let mut labels = own(sensitivity);
        labels.push(if restricted { "N" } else { confidentiality }.to_owned());
        Item {
            class: class.to_owned(),
            labels,
            encounter: own(encounter.to_vec()),
            categories: own(categories.to_vec()),
            codes: own(codes),
            date: Some(date.to_owned()),
        }
    }
}

prop_compose! {
    /// Records as they are: labelled too little, in unknown words, without category or date.
    fn odd_item()(
        item in item(ALL_CLASSES),
        labels in subsequence(&["N", "R", "M", "SUD", "HIV", "SPI", "VIP", "GENDER", "XYZ", "HIPAAConsent"][..], 0..=3),
        encounter in subsequence(&["N", "R", "PSY", "SPI", "XYZ"][..], 0..=2),
        category in select(&["", "general", "sti_hiv", "reiki"][..]),
        dated in any::<bool>(),
    ) -> Item {
        let categories = own([category].into_iter().filter(|category| !category.is_empty()).collect());
        let date = item.date.filter(|_| dated);
        Item { labels: own(labels), encounter: own(encounter), categories, date, ..item }
    }
}

prop_compose! {
    fn case_of(given: BoxedStrategy<Given>)(
        consents in prop::collection::vec(given, 0..4),
        no_consent in effect(),
        purpose in select(PURPOSES),
        action in select(&["read", "update"][..]),
        subject in select(&["Practitioner::dr-a", "Practitioner::dr-c", "RelatedPerson::r-1"][..]),
        flags in subsequence(&["VIP"][..], 0..=1),
    ) -> Case {
        let mut case = Case {
            action: Some(action.to_owned()),
            subject: Some(subject.to_owned()),
            patient: Some("p1".to_owned()),
            purpose: Some(purpose.to_owned()),
            now: Some("2025-06-01T00:00:00Z".to_owned()),
            consents,
            ..Case::default()
        };
        case.settings.insert("no_consent".to_owned(), no_consent.into());
        case.settings.insert(
            "callers_redact".to_owned(),
            serde_json::json!(["classes", "codes", "data", "dates", "except"]),
        );
        case.facts.insert("resource.organization".to_owned(), "@Organization::clinic".into());
        if subject.starts_with("Practitioner") {
            case.facts.insert("subject.organization".to_owned(), "@Organization::clinic".into());
        }
        case.facts.insert("patient.privacyFlags".to_owned(), texts(&own(flags)));
        case
    }
}

fn texts(words: &[String]) -> toml::Value {
    toml::Value::Array(words.iter().map(|word| word.clone().into()).collect())
}

fn about(mut case: Case, item: &Item) -> Case {
    case.resource = Some(format!("{}::o-1", item.class));
    for (path, words) in [
        ("resource.labels", &item.labels),
        ("resource.encounter.labels", &item.encounter),
        ("resource.categories", &item.categories),
        ("resource.codes", &item.codes),
    ] {
        case.facts.insert(path.to_owned(), texts(words));
    }
    if let Some(date) = &item.date {
        case.facts.insert("resource.serviceDate".to_owned(), date.clone().into());
    }
    case
}

fn about_list(mut case: Case) -> Case {
    case.resource = Some("Bundle::b".to_owned());
    case
}

fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut state = seed;
    for at in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
}

/// The consent with its provisions, and the values in them, in another order.
fn shuffled(mut consent: Consent, seed: u64) -> Consent {
    let mut order: Vec<usize> = (0..consent.provisions.len()).collect();
    shuffle(&mut order, seed);
    let place = |old: u32| u32::try_from(order.iter().position(|&at| at == old as usize).unwrap()).unwrap();
    let provisions = order.iter().map(|&at| {
        let mut provision = consent.provisions[at].clone();
        provision.parent = provision.parent.map(place);
        shuffle(&mut provision.actors, seed);
        shuffle(&mut provision.actions, seed);
        shuffle(&mut provision.purposes, seed);
        shuffle(&mut provision.classes, seed);
        shuffle(&mut provision.codes, seed);
        shuffle(&mut provision.security_labels, seed);
        provision
    });
    consent.provisions = provisions.collect();
    consent
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_record_is_decided_as_the_naive_reading_decides(case in case_of(consent().boxed()), item in item(ALL_CLASSES)) {
        let case = about(case, &item);
        let findings = harness::findings(&case);
        prop_assert!(findings.obligations.is_empty(), "{findings:?}");
        prop_assert_eq!(findings.allows(), reading(&case, &item) == Kept::Permitted, "{:?}", findings);
    }

    #[test]
    fn of_a_list_nothing_is_handed_out_that_the_naive_reading_denies(
        case in case_of(consent().boxed()),
        items in prop::collection::vec(item(ALL_CLASSES), 1..6),
    ) {
        let findings = harness::findings(&about_list(case.clone()));
        for item in &items {
            let permitted = reading(&about(case.clone(), item), item) == Kept::Permitted;
            prop_assert!(permitted || !handed_out(&findings, item), "{item:?} {findings:?}");
        }
    }

    #[test]
    fn of_a_list_exactly_what_a_plain_consent_denies_is_left_out(
        case in case_of(flat_consent().boxed()),
        items in prop::collection::vec(item(CLASSES), 1..6),
    ) {
        // Several consents, of which each has a positive list, can leave out more.
        let mut case = case;
        case.consents.truncate(1);
        let findings = harness::findings(&about_list(case.clone()));
        if findings.allows() {
            for item in &items {
                let permitted = reading(&about(case.clone(), item), item) == Kept::Permitted;
                prop_assert_eq!(permitted, handed_out(&findings, item), "{:?} {:?}", item, findings);
            }
        }
    }

    // From the rule alone: whatever it makes of a record, it makes no less of a list that holds it.
    #[test]
    fn a_list_never_shows_a_record_that_alone_would_be_denied_or_left_out(
        case in case_of(consent().boxed()),
        no_categories in any::<bool>(),
        all_redacted in any::<bool>(),
        items in prop::collection::vec(odd_item(), 1..6),
    ) {
        let mut case = case;
        if !all_redacted {
            case.settings.remove("callers_redact");
        }
        if let (false, Some(consent)) = (no_categories, case.consents.first_mut()) {
            consent.categories = own(vec!["sti_hiv"]);
        }
        let findings = harness::findings(&about_list(case.clone()));
        for item in &items {
            let alone = harness::findings(&about(case.clone(), item));
            let shown = handed_out(&alone, item);
            prop_assert!(shown || !handed_out(&findings, item), "{item:?} alone {alone:?} in a list {findings:?}");
        }
    }

    // With as little known as can be, nothing is handed out that is not with everything known.
    #[test]
    fn an_unlabelled_record_is_never_handed_out_where_one_of_its_labels_is_denied(
        case in case_of(consent().boxed()),
        item in item(ALL_CLASSES),
    ) {
        let mut silent = item.clone();
        silent.labels.clear();
        silent.categories.clear();
        let findings = harness::findings(&about(case.clone(), &silent));
        // A patient's own entry is normal where no label says more.
        if item.class != "Patient" && handed_out(&findings, &silent) {
            prop_assert_eq!(reading(&about(case, &item), &item), Kept::Permitted);
        }
    }

    // An exception may be for labels; beside one another, a label more meets more denies and fewer permits.
    #[test]
    fn a_label_more_never_opens_where_no_exception_is_nested(
        case in case_of(flat_consent().boxed()),
        item in item(ALL_CLASSES),
        label in select(&["HIV", "PSY", "SUD", "V", "XYZ"][..]),
        on_encounter in any::<bool>(),
    ) {
        // The first label of all may be the one that a permit names.
        let mut item = item;
        item.labels.push("STD".to_owned());
        let mut more = item.clone();
        if on_encounter { &mut more.encounter } else { &mut more.labels }.push(label.to_owned());
        let found = harness::findings(&about(case.clone(), &item));
        let found_more = harness::findings(&about(case, &more));
        prop_assert!(found.allows() || !found_more.allows(), "{item:?} {found:?} {found_more:?}");
    }

    #[test]
    fn order_never_matters(case in case_of(consent().boxed()), item in item(ALL_CLASSES), list in any::<bool>(), seed in any::<u64>()) {
        let case = if list { about_list(case) } else { about(case, &item) };
        let rule = case.rule::<ConsentDirective>();
        let mut consents: Vec<_> =
            case.consents.iter().enumerate().map(|(at, given)| shuffled(given.consent(at), seed)).collect();
        shuffle(&mut consents, seed);
        let turned = consents.into_iter().fold(case.bare(), |request, consent| request.consent(consent));
        prop_assert_eq!(
            format!("{:?}", case.request().evaluate(&rule).unwrap()),
            format!("{:?}", turned.evaluate(&rule).unwrap())
        );
    }

    #[test]
    fn one_more_consent_never_opens_what_another_keeps_back(
        case in case_of(consent().boxed()),
        one in consent(),
        more in consent(),
        item in item(ALL_CLASSES),
    ) {
        // Without any, the organization's setting holds, which a consent may well open.
        let mut case = about(case, &item);
        case.consents.push(one);
        let mut with = case.clone();
        with.consents.push(more);
        prop_assert!(!harness::findings(&with).allows() || harness::findings(&case).allows());
    }

    #[test]
    fn an_objection_always_denies(case in case_of(consent().boxed()), given in consent(), list in any::<bool>(), item in item(ALL_CLASSES)) {
        let mut case = if list { about_list(case) } else { about(case, &item) };
        case.consents.push(Given { unsupported: vec!["provision".to_owned()], ..given });
        prop_assert!(!harness::findings(&case).allows());
    }

    #[test]
    fn a_purpose_that_is_not_stated_never_opens_more_than_each_that_could_be(
        case in case_of(consent().boxed()),
        item in item(ALL_CLASSES),
    ) {
        let case = about(case, &item);
        let mut silent = case.clone();
        silent.purpose = None;
        if harness::findings(&silent).allows() {
            for purpose in PURPOSES {
                let stated = Case { purpose: Some((*purpose).to_owned()), ..case.clone() };
                prop_assert!(harness::findings(&stated).allows(), "{purpose}");
            }
        }
    }

    // What a host would refuse: two parameters of a name, too many findings, texts without end.
    #[test]
    fn findings_are_of_a_shape_that_a_host_accepts(case in case_of(consent().boxed()), item in item(ALL_CLASSES), list in any::<bool>()) {
        let case = if list { about_list(case) } else { about(case, &item) };
        let findings = harness::findings(&case);
        prop_assert!(findings.obligations.len() + findings.denials.len() + findings.reviews.len() <= 64);
        prop_assert!(findings.notes.len() <= 32);
        for obligation in &findings.obligations {
            let names: BTreeSet<_> = obligation.parameters.iter().map(|parameter| &parameter.name).collect();
            prop_assert_eq!(names.len(), obligation.parameters.len());
            prop_assert!(names.len() > 1, "an obligation that leaves out nothing: {:?}", obligation);
        }
    }
}

/// A guest has a small stack, and a patient's tree is as deep as it is.
#[test]
fn a_tree_of_a_thousand_levels_is_decided() {
    for (depth, permitted) in [(1000usize, true), (1001, false)] {
        let consent = Given { base: Some("permit".to_owned()), ..Given::default() };
        let mut consent = consent.consent(0);
        consent.provisions = (0..depth)
            .map(|at| {
                let effect = if at % 2 == 0 { "deny" } else { "permit" };
                let given = GivenProvision { effect: effect.to_owned(), ..GivenProvision::default() };
                given.provision(at.checked_sub(1).map(|parent| u32::try_from(parent).unwrap()))
            })
            .collect();
        let case = Case {
            action: Some("read".to_owned()),
            subject: Some("Practitioner::dr-a".to_owned()),
            resource: Some("Observation::o-1".to_owned()),
            patient: Some("p1".to_owned()),
            settings: [("no_consent".to_owned(), "deny".into())].into(),
            ..Case::default()
        };
        let findings = case.bare().consent(consent).evaluate(&case.rule::<ConsentDirective>()).unwrap();
        assert_eq!(findings.allows(), permitted, "{depth}");
    }
}
