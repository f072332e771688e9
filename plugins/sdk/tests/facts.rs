//! Facts by name: what is declared is what is read, and nothing else passes.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up must stop it")]

use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::{TestRelation, TestRequest, configure, date, entity, instant, json, texts};

relation! {
    /// A relation with two attributes.
    pub struct Proxy: "ProxyGrant" {
        verified: Fact<bool> = "verified",
        scope: Option<Set<String>> = "scope",
    }
}

relation! {
    /// A relation without attributes.
    pub struct Care: "CareRelationship" {}
}

facts! {
    /// One of each kind, in an order that is not that of the contract.
    pub struct Facts {
        codes: ValueSet = "second",
        state: Fact<String> = "patient.state",
        care: Vec<Care>,
        count: Option<i64> = "resource.recordCount",
        nurse: Member = "Role::\"nurse\"",
        exports: Vec<Approval> = "export",
        other_codes: ValueSet = "first",
        proxies: Vec<Proxy>,
        accesses: Vec<Approval> = "access",
        officer: Member = "Role::\"privacy-officer\"",
        birth_date: Fact<Date> = "patient.birthDate",
        author: Option<EntityId> = "resource.author",
        labels: Fact<Set<String>> = "resource.labels",
    }
}

/// Notes what it was handed, so that a test can compare.
#[derive(Debug)]
pub struct Notes;

/// Nothing can be set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Rule for Notes {
    const NAME: &'static str = "notes";
    const VERSION: &'static str = "0.1.0";
    const SUMMARY: &'static str = "notes what it was handed";
    type Settings = NoSettings;
    type Facts = Facts;

    fn configure(_: NoSettings) -> Result<Self, Problems> {
        Ok(Self)
    }

    fn evaluate(&self, request: &Request, facts: &Facts) -> Result<Findings, Stop> {
        let mut findings = Findings::default();
        if request.action == "required" {
            facts.state.get()?;
            facts.birth_date.get().map_err(Missing::neutral)?;
        }
        findings.note(format!("{facts:?}"));
        findings.note(format!("{:?} {:?}", request.today, facts.codes.has("s", "c")));
        Ok(findings)
    }
}

fn rule() -> Notes {
    configure(json!({})).unwrap()
}

fn approval(id: &str, kind: &str) -> Approval {
    Approval {
        id: id.to_owned(),
        kind: kind.to_owned(),
        status: ApprovalStatus::Approved,
        requester: entity("Practitioner", "dr-1"),
        approvers: vec![],
        data_set: String::new(),
        action: String::new(),
        purpose: String::new(),
        max_records: None,
        requested_at: instant("2026-11-21T18:00:00Z"),
        expires_at: None,
        uses_left: 1,
    }
}

#[test]
fn every_fact_reaches_the_field_that_declares_it() {
    let request = TestRequest::new("read")
        .patient("p-1")
        .today(date("2026-11-21"))
        .attribute("patient.state", "CA")
        .attribute("resource.recordCount", 7)
        .attribute("patient.birthDate", date("2012-02-29"))
        .attribute("resource.author", entity("Practitioner", "dr-2"))
        .attribute("resource.labels", texts(["R", "N"]))
        .member("Role::\"privacy-officer\"")
        .relation(TestRelation::new("ProxyGrant", "g-1").attribute("verified", true))
        .relation(TestRelation::new("CareRelationship", "c-1"))
        .approval(approval("a-1", "access"))
        .approval(approval("a-2", "export"))
        .value_set("first", [])
        .value_set("second", [Coding::new("s", "c")]);
    let notes = request.evaluate(&rule()).unwrap().notes.concat();
    for part in [
        "state: Known(\"CA\")",
        "count: Some(7)",
        "nurse: Member(false)",
        "officer: Member(true)",
        "birth_date: Known(Date { year: 2012, month: 2, day: 29 })",
        "author: Some(EntityId { kind: \"Practitioner\", id: \"dr-2\" })",
        "labels: Known(Set([\"N\", \"R\"]))",
        "care: [Care { id: \"c-1\" }]",
        "proxies: [Proxy { id: \"g-1\", verified: Known(true), scope: None }]",
        "exports: [Approval { id: \"a-2\"",
        "accesses: [Approval { id: \"a-1\"",
        "Some(true)",
    ] {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn an_absent_fact_that_is_required_denies_with_what_to_supply() {
    let findings = TestRequest::new("required").evaluate(&rule()).unwrap();
    assert_eq!(findings.codes(), ["fact-missing"]);
    assert_eq!(findings.denials[0].ground, Ground::FactMissing);
    assert_eq!(findings.denials[0].remedies, [Remedy::SupplyFact("patient.state".to_owned())]);
    assert!(!findings.denials[0].neutral);
    let findings = TestRequest::new("required").attribute("patient.state", "CA").evaluate(&rule()).unwrap();
    assert!(findings.denials[0].neutral, "the rule asked for a neutral denial");
}

#[test]
fn a_value_of_another_type_is_a_failure_and_shows_no_value() {
    let error =
        TestRequest::new("read").attribute("patient.birthDate", "secret").evaluate(&rule()).unwrap_err();
    assert_eq!(error, "`patient.birthDate` is not a date");
    let error =
        TestRequest::new("read").attribute("resource.recordCount", "secret").evaluate(&rule()).unwrap_err();
    assert_eq!(error, "`resource.recordCount` is not an integer");
    let relation = TestRelation::new("ProxyGrant", "g-1").attribute("verified", "secret");
    let error = TestRequest::new("read").patient("p-1").relation(relation).evaluate(&rule()).unwrap_err();
    assert_eq!(error, "`ProxyGrant.verified` is not a boolean");
}

#[test]
fn a_path_that_leads_nowhere_is_a_failure_even_for_an_optional_fact() {
    for why in [Absence::NotAValue, Absence::NotARecord] {
        assert!(TestRequest::new("read").absent("resource.recordCount", why).evaluate(&rule()).is_err());
    }
    for why in [Absence::NotRecorded, Absence::NoPatient, Absence::UnknownEntity] {
        assert!(TestRequest::new("read").absent("resource.recordCount", why).evaluate(&rule()).is_ok());
    }
}

#[test]
fn a_value_set_that_is_not_known_says_neither_yes_nor_no() {
    let notes = TestRequest::new("read").evaluate(&rule()).unwrap().notes.concat();
    assert!(notes.ends_with(" None"), "{notes}");
}

#[test]
#[should_panic(expected = "the rule does not ask for `patient.birthdate`")]
fn a_test_that_supplies_what_nobody_asks_for_panics() {
    drop(TestRequest::new("read").attribute("patient.birthdate", date("2012-02-29")).evaluate(&rule()));
}

#[test]
fn more_or_fewer_facts_than_declared_are_a_failure() {
    use assent_plugin_sdk::bindings::exports::assent::plugin::rules as wit;
    use assent_plugin_sdk::runtime;
    let empty = |attributes: usize| wit::Request {
        organization: String::new(),
        now: 0,
        today: None,
        subject: entity("Practitioner", "dr-1"),
        action: "read".to_owned(),
        resource: entity("Observation", "o-1"),
        patient: None,
        purpose: None,
        attributes: vec![wit::Value::Absent(Absence::NotRecorded); attributes],
        memberships: vec![false; 2],
        relations: vec![],
        approvals: vec![],
        consents: vec![],
        disclosure_decisions: vec![],
        value_sets: ["second", "first"]
            .map(|name| ValueSet {
                name: name.to_owned(),
                version: String::new(),
                codes: vec![],
                known: false,
            })
            .into(),
    };
    assert!(runtime::evaluate(&Notes, empty(5)).is_ok());
    assert!(runtime::evaluate(&Notes, empty(4)).unwrap_err().contains("too few"));
    assert!(runtime::evaluate(&Notes, empty(6)).unwrap_err().contains("too many"));
    let mut swapped = empty(5);
    swapped.value_sets.reverse();
    assert_eq!(runtime::evaluate(&Notes, swapped).unwrap_err(), "expected the value set `second`");
}

#[test]
fn a_component_evaluates_only_after_it_was_configured_and_only_once() {
    use assent_plugin_sdk::runtime::Configured;
    let configured: Configured<Notes> = Configured::new();
    assert!(configured.configure("[]", "{}").is_err());
    assert_eq!(configured.configure("{}", "{}"), Ok(()));
    assert_eq!(
        configured.configure("{}", "{}").unwrap_err()[0].message,
        "the rule has already been configured"
    );
}
