//! Every sequence of withdrawals, against what a decision is said to be; and its limits.

use proptest::prelude::*;

use super::*;
use crate::Group;
use crate::exploration::{
    Spoil, Taken, Tried, assert_garbage_is_refused, assert_prints_nothing, assert_reads_back, at, explore,
};
use crate::schema;

/// What the settings allow to a decision to disclose.
const MOST: i64 = 100;

fn settings() -> Settings {
    Settings { expires_within_ms: MOST.unsigned_abs(), withdrawing_roles: vec!["director".into()] }
}

fn person(name: &str) -> EntityId {
    EntityId::new(PRACTITIONER, format!("{name}-secret"))
}

fn statement(disclosure: Disclosure, expires_at: Option<i64>) -> Statement {
    Statement {
        patient: EntityId::new(PATIENT, "pat-secret"),
        category: "outpatient_mental_health".into(),
        service: Some("counseling".into()),
        recipient: Some(EntityId::new(RELATED_PERSON, "mother-secret")),
        disclosure,
        author: person("doc"),
        licence: "TX-secret".into(),
        reason: "why-secret".into(),
        expires_at: expires_at.map(at),
    }
}

fn make(disclosure: Disclosure, expires_at: Option<i64>) -> Result<Decision, Refused> {
    Decision::make("d-1", statement(disclosure, expires_at), &settings(), at(0)).map(|step| step.to)
}

/// Who withdraws it: its author, somebody in the role, somebody in another, without the roles in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Withdraw(&'static str, bool);

const INPUTS: [Withdraw; 5] = [
    Withdraw("doc", true),
    Withdraw("doc", false),
    Withdraw("director", true),
    Withdraw("director", false),
    Withdraw("nurse", true),
];

fn take(
    decision: &Decision,
    Withdraw(who, by_role): &Withdraw,
    now: Instant,
) -> Result<Step<Decision>, Refused> {
    let mut settings = settings();
    if !by_role {
        settings.withdrawing_roles.clear();
    }
    decision.withdraw(person(who), &BTreeSet::from([(*who).to_owned()]), &settings, now)
}

fn status_of(end: Option<i64>, taken: &[Taken<Withdraw>], now: i64) -> Status {
    match end {
        _ if !taken.is_empty() => Status::Withdrawn,
        Some(end) if now >= end => Status::Expired,
        _ => Status::Active,
    }
}

fn may(end: Option<i64>, taken: &[Taken<Withdraw>], input: Withdraw, now: i64) -> bool {
    let person_may =
        [Withdraw("doc", true), Withdraw("doc", false), Withdraw("director", true)].contains(&input);
    person_may && status_of(end, taken, now) == Status::Active
}

#[test]
fn every_sequence_of_steps_is_what_a_decision_is_said_to_be() {
    for (disclosure, given, end) in [
        (Disclosure::Disclose, None, Some(MOST)),
        (Disclosure::Disclose, Some(7), Some(7)),
        (Disclosure::Withhold, None, None),
        (Disclosure::Withhold, Some(7), Some(7)),
        (Disclosure::Withhold, Some(MOST + 1), Some(MOST + 1)),
    ] {
        let start = make(disclosure, given).unwrap();
        let times = [-1, 0, 6, 7, 99, 100, 101];
        let reach = |decision: &Decision, before: &[Taken<Withdraw>]| {
            for now in times {
                assert_eq!(decision.status(at(now)), status_of(end, before, now), "{before:?} at {now}");
            }
            match decision.entity() {
                None => assert!(!before.is_empty(), "only what was withdrawn is gone"),
                Some(entity) => {
                    assert!(before.is_empty(), "what was withdrawn is still seen");
                    schema::assert_fits(&entity);
                    assert_eq!(entity["attrs"].get("expiresAt").is_some(), end.is_some());
                }
            }
        };
        let check = |tried: &Tried<'_, Decision, Withdraw>| {
            let expected = may(end, tried.before, *tried.input, tried.now);
            assert_eq!(tried.result.is_ok(), expected, "{:?} at {}", tried.input, tried.now);
            let Ok(step) = tried.result else { return };
            assert_eq!((step.verb, step.to.status(at(tried.now))), (Verb::Ended, Status::Withdrawn));
            assert_eq!(step.to.expires_at(), Some(at(tried.now.max(0))));
        };
        let (tried, reached) = explore(&start, &INPUTS, &times, 3, take, &reach, &check);
        assert!(tried > 100 && reached > 4, "hardly anything was tried: {tried}, {reached}");
    }
}

#[test]
fn to_disclose_ends_when_the_settings_say_at_the_latest() {
    assert!(make(Disclosure::Disclose, Some(MOST)).is_ok());
    for (disclosure, expires_at) in [
        (Disclosure::Disclose, MOST + 1),
        (Disclosure::Disclose, 0),
        (Disclosure::Withhold, 0),
        (Disclosure::Withhold, -1),
    ] {
        let refused = make(disclosure, Some(expires_at)).unwrap_err();
        assert!(matches!(refused, Refused::Invalid { field: "expiresAt", .. }), "{refused}");
    }
    // At the end of the calendar there is nothing later.
    let last: Instant = "9999-12-31T23:59:59.999Z".parse().unwrap();
    let made = Decision::make("d-1", statement(Disclosure::Disclose, None), &settings(), last);
    assert!(made.is_err());
}

#[test]
fn a_statement_that_says_too_little_is_refused() {
    let wrong: &[Spoil<Statement>] = &[
        ("patient", |it| it.patient.kind = PRACTITIONER.into()),
        ("category", |it| it.category.clear()),
        ("service", |it| it.service = Some(String::new())),
        ("recipient", |it| it.recipient = Some(EntityId::new(PATIENT, "x"))),
        ("author", |it| it.author.kind = PATIENT.into()),
        ("licence", |it| it.licence = " ".into()),
        ("reason", |it| it.reason.clear()),
    ];
    for (field, spoil) in wrong {
        let mut spoilt = statement(Disclosure::Withhold, None);
        spoil(&mut spoilt);
        let refused = Decision::make("d-1", spoilt, &settings(), at(0)).unwrap_err();
        assert!(matches!(refused, Refused::Invalid { field: is, .. } if is == *field), "{field}: {refused}");
    }
    let least = Statement { service: None, recipient: None, ..statement(Disclosure::Withhold, None) };
    let least = Decision::make("d-1", least, &settings(), at(0)).unwrap().to;
    schema::assert_fits(&least.entity().unwrap());
    assert_reads_back(&least);
    let wrong: &[Spoil<Settings>] = &[
        ("expiresWithinMs", |it| it.expires_within_ms = 0),
        ("expiresWithinMs", |it| it.expires_within_ms = DAYS_MAX * 86_400_000 + 1),
        ("withdrawingRoles", |it| it.withdrawing_roles.push(String::new())),
    ];
    for (setting, spoil) in wrong {
        let mut spoilt = settings();
        spoil(&mut spoilt);
        assert_eq!(spoilt.check().unwrap_err().setting, *setting);
        assert!(Decision::make("d-1", statement(Disclosure::Withhold, None), &spoilt, at(0)).is_err());
    }
}

#[test]
fn refusals_say_whether_it_is_the_person_or_the_state() {
    let decision = make(Disclosure::Disclose, None).unwrap();
    let refused = |from: &Decision, input: Withdraw, now: i64| {
        let refused = take(from, &input, at(now)).unwrap_err();
        (refused.code(), refused.group())
    };
    assert_eq!(refused(&decision, Withdraw("nurse", true), 1), ("role-missing", Group::Forbidden));
    assert_eq!(refused(&decision, Withdraw("director", false), 1), ("not-author", Group::Forbidden));
    assert_eq!(refused(&decision, Withdraw("doc", true), MOST), ("wrong-state", Group::Conflict));
    let withdrawn = take(&decision, &Withdraw("director", true), at(1)).unwrap().to;
    assert_eq!(withdrawn.withdrawn().unwrap().role.as_deref(), Some("director"));
    assert_eq!(refused(&withdrawn, Withdraw("doc", true), 2), ("wrong-state", Group::Conflict));
}

#[test]
fn the_entity_is_written_as_entity_files_take_it() {
    let expected = json!({
        "uid": {"type": "DisclosureDecision", "id": "d-1"},
        "attrs": {
            "patient": {"__entity": {"type": "Patient", "id": "pat-secret"}},
            "category": "outpatient_mental_health",
            "service": "counseling",
            "recipient": {"__entity": {"type": "RelatedPerson", "id": "mother-secret"}},
            "disclosure": "disclose",
            "author": {"__entity": {"type": "Practitioner", "id": "doc-secret"}},
            "licence": "TX-secret",
            "reason": "why-secret",
            "decidedAt": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00Z"}},
            "expiresAt": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.100Z"}},
        },
        "parents": [],
    });
    assert_eq!(make(Disclosure::Disclose, None).unwrap().entity(), Some(expected));
}

#[test]
fn garbage_is_not_read() {
    let decision = make(Disclosure::Disclose, None).unwrap();
    let withdrawn = take(&decision, &Withdraw("director", true), at(1)).unwrap().to;
    assert_garbage_is_refused(&withdrawn, &["withdrawn"]);
    let whole = serde_json::to_value(&withdrawn).unwrap();
    let forged: &[Spoil<Value>] = &[
        ("without end", |it| it["statement"]["expiresAt"] = Value::Null),
        ("ended before it began", |it| it["statement"]["expiresAt"] = it["decidedAt"].clone()),
        ("withdrawn before it was made", |it| it["withdrawn"]["at"] = json!("1969-12-31T23:59:59Z")),
        ("withdrawn after its end", |it| it["withdrawn"]["at"] = it["statement"]["expiresAt"].clone()),
        ("withdrawn by somebody without role", |it| it["withdrawn"]["role"] = Value::Null),
        ("withdrawn by its author in a role", |it| it["withdrawn"]["by"] = it["statement"]["author"].clone()),
        ("a statement of more", |it| it["statement"]["more"] = json!(1)),
    ];
    for (what, forge) in forged {
        let mut document = whole.clone();
        forge(&mut document);
        assert!(serde_json::from_value::<Decision>(document).is_err(), "{what}");
    }
}

#[test]
fn debug_prints_no_words_and_no_person() {
    let decision = make(Disclosure::Disclose, None).unwrap();
    let withdrawn = take(&decision, &Withdraw("doc", true), at(1)).unwrap().to;
    assert_prints_nothing(&[&withdrawn, withdrawn.statement(), &withdrawn.withdrawn()]);
}

proptest! {
    #[test]
    fn whenever_it_is_made_it_ends_in_time_and_to_the_millisecond(
        decided_at in -62_000_000_000_000..252_000_000_000_000_i64,
        most in 1..(DAYS_MAX * 86_400_000),
        given in proptest::option::of(-10..900_000_000_000_i64),
        discloses: bool,
        asked in proptest::collection::vec(-10..900_000_000_000_i64, 4),
        withdrawn_after in -10..900_000_000_000_i64,
    ) {
        let disclosure = if discloses { Disclosure::Disclose } else { Disclosure::Withhold };
        let settings = Settings { expires_within_ms: most, ..settings() };
        let most = i64::try_from(most).unwrap();
        let said = statement(disclosure, given.map(|given| decided_at + given));
        let made = Decision::make("d-1", said, &settings, at(decided_at));
        let fits = given.is_none_or(|given| given > 0 && (!discloses || given <= most));
        prop_assert_eq!(made.is_ok(), fits);
        let Ok(Step { to: decision, .. }) = made else { return Ok(()) };
        let end = given.or(discloses.then_some(most));
        for after in asked.into_iter().chain(end).chain(end.map(|end| end - 1)) {
            let expected = if end.is_some_and(|end| end <= after) { Status::Expired } else { Status::Active };
            prop_assert_eq!(decision.status(at(decided_at + after)), expected);
        }
        assert_reads_back(&decision);
        let withdrawn = take(&decision, &Withdraw("doc", true), at(decided_at + withdrawn_after));
        prop_assert_eq!(withdrawn.is_ok(), end.is_none_or(|end| withdrawn_after < end));
        if let Ok(step) = withdrawn {
            prop_assert_eq!(step.to.status(at(decided_at - 20)), Status::Withdrawn);
            prop_assert!(step.to.entity().is_none());
            assert_reads_back(&step.to);
        }
    }
}
