//! Every sequence of proposals and confirmations, against what a hold is said to be.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Group;
use crate::exploration::{
    Spoil, Taken, Tried, assert_garbage_is_refused, assert_prints_nothing, assert_reads_back, at, explore,
};

fn person(name: &str) -> EntityId {
    EntityId::new(PRACTITIONER, format!("{name}-secret"))
}

fn placed() -> Hold {
    let target = Target::Entity(EntityId::new(PATIENT, "pat-secret"));
    Hold::place("h-1", target, "why-secret".into(), person("ann"), at(0)).unwrap().to
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Propose(&'static str),
    TakeBack,
    Confirm(&'static str),
}

/// Ann placed it.
const INPUTS: [Input; 7] = [
    Input::Propose("ann"),
    Input::Propose("bob"),
    Input::Propose("cy"),
    Input::TakeBack,
    Input::Confirm("ann"),
    Input::Confirm("bob"),
    Input::Confirm("cy"),
];

fn take(hold: &Hold, input: &Input, now: Instant) -> Result<Step<Hold>, Refused> {
    match *input {
        Input::Propose(who) => hold.propose_release(person(who), "words-secret".into(), now),
        Input::TakeBack => hold.take_back(),
        Input::Confirm(who) => hold.confirm_release(person(who), now),
    }
}

/// Who proposes a release now, by the last thing that happened.
fn proposer(taken: &[Taken<Input>]) -> Option<&'static str> {
    match taken.last() {
        Some((Input::Propose(who), _)) => Some(who),
        _ => None,
    }
}

fn is_released(taken: &[Taken<Input>]) -> bool {
    taken.iter().any(|(input, _)| matches!(input, Input::Confirm(_)))
}

fn may(taken: &[Taken<Input>], input: Input) -> bool {
    let proposer = proposer(taken);
    !is_released(taken)
        && match input {
            Input::Propose(_) => proposer.is_none(),
            Input::TakeBack => proposer.is_some(),
            Input::Confirm(who) => proposer.is_some_and(|proposer| proposer != who),
        }
}

fn status_of(taken: &[Taken<Input>]) -> Status {
    match (is_released(taken), proposer(taken)) {
        (true, _) => Status::Released,
        (false, Some(_)) => Status::ReleaseProposed,
        (false, None) => Status::Active,
    }
}

fn assert_is_lawful(hold: &Hold) {
    if !hold.holds() {
        let (proposal, release) = (hold.proposal().unwrap(), hold.release().unwrap());
        assert_ne!(proposal.by, release.by, "one person released it");
        assert!(hold.placed_at() <= proposal.at && proposal.at <= release.at);
    }
}

#[test]
fn every_sequence_of_steps_is_what_a_hold_is_said_to_be() {
    let reach = |hold: &Hold, before: &[Taken<Input>]| {
        assert_eq!(hold.status(), status_of(before), "{before:?}");
        assert_eq!(hold.holds(), !is_released(before));
        assert_is_lawful(hold);
    };
    let check = |tried: &Tried<'_, Hold, Input>| {
        let expected = may(tried.before, *tried.input);
        assert_eq!(tried.result.is_ok(), expected, "{:?} {:?}", tried.before, tried.input);
        let Ok(step) = tried.result else { return };
        assert!(tried.from.holds(), "what was released went on");
        assert_eq!(step.verb, if step.to.holds() { Verb::Updated } else { Verb::Ended });
    };
    let (tried, reached) = explore(&placed(), &INPUTS, &[-1, 0, 1, 5], 7, take, &reach, &check);
    assert!(tried > 500 && reached > 20, "hardly anything was tried: {tried}, {reached}");
}

#[test]
fn whoever_placed_it_may_be_one_of_the_two() {
    for (first, second) in [("ann", "bob"), ("bob", "ann"), ("bob", "cy")] {
        let proposed = take(&placed(), &Input::Propose(first), at(1)).unwrap().to;
        assert!(proposed.holds());
        let refused = take(&proposed, &Input::Confirm(first), at(2)).unwrap_err();
        assert_eq!((refused.code(), refused.group()), ("same-person", Group::Forbidden));
        assert!(!take(&proposed, &Input::Confirm(second), at(2)).unwrap().to.holds());
    }
}

#[test]
fn only_what_can_be_held_is_held() {
    let place = |target: Target| Hold::place("h-1", target, "why".into(), person("ann"), at(0));
    for kind in ENTITY_TYPES {
        let target = Target::Entity(EntityId::new(kind, "x"));
        let hold = place(target.clone()).unwrap().to;
        assert_eq!(*hold.target(), target);
        assert_eq!(hold.patient().is_some(), kind == PATIENT);
    }
    for target in [Target::Caller("ehr".into()), Target::Plugin("exports".into()), Target::Organization] {
        let hold = place(target).unwrap().to;
        assert!(hold.patient().is_none() && hold.entity().is_none());
        assert_reads_back(&hold);
    }
    let wrong = [
        Target::Entity(EntityId::new("Encounter", "e")),
        Target::Entity(EntityId::new(PATIENT, "")),
        Target::Caller(String::new()),
        Target::Plugin("a\n".into()),
    ];
    for target in wrong {
        let refused = place(target.clone()).unwrap_err();
        assert!(matches!(refused, Refused::Invalid { field: "target", .. }), "{target:?}");
    }
    let target = || Target::Organization;
    assert!(Hold::place("", target(), "why".into(), person("ann"), at(0)).is_err());
    assert!(Hold::place("h-1", target(), " ".into(), person("ann"), at(0)).is_err());
    assert!(Hold::place("h-1", target(), "why".into(), EntityId::new("", "x"), at(0)).is_err());
    assert!(placed().propose_release(person("ann"), String::new(), at(1)).is_err());
}

/// The base schema gives each of these types the attribute, and no other type has it.
#[test]
fn the_types_that_can_be_held_are_those_with_the_attribute() {
    let schema = include_str!("../../../../policies/base/health.cedarschema");
    let mut with_attribute = vec![];
    let mut entity = "";
    for line in schema.lines() {
        if let Some(rest) = line.strip_prefix("entity ") {
            entity = rest.split_whitespace().next().unwrap();
        }
        if line.trim() == "quarantined?: Bool," {
            with_attribute.push(entity);
        }
    }
    with_attribute.sort_unstable();
    assert_eq!(with_attribute, ENTITY_TYPES);
}

#[test]
fn garbage_is_not_read() {
    let proposed = take(&placed(), &Input::Propose("bob"), at(1)).unwrap().to;
    let released = take(&proposed, &Input::Confirm("ann"), at(2)).unwrap().to;
    assert_garbage_is_refused(&proposed, &["proposal"]);
    assert_garbage_is_refused(&released, &["release"]);
    let whole = serde_json::to_value(&released).unwrap();
    let forged: &[Spoil<Value>] = &[
        ("released by one person", |it| it["release"]["by"] = it["proposal"]["by"].clone()),
        ("released before it was proposed", |it| it["release"]["at"] = it["placedAt"].clone()),
        ("proposed before it was placed", |it| it["proposal"]["at"] = json!("1969-12-31T23:59:59Z")),
        ("released without proposal", |it| it["proposal"] = Value::Null),
        ("of nothing", |it| it["target"] = json!("nothing")),
        ("of two", |it| it["target"] = json!({"caller": "a", "plugin": "b"})),
        ("of what cannot be held", |it| it["target"]["entity"]["type"] = json!("Encounter")),
    ];
    for (what, forge) in forged {
        let mut document = whole.clone();
        forge(&mut document);
        assert!(serde_json::from_value::<Hold>(document).is_err(), "{what}");
    }
}

#[test]
fn debug_prints_no_words_and_no_person() {
    let proposed = take(&placed(), &Input::Propose("bob"), at(1)).unwrap().to;
    let released = take(&proposed, &Input::Confirm("ann"), at(2)).unwrap().to;
    let caller = Target::Caller("secret".into());
    assert_prints_nothing(&[
        &released,
        released.target(),
        &released.proposal(),
        &released.release(),
        &caller,
    ]);
}

proptest! {
    #[test]
    fn nothing_is_released_by_one_person(
        steps in proptest::collection::vec((proptest::sample::select(INPUTS.to_vec()), any::<i32>()), 0..20),
    ) {
        let mut hold = placed();
        let mut taken = vec![];
        for (input, now) in steps {
            let now = i64::from(now);
            let before = hold.clone();
            if let Ok(step) = take(&hold, &input, at(now)) {
                prop_assert!(before.holds(), "what was released went on");
                prop_assert!(may(&taken, input));
                hold = step.to;
                taken.push((input, now));
            } else {
                prop_assert!(!may(&taken, input));
            }
            prop_assert_eq!(hold.status(), status_of(&taken));
            assert_is_lawful(&hold);
            assert_reads_back(&hold);
        }
    }
}
