//! The wire format held to the cases in `cases/`, and to a plain parser.

use assent_model::Request;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::limits::Limits;

const EVALUATION: &str = include_str!("../../cases/evaluation.json");
const EVALUATIONS: &str = include_str!("../../cases/evaluations.json");
/// The batch limit that the cases are written for.
const BATCH_MAX: usize = 6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The body as text, where its exact bytes matter.
    raw: Option<String>,
    body: Option<Value>,
    error: Option<String>,
    request: Option<Request>,
    single: Option<Request>,
    semantic: Option<String>,
    items: Option<Vec<CaseItem>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CaseItem {
    Error(String),
    Request(Box<Request>),
}

impl Case {
    fn load(&self) -> Result<Value, WireError> {
        let bytes = match (&self.raw, &self.body) {
            (Some(raw), None) => raw.clone().into_bytes(),
            (None, Some(body)) => serde_json::to_vec(body).unwrap(),
            _ => panic!("{}: expected either `raw` or `body`", self.name),
        };
        load(&bytes, &Limits::default())
    }
}

fn cases(text: &str) -> Vec<Case> {
    serde_json::from_str(text).unwrap()
}

/// As JSON, because `Debug` of a request hides what the test wants to see.
fn text(request: &Request) -> String {
    serde_json::to_string_pretty(request).unwrap()
}

#[test]
fn evaluation_requests_are_read_or_refused_as_the_cases_say() {
    for case in cases(EVALUATION) {
        let got = case.load().and_then(|body| evaluation(&body));
        match (&case.request, &case.error) {
            (Some(request), None) => assert_eq!(text(&got.unwrap()), text(request), "{}", case.name),
            (None, Some(error)) => assert_eq!(got.unwrap_err().to_string(), *error, "{}", case.name),
            _ => panic!("{}: expected either `request` or `error`", case.name),
        }
    }
}

#[test]
fn evaluations_requests_are_read_or_refused_as_the_cases_say() {
    for case in cases(EVALUATIONS) {
        let name = &case.name;
        let got = case.load().and_then(|body| evaluations(&body, BATCH_MAX));
        match (got, &case.single, &case.items, &case.error) {
            (Err(got), None, None, Some(error)) => assert_eq!(got.to_string(), *error, "{name}"),
            (Ok(Evaluations::Single(got)), Some(request), None, None) => {
                assert_eq!(text(&got), text(request), "{name}");
            }
            (Ok(Evaluations::Batch { semantic, items }), None, Some(expected), None) => {
                let semantic = match semantic {
                    Semantic::ExecuteAll => "execute_all",
                    Semantic::DenyOnFirstDeny => "deny_on_first_deny",
                    Semantic::PermitOnFirstPermit => "permit_on_first_permit",
                };
                assert_eq!(Some(semantic), case.semantic.as_deref(), "{name}");
                assert_eq!(items.len(), expected.len(), "{name}");
                for (got, expected) in items.iter().zip(expected) {
                    match (got, expected) {
                        (Ok(got), CaseItem::Request(request)) => {
                            assert_eq!(text(got), text(request), "{name}")
                        }
                        (Err(got), CaseItem::Error(error)) => assert_eq!(got.to_string(), *error, "{name}"),
                        (got, _) => panic!("{name}: got {got:?}"),
                    }
                }
            }
            (got, ..) => panic!("{name}: got {got:?}"),
        }
    }
}

#[test]
fn invalid_utf_8_is_malformed_wherever_it_is() {
    for bytes in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"\xc0\xaf\":1}",
        b"\xff\xfe{}",
        b"{\"a\":\xf0\x9f}",
        b"{\"a\":\"\xed\xa0\x80\"}",
    ] {
        let got = load(bytes, &Limits::default());
        assert!(matches!(got, Err(WireError::Malformed { .. })), "{bytes:?}: {got:?}");
    }
}

#[test]
fn nesting_ends_at_the_limit_one_level_under_it_is_read() {
    let limits = Limits { json_depth_max: 6, ..Limits::default() };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(load(nested(6).as_bytes(), &limits).is_ok());
        assert_eq!(load(nested(7).as_bytes(), &limits), Err(WireError::TooDeep { max: 6 }));
        // Far beyond what the stack would bear without a limit.
        assert_eq!(load(open.repeat(500_000).as_bytes(), &limits), Err(WireError::TooDeep { max: 6 }));
    }
}

#[test]
fn values_end_at_the_limit_one_under_it_is_read() {
    let limits = Limits { json_values_max: 16, ..Limits::default() };
    let array = |items: usize| format!("[{}]", vec!["1"; items].join(","));
    assert!(load(array(15).as_bytes(), &limits).is_ok());
    assert_eq!(load(array(16).as_bytes(), &limits), Err(WireError::TooManyValues { max: 16 }));
}

#[test]
fn numbers_keep_their_value_as_far_as_a_double_can() {
    for (text, expected) in [
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("1e308", "1e308"),
        ("1e-400", "0.0"),
        ("-0", "-0.0"),
    ] {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(load(text.as_bytes(), &Limits::default()).unwrap(), expected, "{text}");
    }
}

#[test]
fn semantics_stop_where_the_specification_says() {
    use Semantic::{DenyOnFirstDeny, ExecuteAll, PermitOnFirstPermit};
    for (semantic, after_deny, after_permit) in
        [(ExecuteAll, false, false), (DenyOnFirstDeny, true, false), (PermitOnFirstPermit, false, true)]
    {
        assert_eq!(semantic.stops_after(false), after_deny, "{semantic:?}");
        assert_eq!(semantic.stops_after(true), after_permit, "{semantic:?}");
    }
}

#[test]
fn an_item_error_is_false_with_its_status() {
    let response = Response::item_error(400, "`subject.id`: expected text");
    assert!(!response.permits());
    assert_eq!(
        serde_json::to_string(&response).unwrap(),
        r#"{"decision":false,"context":{"error":{"status":400,"message":"`subject.id`: expected text"}}}"#
    );
}

/// JSON with the members that requests have, and now and then a wrong one.
pub(crate) fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9-]{0,8}".prop_map(Value::from),
        Just(Value::from("alice")),
        Just(Value::from("deny_on_first_deny")),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            "subject", "action", "resource", "context", "type", "id", "name", "properties", "evaluations",
            "options", "evaluations_semantic", "supported_obligations",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            4 => prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let strict = load(&bytes, &Limits::default());
        let plain = serde_json::from_slice::<Value>(&bytes);
        prop_assert!(strict.is_err() || plain.is_ok());
    }

    #[test]
    fn json_without_duplicates_is_read_as_by_a_plain_parser(value in any_body()) {
        let bytes = serde_json::to_vec(&value).unwrap();
        let plain: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(load(&bytes, &Limits::default()).unwrap(), plain);
    }

    #[test]
    fn any_json_is_a_question_or_a_refusal_that_quotes_nothing(value in any_body(), secret in "S3CR3T[a-z]{8}") {
        let text = value.to_string().replace("alice", &secret);
        let body: Value = serde_json::from_str(&text).unwrap();
        let refusals = [evaluation(&body).err(), evaluations(&body, BATCH_MAX).err()];
        for refusal in refusals.into_iter().flatten() {
            prop_assert!(!refusal.to_string().contains("S3CR3T"));
        }
    }
}
