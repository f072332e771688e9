//! What is served where. [`ROUTES`] is the list; the OpenAPI document and the tests are held to it.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::any;

use crate::http::edge::edge;
use crate::http::refusal::Refusal;
use crate::http::{audit, evaluation, health, metadata, metrics, state};
use crate::service::Service;

/// A path and the methods that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The methods, as `Allow` lists them.
    pub methods: &'static str,
}

const READ: &str = "GET, HEAD";

const EVALUATION: Route = Route { path: "/{organization}/access/v1/evaluation", methods: "POST" };
const EVALUATIONS: Route = Route { path: "/{organization}/access/v1/evaluations", methods: "POST" };
const RECORD: Route = Route { path: "/{organization}/audit/v1/records/{id}", methods: READ };
const RECORDS: Route = Route { path: "/{organization}/audit/v1/records", methods: READ };
const REPLAY: Route = Route { path: "/{organization}/audit/v1/records/{id}/replay", methods: "POST" };
const PROOF: Route = Route { path: "/{organization}/audit/v1/proofs/{id}", methods: READ };
const ENTRY: Route = Route { path: "/{organization}/audit/v1/entries/{id}", methods: READ };
const CHECKPOINT: Route = Route { path: "/{organization}/audit/v1/checkpoint", methods: READ };
const DISCLOSURES: Route = Route { path: "/{organization}/audit/v1/disclosures", methods: READ };
const REPORT: Route = Route { path: "/{organization}/audit/v1/reports/{name}", methods: READ };
const EXPORT: Route = Route { path: "/{organization}/audit/v1/export", methods: READ };
const YEAR_CHECKPOINT: Route =
    Route { path: "/{organization}/audit/v1/log/{year}/checkpoint", methods: READ };
const TILE: Route = Route { path: "/{organization}/audit/v1/log/{year}/tile/{*tile}", methods: READ };
const ENTITIES: Route = Route { path: "/{organization}/state/v1/entities", methods: "GET, HEAD, POST" };
const ENTITY: Route =
    Route { path: "/{organization}/state/v1/entities/{type}/{id}", methods: "GET, HEAD, PUT, PATCH, DELETE" };
const CONSENTS: Route = Route { path: "/{organization}/state/v1/consents", methods: READ };
const CONSENT: Route = Route { path: "/{organization}/state/v1/consents/{id}", methods: "GET, HEAD, PUT" };
const CONSENT_STEP: Route = Route { path: "/{organization}/state/v1/consents/{id}/{step}", methods: "POST" };
const APPROVALS: Route = Route { path: "/{organization}/state/v1/approvals", methods: "GET, HEAD, POST" };
const APPROVAL: Route = Route { path: "/{organization}/state/v1/approvals/{id}", methods: READ };
const APPROVAL_STEP: Route =
    Route { path: "/{organization}/state/v1/approvals/{id}/{step}", methods: "POST" };
const EMERGENCIES: Route = Route { path: "/{organization}/state/v1/emergencies", methods: "GET, HEAD, POST" };
const EMERGENCY: Route = Route { path: "/{organization}/state/v1/emergencies/{id}", methods: READ };
const EMERGENCY_STEP: Route =
    Route { path: "/{organization}/state/v1/emergencies/{id}/{step}", methods: "POST" };
const CLINICIANS: Route =
    Route { path: "/{organization}/state/v1/disclosure-decisions", methods: "GET, HEAD, POST" };
const CLINICIAN: Route = Route { path: "/{organization}/state/v1/disclosure-decisions/{id}", methods: READ };
const CLINICIAN_STEP: Route =
    Route { path: "/{organization}/state/v1/disclosure-decisions/{id}/{step}", methods: "POST" };
const HOLDS: Route = Route { path: "/{organization}/state/v1/holds", methods: "GET, HEAD, POST" };
const HOLD: Route = Route { path: "/{organization}/state/v1/holds/{id}", methods: READ };
const HOLD_STEP: Route = Route { path: "/{organization}/state/v1/holds/{id}/{step}", methods: "POST" };
const LAPSES: Route = Route { path: "/{organization}/state/v1/lapses", methods: READ };
const METADATA: Route = Route { path: "/.well-known/authzen-configuration/{organization}", methods: READ };
const HEALTH: Route = Route { path: "/healthz", methods: READ };
const READINESS: Route = Route { path: "/readyz", methods: READ };
const METRICS: Route = Route { path: "/metrics", methods: READ };
const OPENAPI: Route = Route { path: "/openapi.json", methods: READ };

/// What the paths of the state begin with. One handler serves them all, and reads the path.
const STATE: &str = "/{organization}/state/v1/";

/// Everything that is served.
pub const ROUTES: &[Route] = &[
    EVALUATION,
    EVALUATIONS,
    RECORD,
    RECORDS,
    REPLAY,
    PROOF,
    ENTRY,
    CHECKPOINT,
    DISCLOSURES,
    REPORT,
    EXPORT,
    YEAR_CHECKPOINT,
    TILE,
    ENTITIES,
    ENTITY,
    CONSENTS,
    CONSENT,
    CONSENT_STEP,
    APPROVALS,
    APPROVAL,
    APPROVAL_STEP,
    EMERGENCIES,
    EMERGENCY,
    EMERGENCY_STEP,
    CLINICIANS,
    CLINICIAN,
    CLINICIAN_STEP,
    HOLDS,
    HOLD,
    HOLD_STEP,
    LAPSES,
    METADATA,
    HEALTH,
    READINESS,
    METRICS,
    OPENAPI,
];

/// The service as a router, without sockets. Requests should carry a [`crate::Connection`] among
/// their extensions; without it nobody is a caller but by key.
///
/// Every route takes any method and checks it itself, so that what is refused, and in what order,
/// is said in one place and in our own words.
pub fn router(service: Arc<Service>) -> Router {
    let of_state = ROUTES.iter().filter(|route| route.path.starts_with(STATE));
    let router = of_state.fold(Router::new(), |router, route| router.route(route.path, any(state::state)));
    router
        .route(EVALUATION.path, any(evaluation::single))
        .route(EVALUATIONS.path, any(evaluation::batch))
        .route(RECORD.path, any(audit::record))
        .route(RECORDS.path, any(audit::records))
        .route(REPLAY.path, any(audit::again))
        .route(PROOF.path, any(audit::proof))
        .route(ENTRY.path, any(audit::entry))
        .route(CHECKPOINT.path, any(audit::checkpoint))
        .route(DISCLOSURES.path, any(audit::disclosures))
        .route(REPORT.path, any(audit::report))
        .route(EXPORT.path, any(audit::export))
        .route(YEAR_CHECKPOINT.path, any(audit::year_checkpoint))
        .route(TILE.path, any(audit::tile))
        .route(METADATA.path, any(metadata::metadata))
        .route(HEALTH.path, any(health::health))
        .route(READINESS.path, any(health::readiness))
        .route(METRICS.path, any(metrics::metrics))
        .route(OPENAPI.path, any(metadata::openapi))
        .fallback(async |uri: Uri| state::refused(uri.path(), Refusal::NotFound))
        .layer(from_fn_with_state(Arc::clone(&service), edge))
        .with_state(service)
}

/// Whether the method reads.
pub(super) fn reads(method: &Method) -> Result<(), Refusal> {
    if *method == Method::GET || *method == Method::HEAD { Ok(()) } else { Err(Refusal::Method(READ)) }
}

/// Whether the method asks for a decision, or for one to be made again.
pub(super) fn asks(method: &Method) -> Result<(), Refusal> {
    if *method == Method::POST { Ok(()) } else { Err(Refusal::Method(EVALUATION.methods)) }
}

/// The organization in the path of a request about one, as sent.
pub(super) fn organization(uri: &Uri) -> &str {
    uri.path().split('/').nth(1).unwrap_or_default()
}
