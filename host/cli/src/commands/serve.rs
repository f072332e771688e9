//! `assent serve DIR`: the decision API of a deployment, until interrupted.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_audit::logs::{Logs, Opened};
use assent_audit::record::{Actor, Event, PluginUsed, ReleaseActivated, ServiceRun, TailDiscarded};
use assent_engine::{AuditRecorder, Binding, MemoryRecorder, Recorder, Release};
use assent_model::{EntityId, Instant};
use assent_server::http::StderrLog;
use assent_server::{
    Callers, Clock, Credential, RandomIds, RegisteredCaller, Service, ServiceParts, SystemClock,
};
use tokio::net::TcpListener;

use crate::audit_keys;
use crate::deployment::Deployment;
use crate::deployment::build::{self, Built};

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
        let kept = open_log(&deployment, &built, clock.now()).await?;
        let recorder: Arc<dyn Recorder> = match &kept {
            Some(recorder) => Arc::new(recorder.clone()),
            None => Arc::new(MemoryRecorder::new(RECORDS_KEPT)),
        };
        let service = Arc::new(service(&deployment, &built, recorder, kept.clone(), Arc::clone(&clock))?);
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("`{address}` cannot be listened on"))?;
        announce(listener.local_addr().unwrap_or(address), &built, stopped_clock, kept.is_some());
        let ended = tokio::select! {
            ended = assent_server::serve(service, listener, interrupted()) => ended.context("the service ended"),
            never = watch(kept.as_ref()) => match never {},
        };
        if let Some(recorder) = kept {
            note_all(&recorder, &built, clock.now(), || Event::ServiceStopped(run())).await?;
            recorder.logs().close().context("the audit log could not be closed")?;
        }
        ended
    })
}

/// The durable log of each organization, with the records of this start: what recovery cut off, that
/// the service runs, which release decides. `None` where the deployment keeps its log in memory.
///
/// # Errors
/// When a key is missing or a log cannot be continued: nothing is served then.
async fn open_log(
    deployment: &Deployment,
    built: &Built,
    now: Instant,
) -> anyhow::Result<Option<AuditRecorder>> {
    let Some(config) = audit_keys::load(deployment)? else { return Ok(None) };
    let organizations = built.organizations.iter().map(|built| built.release.organization().clone());
    let (logs, opened) = Logs::open(config, organizations, now)?;
    say_begun(&opened);
    let recorder = AuditRecorder::new(Arc::new(logs));
    for Opened { organization, year, recovered } in opened.iter().filter(|o| o.recovered.discarded_bytes > 0)
    {
        let event = Event::TailDiscarded(TailDiscarded {
            segment: format!("{year:04}/{:08}", recovered.segments),
            position: recovered.size,
            bytes: recovered.discarded_bytes,
        });
        recorder.note(organization, now, event).await?;
    }
    note_all(&recorder, built, now, || Event::ServiceStarted(run())).await?;
    for organization in &built.organizations {
        let event = Event::ReleaseActivated(activated(&organization.release, &deployment.root));
        recorder.note(organization.release.organization(), now, event).await?;
    }
    Ok(Some(recorder))
}

/// A log that was not there: expected once a year, and at other times a sign that one was removed.
#[expect(clippy::print_stderr, reason = "the person who starts the service must see this")]
fn say_begun(opened: &[Opened]) {
    for Opened { organization, year, .. } in opened.iter().filter(|opened| opened.recovered.created) {
        eprintln!("a new audit log begins for `{organization}`, year {year}: there was none");
    }
}

async fn note_all(
    recorder: &AuditRecorder,
    built: &Built,
    now: Instant,
    event: impl Fn() -> Event,
) -> anyhow::Result<()> {
    for organization in &built.organizations {
        recorder.note(organization.release.organization(), now, event()).await?;
    }
    Ok(())
}

fn run() -> ServiceRun {
    ServiceRun { node: "assent".to_owned(), software: env!("CARGO_PKG_VERSION").to_owned(), note: None }
}

fn activated(release: &Release, root: &Path) -> ReleaseActivated {
    let plugin = |binding: &Binding| PluginUsed {
        binding: binding.plugin.binding().to_owned(),
        plugin: binding.plugin.label().to_owned(),
        component: binding.plugin.component_digest(),
        settings: binding.plugin.settings_digest(),
    };
    ReleaseActivated {
        organization: release.organization().clone(),
        release: release.digest(),
        previous: None,
        policies: release.policies().digest(),
        plugins: release.bindings().iter().map(plugin).collect(),
        by: Actor {
            entity: EntityId::new("Service", "assent"),
            caller: Some("cli".to_owned()),
            address: None,
        },
        source: root.display().to_string(),
    }
}

/// A clock for demonstrations, whose data and requests are of one day.
#[derive(Debug)]
struct StoppedClock(Instant);

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

/// The service that a deployment describes, with this recorder, and the durable log if it has one.
///
/// # Errors
/// When callers clash or a limit cannot be used.
pub fn service(
    deployment: &Deployment,
    built: &Built,
    recorder: Arc<dyn Recorder>,
    audit: Option<AuditRecorder>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Service> {
    let parts = ServiceParts {
        releases: built.organizations.iter().map(|organization| organization.release.clone()).collect(),
        callers: callers(deployment)?,
        recorder,
        audit,
        limits: deployment.config.server.limits.clone(),
        public_url: deployment.config.server.public_url.clone(),
        allow_remote_peers: deployment.config.server.allow_remote,
        clock,
        ids: Arc::new(RandomIds),
        log: Arc::new(StderrLog),
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

/// How soon an operator reads that a log stopped; requests are denied from that moment on by themselves.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Says once why the log stopped, when it does. The lines of requests only say that it did.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see why it denies")]
async fn watch(recorder: Option<&AuditRecorder>) -> Infallible {
    let Some(recorder) = recorder else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = recorder.ready() {
            eprintln!("everything is denied: {}; start the service again once this is mended", error.reason);
            return std::future::pending().await;
        }
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
