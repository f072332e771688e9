//! INVARIANT (a date only narrows): whatever time zone the days of a document were meant in, an entity permits
//! nothing that the document does not.

use assent_model::Instant;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{directive, document};

const HOUR_MS: i64 = 3_600_000;

/// The days of a small world; a moment of it lies around them.
const DAYS: [&str; 3] = ["2026-03-02", "2026-03-03", "2026-03-04"];

fn first_day() -> i64 {
    "2026-03-01T00:00:00Z".parse::<Instant>().unwrap().as_millis()
}

fn a_period() -> impl Strategy<Value = Option<Value>> {
    let edge = || prop::option::weighted(0.7, 0..DAYS.len());
    (edge(), edge()).prop_map(|(start, end)| {
        let mut period = Map::new();
        period.extend(start.map(|at| ("start".to_owned(), json!(DAYS[at]))));
        // Not before the start.
        let end = end.map(|at| at.max(start.unwrap_or(0)));
        period.extend(end.map(|at| ("end".to_owned(), json!(DAYS[at]))));
        Some(Value::Object(period)).filter(|period| period != &json!({}))
    })
}

/// Provisions of which nothing but days limits when they hold, and of when the data are.
fn a_dated_provision() -> impl Strategy<Value = Value> {
    let own = (any::<bool>(), a_period(), prop_oneof![2 => Just(None), 1 => a_period()]).boxed();
    let make = |(permits, period, data): (bool, Option<Value>, Option<Value>), nested: Vec<Value>| {
        let mut provision = json!({ "type": if permits { "permit" } else { "deny" } });
        for (name, period) in [("period", period), ("dataPeriod", data)] {
            if let Some(period) = period {
                provision[name] = period;
            }
        }
        if !nested.is_empty() {
            provision["provision"] = nested.into();
        }
        provision
    };
    let leaf = own.clone().prop_map(move |own| make(own, vec![]));
    leaf.prop_recursive(4, 16, 3, move |inner| {
        (own.clone(), prop::collection::vec(inner, 1..4)).prop_map(move |(own, nested)| make(own, nested))
    })
}

/// A moment of a request, the date of the data, and the time zone that the document was meant in.
#[derive(Clone, Copy, Debug)]
struct Zoned {
    now: i64,
    data: i64,
    offset_ms: i64,
}

/// Whether a period of days contains a moment, in its time zone.
fn days_contain(period: &Value, moment: i64, zoned: Zoned) -> bool {
    let midnight =
        |day: &str| format!("{day}T00:00:00Z").parse::<Instant>().unwrap().as_millis() - zoned.offset_ms;
    period["start"].as_str().is_none_or(|day| midnight(day) <= moment)
        && period["end"].as_str().is_none_or(|day| moment < midnight(day) + 24 * HOUR_MS)
}

/// What a document means in one time zone. Data that its root is not about are denied, as in
/// `Combining::BaseWithinCriteria`.
fn dated_document_permits(root: &Value, zoned: Zoned, default: bool) -> bool {
    fn permits(provision: &Value, zoned: Zoned) -> Option<bool> {
        let holds = days_contain(&provision["period"], zoned.now, zoned)
            && days_contain(&provision["dataPeriod"], zoned.data, zoned);
        if !holds {
            return None;
        }
        let nested = provision["provision"].as_array().into_iter().flatten();
        let nested: Vec<bool> = nested.filter_map(|one| permits(one, zoned)).collect();
        Some(if nested.is_empty() { provision["type"] == "permit" } else { !nested.contains(&false) })
    }
    if !days_contain(&root["period"], zoned.now, zoned) {
        return default;
    }
    permits(root, zoned).unwrap_or(false)
}

/// What an entity means.
fn dated_entity_permits(attributes: &Value, zoned: Zoned, default: bool) -> bool {
    fn contains(of: &Value, [start, end]: [&str; 2], moment: i64) -> bool {
        let at = |name| of.get(name).map(|at| at.as_str().unwrap().parse::<Instant>().unwrap().as_millis());
        at(start).is_none_or(|start| start <= moment) && at(end).is_none_or(|end| moment < end)
    }
    fn level(all: &[Value], parent: Option<&str>, effect: bool, zoned: Zoned) -> bool {
        let here = all.iter().filter(|one| one.get("parent").and_then(Value::as_str) == parent);
        let holds = |one: &&Value| {
            contains(one, ["start", "end"], zoned.now) && contains(one, ["dataStart", "dataEnd"], zoned.data)
        };
        let found: Vec<bool> = here
            .filter(holds)
            .map(|one| level(all, one["key"].as_str(), one["effect"] == "permit", zoned))
            .collect();
        if found.is_empty() { effect } else { !found.contains(&false) }
    }
    if !contains(attributes, ["start", "end"], zoned.now) {
        return default;
    }
    let none = vec![];
    let all = attributes.get("provisions").and_then(Value::as_array).unwrap_or(&none);
    level(all, None, attributes["base"] == "permit", zoned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn a_date_only_narrows(root in a_dated_provision(), hours in -12i64..=14, moment in 0i64..200) {
        let mut consent = document("plain");
        consent["provision"] = root.clone();
        let read = directive(&consent);
        prop_assert!(!read.is_objection());
        let now = first_day() + moment * HOUR_MS / 2;
        let data = first_day() + (moment * 7 % 200) * HOUR_MS / 2;
        let zoned = Zoned { now, data, offset_ms: hours * HOUR_MS };
        // Where no consent is in force, it may be that everything is permitted, or nothing.
        for default in [true, false] {
            let permits = dated_entity_permits(&read.entity["attrs"], zoned, default);
            let meant = dated_document_permits(&root, zoned, default);
            prop_assert!(!permits || meant, "default {default}: {}", read.entity);
        }
    }
}
