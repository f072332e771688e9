//! The log of a running service: opened, with the records of its start, and watched.
//!
//! The service alone writes records, so it also records what commands do to the keys beside it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assent_audit::keys::KeyChanged;
use assent_audit::logs::{Logs, Opened};
use assent_audit::record::{Actor, Event, KeyEvent, PluginUsed, ReleaseActivated, ServiceRun, TailDiscarded};
use assent_engine::{AuditRecorder, Binding, Recorder, Release};
use assent_model::{EntityId, Instant, OrganizationId};
use assent_server::Clock;

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
        note_keys(&recorder, organization.release.organization(), now).await?;
    }
    Ok(Some(recorder))
}

/// Records the sealing key that is in use since, and what was wrapped anew, where that is not recorded yet.
async fn note_keys(
    recorder: &AuditRecorder,
    organization: &OrganizationId,
    now: Instant,
) -> anyhow::Result<()> {
    let changes = recorder.logs().key_changes(organization)?;
    if changes.is_empty() {
        return Ok(());
    }
    for KeyChanged { change, key, wrapped_by } in changes {
        let event = Event::Key(KeyEvent { change, key, wrapped_by, by: service() });
        recorder.note(organization, now, event).await?;
    }
    Ok(recorder.logs().key_changes_recorded(organization)?)
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
        by: service(),
        source: root.display().to_string(),
    }
}

fn service() -> Actor {
    Actor { entity: EntityId::new("Service", "assent"), caller: Some("cli".to_owned()), address: None }
}

/// How soon an operator reads that a log stopped; requests are denied from that moment on by themselves.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Says once why the log stopped, when it does; the lines of requests only say that it did. Until then records
/// what happens to the keys beside the service.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see why it denies")]
pub(super) async fn watch(recorder: Option<&AuditRecorder>, clock: &dyn Clock) -> Infallible {
    let Some(recorder) = recorder else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    let mut keys_noted = true;
    loop {
        ticks.tick().await;
        if let Err(error) = recorder.ready() {
            eprintln!("everything is denied: {}; start the service again once this is mended", error.reason);
            return std::future::pending().await;
        }
        for organization in recorder.logs().status().keys() {
            let noted = note_keys(recorder, organization, clock.now()).await;
            if let (Err(error), true) = (&noted, keys_noted) {
                eprintln!("a change of the keys of `{organization}` is not recorded yet: {error:#}");
            }
            keys_noted = noted.is_ok();
        }
    }
}
