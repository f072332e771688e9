//! Compares a JSON value with the schema of a settings type and finds all that is wrong.
//!
//! It knows the keywords that schemars writes for plain Rust types, and says nothing about others:
//! the type itself has the last word, this only finds the problems after the first.

use serde_json::{Map, Value};

use super::{Problem, escape};

/// Steps from schema to schema beyond which nothing more is compared: each level of the value takes
/// at most two. A schema that refers to itself without end stops here.
const MAX_STEPS: u32 = 48;

/// Everything in the value that the schema does not allow.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<Problem> {
    let mut compare = Compare { root: schema, found: vec![] };
    compare.value(schema, value, "", 0);
    compare.found
}

struct Compare<'a> {
    root: &'a Value,
    found: Vec<Problem>,
}

impl<'a> Compare<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, path: &str, depth: u32) {
        let Some(schema) = self.resolve(schema) else { return };
        if depth > MAX_STEPS {
            return;
        }
        if let Some(alternatives) =
            schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
        {
            self.alternatives(alternatives, value, path, depth);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(part, value, path, depth + 1);
        }
        let mut choices = Choices::default();
        choices.add(schema);
        if !choices.offer(value) {
            self.report(path, choices.refusal(value));
            return;
        }
        match value {
            Value::Object(object) => self.object(schema, object, path, depth),
            Value::Array(items) => self.array(schema, items, path, depth),
            Value::Number(_) => self.number(schema, value, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn resolve(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        let object = schema.as_object()?;
        match object.get("$ref").and_then(Value::as_str) {
            // Not `Value::pointer`, which brings a search and replace along.
            Some(reference) => self.root.get("$defs")?.get(reference.strip_prefix("#/$defs/")?)?.as_object(),
            None => Some(object),
        }
    }

    /// One alternative must fit; otherwise the one that was intended says what is wrong, or all of them
    /// say what there is to choose from.
    fn alternatives(&mut self, alternatives: &'a [Value], value: &Value, path: &str, depth: u32) {
        let mut nearest: Option<(usize, Vec<Problem>)> = None;
        let mut choices = Choices::default();
        for alternative in alternatives {
            let mut trial = Compare { root: self.root, found: vec![] };
            trial.value(alternative, value, path, depth + 1);
            let Some(inward) = trial.found.iter().map(|problem| problem.path.len()).min() else { return };
            let mut own = Choices::default();
            self.choices(alternative, depth + 1, &mut own);
            // It is of the right type, so what is wrong is its inside; the further in, the likelier is
            // it that this alternative was intended.
            if own.take(value) && nearest.as_ref().is_none_or(|(best, _)| inward > *best) {
                nearest = Some((inward, trial.found));
            }
            choices.names.append(&mut own.names);
            choices.types.append(&mut own.types);
        }
        match nearest {
            Some((_, found)) => self.found.extend(found),
            None => self.report(path, choices.refusal(value)),
        }
    }

    /// Adds what a schema lets one choose from.
    fn choices(&self, schema: &'a Value, depth: u32, choices: &mut Choices<'a>) {
        let Some(schema) = self.resolve(schema).filter(|_| depth <= MAX_STEPS) else { return };
        choices.add(schema);
        for key in ["anyOf", "oneOf"] {
            for alternative in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.choices(alternative, depth + 1, choices);
            }
        }
    }

    fn object(
        &mut self,
        schema: &'a Map<String, Value>,
        object: &Map<String, Value>,
        path: &str,
        depth: u32,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = required.as_str()
                && !object.contains_key(name)
            {
                self.report(path, format!("`{name}` is missing"));
            }
        }
        for (name, member) in object {
            let inner = format!("{path}/{}", escape(name));
            match (properties.and_then(|known| known.get(name)), schema.get("additionalProperties")) {
                (Some(known), _) => self.value(known, member, &inner, depth + 1),
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<&str> =
                        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    self.report(&inner, unknown_name(name, &known));
                }
                (None, Some(other)) => self.value(other, member, &inner, depth + 1),
                (None, None) => {}
            }
        }
    }

    fn array(&mut self, schema: &'a Map<String, Value>, items: &[Value], path: &str, depth: u32) {
        if let Some(least) = schema.get("minItems").and_then(Value::as_u64)
            && (items.len() as u64) < least
        {
            self.report(path, format!("expected at least {least} entries"));
        }
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(item_schema, item, &format!("{path}/{index}"), depth + 1);
            }
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) {
        if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_i64), value.as_i64())
            && number < least
        {
            self.report(path, format!("expected at least {least}"));
        }
        if let (Some(most), Some(number)) = (schema.get("maximum").and_then(Value::as_u64), value.as_u64())
            && number > most
        {
            self.report(path, format!("expected at most {most}"));
        }
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, path: &str) {
        if let Some(least) = schema.get("minLength").and_then(Value::as_u64)
            && (text.chars().count() as u64) < least
        {
            self.report(path, format!("expected at least {least} characters"));
        }
        let valid = match schema.get("format").and_then(Value::as_str) {
            Some("date") => text.parse::<crate::time::Date>().is_ok(),
            Some("date-time") => text.parse::<crate::time::Instant>().is_ok(),
            Some("duration") => text.parse::<crate::time::Duration>().is_ok(),
            Some(_) | None => true,
        };
        if !valid && let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
            self.report(path, format!("expected a value such as `{}`", example.as_str().unwrap_or_default()));
        }
    }

    fn report(&mut self, path: &str, message: String) {
        self.found.push(Problem::new(path, message));
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn article(name: &str) -> &str {
    match name {
        "null" => "nothing",
        "object" => "an object",
        "array" => "an array",
        "integer" => "an integer",
        "string" => "a string",
        "boolean" => "a boolean",
        "number" => "a number",
        other => other,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What there is to choose from: names, or any value of some types.
#[derive(Default)]
struct Choices<'a> {
    names: Vec<&'a str>,
    types: Vec<&'a str>,
}

impl<'a> Choices<'a> {
    /// Adds what this schema itself says: names, or else types.
    fn add(&mut self, schema: &'a Map<String, Value>) {
        if let Some(name) = schema.get("const") {
            self.names.extend(name.as_str());
        } else if let Some(names) = schema.get("enum").and_then(Value::as_array) {
            self.names.extend(names.iter().filter_map(Value::as_str));
            if names.iter().any(Value::is_null) {
                self.types.push("null");
            }
        } else {
            match schema.get("type") {
                Some(Value::String(name)) => self.types.push(name),
                Some(Value::Array(names)) => self.types.extend(names.iter().filter_map(Value::as_str)),
                _ => {}
            }
        }
    }

    /// Whether values of this one's type are among them.
    fn take(&self, value: &Value) -> bool {
        self.types.iter().any(|name| has_type(name, value))
    }

    /// Whether this value is among them, or nothing is said.
    fn offer(&self, value: &Value) -> bool {
        let nothing_said = self.names.is_empty() && self.types.is_empty();
        nothing_said || self.take(value) || value.as_str().is_some_and(|text| self.names.contains(&text))
    }

    /// What to say of a value that is none of them.
    fn refusal(&self, value: &Value) -> String {
        let mut expected = String::new();
        if !self.names.is_empty() {
            expected.push_str("one of ");
            quote(&self.names, &mut expected);
        }
        // That a setting can be null, which is how it is left out, needs no saying.
        for name in self.types.iter().filter(|name| **name != "null") {
            if !expected.is_empty() {
                expected.push_str(" or ");
            }
            expected.push_str(article(name));
        }
        match value.as_str() {
            Some(text) if !self.names.is_empty() => {
                let mut message = format!("unknown name `{text}`: expected {expected}");
                if let Some(name) = nearest(text, &self.names) {
                    message.push_str("; did you mean ");
                    quote(&[name], &mut message);
                    message.push('?');
                }
                message
            }
            _ => format!("expected {expected}, found {}", type_of(value)),
        }
    }
}

fn quote(names: &[&str], text: &mut String) {
    for (index, name) in names.iter().enumerate() {
        text.push_str(if index == 0 { "`" } else { ", `" });
        text.push_str(name);
        text.push('`');
    }
}

fn unknown_name(name: &str, known: &[&str]) -> String {
    let mut message = format!("unknown name `{name}`; ");
    match nearest(name, known) {
        Some(nearest) => {
            message.push_str("did you mean ");
            quote(&[nearest], &mut message);
            message.push('?');
        }
        None => {
            message.push_str("expected one of ");
            quote(known, &mut message);
        }
    }
    message
}

/// The name of which at most a third differs, if there is one.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let mut nearest = None;
    let mut least = usize::MAX;
    for &other in known {
        let distance = distance(name, other);
        if distance < least && distance <= name.len().max(other.len()) / 3 {
            (nearest, least) = (Some(other), distance);
        }
    }
    nearest
}

/// How many bytes to add, drop or change (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // The row for the bytes of `from` so far; its first cell is their number.
    let mut row: Vec<usize> = (1..=to.len()).collect();
    let mut last = from.len();
    for (before, a) in from.bytes().enumerate() {
        let (mut diagonal, mut left) = (before, before + 1);
        for (b, cell) in to.bytes().zip(&mut row) {
            left = (diagonal + usize::from(a != b)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = left;
        }
        last = left;
    }
    if from.is_empty() { to.len() } else { last }
}
