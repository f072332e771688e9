//! Settings: from JSON text to the rule's own type, or to everything that is wrong with the text.
//!
//! INVARIANT (all problems at once): whoever writes settings sees every problem in one go, each
//! with its place. Good settings are read straight into their type; only where that fails is the
//! text compared with the schema, which finds all misspelt names and wrong types, not just the first.

mod compare;

use serde::de::DeserializeOwned;

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

/// Reads the settings; `schema` is their JSON Schema, which is looked at only if that fails.
pub(crate) fn parse<S: DeserializeOwned>(text: &str, schema: &str) -> Result<S, Vec<Problem>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let first = match serde_path_to_error::deserialize(&mut json) {
        Ok(settings) => match json.end() {
            Ok(()) => return Ok(settings),
            Err(error) => Problem::new("", error.to_string()),
        },
        Err(error) => {
            let path = pointer(error.path());
            Problem::new(path, error.into_inner().to_string())
        }
    };
    let all = match (serde_json::from_str(schema), serde_json::from_str(text)) {
        (Ok(schema), Ok(value)) => compare::problems(&schema, &value),
        (_, Err(error)) => return Err(vec![Problem::new("", format!("not JSON: {error}"))]),
        (Err(_), Ok(_)) => vec![],
    };
    // What the schema cannot say (a type that reads itself) is left to the first error.
    Err(if all.is_empty() { vec![first] } else { all })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer = format!("{pointer}/{index}"),
            Segment::Map { key } => pointer = format!("{pointer}/{}", escape(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A name as a step of a JSON Pointer (RFC 6901).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
