//! The small world that unit tests share: schema, entities, and short ways to ask.

use std::collections::BTreeMap;

use assent_model::{Action, Instant, Party, Request, Value};
use serde_json::{Value as Json, json};

use crate::{HostContext, LoadErrors, Names, Policies, Snapshot, SourceFile, load};

pub(crate) const SCHEMA: &str = include_str!("testing/clinic.cedarschema");
pub(crate) const ENTITIES: &str = include_str!("testing/clinic.json");

pub(crate) fn schema() -> Vec<SourceFile> {
    vec![SourceFile::new("clinic.cedarschema", SCHEMA)]
}

pub(crate) fn names() -> Names {
    let table = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    };
    Names {
        subjects: table(&[("user", "User"), ("patient", "Patient")]),
        resources: table(&[("patient", "Patient"), ("doc", "Document"), ("set", "DataSet"), ("org", "Org")]),
        actions: table(&[("can_view", "view")]),
    }
}

pub(crate) fn try_policies(text: &str) -> Result<Policies, LoadErrors> {
    load(&schema(), &[SourceFile::new("p.cedar", text)], names())
}

/// Policies of the small world; each `permit`/`forbid` gets annotations with ids p1, p2, ...
pub(crate) fn policies(texts: &[&str]) -> Policies {
    let annotated: Vec<String> = texts
        .iter()
        .zip(1..)
        .map(|(text, number)| format!("@id(\"p{number}\") @intent(\"test\") {text}"))
        .collect();
    try_policies(&annotated.join("\n")).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn snapshot(policies: &Policies) -> Snapshot {
    snapshot_with(policies, &json!([]))
}

/// The small world's entities with overrides.
pub(crate) fn snapshot_with(policies: &Policies, overrides: &Json) -> Snapshot {
    policies
        .load_entities_with(
            &[SourceFile::new("clinic.json", ENTITIES)],
            &[SourceFile::new("overrides.json", overrides.to_string())],
        )
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// A request such as `("user", "nina") view ("doc", "note")`, with optional parts as JSON objects
/// under `subject`, `resource`, `action` and `context`.
pub(crate) fn request(subject: (&str, &str), action: &str, resource: (&str, &str), extra: &Json) -> Request {
    let part = |name: &str| extra.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
    let party = |(kind, id): (&str, &str), name| Party {
        kind: kind.to_owned(),
        id: id.to_owned(),
        properties: part(name),
    };
    Request {
        subject: party(subject, "subject"),
        action: Action { name: action.to_owned(), properties: part("action") },
        resource: party(resource, "resource"),
        context: part("context"),
    }
}

pub(crate) fn host_at(now: &str) -> HostContext {
    let values = BTreeMap::from([("callerEnvironment".to_owned(), Value::Text("production".into()))]);
    HostContext { now: now.parse::<Instant>().unwrap(), values }
}

pub(crate) fn host() -> HostContext {
    host_at("2026-11-21T18:00:00Z")
}
