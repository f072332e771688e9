//! The contract's text: what is published stays as it is, and the facts cross it unchanged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::{Date, DecisionFacts, EntityId, EntityKind, Facts, Instant, Record, Value};
use assent_plugin::Limits;
use common::{entity, facts, guest, host, hostile, slots};

/// Whether components built for `old` run where `new` is expected. The two stand in one resolve
/// under different versions, which the check ignores.
fn fits(old: &str, new: &str) -> bool {
    let mut resolve = wit_parser::Resolve::default();
    let mut world = |text: &str, version: &str| {
        let text =
            text.replacen("package assent:plugin@0.1.0;", &format!("package assent:plugin@{version};"), 1);
        let package = resolve.push_str("plugin.wit", &text).unwrap();
        resolve.select_world(&[package], Some("plugin")).unwrap()
    };
    let (old, new) = (world(old, "0.1.0"), world(new, "0.1.999"));
    wit_component::semver_check(resolve, old, new).is_ok()
}

/// Whether the two have one shape: each fits where the other is expected.
fn same_shape(one: &str, other: &str) -> bool {
    fits(one, other) && fits(other, one)
}

#[test]
fn semver_check_of_the_published_contract() {
    let published = include_str!("../../../wit/published/0.1.0.wit");
    let live = include_str!("../../../wit/0.1.0/plugin.wit");
    assert!(
        same_shape(published, live),
        "`wit/0.1.0` is published and frozen: put the change into a new version beside it"
    );
    let changes = [
        ("id: string,\n    }", "id: string,\n        more: bool,\n    }"),
        ("not-recorded,", "not-recorded,\n        secret,"),
        ("describe: func() -> description;", "describe: func() -> description;\n    more: func();"),
        ("describe: func() -> description;", ""),
        ("evaluate: func(request: request)", "evaluate: func(request: request, more: bool)"),
    ];
    for (from, to) in changes {
        assert!(live.contains(from), "{from}");
        assert!(!same_shape(published, &live.replacen(from, to, 1)), "{from} -> {to}");
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn texts(values: &[&str]) -> Value {
    Value::set(values.iter().map(|value| text(value)))
}

fn reference(kind: &str, id: &str) -> Value {
    Value::Entity(EntityId::new(kind, id))
}

fn at(millis: i64) -> Value {
    Value::Instant(Instant::from_millis(millis).unwrap())
}

fn record(members: &[(&str, Value)]) -> Value {
    Value::Record(members.iter().map(|(name, value)| (*name, value.clone())).collect())
}

/// A proxy, a teenager's record, and one of everything a plugin can ask for.
fn family() -> DecisionFacts {
    let kinds = BTreeMap::from([
        ("ProxyGrant".to_owned(), EntityKind::Relation { from: "person".into(), to: "patient".into() }),
        ("Approval".to_owned(), EntityKind::Approval),
        ("Consent".to_owned(), EntityKind::Consent),
        ("DisclosureDecision".to_owned(), EntityKind::DisclosureDecision),
        ("ValueSet".to_owned(), EntityKind::ValueSet),
    ]);
    let (person, patient) = (reference("RelatedPerson", "mum"), reference("Patient", "teen"));
    let teen = entity("Patient", "teen", &[("birthDate", Value::Date(Date::new(2011, 2, 28).unwrap()))]);
    let mut mum = entity("RelatedPerson", "mum", &[]);
    mum.ancestors = [EntityId::new("Role", "nurse")].into();
    let resource = entity(
        "Observation",
        "obs",
        &[
            ("labels", texts(&["SUD", "HIV"])),
            ("encounter", reference("Encounter", "visit")),
            ("patient", patient.clone()),
        ],
    );
    let provision = |key: &str, parent: Option<&str>, effect: &str| {
        let mut members =
            vec![("key", text(key)), ("effect", text(effect)), ("codes", texts(&["http://loinc.org|1-8"]))];
        members.extend(parent.map(|parent| ("parent", text(parent))));
        record(&members)
    };
    let stored = Facts::new(
        [
            teen.clone(),
            entity("Encounter", "visit", &[("state", text("CA"))]),
            entity(
                "ProxyGrant",
                "g1",
                &[
                    ("person", person.clone()),
                    ("patient", patient.clone()),
                    ("verified", Value::Boolean(true)),
                ],
            ),
            entity(
                "ProxyGrant",
                "g2",
                &[("person", person.clone()), ("patient", reference("Patient", "other"))],
            ),
            entity(
                "Approval",
                "a1",
                &[
                    ("requester", person.clone()),
                    ("kind", text("export")),
                    ("status", text("approved")),
                    (
                        "approvers",
                        Value::set([record(&[
                            ("who", reference("Practitioner", "boss")),
                            ("role", text("privacy-officer")),
                            ("at", at(5)),
                        ])]),
                    ),
                    ("maxRecords", Value::Integer(10)),
                    ("requestedAt", at(1)),
                    ("usesLeft", Value::Integer(1)),
                ],
            ),
            entity(
                "Consent",
                "c1",
                &[
                    ("patient", patient.clone()),
                    ("status", text("active")),
                    ("givenAt", at(2)),
                    ("forms", texts(&["part2-tpo"])),
                    ("signedByPatient", Value::Boolean(true)),
                    ("base", text("deny")),
                    (
                        "provisions",
                        Value::set([provision("a", None, "permit"), provision("b", Some("a"), "deny")]),
                    ),
                ],
            ),
            entity(
                "DisclosureDecision",
                "d1",
                &[
                    ("patient", patient),
                    ("category", text("sti_hiv")),
                    ("disclosure", text("withhold")),
                    ("author", reference("Practitioner", "boss")),
                    ("licence", text("MD-1")),
                    ("reason", text("harm")),
                    ("decidedAt", at(3)),
                ],
            ),
            entity(
                "ValueSet",
                "sud",
                &[("codes", texts(&["http://snomed.info/sct|1"])), ("version", text("2026"))],
            ),
        ],
        kinds,
    );
    DecisionFacts {
        facts: Arc::new(stored),
        subject: Arc::new(mum),
        resource: Arc::new(resource),
        patient: Some(Arc::new(teen)),
        context: Record::from([("network", record(&[("trusted", Value::Boolean(true))]))]),
        today: Some(Date::new(2026, 11, 21).unwrap()),
        ..facts("echo")
    }
}

/// What the guest saw, in its own `Debug` words.
#[test]
fn a_guest_sees_exactly_the_facts_it_asked_for() {
    let host = host(2);
    let plugin = host.admit(&hostile("", Limits::default()), &guest("hostile")).unwrap();
    let seen = plugin.call(&family(), &slots(&host, "bay")).outcome.result.unwrap().notes.join("\n");
    let expected = include_str!("echo.txt");
    assert_eq!(seen.trim(), expected.trim(), "\n--- seen:\n{seen}");
}
