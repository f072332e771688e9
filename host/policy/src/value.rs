//! JSON to typed values by the schema, and typed values to Cedar's.
//!
//! INVARIANT (what does not fit never counts): a value that the schema's type cannot hold exactly is
//! a mismatch, never rounded, cut or guessed. Recursion follows the schema's types, which are finite,
//! and not the depth of the JSON. Mismatches name the path and what was expected, never the value.

use std::sync::{Arc, LazyLock};

use assent_model::{Date, Decimal, EntityId, Instant, Parts, Record, Value};
use cedar_policy_core::ast;
use cedar_policy_core::extensions::Extensions;
use serde_json::Value as Json;
use smol_str::SmolStr;

use crate::schema::types::{Attributes, Type};

/// A value that is not what the schema says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The path below the place where reading began, such as `.mfa` or `[2].who`; may be empty.
    pub(crate) path: String,
    pub(crate) expected: String,
    /// A name that the schema does not know, where that is what is wrong.
    pub(crate) unknown: Option<Unknown>,
    /// The name that was probably meant, where a name of a closed list is what is wrong. Of files only.
    pub(crate) nearest: Option<String>,
}

impl Mismatch {
    fn new(path: String, expected: String) -> Self {
        Self { path, expected, unknown: None, nearest: None }
    }
}

/// An attribute that the schema does not know, with those that it does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) name: String,
    pub(crate) known: Vec<String>,
}

/// What may differ between the sources of JSON.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// Translates the `type` of a reference to a Cedar entity type.
    pub(crate) type_name: &'a dyn Fn(&str) -> String,
    /// Whether members that the schema does not know are passed over (requests) or wrong (files).
    pub(crate) ignore_unknown: bool,
}

impl Reader<'_> {
    /// Reads a value of this type. `None`: JSON null, which is no value.
    pub(crate) fn read(&self, json: &Json, value_type: &Type) -> Result<Option<Value>, Vec<Mismatch>> {
        let wrong = || {
            let nearest = match (value_type, json) {
                (Type::Formatted(format), Json::String(text)) if !self.ignore_unknown => format.nearest(text),
                _ => None,
            };
            Err(vec![Mismatch { nearest, ..Mismatch::new(String::new(), value_type.expected()) }])
        };
        let read = match (value_type, json) {
            (_, Json::Null) => return Ok(None),
            (Type::Text, Json::String(text)) => Some(Value::Text(text.into())),
            (Type::Formatted(format), Json::String(text)) => {
                format.holds(text).then(|| Value::Text(text.into()))
            }
            (Type::Date, Json::String(text)) => text.parse::<Date>().ok().map(Value::Date),
            (Type::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
            (Type::Boolean, Json::Bool(boolean)) => Some(Value::Boolean(*boolean)),
            (Type::Decimal, json) => decimal(json).map(Value::Decimal),
            (Type::Instant, json) => extension_text(json, "datetime").and_then(instant).map(Value::Instant),
            (Type::Duration, json) => {
                extension_text(json, "duration").and_then(duration).map(Value::Duration)
            }
            (Type::Ip, json) => extension_text(json, "ip")
                .filter(|text| extension_value("ip", text).is_some())
                .map(|text| Value::Ip(text.into())),
            (Type::Entity(name), json) => self.reference(json, name).map(Value::Entity),
            (Type::Set(element), Json::Array(items)) => return self.set(items, element).map(Some),
            (Type::Record(attributes), Json::Object(members)) => {
                return self.record(members, attributes).map(|record| Some(Value::Record(record)));
            }
            _ => None,
        };
        read.map_or_else(wrong, |value| Ok(Some(value)))
    }

    fn set(&self, items: &[Json], element: &Type) -> Result<Value, Vec<Mismatch>> {
        let mut values = Vec::with_capacity(items.len());
        let mut mismatches = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match self.read(item, element) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => mismatches.push(Mismatch::new(format!("[{index}]"), element.expected())),
                Err(inner) => mismatches.extend(
                    inner
                        .into_iter()
                        .map(|mismatch| Mismatch { path: format!("[{index}]{}", mismatch.path), ..mismatch }),
                ),
            }
        }
        if mismatches.is_empty() { Ok(Value::set(values)) } else { Err(mismatches) }
    }

    /// Reads the members of an object as attributes; all that is wrong at once.
    pub(crate) fn record(
        &self,
        members: &serde_json::Map<String, Json>,
        attributes: &Attributes,
    ) -> Result<Record, Vec<Mismatch>> {
        let mut record: Vec<(SmolStr, Value)> = Vec::with_capacity(members.len());
        let mut mismatches = Vec::new();
        for (name, json) in members {
            let Some((known, attribute)) = attributes.get_key_value(name.as_str()) else {
                if !self.ignore_unknown {
                    let known = attributes.keys().map(ToString::to_string).collect();
                    mismatches.push(Mismatch {
                        unknown: Some(Unknown { name: name.clone(), known }),
                        ..Mismatch::new(format!(".{name}"), String::new())
                    });
                }
                continue;
            };
            match self.read(json, &attribute.value) {
                Ok(Some(value)) => record.push((known.clone(), value)),
                Ok(None) => {}
                Err(inner) => mismatches.extend(
                    inner
                        .into_iter()
                        .map(|mismatch| Mismatch { path: format!(".{name}{}", mismatch.path), ..mismatch }),
                ),
            }
        }
        let has = |name: &SmolStr| record.iter().any(|(other, _)| other == name);
        for (name, attribute) in attributes {
            let read_wrongly =
                || mismatches.iter().any(|mismatch| mismatch.path.starts_with(&format!(".{name}")));
            if attribute.required && !has(name) && !read_wrongly() {
                let expected = format!("present: {}", attribute.value.expected());
                mismatches.push(Mismatch::new(format!(".{name}"), expected));
            }
        }
        if mismatches.is_empty() { Ok(record.into_iter().collect()) } else { Err(mismatches) }
    }

    fn reference(&self, json: &Json, expected: &str) -> Option<EntityId> {
        let (name, id) = type_and_id(json)?;
        let name = (self.type_name)(name);
        (name == expected).then(|| EntityId::new(name, id))
    }
}

/// The members of records that the type does not know, by their paths below the value: what a reader
/// that ignores unknown members has passed over. Follows the type, as reading does.
pub(crate) fn passed_over(json: &Json, value_type: &Type) -> Vec<String> {
    match (value_type, json) {
        (Type::Record(attributes), Json::Object(members)) => members
            .iter()
            .flat_map(|(name, member)| {
                let below = attributes.get(name.as_str()).map(|known| passed_over(member, &known.value));
                below
                    .unwrap_or_else(|| vec![String::new()])
                    .into_iter()
                    .map(move |path| format!(".{name}{path}"))
            })
            .collect(),
        (Type::Set(element), Json::Array(items)) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| {
                passed_over(item, element).into_iter().map(move |path| format!("[{index}]{path}"))
            })
            .collect(),
        _ => vec![],
    }
}

/// The `type` and `id` of a reference, plain or in Cedar's `__entity` form.
pub(crate) fn type_and_id(json: &Json) -> Option<(&str, &str)> {
    let object = json.as_object()?;
    let object = match object.get("__entity") {
        Some(inner) if object.len() == 1 => inner.as_object()?,
        Some(_) => return None,
        None => object,
    };
    Some((object.get("type")?.as_str()?, object.get("id")?.as_str()?))
}

/// The text of an extension value: plain, or in Cedar's `__extn` form.
fn extension_text<'a>(json: &'a Json, function: &str) -> Option<&'a str> {
    if let Json::String(text) = json {
        return Some(text);
    }
    let object = json.as_object()?;
    let object = object.get("__extn").map_or(Some(object), Json::as_object)?;
    (object.get("fn")?.as_str()? == function).then(|| object.get("arg")?.as_str()).flatten()
}

/// A decimal from `0.25`, `3` or text; what needs more than four places is refused, not rounded.
fn decimal(json: &Json) -> Option<Decimal> {
    match json {
        Json::Number(number) => {
            let text = number.to_string();
            if text.contains('.') { text.parse().ok() } else { format!("{text}.0").parse().ok() }
        }
        json => extension_text(json, "decimal")?.parse().ok(),
    }
}

/// A moment in RFC 3339, or a date, which is its midnight in UTC (as Cedar reads it).
fn instant(text: &str) -> Option<Instant> {
    if let Ok(date) = text.parse::<Date>() {
        return format!("{date}T00:00:00Z").parse().ok();
    }
    text.parse().ok()
}

/// Milliseconds of a Cedar duration: `-1d2h3m4s5ms`, each part at most once and in this order.
pub(crate) fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut total = 0_i64;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let amount: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit_length = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest.get(..unit_length)?;
        let (_, milliseconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(amount.checked_mul(*milliseconds)?.checked_mul(sign)?)?;
        rest = rest.get(unit_length..)?;
    }
    Some(total)
}

/// The Cedar value of an extension constructor applied to text; `None` where it refuses the text.
fn extension_value(function: &str, text: &str) -> Option<ast::Value> {
    let argument = ast::Value::new(ast::Literal::from(text), None);
    call(function, &[argument])
}

fn call(function: &str, arguments: &[ast::Value]) -> Option<ast::Value> {
    static NAMES: LazyLock<Vec<(&str, ast::Name)>> = LazyLock::new(|| {
        let names = ["datetime", "duration", "decimal", "ip", "offset"];
        names
            .into_iter()
            .filter_map(|name| Some((name, ast::Name::parse_unqualified_name(name).ok()?)))
            .collect()
    });
    let (_, name) = NAMES.iter().find(|(known, _)| *known == function)?;
    match Extensions::all_available().func(name).ok()?.call(arguments).ok()? {
        ast::PartialValue::Value(value) => Some(value),
        ast::PartialValue::Residual(_) => None,
    }
}

/// Gives the Cedar value of a typed value. `uid` finds an entity's Cedar name; `None` where that, or
/// an extension's own limits, refuse the value.
pub(crate) fn to_cedar(
    value: &Value,
    uid: &dyn Fn(&EntityId) -> Option<Arc<ast::EntityUID>>,
) -> Option<ast::Value> {
    let literal = |literal: ast::Literal| Some(ast::Value::new(literal, None));
    match value {
        Value::Text(text) => literal(text.clone().into()),
        Value::Date(date) => literal(date.to_string().into()),
        Value::Integer(integer) => literal((*integer).into()),
        Value::Boolean(boolean) => literal((*boolean).into()),
        Value::Entity(id) => literal(uid(id)?.into()),
        Value::Decimal(decimal) => extension_value("decimal", &decimal.to_string()),
        Value::Ip(text) => extension_value("ip", text),
        Value::Duration(milliseconds) => extension_value("duration", &format!("{milliseconds}ms")),
        Value::Instant(instant) => cedar_instant(*instant),
        Value::Set(elements) => {
            let elements: Option<Vec<_>> = elements.iter().map(|element| to_cedar(element, uid)).collect();
            Some(ast::Value::set(elements?, None))
        }
        Value::Record(record) => {
            let members: Option<Vec<_>> =
                record.iter().map(|(name, value)| Some((name.clone(), to_cedar(value, uid)?))).collect();
            Some(ast::Value::record(members?, None))
        }
    }
}

fn cedar_instant(instant: Instant) -> Option<ast::Value> {
    extension_value("datetime", &instant_text(instant))
}

/// A moment as Cedar's `datetime` takes it: with exactly three decimals, and `Z`.
pub(crate) fn instant_text(instant: Instant) -> String {
    let milliseconds = instant.as_millis();
    let (year, month, day) = civil(milliseconds.div_euclid(86_400_000));
    let rest = milliseconds.rem_euclid(86_400_000);
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, fraction) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{fraction:03}Z")
}

/// Year, month and day of a count of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Whether a value already typed is of this type (the host's own values are not read from JSON).
pub(crate) fn fits(value: &Value, value_type: &Type) -> bool {
    match (value, value_type) {
        (Value::Text(text), Type::Formatted(format)) => format.holds(text),
        (Value::Text(_), Type::Text)
        | (Value::Date(_), Type::Date)
        | (Value::Integer(_), Type::Integer)
        | (Value::Decimal(_), Type::Decimal)
        | (Value::Boolean(_), Type::Boolean)
        | (Value::Instant(_), Type::Instant)
        | (Value::Duration(_), Type::Duration)
        | (Value::Ip(_), Type::Ip) => true,
        (Value::Entity(id), Type::Entity(name)) => id.kind == **name,
        (Value::Set(elements), Type::Set(element)) => elements.iter().all(|value| fits(value, element)),
        (Value::Record(record), Type::Record(attributes)) => {
            record.iter().all(|(name, value)| {
                attributes.get(name.as_str()).is_some_and(|attribute| fits(value, &attribute.value))
            }) && attributes
                .iter()
                .all(|(name, attribute)| !attribute.required || record.contains_key(name.as_str()))
        }
        _ => false,
    }
}

/// The path, below the value, of the first reference to an entity that is not known.
pub(crate) fn dangling(value: &Value, known: &dyn Fn(&EntityId) -> bool) -> Option<String> {
    match value.parts() {
        Parts::None => None,
        Parts::Reference(id) => (!known(id)).then(String::new),
        Parts::Elements(elements) => {
            elements.iter().find_map(|element| dangling(element, known)).map(|path| format!("[]{path}"))
        }
        Parts::Members(record) => {
            record.iter().find_map(|(name, value)| Some(format!(".{name}{}", dangling(value, known)?)))
        }
    }
}

/// Visits the entities that a value refers to.
pub(crate) fn references<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a EntityId)) {
    match value.parts() {
        Parts::None => {}
        Parts::Reference(id) => visit(id),
        Parts::Elements(elements) => elements.iter().for_each(|element| references(element, visit)),
        Parts::Members(record) => record.values().for_each(|value| references(value, visit)),
    }
}

#[cfg(test)]
mod tests;
