//! What the tests share: the documents, the cases with their changes, the settings, and who is stored.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use assent_fhir::{Directive, Outcome, Records, Settings, Unreadable, normalise};
use assent_model::{EntityId, Instant};
use serde_json::{Value, json};

pub(crate) const STORED: [(&str, &str); 6] = [
    ("Organization", "hospital"),
    ("Patient", "p1"),
    ("Practitioner", "drb"),
    ("Practitioner", "drc"),
    ("RelatedPerson", "mother"),
    // Another patient's.
    ("RelatedPerson", "neighbour"),
];

/// When the documents are read.
const NOW: &str = "2026-11-26T12:00:00Z";

/// A case: a document with a change, and what must come of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) document: Value,
    /// The document as it is read: as JSON, with what the case replaces in that.
    pub(crate) text: String,
    pub(crate) expected: Value,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fhir").join(name)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn document(name: &str) -> Value {
    read(&folder("documents").join(format!("{name}.json")))
}

/// All cases of all files.
pub(crate) static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

fn cases() -> Vec<Case> {
    let files = std::fs::read_dir(folder("cases")).unwrap().map(|entry| entry.unwrap().path());
    let of_file = |path: PathBuf| {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Value::Array(cases) = read(&path) else { panic!("{file} is no list") };
        cases.into_iter().map(move |expected| {
            let mut document = document(expected["document"].as_str().unwrap());
            merge(&mut document, &expected["change"]);
            let name = format!("{file}: {}", expected["name"]);
            let mut text = document.to_string();
            for (what, by) in expected.get("replace").and_then(Value::as_object).into_iter().flatten() {
                assert_eq!(text.matches(what.as_str()).count(), 1, "{name}: {what}");
                text = text.replace(what, by.as_str().unwrap());
            }
            Case { name, document, text, expected }
        })
    };
    files.flat_map(of_file).collect()
}

/// JSON Merge Patch (RFC 7396), of objects.
fn merge(into: &mut Value, change: &Value) {
    for (name, change) in change.as_object().into_iter().flatten() {
        match change {
            Value::Null => drop(into.as_object_mut().unwrap().shift_remove(name)),
            Value::Object(_) if into.get(name).is_some_and(Value::is_object) => {
                merge(&mut into[name], change)
            }
            other => {
                into[name] = other.clone();
                prune(&mut into[name]);
            }
        }
    }
}

/// Takes `null` out of what a change adds.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(prune);
    }
}

pub(crate) fn settings() -> Settings {
    serde_json::from_value(json!({
        "policies": {"http://example.org/hie-opt-in": "permit", "http://example.org/hie-opt-out": "deny"},
        "forms": {
            "http://example.org/forms/part2": ["part2-tpo"],
            "http://example.org/forms/sensitive": ["hiv-specific", "part2-specific"],
        },
        "servers": ["http://example.org/fhir"],
        "identifiers": {
            "http://hl7.org/fhir/sid/us-npi|1234567893": {"type": "Practitioner", "id": "drb"},
            "http://example.org/mrn|17": {"type": "Patient", "id": "p1"},
        },
        "harmless_extensions": ["http://example.org/harmless"],
    }))
    .unwrap()
}

pub(crate) fn is_stored(entity: &EntityId) -> bool {
    STORED.contains(&(entity.kind.as_str(), entity.id.as_str()))
}

pub(crate) fn read_consent(document: &Value) -> Result<Outcome, Unreadable> {
    read_text(document.to_string().as_bytes())
}

pub(crate) fn read_text(text: &[u8]) -> Result<Outcome, Unreadable> {
    let represents = |who: &EntityId, patient: &EntityId| who.id == "mother" && patient.id == "p1";
    normalise(text, &settings(), now(), &Records { is_stored: &is_stored, represents: &represents })
}

pub(crate) fn now() -> Instant {
    NOW.parse().unwrap()
}

pub(crate) fn directive(document: &Value) -> Directive {
    match read_consent(document) {
        Ok(Outcome::Directive(directive)) => *directive,
        other => panic!("no directive: {other:?}"),
    }
}
