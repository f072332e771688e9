//! What an author of settings sees when something is wrong with them.

use schemars::JsonSchema;
use serde::Deserialize;

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
}

fn read(text: &str) -> Result<Settings, Vec<Problem>> {
    parse(text, &schema_text::<Settings>())
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
    assert_eq!(problems("{}"), [(String::new(), "`quorum` is missing".to_owned())]);
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
