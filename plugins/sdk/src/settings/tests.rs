//! What an author of settings sees when something is wrong with them.

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::time::{Date, Duration};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    quorum: Vec<Tier>,
    #[serde(default)]
    mode: Mode,
    from: Option<Date>,
    max_age: Option<Duration>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tier {
    records: u64,
}

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Strict,
    /// Documented, so that the schema uses `oneOf`.
    Lenient,
    /// Likewise.
    OffForNow,
}

/// Each way in which a schema offers a choice.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Choosing {
    documented: Option<Mode>,
    bare: Option<Bare>,
    untagged: Option<Untagged>,
    tier: Option<Tier>,
    #[serde(default)]
    modes: Vec<Mode>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Bare {
    All,
    Some,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Mode(Mode),
    Limit(u32),
    Tier(Tier),
}

fn read(text: &str) -> Result<Settings, Vec<Problem>> {
    parse(text, &schema_text::<Settings>(), Ok)
}

fn problems(text: &str) -> Vec<(String, String)> {
    let found = read(text).unwrap_err();
    found.into_iter().map(|problem| (problem.path, problem.message)).collect()
}

#[test]
fn good_settings_are_read() {
    let text = r#"{"quorum": [{"records": 3}], "mode": "lenient", "from": "2028-02-29", "max_age": "P7D"}"#;
    let settings = read(text).unwrap();
    assert_eq!(settings.quorum, [Tier { records: 3 }]);
    assert_eq!(settings.mode, Mode::Lenient);
    assert_eq!(settings.max_age, Some(Duration::days(7)));
}

#[test]
fn all_problems_are_reported_each_with_its_place() {
    let text = r#"{"quorm": 1, "quorum": [{"records": -1}, {"records": "x"}, {"record": 1}],
                   "mode": "lenint", "from": "2027-02-29", "max_age": "7 days"}"#;
    let found = problems(text);
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "", // the entries' meaning is checked later
        "/from",
        "/max_age",
        "/mode",
        "/quorm",
        "/quorum/0/records",
        "/quorum/1/records",
        "/quorum/2",
        "/quorum/2/record",
    ];
    let mut sorted = paths.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let message = |path: &str| found.iter().find(|(p, _)| p == path).unwrap().1.clone();
    assert_eq!(message("/quorm"), "unknown name `quorm`; did you mean `quorum`?");
    assert_eq!(message("/quorum/0/records"), "expected at least 0");
    assert_eq!(message("/quorum/1/records"), "expected an integer, found a string");
    assert_eq!(message("/quorum/2"), "`records` is missing");
}

#[test]
fn every_alternative_is_named_and_the_nearest_suggested() {
    let mode = "one of `strict`, `lenient`, `off-for-now`";
    for (text, path, expected) in [
        (
            r#"{"documented": "lenint"}"#,
            "/documented",
            format!("unknown name `lenint`: expected {mode}; did you mean `lenient`?"),
        ),
        (r#"{"documented": "x"}"#, "/documented", format!("unknown name `x`: expected {mode}")),
        (r#"{"documented": 3}"#, "/documented", format!("expected {mode}, found an integer")),
        (
            r#"{"bare": "al"}"#,
            "/bare",
            "unknown name `al`: expected one of `all`, `some`; did you mean `all`?".to_owned(),
        ),
        (
            r#"{"modes": ["strict", "strct"]}"#,
            "/modes/1",
            format!("unknown name `strct`: expected {mode}; did you mean `strict`?"),
        ),
        (
            r#"{"untagged": "strct"}"#,
            "/untagged",
            format!(
                "unknown name `strct`: expected {mode} or an integer or an object; did you mean `strict`?"
            ),
        ),
        (
            r#"{"untagged": true}"#,
            "/untagged",
            format!("expected {mode} or an integer or an object, found a boolean"),
        ),
        // What has an inside is wrong there.
        (
            r#"{"untagged": {"records": "x"}}"#,
            "/untagged/records",
            "expected an integer, found a string".to_owned(),
        ),
        (
            r#"{"tier": {"record": 1, "records": 1}}"#,
            "/tier/record",
            "unknown name `record`; did you mean `records`?".to_owned(),
        ),
        (r#"{"tier": 3}"#, "/tier", "expected an object, found an integer".to_owned()),
        (r#"{"untagged": -1}"#, "/untagged", "expected at least 0".to_owned()),
    ] {
        let found = parse::<Choosing, _>(text, &schema_text::<Choosing>(), Ok).unwrap_err();
        assert_eq!(found.first(), Some(&Problem::new(path, expected)), "{text}");
        // Beside it at most the note that something was left out.
        assert!(found.iter().skip(1).all(|problem| problem.path.is_empty()), "{text}: {found:?}");
    }
}

/// What a rule makes of settings: even numbers, in order, and no `off-for-now` with a date.
fn meaning(settings: Settings) -> Result<Settings, Problems> {
    let mut problems = Problems::new();
    for (index, tier) in settings.quorum.iter().enumerate() {
        if tier.records % 2 == 1 {
            problems.at(format!("/quorum/{index}/records"), "odd");
        }
    }
    if settings.from.is_none() {
        problems.at("/from", "when?");
    }
    if settings.mode == Mode::OffForNow {
        problems.at("/mode", "off");
    }
    problems.or(settings)
}

#[test]
fn what_the_settings_mean_is_checked_with_their_shape() {
    let missing = "`records` is missing";
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        // The shape is right.
        (r#"{"quorum": [{"records": 1}]}"#, vec![("/quorum/0/records", "odd"), ("/from", "when?")]),
        // A misspelt name, and an optional setting of a wrong type: nothing is missed, and what was left
        // out is not reported as absent.
        (
            r#"{"quorum": [{"records": 1}], "from": 7, "mode": "off-for-now", "max_agee": "P1D"}"#,
            vec![
                ("/from", "expected a string, found an integer"),
                ("/max_agee", "unknown name `max_agee`; did you mean `max_age`?"),
                ("/quorum/0/records", "odd"),
                ("/mode", "off"),
            ],
        ),
        // Entries of a list keep their places although others are left out.
        (
            r#" { "quorum" : [ {"record\"s": [1]} , {"records": 1}, {"records": "]"} , {"records": 2}, {"records": 3}], "from": "2026-01-01" } "#,
            vec![
                ("/quorum/0", missing),
                ("/quorum/0/record\"s", "unknown name `record\"s`; did you mean `records`?"),
                ("/quorum/2/records", "expected an integer, found a string"),
                ("/quorum/1/records", "odd"),
                ("/quorum/4/records", "odd"),
                ("", UNCHECKED),
            ],
        ),
        // Without a required setting there is nothing to configure.
        (
            r#"{"mode": "off-for-now", "frm": "2026-01-01"}"#,
            vec![
                ("", "`quorum` is missing"),
                ("/frm", "unknown name `frm`; did you mean `from`?"),
                ("", UNCHECKED),
            ],
        ),
        (
            r#"{"quorum": 3, "mode": "off-for-now"}"#,
            vec![("/quorum", "expected an array, found an integer"), ("", UNCHECKED)],
        ),
        ("[]", vec![("", "expected an object, found an array")]),
    ];
    for (text, expected) in cases {
        let found = parse::<Settings, _>(text, &schema_text::<Settings>(), meaning).unwrap_err();
        let mut found: Vec<_> =
            found.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
        let mut expected = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}

proptest! {
    /// Taking parts out of the text is the same as taking them out of the value.
    #[test]
    fn the_rest_is_the_value_without_the_parts(value in any_json(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let mut places = vec![];
        pointers(&value, "", &mut places);
        let without: Vec<String> = picks.iter().filter(|_| !places.is_empty()).map(|pick| pick.get(&places).clone()).collect();
        let compact = Rest::of(&value.to_string(), &without);
        let expected = pruned(&value, "", &without);
        prop_assert_eq!(&serde_json::from_str::<Value>(&compact.text).unwrap(), &expected);
        let pretty = Rest::of(&format!("{value:#}"), &without);
        prop_assert_eq!(&pretty.text, &compact.text);
        // Places lead back to the same values.
        let mut left = vec![];
        pointers(&expected, "", &mut left);
        for place in left {
            let whole = value.pointer(&compact.place(place.clone())).unwrap();
            prop_assert_eq!(&pruned(whole, &compact.place(place.clone()), &without), expected.pointer(&place).unwrap());
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z,:{}\\[\\]\"\\\\ ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z/~]{0,3}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The places of everything within a value.
fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
    let mut inner = |step: String, value| {
        let path = format!("{path}/{step}");
        pointers(value, &path, found);
        found.push(path);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| inner(escape(name), value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| inner(index.to_string(), value))
        }
        _ => {}
    }
}

fn pruned(value: &Value, path: &str, without: &[String]) -> Value {
    let keep = |step: &str| !without.contains(&format!("{path}/{step}"));
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| keep(&escape(name)))
            .map(|(name, value)| (name.clone(), pruned(value, &format!("{path}/{}", escape(name)), without)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter(|(index, _)| keep(&index.to_string()))
            .map(|(index, value)| pruned(value, &format!("{path}/{index}"), without))
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn text_that_is_not_json_is_one_problem() {
    for text in ["", "{", "{\"quorum\": []} x", "\u{0}"] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].0, "");
    }
}

#[test]
fn a_wrong_whole_is_a_problem_of_the_whole() {
    assert_eq!(problems("[]"), [(String::new(), "expected an object, found an array".to_owned())]);
    assert_eq!(problems("{}")[0], (String::new(), "`quorum` is missing".to_owned()));
}

#[test]
fn duplicated_names_are_a_problem() {
    assert_eq!(problems(r#"{"quorum": [], "quorum": []}"#).len(), 1);
}

#[test]
fn nesting_is_limited_before_anything_recurses() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(problems(&nested(MAX_DEPTH))[0].1, "expected an object, found an array");
    assert_eq!(problems(&nested(MAX_DEPTH + 1))[0].1, "nested more than 24 levels deep");
    assert_eq!(problems(&"[".repeat(100_000))[0].1, "nested more than 24 levels deep");
    let in_text = r#"{"quorum": [], "mode": "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#;
    assert_eq!(problems(in_text)[0].0, "/mode");
}
