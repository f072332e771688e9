//! The log of a running service: opened, with the records of its start, watched, and turned with the year.
//!
//! The service alone writes records, so it also records what commands do to the keys beside it.
//! INVARIANT (a year's log explains itself): before a release decides, the year's log holds what it was built
//! from; and a year that begins meanwhile begins with the same records.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_audit::keys::KeyChanged;
use assent_audit::logs::{Logs, Opened};
use assent_audit::record::{Actor, Event, KeyEvent, PluginUsed, ReleaseActivated, ServiceRun};
use assent_audit::shelf::{Archived, Shelf};
use assent_engine::{AuditRecorder, Binding, Recorder, Release};
use assent_model::{EntityId, Instant, OrganizationId};
use assent_server::Clock;
use tokio::task::spawn_blocking;

use super::{clock, inbox, settings};
use crate::audit_keys;
use crate::deployment::build::{Built, BuiltOrganization};
use crate::deployment::{Deployment, archive};

/// The durable log of each organization, with the records of this start: what recovery cut off, that
/// the service runs with which settings, what the release was built from unless that is there already, which
/// release decides. `None` where the deployment keeps its log in memory.
///
/// # Errors
/// When a key is missing, a log cannot be continued, or a release is too large to be archived: nothing is
/// served then.
pub(super) async fn open(
    deployment: &Deployment,
    built: &Built,
    now: Instant,
) -> anyhow::Result<Option<AuditRecorder>> {
    let Some(config) = audit_keys::load(deployment)? else { return Ok(None) };
    let organizations = built.organizations.iter().map(|built| built.release.organization().clone());
    let (logs, opened) = Logs::open(config, organizations, now)?;
    say_begun(&opened);
    say_gone(&logs, &opened);
    let recorder = AuditRecorder::new(Arc::new(logs));
    for opened in &opened {
        if let Some(event) = opened.tail_discarded() {
            recorder.note(&opened.organization, now, event).await?;
        }
    }
    inbox::take_in(recorder.logs(), now).await?;
    clock::compare(&recorder, &opened, now).await?;
    for (organization, Opened { year, recovered, .. }) in built.organizations.iter().zip(&opened) {
        let id = organization.release.organization();
        settings::note(&recorder, deployment, id, now).await?;
        let start = start(organization, &deployment.root)?;
        let is_archived = !recovered.created && holds(&recorder, &organization.release, *year);
        for event in start.iter().filter(|event| !(is_archived && matches!(event, Event::ReleaseArchived(_))))
        {
            recorder.note(id, now, event.clone()).await?;
        }
        recorder.logs().begin_years_with(id, start)?;
        note_keys(&recorder, id, now).await?;
    }
    Ok(Some(recorder))
}

/// The records of an organization's start, in their order.
fn start(organization: &BuiltOrganization, root: &Path) -> anyhow::Result<Vec<Event>> {
    let release = &organization.release;
    let parts = archive::parts(organization)
        .with_context(|| format!("`{}` cannot be archived in its log", release.organization()))?;
    let mut start = vec![Event::ServiceStarted(run())];
    start.extend(parts.into_iter().map(Event::ReleaseArchived));
    start.push(Event::ReleaseActivated(activated(release, root)));
    Ok(start)
}

/// Whether the year's log holds the archive of a release and its facts. Where that cannot be told, it is
/// written again, which costs room and nothing else.
fn holds(recorder: &AuditRecorder, release: &Release, year: i32) -> bool {
    let shelf = Shelf::new(recorder.logs().config().clone(), release.organization().clone());
    let found = shelf.archived(year, release.digest(), release.snapshot().digest());
    matches!(found, Ok(Ok(Archived::Whole(_))))
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

/// A year that no record goes into any more and that is gone: the service can decide without it, and nothing else
/// can be told of it.
#[expect(clippy::print_stderr, reason = "the person who starts the service must see this")]
fn say_gone(logs: &Logs, opened: &[Opened]) {
    for Opened { organization, .. } in opened {
        let shelf = Shelf::new(logs.config().clone(), organization.clone());
        if let Err(error) = shelf.all_years(None) {
            eprintln!("{error}; until then nothing is let go, and searches and accountings fail");
        }
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

/// The service, where it does something by itself.
pub(super) fn activated(release: &Release, root: &Path) -> ReleaseActivated {
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

pub(super) fn service() -> Actor {
    Actor {
        entity: EntityId::new("Service", "assent"),
        caller: Some("cli".to_owned()),
        address: None,
        account: None,
    }
}

/// How soon an operator reads that a log stopped; requests are denied from that moment on by themselves.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Says once why the log stopped, when it does; the lines of requests only say that it did. Until then records
/// what happens to the keys beside the service.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see why it denies")]
pub(super) async fn watch(recorder: Option<&AuditRecorder>, clock: &dyn Clock) -> Infallible {
    let Some(recorder) = recorder else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    let mut said = BTreeSet::new();
    loop {
        ticks.tick().await;
        if let Err(error) = recorder.ready() {
            eprintln!("everything is denied: {}; start the service again once this is mended", error.reason);
            return std::future::pending().await;
        }
        for organization in recorder.logs().status().keys() {
            match note_keys(recorder, organization, clock.now()).await {
                Ok(()) => drop(said.remove(organization)),
                Err(error) if said.insert(organization.clone()) => {
                    eprintln!("a change of the keys of `{organization}` is not recorded yet: {error:#}");
                }
                Err(_said) => {}
            }
        }
    }
}

/// How often it is looked whether a year ends: a twelfth of the time that a log is opened ahead, so that it is
/// tried several times.
const TURN_INTERVAL: Duration = Duration::from_secs(5);

/// Opens the next year's logs ahead, begins them with the year, and closes last year's: so that no request waits
/// for any of it. What goes wrong is said once and tried again; and the first request of the year would try, too.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see that a year cannot begin")]
pub(super) async fn turn(recorder: Option<&AuditRecorder>, clock: &dyn Clock) -> Infallible {
    let Some(recorder) = recorder else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(TURN_INTERVAL);
    let mut said = String::new();
    loop {
        ticks.tick().await;
        let (logs, now) = (Arc::clone(recorder.logs()), clock.now());
        match spawn_blocking(move || logs.turn(now)).await {
            Ok(Ok(opened)) => say_begun(&opened),
            Ok(Err(error)) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                if error != said {
                    eprintln!("the next year's audit log is not ready: {error}; it is tried again");
                    said = error;
                }
            }
            // The runtime ends, and this with it.
            Err(_ended) => return std::future::pending().await,
        }
    }
}
