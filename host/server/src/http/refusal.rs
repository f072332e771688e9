//! Why a request is not answered with a decision: the one map from cause to HTTP.
//!
//! AuthZEN names 400, 401, 403 and 500 (section 10.1.2) and leaves the body open; ours is
//! `{"error":{"status":…,"message":…}}`, the form that items of a batch have too. A denial is never
//! here: it is a decision, and 200. Messages hold no value of a request.

use assent_audit::reports::UnknownReport;
use axum::http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::callers::Unauthenticated;
use crate::http::reply::{NO_STORE, json_reply};
use crate::http::turned_away::Reason;
use crate::wire::WireError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nothing is served here")]
    NotFound,
    #[error("metadata is not offered: no public URL is configured")]
    NoMetadata,
    #[error("this method is not served here: expected {0}")]
    Method(&'static str),
    #[error("expected exactly one `Host`")]
    Host,
    #[error("`X-Request-ID` is longer than {0} bytes")]
    RequestIdTooLong(usize),
    #[error("the caller could not be authenticated")]
    Caller(Unauthenticated),
    /// One text for an organization that does not exist and for one that the caller may not ask
    /// about, so that nobody learns who the tenants are.
    #[error("this caller may not ask about this organization")]
    Organization,
    #[error("this caller may not ask for explanations")]
    Explain,
    #[error("this caller may not read metrics")]
    Metrics,
    #[error("`explain`: expected `full`")]
    Query,
    #[error("`Content-Type`: expected `application/json`")]
    ContentType,
    #[error("`Content-Encoding`: expected none")]
    ContentEncoding,
    /// 413 is not among AuthZEN's codes, but is HTTP's own for this (RFC 9110, section 15.5.14),
    /// and proxies and clients know not to send the same again.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body ended early")]
    BodyBroken,
    #[error(transparent)]
    Body(#[from] WireError),
    /// The one text that may name a part of the request: a parameter's name, where it is nearly a known one. See
    /// `audit::query`.
    #[error("{0}")]
    Parameter(String),
    #[error("expected a decision's id, as in `X-Decision-ID`, or a place, such as `2026-17`")]
    RecordId,
    #[error("{}", UnknownReport)]
    Report,
    #[error("the audit log has no such record")]
    NoRecord,
    #[error("this record is not a decision: only decisions can be made again")]
    NotADecision,
    #[error("no witness cosigned this log yet")]
    Unwitnessed,
    #[error("the audit log could not record this read")]
    Unrecorded,
    #[error("the audit log was not read in time")]
    ReadTimeout,
    #[error("the record is not under a checkpoint yet")]
    Unpublished,
    /// Why is for the operator, who has the files.
    #[error("the audit log cannot be read: `assent audit verify` says what is wrong")]
    Unreadable(String),
    #[error("too many requests are under way")]
    Overloaded,
    #[error("the decision was not made in time")]
    DecisionTimeout,
    #[error("the service failed")]
    Internal,
}

impl Refusal {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoMetadata | Self::NoRecord | Self::Report | Self::Unwitnessed => {
                StatusCode::NOT_FOUND
            }
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host
            | Self::RequestIdTooLong(_)
            | Self::Query
            | Self::Parameter(_)
            | Self::RecordId
            | Self::NotADecision
            | Self::ContentType
            | Self::ContentEncoding
            | Self::BodyBroken
            | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Caller(_) => StatusCode::UNAUTHORIZED,
            Self::Organization | Self::Explain | Self::Metrics => StatusCode::FORBIDDEN,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded
            | Self::DecisionTimeout
            | Self::Unrecorded
            | Self::ReadTimeout
            | Self::Unpublished => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What it is, as a stable code: the last part of a problem's type.
    pub(super) const fn code(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "no-right",
            StatusCode::NOT_FOUND => "not-found",
            StatusCode::METHOD_NOT_ALLOWED => "method",
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            StatusCode::REQUEST_TIMEOUT => "body-timeout",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "internal",
            _ => "malformed",
        }
    }

    /// Why a caller is turned away, as a code; `None` where it is not the caller that is refused.
    const fn turns_away(&self) -> Option<Reason> {
        match self {
            Self::Caller(Unauthenticated::Missing) => Some(Reason("no-credential")),
            Self::Caller(Unauthenticated::Invalid) => Some(Reason("unknown-credential")),
            Self::Organization => Some(Reason("no-right")),
            Self::Explain => Some(Reason("no-right-to-explain")),
            Self::Metrics => Some(Reason("no-right-to-metrics")),
            _ => None,
        }
    }

    fn header(&self) -> Option<(axum::http::HeaderName, HeaderValue)> {
        match self {
            Self::Method(allow) => Some((ALLOW, HeaderValue::from_static(allow))),
            // RFC 6750, section 3.1: no error code where no credential was sent.
            Self::Caller(Unauthenticated::Missing) => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="assent""#)))
            }
            Self::Caller(Unauthenticated::Invalid) => Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"Bearer realm="assent", error="invalid_token""#),
            )),
            // One second: a decision takes a small part of that, and a checkpoint comes each second.
            Self::Overloaded
            | Self::DecisionTimeout
            | Self::Unrecorded
            | Self::ReadTimeout
            | Self::Unpublished => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            // What is left of the body would be read as the next request.
            Self::BodyTooLarge(_) | Self::BodyTimeout => {
                Some((CONNECTION, HeaderValue::from_static("close")))
            }
            Self::NotFound
            | Self::NoMetadata
            | Self::Host
            | Self::RequestIdTooLong(_)
            | Self::Organization
            | Self::Explain
            | Self::Metrics
            | Self::Query
            | Self::Parameter(_)
            | Self::RecordId
            | Self::NotADecision
            | Self::NoRecord
            | Self::Report
            | Self::Unwitnessed
            | Self::Unreadable(_)
            | Self::ContentType
            | Self::ContentEncoding
            | Self::BodyBroken
            | Self::Body(_)
            | Self::Internal => None,
        }
    }
}

/// Why the audit log could not be read, on its way to the completion line.
#[derive(Clone, Debug)]
pub(super) struct Unreadable(pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({ "error": { "status": status.as_u16(), "message": self.to_string() } });
        let mut response = json_reply(status, NO_STORE, &body);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        if let Self::Unreadable(why) = &self {
            response.extensions_mut().insert(Unreadable(why.clone()));
        }
        if let Some(reason) = self.turns_away() {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status_and_never_permits() {
        let cases = [
            (Refusal::NotFound, 404, None),
            (Refusal::NoMetadata, 404, None),
            (Refusal::Method("POST"), 405, Some(("allow", "POST"))),
            (Refusal::Host, 400, None),
            (Refusal::RequestIdTooLong(1), 400, None),
            (
                Refusal::Caller(Unauthenticated::Missing),
                401,
                Some(("www-authenticate", r#"Bearer realm="assent""#)),
            ),
            (
                Refusal::Caller(Unauthenticated::Invalid),
                401,
                Some(("www-authenticate", r#"Bearer realm="assent", error="invalid_token""#)),
            ),
            (Refusal::Organization, 403, None),
            (Refusal::Explain, 403, None),
            (Refusal::Metrics, 403, None),
            (Refusal::Query, 400, None),
            (Refusal::ContentType, 400, None),
            (Refusal::ContentEncoding, 400, None),
            (Refusal::BodyTooLarge(1), 413, Some(("connection", "close"))),
            (Refusal::BodyTimeout, 408, Some(("connection", "close"))),
            (Refusal::BodyBroken, 400, None),
            (Refusal::Body(WireError::NotAnObject), 400, None),
            (Refusal::Overloaded, 503, Some(("retry-after", "1"))),
            (Refusal::DecisionTimeout, 503, Some(("retry-after", "1"))),
            (Refusal::Parameter("`x`: unknown".into()), 400, None),
            (Refusal::RecordId, 400, None),
            (Refusal::NotADecision, 400, None),
            (Refusal::NoRecord, 404, None),
            (Refusal::Report, 404, None),
            (Refusal::Unwitnessed, 404, None),
            (Refusal::Unrecorded, 503, Some(("retry-after", "1"))),
            (Refusal::ReadTimeout, 503, Some(("retry-after", "1"))),
            (Refusal::Unpublished, 503, Some(("retry-after", "1"))),
            (Refusal::Unreadable("a file".into()), 500, None),
            (Refusal::Internal, 500, None),
        ];
        for (refusal, status, header) in cases {
            let text = refusal.to_string();
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
            let response = refusal.into_response();
            assert_eq!(response.status(), status, "{text}");
            if let Some((name, value)) = header {
                assert_eq!(response.headers()[name], value, "{text}");
            }
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
}
