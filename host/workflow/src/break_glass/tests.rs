//! Every sequence of ends and reviews, against what an emergency is said to be.

use proptest::prelude::*;

use super::*;
use crate::Group;
use crate::exploration::{
    Spoil, Taken, Tried, assert_garbage_is_refused, assert_prints_nothing, assert_reads_back, at, explore,
};
use crate::schema;

/// Lasts 10; to be reviewed by 15, escalated from 20 on.
const LASTS: i64 = 10;
const DUE: i64 = 15;
const ESCALATES: i64 = 20;

fn settings() -> Settings {
    Settings {
        reasons: vec!["medical-emergency".into(), "disaster".into()],
        justification_min: 10,
        lasts_ms: 10,
        review_within_ms: 15,
        escalate_after_ms: 5,
    }
}

fn person(name: &str) -> EntityId {
    EntityId::new(PRACTITIONER, format!("{name}-secret"))
}

fn declaration() -> Declaration {
    Declaration {
        practitioner: person("doc"),
        patient: EntityId::new(PATIENT, "pat-secret"),
        reason: "medical-emergency".into(),
        justification: "unconscious secret".into(),
    }
}

fn declared() -> Emergency {
    Emergency::declare("e-1", declaration(), &settings(), at(0)).unwrap().to
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    End(&'static str),
    Review(&'static str, Outcome, bool),
}

const INPUTS: [Input; 9] = [
    Input::End("doc"),
    Input::End("bob"),
    Input::Review("doc", Outcome::Justified, true),
    Input::Review("bob", Outcome::Justified, false),
    Input::Review("bob", Outcome::Justified, true),
    Input::Review("bob", Outcome::Unjustified, true),
    Input::Review("bob", Outcome::Unjustified, false),
    Input::Review("bob", Outcome::Unclear, true),
    Input::Review("bob", Outcome::Unclear, false),
];

fn take(emergency: &Emergency, input: &Input, now: Instant) -> Result<Step<Emergency>, Refused> {
    match *input {
        Input::End(who) => emergency.end(person(who), now),
        Input::Review(who, outcome, comments) => {
            let comment = comments.then(|| "words-secret".to_owned());
            emergency.review(Finding { by: person(who), outcome, comment }, now)
        }
    }
}

fn latest(taken: &[Taken<Input>], now: i64) -> i64 {
    taken.iter().map(|(_, at)| *at).fold(now.max(0), i64::max)
}

fn status_of(taken: &[Taken<Input>], now: i64) -> Status {
    let ends = |position: usize| {
        let (input, at) = taken[position];
        let in_time = latest(&taken[..position], at) < LASTS;
        in_time && matches!(input, Input::End(_) | Input::Review(_, Outcome::Unjustified, _))
    };
    if (0..taken.len()).any(ends) {
        Status::Ended
    } else if latest(taken, now) < LASTS {
        Status::Active
    } else {
        Status::Expired
    }
}

fn is_reviewed(taken: &[Taken<Input>]) -> bool {
    taken.iter().any(|(input, _)| matches!(input, Input::Review(..)))
}

fn review_of(taken: &[Taken<Input>], now: i64) -> ReviewState {
    match latest(taken, now) {
        _ if is_reviewed(taken) => ReviewState::Closed,
        ..DUE => ReviewState::Open,
        DUE..ESCALATES => ReviewState::Overdue,
        ESCALATES.. => ReviewState::Escalated,
    }
}

fn may(taken: &[Taken<Input>], input: Input, now: i64) -> bool {
    match input {
        Input::End(_) => status_of(taken, now) == Status::Active,
        Input::Review(who, outcome, comments) => {
            !is_reviewed(taken) && who != "doc" && (comments || outcome == Outcome::Justified)
        }
    }
}

/// What holds of any emergency, whatever happened to it.
fn assert_is_lawful(emergency: &Emergency, now: i64) {
    if let Some(review) = emergency.reviewed() {
        assert_ne!(review.by, *emergency.practitioner(), "whoever declared it reviewed it");
        assert!(review.outcome == Outcome::Justified || review.comment.is_some());
    }
    let status = emergency.status(at(now));
    assert!(status != Status::Active || (now < LASTS && emergency.ended().is_none()), "it goes on");
    match emergency.entity() {
        None => assert!(emergency.ended().is_some(), "only what was ended is gone"),
        Some(entity) => {
            schema::assert_fits(&entity);
            let end: Instant = entity["attrs"]["end"]["__extn"]["arg"].as_str().unwrap().parse().unwrap();
            assert_eq!(end, at(LASTS));
            assert!(status != Status::Ended);
        }
    }
}

#[test]
fn every_sequence_of_steps_is_what_an_emergency_is_said_to_be() {
    let times = [-1, 0, 5, 9, 10, 14, 15, 19, 20];
    let reach = |emergency: &Emergency, before: &[Taken<Input>]| {
        for now in times {
            assert_eq!(emergency.status(at(now)), status_of(before, now), "{before:?} at {now}");
            assert_eq!(emergency.review_state(at(now)), review_of(before, now), "{before:?} at {now}");
            assert_is_lawful(emergency, now);
        }
    };
    let check = |tried: &Tried<'_, Emergency, Input>| {
        let (before, now) = (tried.before, tried.now);
        let expected = may(before, *tried.input, now);
        assert_eq!(tried.result.is_ok(), expected, "{before:?} {:?} at {now}", tried.input);
        let Ok(step) = tried.result else { return };
        let reviews = matches!(tried.input, Input::Review(..));
        assert_eq!(step.verb, if reviews { Verb::Reviewed } else { Verb::Ended });
        let was = tried.from.status(at(now));
        assert!(was == Status::Active || step.to.status(at(now)) == was, "{was:?} is no end");
    };
    let (tried, reached) = explore(&declared(), &INPUTS, &times, 4, take, &reach, &check);
    assert!(tried > 5_000 && reached > 50, "hardly anything was tried: {tried}, {reached}");
}

#[test]
fn settings_that_make_no_sense_say_which_it_is() {
    let wrong: &[Spoil<Settings>] = &[
        ("reasons", |it| it.reasons.clear()),
        ("reasons", |it| it.reasons.push("disaster".into())),
        ("justificationMin", |it| it.justification_min = 0),
        ("justificationMin", |it| it.justification_min = 4_001),
        ("lastsMs", |it| it.lasts_ms = 0),
        ("lastsMs", |it| it.lasts_ms = 7 * 86_400_000 + 1),
        ("reviewWithinMs", |it| it.review_within_ms = 0),
        ("reviewWithinMs", |it| it.review_within_ms = 60 * 86_400_000 + 1),
        ("escalateAfterMs", |it| it.escalate_after_ms = 0),
        ("escalateAfterMs", |it| it.escalate_after_ms = 60 * 86_400_000 + 1),
    ];
    for (setting, spoil) in wrong {
        let mut spoilt = settings();
        assert_eq!(spoilt.check(), Ok(()));
        spoil(&mut spoilt);
        assert_eq!(spoilt.check().unwrap_err().setting, *setting);
        assert!(matches!(
            Emergency::declare("e-1", declaration(), &spoilt, at(0)),
            Err(Refused::Settings(_) | Refused::Invalid { .. })
        ));
    }
}

#[test]
fn a_declaration_that_says_too_little_is_refused() {
    let wrong: &[Spoil<Declaration>] = &[
        ("practitioner", |it| it.practitioner = EntityId::new(PATIENT, "x")),
        ("patient", |it| it.patient = EntityId::new(PRACTITIONER, "x")),
        ("reason", |it| it.reason = "curiosity".into()),
        ("justification", |it| it.justification = " ".repeat(20)),
    ];
    for (field, spoil) in wrong {
        let mut spoilt = declaration();
        spoil(&mut spoilt);
        let refused = Emergency::declare("e-1", spoilt, &settings(), at(0)).unwrap_err();
        assert!(matches!(refused, Refused::Invalid { field: is, .. } if is == *field), "{field}: {refused}");
    }
    let with = |justification: &str| {
        let declaration = Declaration { justification: justification.into(), ..declaration() };
        Emergency::declare("e-1", declaration, &settings(), at(0)).map(|_| ())
    };
    // Characters and not bytes; spaces around them say nothing.
    assert_eq!(with("übel gefal"), Ok(()));
    let refused = with("  übel gefa  ").unwrap_err();
    assert_eq!((refused.code(), refused.group()), ("justification-short", Group::Invalid));
    assert!(Emergency::declare("", declaration(), &settings(), at(0)).is_err());
}

#[test]
fn refusals_say_whether_it_is_the_person_or_the_state() {
    let refused = |from: &Emergency, input: Input, now: i64| {
        let refused = take(from, &input, at(now)).unwrap_err();
        (refused.code(), refused.group())
    };
    let justified = Input::Review("bob", Outcome::Justified, false);
    let own = Input::Review("doc", Outcome::Justified, true);
    let silent = Input::Review("bob", Outcome::Unclear, false);
    assert_eq!(refused(&declared(), own, 1), ("own-emergency", Group::Forbidden));
    assert_eq!(refused(&declared(), silent, 1), ("invalid", Group::Invalid));
    assert_eq!(refused(&declared(), Input::End("doc"), LASTS), ("wrong-state", Group::Conflict));
    let reviewed = take(&declared(), &justified, at(1)).unwrap().to;
    assert_eq!(refused(&reviewed, justified, 2), ("reviewed-already", Group::Conflict));
    assert_eq!(reviewed.status(at(2)), Status::Active, "a justified emergency goes on");
}

#[test]
fn the_entity_is_written_as_entity_files_take_it() {
    let expected = json!({
        "uid": {"type": "EmergencyAccess", "id": "e-1"},
        "attrs": {
            "practitioner": {"__entity": {"type": "Practitioner", "id": "doc-secret"}},
            "patient": {"__entity": {"type": "Patient", "id": "pat-secret"}},
            "reason": "medical-emergency",
            "start": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00Z"}},
            "end": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.010Z"}},
        },
        "parents": [],
    });
    assert_eq!(declared().entity(), Some(expected));
    assert_eq!(declared().patient(), Some(&EntityId::new(PATIENT, "pat-secret")));
    let unjustified = Input::Review("bob", Outcome::Unjustified, true);
    assert_eq!(take(&declared(), &unjustified, at(1)).unwrap().to.entity(), None);
    assert_eq!(take(&declared(), &Input::End("doc"), at(1)).unwrap().to.entity(), None);
}

#[test]
fn garbage_is_not_read() {
    let ended = take(&declared(), &Input::End("doc"), at(5)).unwrap().to;
    let full = take(&ended, &Input::Review("bob", Outcome::Unclear, true), at(30)).unwrap().to;
    assert_garbage_is_refused(&full, &["ended", "review"]);
    let whole = serde_json::to_value(&full).unwrap();
    let forged: &[Spoil<Value>] = &[
        ("reviewed by whoever declared it", |it| it["review"]["by"] = it["practitioner"].clone()),
        ("reviewed without words", |it| it["review"]["comment"] = Value::Null),
        ("ended after its time", |it| it["ended"]["at"] = json!("1970-01-01T00:00:00.010Z")),
        ("ended before it was declared", |it| it["ended"]["at"] = json!("1969-12-31T23:59:59Z")),
        ("unjustified and went on", |it| {
            it["review"]["outcome"] = json!("unjustified");
            it["review"]["at"] = json!("1970-01-01T00:00:00.004Z");
        }),
        ("longer than any", |it| it["terms"]["lastsMs"] = json!(8 * 86_400_000_u64)),
    ];
    for (what, forge) in forged {
        let mut document = whole.clone();
        forge(&mut document);
        assert!(serde_json::from_value::<Emergency>(document).is_err(), "{what}");
    }
}

#[test]
fn debug_prints_no_words_and_no_person() {
    let ended = take(&declared(), &Input::End("doc"), at(5)).unwrap().to;
    let full = take(&ended, &Input::Review("bob", Outcome::Unclear, true), at(30)).unwrap().to;
    let finding = Finding { by: person("bob"), outcome: Outcome::Unclear, comment: Some("secret".into()) };
    assert_prints_nothing(&[&full, &declaration(), &finding, &full.ended(), &full.reviewed()]);
}

proptest! {
    #[test]
    fn whenever_things_happen_an_emergency_ends_and_is_reviewed_by_another(
        steps in proptest::collection::vec((proptest::sample::select(INPUTS.to_vec()), -5..30_i64), 0..8),
        later in proptest::collection::vec(-5..60_i64, 4),
    ) {
        let mut emergency = declared();
        let mut taken = vec![];
        for (input, now) in steps {
            let expected = may(&taken, input, now);
            let result = take(&emergency, &input, at(now));
            prop_assert_eq!(result.is_ok(), expected);
            if let Ok(step) = result {
                emergency = step.to;
                taken.push((input, now));
            }
            assert_is_lawful(&emergency, now);
            assert_reads_back(&emergency);
        }
        for now in later {
            assert_is_lawful(&emergency, now);
            prop_assert_eq!(emergency.status(at(now)), status_of(&taken, now));
            prop_assert_eq!(emergency.review_state(at(now)), review_of(&taken, now));
        }
    }

    #[test]
    fn its_ends_are_exclusive_to_the_millisecond(
        declared_at in -62_000_000_000_000..253_000_000_000_000_i64,
        lasts in 1..604_800_000_u64,
        within in 1..5_184_000_000_u64,
        after in 1..5_184_000_000_u64,
    ) {
        let settings = Settings {
            lasts_ms: lasts, review_within_ms: within, escalate_after_ms: after, ..settings()
        };
        let emergency = Emergency::declare("e-1", declaration(), &settings, at(declared_at)).unwrap().to;
        let after_ms = |ms: u64| declared_at + i64::try_from(ms).unwrap();
        let end = after_ms(lasts);
        prop_assert_eq!(emergency.status(at(end - 1)), Status::Active);
        prop_assert_eq!(emergency.status(at(end)), Status::Expired);
        prop_assert!(emergency.end(person("doc"), at(end)).is_err());
        prop_assert!(emergency.end(person("doc"), at(end - 1)).is_ok());
        let (due, escalates) = (after_ms(within), after_ms(within + after));
        prop_assert_eq!(emergency.review_state(at(due - 1)), ReviewState::Open);
        prop_assert_eq!(emergency.review_state(at(due)), ReviewState::Overdue);
        prop_assert_eq!(emergency.review_state(at(escalates - 1)), ReviewState::Overdue);
        prop_assert_eq!(emergency.review_state(at(escalates)), ReviewState::Escalated);
        assert_reads_back(&emergency);
    }
}
