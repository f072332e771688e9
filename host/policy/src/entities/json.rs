//! An entity as Cedar's JSON: what files of entities are written in, and what is read back from them as the same.

use assent_model::{EntityId, Record, Value};
use serde_json::{Map, Value as Json, json};

use super::Snapshot;
use super::edges::parents;
use super::provenance::{self, PROVENANCE};
use crate::value::instant_text;

impl Snapshot {
    /// An entity in the form of entity files, `{"uid": {"type", "id"}, "attrs": {}, "parents": []}`, with when its facts
    /// were provided where they must be fresh; `None` if there is none.
    #[must_use]
    pub fn json(&self, id: &EntityId) -> Option<Json> {
        let entity = self.entity(id)?;
        let parents: Vec<Json> = parents(&self.inner, id).map(reference).collect();
        let mut json =
            json!({ "uid": reference(id), "attrs": record(&entity.attributes), "parents": parents });
        if let Some((members, provided)) = json.as_object_mut().zip(entity.provided.as_ref()) {
            members.insert(PROVENANCE.to_owned(), provenance::json(provided));
        }
        Some(json)
    }
}

fn reference(id: &EntityId) -> Json {
    json!({ "type": id.kind, "id": id.id })
}

fn record(record: &Record) -> Json {
    let members = record.iter().map(|(name, value)| (name.to_string(), of(value)));
    Json::Object(members.collect::<Map<_, _>>())
}

fn of(value: &Value) -> Json {
    let extension =
        |function: &str, argument: String| json!({ "__extn": { "fn": function, "arg": argument } });
    match value {
        Value::Text(text) => json!(text),
        Value::Integer(integer) => json!(integer),
        Value::Boolean(boolean) => json!(boolean),
        // A date is text to Cedar.
        Value::Date(date) => json!(date.to_string()),
        Value::Decimal(decimal) => extension("decimal", decimal.to_string()),
        Value::Instant(instant) => extension("datetime", instant_text(*instant)),
        Value::Duration(milliseconds) => extension("duration", format!("{milliseconds}ms")),
        Value::Ip(address) => extension("ip", address.to_string()),
        Value::Entity(id) => json!({ "__entity": reference(id) }),
        Value::Set(values) => values.iter().map(of).collect(),
        Value::Record(members) => record(members),
    }
}
