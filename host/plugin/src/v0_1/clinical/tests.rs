//! Tests of reading approvals, consents, decisions and value sets from entities.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::{EntityId as Id, EntityKind, Facts, Instant};

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn reference_to(kind: &str, id: &str) -> Value {
    Value::Entity(Id::new(kind, id))
}

fn at(millis: i64) -> Value {
    Value::Instant(Instant::from_millis(millis).unwrap())
}

type Members = Record;

fn members(members: &[(&str, Value)]) -> Members {
    members.iter().cloned().collect()
}

fn with(base: &Members, name: &str, value: Option<Value>) -> Members {
    let others =
        base.iter().filter(|(known, _)| *known != name).map(|(name, value)| (name.clone(), value.clone()));
    others.chain(value.map(|value| (name.into(), value))).collect()
}

fn entity_of(kind: &str, id: &str, attributes: Members) -> Entity {
    Entity { id: Id::new(kind, id), attributes, ancestors: Arc::default(), provided: None }
}

fn facts(stored: Entity) -> DecisionFacts {
    let kinds = BTreeMap::from([
        ("Approval".to_owned(), EntityKind::Approval),
        ("Consent".to_owned(), EntityKind::Consent),
        ("DisclosureDecision".to_owned(), EntityKind::DisclosureDecision),
    ]);
    DecisionFacts {
        facts: Arc::new(Facts::new([stored], kinds)),
        subject: Arc::new(entity_of("Practitioner", "doc", Members::default())),
        action: "export".into(),
        resource: Arc::new(entity_of("DataSet", "set", Members::default())),
        patient: Some(Arc::new(entity_of("Patient", "pat", Members::default()))),
        context: Members::default(),
        purpose: None,
        now: Instant::from_millis(77).unwrap(),
        today: None,
    }
}

fn an_approval() -> Members {
    let approver =
        members(&[("who", reference_to("Practitioner", "boss")), ("role", text("head")), ("at", at(5))]);
    members(&[
        ("requester", reference_to("Practitioner", "doc")),
        ("kind", text("export")),
        ("status", text("approved")),
        ("approvers", Value::set([Value::Record(approver)])),
        ("requestedAt", at(1)),
        ("usesLeft", Value::Integer(1)),
    ])
}

fn count_approvals(attributes: Members) -> usize {
    approvals(&facts(entity_of("Approval", "a", attributes)), &["export".to_owned()]).len()
}

#[test]
fn approvals_of_the_kinds_asked_for_are_sent() {
    let facts = facts(entity_of("Approval", "a", an_approval()));
    assert_eq!(approvals(&facts, &[]).len(), 0);
    assert_eq!(approvals(&facts, &["access".to_owned()]).len(), 0);
    let sent = &approval(approvals(&facts, &["access".to_owned(), "export".to_owned()])[0]).unwrap();
    assert_eq!((sent.id, sent.status, sent.uses_left), ("a", ApprovalStatus::Approved, 1));
    assert_eq!((sent.approvers[0].who.id, sent.approvers[0].at, sent.max_records), ("boss", 5, None));
}

#[test]
fn an_approval_that_cannot_be_read_is_as_good_as_none() {
    let good = an_approval();
    assert_eq!(count_approvals(good.clone()), 1);
    let malformed = [
        ("status", None),
        ("status", Some(text("granted"))),
        ("usesLeft", None),
        ("usesLeft", Some(Value::Integer(-1))),
        ("usesLeft", Some(Value::Integer(1 << 33))),
        // An unreadable bound must not become no bound.
        ("maxRecords", Some(Value::Integer(-1))),
        ("maxRecords", Some(text("10"))),
        ("expiresAt", Some(text("2026-01-01"))),
        ("action", Some(Value::Boolean(true))),
        ("action", Some(text(""))),
        ("dataSet", Some(text(""))),
        ("purpose", Some(text(""))),
        ("requestedAt", None),
        ("approvers", Some(Value::set([text("boss")]))),
        (
            "approvers",
            Some(Value::set([Value::Record(members(&[("who", reference_to("Practitioner", "x"))]))])),
        ),
    ];
    for (name, value) in malformed {
        assert_eq!(count_approvals(with(&good, name, value.clone())), 0, "{name} {value:?}");
    }
}

fn a_consent() -> Members {
    members(&[
        ("patient", reference_to("Patient", "pat")),
        ("status", text("inactive")),
        ("givenAt", at(2)),
        ("forms", Value::set([text("part2-tpo")])),
    ])
}

fn unsupported(attributes: Members) -> Vec<String> {
    let facts = facts(entity_of("Consent", "c", attributes));
    let patient = facts.patient.as_deref().unwrap();
    consents(&facts, patient)[0].unsupported.iter().map(|text| (*text).to_owned()).collect()
}

fn provision(attributes: &[(&str, Value)]) -> Value {
    let mut all = members(&[("effect", text("permit"))]);
    for (name, value) in attributes {
        all.insert(*name, value.clone());
    }
    Value::Record(all)
}

#[test]
fn what_cannot_be_read_in_a_consent_is_named() {
    let good = a_consent();
    assert_eq!(unsupported(good.clone()), [""; 0]);
    let key = |key: &str| ("key", text(key));
    let parent = |parent: &str| ("parent", text(parent));
    let role = text("http://terminology.hl7.org/CodeSystem/v3-RoleCode|MTH");
    let actor = |names: &[&str]| {
        let mut actor = members(&[("role", role.clone())]);
        for name in names {
            actor.insert(*name, reference_to("Organization", "x"));
        }
        Value::set([Value::Record(actor)])
    };
    let cases = [
        ("status", Some(text("valid"))),
        ("givenAt", None),
        ("forms", Some(text("part2-tpo"))),
        ("categories", Some(Value::set([Value::Integer(1)]))),
        ("base", Some(text("maybe"))),
        ("signedByPatient", Some(text("yes"))),
        ("signedByProxies", Some(Value::set([text("mum")]))),
        ("recipientPersons", Some(text("mum"))),
        ("provisions", Some(text("none"))),
        ("provisions", Some(Value::set([provision(&[])]))),
        ("provisions", Some(Value::set([provision(&[key("a"), parent("z")])]))),
        ("provisions", Some(Value::set([provision(&[key("a"), parent("a")])]))),
        (
            "provisions",
            Some(Value::set([provision(&[key("a"), parent("b")]), provision(&[key("b"), parent("a")])])),
        ),
        ("provisions", Some(Value::set([provision(&[key("a")]), provision(&[key("a"), ("start", at(1))])]))),
        (
            "provisions",
            Some(Value::set([provision(&[key("a"), ("codes", Value::set([text("no system")]))])])),
        ),
        ("provisions", Some(Value::set([provision(&[key("a"), ("actors", actor(&[]))])]))),
        (
            "provisions",
            Some(Value::set([provision(&[key("a"), ("actors", actor(&["person", "organization"]))])])),
        ),
    ];
    for (name, value) in cases {
        assert_eq!(unsupported(with(&good, name, value.clone())), [name], "{value:?}");
    }
    let fine = Value::set([
        provision(&[key("a"), ("actors", actor(&["organization"]))]),
        provision(&[key("b"), parent("a")]),
    ]);
    assert_eq!(unsupported(with(&good, "provisions", Some(fine))), [""; 0]);
    assert_eq!(unsupported(with(&good, "end", Some(text("never")))), ["period"]);
    assert_eq!(unsupported(with(&good, "unsupported", Some(Value::set([text("x")])))), ["x"]);
}

#[test]
fn a_consent_of_unreadable_status_counts_as_active() {
    let facts = facts(entity_of("Consent", "c", with(&a_consent(), "status", None)));
    let patient = facts.patient.as_deref().unwrap();
    assert_eq!(consents(&facts, patient)[0].status, ConsentStatus::Active);
}

#[test]
fn a_disclosure_decision_that_cannot_be_read_withholds() {
    let good = members(&[
        ("patient", reference_to("Patient", "pat")),
        ("category", text("sti_hiv")),
        ("service", text("test")),
        ("recipient", reference_to("RelatedPerson", "mum")),
        ("disclosure", text("disclose")),
        ("author", reference_to("Practitioner", "doc")),
        ("licence", text("MD")),
        ("reason", text("asked")),
        ("decidedAt", at(1)),
        ("expiresAt", at(9)),
    ]);
    let sent = |attributes: Members| {
        let facts = facts(entity_of("DisclosureDecision", "d", attributes));
        let patient = facts.patient.as_deref().unwrap();
        let decision = &disclosure_decisions(&facts, patient)[0];
        (decision.disclosure, decision.service.to_owned(), decision.recipient.is_some(), decision.expires_at)
    };
    assert_eq!(sent(good.clone()), (Disclosure::Disclose, "test".to_owned(), true, Some(9)));
    for (name, value) in [
        ("disclosure", text("perhaps")),
        ("service", text("")),
        ("expiresAt", text("soon")),
        ("author", text("doc")),
    ] {
        let widest = (Disclosure::Withhold, String::new(), false, None);
        assert_eq!(sent(with(&good, name, Some(value))), widest, "{name}");
    }
}
