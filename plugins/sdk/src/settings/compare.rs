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
        if let Some(expected) = schema.get("const")
            && expected != value
        {
            let mut choices = Choices::default();
            choices.name(expected);
            self.report(path, choices.refusal(value));
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let mut choices = Choices::default();
            allowed.iter().for_each(|name| choices.name(name));
            self.report(path, choices.refusal(value));
            return;
        }
        if let Some(expected) = schema.get("type")
            && !has_type(expected, value)
        {
            self.report(path, format!("expected {}, found {}", type_names(expected), type_of(value)));
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
            Some(reference) => self.root.pointer(reference.strip_prefix('#')?)?.as_object(),
            None => Some(object),
        }
    }

    /// One alternative must fit; otherwise the one that was intended says what is wrong, or all of them
    /// say what there is to choose from.
    fn alternatives(&mut self, alternatives: &'a [Value], value: &Value, path: &str, depth: u32) {
        let mut nearest: Option<Vec<Problem>> = None;
        let mut choices = Choices::default();
        for alternative in alternatives {
            let mut trial = Compare { root: self.root, found: vec![] };
            trial.value(alternative, value, path, depth + 1);
            if trial.found.is_empty() {
                return;
            }
            let types_before = choices.types.len();
            self.choices(alternative, depth + 1, &mut choices);
            let takes = choices.types.iter().skip(types_before).any(|expected| has_type(expected, value));
            // A problem further in means that the alternative was the one intended.
            let depth_of = |found: &[Problem]| found.iter().map(|problem| problem.path.len()).min();
            if takes && nearest.as_ref().is_none_or(|best| depth_of(&trial.found) > depth_of(best)) {
                nearest = Some(trial.found);
            }
        }
        match nearest {
            Some(found) => self.found.extend(found),
            None => self.report(path, choices.refusal(value)),
        }
    }

    /// Adds what a schema lets one choose from.
    fn choices(&self, schema: &'a Value, depth: u32, choices: &mut Choices<'a>) {
        let Some(schema) = self.resolve(schema).filter(|_| depth <= MAX_STEPS) else { return };
        let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
        if let Some(name) = schema.get("const") {
            choices.name(name);
        } else if schema.contains_key("enum") {
            list("enum").for_each(|name| choices.name(name));
        } else if let Some(expected) = schema.get("type") {
            choices.types.push(expected);
        }
        for alternative in list("anyOf").chain(list("oneOf")) {
            self.choices(alternative, depth + 1, choices);
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
                    let known = properties.into_iter().flatten().map(|(name, _)| name.as_str());
                    self.report(&inner, unknown_name(name, known));
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

fn has_type(expected: &Value, value: &Value) -> bool {
    match expected {
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => true,
        },
        Value::Array(names) => names.iter().any(|name| has_type(name, value)),
        _ => true,
    }
}

fn type_names(expected: &Value) -> String {
    match expected {
        Value::String(name) => article(name),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).map(article).collect::<Vec<_>>().join(" or ")
        }
        _ => "another type".to_owned(),
    }
}

fn article(name: &str) -> String {
    match name {
        "null" => "nothing".to_owned(),
        "object" | "array" | "integer" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

fn type_of(value: &Value) -> String {
    article(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

/// What there is to choose from: names, or any value of some types.
#[derive(Default)]
struct Choices<'a> {
    names: Vec<&'a str>,
    types: Vec<&'a Value>,
}

impl<'a> Choices<'a> {
    fn name(&mut self, name: &'a Value) {
        self.names.extend(name.as_str());
    }

    /// What to say of a value that is none of them.
    fn refusal(&self, value: &Value) -> String {
        let mut expected = String::new();
        if !self.names.is_empty() {
            expected = format!("one of `{}`", self.names.join("`, `"));
        }
        for name in self.types.iter().map(|expected| type_names(expected)) {
            // "Nothing" is how a setting is left out, which needs no saying where there are names.
            if expected.is_empty() || (name != "nothing" && !expected.contains(&name)) {
                let joint = if expected.is_empty() { "" } else { " or " };
                expected = format!("{expected}{joint}{name}");
            }
        }
        match value.as_str() {
            Some(text) if !self.names.is_empty() => {
                let near = nearest(text, &self.names);
                let near = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                format!("unknown name `{text}`: expected {expected}{near}")
            }
            _ => format!("expected {expected}, found {}", type_of(value)),
        }
    }
}

fn unknown_name<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<_> = known.collect();
    match nearest(name, &known) {
        Some(nearest) => format!("unknown name `{name}`; did you mean `{nearest}`?"),
        None => format!("unknown name `{name}`; expected one of `{}`", known.join("`, `")),
    }
}

fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let nearest = known.iter().map(|&other| (distance(name, other), other)).min()?;
    (nearest.0 <= name.len().max(nearest.1.len()) / 3).then_some(nearest.1)
}

/// How many letters to add, drop or change (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        let mut left = i + 1;
        for ((&b, &diagonal), &above) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
