//! Properties of any document: nothing panics, order changes nothing, and marks that are taken away open
//! nothing.

use assent_fhir::{Outcome, Unreadable, Unsupported};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::support::{CASES, directive, document, read_consent, read_text};

/// Names and words that mean something, so that random values get past the first check.
const WORDS: [&str; 24] = [
    "Consent",
    "resourceType",
    "id",
    "status",
    "scope",
    "coding",
    "system",
    "code",
    "patient",
    "reference",
    "Patient/p1",
    "provision",
    "type",
    "permit",
    "deny",
    "actor",
    "role",
    "period",
    "start",
    "2026-02",
    "extension",
    "modifierExtension",
    "_status",
    "identifier",
];

fn any_json() -> impl Strategy<Value = Value> {
    let word = || prop_oneof![3 => select(&WORDS[..]).prop_map(str::to_owned), 1 => any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn a_document() -> impl Strategy<Value = Value> {
    any::<Index>().prop_map(|index| index.get(&CASES).document.clone())
}

/// The values of a tree, one by one.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn replace(value: &mut Value, left: &mut usize, by: &Value) {
    if *left == 0 {
        value.clone_from(by);
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, by)),
        Value::Object(members) => members.values_mut().for_each(|item| replace(item, left, by)),
        _ => {}
    }
}

fn turn_lists(value: &mut Value, turn: usize) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| turn_lists(item, turn));
            let turn = turn % items.len().max(1);
            items.rotate_left(turn);
            if turn % 2 == 1 {
                items.reverse();
            }
        }
        Value::Object(members) => members.values_mut().for_each(|item| turn_lists(item, turn)),
        _ => {}
    }
}

fn turn_members(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(turn_members),
        Value::Object(members) => {
            members.values_mut().for_each(turn_members);
            *members = std::mem::take(members).into_iter().rev().collect();
        }
        _ => {}
    }
}

/// A path without positions.
fn anywhere(path: &str) -> String {
    let mut parts = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.by_ref().collect()
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// The provisions below one as text that does not depend on their order or keys.
fn below(provisions: &[Value], parent: Option<&str>) -> Vec<String> {
    let mine = provisions.iter().filter(|one| one.get("parent").and_then(Value::as_str) == parent);
    let shown = mine.map(|one| {
        let mut own = one.clone();
        let members = own.as_object_mut().unwrap();
        let key = members.shift_remove("key").unwrap();
        members.shift_remove("parent");
        if let Some(Value::Array(actors)) = members.get_mut("actors") {
            actors.sort_by_key(ToString::to_string);
        }
        format!("{own} {:?}", below(provisions, key.as_str()))
    });
    sorted(shown.collect())
}

/// Everything that comes of a document, but for positions in lists.
fn but_for_order(outcome: Result<Outcome, Unreadable>) -> Value {
    let all = |found: &[Unsupported]| {
        let mut all = sorted(found.iter().map(|one| anywhere(&one.to_string())).collect());
        all.dedup();
        all
    };
    match outcome {
        Err(error) => json!({ "error": anywhere(&error.to_string()) }),
        Ok(Outcome::Other(other)) => json!({ "other": other.scope, "unsupported": all(&other.unsupported) }),
        Ok(Outcome::Directive(directive)) => {
            let mut entity = directive.entity.clone();
            // A document without an id gets one from its text.
            if directive.consent.id.starts_with("unnamed-") {
                entity["uid"]["id"] = json!("unnamed");
            }
            let attributes = entity["attrs"].as_object_mut().unwrap();
            attributes.shift_remove("unsupported");
            let provisions = attributes.shift_remove("provisions").unwrap_or(json!([]));
            json!({
                "entity": entity,
                "provisions": below(provisions.as_array().unwrap(), None),
                "rule": directive.rule,
                "base": directive.base,
                "unsupported": all(&directive.unsupported),
                "notes": sorted(directive.notes.iter().map(|one| anywhere(&one.path)).collect()),
            })
        }
    }
}

/// A small world: purposes that a request can have, and provisions about them.
const PURPOSES: [&str; 3] = ["TREAT", "HPAYMT", "HRESCH"];

fn a_provision() -> impl Strategy<Value = Value> {
    let own = (any::<bool>(), prop::collection::vec(select(&PURPOSES[..]), 0..3), prop::bool::weighted(0.3));
    let make = |(permits, purposes, strange): (bool, Vec<&str>, bool), nested: Vec<Value>| {
        let mut provision = json!({ "type": if permits { "permit" } else { "deny" } });
        if !purposes.is_empty() {
            let coding =
                |code| json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code});
            provision["purpose"] = purposes.into_iter().map(coding).collect();
        }
        if strange {
            provision["colour"] = json!("red");
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

/// What the element nobody knows may mean.
#[derive(Clone, Copy, Debug)]
enum World {
    Nothing,
    MatchesNever,
    MatchesAlways,
    TurnsRound,
}

/// Whether a provision of a document permits; none: it is not about this purpose.
fn document_permits(provision: &Value, purpose: &str, world: World) -> Option<bool> {
    let strange = provision.get("colour").is_some();
    let about =
        provision["purpose"].as_array().is_none_or(|all| all.iter().any(|one| one["code"] == purpose));
    let always = strange && matches!(world, World::MatchesAlways);
    if !about && !always || strange && matches!(world, World::MatchesNever) {
        return None;
    }
    let turned = strange && matches!(world, World::TurnsRound);
    let nested = provision["provision"].as_array().into_iter().flatten();
    let nested: Vec<bool> = nested.filter_map(|one| document_permits(one, purpose, world)).collect();
    Some(if nested.is_empty() { (provision["type"] == "permit") != turned } else { !nested.contains(&false) })
}

/// Whether an entity permits, its marks left aside.
fn entity_permits(attributes: &Value, purpose: &str) -> bool {
    fn level(all: &[Value], parent: Option<&str>, effect: bool, purpose: &str) -> bool {
        let about = |one: &&Value| {
            one["purposes"].as_array().is_none_or(|all| {
                all.iter().any(|one| one.as_str().unwrap().ends_with(&format!("|{purpose}")))
            })
        };
        let mine = all.iter().filter(|one| one.get("parent").and_then(Value::as_str) == parent).filter(about);
        let found: Vec<bool> =
            mine.map(|one| level(all, one["key"].as_str(), one["effect"] == "permit", purpose)).collect();
        if found.is_empty() { effect } else { !found.contains(&false) }
    }
    let none = vec![];
    let all = attributes["provisions"].as_array().unwrap_or(&none);
    level(all, None, attributes["base"] == "permit", purpose)
}

/// The members of all objects.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Writes a value with one of its members there twice, the second time with another value.
fn say_twice(value: &Value, left: &mut usize, by: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                say_twice(item, left, by, text);
            }
            text.push(']');
        }
        Value::Object(object) => {
            text.push('{');
            for (position, (name, member)) in object.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { "," });
                let is_here = *left == 1;
                *left = left.saturating_sub(1);
                text.push_str(&format!("{}:", json!(name)));
                say_twice(member, left, by, text);
                if is_here {
                    text.push_str(&format!(",{}:{by}", json!(name)));
                }
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_json_panics(value in any_json()) {
        let _outcome = read_consent(&value);
    }

    #[test]
    fn no_text_panics(text in any::<Vec<u8>>(), document in a_document(), at in any::<Index>()) {
        let _outcome = read_text(&text);
        let cut = document.to_string();
        let _outcome = read_text(&cut.as_bytes()[..at.index(cut.len())]);
    }

    #[test]
    fn no_document_with_a_part_replaced_panics(mut document in a_document(), at in any::<Index>(), by in any_json()) {
        let mut at = at.index(count(&document));
        replace(&mut document, &mut at, &by);
        let once = read_consent(&document);
        prop_assert!(once == read_consent(&document), "reading twice gives two answers");
    }

    #[test]
    fn the_order_of_lists_changes_nothing_but_order(document in a_document(), turn in 1usize..7) {
        let mut turned = document.clone();
        turn_lists(&mut turned, turn);
        prop_assert_eq!(but_for_order(read_consent(&document)), but_for_order(read_consent(&turned)));
    }

    #[test]
    fn the_order_of_members_changes_nothing(document in a_document()) {
        let mut turned = document.clone();
        turn_members(&mut turned);
        prop_assert_eq!(but_for_order(read_consent(&document)), but_for_order(read_consent(&turned)));
    }

    #[test]
    fn whatever_has_a_patient_is_no_error(document in a_document(), at in any::<Index>(), by in any_json()) {
        let mut changed = document.clone();
        replace(&mut changed, &mut at.index(count(&document)), &by);
        let same = |name: &str| changed.get(name) == document.get(name);
        prop_assume!(same("resourceType") && same("patient") && same("subject"));
        let (before, after) = (read_consent(&document), read_consent(&changed));
        prop_assert_eq!(before.is_err(), after.is_err());
    }

    #[test]
    fn what_is_said_twice_is_never_read(document in a_document(), at in any::<Index>(), by in any_json()) {
        let members = members(&document);
        let mut left = at.index(members) + 1;
        let mut text = String::new();
        say_twice(&document, &mut left, &by, &mut text);
        prop_assert_eq!(left, 0);
        match read_text(text.as_bytes()) {
            Ok(Outcome::Directive(directive)) => {
                prop_assert!(directive.is_objection());
                prop_assert!(directive.entity["attrs"].get("base").is_none());
            }
            Ok(Outcome::Other(_)) => prop_assert!(false, "an objection, as the scope may be what is there twice"),
            Err(error) => prop_assert!(!matches!(error, Unreadable::NotJson { .. }), "{error}"),
        }
    }

    #[test]
    fn a_mark_that_is_taken_away_opens_nothing(root in a_provision(), purpose in select(&PURPOSES[..])) {
        let mut consent = document("plain");
        consent["provision"] = root.clone();
        let read = directive(&consent);
        prop_assert_eq!(read.is_objection(), root.to_string().contains("colour"));
        let permits = entity_permits(&read.entity["attrs"], purpose);
        for world in [World::Nothing, World::MatchesNever, World::MatchesAlways, World::TurnsRound] {
            let meant = document_permits(&root, purpose, world).unwrap_or(false);
            prop_assert!(!permits || meant, "{world:?}");
            if !read.is_objection() {
                prop_assert_eq!(permits, meant, "read in full, it means the same");
            }
        }
    }
}
