//! `assent serve DIR`: the decision API of a deployment, until interrupted.

mod clock;
mod copies;
mod gauges;
mod inbox;
mod log;
mod settings;
mod witnesses;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use assent_audit::record::Event;
use assent_engine::{AuditRecorder, MemoryRecorder, Recorder};
use assent_model::Instant;
use assent_server::http::StderrLog;
use assent_server::{
    Callers, Clock, Credential, Gauges, RandomIds, RegisteredCaller, Service, ServiceParts, SystemClock,
};
use tokio::net::TcpListener;

use crate::deployment::Deployment;
use crate::deployment::archive::Rebuilder;
use crate::deployment::build::{self, Built};
use crate::exporters::{self, Exporters};
use gauges::{CopyGauges, WitnessGauges};

/// How many records the recorder in memory keeps: some minutes of a busy portal, at a few
/// kilobytes each.
const RECORDS_KEPT: usize = 10_000;

/// Serves until interrupted, then finishes what is under way.
///
/// # Errors
/// When the deployment does not load, or the address cannot be listened on.
pub fn serve(root: &Path, listen: Option<SocketAddr>, stopped_clock: Option<Instant>) -> anyhow::Result<()> {
    let (deployment, built) = super::load_quietly(root)?;
    let address = listen.unwrap_or(deployment.config.server.listen);
    let clock: Arc<dyn Clock> = match stopped_clock {
        None => Arc::new(SystemClock),
        // Expiry does not work on a clock that stands still, so nothing real may depend on it.
        Some(_) if !address.ip().is_loopback() => {
            anyhow::bail!(
                "`--stopped-clock` is for demonstrations on this machine: `{address}` is not loopback"
            )
        }
        Some(instant) => Arc::new(StoppedClock(instant)),
    };
    anyhow::ensure!(
        address.ip().is_loopback() || deployment.config.server.allow_remote,
        "`{address}` can be reached from other machines: listen on 127.0.0.1, or set `server.allow_remote = true` \
         if something in front encrypts and authenticates"
    );
    let runtime = assent_server::runtime().context("the service's threads could not be started")?;
    runtime.block_on(async {
        let prepared = exporters::prepare(&deployment)
            .map_err(|errors| anyhow::anyhow!(super::listed(&errors, super::NOT_LOADED)))?;
        let kept = log::open(&deployment, &built, clock.now()).await?;
        let copies = copies::load(&deployment, kept.as_ref())?;
        let recorder: Arc<dyn Recorder> = match &kept {
            Some(recorder) => Arc::new(recorder.clone()),
            None => Arc::new(MemoryRecorder::new(RECORDS_KEPT)),
        };
        let witnessing = witnesses::open(&deployment, kept.as_ref())?;
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("`{address}` cannot be listened on"))?;
        let exporters = match &kept {
            Some(recorder) => {
                Some(Arc::new(Exporters::start(prepared, recorder.logs(), Arc::clone(&clock))?))
            }
            None => None,
        };
        let mut gauges: Vec<Arc<dyn Gauges>> = vec![];
        gauges.extend(exporters.iter().map(|exporters| Arc::clone(exporters) as Arc<dyn Gauges>));
        gauges.extend(copies.iter().map(|copies| {
            let (watch, clock) = (copies.watch(), Arc::clone(&clock));
            Arc::new(CopyGauges { watch, clock }) as Arc<dyn Gauges>
        }));
        gauges.extend(witnessing.iter().map(|(witnessing, _)| {
            Arc::new(WitnessGauges(Arc::clone(witnessing))) as Arc<dyn Gauges>
        }));
        let service =
            Arc::new(service(&deployment, &built, recorder, kept.clone(), Arc::clone(&clock), gauges)?);
        let organizations: Vec<_> = service.releases().map(|release| release.organization().clone()).collect();
        announce(listener.local_addr().unwrap_or(address), &built, stopped_clock, kept.is_some());
        say_exporters(exporters.as_deref());
        let ended = tokio::select! {
            ended = assent_server::serve(service, listener, interrupted()) => ended.context("the service ended"),
            never = log::watch(kept.as_ref(), clock.as_ref()) => match never {},
            never = clock::watch(kept.as_ref(), &organizations, clock.as_ref()), if stopped_clock.is_none() => match never {},
            never = log::turn(kept.as_ref(), clock.as_ref()) => match never {},
            never = witnesses::watch(witnessing.as_ref()) => match never {},
            never = inbox::watch(kept.as_ref(), Arc::clone(&clock)) => match never {},
            never = copies::run(copies) => match never {},
        };
        if let Some(recorder) = kept {
            log::note_all(&recorder, &built, clock.now(), || Event::ServiceStopped(log::run())).await?;
            recorder.logs().close().context("the audit log could not be closed")?;
            witnesses::last(witnessing.as_ref()).await;
        }
        if let Some(exporters) = exporters {
            exporters.end();
        }
        ended
    })
}

/// A clock for demonstrations, whose data and requests are of one day.
#[derive(Debug)]
struct StoppedClock(Instant);

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

/// The service that a deployment describes, with this recorder, the durable log if it has one, and what runs
/// beside it and is measured.
///
/// # Errors
/// When callers clash or a limit cannot be used.
pub fn service(
    deployment: &Deployment,
    built: &Built,
    recorder: Arc<dyn Recorder>,
    audit: Option<AuditRecorder>,
    clock: Arc<dyn Clock>,
    gauges: Vec<Arc<dyn Gauges>>,
) -> anyhow::Result<Service> {
    let parts = ServiceParts {
        releases: built.organizations.iter().map(|organization| organization.release.clone()).collect(),
        callers: callers(deployment)?,
        recorder,
        audit,
        rebuild: Some(Arc::new(Rebuilder::new(Arc::clone(&built.host), &deployment.config.plugins))),
        limits: deployment.config.server.limits.clone(),
        public_url: deployment.config.server.public_url.clone(),
        allow_remote_peers: deployment.config.server.allow_remote,
        clock,
        ids: Arc::new(RandomIds),
        log: Arc::new(StderrLog),
        gauges,
    };
    Service::new(parts).context("assent.toml")
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

#[expect(clippy::print_stderr, reason = "the person who started the service waits for these lines")]
fn announce(address: SocketAddr, built: &Built, stopped_clock: Option<Instant>, durable: bool) {
    for organization in &built.organizations {
        let release = &organization.release;
        eprintln!(
            "serving `{id}` at http://{address}/{id}/access/v1/evaluation (release {digest})",
            id = release.organization(),
            digest = release.digest()
        );
    }
    if let Some(instant) = stopped_clock {
        eprintln!("the clock stands still at {instant}: for demonstrations only, nothing expires");
    }
    if !durable {
        eprintln!("the audit log is in memory: records are lost when the process ends; `[audit]` keeps one");
    }
}

#[expect(clippy::print_stderr, reason = "the person who started the service waits for these lines")]
fn say_exporters(exporters: Option<&Exporters>) {
    for exporter in exporters.into_iter().flat_map(Exporters::described) {
        eprintln!("exporter `{}` sends {} to {}", exporter.id, exporter.format.as_str(), exporter.to);
    }
}

/// Ready when the process is asked to stop.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    // Where signals cannot be had, the process ends the hard way.
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
