//! The decision endpoints: what is refused, in which order, before anything is decided.
//!
//! Load, caller, method, organization, query, content type, body size and time, JSON, structure;
//! then [`decide`]. Nothing of a body is read for a peer that has not shown who it is, and nobody
//! learns from an error which organizations exist.

use std::sync::Arc;

use assent_engine::{Caller, Release, Right};
use assent_model::OrganizationId;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::callers::Connection;
use crate::http::content::{check_content, read_body};
use crate::http::decide::{Answers, Asked, Asker, decide};
use crate::http::edge::{Noted, X_REQUEST_ID};
use crate::http::log::loggable;
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply};
use crate::http::router::{asks, organization};
use crate::limits::Limits;
use crate::service::{Served, Service};
use crate::wire::{BatchResponse, Evaluations, WireError, evaluation, evaluations, load};

const X_DECISION_ID: HeaderName = HeaderName::from_static("x-decision-id");
const X_AUDIT_POSITION: HeaderName = HeaderName::from_static("x-audit-position");

/// Reads a body as questions.
type Read = fn(&Value, &Limits) -> Result<Evaluations, WireError>;

/// One question.
pub(super) async fn single(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(service, request, |body, _| {
        evaluation(body).map(|question| Evaluations::Single(Box::new(question)))
    })
    .await
}

/// A batch of questions.
pub(super) async fn batch(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(service, request, |body, limits| evaluations(body, limits.batch_max)).await
}

async fn answer(service: Arc<Service>, request: Request, read: Read) -> Response {
    let mut noted = Noted::default();
    let result = attempt(&service, request, read, &mut noted).await;
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(noted);
    response
}

async fn attempt(
    service: &Arc<Service>,
    request: Request,
    read: Read,
    noted: &mut Noted,
) -> Result<Response, Refusal> {
    let place = Arc::clone(&service.in_flight).try_acquire_owned().map_err(|_| Refusal::Overloaded)?;
    let (parts, body) = request.into_parts();
    let connection = parts.extensions.get::<Connection>();
    let caller = service.callers.authenticate(&parts.headers, connection).map_err(Refusal::Caller)?;
    noted.caller = Some(caller.id.clone());
    asks(&parts.method)?;
    let served = served(service, caller, organization(&parts.uri))?;
    let release = served.release();
    noted.organization = Some(release.organization().clone());
    let place = (place, served.place().ok_or(Refusal::Overloaded)?);
    let explain = explain(parts.uri.query(), caller, &release)?;
    check_content(&parts.headers)?;
    let bytes = read_body(&parts.headers, body, &service.limits).await?;
    let questions = read(&load(&bytes, &service.limits)?, &service.limits)?;
    drop(bytes);
    let asker = Asker {
        service: Arc::clone(service),
        caller: Arc::clone(caller),
        lane: Arc::clone(&served.lane),
        release,
        at: service.clock.now(),
        id_bits: service.ids.bits().ok_or(Refusal::Internal)?,
        explain,
        request_id: parts.headers.get(X_REQUEST_ID).map(|id| loggable(id.as_bytes())),
        address: connection.map(|connection| connection.peer.ip().to_string()),
    };
    let answers = decide_in_time(asker, questions, place, noted).await?;
    Ok(reply(answers, noted))
}

/// An organization that the caller may ask about.
fn served<'a>(service: &'a Service, caller: &Caller, organization: &str) -> Result<&'a Served, Refusal> {
    OrganizationId::new(organization)
        .ok()
        .filter(|organization| caller.may(Right::Decide, organization))
        .and_then(|organization| service.served(&organization))
        .ok_or(Refusal::Organization)
}

/// Whether the caller asks for the full explanation. Other parameters are ignored, as unknown
/// members are.
fn explain(query: Option<&str>, caller: &Caller, release: &Release) -> Result<bool, Refusal> {
    let pairs = query.unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| match pair.split_once('=') {
        Some(("explain", value)) => Some(value),
        None if pair == "explain" => Some(""),
        Some(_) | None => None,
    });
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some("full"), None) if caller.may(Right::Explain, release.organization()) => Ok(true),
        (Some("full"), None) => Err(Refusal::Explain),
        (Some(_), _) => Err(Refusal::Query),
    }
}

/// Decides and records in a task of its own, and waits for it.
///
/// axum drops a handler whose client hangs up. The task is not dropped with it: it holds its
/// `place` among the requests under way (of the service, and of its organization) until every
/// record has its receipt, and a stopping service waits for all places. When time runs out the
/// caller is told so and must deny; the task goes on for the record's sake.
async fn decide_in_time(
    asker: Asker,
    questions: Evaluations,
    place: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    noted: &mut Noted,
) -> Result<Answers, Refusal> {
    let limit = asker.service.limits.request_timeout();
    let task = tokio::spawn(async move {
        let answers = decide(Arc::new(asker), questions).await;
        drop(place);
        answers
    });
    match timeout(limit, task).await {
        Err(_elapsed) => Err(Refusal::DecisionTimeout),
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(_panicked)) => {
            noted.panicked = true;
            Err(Refusal::Internal)
        }
    }
}

fn reply(answers: Answers, noted: &mut Noted) -> Response {
    let Answers { id, asked, position, tally, panics } = answers;
    noted.tally = tally;
    noted.panicked = panics > 0;
    let mut response = match asked {
        Asked::Single(response) => json_reply(StatusCode::OK, NO_STORE, &*response),
        Asked::Batch(evaluations) => json_reply(StatusCode::OK, NO_STORE, &BatchResponse { evaluations }),
    };
    let position = position.map(|position| (X_AUDIT_POSITION, position.to_string()));
    for (name, value) in [(X_DECISION_ID, id.to_string())].into_iter().chain(position) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
