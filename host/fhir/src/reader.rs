//! Walks a resource, and gathers what is unsupported, what is malformed among it, and what is worth knowing.
//!
//! INVARIANT (nothing is passed over): an object that may mean something is read by [`Reader::element`] with
//! all the names it may have, so that any other member, and any extension in it, is listed. What is copied
//! as it is, and means nothing here, goes through [`Reader::described`], which finds modifiers at any depth.

use std::fmt;

use assent_model::EntityId;
use serde_json::{Map, Value};

use crate::findings::Findings;
use crate::outcome::{Note, Remark, Why};
use crate::settings::Settings;
use crate::shapes::{Shape, path_to};

/// R4's own extensions of Consent, and those of data types, that say nothing of who may see what.
const HARMLESS_EXTENSIONS: [&str; 6] = [
    "http://hl7.org/fhir/StructureDefinition/consent-NotificationEndpoint",
    "http://hl7.org/fhir/StructureDefinition/consent-Transcriber",
    "http://hl7.org/fhir/StructureDefinition/consent-Witness",
    "http://hl7.org/fhir/StructureDefinition/consent-location",
    "http://hl7.org/fhir/StructureDefinition/originalText",
    "http://hl7.org/fhir/StructureDefinition/translation",
];
const AN_OBJECT: &str = "an object with at least one member";
const A_LIST: &str = "a list with at least one item";
const TEXT: &str = "text that is not blank";
const EXTENSIONS: &str = "a list of extensions, each with a `url`";

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: String,
}

impl<'a> At<'a> {
    /// Its text, if it is any.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str().filter(|text| !text.trim().is_empty())
    }
}

/// An object and where it stands.
pub(crate) struct Element<'a> {
    pub(crate) members: &'a Map<String, Value>,
    pub(crate) path: String,
}

impl<'a> Element<'a> {
    pub(crate) fn member(&self, name: &str) -> Option<At<'a>> {
        let value = self.members.get(name)?;
        Some(At { value, path: self.path_of(name) })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }
}

/// What is on record as a document is read.
#[derive(Clone, Copy)]
pub struct Records<'a> {
    /// Whether an entity is stored.
    pub is_stored: &'a dyn Fn(&EntityId) -> bool,
    /// Whether a related person, named first, may sign for a patient.
    pub represents: &'a dyn Fn(&EntityId, &EntityId) -> bool,
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

/// The settings, and what was found so far.
pub(crate) struct Reader<'s> {
    pub(crate) settings: &'s Settings,
    pub(crate) records: &'s Records<'s>,
    /// What is unsupported, malformed or not.
    pub(crate) found: Findings,
    pub(crate) notes: Vec<Note>,
}

impl Reader<'_> {
    pub(crate) fn malformed(&mut self, path: impl Into<String>, expected: &'static str) {
        self.found.add(|| path.into(), Why::Malformed, Some(expected));
    }

    pub(crate) fn unsupported(&mut self, path: impl Into<String>, why: Why) {
        self.found.add(|| path.into(), why, None);
    }

    pub(crate) fn note(&mut self, path: impl Into<String>, remark: Remark) {
        self.notes.push(Note { path: path.into(), remark });
    }

    /// Whether nothing was found since there were this many findings.
    pub(crate) fn is_clean_since(&self, count: usize) -> bool {
        self.found.count() == count
    }

    /// An object of this shape: it has these members and no others, beside `id` and extensions.
    pub(crate) fn element<'a>(&mut self, at: &At<'a>, shape: &Shape) -> Option<Element<'a>> {
        let Some(members) = at.value.as_object().filter(|members| !members.is_empty()) else {
            self.malformed(at.path.as_str(), AN_OBJECT);
            return None;
        };
        let element = Element { members, path: at.path.clone() };
        for (name, value) in members {
            match name.as_str() {
                "id" => {}
                "modifierExtension" => {
                    self.unsupported(element.path_of(name), Why::ModifierExtension);
                }
                "extension" => self.extensions(&At { value, path: element.path_of(name) }),
                name if shape.has(name) => {}
                name => match name.strip_prefix('_').filter(|name| shape.has(name)) {
                    Some(primitive) => self.beside(&At { value, path: element.path_of(primitive) }),
                    None if shape.has_in_r5(name) => self.unsupported(element.path_of(name), Why::R5),
                    // Its name may be anything, and is not shown.
                    None => self.unsupported(element.path.as_str(), Why::UnknownElement),
                },
            }
        }
        Some(element)
    }

    /// What stands beside a primitive value, under its name with `_`.
    fn beside(&mut self, at: &At<'_>) {
        match at.value.as_object() {
            Some(members) => {
                for (name, value) in members {
                    match name.as_str() {
                        "id" => {}
                        "extension" => {
                            self.extensions(&At { value, path: format!("{}.extension", at.path) });
                        }
                        _ => self.unsupported(at.path.as_str(), Why::UnknownElement),
                    }
                }
            }
            None => self.malformed(at.path.as_str(), "an object with extensions beside the value"),
        }
    }

    fn extensions(&mut self, at: &At<'_>) {
        let Some(extensions) = at.value.as_array().filter(|extensions| !extensions.is_empty()) else {
            return self.malformed(at.path.as_str(), EXTENSIONS);
        };
        for (position, extension) in extensions.iter().enumerate() {
            let path = format!("{}[{position}]", at.path);
            match extension.get("url").and_then(Value::as_str) {
                None => self.malformed(path, EXTENSIONS),
                Some(url) if HARMLESS_EXTENSIONS.contains(&url) => {}
                Some(url) if self.settings.harmless_extensions.contains(url) => {}
                Some(_) => self.unsupported(path, Why::Extension),
            }
        }
    }

    /// What only describes: nothing in it is read, but modifiers are found. A stack instead of recursion:
    /// values can be nested as deep as the caller's parser allows.
    pub(crate) fn described(&mut self, at: At<'_>) {
        let mut waiting = vec![at];
        while let Some(at) = waiting.pop() {
            match at.value {
                Value::Array(items) => waiting.extend(
                    items
                        .iter()
                        .enumerate()
                        .map(|(position, value)| At { value, path: format!("{}[{position}]", at.path) }),
                ),
                Value::Object(members) => {
                    for (name, value) in members {
                        if name == "modifierExtension" {
                            self.unsupported(path_to(&at.path, name), Why::ModifierExtension);
                        } else {
                            waiting.push(At { value, path: path_to(&at.path, name) });
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }

    /// The text of a member; none: it is absent, or it is wrong and reported.
    pub(crate) fn text<'a>(&mut self, element: &Element<'a>, name: &str) -> Option<&'a str> {
        let at = element.member(name)?;
        let text = at.text();
        if text.is_none() {
            self.malformed(at.path, TEXT);
        }
        text
    }

    /// The items of a member; empty: it is absent, or it is wrong and reported.
    pub(crate) fn list<'a>(&mut self, element: &Element<'a>, name: &str) -> Vec<At<'a>> {
        let Some(at) = element.member(name) else { return Vec::new() };
        let Some(items) = at.value.as_array().filter(|items| !items.is_empty()) else {
            self.malformed(at.path, A_LIST);
            return Vec::new();
        };
        let item = |(position, value)| At { value, path: format!("{}[{position}]", at.path) };
        items.iter().enumerate().map(item).collect()
    }
}
