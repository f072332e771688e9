//! Tests of loading entities: what is refused, and what becomes of what is not.

use assent_model::Value;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{ENTITIES, host, policies, snapshot, snapshot_with};

fn world() -> Policies {
    policies(&["permit(principal, action, resource);"])
}

fn problems(entities: &Json) -> Vec<String> {
    let file = SourceFile::new("e.json", serde_json::to_string_pretty(entities).unwrap());
    match world().load_entities(&[SourceFile::new("clinic.json", ENTITIES), file]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

fn document(attributes: &Json) -> Json {
    let mut all = json!({"patient": {"type": "Patient", "id": "pat"}, "labels": []});
    for (name, value) in attributes.as_object().unwrap() {
        all[name] = value.clone();
    }
    json!([{"uid": {"type": "Document", "id": "d"}, "attrs": all, "parents": []}])
}

#[test]
fn entities_that_do_not_fit_are_reported_with_their_place() {
    let patient = json!({"type": "Patient", "id": "pat"});
    let cases: Vec<(Json, &[&str])> = vec![
        (
            json!([{"uid": {"type": "Documnt", "id": "d"}}]),
            &["e.json:2:3: uid.type: the schema has no entity type `Documnt`; did you mean `Document`?"],
        ),
        (
            json!([{"uid": {"type": "Role", "id": "r"}}, {"uid": {"type": "Role", "id": "r"}}]),
            &["e.json:8:3: `Role::\"r\"` appears twice; the other is at e.json:2"],
        ),
        (
            document(&json!({"lables": ["R"]})),
            &["e.json:2:3: `Document::\"d\"`: attrs.lables is not in the schema; did you mean `labels`?"],
        ),
        (
            document(&json!({"labels": ["R", 1]})),
            &["e.json:2:3: `Document::\"d\"`: attrs.labels[1] must be text"],
        ),
        (
            json!([{"uid": {"type": "Document", "id": "d"}, "attrs": {"patient": patient}, "parent": []}]),
            &[
                "e.json:2:3: `Document::\"d\"`: attrs.labels must be present: a list, each element text",
                "e.json:2:3: an entity has no member `parent`; did you mean `parents`?",
            ],
        ),
        (
            document(&json!({"author": {"type": "User", "id": "nino"}})),
            &[
                "e.json:2:3: `Document::\"d\"`: attrs.author refers to `User::\"nino\"`, which is not among the entities; did you mean `nina`?",
            ],
        ),
        (
            document(&json!({"notes": [{"who": {"type": "User", "id": "nobody-at-all"}}]})),
            &[
                "e.json:2:3: `Document::\"d\"`: attrs.notes refers to `User::\"nobody-at-all\"`, which is not among the entities",
            ],
        ),
        (
            document(&json!({"notes": [{"at": "2026-01-01"}]})),
            &[
                "e.json:2:3: `Document::\"d\"`: attrs.notes[0].who must be present: a reference to a `User`, with `type` and `id`",
            ],
        ),
        (
            json!([{"uid": {"type": "Role", "id": "r"}, "parents": [{"type": "Role", "id": "gone"}, {"type": "Org", "id": "clinic"}, 1]}]),
            &[
                "e.json:2:3: `Role::\"r\"`: parents refers to `Role::\"gone\"`, which is not among the entities",
                "e.json:2:3: `Role::\"r\"`: parents[1]: a `Role` cannot be in a `Org`; known are `Role`",
                "e.json:2:3: `Role::\"r\"`: parents[2] must be an object with `type` and `id`",
            ],
        ),
        (
            json!([{"uid": {"type": "Role", "id": "a"}, "parents": [{"type": "Role", "id": "b"}]},
                   {"uid": {"type": "Role", "id": "b"}, "parents": [{"type": "Role", "id": "a"}]}]),
            &[
                "e.json:2:3: `Role::\"a\"` is its own ancestor",
                "e.json:14:3: `Role::\"b\"` is its own ancestor",
            ],
        ),
        (
            json!([{"uid": {"type": "Patient", "id": "p"}, "attrs": {"org": {"type": "Org", "id": "clinic"},
                "birthDate": "2011-02-29", "timeZone": "UTC", "active": true}}]),
            &["e.json:2:3: `Patient::\"p\"`: attrs.birthDate must be a date such as `2012-02-29`"],
        ),
        (
            json!([{"uid": {"type": "Patient", "id": "p"}, "attrs": {"org": {"type": "Org", "id": "clinic"},
                "birthDate": "2011-02-28", "timeZone": "America/Los_Angles", "active": true}},
                {"uid": {"type": "Org", "id": "o"}, "attrs": {"state": "Californa"}},
                {"uid": {"type": "Org", "id": "q"}, "attrs": {"servesStates": ["CA", "ny", "Ontario"]}}]),
            &[
                "e.json:2:3: `Patient::\"p\"`: attrs.timeZone must be the IANA name of a time zone, such as `America/Los_Angeles`; did you mean `America/Los_Angeles`?",
                "e.json:17:3: `Org::\"o\"`: attrs.state must be the two-letter USPS code of a state, such as `CA`; did you mean `CA`?",
                "e.json:26:3: `Org::\"q\"`: attrs.servesStates[1] must be the two-letter USPS code of a state, such as `CA`; did you mean `NY`?",
                "e.json:26:3: `Org::\"q\"`: attrs.servesStates[2] must be the two-letter USPS code of a state, such as `CA`",
            ],
        ),
        (
            json!([{"uid": {"type": "Colour", "id": "blu"}}]),
            &["e.json:2:3: `Colour::\"blu\"`: the schema does not list this id; did you mean `blue`?"],
        ),
        (
            json!([3]),
            &[
                "e.json:2:3: an entity must be an object; write `{\"uid\": {\"type\": \"...\", \"id\": \"...\"}, \"attrs\": {}, \"parents\": []}`; references between entities were not checked because of it",
            ],
        ),
    ];
    for (entities, expected) in cases {
        assert_eq!(problems(&entities), *expected, "{entities}");
    }
}

#[test]
fn what_follows_from_an_entity_that_was_not_read_is_not_listed() {
    let refers = |id: &str| {
        json!([{"uid": {"type": "Role", "id": "r"}, "parents": [{"type": "Role", "id": id}]}]).to_string()
    };
    let cases = [
        (
            r#"[{"uid": {"type": "Role", "id": "gone"}}"#,
            vec![
                "bad.json:1:40: this is not a JSON list of entities: EOF while parsing a list; references between entities were not checked because of it",
            ],
        ),
        (
            r#"[{"id": "gone"}]"#,
            vec![
                "bad.json:1:2: `uid` must be an object with `type` and `id`, both text; references between entities were not checked because of it",
                "bad.json:1:2: an entity has no member `id`; did you mean `uid`?",
            ],
        ),
        // Refused by name: only what refers to it is passed over.
        (
            r#"[{"uid": {"type": "Rol", "id": "gone"}}]"#,
            vec!["bad.json:1:2: uid.type: the schema has no entity type `Rol`; did you mean `Role`?"],
        ),
        (
            "[]",
            vec![
                "e.json:1:2: `Role::\"r\"`: parents refers to `Role::\"gone\"`, which is not among the entities",
            ],
        ),
    ];
    for (bad, expected) in cases {
        let files = [SourceFile::new("bad.json", bad), SourceFile::new("e.json", refers("gone"))];
        let problems = world().load_entities(&files).unwrap_err().0;
        let mut shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        shown.sort();
        assert_eq!(shown, expected, "{bad}");
    }
    let files = [
        SourceFile::new("bad.json", r#"[{"uid": {"type": "Rol", "id": "other"}}]"#),
        SourceFile::new("e.json", refers("gone")),
    ];
    assert_eq!(world().load_entities(&files).unwrap_err().0.len(), 2);
}

#[test]
fn text_that_is_not_a_list_says_where() {
    let error =
        |text: &str| world().load_entities(&[SourceFile::new("e.json", text)]).unwrap_err().to_string();
    assert!(
        error("[\n  {,").starts_with("e.json:2:4: this is not a JSON list of entities"),
        "{}",
        error("[\n  {,")
    );
    assert!(error("{}").starts_with("e.json:1:"), "{}", error("{}"));
    let nested = "[".repeat(100_000);
    assert!(error(&nested).contains("not a JSON list"));
}

#[test]
fn cedar_and_everything_else_see_the_same_entities() {
    let policies = world();
    let snapshot = snapshot(&policies);
    assert_eq!(snapshot.facts().len(), 9);
    let note = snapshot.entity(&EntityId::new("Document", "note")).unwrap();
    assert_eq!(
        note.attributes.get("made").unwrap().as_instant().unwrap().to_string(),
        "2026-01-02T00:00:00Z"
    );
    assert_eq!(*note.ancestors, [EntityId::new("Org", "clinic"), EntityId::new("Org", "root")]);
    let slice = snapshot.slice(&policies, &[], [&note.id], host().now).unwrap();
    let json = slice.get(&"Document::\"note\"".parse().unwrap()).unwrap().to_json_value().unwrap();
    let expected = json!({
        "uid": {"type": "Document", "id": "note"},
        "attrs": {
            "author": {"__entity": {"type": "User", "id": "nina"}},
            "labels": ["N", "R"],
            "made": {"__extn": {"fn": "datetime", "arg": "2026-01-02T00:00:00.000Z"}},
            "net": {"__extn": {"fn": "ip", "arg": "10.0.0.0/8"}},
            "notes": [{"at": {"__extn": {"fn": "datetime", "arg": "2026-01-02T03:04:05.006Z"}},
                       "who": {"__entity": {"type": "User", "id": "omar"}}}],
            "patient": {"__entity": {"type": "Patient", "id": "pat"}},
        },
    });
    assert_eq!((&json["uid"], &json["attrs"]), (&expected["uid"], &expected["attrs"]));
    // The actions are there, or `action in` a group would be silently false.
    assert!(slice.get(&"Action::\"view\"".parse().unwrap()).is_some());
    assert!(!format!("{snapshot:?}").contains("nina"));
}

#[test]
fn every_entity_reads_back_from_its_json_as_the_same() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let all: Vec<Json> = snapshot.facts().iter().map(|entity| snapshot.json(&entity.id).unwrap()).collect();
    assert_eq!(all.len(), snapshot.facts().len());
    let file = SourceFile::new("again.json", serde_json::to_string(&all).unwrap());
    assert_eq!(policies.load_entities(&[file]).unwrap().digest(), snapshot.digest());
    assert!(snapshot.json(&EntityId::new("User", "nobody")).is_none());
}

#[test]
fn the_digest_follows_content_and_not_order() {
    let policies = world();
    let items: Vec<Json> = serde_json::from_str(ENTITIES).unwrap();
    let digest = |items: &[Json]| {
        let half = items.len() / 2;
        let file = |items: &[Json]| SourceFile::new("e.json", serde_json::to_string(items).unwrap());
        policies.load_entities(&[file(&items[..half]), file(&items[half..])]).unwrap().digest()
    };
    let reversed: Vec<Json> = items.iter().rev().cloned().collect();
    assert_eq!(digest(&items), digest(&reversed));
    let changed = snapshot_with(
        &policies,
        &json!([{"uid": {"type": "Org", "id": "clinic"}, "attrs": {"state": "OH"}}]),
    );
    assert_ne!(digest(&items), changed.digest());
}

#[test]
fn overrides_replace_single_attributes_add_entities_and_take_them_away() {
    let policies = world();
    let snapshot = snapshot_with(
        &policies,
        &json!([
            {"uid": {"type": "User", "id": "nina"}, "attrs": {"level": null, "active": false}},
            {"uid": {"type": "Role", "id": "new"}},
            {"uid": {"type": "Role", "id": "new"}, "parents": [{"type": "Role", "id": "staff"}]},
            {"uid": {"type": "Document", "id": "note"}, "absent": true},
        ]),
    );
    let nina = snapshot.entity(&EntityId::new("User", "nina")).unwrap();
    assert_eq!(nina.attributes.get("active").and_then(Value::as_boolean), Some(false));
    assert!(!nina.attributes.contains_key("level") && nina.attributes.contains_key("friends"));
    assert_eq!(nina.ancestors.len(), 4);
    let new = snapshot.entity(&EntityId::new("Role", "new")).unwrap();
    assert_eq!(*new.ancestors, [EntityId::new("Role", "staff")]);
    assert!(snapshot.entity(&EntityId::new("Document", "note")).is_none());
}

#[test]
fn a_slice_shares_entities_and_holds_only_what_can_be_reached() {
    let policies = policies(&["permit(principal, action, resource) when { User::\"omar\".active };"]);
    let snapshot = snapshot(&policies);
    let pat = EntityId::new("Patient", "pat");
    let slice = snapshot.slice(&policies, &[], [&pat], host().now).unwrap();
    let mut uids: Vec<_> = slice.iter().map(|entity| entity.uid().to_string()).collect();
    // All actions are there, whatever is reached.
    assert_eq!(
        uids.iter().filter(|uid| uid.starts_with("Action::")).count(),
        policies.schema.action_entities().count()
    );
    uids.retain(|uid| !uid.starts_with("Action::"));
    uids.sort();
    assert_eq!(
        uids,
        ["Org::\"clinic\"", "Org::\"other\"", "Org::\"root\"", "Patient::\"pat\"", "User::\"omar\""]
    );
}

#[test]
fn names_in_policies_that_no_entity_has_are_slips_or_noted() {
    let policies = policies(&[
        "permit(principal in Role::\"nurse\", action == Action::\"view\", resource);",
        "forbid(principal in Role::\"nurze\", action, resource);",
        "forbid(principal, action, resource) when { principal is User && principal.org == Org::\"clnic\" };",
        "forbid(principal in Role::\"surgeon\", action, resource);",
        // Short names and numbers in a series are other names, not slips.
        "forbid(principal in Role::\"ward-2\", action, resource);",
        "forbid(principal in Role::\"b\", action, resource);",
        // Callers describe it.
        "forbid(principal, action == Action::\"export\", resource == DataSet::\"all\");",
    ]);
    let roles = json!([{"uid": {"type": "Role", "id": "ward-1"}}, {"uid": {"type": "Role", "id": "a"}}]);
    let missing = policies.missing_entities(&snapshot_with(&policies, &roles));
    let shown = |problems: &[LoadProblem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown(&missing.slips),
        [
            "p.cedar:2:1: policy `p2` names `Role::\"nurze\"`, which is not among the entities; did you mean `nurse`? if not, add `Role::\"nurze\"` to the entities",
            "p.cedar:3:1: policy `p3` names `Org::\"clnic\"`, which is not among the entities; did you mean `clinic`? if not, add `Org::\"clnic\"` to the entities",
        ]
    );
    assert_eq!(
        shown(&missing.notes),
        [
            "p.cedar:4:1: policy `p4` names `Role::\"surgeon\"`, which is not among the entities",
            "p.cedar:5:1: policy `p5` names `Role::\"ward-2\"`, which is not among the entities",
            "p.cedar:6:1: policy `p6` names `Role::\"b\"`, which is not among the entities",
        ]
    );
}
