//! The JSON of Cedar's entities, as entity files take it.

use assent_model::{EntityId, Instant};
use serde_json::{Map, Value, json};

/// An entity without parents.
pub(crate) fn entity(kind: &str, id: &str, attributes: Map<String, Value>) -> Value {
    json!({"uid": {"type": kind, "id": id}, "attrs": attributes, "parents": []})
}

/// Attributes; what has no value is left away.
pub(crate) fn attributes<const COUNT: usize>(pairs: [(&str, Option<Value>); COUNT]) -> Map<String, Value> {
    let with_value = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    with_value.collect()
}

/// A reference to an entity.
pub(crate) fn reference(id: &EntityId) -> Value {
    json!({"__entity": {"type": id.kind, "id": id.id}})
}

/// A moment. Cedar takes three digits of milliseconds, or none.
pub(crate) fn datetime(at: Instant) -> Value {
    let millis = at.as_millis().rem_euclid(1_000);
    let text = match Instant::from_millis(at.as_millis() - millis) {
        Ok(second) if millis != 0 => format!("{}.{millis:03}Z", second.to_string().trim_end_matches('Z')),
        _ => at.to_string(),
    };
    json!({"__extn": {"fn": "datetime", "arg": text}})
}

/// The entity that a reference means, plain or in the `__entity` form.
pub(crate) fn read_reference(value: &Value) -> Option<EntityId> {
    let plain = value.get("__entity").unwrap_or(value);
    Some(EntityId::new(plain.get("type")?.as_str()?, plain.get("id")?.as_str()?))
}

/// The text of a moment, plain or in the `__extn` form.
pub(crate) fn read_datetime(value: &Value) -> Option<&str> {
    match value.get("__extn") {
        Some(call) if call.get("fn")?.as_str()? == "datetime" => call.get("arg")?.as_str(),
        Some(_) => None,
        None => value.as_str(),
    }
}
