//! The invariants of a decision, each a test of its name, against a naive model.

use assent_model::{Denial, Digest, FailureKind, Findings, Ground, PolicyError, PolicyNote, Review, Value};
use proptest::prelude::*;

use super::*;

fn any_code() -> impl Strategy<Value = ObligationCode> {
    prop_oneof![
        prop::sample::select(ObligationCode::KNOWN.to_vec()),
        "[a-c]".prop_map(ObligationCode::Custom),
    ]
}

fn any_obligation() -> impl Strategy<Value = Obligation> {
    (any_code(), prop::option::of(0_i64..3)).prop_map(|(code, parameter)| match parameter {
        Some(number) => Obligation::new(code).with("n", Value::Integer(number)),
        None => Obligation::new(code),
    })
}

fn any_note(permits: bool) -> impl Strategy<Value = PolicyNote> {
    ("[a-d]", prop::collection::vec(any_obligation(), 0..3), any::<bool>()).prop_map(
        move |(id, obligations, speaks)| PolicyNote {
            id,
            permits,
            intent: None,
            source: None,
            message: speaks.then(|| "no".to_owned()),
            reveals: false,
            obligations,
            advice: vec![],
            remedies: if permits { vec![] } else { vec![Remedy::BreakGlass] },
        },
    )
}

fn any_verdict() -> impl Strategy<Value = Result<Verdict, Unprepared>> {
    let errors = prop::collection::vec(("[a-d]", any::<bool>()), 0..3).prop_map(|errors| {
        let error = |(id, permits)| PolicyError { id, permits, code: "overflow".into(), message: "m".into() };
        errors.into_iter().map(error).collect::<Vec<_>>()
    });
    let notes = |permits| prop::collection::vec(any_note(permits), 1..3);
    (0..5_u8, notes(true), notes(false), errors).prop_map(|(kind, permits, forbids, errors)| {
        // What the policy crate promises: a permit never stands beside a forbid that failed.
        let failed_forbid = errors.iter().any(|error| !error.permits);
        let (effect, determining) = match kind {
            0 => return Err(Unprepared::UnknownSubject),
            1 => (VerdictEffect::Forbidden, forbids),
            2 => (VerdictEffect::NoPolicy, vec![]),
            3 => (VerdictEffect::Indeterminate("a forbid failed".into()), permits),
            _ if failed_forbid => (VerdictEffect::Indeterminate("a forbid failed".into()), permits),
            _ => (VerdictEffect::Permit, permits),
        };
        let permit_satisfied = effect == VerdictEffect::Permit;
        Ok(Verdict { effect, determining, errors, permit_satisfied })
    })
}

fn any_findings() -> impl Strategy<Value = Findings> {
    let denial = ("[A-C][0-9]", any::<bool>()).prop_map(|(code, neutral)| Denial {
        code,
        message: "no".into(),
        ground: Ground::Harm,
        citation: None,
        remedies: vec![Remedy::PaperRequest],
        neutral,
    });
    let review = "[A-C][0-9]".prop_map(|code| Review {
        code,
        question: "?".into(),
        ground: Ground::LawUnsettled,
        citation: None,
        queue: "privacy-office".into(),
    });
    (
        prop::collection::vec(any_obligation(), 0..3),
        prop::collection::vec(denial, 0..2),
        prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(review, 1..2)],
    )
        .prop_map(|(obligations, denials, reviews)| Findings {
            obligations,
            denials,
            reviews,
            ..Findings::default()
        })
}

fn any_result() -> impl Strategy<Value = Result<Findings, PluginFailure>> {
    prop_oneof![
        5 => any_findings().prop_map(Ok),
        1 => prop::sample::select(FailureKind::ALL.to_vec()).prop_map(|kind| Err(PluginFailure::new(kind, "m"))),
    ]
}

fn any_outcomes() -> impl Strategy<Value = Vec<BindingOutcome>> {
    prop::collection::vec(any_result(), 0..4).prop_map(|results| {
        results.into_iter().enumerate().map(|(index, result)| outcome(&format!("b{index}"), result)).collect()
    })
}

fn outcome(binding: &str, result: Result<Findings, PluginFailure>) -> BindingOutcome {
    let digest = Digest::of(binding.as_bytes());
    let plugin = "rule 1.0.0".to_owned();
    BindingOutcome {
        binding: binding.to_owned(),
        plugin,
        component: digest,
        settings: digest,
        result,
        fuel_used: 1,
    }
}

fn any_obligations() -> impl Strategy<Value = Obligations> {
    prop_oneof![
        3 => Just(Obligations::All),
        1 => prop::collection::btree_set(any_code(), 0..30).prop_map(Obligations::Only),
    ]
}

fn any_supported() -> impl Strategy<Value = Option<BTreeSet<String>>> {
    prop_oneof![
        3 => Just(None),
        1 => prop::collection::btree_set(any_code().prop_map(|code| code.as_str().to_owned()), 0..30).prop_map(Some),
        1 => Just(Some(BTreeSet::from(["custom".to_owned()]))),
    ]
}

type World = (Result<Verdict, Unprepared>, Vec<BindingOutcome>, Obligations, Option<BTreeSet<String>>);

fn any_world() -> impl Strategy<Value = World> {
    (any_verdict(), any_outcomes(), any_obligations(), any_supported())
}

fn combined((verdict, outcomes, registered, supported): &World) -> Decision {
    combine(Ingredients {
        verdict: verdict.clone(),
        outcomes: outcomes.clone(),
        registered,
        supported: supported.as_ref(),
    })
}

/// The naive model: the definition of a permit, word by word.
fn model_permits((verdict, outcomes, registered, supported): &World) -> bool {
    let Ok(verdict) = verdict else { return false };
    let mut honoured = true;
    let mut agreed = true;
    for note in &verdict.determining {
        for obligation in &note.obligations {
            honoured &= model_honours(registered, supported.as_ref(), &obligation.code);
        }
    }
    for outcome in outcomes {
        match &outcome.result {
            Err(_) => agreed = false,
            Ok(findings) => {
                agreed &= findings.denials.is_empty() && findings.reviews.is_empty();
                for obligation in &findings.obligations {
                    honoured &= model_honours(registered, supported.as_ref(), &obligation.code);
                }
            }
        }
    }
    verdict.effect == VerdictEffect::Permit && agreed && honoured
}

fn model_honours(
    registered: &Obligations,
    supported: Option<&BTreeSet<String>>,
    code: &ObligationCode,
) -> bool {
    let registered = match registered {
        Obligations::All => true,
        Obligations::Only(codes) => codes.iter().any(|c| c.as_str() == code.as_str()),
    };
    let supported = match supported {
        None => true,
        Some(names) => names.iter().any(|name| name == code.as_str() || name == code.authzen_type()),
    };
    registered && supported
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn permit_is_what_the_definition_says(world in any_world()) {
        prop_assert_eq!(combined(&world).effect() == Effect::Permit, model_permits(&world));
    }

    #[test]
    fn plugins_only_narrow(world in any_world()) {
        let cedar_alone = combined(&(world.0.clone(), vec![], Obligations::All, None));
        if combined(&world).effect() == Effect::Permit {
            prop_assert_eq!(cedar_alone.effect(), Effect::Permit);
        }
    }

    #[test]
    fn one_more_plugin_never_permits_more(world in any_world(), extra in any_result()) {
        let mut more = world.clone();
        more.1.push(outcome("extra", extra));
        if combined(&more).effect() == Effect::Permit {
            prop_assert_eq!(combined(&world).effect(), Effect::Permit);
        }
    }

    #[test]
    fn a_failed_plugin_never_permits(world in any_world(), kind in prop::sample::select(FailureKind::ALL.to_vec())) {
        let mut failing = world.clone();
        failing.1.push(outcome("failing", Err(PluginFailure::new(kind, "m"))));
        let decision = combined(&failing);
        prop_assert_eq!(decision.effect(), Effect::Deny);
        if combined(&world).effect() == Effect::Permit {
            prop_assert_eq!(decision.cause(), Cause::Indeterminate);
            prop_assert_eq!(decision.problems()[0].code, ProblemCode::Plugin);
        }
    }

    #[test]
    fn an_erroring_policy_never_permits(world in any_world()) {
        let decision = combined(&world);
        if let Ok(verdict) = &world.0 && verdict.errors.iter().any(|error| !error.permits) {
            prop_assert_eq!(decision.effect(), Effect::Deny);
        }
    }

    #[test]
    fn order_never_matters(world in any_world(), seed in any::<u64>()) {
        let mut permuted = world.clone();
        shuffle(&mut permuted.1, seed);
        for outcome in &mut permuted.1 {
            if let Ok(findings) = &mut outcome.result {
                shuffle(&mut findings.obligations, seed);
                shuffle(&mut findings.denials, seed);
                shuffle(&mut findings.reviews, seed);
            }
        }
        let bytes = |world| serde_json::to_vec(&combined(world)).unwrap();
        prop_assert_eq!(bytes(&world), bytes(&permuted));
    }

    #[test]
    fn repetition_changes_no_obligation(world in any_world()) {
        let mut doubled = world.clone();
        for outcome in &mut doubled.1 {
            if let Ok(findings) = &mut outcome.result {
                findings.obligations.extend(findings.obligations.clone());
            }
        }
        prop_assert_eq!(combined(&world), combined(&doubled));
    }

    #[test]
    fn only_indeterminate_decisions_name_problems(world in any_world()) {
        let decision = combined(&world);
        prop_assert_eq!(decision.problems().is_empty(), decision.cause() != Cause::Indeterminate);
    }

    #[test]
    fn a_denial_hands_out_nothing_of_a_permit(world in any_world()) {
        let decision = combined(&world);
        if decision.effect() == Effect::Deny {
            prop_assert!(decision.advice().is_empty());
            let released: Vec<_> = decision.obligations().iter().filter(|o| o.code == ObligationCode::Watermark).collect();
            prop_assert!(released.is_empty());
        }
    }

    #[test]
    fn an_unrecorded_decision_is_denied(world in any_world()) {
        let decision = combined(&world).unrecorded("disk full");
        prop_assert_eq!(decision.cause(), Cause::Indeterminate);
        prop_assert!(decision.problems().iter().any(|problem| problem.code == ProblemCode::Record));
    }
}

/// A deterministic permutation.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for index in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        items.swap(index, (state >> 33) as usize % (index + 1));
    }
}
