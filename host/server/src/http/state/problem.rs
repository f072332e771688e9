//! What is said where a change of state is refused: Problem Details (RFC 9457).
//!
//! `type` is `urn:assent:problem:` with a stable code that programs can tell apart, `detail` a sentence for a person
//! who must do something about it, `errors` every place of the body that is wrong, by JSON Pointer. Callers here may
//! write the facts, so problems name entities and attributes; they name none that the request did not.

use assent_engine::state::StateError;
use assent_policy::LoadErrors;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, typed_reply};

const CONTENT: &str = "application/problem+json";

/// Places of a body that are told in one answer; whoever mends these meets the rest.
const ERRORS_MAX: usize = 100;

/// Why a request about state is not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// As elsewhere in the service.
    Refused(Refusal),
    Problem(Box<Problem>),
}

/// One problem.
#[derive(Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Value>,
    #[serde(skip)]
    retry: bool,
}

/// INVARIANT (no patient in logs): details name entities.
impl std::fmt::Debug for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Problem({}, {})", self.status, self.kind)
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:assent:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: vec![],
            retry: false,
        }
    }

    fn retried(self) -> Self {
        Self { retry: true, ..self }
    }

    /// The same with a wrong place of the body.
    pub(super) fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(json!({ "pointer": pointer.into(), "detail": detail.into() }));
        self
    }
}

/// 400 for a request whose form is wrong.
pub(super) fn malformed(pointer: &str, expected: impl Into<String>) -> Stop {
    let what = "the body is not what is expected here";
    Problem::new(StatusCode::BAD_REQUEST, "malformed", what).at(pointer, expected).into()
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Facts(LoadErrors(problems)) => {
                let detail =
                    "what results does not fit the schema, or refers to what is not there: nothing changed";
                let all = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-facts", detail);
                problems
                    .into_iter()
                    .take(ERRORS_MAX)
                    .fold(all, |all, problem| {
                        let help = problem.help.map(|help| format!("; {help}")).unwrap_or_default();
                        all.at(format!("/changes/{}", problem.file), format!("{}{help}", problem.message))
                    })
                    .into()
            }
            StateError::Edit(error) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-facts", error.to_string()).into()
            }
            StateError::Payload(error) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-recordable", error.to_string()).into()
            }
            StateError::Record(error) if error.too_large => {
                let detail =
                    "the change is larger than one record of the audit log holds: send it in smaller parts";
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).into()
            }
            StateError::Record(_) => {
                let detail = "the audit log takes no records, so nothing changed";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unrecorded", detail).retried().into()
            }
            StateError::InDoubt { .. } => {
                let detail = "the change may be recorded and is not applied yet: repeat it with the same \
                              `Idempotency-Key`, or look before you repeat it";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "in-doubt", detail).retried().into()
            }
            StateError::Overtaken => {
                let detail = "the state was changed by another node meanwhile: repeat the change";
                Problem::new(StatusCode::CONFLICT, "overtaken", detail).into()
            }
            StateError::Store(_) => {
                let detail = "the database cannot be reached, so nothing changed";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-database", detail).retried().into()
            }
            // What does not fit is what others stored: named for whoever runs the service, and for nobody here.
            StateError::Misfit(_) | StateError::PutBack { .. } | StateError::Log(_) | StateError::Ended => {
                let detail = "the state cannot be kept up on this node, so nothing changed: what the service says \
                              tells its operator why";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "state-unusable", detail).retried().into()
            }
            StateError::Unreadable { .. } | StateError::Ahead { .. } | _ => Refusal::Internal.into(),
        }
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => {
                let status =
                    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = typed_reply(status, NO_STORE, CONTENT, body(&problem));
                if problem.retry {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                }
                response
            }
            // Its headers, and what it tells the completion line, stay as they are elsewhere.
            Self::Refused(refusal) => {
                let problem = Problem::new(refusal.status(), refusal.code(), refusal.to_string());
                let mut response = refusal.into_response();
                *response.body_mut() = Body::from(body(&problem));
                response.headers_mut().remove(CONTENT_LENGTH);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
                response
            }
        }
    }
}

fn body(problem: &Problem) -> Vec<u8> {
    serde_json::to_vec(problem).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use assent_policy::LoadProblem;

    use super::*;

    #[test]
    fn what_others_stored_and_does_not_fit_is_not_named_to_who_changes_something_else() {
        let named =
            LoadErrors(vec![LoadProblem::of_file("the state", "`Patient::\"zoe\"`: attrs.born is missing")]);
        let Stop::Problem(problem) = Stop::from(StateError::Misfit(named)) else { panic!("no problem") };
        assert_eq!((problem.status, problem.retry), (503, true));
        assert!(!serde_json::to_string(&problem).unwrap().contains("zoe"));
    }
}
