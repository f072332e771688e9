//! What is measured, for those who watch over the service: callers with the right `metrics`.
//!
//! Names of organizations and how much they are asked are nobody else's business, so there is no reading
//! without a caller, from this machine or elsewhere; and each sees the organizations it is registered for.

use std::sync::Arc;

use assent_engine::Right;
use assent_model::{Cause, OrganizationId};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::callers::Connection;
use crate::http::edge::Noted;
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, typed_reply};
use crate::http::router::reads;
use crate::metrics::{Family, Kind, Sample, text};
use crate::service::Service;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of it.
pub(super) async fn metrics(State(service): State<Arc<Service>>, request: Request) -> Response {
    let mut noted = Noted::default();
    // Nothing is read of a body.
    let (parts, _body) = request.into_parts();
    let result = attempt(service, &parts, &mut noted).await;
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(noted);
    response
}

async fn attempt(service: Arc<Service>, parts: &Parts, noted: &mut Noted) -> Result<Response, Refusal> {
    let connection = parts.extensions.get::<Connection>();
    let caller = service.callers.authenticate(&parts.headers, connection).map_err(Refusal::Caller)?;
    let caller = Arc::clone(caller);
    noted.caller = Some(caller.id.clone());
    reads(&parts.method)?;
    if !caller.rights.contains(&Right::Metrics) {
        return Err(Refusal::Metrics);
    }
    // Whoever is asked may read files.
    let made = tokio::task::spawn_blocking(move || {
        let may_see = |organization: &OrganizationId| caller.may(Right::Metrics, organization);
        text(&families(&service), service.durations(), may_see)
    });
    let made = match made.await {
        Ok(made) => made,
        // Counted as any other, by whoever catches it at the edge.
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_ended) => return Err(Refusal::Internal),
    };
    Ok(typed_reply(StatusCode::OK, NO_STORE, CONTENT_TYPE, made))
}

fn families(service: &Service) -> Vec<Family> {
    let family = |name, help, kind, samples| Family { name, help, kind, samples };
    let decisions = service.decisions().flat_map(|(organization, decisions)| {
        decisions.by_cause().map(move |(cause, count)| {
            let effect = match cause {
                Cause::Permit => "permit",
                Cause::Forbidden | Cause::NoPolicy | Cause::Indeterminate => "deny",
            };
            Sample::of(organization, count as f64).with("effect", effect).with("cause", cause.code())
        })
    });
    let mut families = vec![
        family(
            "assent_build_info",
            "The version that runs; always 1.",
            Kind::Gauge,
            vec![Sample::new(1.0).with("version", env!("CARGO_PKG_VERSION"))],
        ),
        family(
            "assent_decisions_total",
            "Decisions made, recorded or not.",
            Kind::Counter,
            decisions.collect(),
        ),
        family(
            "assent_panics_total",
            "Requests that ended in a panic; each is a bug.",
            Kind::Counter,
            vec![Sample::new(service.panics() as f64)],
        ),
        family(
            "assent_requests_in_flight",
            "Requests for decisions under way.",
            Kind::Gauge,
            vec![Sample::new(service.in_flight_count() as f64)],
        ),
    ];
    families.extend(log_families(service));
    families.extend(service.gauges.iter().flat_map(|gauges| gauges.families()));
    families
}

/// Of the durable log of each organization; none where records are kept in memory.
fn log_families(service: &Service) -> Vec<Family> {
    let Some(audit) = &service.audit else { return vec![] };
    let status = audit.logs().status();
    let each = |name, help, value: fn(&assent_audit::log::Status) -> f64| Family {
        name,
        help,
        kind: Kind::Gauge,
        samples: status.iter().map(|(id, status)| Sample::of(id, value(status))).collect(),
    };
    vec![
        each("assent_audit_durable_records", "Records of this year's log that are on disk.", |status| {
            status.durable.size as f64
        }),
        each("assent_audit_queued_records", "Records that wait to be written.", |status| {
            status.queued as f64
        }),
        each(
            "assent_audit_log_failed",
            "1 once the log takes no more records; then everything is denied.",
            |status| f64::from(u8::from(status.failure.is_some())),
        ),
        each(
            "assent_audit_unpublished_records",
            "Durable records that no signed checkpoint covers yet; a second after the last record, 0.",
            |status| status.durable.size.saturating_sub(status.published.size) as f64,
        ),
        each(
            "assent_audit_checkpoint_age_seconds",
            "Since the last checkpoint, or the start; grows while nothing is recorded.",
            |status| status.since_checkpoint.as_secs_f64(),
        ),
    ]
}
