//! Tests of what a plugin is handed for its needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::value::Decimal;
use assent_model::{EntityKind, Facts, Instant, Record};

use super::*;

fn entity_of(kind: &str, id: &str, attributes: &[(&str, Value)]) -> Entity {
    let attributes = attributes.iter().map(|(name, value)| (*name, value.clone())).collect();
    Entity { id: Id::new(kind, id), attributes, ancestors: Arc::default(), provided: None }
}

fn facts(stored: Vec<Entity>) -> DecisionFacts {
    let kinds = BTreeMap::from([
        ("Proxy".to_owned(), EntityKind::Relation { from: "person".into(), to: "patient".into() }),
        ("ValueSet".to_owned(), EntityKind::ValueSet),
    ]);
    DecisionFacts {
        facts: Arc::new(Facts::new(stored, kinds)),
        subject: Arc::new(entity_of("Person", "mum", &[])),
        action: "read".into(),
        resource: Arc::new(entity_of("Observation", "obs", &[])),
        patient: Some(Arc::new(entity_of("Patient", "pat", &[]))),
        context: Record::default(),
        purpose: None,
        now: Instant::from_millis(0).unwrap(),
        today: None,
    }
}

/// What a plugin with these needs is handed in this decision.
fn handed<'a>(needs: &'a Needs, facts: &'a DecisionFacts, organization: &'a OrganizationId) -> Request<'a> {
    let paths = Paths::new(needs.attributes.iter().map(String::as_str));
    resolve(needs, &paths, Asked { organization, facts, approvals: &[] })
}

fn needs(attributes: &[&str]) -> Needs {
    Needs { attributes: attributes.iter().map(|path| (*path).to_owned()).collect(), ..Needs::default() }
}

/// A word for what a value was sent as.
fn word(value: &Sent<&str>) -> String {
    match value {
        Sent::Scalar(Scalar::Text(text)) => format!("text {text}"),
        Sent::Scalar(Scalar::Decimal(units)) => format!("decimal {units}"),
        Sent::Scalar(_) => "scalar".to_owned(),
        Sent::Set(members) => format!("set of {}", members.len()),
        Sent::Absent(reason) => format!("{reason:?}"),
    }
}

#[test]
fn attributes_come_in_the_order_of_the_needs_and_absent_ones_say_why() {
    let mut facts = facts(vec![]);
    let record = Value::Record(Record::from([("mfa", Value::Boolean(true))]));
    let ghost = Value::Entity(Id::new("Patient", "ghost"));
    let attributes = [
        ("state", Value::Text("CA".into())),
        ("half", Value::Decimal(Decimal::from_ten_thousandths(5_000))),
        ("labels", Value::set([Value::Text("HIV".into()), Value::Text("SUD".into())])),
        ("empty", Value::set([])),
        ("session", record.clone()),
        ("records", Value::set([record])),
        ("sets", Value::set([Value::set([])])),
        ("ghost", ghost),
    ];
    facts.resource = Arc::new(entity_of("Observation", "obs", &attributes));
    let paths = [
        "resource.state",
        "resource.half",
        "resource.labels",
        "resource.empty",
        "resource.session",
        "resource.session.mfa",
        "resource.records",
        "resource.sets",
        "resource.ghost.state",
        "resource.state.x",
        "patient.state",
    ];
    let organization = OrganizationId::new("bay").unwrap();
    let words = |facts: &DecisionFacts| -> Vec<_> {
        handed(&needs(&paths), facts, &organization).attributes.iter().map(word).collect()
    };
    let expected = [
        "text CA",
        "decimal 5000",
        "set of 2",
        "set of 0",
        "NotAValue",
        "scalar",
        "NotAValue",
        "NotAValue",
        "UnknownEntity",
        "NotARecord",
        "NotRecorded",
    ];
    assert_eq!(words(&facts), expected);
    facts.patient = None;
    assert_eq!(words(&facts).last().unwrap(), "NoPatient");
}

#[test]
fn without_a_patient_nothing_about_one_is_sent() {
    let person = ("person", Value::Entity(Id::new("Person", "mum")));
    let to = |id| ("patient", Value::Entity(Id::new("Patient", id)));
    let mut facts = facts(vec![
        entity_of("Proxy", "2", &[person.clone(), to("pat")]),
        entity_of("Proxy", "1", &[person.clone(), to("pat")]),
        entity_of("Proxy", "3", &[person, to("other")]),
    ]);
    let relation = RelationNeed { kind: "Proxy".into(), attributes: vec!["none".into(), "person".into()] };
    let needs =
        Needs { relations: vec![relation], consents: true, disclosure_decisions: true, ..Needs::default() };
    let organization = OrganizationId::new("bay").unwrap();
    let request = handed(&needs, &facts, &organization);
    let ids: Vec<_> = request.relations.iter().map(|relation| relation.id).collect();
    assert_eq!(ids, ["1", "2"]);
    let words: Vec<_> = request.relations[0].attributes.iter().map(word).collect();
    assert_eq!(words, ["NotRecorded", "scalar"]);
    facts.patient = None;
    let request = handed(&needs, &facts, &organization);
    assert!(request.relations.is_empty() && request.patient.is_none() && request.consents.is_empty());
}

#[test]
fn a_value_set_is_sent_whole_or_as_unknown() {
    let codes = |codes: &[&str]| Value::set(codes.iter().map(|code| Value::Text((*code).into())));
    let facts = facts(vec![
        entity_of("ValueSet", "good", &[("codes", codes(&["s|1", "s|2"]))]),
        entity_of("ValueSet", "half", &[("codes", codes(&["s|1", "two"]))]),
        entity_of("ValueSet", "bare", &[]),
        entity_of("Other", "none", &[("codes", codes(&["s|1"]))]),
    ]);
    let names = ["good", "half", "bare", "none", "absent"].map(str::to_owned).to_vec();
    let needs = Needs { value_sets: names, ..Needs::default() };
    let organization = OrganizationId::new("bay").unwrap();
    let request = handed(&needs, &facts, &organization);
    let known: Vec<_> = request.value_sets.iter().map(|set| (set.known, set.codes.len())).collect();
    assert_eq!(known, [(true, 2), (false, 0), (false, 0), (false, 0), (false, 0)]);
}
