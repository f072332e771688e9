//! The service over HTTP that a deployment describes: who may ask, under which limits, with which releases.

use std::sync::Arc;

use anyhow::Context;
use assent_engine::{AuditRecorder, MemoryRecorder, Recorder};
use assent_server::http::StderrLog;
use assent_server::{
    Callers, Clock, Credential, Gauges, RandomIds, RegisteredCaller, Service, ServiceParts, SystemClock,
};

use super::state::States;
use crate::deployment::Deployment;
use crate::deployment::archive::Rebuilder;
use crate::deployment::build::{self, Built};

/// How many records the recorder in memory keeps: some minutes of a busy portal, at a few
/// kilobytes each.
const RECORDS_KEPT: usize = 10_000;

/// What a service has besides its deployment.
pub(super) struct With {
    pub(super) callers: Callers,
    /// The durable log; without one records are kept in memory.
    pub(super) recorder: Option<AuditRecorder>,
    pub(super) states: States,
    pub(super) clock: Arc<dyn Clock>,
    /// What runs beside it and is measured.
    pub(super) gauges: Vec<Arc<dyn Gauges>>,
}

/// The service that a deployment describes.
///
/// # Errors
/// When a limit cannot be used.
pub(super) fn service(deployment: &Deployment, built: &Built, with: With) -> anyhow::Result<Service> {
    let With { callers, recorder: audit, states, clock, gauges } = with;
    let recorder: Arc<dyn Recorder> = match &audit {
        Some(recorder) => Arc::new(recorder.clone()),
        None => Arc::new(MemoryRecorder::new(RECORDS_KEPT)),
    };
    let parts = ServiceParts {
        releases: built.organizations.iter().map(|organization| organization.release.clone()).collect(),
        states,
        callers,
        recorder,
        audit,
        rebuild: Some(Arc::new(Rebuilder::new(Arc::clone(&built.host), &deployment.config.plugins))),
        limits: deployment.config.server.limits.clone(),
        public_url: deployment.config.server.public_url.clone(),
        allow_remote_peers: deployment.config.server.allow_remote,
        clock,
        ids: Arc::new(RandomIds),
        log: Arc::new(StderrLog::start().context("the log of requests")?),
        gauges,
    };
    Service::new(parts).context("assent.toml")
}

/// Whether a deployment can be served, as far as its callers, limits and addresses go.
///
/// # Errors
/// What clashes or cannot be used.
pub fn check(deployment: &Deployment, built: &Built) -> anyhow::Result<()> {
    let (callers, clock) = (callers(deployment)?, Arc::new(SystemClock));
    service(deployment, built, With { callers, recorder: None, states: States::new(), clock, gauges: vec![] })
        .map(drop)
}

/// The callers of `assent.toml`.
///
/// # Errors
/// When two share an id, a key or the loopback interface.
pub fn callers(deployment: &Deployment) -> anyhow::Result<Callers> {
    let registered = deployment.config.callers.iter().map(|config| RegisteredCaller {
        caller: build::caller(config),
        credential: match config.key_sha256 {
            Some(digest) => Credential::KeySha256(*digest.as_bytes()),
            None => Credential::Loopback,
        },
    });
    Callers::new(registered).context("assent.toml")
}
