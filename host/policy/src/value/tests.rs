//! Tests of reading JSON as typed values.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::types::Attribute;

fn attribute(value: Type, required: bool) -> Attribute {
    Attribute { value, required, supplied: None, lapses: None, fresh: None }
}

fn read(json: &Json, value_type: &Type) -> Result<Option<Value>, Vec<Mismatch>> {
    Reader { type_name: &|name| name.to_owned(), ignore_unknown: true }.read(json, value_type)
}

#[test]
fn json_becomes_what_the_schema_says_or_nothing() {
    let integer = |n| Ok(Some(Value::Integer(n)));
    let decimal = |units| Ok(Some(Value::Decimal(Decimal::from_ten_thousandths(units))));
    let instant = |text: &str| Ok(Some(Value::Instant(text.parse().unwrap())));
    let wrong = "wrong";
    type Case = (Type, Json, Result<Option<Value>, &'static str>);
    let cases: Vec<Case> = vec![
        (Type::Text, json!("a"), Ok(Some(Value::Text("a".into())))),
        (Type::Text, json!(1), Err(wrong)),
        (Type::Text, json!(null), Ok(None)),
        (Type::Date, json!("2012-02-29"), Ok(Some(Value::Date("2012-02-29".parse().unwrap())))),
        (Type::Date, json!("2011-02-29"), Err(wrong)),
        (Type::Integer, json!(i64::MAX), integer(i64::MAX)),
        (Type::Integer, json!(u64::MAX), Err(wrong)),
        (Type::Integer, json!(1.0), Err(wrong)),
        (Type::Integer, json!("1"), Err(wrong)),
        (Type::Boolean, json!(true), Ok(Some(Value::Boolean(true)))),
        (Type::Boolean, json!("true"), Err(wrong)),
        (Type::Decimal, json!(0.25), decimal(2_500)),
        (Type::Decimal, json!(3), decimal(30_000)),
        (Type::Decimal, json!("-1.0001"), decimal(-10_001)),
        (Type::Decimal, json!(0.00001), Err(wrong)),
        (Type::Decimal, json!({"__extn": {"fn": "decimal", "arg": "1.5"}}), decimal(15_000)),
        (Type::Instant, json!("2026-11-21T18:00:00.5Z"), instant("2026-11-21T18:00:00.5Z")),
        (Type::Instant, json!("2026-11-21T10:00:00-08:00"), instant("2026-11-21T18:00:00Z")),
        (Type::Instant, json!("2026-11-21"), instant("2026-11-21T00:00:00Z")),
        (Type::Instant, json!("yesterday"), Err(wrong)),
        (Type::Instant, json!(0), Err(wrong)),
        (Type::Duration, json!("1d2h3m4s5ms"), Ok(Some(Value::Duration(93_784_005)))),
        (Type::Duration, json!("-3m"), Ok(Some(Value::Duration(-180_000)))),
        (Type::Duration, json!("3m1h"), Err(wrong)),
        (Type::Duration, json!(""), Err(wrong)),
        (Type::Duration, json!("9223372036854775807d"), Err(wrong)),
        (Type::Ip, json!("10.0.0.0/8"), Ok(Some(Value::Ip("10.0.0.0/8".into())))),
        (Type::Ip, json!("10.0.0.256"), Err(wrong)),
        (Type::Ip, json!({"fn": "ip", "arg": "::1"}), Ok(Some(Value::Ip("::1".into())))),
        (Type::Ip, json!({"fn": "decimal", "arg": "1.0"}), Err(wrong)),
        (
            Type::Entity("User".into()),
            json!({"type": "User", "id": "u"}),
            Ok(Some(Value::Entity(EntityId::new("User", "u")))),
        ),
        (Type::Entity("User".into()), json!({"type": "Org", "id": "u"}), Err(wrong)),
        (Type::Entity("User".into()), json!("u"), Err(wrong)),
        (
            Type::Set(Box::new(Type::Integer)),
            json!([2, 1, 2]),
            Ok(Some(Value::set([Value::Integer(1), Value::Integer(2)]))),
        ),
        (Type::Set(Box::new(Type::Integer)), json!([1, null]), Err(wrong)),
        (Type::Set(Box::new(Type::Integer)), json!([1, "a"]), Err(wrong)),
        (Type::Set(Box::new(Type::Integer)), json!({}), Err(wrong)),
    ];
    for (value_type, json, expected) in cases {
        let got = read(&json, &value_type);
        assert_eq!(got.map_err(|_| wrong), expected, "{value_type:?} {json}");
    }
}

#[test]
fn mismatches_name_every_path_and_no_value() {
    let record = Type::Record(Attributes::from([
        ("mfa".into(), attribute(Type::Boolean, false)),
        ("list".into(), attribute(Type::Set(Box::new(Type::Integer)), false)),
        ("must".into(), attribute(Type::Text, true)),
    ]));
    let mismatches = read(&json!({"mfa": "secret", "list": [1, "secret"], "other": 1}), &record).unwrap_err();
    let paths: Vec<_> = mismatches.iter().map(|mismatch| mismatch.path.as_str()).collect();
    assert_eq!(paths, [".mfa", ".list[1]", ".must"]);
    assert!(!format!("{mismatches:?}").contains("secret"));
}

#[test]
fn a_json_value_nested_a_hundred_thousand_deep_does_not_recurse() {
    let mut json = json!(1);
    for _ in 0..100_000 {
        json = Json::Array(vec![json]);
    }
    assert!(read(&json, &Type::Integer).is_err());
    assert!(read(&json, &Type::Set(Box::new(Type::Integer))).is_err());
    // Its own drop would overflow the stack; unfold it by hand.
    let mut rest = json;
    while let Json::Array(mut items) = rest {
        rest = items.pop().unwrap();
    }
}

proptest! {
    #[test]
    fn an_instant_is_the_same_millisecond_in_cedar(millis in -62_167_219_200_000_i64..=253_402_300_799_999) {
        let instant = Instant::from_millis(millis).unwrap();
        let text = cedar_instant(instant).map(|value| value.to_string()).unwrap();
        let argument = text.trim_start_matches("datetime(\"").trim_end_matches("\")").to_owned();
        prop_assert_eq!(argument.parse::<Instant>().unwrap(), instant);
    }
}
