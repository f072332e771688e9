//! Settings: from JSON text to the rule's own type, or to everything that is wrong with the text.
//!
//! INVARIANT (all problems at once): whoever writes settings sees every problem in one go, each
//! with its place. Good settings are read straight into their type; only where that fails is the
//! text compared with the schema, which finds all misspelt names and wrong types, not just the first.
//! What is right of such a text is configured all the same, for the problems of its meaning.

mod compare;
mod rest;

use serde::de::DeserializeOwned;

use rest::Rest;

pub use crate::bindings::exports::assent::plugin::rules::Problem;

impl Problem {
    /// Something wrong at this place, a JSON Pointer such as `/quorum/0/records`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// What is wrong with the settings, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a problem at this place, a JSON Pointer such as `/quorum/0/records`; empty: the whole.
    pub fn at(&mut self, path: impl Into<String>, message: impl Into<String>) -> &mut Self {
        self.0.push(Problem::new(path, message));
        self
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This value if nothing is wrong.
    ///
    /// # Errors
    /// The problems, where there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The problems in the order in which they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// The JSON Schema of the settings, as `settings.schema.json` holds it. Not in components: what makes
/// the schema is as large as all the rest of a rule.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn schema_text<S: schemars::JsonSchema>() -> String {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let schema = generator.into_root_schema_for::<S>();
    format!("{:#}\n", schema.as_value())
}

/// Reads the settings and makes of them what `accept` makes; `schema` is their JSON Schema, which is
/// looked at only where they cannot be read.
///
/// Settings of a wrong shape are handed to `accept` as well, without what is wrong, so that their author
/// sees both kinds of problem at once. Where they cannot be read without it either, a problem says what
/// remains to be checked.
pub(crate) fn parse<S: DeserializeOwned, T>(
    text: &str,
    schema: &str,
    accept: impl Fn(S) -> Result<T, Problems>,
) -> Result<T, Vec<Problem>> {
    if depth(text) > MAX_DEPTH {
        return Err(vec![Problem::new("", format!("nested more than {MAX_DEPTH} levels deep"))]);
    }
    let mut shape: Vec<Problem> = vec![];
    let mut without: Vec<String> = vec![];
    let mut rest = Rest::whole(text);
    // One loop for the whole and for what is left of it: one copy of the rule's `accept`.
    loop {
        let error = match read(&rest.text) {
            // serde also reads a struct from a list of its fields in order, which nobody means.
            Ok(_) if text.trim_start().starts_with('[') => "expected an object, found an array".to_owned(),
            Ok(settings) => match accept(settings) {
                Ok(accepted) if shape.is_empty() => return Ok(accepted),
                Ok(_) => return Err(shape),
                Err(meaning) => {
                    for problem in meaning.0 {
                        let path = rest.place(problem.path);
                        // What was left out is absent there, which is nothing to report.
                        if !without.contains(&path) {
                            shape.push(Problem { path, ..problem });
                        }
                    }
                    return Err(shape);
                }
            },
            Err(error) => error.to_string(),
        };
        if shape.is_empty() {
            shape = compared(text, schema, error)?;
            without.extend(shape.iter().map(|problem| problem.path.clone()));
        } else {
            // Once: from now on more is left out than what is wrong.
            if shape.last().is_none_or(|last| last.message != UNCHECKED) {
                shape.push(Problem::new("", UNCHECKED));
            }
            if !widen(&mut without) {
                return Err(shape);
            }
        }
        rest = Rest::of(text, &without);
    }
}

const UNCHECKED: &str = "what the settings mean is checked in full once the names and types are right";

/// One copy of the reader, which is the largest part of many a component.
#[inline(never)]
fn read<S: DeserializeOwned>(text: &str) -> serde_json::Result<S> {
    serde_json::from_str(text)
}

/// Everything in which the text differs from the schema.
///
/// # Errors
/// The only problem there is: that it is not JSON or not an object, or the reader's own error where the
/// schema cannot say what is wrong (a type that reads itself).
fn compared(text: &str, schema: &str, error: String) -> Result<Vec<Problem>, Vec<Problem>> {
    let only = |message| Err(vec![Problem { path: String::new(), message }]);
    match (serde_json::from_str(schema), serde_json::from_str(text)) {
        (Ok(schema), Ok(value)) => {
            let all = compare::problems(&schema, &value);
            if all.is_empty() {
                only(error)
            } else if value.is_object() {
                Ok(all)
            } else {
                Err(all)
            }
        }
        (_, Err(error)) => only(format!("not JSON: {error}")),
        (Err(_), Ok(_)) => only(error),
    }
}

/// Leaves out more, where what is left cannot be read: what the innermost parts belong to. False where
/// there is no more to leave out.
fn widen(without: &mut [String]) -> bool {
    let depth = |path: &String| path.bytes().filter(|&byte| byte == b'/').count();
    let deepest = without.iter().map(depth).max().unwrap_or_default();
    for path in without.iter_mut().filter(|path| depth(path) == deepest) {
        while path.pop().is_some_and(|last| last != '/') {}
    }
    deepest > 1
}

/// More than any settings type has, and well within a plugin's small stack: the JSON reader recurses.
const MAX_DEPTH: usize = 24;

/// How deep the brackets go, those within strings not counted.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

/// A name as a step of a JSON Pointer (RFC 6901).
fn escape(name: &str) -> String {
    // Neither `str::replace` nor a loop over characters, which are larger than all the rest of this file.
    let mut escaped = String::with_capacity(name.len());
    let mut start = 0;
    for (at, byte) in name.bytes().enumerate() {
        let step = match byte {
            b'~' => "~0",
            b'/' => "~1",
            _ => continue,
        };
        escaped.push_str(name.get(start..at).unwrap_or_default());
        escaped.push_str(step);
        start = at + 1;
    }
    escaped.push_str(name.get(start..).unwrap_or_default());
    escaped
}

#[cfg(test)]
mod tests;
