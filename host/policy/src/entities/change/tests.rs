//! Tests of changes: however a snapshot came about, it is the one that a load of what results gives.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use super::*;
use crate::entities::{Edit, MissingEntities};
use crate::source::SourceFile;
use crate::testing::{ENTITIES, SCHEMA, host, names, policies, request, snapshot};

fn world() -> Policies {
    policies(&[
        "permit(principal, action, resource);",
        "forbid(principal, action, resource) when { principal is User && !(principal.org in Org::\"o2\") };",
        "forbid(principal in Role::\"r0\", action, resource) when { Org::\"o0\" in Org::\"o1\" };",
        "forbid(principal, action, resource) when { context has grant && context.grant.verified && context.grant.person.active };",
        "forbid(principal, action, resource is Document) when { resource has author && resource.author in Org::\"o2\" };",
    ])
}

fn put(entity: &Json) -> Edit {
    Edit::Put(SourceFile::new("edit", entity.to_string()))
}

fn remove(kind: &str, id: &str) -> Edit {
    Edit::Remove(EntityId::new(kind, id))
}

fn role(id: &str, parents: &[&str]) -> Json {
    let parents: Vec<Json> = parents.iter().map(|parent| json!({"type": "Role", "id": parent})).collect();
    json!({"uid": {"type": "Role", "id": id}, "parents": parents})
}

fn refused(policies: &Policies, snapshot: &Snapshot, edits: &[Edit]) -> Vec<String> {
    policies.change(snapshot, edits).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_others_refer_to_is_not_removed_unless_they_go_or_change_as_well() {
    let policies = world();
    let snapshot = snapshot(&policies);
    assert_eq!(
        refused(&policies, &snapshot, &[remove("Org", "root"), remove("User", "omar")]),
        [
            "removals: `Org::\"root\"` cannot be removed: referred to by 1 `Org`; remove or change what refers to it in the same change",
            "removals: `User::\"omar\"` cannot be removed: referred to by 1 `Document`, 1 `User`; remove or change what refers to it in the same change",
        ]
    );
    let nina = json!({"uid": {"type": "User", "id": "nina"},
        "attrs": {"org": {"type": "Org", "id": "clinic"}, "active": true}});
    let batch = [remove("User", "omar"), remove("Document", "note"), put(&nina), remove("Org", "other")];
    let after = policies.change(&snapshot, &batch).unwrap();
    assert_eq!((snapshot.facts().len(), after.facts().len()), (9, 6));
    // What is put and still refers to it says so itself.
    let mut nina = nina;
    nina["attrs"]["friends"] = json!([{"type": "User", "id": "omar"}]);
    assert_eq!(
        refused(&policies, &snapshot, &[remove("User", "omar"), remove("Document", "note"), put(&nina)]),
        [
            "edit:1:1: `User::\"nina\"`: attrs.friends refers to `User::\"omar\"`, which is not among the entities"
        ]
    );
    // Nothing refers to it any more; of what is not there, nothing is left to remove.
    let gone = policies.change(&after, &[remove("User", "nina")]).unwrap();
    assert_eq!(gone.digest(), policies.change(&gone, &[remove("User", "nina")]).unwrap().digest());
}

#[test]
fn all_that_is_wrong_with_a_change_is_said_at_once() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let edits = [
        put(&role("staff", &["nurse"])),
        put(&json!({"uid": {"type": "Role", "id": "x"}, "attrs": {"a": 1}})),
        put(&role("y", &["nurze"])),
        put(&role("z", &[])),
        put(&role("z", &[])),
        remove("Role", "z"),
        remove("Org", "other"),
    ];
    assert_eq!(
        refused(&policies, &snapshot, &edits),
        [
            "edit:1:1: `Role::\"staff\"` is its own ancestor",
            "edit:1:1: `Role::\"x\"`: attrs.a is not in the schema; there are none",
            "edit:1:1: `Role::\"y\"`: parents refers to `Role::\"nurze\"`, which is not among the entities",
            "edit:1:1: `Role::\"z\"` appears twice; the other is at edit:1",
            "edit:1:1: `Role::\"z\"` is both put and removed",
            "removals: `Org::\"other\"` cannot be removed: referred to by 1 `User`; remove or change what refers to it in the same change",
        ]
    );
    let text = |text: &str| refused(&policies, &snapshot, &[Edit::Put(SourceFile::new("e", text))]);
    assert_eq!(
        text(r#"{"uid": {"type": "Role", "id": "r"}, "uid": 1}"#),
        [
            "e:1:42: this is not a JSON entity: the member `uid` is there twice; references between entities were not checked because of it"
        ]
    );
    assert_eq!(text("[]").len(), 1);
}

#[test]
fn what_is_below_an_entity_moves_with_it() {
    let policies = world();
    let before = snapshot(&policies);
    let ancestors = |snapshot: &Snapshot, kind: &str, id: &str| {
        let entity = snapshot.entity(&EntityId::new(kind, id)).unwrap();
        entity.ancestors.iter().map(|id| id.id.to_string()).collect::<Vec<_>>()
    };
    let moved = policies
        .change(
            &before,
            &[put(&json!({"uid": {"type": "Org", "id": "clinic"}, "parents": [{"type": "Org", "id": "new"}]})),
              put(&json!({"uid": {"type": "Org", "id": "new"}}))],
        )
        .unwrap();
    assert_eq!(ancestors(&before, "User", "nina"), ["clinic", "root", "nurse", "staff"]);
    assert_eq!(ancestors(&moved, "User", "nina"), ["clinic", "new", "nurse", "staff"]);
    assert_eq!(ancestors(&moved, "Document", "note"), ["clinic", "new"]);
    assert_eq!(ancestors(&moved, "User", "omar"), ["other"]);
    // Siblings share one list, also with what comes later.
    let list = |snapshot: &Snapshot, kind: &str, id: &str| {
        Arc::clone(&snapshot.entity(&EntityId::new(kind, id)).unwrap().ancestors)
    };
    let later = json!({"uid": {"type": "Document", "id": "later"}, "parents": [{"type": "Org", "id": "clinic"}],
        "attrs": {"patient": {"type": "Patient", "id": "pat"}, "labels": []}});
    let later = policies.change(&moved, &[put(&later)]).unwrap();
    assert!(Arc::ptr_eq(&list(&later, "Document", "later"), &list(&later, "Patient", "pat")));
}

#[test]
fn what_a_change_does_not_touch_is_shared() {
    let policies = world();
    let before = snapshot(&policies);
    let org = json!({"uid": {"type": "Org", "id": "clinic"}, "attrs": {"state": "OH"}, "parents": [{"type": "Org", "id": "root"}]});
    let after = policies.change(&before, &[put(&org)]).unwrap();
    for entity in before.facts().iter() {
        let same = Arc::ptr_eq(entity, after.entity(&entity.id).unwrap());
        assert_eq!(same, *entity.id.id != *"clinic", "{:?}", entity.id);
    }
}

/// A small world of edits: few names, so that they meet, and most references lead somewhere.
#[derive(Clone, Debug)]
struct Step {
    id: EntityId,
    /// `None`: it is removed.
    entity: Option<Json>,
}

const NUMBER: std::ops::Range<u8> = 0..3;

fn name(kind: &str, number: u8) -> String {
    match kind {
        "Org" => format!("o{number}"),
        "Role" => format!("r{number}"),
        // Long enough not to stand in place.
        kind => format!("{kind}-with-quite-a-long-name-{number}"),
    }
}

fn uid(kind: &str, number: u8) -> Json {
    json!({"type": kind, "id": name(kind, number)})
}

fn step() -> impl Strategy<Value = Step> {
    let kinds =
        proptest::sample::select(&["Org", "Role", "User", "User", "Patient", "Grant", "Document"][..]);
    let references = proptest::array::uniform4(NUMBER);
    (kinds, NUMBER, references, 0_u8..16, 0_u8..4).prop_map(|(kind, number, to, bits, chance)| {
        let bit = |place: u8| bits >> place & 1 == 1;
        let parents = |kinds: &[&str]| -> Vec<Json> {
            let all = kinds.iter().zip(to).zip(0..);
            all.filter(|(_, place)| bit(*place)).map(|((kind, to), _)| uid(kind, to)).collect()
        };
        let (attrs, parents) = match kind {
            "Org" => (if bit(3) { json!({"quarantined": bit(2)}) } else { json!({}) }, parents(&["Org", "Org"])),
            "Role" => (json!({}), parents(&["Role", "Role"])),
            "User" => {
                let mut attrs = json!({"org": uid("Org", to[0]), "active": bit(3)});
                if bit(2) {
                    attrs["friends"] = json!([uid("User", to[2]), uid("User", to[3])]);
                }
                (attrs, parents(&["Org", "Role"]))
            }
            "Patient" => (
                json!({"org": uid("Org", to[0]), "birthDate": "2012-02-29", "timeZone": "UTC", "active": bit(3)}),
                parents(&["Org", "Org"]),
            ),
            "Grant" => (
                json!({"person": uid("User", to[0]), "patient": uid("Patient", to[1]), "start": "2026-01-01",
                    "verified": bit(0)}),
                vec![],
            ),
            _ => {
                let mut attrs = json!({"patient": uid("Patient", to[0]), "labels": ["R"]});
                if bit(3) {
                    attrs["author"] = uid("User", to[1]);
                    attrs["notes"] = json!([{"who": uid("User", to[2])}]);
                }
                (attrs, parents(&["Org", "Org"]))
            }
        };
        let entity = json!({"uid": uid(kind, number), "attrs": attrs, "parents": parents});
        Step { id: EntityId::new(kind, name(kind, number)), entity: (chance > 0).then_some(entity) }
    })
}

/// Where every sequence begins: one of each, in nothing.
fn begun() -> Files {
    let mut files = Files::new();
    for number in NUMBER {
        let org = uid("Org", number);
        for (kind, attrs) in [
            ("Org", json!({})),
            ("Role", json!({})),
            ("User", json!({"org": org, "active": true})),
            ("Patient", json!({"org": org, "birthDate": "2012-02-29", "timeZone": "UTC", "active": true})),
        ] {
            let entity = json!({"uid": uid(kind, number), "attrs": attrs});
            files.insert(EntityId::new(kind, name(kind, number)), entity);
        }
    }
    files
}

fn edit(step: &Step) -> Edit {
    step.entity.as_ref().map_or_else(|| Edit::Remove(step.id.clone()), put)
}

/// What is stored, said with a map.
type Files = BTreeMap<EntityId, Json>;

fn with(files: &Files, steps: &[Step]) -> Files {
    let mut files = files.clone();
    for step in steps {
        match &step.entity {
            Some(entity) => drop(files.insert(step.id.clone(), entity.clone())),
            None => drop(files.remove(&step.id)),
        }
    }
    files
}

fn load(policies: &Policies, files: &Files) -> Result<Snapshot, LoadErrors> {
    let text = serde_json::to_string(&files.values().collect::<Vec<_>>()).unwrap();
    policies.load_entities(&[SourceFile::new("all.json", text)])
}

/// Everything that can be known of a snapshot, as text.
fn told(policies: &Policies, snapshot: &Snapshot) -> Vec<String> {
    let MissingEntities { slips, notes } = policies.missing_entities(snapshot);
    let mut told = vec![snapshot.digest().to_string()];
    told.extend(slips.iter().chain(&notes).map(ToString::to_string));
    let facts = snapshot.facts();
    let mut all: Vec<&Arc<Entity>> = facts.iter().collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let names =
        |found: &mut dyn Iterator<Item = &EntityId>| found.map(ToString::to_string).collect::<Vec<_>>();
    for entity in &all {
        told.push(serde_json::to_string(entity).unwrap());
        told.push(format!("parents {:?}", names(&mut parents(&snapshot.inner, &entity.id))));
        let mut referring: Vec<_> =
            snapshot.inner.referring_to(&entity.id).map(|entity| &entity.id).collect();
        referring.sort();
        assert!(referring.is_sorted_by(|one, next| one < next), "each once: {referring:?}");
        told.push(format!("referring {:?}", names(&mut referring.into_iter())));
        let to_patients = all.iter().filter(|other| other.id.kind == "Patient");
        let grants = to_patients.flat_map(|patient| facts.relations("Grant", &entity.id, &patient.id));
        told.push(format!("grants {:?}", names(&mut grants.map(|grant| &grant.id))));
    }
    for user in NUMBER {
        for number in NUMBER {
            let questions =
                [("patient", "Patient", "view"), ("doc", "Document", "view"), ("set", "DataSet", "export")];
            for (word, kind, action) in questions {
                let extra = match kind {
                    "DataSet" => {
                        json!({"resource": {"recordCount": 1, "patient": {"type": "patient", "id": name("Patient", number)}}})
                    }
                    _ => json!({"subject": {"desk": "d"}}),
                };
                for extra in [extra, json!({})] {
                    let (user, object) = (name("User", user), name(kind, number));
                    let request = request(("user", &user), action, (word, &object), &extra);
                    told.push(match policies.prepare(snapshot, &request, &host()) {
                        Ok(prepared) => format!("{:?}", policies.evaluate(&prepared)),
                        Err(unprepared) => unprepared.to_string(),
                    });
                }
            }
        }
    }
    told
}

/// One by one, in batches, and as a load of what results: the same snapshots, and the same refused.
#[test]
fn changes_lead_where_a_load_of_what_results_leads() {
    let policies = world();
    // A permit tells that each forbid was false at that time.
    const OUTCOMES: [&str; 5] = ["effect: Permit", "id: \"p2\"", "id: \"p3\"", "id: \"p4\"", "id: \"p5\""];
    let counts = OUTCOMES.map(|_| Cell::new(0));
    let strategy = (proptest::collection::vec(step(), 1..30), 1_usize..8);
    let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..ProptestConfig::default() });
    let ran = runner.run(&strategy, |(steps, size)| {
        for size in [1, size] {
            let mut files = begun();
            let mut snapshot = load(&policies, &files).unwrap();
            let mut seen = vec![];
            for steps in steps.chunks(size) {
                // Of several edits of one entity in a batch, the last.
                let last: BTreeMap<&EntityId, &Step> = steps.iter().map(|step| (&step.id, step)).collect();
                let edits: Vec<Edit> = last.into_values().map(edit).collect();
                let result = with(&files, steps);
                let changed = policies.change(&snapshot, &edits);
                let loaded = load(&policies, &result);
                prop_assert_eq!(changed.is_ok(), loaded.is_ok(), "{:?} {:?}", changed, loaded);
                let (Ok(changed), Ok(loaded)) = (changed, loaded) else { continue };
                let now = told(&policies, &changed);
                prop_assert_eq!(&now, &told(&policies, &loaded));
                for (outcome, count) in OUTCOMES.iter().zip(&counts) {
                    count.set(count.get() + now.iter().filter(|line| line.contains(outcome)).count());
                }
                (snapshot, files) = (changed.clone(), result);
                seen.push((changed, now));
            }
            // Nothing that came later has changed what was there before.
            for (before, then) in seen {
                prop_assert_eq!(told(&policies, &before), then);
            }
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}\n{runner}"));
    // Were one of them always or never true, an entity that a slice lacks could go unseen.
    assert!(counts.iter().all(|count| count.get() > 0), "{OUTCOMES:?}: {counts:?}");
}

#[test]
fn a_snapshot_of_another_schema_is_not_changed() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let commented = SourceFile::new("s", format!("{SCHEMA}// The same, and who knows?"));
    let other = crate::load(&[commented], &[], names()).unwrap();
    for edits in [vec![], vec![remove("User", "nobody")], vec![put(&role("r", &[]))]] {
        assert_eq!(
            refused(&other, &snapshot, &edits),
            ["entities: they were loaded with another schema; load them all with these policies"]
        );
        assert!(policies.change(&snapshot, &edits).is_ok());
        // Other policies with the same schema may change it.
        assert!(crate::testing::policies(&[]).change(&snapshot, &edits).is_ok());
    }
}

#[test]
fn what_is_wrong_with_a_change_names_no_entity_that_it_does_not_name_and_debug_names_none() {
    let policies = world();
    let snapshot = snapshot(&policies);
    let edits = [
        put(&json!({"uid": {"type": "User", "id": "put"}, "attrs": {"org": {"type": "Org", "id": "clini"},
            "active": true, "friends": [{"type": "User", "id": "nino"}]}})),
        put(
            &json!({"uid": {"type": "User", "id": "odd"}, "attrs": {"org": {"type": "Org", "id": "o"}, "active": 7}}),
        ),
        put(&role("nurses", &["nurze", "staf"])),
        remove("User", "omar"),
        remove("Org", "clinic"),
        remove("Patient", "pat"),
    ];
    let errors = policies.change(&snapshot, &edits).unwrap_err();
    let (text, debug) = (errors.to_string(), format!("{errors:?}"));
    for id in ["nina", "note", "nurse`", "nurse\"", "staff", "root", "other"] {
        assert!(!text.contains(id), "{id}: {text}");
    }
    for id in ["omar", "clinic", "pat", "nino", "odd", "nurze"] {
        assert!(text.contains(id) && !debug.contains(id), "{id}: {text} {debug}");
    }
    assert!(debug.starts_with("LoadErrors([LoadProblem(edit:1:1), "), "{debug}");
    // What is read with it is near enough to be looked through.
    let near = [put(&role("surgeon", &[])), put(&role("a", &["surgeom"]))];
    assert_eq!(
        refused(&policies, &snapshot, &near),
        [
            "edit:1:1: `Role::\"a\"`: parents refers to `Role::\"surgeom\"`, which is not among the entities; did you mean `surgeon`?"
        ]
    );
}

#[test]
fn the_files_of_the_small_world_are_a_change_of_nothing() {
    let policies = world();
    let items: Vec<Json> = serde_json::from_str(ENTITIES).unwrap();
    let edits: Vec<Edit> = items.iter().map(put).collect();
    let changed = policies.change(&policies.empty_snapshot(), &edits).unwrap();
    assert_eq!(told(&policies, &changed), told(&policies, &snapshot(&policies)));
    // And back, which leaves nothing, not even in the digest.
    let removals: Vec<Edit> = changed.facts().iter().map(|entity| Edit::Remove(entity.id.clone())).collect();
    let nothing = policies.change(&changed, &removals).unwrap();
    assert_eq!(told(&policies, &nothing), told(&policies, &policies.empty_snapshot()));
}
