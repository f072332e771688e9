//! INVARIANT (what a plugin agrees on because of an approval is counted), under a guest that agrees to whatever
//! approval it is handed.
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

use assent_model::{DecisionFacts, Entity, EntityKind, Facts, FailureKind, Instant, Value};
use assent_plugin::{Limits, OrganizationSlots, PluginPre};
use common::{admitted, entity, facts, host, slots};
use proptest::prelude::*;

/// The moment of the question, in milliseconds; see `common::facts`.
const NOW: i64 = 1_000;

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn at(millis: i64) -> Value {
    Value::Instant(Instant::from_millis(millis).unwrap())
}

/// An approval that can be used, but for these attributes.
fn approval(id: usize, others: &[(&str, Option<Value>)]) -> Entity {
    let requester = Value::Entity(assent_model::EntityId::new("Practitioner", "doc"));
    let mut attributes = BTreeMap::from([
        ("requester", requester),
        ("kind", text("export")),
        ("status", text("approved")),
        ("approvers", Value::set([])),
        ("requestedAt", at(1)),
        ("usesLeft", Value::Integer(1)),
    ]);
    for (name, value) in others {
        match value {
            Some(value) => attributes.insert(name, value.clone()),
            None => attributes.remove(name),
        };
    }
    let attributes: Vec<_> = attributes.into_iter().collect();
    entity("Approval", &format!("a{id}"), &attributes)
}

/// What makes an approval one that does not count for the question.
fn flaws() -> Vec<(&'static str, Option<Value>)> {
    let mut flaws: Vec<_> = ["pending", "refused", "withdrawn", "spent", "granted"]
        .into_iter()
        .map(|status| ("status", Some(text(status))))
        .collect();
    flaws.extend([
        ("kind", Some(text("access"))),
        ("usesLeft", Some(Value::Integer(0))),
        ("usesLeft", None),
        ("expiresAt", Some(at(NOW))),
        ("expiresAt", Some(text("2027-01-01"))),
        ("dataSet", Some(text("other"))),
        ("dataSet", Some(text(""))),
        ("action", Some(text("read"))),
        ("purpose", Some(text("HOPERAT"))),
        ("maxRecords", Some(Value::Integer(6))),
        ("maxRecords", Some(Value::Integer(-1))),
        ("requestedAt", None),
    ]);
    flaws
}

/// What limits an approval, and not for this question.
fn bounds() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("expiresAt", Some(at(NOW + 1))),
        ("dataSet", Some(text("obs"))),
        ("dataSet", Some(text("sha256:7"))),
        ("purpose", Some(text("TREAT"))),
        ("maxRecords", Some(Value::Integer(7))),
        ("usesLeft", Some(Value::Integer(9))),
    ]
}

fn with(action: &str, approvals: Vec<Entity>) -> DecisionFacts {
    let kinds = BTreeMap::from([("Approval".to_owned(), EntityKind::Approval)]);
    let resource =
        entity("Observation", "obs", &[("digest", text("sha256:7")), ("recordCount", Value::Integer(7))]);
    DecisionFacts {
        facts: Arc::new(Facts::new(approvals, kinds)),
        resource: Arc::new(resource),
        ..facts(action)
    }
}

/// The guest's answer: whether it agrees, and on which.
fn answer((plugin, slots): (&PluginPre, &OrganizationSlots), facts: &DecisionFacts) -> (bool, Vec<String>) {
    let answered = plugin.call(facts, slots);
    let uses = answered.uses.iter().map(|used| used.id.to_string()).collect();
    (answered.outcome.result.unwrap().allows(), uses)
}

#[test]
fn a_guest_that_agrees_to_any_approval_agrees_to_one_that_is_counted_and_to_no_other() {
    let host = host(2);
    let (plugin, slots) = (admitted(&host, Limits::default()), slots(&host, "bay"));
    let guest = (&plugin, &slots);
    for flaw in flaws() {
        let flawed = with("any-approval", vec![approval(1, std::slice::from_ref(&flaw))]);
        assert_eq!(answer(guest, &flawed), (false, vec![]), "{flaw:?}");
        let beside = with("any-approval", vec![approval(1, std::slice::from_ref(&flaw)), approval(2, &[])]);
        assert_eq!(answer(guest, &beside), (true, vec!["a2".to_owned()]), "{flaw:?}");
    }
    for bound in bounds() {
        let bounded = with("any-approval", vec![approval(1, std::slice::from_ref(&bound))]);
        assert_eq!(answer(guest, &bounded), (true, vec!["a1".to_owned()]), "{bound:?}");
    }
    let mut runner = proptest::test_runner::TestRunner::default();
    let chosen = prop::collection::vec((any::<bool>(), 0..flaws().len(), 0..bounds().len()), 0..5);
    runner
        .run(&chosen, |chosen| {
            let stored = chosen.iter().enumerate().map(|(id, (good, flaw, bound))| {
                let bound = bounds()[*bound].clone();
                if *good { approval(id, &[bound]) } else { approval(id, &[bound, flaws()[*flaw].clone()]) }
            });
            let (agrees, uses) = answer(guest, &with("any-approval", stored.collect()));
            let good = |id: &String| chosen[id[1..].parse::<usize>().unwrap()].0;
            prop_assert_eq!(agrees, chosen.iter().any(|(good, ..)| *good));
            prop_assert_eq!(uses.len(), usize::from(agrees));
            prop_assert!(uses.iter().all(good));
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_one_that_ends_first_is_used_and_a_rule_that_wants_several_uses_all() {
    let host = host(2);
    let (plugin, slots) = (admitted(&host, Limits::default()), slots(&host, "bay"));
    let ends = |id, end: Option<i64>| approval(id, &[("expiresAt", end.map(at))]);
    let stored = || vec![ends(1, None), ends(2, Some(NOW + 2)), ends(3, Some(NOW + 1)), ends(4, Some(NOW))];
    let answer = |action: &str| answer((&plugin, &slots), &with(action, stored()));
    assert_eq!(answer("any-approval"), (true, vec!["a3".to_owned()]));
    assert_eq!(answer("approvals:0"), (true, vec![]));
    assert_eq!(answer("approvals:1"), (true, vec!["a3".to_owned()]));
    let all = ["a3", "a2", "a1"].map(str::to_owned).to_vec();
    assert_eq!(answer("approvals:3"), (true, all.clone()));
    assert_eq!(answer("approvals:2"), (true, all));
    // The fourth has expired.
    assert_eq!(answer("approvals:4"), (false, vec![]));
}

#[test]
fn fuel_is_for_all_the_times_that_a_rule_is_asked() {
    let host = host(2);
    let slots = slots(&host, "bay");
    let result = |fuel: u64, stored: usize| {
        let plugin = admitted(&host, Limits { fuel, ..Limits::default() });
        let stored = (0..stored).map(|id| approval(id, &[])).collect();
        let outcome = plugin.call(&with("approvals:9", stored), &slots).outcome;
        (outcome.result.map(|findings| findings.allows()).map_err(|failure| failure.kind), outcome.fuel_used)
    };
    let (_, once) = result(50_000_000, 0);
    let (said, five_times) = result(50_000_000, 3);
    assert!(said == Ok(false) && five_times >= 5 * once, "{once} {five_times}");
    assert_eq!(result(five_times, 3).0, Ok(false));
    assert_eq!(result(five_times - once, 3).0, Err(FailureKind::Fuel));
}
