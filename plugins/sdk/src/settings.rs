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
    let first = match read(text) {
        // serde also reads a struct from a list of its fields in order, which nobody means.
        Ok(_) if text.trim_start().starts_with('[') => Problem::new("", "expected an object, found an array"),
        Ok(settings) => return accept(settings).map_err(Problems::into_vec),
        Err(error) => Problem::new("", error.to_string()),
    };
    let mut all = match (serde_json::from_str(schema), serde_json::from_str(text)) {
        (Ok(schema), Ok(value)) => compare::problems(&schema, &value),
        (_, Err(error)) => return Err(vec![Problem::new("", format!("not JSON: {error}"))]),
        (Err(_), Ok(_)) => vec![],
    };
    // What the schema cannot say (a type that reads itself) is left to the first error.
    if all.is_empty() {
        return Err(vec![first]);
    }
    let mut without: Vec<String> = all.iter().map(|problem| problem.path.clone()).collect();
    loop {
        let rest = Rest::of(text, &without);
        if let Ok(settings) = read(&rest.text) {
            let meaning = accept(settings).err().map(Problems::into_vec).unwrap_or_default();
            add(&mut all, meaning, &rest, &without);
            return Err(all);
        }
        if !widen(&mut without) {
            if text.trim_start().starts_with('{') {
                all.push(unchecked("the settings mean"));
            }
            return Err(all);
        }
    }
}

/// The problem that says what could not be checked yet.
fn unchecked(what: &str) -> Problem {
    Problem::new("", format!("what {what} is checked once the names and types are right"))
}

/// One copy of the reader, which is the largest part of many a component.
#[inline(never)]
fn read<S: DeserializeOwned>(text: &str) -> serde_json::Result<S> {
    serde_json::from_str(text)
}

/// Leaves out more, where what is left cannot be read: what the innermost parts belong to. False where
/// there is no more to leave out.
fn widen(without: &mut Vec<String>) -> bool {
    let depth = |path: &str| path.bytes().filter(|&byte| byte == b'/').count();
    let deepest = without.iter().map(|path| depth(path)).max().unwrap_or_default();
    for path in without.iter_mut().filter(|path| depth(path) == deepest) {
        path.truncate(path.rfind('/').unwrap_or_default());
    }
    without.sort();
    without.dedup();
    deepest > 1
}

/// Adds what is wrong with the meaning of the rest. What was left out is absent there, which is nothing
/// to report; where whole parts were left out for the sake of a smaller one, that is said.
fn add(all: &mut Vec<Problem>, meaning: Vec<Problem>, rest: &Rest, without: &[String]) {
    let is_shape = |path: &str| all.iter().any(|problem| problem.path == path);
    let wider: Vec<&str> = without.iter().map(String::as_str).filter(|path| !is_shape(path)).collect();
    let note = (!wider.is_empty()).then(|| unchecked(&format!("`{}` means", wider.join("`, `"))));
    for problem in meaning {
        let path = rest.place(&problem.path);
        if !without.contains(&path) {
            all.push(Problem { path, ..problem });
        }
    }
    all.extend(note);
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
    // Not `str::replace`, whose search is larger than all the rest of this file.
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '~' => escaped.push_str("~0"),
            '/' => escaped.push_str("~1"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
