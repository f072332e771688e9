//! What the service says of itself: AuthZEN metadata (section 9) and OpenAPI.
//!
//! Metadata is read before there are credentials, so it is public. It is a function of the public
//! URL and the name asked for, the same for every well-formed name: whether an organization of
//! that name is served is not told here either. It announces what is served and nothing else:
//! there are no searches yet.

use std::sync::Arc;

use assent_model::{ObligationCode, OrganizationId};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::http::refusal::Refusal;
use crate::http::reply::{PUBLIC, bytes_reply, json_reply};
use crate::http::router::reads;
use crate::service::Service;

const OPENAPI: &str = include_str!("openapi.json");

/// AuthZEN's policy decision point metadata. Members without a value are left out.
#[derive(Serialize)]
struct Metadata {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    /// Where an approval is asked for (Access Request and Approval Profile, draft 1); where some organization of the
    /// service keeps a state.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_request_endpoint: Option<String>,
    /// The obligations profile, draft 1, asks for the types that may be sent.
    supported_obligations: Vec<&'static str>,
}

pub(super) async fn metadata(
    State(service): State<Arc<Service>>,
    method: Method,
    path: Result<Path<OrganizationId>, PathRejection>,
) -> Result<Response, Refusal> {
    reads(&method)?;
    let Path(organization) = path.map_err(|_| Refusal::NotFound)?;
    let url = service.public_url.as_ref().ok_or(Refusal::NoMetadata)?.as_str();
    let identifier = format!("{url}/{organization}");
    let metadata = Metadata {
        access_evaluation_endpoint: format!("{identifier}/access/v1/evaluation"),
        access_evaluations_endpoint: format!("{identifier}/access/v1/evaluations"),
        access_request_endpoint: service.keeps_state().then(|| format!("{identifier}/state/v1/approvals")),
        supported_obligations: obligation_types(),
        policy_decision_point: identifier,
    };
    Ok(json_reply(StatusCode::OK, PUBLIC, &metadata))
}

/// Every obligation type that a decision can carry, in the order of their codes.
fn obligation_types() -> Vec<&'static str> {
    let mut types = vec![];
    for code in ObligationCode::KNOWN {
        let kind = code.authzen_type();
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    types
}

pub(super) async fn openapi(method: Method) -> Result<Response, Refusal> {
    reads(&method)?;
    Ok(bytes_reply(StatusCode::OK, PUBLIC, OPENAPI))
}
