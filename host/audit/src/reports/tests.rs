//! Each report against its definition: what is in, what is just outside, and that order does not matter.

use assent_model::{Effect, Obligation, ObligationCode, OrganizationId};
use proptest::prelude::*;

use super::*;
use crate::record::tests::{any_record, at, decided, plain_decision};
use crate::record::{Actor, Administration, StateChange, StateItem};

const NOW: &str = "2026-11-21T18:00:00Z";

fn decision(id: u128, subject: &str, patient: &str) -> DecisionEvent {
    let mut decision = plain_decision();
    decision.id = DecisionId::from_bits(id);
    decision.subject.entity = EntityId::new("Practitioner", subject);
    decision.patient = Some(EntityId::new("Patient", patient));
    decision
}

fn emergency(id: u128) -> DecisionEvent {
    let mut decision = decision(id, "prac-1", "pat-1");
    decision.outcome.obligations = vec![Obligation::new(ObligationCode::BreakGlassReview)];
    decision
}

fn denied(id: u128, subject: &str, cause: Cause) -> DecisionEvent {
    let mut decision = decision(id, subject, &format!("pat-{}", id % 3));
    decision.outcome.cause = cause;
    decision.outcome.effect = Effect::Deny;
    decision
}

fn actor() -> Actor {
    Actor { entity: EntityId::new("Practitioner", "priv-1"), caller: None, address: None, account: None }
}

fn reviewed(when: &str, id: u128, change: StateVerb) -> Record {
    reviewed_by(actor(), when, id, change)
}

fn reviewed_by(by: Actor, when: &str, id: u128, change: StateVerb) -> Record {
    let event = StateChange {
        organization: OrganizationId::new("clinic").unwrap(),
        version: 1,
        by,
        decision: Some(DecisionId::from_bits(id)),
        items: vec![StateItem {
            change,
            section: "break-glass".into(),
            target: EntityId::new("BreakGlassReview", "r1"),
            patient: None,
            payload: serde_json::Value::Null,
        }],
    };
    Record::new(at(when), Event::StateChanged(event))
}

fn administered(when: &str, action: &str, target: &str) -> Record {
    let event = Administration {
        by: actor(),
        action: action.into(),
        target: EntityId::new("Practitioner", target),
        before: None,
        after: None,
        reason: None,
    };
    Record::new(at(when), Event::Administration(event))
}

/// Before all records.
const BEGINNING: Instant = match Instant::from_millis(0) {
    Ok(instant) => instant,
    Err(_) => panic!(),
};

fn ids(items: &[Item]) -> Vec<u128> {
    items.iter().map(|item| u128::from_str_radix(item.decision.as_str(), 16).unwrap()).collect()
}

#[test]
fn emergency_access_stays_on_the_list_until_it_is_reviewed() {
    let mut refused = emergency(5);
    refused.outcome.effect = Effect::Deny;
    refused.outcome.cause = Cause::Forbidden;
    let records = [
        decided("2026-11-20T18:00:00Z", emergency(2)),
        decided("2026-11-20T17:00:00Z", emergency(1)),
        decided("2026-11-20T18:00:00.001Z", emergency(3)),
        decided("2026-11-20T10:00:00Z", emergency(4)),
        decided("2026-11-20T10:00:00Z", refused),
        decided("2026-11-20T10:00:00Z", decision(6, "prac-1", "pat-1")),
        reviewed("2026-11-21T09:00:00Z", 4, StateVerb::Reviewed),
        reviewed("2026-11-21T09:00:00Z", 1, StateVerb::Created),
    ];
    assert_eq!(ids(&break_glass_unreviewed(&records, at(NOW), DAY_MS)), [1, 2]);
    assert_eq!(ids(&break_glass_unreviewed(&records, at(NOW), 0)), [1, 2, 3]);
}

#[test]
fn nobody_reviews_emergency_access_of_their_own() {
    let own = Actor { entity: EntityId::new("Practitioner", "prac-1"), ..actor() };
    let mut records = vec![
        decided("2026-11-20T10:00:00Z", emergency(1)),
        reviewed_by(own, "2026-11-21T09:00:00Z", 1, StateVerb::Reviewed),
    ];
    assert_eq!(ids(&break_glass_unreviewed(&records, at(NOW), 0)), [1]);
    records.push(reviewed("2026-11-21T10:00:00Z", 1, StateVerb::Reviewed));
    assert_eq!(ids(&break_glass_unreviewed(&records, at(NOW), 0)), []);
}

#[test]
fn exports_are_the_permitted_ones_of_the_period() {
    let export =
        |id, action: &str| DecisionEvent { action: action.into(), ..decision(id, "prac-1", "pat-1") };
    let mut refused = export(4, "export");
    refused.outcome.effect = Effect::Deny;
    refused.outcome.cause = Cause::Forbidden;
    let records = [
        decided("2026-11-14T18:00:00Z", export(1, "export")),
        decided("2026-11-14T17:59:59Z", export(2, "export")),
        decided("2026-11-21T18:00:00Z", export(3, "export")),
        decided("2026-11-20T18:00:00Z", refused),
        decided("2026-11-20T18:00:00Z", export(5, "print")),
        decided("2026-11-20T18:00:00Z", export(6, "read")),
    ];
    assert_eq!(ids(&exports(&records, at("2026-11-14T18:00:00Z"), at(NOW))), [1, 5]);
}

#[test]
fn access_without_relation_is_grouped_by_who() {
    let mut related = decision(1, "prac-1", "pat-1");
    related.relations = vec![EntityId::new("CareRelationship", "c1")];
    let mut own = decision(2, "pat-1", "pat-1");
    own.subject.entity = EntityId::new("Patient", "pat-1");
    let mut nobody = decision(3, "prac-1", "pat-1");
    nobody.patient = None;
    let records = [
        decided(NOW, related),
        decided(NOW, own),
        decided(NOW, nobody),
        decided(NOW, denied(4, "prac-1", Cause::NoPolicy)),
        decided(NOW, emergency(5)),
        decided(NOW, decision(6, "prac-2", "pat-1")),
        decided(NOW, decision(7, "prac-2", "pat-2")),
        decided(NOW, decision(8, "prac-2", "pat-2")),
    ];
    let found = without_relationship(&records, at(NOW), at("2026-11-21T18:00:01Z"));
    let summary: Vec<_> = found.iter().map(|u| (u.patients, u.emergencies, ids(&u.accesses))).collect();
    assert_eq!(summary, [(2, 0, vec![6, 7, 8]), (1, 1, vec![5])]);
}

#[test]
fn accounts_are_new_for_days_and_dormant_unless_disabled() {
    let seen = |when: &str, who: &str| decided(when, decision(1, who, "pat-1"));
    let records = [
        seen("2026-11-20T00:00:00Z", "returns"),
        seen("2026-01-01T00:00:00Z", "returns"),
        seen("2026-11-14T18:00:00Z", "new"),
        seen("2026-11-14T17:59:59Z", "not-new"),
        administered("2026-11-18T00:00:00Z", "account.create", "created"),
        seen("2026-08-23T18:00:00Z", "dormant"),
        seen("2026-08-23T18:00:01Z", "not-dormant"),
        seen("2026-01-01T00:00:00Z", "disabled"),
        administered("2026-02-01T00:00:00Z", "account.disable", "disabled"),
        seen("2026-12-01T00:00:00Z", "later"),
    ];
    let found = accounts(&records, at(NOW), 7 * DAY_MS, 90 * DAY_MS);
    let names = |list: &[Account]| list.iter().map(|account| account.subject.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.new), ["created", "new"]);
    assert_eq!(names(&found.dormant), ["dormant"]);
}

fn burst_of(seconds: &[i64]) -> Vec<(usize, i64)> {
    let start = at(NOW).as_millis();
    let records: Vec<_> = seconds
        .iter()
        .zip(1..)
        .map(|(second, id)| {
            let when = Instant::from_millis(start + second * 1000).unwrap();
            Record::new(when, Event::Decision(Box::new(denied(id, "prac-1", Cause::Forbidden))))
        })
        .collect();
    let bursts = denial_bursts(&records, BEGINNING, 10_000, 3);
    bursts.iter().map(|burst| (burst.denials.len(), (burst.from.as_millis() - start) / 1000)).collect()
}

#[test]
fn a_burst_is_enough_denials_within_the_window() {
    assert_eq!(burst_of(&[0, 5, 10]), [(3, 0)]);
    assert_eq!(burst_of(&[0, 5, 11]), []);
    assert_eq!(burst_of(&[0, 5]), []);
    assert_eq!(burst_of(&[0, 5, 9, 14, 18, 40, 41, 42]), [(5, 0), (3, 40)]);
    assert_eq!(burst_of(&[0, 30, 31, 32, 33]), [(4, 30)]);
}

#[test]
fn what_could_not_be_said_is_no_burst_and_others_do_not_add_to_it() {
    let records: Vec<_> = (0..20)
        .map(|id| {
            let cause = if id % 2 == 0 { Cause::Indeterminate } else { Cause::NoPolicy };
            decided(NOW, denied(id, &format!("prac-{}", id % 4), cause))
        })
        .collect();
    let bursts = denial_bursts(&records, BEGINNING, 10_000, 5);
    let who: Vec<_> =
        bursts.iter().map(|burst| (burst.subject.id.as_str(), burst.denials.len(), burst.patients)).collect();
    assert_eq!(who, [("prac-1", 5, 3), ("prac-3", 5, 3)]);
    assert!(denial_bursts(&records, BEGINNING, 10_000, 6).is_empty());
}

/// Every denial that has `count` denials of its subject in some window with it, and no other, is in a burst.
fn naive_bursts(records: &[Record], window_ms: i64, count: usize) -> BTreeSet<DecisionId> {
    let denials: Vec<_> = records
        .iter()
        .filter_map(|r| Some((r.at.as_millis(), r.decision()?)))
        .filter(|(_, d)| matches!(d.outcome.cause, Cause::Forbidden | Cause::NoPolicy))
        .collect();
    let mut found = BTreeSet::new();
    for (start, first) in &denials {
        let near: Vec<_> = denials
            .iter()
            .filter(|(t, d)| {
                d.subject.entity == first.subject.entity && (*start..=start + window_ms).contains(t)
            })
            .collect();
        if near.len() >= count {
            found.extend(near.iter().map(|(_, d)| d.id.clone()));
        }
    }
    found
}

proptest! {
    #[test]
    fn bursts_hold_the_denials_that_a_naive_search_finds_once_each(
        records in prop::collection::vec(any_record(), 0..60),
        count in 2..5_usize,
    ) {
        let window_ms = 10_000_000;
        let bursts = denial_bursts(&records, BEGINNING, window_ms, count);
        let in_bursts: Vec<_> = bursts.iter().flat_map(|b| &b.denials).map(|i| i.decision.clone()).collect();
        let distinct: BTreeSet<_> = in_bursts.iter().cloned().collect();
        prop_assert_eq!(in_bursts.len(), distinct.len());
        prop_assert_eq!(distinct, naive_bursts(&records, window_ms, count));
    }

    #[test]
    fn the_order_of_records_does_not_matter(records in prop::collection::vec(any_record(), 0..40)) {
        let reversed: Vec<_> = records.iter().rev().cloned().collect();
        let (from, until) = (at("2026-09-21T15:00:00Z"), at("2026-09-22T15:00:00Z"));
        prop_assert_eq!(break_glass_unreviewed(&records, until, HOUR_MS), break_glass_unreviewed(&reversed, until, HOUR_MS));
        prop_assert_eq!(exports(&records, from, until), exports(&reversed, from, until));
        prop_assert_eq!(without_relationship(&records, from, until), without_relationship(&reversed, from, until));
        prop_assert_eq!(denial_bursts(&records, BEGINNING, DAY_MS, 2), denial_bursts(&reversed, BEGINNING, DAY_MS, 2));
    }
}
