//! Every sequence of versions and revocations, against what a consent on record is said to be.

use proptest::prelude::*;

use super::*;
use crate::Group;
use crate::checks::PRACTITIONER;
use crate::exploration::{
    Spoil, Taken, Tried, assert_garbage_is_refused, assert_prints_nothing, assert_reads_back, at, explore,
};
use crate::schema;

fn clerk() -> EntityId {
    EntityId::new(PRACTITIONER, "clerk-secret")
}

/// A consent from 5 to 10, of which something may be unsupported.
fn version(patient: &str, status: &str, objects: bool) -> Version {
    let patient = EntityId::new(PATIENT, format!("{patient}-secret"));
    let mut entity = json!({
        "uid": {"type": "Consent", "id": "c-1"},
        "attrs": {
            "patient": {"type": patient.kind, "id": patient.id},
            "status": status,
            "givenAt": "1970-01-01",
            "forms": ["part2-tpo"],
            "base": "permit",
            "start": "1970-01-01T00:00:00.005Z",
            "end": {"__extn": {"fn": "datetime", "arg": "1970-01-01T00:00:00.010Z"}},
            "provisions": [{"key": "0", "effect": "permit"}],
        },
        "parents": [],
    });
    let mut objections = vec![];
    if objects {
        entity["attrs"]["unsupported"] = json!(["Consent.provision.data: secret"]);
        objections.push(Remark { path: "Consent.provision.data".into(), reason: "secret".into() });
    }
    let resource = json!({"resourceType": "Consent", "id": "c-1", "text": "secret"});
    let notes = vec![Remark { path: "Consent.dateTime".into(), reason: "secret".into() }];
    Version { patient, resource, entity, objections, notes, recorded_by: clerk() }
}

fn recorded() -> Consent {
    Consent::record("c-1", version("pat", "active", false), at(0)).unwrap().to
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Whose, in which status, whether it objects.
    Replace(&'static str, &'static str, bool),
    Revoke,
}

const INPUTS: [Input; 6] = [
    Input::Replace("pat", "active", false),
    Input::Replace("pat", "active", true),
    Input::Replace("pat", "draft", true),
    Input::Replace("pat", "inactive", false),
    Input::Replace("other", "active", false),
    Input::Revoke,
];

fn take(consent: &Consent, input: &Input, now: Instant) -> Result<Step<Consent>, Refused> {
    match *input {
        Input::Replace(patient, status, objects) => consent.replace(version(patient, status, objects), now),
        Input::Revoke => consent.revoke(clerk(), "why-secret".into(), now),
    }
}

fn is_revoked(taken: &[Taken<Input>]) -> bool {
    taken.iter().any(|(input, _)| *input == Input::Revoke)
}

fn may(taken: &[Taken<Input>], input: Input) -> bool {
    !is_revoked(taken) && !matches!(input, Input::Replace("other", ..))
}

fn status_of(taken: &[Taken<Input>], now: i64) -> Status {
    let now = taken.iter().map(|(_, at)| *at).fold(now.max(0), i64::max);
    let last = taken.iter().rev().find_map(|(input, _)| match input {
        Input::Replace(_, status, objects) => Some((*status, *objects)),
        Input::Revoke => None,
    });
    match last.unwrap_or(("active", false)) {
        _ if is_revoked(taken) => Status::Revoked,
        ("active", objects) if (5..10).contains(&now) => {
            if objects {
                Status::Objecting
            } else {
                Status::Active
            }
        }
        _ => Status::Inactive,
    }
}

/// A revoked consent is read by nobody as one that counts, or that permits anything.
fn assert_is_lawful(consent: &Consent) {
    let entity = consent.entity().unwrap();
    let attributes = entity["attrs"].as_object().unwrap();
    assert_eq!(entity["uid"], json!({"type": "Consent", "id": "c-1"}));
    if consent.revoked().is_some() {
        schema_of_revoked(&entity);
        assert_eq!((&attributes["status"], &attributes["base"]), (&json!("inactive"), &json!("deny")));
        assert_eq!(attributes["forms"], json!([]));
        assert_eq!(attributes.len(), 5, "something of the consent is left");
    } else {
        assert_eq!(attributes.contains_key("unsupported"), !consent.objections().is_empty());
        assert_eq!(attributes["base"], "permit", "the entity is as it was given");
    }
}

/// `givenAt` stays as it was given, which may be a date: the rest is as Cedar writes it.
fn schema_of_revoked(entity: &Value) {
    let mut entity = entity.clone();
    entity["attrs"]["givenAt"] = cedar::datetime(at(0));
    schema::assert_fits(&entity);
}

#[test]
fn every_sequence_of_steps_is_what_a_consent_is_said_to_be() {
    let times = [-1, 0, 4, 5, 9, 10];
    let reach = |consent: &Consent, before: &[Taken<Input>]| {
        for now in times {
            assert_eq!(consent.status(at(now)), status_of(before, now), "{before:?} at {now}");
        }
        let replaced = before.iter().filter(|(input, _)| *input != Input::Revoke).count();
        assert_eq!(consent.version() as usize, 1 + replaced);
        assert_eq!(*consent.patient().unwrap(), EntityId::new(PATIENT, "pat-secret"));
        assert_is_lawful(consent);
    };
    let check = |tried: &Tried<'_, Consent, Input>| {
        let expected = may(tried.before, *tried.input);
        assert_eq!(tried.result.is_ok(), expected, "{:?} {:?}", tried.before, tried.input);
        let Ok(step) = tried.result else { return };
        assert!(tried.from.revoked().is_none(), "what was revoked went on");
        assert_eq!(step.verb, if *tried.input == Input::Revoke { Verb::Ended } else { Verb::Updated });
        assert!(step.to.recorded_at() >= tried.from.recorded_at());
    };
    let (tried, reached) = explore(&recorded(), &INPUTS, &times, 4, take, &reach, &check);
    assert!(tried > 1_000 && reached > 50, "hardly anything was tried: {tried}, {reached}");
}

#[test]
fn refusals_say_whether_it_is_the_document_or_the_state() {
    let refused = |from: &Consent, input: Input| {
        let refused = take(from, &input, at(1)).unwrap_err();
        (refused.code(), refused.group())
    };
    let revoked = take(&recorded(), &Input::Revoke, at(1)).unwrap().to;
    assert_eq!(
        refused(&recorded(), Input::Replace("other", "active", false)),
        ("other-patient", Group::Conflict)
    );
    assert_eq!(refused(&revoked, Input::Revoke), ("wrong-state", Group::Conflict));
    assert_eq!(refused(&revoked, Input::Replace("pat", "active", false)), ("wrong-state", Group::Conflict));
    assert!(recorded().revoke(clerk(), " ".into(), at(1)).is_err());
}

#[test]
fn document_entity_and_patient_go_together() {
    let wrong: &[Spoil<Version>] = &[
        ("patient", |it| it.patient.kind = PRACTITIONER.into()),
        ("recordedBy", |it| it.recorded_by.id = "".into()),
        ("resource", |it| it.resource = json!({"resourceType": "Patient"})),
        ("entity", |it| it.entity = json!({})),
        ("entity", |it| it.entity["uid"]["id"] = json!("c-2")),
        ("entity", |it| it.entity["uid"]["type"] = json!("Approval")),
        ("entity", |it| it.entity["attrs"]["patient"]["id"] = json!("other")),
        ("entity", |it| it.entity["attrs"]["status"] = json!("revoked")),
        ("entity", |it| it.entity["attrs"]["status"] = Value::Null),
        ("entity", |it| _ = it.entity["attrs"].as_object_mut().unwrap().remove("givenAt")),
        ("entity", |it| it.entity["attrs"]["givenAt"] = json!("yesterday")),
        ("entity", |it| it.entity["attrs"]["start"] = json!(5)),
        ("entity", |it| it.entity["attrs"]["end"]["__extn"]["fn"] = json!("duration")),
        // An objection that no plugin would see, and one that nobody could explain.
        ("entity", |it| it.entity["attrs"]["unsupported"] = json!([])),
        ("entity", |it| it.objections.clear()),
        ("path", |it| it.objections[0].path.clear()),
        ("reason", |it| it.objections[0].reason.clear()),
    ];
    let good = || version("pat", "active", true);
    assert!(Consent::record("c-1", good(), at(0)).is_ok());
    for (field, spoil) in wrong {
        let mut spoilt = good();
        spoil(&mut spoilt);
        let refused = Consent::record("c-1", spoilt.clone(), at(0)).unwrap_err();
        assert!(matches!(refused, Refused::Invalid { field: is, .. } if is == *field), "{field}: {refused}");
        assert!(recorded().replace(spoilt, at(1)).is_err());
    }
    assert!(Consent::record("", good(), at(0)).is_err());
}

#[test]
fn garbage_is_not_read() {
    let replaced = take(&recorded(), &Input::Replace("pat", "active", true), at(2)).unwrap().to;
    let revoked = take(&replaced, &Input::Revoke, at(3)).unwrap().to;
    assert_garbage_is_refused(&revoked, &["revoked", "notes"]);
    let whole = serde_json::to_value(&revoked).unwrap();
    let forged: &[Spoil<Value>] = &[
        ("no version", |it| it["version"] = json!(0)),
        ("revoked before it was recorded", |it| it["revoked"]["at"] = json!("1970-01-01T00:00:00Z")),
        ("revoked without words", |it| it["revoked"]["reason"] = json!("")),
        ("of another patient", |it| it["patient"]["id"] = json!("other-secret")),
        ("with objections that are not seen", |it| it["entity"]["attrs"]["unsupported"] = Value::Null),
    ];
    for (what, forge) in forged {
        let mut document = whole.clone();
        forge(&mut document);
        assert!(serde_json::from_value::<Consent>(document).is_err(), "{what}");
    }
}

#[test]
fn debug_prints_no_words_and_no_person() {
    let revoked = take(&recorded(), &Input::Revoke, at(3)).unwrap().to;
    let objecting = version("pat", "active", true);
    assert_prints_nothing(&[&revoked, &objecting, &objecting.objections, &revoked.revoked()]);
}

proptest! {
    #[test]
    fn whenever_things_happen_a_revocation_is_final(
        steps in proptest::collection::vec((proptest::sample::select(INPUTS.to_vec()), -5..20_i64), 0..8),
        later in proptest::collection::vec(-5..20_i64, 4),
    ) {
        let mut consent = recorded();
        let mut taken = vec![];
        for (input, now) in steps {
            let result = take(&consent, &input, at(now));
            prop_assert_eq!(result.is_ok(), may(&taken, input));
            if let Ok(step) = result {
                consent = step.to;
                taken.push((input, now));
            }
            assert_is_lawful(&consent);
            assert_reads_back(&consent);
        }
        for now in later {
            prop_assert_eq!(consent.status(at(now)), status_of(&taken, now));
        }
    }
}
