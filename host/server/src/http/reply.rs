//! Replies, most of them JSON, with their caching said in every one: a decision kept by a cache would outlive
//! the facts it rests on.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// For decisions, errors and states.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// For what changes only with a new process: five minutes, so that a change is seen soon.
pub(super) const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// For what never changes and is not for everybody: a year.
pub(super) const LASTING: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// A reply with this JSON.
pub(super) fn json_reply(status: StatusCode, caching: HeaderValue, body: &impl Serialize) -> Response {
    // Only maps whose keys are not text cannot be written, and none is ever passed here. Should
    // that change, the caller gets an empty 500, which denies.
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, vec![]),
    };
    bytes_reply(status, caching, bytes)
}

/// A reply with these bytes of JSON.
pub(super) fn bytes_reply(status: StatusCode, caching: HeaderValue, bytes: impl Into<Body>) -> Response {
    typed_reply(status, caching, "application/json", bytes)
}

/// A reply with these bytes of this content type.
pub(super) fn typed_reply(
    status: StatusCode,
    caching: HeaderValue,
    content_type: &'static str,
    bytes: impl Into<Body>,
) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, caching);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
