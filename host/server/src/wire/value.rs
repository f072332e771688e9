//! Typed values as plain JSON, for the parameters of obligations.
//!
//! Callers read them without knowing the schema: text and booleans as they are, numbers as
//! numbers while a double holds them exactly and as text beyond, moments and dates as RFC 3339,
//! lengths of time as ISO 8601, references as `{"type", "id"}`.

use assent_model::{Decimal, EntityId};
use serde_json::{Value as Json, json};

/// The largest integer below which every integer is a double (RFC 7493, section 2.2).
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;
/// Fifteen digits: every decimal number of that many survives the way through a double.
const EXACT_TEN_THOUSANDTHS_MAX: u64 = 999_999_999_999_999;

/// The value as plain JSON.
pub fn plain(value: &assent_model::Value) -> Json {
    use assent_model::Value;
    match value {
        Value::Text(text) | Value::Ip(text) => json!(text.as_str()),
        Value::Integer(integer) if integer.unsigned_abs() <= EXACT_INTEGER_MAX => json!(integer),
        Value::Integer(integer) => json!(integer.to_string()),
        Value::Decimal(decimal) => number(*decimal),
        Value::Boolean(boolean) => json!(boolean),
        Value::Instant(instant) => json!(instant.to_string()),
        Value::Date(date) => json!(date.to_string()),
        Value::Duration(millis) => json!(duration(*millis)),
        Value::Entity(EntityId { kind, id }) => json!({ "type": kind.as_str(), "id": id.as_str() }),
        Value::Set(values) => values.iter().map(plain).collect(),
        Value::Record(members) => {
            members.iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
        }
    }
}

fn number(decimal: Decimal) -> Json {
    let exact = decimal.ten_thousandths().unsigned_abs() <= EXACT_TEN_THOUSANDTHS_MAX;
    let double = exact.then(|| decimal.to_string().parse::<f64>().ok()).flatten();
    double.map_or_else(|| json!(decimal.to_string()), |double| json!(double))
}

fn duration(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let magnitude = millis.unsigned_abs();
    match (magnitude / 1_000, magnitude % 1_000) {
        (seconds, 0) => format!("{sign}PT{seconds}S"),
        (seconds, rest) => format!("{sign}PT{seconds}.{rest:03}S"),
    }
}

#[cfg(test)]
mod tests {
    use assent_model::Value;

    use super::*;

    #[test]
    fn every_kind_of_value_has_one_plain_form() {
        let cases = [
            (Value::Text("a".into()), json!("a")),
            (Value::Integer(-7), json!(-7)),
            (Value::Integer(9_007_199_254_740_991), json!(9_007_199_254_740_991_i64)),
            (Value::Integer(9_007_199_254_740_992), json!("9007199254740992")),
            (Value::Integer(i64::MIN), json!("-9223372036854775808")),
            (Value::Decimal("0.25".parse().unwrap()), json!(0.25)),
            (Value::Decimal("99999999999.9999".parse().unwrap()), json!(99999999999.9999)),
            (Value::Decimal("100000000000.0000".parse().unwrap()), json!("100000000000.0000")),
            (Value::Boolean(true), json!(true)),
            (Value::Instant("2026-11-21T10:00:00-08:00".parse().unwrap()), json!("2026-11-21T18:00:00Z")),
            (Value::Date("2012-02-29".parse().unwrap()), json!("2012-02-29")),
            (Value::Duration(90_000), json!("PT90S")),
            (Value::Duration(-1_050), json!("-PT1.050S")),
            (Value::Ip("10.0.0.0/8".into()), json!("10.0.0.0/8")),
            (Value::Entity(EntityId::new("Patient", "p")), json!({"type": "Patient", "id": "p"})),
            (Value::set([Value::Integer(2), Value::Integer(1)]), json!([1, 2])),
            (Value::Record([("a", Value::Boolean(false))].into()), json!({"a": false})),
        ];
        for (value, expected) in cases {
            assert_eq!(plain(&value).to_string(), expected.to_string());
        }
    }
}
