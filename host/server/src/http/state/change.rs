//! A change from the right to make it to the answer.

use assent_engine::state::{Committed, IDEMPOTENCY, LiveTurn, Plan, StateError};
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::Asking;
use super::command::{Command, Step};
use super::idempotency::{Again, Answered, REPLAYED};
use super::precondition::{Precondition, tag};
use super::problem::Stop;
use crate::http::reply::{NO_STORE, json_reply};

const X_AUDIT_POSITION: HeaderName = HeaderName::from_static("x-audit-position");

/// How often a change that another node overtook is decided anew. Each time another node made progress; beyond, the
/// caller decides.
const ATTEMPTS: u32 = 5;

/// A change that is asked for.
pub(super) struct Change {
    pub(super) precondition: Precondition,
    pub(super) again: Option<Again>,
    pub(super) command: Command,
}

impl Change {
    /// Makes it, or says why not.
    pub(super) async fn make(self, asking: Asking) -> Result<Response, Stop> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match self.attempt(&asking).await {
                Err(Failed::State(StateError::Overtaken)) if attempts > 0 => {}
                Err(Failed::State(error)) => return Err(error.into()),
                Err(Failed::Stop(stop)) => return Err(stop),
                Ok(response) => return Ok(response),
            }
        }
    }

    async fn attempt(&self, asking: &Asking) -> Result<Response, Failed> {
        let turn = asking.state.turn(asking.at).await?;
        if let Some(again) = &self.again
            && let Some(found) = turn.document(IDEMPOTENCY, again.id()).await?
        {
            let answered = again.answered(&found.body)?;
            drop(turn);
            // The first time may not have waited to its end.
            asking.state.seen_by_all(answered.version).await;
            return Ok(replayed(answered));
        }
        if self.precondition.is_any() {
            let found = match self.command.target() {
                Some((section, id)) => turn.document(section, &id).await?.map(|document| document.version),
                None => None,
            };
            // What stands in the release's files was never changed.
            let found = found.or_else(|| self.command.is_in_files(&turn).then_some(0));
            self.precondition.check(found)?;
        }
        let step = self.command.step(&turn, asking).await?;
        Ok(self.commit(turn, asking, step).await?)
    }

    async fn commit(&self, turn: LiveTurn<'_>, asking: &Asking, step: Step) -> Result<Response, StateError> {
        let Step { mut items, decision, status, body, location } = step;
        if let Some(again) = &self.again {
            let answer = (status, &body, location.as_deref());
            items.extend(again.item(asking.at, answer, turn.version() + 1));
        }
        let plan = Plan { by: asking.actor(), decision, items };
        let Committed { version, receipt } = turn.commit(asking.at, plan).await?;
        // What was taken back is taken back everywhere when the answer leaves.
        asking.state.seen_by_all(version).await;
        let mut response = done(status, &body, location.as_deref(), version);
        if let Ok(position) = HeaderValue::try_from(receipt.position.to_string()) {
            response.headers_mut().insert(X_AUDIT_POSITION, position);
        }
        Ok(response)
    }
}

/// Why a change was not made: by what is asked, or by the state, which may be another one the next time.
enum Failed {
    Stop(Stop),
    State(StateError),
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<StateError> for Failed {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

fn done(status: StatusCode, body: &Value, location: Option<&str>, version: u64) -> Response {
    let mut response = json_reply(status, NO_STORE, body);
    let headers = response.headers_mut();
    headers.extend(tag(version).map(|tag| (ETAG, tag)));
    headers.extend(location.and_then(|path| HeaderValue::try_from(path).ok()).map(|path| (LOCATION, path)));
    response
}

fn replayed(answered: Answered) -> Response {
    let Answered { status, body, location, version, .. } = answered;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = done(status, &body, location.as_deref(), version);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
