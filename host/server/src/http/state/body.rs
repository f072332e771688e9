//! The body of a change: JSON, of a form that is said to the letter, so that a member that nobody reads is refused.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{Stop, malformed};
use crate::http::content::{check_content, check_patch, read_body};
use crate::http::refusal::Refusal;
use crate::limits::Limits;
use crate::wire::load;

/// The bytes of a body; none for a method that has none.
pub(super) async fn read(
    method: &Method,
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<Bytes, Stop> {
    if *method == Method::DELETE {
        return Ok(Bytes::new());
    }
    if *method == Method::PATCH {
        check_patch(headers)?
    } else {
        check_content(headers)?
    }
    Ok(read_body(headers, body, limits).await?)
}

/// The JSON of a body: no member twice, and within limits.
pub(super) fn json(bytes: &[u8], limits: &Limits) -> Result<Value, Stop> {
    Ok(load(bytes, limits).map_err(Refusal::Body)?)
}

/// A body of this form. Messages name members and expectations, and no value.
pub(super) fn of_form<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, Stop> {
    let value = json(bytes, limits)?;
    serde_json::from_value(value).map_err(|error| malformed("", without_values(&error.to_string())))
}

/// What serde expected. It quotes unexpected values in double quotes, and a value may be a patient's.
fn without_values(text: &str) -> String {
    match text.rsplit_once(", expected ") {
        Some((found, expected))
            if ["invalid", "unknown variant"].iter().any(|what| found.starts_with(what))
                || found.contains('"') =>
        {
            format!("expected {expected}")
        }
        Some((found, expected)) => format!("{found}, expected {expected}"),
        None if text.starts_with("missing field") || text.starts_with("unknown field") => text.to_owned(),
        None => "a value is not well-formed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_form_is_said_without_a_value() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "lowercase")]
        enum Word {
            Yes,
            No,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            #[expect(dead_code, reason = "read by serde alone")]
            word: Word,
            #[expect(dead_code, reason = "read by serde alone")]
            count: u8,
        }
        for (body, expected) in [
            (r#"{"word": "Canary", "count": 1}"#, "expected `yes` or `no`"),
            (r#"{"word": "yes", "count": "Canary"}"#, "expected u8"),
            (r#"{"word": "yes", "count": 777}"#, "expected u8"),
            (r#"{"word": "yes"}"#, "missing field `count`"),
            (r#""Canary""#, "expected struct Form"),
        ] {
            let Err(Stop::Problem(problem)) = of_form::<Form>(body.as_bytes(), &Limits::default()) else {
                panic!("{body}")
            };
            let said = serde_json::to_string(&problem).unwrap();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("Canary") && !said.contains("777"), "{said}");
        }
    }
}
