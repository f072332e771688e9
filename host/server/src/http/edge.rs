//! What holds for every request, whatever it asks for: exactly one `Host`, a request id in every
//! answer, a panic that ends as 500 and is counted, one completion line.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use assent_model::OrganizationId;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::callers::Connection;
use crate::http::log::{CompletedRequest, Tally, loggable};
use crate::http::refusal::{Refusal, Unreadable};
use crate::http::router::organization;
use crate::http::state::refused;
use crate::http::turned_away::{Kind, Reason};
use crate::service::Service;

/// Bytes of a request id. The specification lets it be any text; this is twenty times what any
/// tracing format needs, and a longer one is refused, because it could not be given back cheaply.
const REQUEST_ID_MAX: usize = 1_024;

/// The route of requests that nothing is served for.
pub(crate) const NO_ROUTE: &str = "none";

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a handler tells the completion line, as an extension of its response.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    pub(super) caller: Option<String>,
    pub(super) organization: Option<OrganizationId>,
    pub(super) tally: Tally,
    pub(super) panicked: bool,
}

/// Wraps every request.
pub(super) async fn edge(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let (request_id, refusal) = match request_id(&request, &service) {
        Ok(request_id) => (request_id, refusal(&request)),
        Err((request_id, refusal)) => (request_id, Some(refusal)),
    };
    // A request that is framed twice (with a length and in chunks) is read as chunks; whatever a
    // proxy in front took for its rest must not be read as a next request.
    let asked = Asked::of(&request);
    let close = request.headers().contains_key(TRANSFER_ENCODING);
    let path = request.uri().path().to_owned();

    let mut response = match refusal {
        Some(refusal) => refused(&path, refusal),
        None => match catching_panic(next.run(request)).await {
            Ok(response) => response,
            Err(_payload) => {
                let mut response = refused(&path, Refusal::Internal);
                response.extensions_mut().insert(Noted { panicked: true, ..Noted::default() });
                response
            }
        },
    };
    let noted = response.extensions_mut().remove::<Noted>().unwrap_or_default();
    if noted.panicked {
        service.count_panic();
    }
    let unreadable = response.extensions_mut().remove::<Unreadable>().map(|Unreadable(why)| why);
    if let Some(reason) = response.extensions_mut().remove::<Reason>() {
        asked.turned_away(&service, noted.caller.as_deref(), reason);
    }
    let duration = begun.elapsed();
    service.note_duration(&route, duration);
    service.log.completed(&CompletedRequest {
        request_id: loggable(request_id.as_bytes()),
        method,
        route,
        status: response.status().as_u16(),
        caller: noted.caller,
        organization: noted.organization,
        tally: noted.tally,
        panicked: noted.panicked,
        unreadable,
        duration,
    });
    if close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(X_REQUEST_ID, request_id);
    response
}

/// Whom a request is about, and from where it came, for the record of a caller that is turned away.
struct Asked {
    organization: Option<OrganizationId>,
    address: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let connection = request.extensions().get::<Connection>();
        Self {
            organization: OrganizationId::new(organization(request.uri())).ok(),
            address: connection.map(|connection| connection.peer.ip().to_string()),
        }
    }

    /// Records it for the organization asked about; where there is none of that name, for those of the
    /// caller. A stranger who asks about nobody concerns no log.
    fn turned_away(self, service: &Service, caller: Option<&str>, Reason(reason): Reason) {
        let Some(book) = &service.turned_away else { return };
        let asked = self.organization.filter(|organization| service.served(organization).is_some());
        let own = || service.callers.iter().find(|known| Some(known.id.as_str()) == caller);
        let concerned = match asked {
            Some(organization) => vec![organization],
            None => own().map(|caller| caller.organizations.iter().cloned().collect()).unwrap_or_default(),
        };
        let at = service.clock.now();
        for organization in concerned {
            let (caller, address) = (caller.map(str::to_owned), self.address.clone());
            book.note(at, Kind { organization, caller, address, reason });
        }
    }
}

/// The id that came with the request, byte for byte; or a fresh one. With a refusal where the one
/// that came cannot be given back.
fn request_id(request: &Request, service: &Service) -> Result<HeaderValue, (HeaderValue, Refusal)> {
    match request.headers().get(X_REQUEST_ID).filter(|id| !id.is_empty()) {
        None => Ok(fresh_id(service)),
        Some(id) if id.len() <= REQUEST_ID_MAX => Ok(id.clone()),
        Some(_) => Err((fresh_id(service), Refusal::RequestIdTooLong(REQUEST_ID_MAX))),
    }
}

fn fresh_id(service: &Service) -> HeaderValue {
    let bits = service.ids.bits().unwrap_or_default();
    HeaderValue::from_str(&format!("{bits:032x}")).unwrap_or(HeaderValue::from_static("none"))
}

/// RFC 9112, section 3.2: a request without `Host`, or with two, is answered 400.
fn refusal(request: &Request) -> Option<Refusal> {
    (request.headers().get_all(HOST).iter().count() != 1).then_some(Refusal::Host)
}

fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => "other",
    }
}

/// The future's outcome, or the payload of its panic. The payload may quote input: it is dropped.
async fn catching_panic<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        // A future that panicked is not polled again, so nobody sees what the panic left behind.
        match catch_unwind(AssertUnwindSafe(|| Pin::as_mut(&mut future).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    })
    .await
}
