//! The body of a request: JSON that is not compressed, within limits of size and time.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::http::refusal::Refusal;
use crate::limits::Limits;

/// What says of itself how a document changes (RFC 7396).
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Whether the body is JSON as it is.
pub(super) fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    check_content_of(headers, &["application/json"])
}

/// Whether the body is JSON as it is, or a patch of it.
pub(super) fn check_patch(headers: &HeaderMap) -> Result<(), Refusal> {
    check_content_of(headers, &["application/json", MERGE_PATCH])
}

fn check_content_of(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let single = types.next().filter(|_| types.next().is_none());
    let is_one = |text: &str| kinds.iter().any(|kind| is_content(text, kind));
    if !single.and_then(|value| value.to_str().ok()).is_some_and(is_one) {
        return Err(Refusal::ContentType);
    }
    match headers.get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding == "identity" => Ok(()),
        // A compressed body would grow past the size limit after it was checked.
        Some(_) => Err(Refusal::ContentEncoding),
    }
}

/// Such as `application/json`, alone or with parameters; a charset must be UTF-8, which JSON is anyway.
fn is_content(content_type: &str, expected: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_expected = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(expected));
    let utf_8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    };
    is_expected && parts.all(utf_8)
}

/// All of a body, within its limits of size and time.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::BodyTooLarge(limits.body_max_bytes);
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limits.body_max_bytes)) {
        return Err(too_large());
    }
    let collected = timeout(limits.body_timeout(), Limited::new(body, limits.body_max_bytes).collect()).await;
    match collected {
        Err(_elapsed) => Err(Refusal::BodyTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_that_are_json_and_those_that_are_not() {
        for (content_type, expected) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("Application/JSON ; profile=x", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("text/json", false),
            ("application/jsonp", false),
            ("application/fhir+json", false),
            ("", false),
        ] {
            assert_eq!(is_content(content_type, "application/json"), expected, "{content_type}");
        }
    }
}
