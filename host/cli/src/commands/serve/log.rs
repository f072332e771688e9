//! The log of a running service: opened, with the records of its start, and watched.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assent_audit::logs::{Logs, Opened};
use assent_audit::record::{Actor, Event, PluginUsed, ReleaseActivated, ServiceRun};
use assent_engine::{AuditRecorder, Binding, Recorder, Release};
use assent_model::{EntityId, Instant};

use super::inbox;
use crate::audit_keys;
use crate::deployment::Deployment;
use crate::deployment::build::Built;

/// The durable log of each organization, with the records of this start: what recovery cut off, that
/// the service runs, which release decides. `None` where the deployment keeps its log in memory.
///
/// # Errors
/// When a key is missing or a log cannot be continued: nothing is served then.
pub(super) async fn open(
    deployment: &Deployment,
    built: &Built,
    now: Instant,
) -> anyhow::Result<Option<AuditRecorder>> {
    let Some(config) = audit_keys::load(deployment)? else { return Ok(None) };
    let organizations = built.organizations.iter().map(|built| built.release.organization().clone());
    let (logs, opened) = Logs::open(config, organizations, now)?;
    say_begun(&opened);
    let recorder = AuditRecorder::new(Arc::new(logs));
    for opened in &opened {
        if let Some(event) = opened.tail_discarded() {
            recorder.note(&opened.organization, now, event).await?;
        }
    }
    inbox::take_in(recorder.logs(), now).await?;
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

pub(super) async fn note_all(
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

pub(super) fn run() -> ServiceRun {
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
            account: None,
        },
        source: root.display().to_string(),
    }
}

/// How soon an operator reads that a log stopped; requests are denied from that moment on by themselves.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Says once why the log stopped, when it does. The lines of requests only say that it did.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see why it denies")]
pub(super) async fn watch(recorder: Option<&AuditRecorder>) -> Infallible {
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
