//! The state over HTTP: entities, consents, and the workflows around decisions.
//!
//! One order for all of it: place, caller, right, method, path, headers, body; then, under the right to change and in
//! a task that outlives its client, the request that was done before, the precondition, the step, the record, the
//! answer. INVARIANT (recorded, then seen): an answer that says "done" leaves when the change is durable and every
//! later decision of this node sees it. INVARIANT (receipt before permit) holds for reading too: what was read
//! leaves once the record of this reading is durable.

mod body;
mod change;
mod command;
mod entities;
mod idempotency;
mod page;
mod path;
mod precondition;
mod problem;
mod read;
mod workflows;

use std::sync::Arc;

use assent_audit::record::Actor;
use assent_engine::state::LiveState;
use assent_engine::{AuditRecorder, Caller, Right};
use assent_model::{EntityId, Instant, OrganizationId};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use crate::callers::Connection;
use crate::http::edge::Noted;
use crate::http::refusal::Refusal;
use crate::http::router::organization;
use crate::service::{Served, Service};

use path::{Collection, Named};
use problem::{Problem, Stop};

/// For whom the caller acts: `Practitioner/dr-lee`. The caller has made sure that it is that person.
const PERSON: HeaderName = HeaderName::from_static("assent-person");

/// Who asks, about which state.
#[derive(Clone)]
struct Asking {
    service: Arc<Service>,
    state: Arc<LiveState>,
    recorder: AuditRecorder,
    organization: OrganizationId,
    caller: Arc<Caller>,
    /// The person that the caller acts for.
    person: Option<EntityId>,
    address: Option<String>,
    at: Instant,
}

impl Asking {
    /// Who it is on the log: the person, or else the caller itself.
    fn actor(&self) -> Actor {
        Actor {
            entity: self.who(),
            caller: Some(self.caller.id.clone()),
            address: self.address.clone(),
            account: None,
        }
    }

    fn who(&self) -> EntityId {
        let caller = || EntityId::new("Service", self.caller.id.as_str());
        self.person.clone().unwrap_or_else(caller)
    }

    /// The person, where there must be one.
    fn person(&self) -> Result<&EntityId, Stop> {
        let detail = "`Assent-Person`: expected the person who does this, such as `Practitioner/dr-lee`";
        let none = || Problem::new(StatusCode::BAD_REQUEST, "no-person", detail);
        self.person.as_ref().ok_or_else(|| none().into())
    }
}

/// Everything below `/{organization}/state/v1/`.
pub(super) async fn state(State(service): State<Arc<Service>>, request: Request) -> Response {
    let mut noted = Noted::default();
    let result = attempt(&service, request, &mut noted).await;
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(noted);
    response
}

/// A refusal that comes before anybody looks what is asked for, in the form that refusals have there.
pub(super) fn refused(path: &str, refusal: Refusal) -> Response {
    let mut steps = path.split('/').skip(2);
    if (steps.next(), steps.next()) == (Some("state"), Some("v1")) {
        Stop::from(refusal).into_response()
    } else {
        refusal.into_response()
    }
}

async fn attempt(service: &Arc<Service>, request: Request, noted: &mut Noted) -> Result<Response, Stop> {
    let place = Arc::clone(&service.in_flight).try_acquire_owned().map_err(|_| Refusal::Overloaded)?;
    let (parts, body) = request.into_parts();
    let connection = parts.extensions.get::<Connection>();
    let caller = service.callers.authenticate(&parts.headers, connection).map_err(Refusal::Caller)?;
    noted.caller = Some(caller.id.clone());
    let named = path::named(&parts.uri)?;
    if !named.methods().split(", ").any(|method| method == parts.method.as_str()) {
        return Err(Refusal::Method(named.methods()).into());
    }
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let right = if reads { Right::ReadState } else { named.collection.right() };
    let (organization, served) = served(service, caller, right, organization(&parts.uri))?;
    noted.organization = Some(organization.clone());
    let places = (place, served.place().ok_or(Refusal::Overloaded)?);
    let (state, recorder) = served.state().zip(service.audit.clone()).ok_or_else(no_state)?;
    let asking = Asking {
        service: Arc::clone(service),
        state,
        recorder,
        organization,
        caller: Arc::clone(caller),
        person: person(&parts.headers)?,
        address: connection.map(|connection| connection.peer.ip().to_string()),
        at: service.clock.now(),
    };
    let limit = service.limits.request_timeout();
    if reads {
        let work = read::read(&asking, &named, &parts.uri);
        return timeout(limit, work).await.unwrap_or_else(|_| Err(Refusal::ReadTimeout.into()));
    }
    let change = ready(&asking, &named, &parts, body).await?;
    // A client that hangs up, or time that runs out, does not stop what may be on the log already.
    let task = tokio::spawn(async move {
        let done = change.make(asking).await;
        drop(places);
        done
    });
    match timeout(limit, task).await {
        Ok(Ok(done)) => done,
        Ok(Err(_panicked)) => {
            noted.panicked = true;
            Err(Refusal::Internal.into())
        }
        Err(_elapsed) => {
            let detail = "the change was not made in time and may still be: look before you repeat it, or \
                          repeat it with the same `Idempotency-Key`";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "in-doubt", detail).into())
        }
    }
}

/// The change that a request asks for, read and checked as far as it can be without the state.
async fn ready(asking: &Asking, named: &Named, parts: &Parts, body: Body) -> Result<change::Change, Stop> {
    let bytes = body::read(&parts.method, &parts.headers, body, &asking.service.limits).await?;
    page::none(&parts.uri)?;
    let who = (asking.caller.id.as_str(), asking.person.as_ref());
    let again = (&parts.method, parts.uri.path(), &*bytes);
    Ok(change::Change {
        precondition: precondition::Precondition::of(&parts.headers)?,
        again: idempotency::Again::of(&parts.headers, who, again)?,
        command: command::Command::of(asking, named, &parts.method, &bytes)?,
    })
}

/// An organization whose state the caller may read or change.
fn served<'a>(
    service: &'a Service,
    caller: &Caller,
    right: Right,
    organization: &str,
) -> Result<(OrganizationId, &'a Served), Refusal> {
    OrganizationId::new(organization)
        .ok()
        .filter(|organization| caller.may(right, organization))
        .and_then(|organization| {
            let served = service.served(&organization)?;
            Some((organization, served))
        })
        .ok_or(Refusal::Organization)
}

fn no_state() -> Stop {
    let detail = "this service keeps no state: `[audit]` and `[state]` in `assent.toml` make it keep one";
    Problem::new(StatusCode::NOT_FOUND, "no-state", detail).into()
}

fn person(headers: &HeaderMap) -> Result<Option<EntityId>, Stop> {
    let mut values = headers.get_all(PERSON).iter();
    let text = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let named = text.and_then(|text| text.trim().split_once('/'));
    let entity = named.filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
    let entity = entity.map(|(kind, id)| EntityId::new(kind, id));
    let wrong = || {
        let detail = "`Assent-Person`: expected one entity, such as `Practitioner/dr-lee`";
        Problem::new(StatusCode::BAD_REQUEST, "no-person", detail)
    };
    entity.map(Some).ok_or_else(|| wrong().into())
}

impl Collection {
    /// The right that a change of it needs.
    const fn right(self) -> Right {
        match self {
            Self::Entities | Self::Consents => Right::WriteState,
            Self::Approvals | Self::Emergencies | Self::Disclosures => Right::Workflow,
            Self::Holds => Right::Hold,
            // Only read.
            Self::Lapses => Right::ReadState,
        }
    }
}
