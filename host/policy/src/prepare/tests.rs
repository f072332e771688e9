//! Tests of putting a question: names, overlays, context, relations.

use serde_json::{Value as Json, json};

use super::*;
use crate::SourceFile;
use crate::testing::{SCHEMA, host, host_at, names, policies, request, snapshot, snapshot_with};

fn world() -> Policies {
    policies(&["permit(principal, action, resource);"])
}

fn prepare(extra: &Json) -> Result<Prepared, Unprepared> {
    let policies = world();
    policies.prepare(
        &snapshot(&policies),
        &request(("user", "nina"), "can_view", ("doc", "note"), extra),
        &host(),
    )
}

fn bad(path: &str, expected: &str) -> Unprepared {
    Unprepared::BadAttribute { path: path.to_owned(), expected: expected.to_owned() }
}

#[test]
fn requests_that_cannot_be_asked_say_why() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let not_applicable = |action: &str, path, entity_type: &str| Unprepared::NotApplicable {
        action: action.to_owned(),
        path,
        entity_type: entity_type.to_owned(),
    };
    let cases = [
        (("robot", "x"), "view", ("doc", "note"), Unprepared::UnknownType { path: "subject.type" }),
        (("User", "nina"), "view", ("doc", "note"), Unprepared::UnknownType { path: "subject.type" }),
        (("user", "nina"), "view", ("thing", "x"), Unprepared::UnknownType { path: "resource.type" }),
        (("user", "nina"), "fly", ("doc", "note"), Unprepared::UnknownAction),
        (("user", "nobody"), "view", ("doc", "note"), Unprepared::UnknownSubject),
        (("user", "nina"), "view", ("doc", "nothing"), Unprepared::UnknownResource),
        (("user", "nina"), "view", ("set", "x"), not_applicable("view", "resource.type", "DataSet")),
        (("patient", "pat"), "export", ("doc", "note"), not_applicable("export", "subject.type", "Patient")),
        (
            ("user", "nina"),
            "readActions",
            ("doc", "note"),
            not_applicable("readActions", "subject.type", "User"),
        ),
        (
            ("user", "nina"),
            "export",
            ("set", "x"),
            bad("resource.properties.recordCount", "present: an integer"),
        ),
    ];
    for (subject, action, resource, expected) in cases {
        let got = policies.prepare(&snapshot, &request(subject, action, resource, &json!({})), &host());
        assert_eq!(got.unwrap_err(), expected, "{subject:?} {action} {resource:?}");
    }
}

#[test]
fn values_that_do_not_fit_refuse_the_request_without_being_repeated() {
    let dangling = |path: &str| Unprepared::DanglingReference { path: path.to_owned() };
    let cases = [
        (json!({"context": {"purpose": 7}}), bad("context.purpose", "text")),
        (json!({"context": {"session": "secret"}}), bad("context.session", "an object")),
        (json!({"context": {"session": {"mfa": "secret"}}}), bad("context.session.mfa", "true or false")),
        (
            json!({"context": {"zone": "secret"}}),
            bad("context.zone", "the IANA name of a time zone, such as `America/Los_Angeles`"),
        ),
        // A slip's suggestion would tell what was sent.
        (
            json!({"context": {"zone": "America/Los_Angles"}}),
            bad("context.zone", "the IANA name of a time zone, such as `America/Los_Angeles`"),
        ),
        (json!({"context": {"ip": "secret"}}), bad("context.ip", "an IP address or network")),
        (json!({"context": {"wait": "1x"}}), bad("context.wait", "a duration such as `1d2h30m`")),
        (json!({"resource": {"environment": ["secret"]}}), bad("resource.properties.environment", "text")),
        (json!({"action": {"count": 1.5}}), bad("action.properties.count", "an integer")),
        (
            json!({"context": {"destination": {"org": {"type": "Org", "id": "secret"}}}}),
            dangling("context.destination.org"),
        ),
        (
            json!({"resource": {"reader": {"type": "user", "id": "secret"}}}),
            dangling("resource.properties.reader"),
        ),
        (
            json!({"context": {"destination": {"org": {"type": "user", "id": "nina"}}}}),
            bad("context.destination.org", "a reference to a `Org`, with `type` and `id`"),
        ),
    ];
    for (extra, expected) in cases {
        let got = prepare(&extra).unwrap_err();
        assert_eq!(got, expected, "{extra}");
        assert!(!format!("{got:?} {got}").contains("secret"), "{got:?}");
    }
}

#[test]
fn callers_supply_only_what_the_schema_says() {
    let prepared = prepare(&json!({
        "subject": {"desk": "d1", "active": false, "level": 9, "invented": 1},
        "resource": {"environment": "test", "labels": [], "patient": {"type": "Patient", "id": "x"}, "reader": null},
        "action": {"soft": true, "loud": 1},
        "context": {
            "purpose": "TREAT", "now": "1999-01-01T00:00:00Z", "callerEnvironment": "test", "internal": "x",
            "grant": {"type": "Grant", "id": "g"}, "action": {"soft": false}, "unknown": {"deep": [null]},
            "session": {"mfa": true, "unknown": 1},
        },
    }))
    .unwrap();
    let facts = &prepared.facts;
    let text = |text: &str| Ok(Value::Text(text.into()));
    let cases = [
        ("subject.desk", text("d1")),
        ("subject.active", Ok(Value::Boolean(true))),
        ("subject.level", Ok(Value::Integer(3))),
        ("resource.environment", text("test")),
        ("resource.labels", Ok(Value::set([Value::Text("N".into()), Value::Text("R".into())]))),
        ("resource.reader", Err(assent_model::Absence::NotRecorded)),
        ("patient.birthDate", Ok(Value::Date("2012-02-29".parse().unwrap()))),
        ("context.purpose", text("TREAT")),
        ("context.callerEnvironment", text("production")),
        ("context.now", Ok(Value::Instant(host().now))),
        ("context.internal", Err(assent_model::Absence::NotRecorded)),
        ("context.grant", Err(assent_model::Absence::NotRecorded)),
        ("context.session.mfa", Ok(Value::Boolean(true))),
        ("action.soft", Ok(Value::Boolean(true))),
    ];
    for (path, expected) in cases {
        assert_eq!(facts.attribute(path), expected.as_ref().map_err(|absence| *absence), "{path}");
    }
    let mut ignored = prepared.ignored.clone();
    ignored.sort();
    assert_eq!(
        ignored,
        [
            "action.properties.loud",
            "context.action",
            "context.callerEnvironment",
            "context.grant",
            "context.internal",
            "context.now",
            "context.session.unknown",
            "context.unknown",
            "resource.properties.labels",
            "resource.properties.patient",
            "subject.properties.active",
            "subject.properties.invented",
            "subject.properties.level",
        ]
    );
    assert_eq!(facts.action, "view");
    assert_eq!(facts.purpose.as_deref(), Some("TREAT"));
    assert_eq!(facts.today.unwrap().to_string(), "2026-11-21");
    assert!(!format!("{prepared:?}").contains("nina"));
}

#[test]
fn an_entity_that_callers_describe_need_not_be_stored() {
    let policies = world();
    let extra = json!({"resource": {
        "recordCount": 5, "patient": {"type": "patient", "id": "pat"}, "share": 0.25, "secret": true,
    }});
    let prepared = policies
        .prepare(&snapshot(&policies), &request(("user", "nina"), "export", ("set", "new"), &extra), &host())
        .unwrap();
    assert_eq!(prepared.facts.attribute("resource.recordCount"), Ok(&Value::Integer(5)));
    assert_eq!(prepared.facts.attribute("resource.secret"), Err(assent_model::Absence::NotRecorded));
    assert_eq!(prepared.facts.attribute("resource.share"), Ok(&Value::Decimal("0.25".parse().unwrap())));
    assert_eq!(prepared.facts.patient.unwrap().id, EntityId::new("Patient", "pat"));
    assert_eq!(prepared.ignored, ["resource.properties.secret"]);
}

#[test]
fn a_subject_that_is_also_the_resource_is_one_entity() {
    let policies = world();
    let snapshot = snapshot(&policies);
    for extra in [json!({"subject": {"desk": "d1"}}), json!({"resource": {"desk": "d1"}})] {
        let prepared = policies
            .prepare(&snapshot, &request(("patient", "pat"), "view", ("patient", "pat"), &extra), &host())
            .unwrap();
        for path in ["subject.desk", "resource.desk", "patient.desk"] {
            assert_eq!(prepared.facts.attribute(path), Ok(&Value::Text("d1".into())), "{path}");
        }
    }
}

#[test]
fn a_value_that_contradicts_what_is_stored_refuses_the_request() {
    let policies = world();
    let stored = json!([
        {"uid": {"type": "Document", "id": "note"}, "attrs": {"environment": "production"}},
        {"uid": {"type": "DataSet", "id": "march"}, "attrs": {
            "recordCount": 500, "share": "0.25", "patient": {"type": "Patient", "id": "pat"}}},
    ]);
    let snapshot = snapshot_with(&policies, &stored);
    let ask = |action: &str, resource, supplied: Json| {
        let extra = json!({"resource": supplied});
        policies.prepare(&snapshot, &request(("user", "nina"), action, resource, &extra), &host())
    };
    let march = ("set", "march");
    let cases = [
        ("can_view", ("doc", "note"), json!({"environment": "secret"}), "environment"),
        ("export", march, json!({"recordCount": 499}), "recordCount"),
        ("export", march, json!({"recordCount": 500, "share": 0.2501}), "share"),
    ];
    for (action, resource, supplied, name) in cases {
        let refused = ask(action, resource, supplied).unwrap_err();
        let path = format!("resource.properties.{name}");
        assert_eq!(refused, Unprepared::Contradiction { path });
        assert!(!format!("{refused:?} {refused}").contains("secret"));
    }
    // The same value in another form is no contradiction, nor is a value where none is stored.
    let equal = json!({"recordCount": 500, "share": 0.25, "patient": {"type": "patient", "id": "pat"}});
    for supplied in [equal, json!({}), json!({"share": null})] {
        let prepared = ask("export", march, supplied).unwrap();
        assert_eq!(prepared.facts.attribute("resource.recordCount"), Ok(&Value::Integer(500)));
        assert_eq!(prepared.facts.attribute("resource.share"), Ok(&Value::Decimal("0.25".parse().unwrap())));
    }
    assert!(ask("can_view", ("doc", "note"), json!({"environment": "production"})).is_ok());
}

#[test]
fn one_entity_is_not_described_in_two_ways() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let ask = |subject: &str, resource: &str| {
        let extra = json!({"subject": {"desk": subject}, "resource": {"desk": resource}});
        policies.prepare(&snapshot, &request(("patient", "pat"), "view", ("patient", "pat"), &extra), &host())
    };
    let path = "resource.properties.desk".to_owned();
    assert_eq!(ask("d1", "d2").unwrap_err(), Unprepared::Contradiction { path });
    assert_eq!(ask("d1", "d1").unwrap().facts.attribute("subject.desk"), Ok(&Value::Text("d1".into())));
}

#[test]
fn the_host_provides_what_the_schema_requires_of_it_or_nobody_is_asked() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let ask = |values: BTreeMap<String, Value>| {
        let host = HostContext { now: host().now, values };
        policies.prepare(&snapshot, &request(("user", "nina"), "view", ("doc", "note"), &json!({})), &host)
    };
    let refused = Unprepared::HostValue { path: "context.callerEnvironment".into(), expected: "text".into() };
    assert_eq!(ask(BTreeMap::new()).unwrap_err(), refused);
    let wrong = BTreeMap::from([("callerEnvironment".to_owned(), Value::Integer(1))]);
    assert_eq!(ask(wrong).unwrap_err(), refused);
    let with_state = |state: &str| {
        let text = |text: &str| Value::Text(text.into());
        ask(BTreeMap::from([
            ("callerEnvironment".to_owned(), text("production")),
            ("callerState".to_owned(), text(state)),
        ]))
    };
    assert!(with_state("CA").is_ok());
    let expected = "the two-letter USPS code of a state, such as `CA`".to_owned();
    let refused = Unprepared::HostValue { path: "context.callerState".into(), expected };
    assert_eq!(with_state("Californa").unwrap_err(), refused);
}

#[test]
fn the_relation_is_the_one_that_holds_now_to_the_millisecond() {
    let policies = world();
    let grant = |id: &str, person: &str, start: &str, end: Option<&str>| {
        json!({"uid": {"type": "Grant", "id": id}, "attrs": {
            "person": {"type": "User", "id": person}, "patient": {"type": "Patient", "id": "pat"},
            "start": start, "end": end, "verified": true}})
    };
    let noon = "2026-06-01T12:00:00Z";
    let one = json!([grant("a", "nina", noon, Some("2026-06-01T13:00:00Z"))]);
    let cases = [
        // start is inclusive, end is exclusive
        (one.clone(), "2026-06-01T11:59:59.999Z", None),
        (one.clone(), "2026-06-01T12:00:00Z", Some("a")),
        (one.clone(), "2026-06-01T12:59:59.999Z", Some("a")),
        (one, "2026-06-01T13:00:00Z", None),
        // the one that ends last; none ends never; then the smaller id
        (
            json!([
                grant("a", "nina", noon, Some("2026-07-01")),
                grant("b", "nina", noon, Some("2026-08-01"))
            ]),
            noon,
            Some("b"),
        ),
        (
            json!([grant("a", "nina", noon, Some("9999-12-31")), grant("b", "nina", noon, None)]),
            noon,
            Some("b"),
        ),
        (json!([grant("b", "nina", noon, None), grant("a", "nina", noon, None)]), noon, Some("a")),
        (
            json!([
                grant("b", "nina", noon, Some("2026-07-01")),
                grant("a", "nina", noon, Some("2026-07-01"))
            ]),
            noon,
            Some("a"),
        ),
        // somebody else's
        (json!([grant("a", "omar", noon, None)]), noon, None),
        (json!([]), noon, None),
    ];
    for (overrides, now, expected) in cases {
        let snapshot = snapshot_with(&policies, &overrides);
        let prepared = policies
            .prepare(
                &snapshot,
                &request(("user", "nina"), "view", ("doc", "note"), &json!({})),
                &host_at(now),
            )
            .unwrap();
        let got = prepared.facts.context.get("grant").and_then(Value::as_entity).map(|id| id.id.as_str());
        assert_eq!(got, expected, "{overrides} at {now}");
    }
}

#[test]
fn today_changes_at_the_patients_own_midnight() {
    let policies = world();
    let snapshot = snapshot(&policies);
    for (now, expected) in
        [("2030-03-01T07:59:59.999Z", "2030-02-28"), ("2030-03-01T08:00:00Z", "2030-03-01")]
    {
        let prepared = policies
            .prepare(
                &snapshot,
                &request(("user", "nina"), "view", ("doc", "note"), &json!({})),
                &host_at(now),
            )
            .unwrap();
        assert_eq!(prepared.facts.today.unwrap().to_string(), expected);
    }
}

/// Values were read by the schema of then: what policies with another one expect is not known to be there.
#[test]
fn facts_of_another_schema_are_put_before_no_policies() {
    let permit = "@id(\"p\") @intent(\"test\") permit(principal, action, resource);";
    let with = |schema: &str| {
        crate::load(&[SourceFile::new("s", schema)], &[SourceFile::new("p", permit)], names()).unwrap()
    };
    let (policies, other) = (with(SCHEMA), with(&SCHEMA.replace("level?: Long", "level?: String")));
    let question = request(("user", "nina"), "view", ("doc", "note"), &json!({}));
    let ours = snapshot(&policies);
    assert!(policies.prepare(&ours, &question, &host()).is_ok());
    assert_eq!(other.prepare(&ours, &question, &host()).unwrap_err(), Unprepared::Facts);
    // Whatever the name of the file.
    assert!(crate::testing::policies(&[]).prepare(&ours, &question, &host()).is_ok());
}

#[test]
fn codes_of_refusals_are_distinct() {
    let path = String::new;
    let all = [
        Unprepared::UnknownSubject,
        Unprepared::UnknownResource,
        Unprepared::UnknownAction,
        Unprepared::UnknownType { path: "" },
        Unprepared::NotApplicable { action: path(), path: "", entity_type: path() },
        Unprepared::BadAttribute { path: path(), expected: path() },
        Unprepared::Contradiction { path: path() },
        Unprepared::DanglingReference { path: path() },
        Unprepared::HostValue { path: path(), expected: path() },
        Unprepared::Facts,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(Unprepared::code).collect();
    assert_eq!(codes.len(), all.len());
}
