//! Whether the process lives, and whether it should be sent requests.
//!
//! Readiness names how durable the audit log is, so that nobody takes a log in memory for a real
//! one. Which organizations are served is told only to callers that may ask about them.

use std::sync::Arc;

use assent_engine::Right;
use assent_engine::record::Durability;
use assent_model::{Digest, OrganizationId};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use crate::callers::Connection;
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply};
use crate::http::router::reads;
use crate::service::Service;

/// The process answers.
pub(super) async fn health(request: Request) -> Result<Response, Refusal> {
    reads(request.method())?;
    Ok(json_reply(StatusCode::OK, NO_STORE, &json!({ "status": "ok" })))
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    recorder: RecorderState,
    #[serde(skip_serializing_if = "Option::is_none")]
    organizations: Option<Vec<Loaded>>,
}

#[derive(Serialize)]
struct RecorderState {
    durability: Durability,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

#[derive(Serialize)]
struct Loaded {
    id: OrganizationId,
    release: Digest,
}

/// Whether requests should be sent here, by status: 200 or 503.
pub(super) async fn readiness(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    reads(request.method())?;
    let reason = if service.is_draining() {
        Some("stopping")
    } else if service.recorder.ready().is_err() {
        Some("the audit log takes no records")
    } else if !service.is_fresh() {
        Some("the state is not kept up: its database is not heard of, or a change is in doubt")
    } else {
        None
    };
    let durability = service.recorder.durability();
    let connection = request.extensions().get::<Connection>();
    let organizations = service.callers.authenticate(request.headers(), connection).ok().map(|caller| {
        let permitted =
            service.releases().filter(|release| caller.may(Right::Decide, release.organization()));
        permitted
            .map(|release| Loaded { id: release.organization().clone(), release: release.digest() })
            .collect()
    });
    let readiness = Readiness {
        ready: reason.is_none(),
        reason,
        recorder: RecorderState {
            durability,
            warning: match durability {
                Durability::Memory => Some("audit log is in memory; records are lost when the process ends"),
                Durability::Durable => None,
            },
        },
        organizations,
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json_reply(status, NO_STORE, &readiness))
}
