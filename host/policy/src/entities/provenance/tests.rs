//! Tests of how old facts may be: read with entities, and asked for by every question that can reach them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::Unprepared;
use crate::testing::{ENTITIES, SCHEMA, host_at, names, request};
use crate::{Edit, Policies, Snapshot, SourceFile, load};

/// The small world, whose users must be confirmed each month and whose grants must be verified every ten days.
fn world() -> Policies {
    let schema = SCHEMA.replacen("active: Bool", "@fresh(\"30d\") active: Bool", 1).replacen(
        "verified: Bool",
        "@fresh(\"10d\") verified: Bool",
        1,
    );
    let policy = "@id(\"p\") @intent(\"test\") permit(principal, action, resource);";
    let files = [SourceFile::new("c.cedarschema", schema)];
    load(&files, &[SourceFile::new("p.cedar", policy)], names()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Its entities, with users' facts of this moment.
fn of(policies: &Policies, provided: &str) -> Snapshot {
    let stamp = json!({"provenance": {"*": {"at": provided}}});
    let changes = ["nina", "omar"].map(|id| {
        let mut change = json!({"uid": {"type": "User", "id": id}});
        change.as_object_mut().unwrap().extend(stamp.as_object().unwrap().clone());
        change
    });
    let files = [SourceFile::new("clinic.json", ENTITIES)];
    let changes = [SourceFile::new("o.json", Json::from(changes.to_vec()).to_string())];
    policies.load_entities_with(&files, &changes).unwrap_or_else(|errors| panic!("{errors}"))
}

fn with(policies: &Policies, snapshot: &Snapshot, entity: &Json) -> Result<Snapshot, String> {
    let edit = Edit::Put(SourceFile::new("e", entity.to_string()));
    policies.change(snapshot, &[edit]).map_err(|errors| errors.to_string())
}

fn asked(
    policies: &Policies,
    snapshot: &Snapshot,
    subject: (&str, &str),
    now: &str,
) -> Result<(), Unprepared> {
    let question = request(subject, "can_view", ("patient", "pat"), &json!({}));
    policies.prepare(snapshot, &question, &host_at(now)).map(drop)
}

fn stale(path: &str) -> Unprepared {
    Unprepared::Stale { path: path.to_owned() }
}

#[test]
fn a_fact_counts_until_just_before_it_is_too_old() {
    let policies = world();
    let snapshot = of(&policies, "2026-11-01T00:00:00Z");
    let nina = |now| asked(&policies, &snapshot, ("user", "nina"), now);
    assert_eq!(nina("2026-11-30T23:59:59.999Z"), Ok(()));
    assert_eq!(nina("2026-12-01T00:00:00Z"), Err(stale("User.active")));
    // Who has no such fact, and reaches none, is not concerned.
    assert_eq!(asked(&policies, &snapshot, ("patient", "pat"), "2030-01-01T00:00:00Z"), Ok(()));
}

#[test]
fn a_fact_of_the_future_does_not_count_but_for_what_clocks_differ() {
    let policies = world();
    let snapshot = of(&policies, "2026-11-01T00:00:00Z");
    let nina = |now| asked(&policies, &snapshot, ("user", "nina"), now);
    assert_eq!(nina("2026-10-31T23:55:00Z"), Ok(()));
    assert_eq!(nina("2026-10-31T23:54:59.999Z"), Err(stale("User.active")));
}

#[test]
fn whatever_policies_can_reach_must_be_fresh() {
    let policies = world();
    let snapshot = of(&policies, "2026-11-01T00:00:00Z");
    // Nina herself is confirmed again. Her friend is not.
    let nina = snapshot.json(&assent_model::EntityId::new("User", "nina")).unwrap();
    let again = json!({"uid": nina["uid"], "attrs": nina["attrs"], "parents": nina["parents"],
        "provenance": {"active": {"at": "2026-12-20T00:00:00Z"}}});
    let snapshot = with(&policies, &snapshot, &again).unwrap();
    assert_eq!(
        asked(&policies, &snapshot, ("user", "nina"), "2026-12-21T00:00:00Z"),
        Err(stale("User.active"))
    );
}

/// The order in which they are reached is another where the same facts are built again from a log.
#[test]
fn of_several_that_are_too_old_the_first_by_name_is_told() {
    let schema = SCHEMA.replacen("active: Bool", "@fresh(\"30d\") active: Bool", 1).replacen(
        "timeZone: String",
        "timeZone: String, @fresh(\"30d\") seen?: Bool",
        1,
    );
    let policy = "@id(\"p\") @intent(\"test\") permit(principal, action, resource);";
    let files = [SourceFile::new("c.cedarschema", schema)];
    let policies = load(&files, &[SourceFile::new("p.cedar", policy)], names()).unwrap();
    let Json::Array(mut entities) = serde_json::from_str(ENTITIES).unwrap() else { panic!("no list") };
    for entity in &mut entities {
        entity[PROVENANCE] = json!({"*": {"at": "2026-11-01T00:00:00Z"}});
        if entity["uid"]["type"] == "Patient" {
            entity["attrs"]["seen"] = json!(true);
        }
    }
    let file = SourceFile::new("clinic.json", Json::Array(entities).to_string());
    let snapshot = policies.load_entities(&[file]).unwrap_or_else(|errors| panic!("{errors}"));
    let told = asked(&policies, &snapshot, ("user", "nina"), "2026-12-21T00:00:00Z");
    assert_eq!(told, Err(stale("Patient.seen")));
}

#[test]
fn a_relation_that_holds_must_be_fresh_and_one_that_ended_need_not_be() {
    let policies = world();
    let grant = |end: &str| {
        json!({"uid": {"type": "Grant", "id": "g"}, "attrs": {
            "person": {"type": "User", "id": "nina"}, "patient": {"type": "Patient", "id": "pat"},
            "start": "2026-01-01", "end": end, "verified": true,
        }, "provenance": {"*": {"at": "2026-11-01T00:00:00Z"}}})
    };
    let base = of(&policies, "2026-11-01T00:00:00Z");
    let holds = with(&policies, &base, &grant("2027-01-01")).unwrap();
    let ended = with(&policies, &base, &grant("2026-11-05")).unwrap();
    let now = "2026-11-12T00:00:00Z";
    assert_eq!(asked(&policies, &holds, ("user", "nina"), "2026-11-10T00:00:00Z"), Ok(()));
    assert_eq!(asked(&policies, &holds, ("user", "nina"), now), Err(stale("Grant.verified")));
    assert_eq!(asked(&policies, &ended, ("user", "nina"), now), Ok(()));
}

#[test]
fn what_must_be_fresh_is_not_taken_without_its_moment() {
    let policies = world();
    let snapshot = of(&policies, "2026-11-01T00:00:00Z");
    let user = |provenance: Json| {
        json!({"uid": {"type": "User", "id": "new"}, "attrs": {"org": {"type": "Org", "id": "clinic"}, "active": true},
            "parents": [], "provenance": provenance})
    };
    for (provenance, expected) in [
        (json!({}), "attrs.active may be no older than 30d, and nothing says when it was provided"),
        (json!({"level": {"at": "2026-11-01T00:00:00Z"}}), "attrs.active may be no older than 30d"),
        (json!({"activ": {"at": "2026-11-01T00:00:00Z"}}), "provenance.activ is no attribute"),
        (json!({"active": {"at": "yesterday"}}), "provenance.active must say when"),
        (json!({"active": {"on": "2026-11-01T00:00:00Z"}}), "provenance.active must say when"),
        (json!({"active": "2026-11-01T00:00:00Z"}), "provenance.active must say when"),
        (json!([]), "provenance must say when"),
    ] {
        let told = with(&policies, &snapshot, &user(provenance)).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
    let by = json!({"type": "Service", "id": "hr"});
    let good =
        user(json!({"*": {"at": "2026-11-02T00:00:00Z", "by": by}, "level": {"at": "2020-01-01T00:00:00Z"}}));
    let taken = with(&policies, &snapshot, &good).unwrap();
    let read = taken.json(&assent_model::EntityId::new("User", "new")).unwrap();
    // Only what must be fresh is kept, and it is read as the same again.
    assert_eq!(read["provenance"], json!({"active": {"at": "2026-11-02T00:00:00.000Z"}}));
    assert_eq!(with(&policies, &snapshot, &read).unwrap().digest(), taken.digest());
}

#[test]
fn what_was_provided_at_another_moment_is_another_fact() {
    let policies = world();
    let at = |moment| of(&policies, moment).digest();
    assert_ne!(at("2026-11-01T00:00:00Z"), at("2026-11-01T00:00:00.001Z"));
}

#[test]
fn what_becomes_too_old_soon_is_told_with_what_lapses() {
    let policies = world();
    let snapshot = of(&policies, "2026-11-01T00:00:00Z");
    let moment = |text: &str| text.parse().unwrap();
    let told = |from, until| {
        let found = policies.lapses(&snapshot, (moment(from), moment(until)), 9);
        found
            .iter()
            .map(|lapse| format!("{} {} {}", lapse.entity.id, lapse.attribute, lapse.what))
            .collect::<Vec<_>>()
    };
    let both = ["nina active freshness", "omar active freshness"];
    assert_eq!(told("2026-11-20T00:00:00Z", "2026-12-01T00:00:00.001Z"), both);
    assert!(told("2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z").is_empty());
}

proptest! {
    /// Against the rule in one line, with moments around both of its ends.
    #[test]
    fn a_question_is_asked_exactly_while_the_fact_counts(
        provided in -40_i64..40,
        now in -40_i64..40,
        shift in -2_i64..3,
    ) {
        const DAY: i64 = 86_400_000;
        let policies = world();
        let zero = 1_800_000_000_000_i64;
        let moment = |days: i64, more: i64| Instant::from_millis(zero + days * DAY + more).unwrap();
        let (provided, now) = (moment(provided, 0), moment(now, shift));
        let snapshot = of(&policies, &provided.to_string());
        let age = now.as_millis() - provided.as_millis();
        let counts = (-300_000..30 * DAY).contains(&age);
        let asked = asked(&policies, &snapshot, ("user", "nina"), &now.to_string());
        prop_assert_eq!(asked, if counts { Ok(()) } else { Err(stale("User.active")) });
    }
}
