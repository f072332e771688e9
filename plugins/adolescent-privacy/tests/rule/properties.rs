//! Properties of the decision table over arbitrary input.

use assent_adolescent_privacy::decide::{Decision, Effect, decide};
use assent_adolescent_privacy::input::{
    ConfidentialBasis, Decided, Flags, Function, Input, Kind, MinorConsented, Organization, Patient, Posture,
    Requested, Resource, Subject, SubjectKind, TeenGrant, TestResult,
};
use assent_adolescent_privacy::rules::Outcome;
use assent_law::minor_consent::Day;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const STATES: &[&str] =
    &["", "AL", "CA", "IA", "ID", "MD", "MO", "NE", "NV", "NY", "OH", "PA", "PR", "TX", "VA", "WA"];
const CATEGORIES: &[&str] = &[
    "general",
    "outpatient_mental_health",
    "substance_use",
    "sti_hiv",
    "hiv",
    "contraception",
    "prenatal",
    "abortion",
];
const TODAY: Day = Day { year: 2026, month: 11, day: 21 };

fn subject() -> impl Strategy<Value = Subject<'static>> {
    let relationship = select(vec!["parent", "guardian", "grandparent", ""]);
    let authorized = subsequence(CATEGORIES, 0..=CATEGORIES.len());
    (
        select(vec![Some(SubjectKind::Own), Some(SubjectKind::Proxy), Some(SubjectKind::Proxy), None]),
        relationship,
        prop::bool::weighted(0.9),
        any::<bool>(),
        prop::bool::weighted(0.1),
        any::<bool>(),
        authorized,
    )
        .prop_map(|(kind, relationship, verified, proofed, ended, delegated, adult_authorization)| {
            Subject {
                kind,
                relationship,
                relationship_verified: verified,
                identity_proofed: proofed,
                proxy_expired: ended,
                proxy_revoked: false,
                delegation_by_parent: delegated,
                adult_authorization,
            }
        })
}

fn patient() -> impl Strategy<Value = Patient<'static>> {
    let grants = vec![TeenGrant::None, TeenGrant::Messages, TeenGrant::Standard, TeenGrant::Full];
    (
        prop::option::weighted(0.95, 0u32..25),
        select(STATES),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        select(grants),
        prop::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(
            |(age, state, emancipated, status_minor, diminished_capacity, teen_grant, asked, part2)| {
                Patient {
                    age,
                    state,
                    emancipated,
                    status_minor,
                    diminished_capacity,
                    teen_grant,
                    teen_requests_representative: asked,
                    teen_consents_part2_disclosure: part2,
                }
            },
        )
}

fn resource() -> impl Strategy<Value = Resource<'static>> {
    let functions = vec![
        Function::Clinical,
        Function::Clinical,
        Function::Messaging,
        Function::Scheduling,
        Function::Billing,
        Function::ProxyAdmin,
    ];
    let basis = vec![
        None,
        Some(ConfidentialBasis::Harm),
        Some(ConfidentialBasis::Psychotherapy),
        Some(ConfidentialBasis::MinorConsent),
    ];
    let consented = vec![MinorConsented::Yes, MinorConsented::No, MinorConsented::Unknown];
    let results = vec![None, Some(TestResult::Positive), Some(TestResult::Negative)];
    let rare = || prop::bool::weighted(0.15);
    (
        subsequence(CATEGORIES, 1..=CATEGORIES.len()),
        select(vec![Kind::Item, Kind::List]),
        select(functions),
        select(STATES),
        select(consented),
        (rare(), rare(), rare(), rare(), rare(), rare(), rare(), rare()),
        select(basis),
        select(results),
        prop::option::of(0i64..12),
        any::<bool>(),
    )
        .prop_map(
            |(categories, kind, function, state, consented, flags, basis, result, sessions, medication)| {
                Resource {
                    categories: categories
                        .into_iter()
                        .map(|code| Requested { code, implied: false })
                        .collect(),
                    kind,
                    function,
                    service_state: state,
                    service_date: None,
                    minor_consented: consented,
                    alternative_lawful_consent: flags.0,
                    confidentiality_agreement: flags.1,
                    part2: flags.2,
                    confidential_note: flags.3,
                    confidential_basis: basis,
                    teen_authored: flags.4,
                    statutory_exception: flags.5,
                    harm_statement: flags.6 || flags.7,
                    harm_item: flags.7,
                    sessions,
                    days: None,
                    medication,
                    test_result: result,
                }
            },
        )
}

fn flags() -> impl Strategy<Value = Flags<'static>> {
    let rare = || prop::bool::weighted(0.05);
    let decision = (select(CATEGORIES), any::<bool>());
    let decisions =
        prop::collection::vec(decision.prop_map(|(category, disclose)| Decided { category, disclose }), 0..3);
    (rare(), rare(), rare(), rare(), decisions).prop_map(|(court, rights, danger, harm, decisions)| Flags {
        court_order_no_access: court,
        rights_terminated: rights,
        endangerment: danger,
        patient_harm: harm,
        decisions,
    })
}

fn organization() -> impl Strategy<Value = Organization> {
    (any::<bool>(), any::<bool>()).prop_map(|(limited, trust)| Organization {
        posture: if limited { Posture::Limited } else { Posture::CategoryScoped },
        trust_low_confidence_rows: trust,
        ..Organization::default()
    })
}

fn parts()
-> impl Strategy<Value = (Subject<'static>, Patient<'static>, Resource<'static>, Flags<'static>, Organization)>
{
    (subject(), patient(), resource(), flags(), organization())
}

fn sorted_codes<'a>(decision: &Decision<'a>) -> Vec<&'a str> {
    let mut codes = codes(decision);
    codes.sort_unstable();
    codes
}

fn codes<'a>(decision: &Decision<'a>) -> Vec<&'a str> {
    decision.masked.iter().map(|judged| judged.category.code).collect()
}

/// Whether everything that the second decision hands out, the first one does, too.
fn narrows(input: &Input<'_>, wide: &Decision<'_>, narrow: &Decision<'_>) -> bool {
    let handed_out = |decision: &Decision<'_>, code: &str| match decision.effect {
        Effect::Permit => true,
        Effect::PermitWithMask => !codes(decision).contains(&code),
        Effect::Deny => false,
    };
    input
        .resource
        .categories
        .iter()
        .all(|asked| handed_out(wide, asked.code) || !handed_out(narrow, asked.code))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn masks_are_of_what_was_asked((subject, patient, resource, flags, organization) in parts()) {
        let input =
            Input { subject, patient, resource, flags, organization: &organization, today: Some(TODAY) };
        let decision = decide(&input);
        let asked: Vec<_> = input.resource.categories.iter().map(|asked| asked.code).collect();
        prop_assert!(codes(&decision).iter().all(|code| asked.contains(code)));
        // An effect and its rule tell the same story.
        match decision.effect {
            Effect::Permit => {
                prop_assert!(decision.masked.is_empty());
                prop_assert_eq!(decision.rule.outcome(), Outcome::Permit);
            }
            Effect::PermitWithMask => {
                prop_assert!(input.resource.kind == Kind::List && !decision.masked.is_empty());
                prop_assert_eq!(decision.rule.outcome(), Outcome::Mask);
            }
            Effect::Deny => prop_assert_ne!(decision.rule.outcome(), Outcome::Permit),
        }
        let unknown = input.patient.age.is_none() || input.subject.kind.is_none();
        prop_assert!(!unknown || decision.effect == Effect::Deny);
    }

    #[test]
    fn protective_facts_only_narrow((subject, patient, resource, flags, organization) in parts(), which in 0..9) {
        let input =
            Input { subject, patient, resource, flags, organization: &organization, today: Some(TODAY) };
        let mut protected = input.clone();
        match which {
            0 => protected.flags.court_order_no_access = true,
            1 => protected.flags.rights_terminated = true,
            2 => protected.flags.endangerment = true,
            // With the minor's written consent, the mark of Part 2 says what the consent opens.
            3 => protected.resource.part2 = !input.patient.teen_consents_part2_disclosure || input.resource.part2,
            4 => protected.resource.confidentiality_agreement = true,
            5 => protected.resource.harm_item = true,
            6 => protected.resource.teen_authored = true,
            7 => protected.resource.alternative_lawful_consent = true,
            _ => protected.resource.confidential_note = true,
        }
        prop_assert!(narrows(&input, &decide(&input), &decide(&protected)), "{:?}", protected);
    }

    #[test]
    fn an_item_hands_out_no_more_than_the_same_as_a_list((subject, patient, resource, flags, organization) in parts()) {
        let mut input =
            Input { subject, patient, resource, flags, organization: &organization, today: Some(TODAY) };
        input.resource.kind = Kind::List;
        let list = decide(&input);
        let mut item = input.clone();
        item.resource.kind = Kind::Item;
        prop_assert!(narrows(&input, &list, &decide(&item)));
    }

    #[test]
    fn the_order_of_the_categories_does_not_matter((subject, patient, resource, flags, organization) in parts()) {
        let input =
            Input { subject, patient, resource, flags, organization: &organization, today: Some(TODAY) };
        let mut turned = input.clone();
        turned.resource.categories.reverse();
        let (one, other) = (decide(&input), decide(&turned));
        prop_assert_eq!(one.effect, other.effect);
        prop_assert_eq!(one.duties, other.duties);
        prop_assert_eq!(sorted_codes(&one), sorted_codes(&other));
    }
}
