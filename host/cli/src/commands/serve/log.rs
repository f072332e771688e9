//! The log of a running service: opened, with the records of its start, watched, and turned with the year.
//!
//! The service alone writes records, so it also records what commands do to the keys beside it.
//! INVARIANT (a year's log explains itself): before a release decides, the year's log holds what it was built
//! from; and a year that begins meanwhile begins with the same records.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_audit::keys::KeyChanged;
use assent_audit::logs::{Logs, LogsConfig, Opened};
use assent_audit::record::{Actor, Event, KeyEvent, PluginUsed, ReleaseActivated, ServiceRun};
use assent_audit::shelf::{Archived, Shelf};
use assent_engine::{AuditRecorder, Binding, Release};
use assent_model::{EntityId, Instant, OrganizationId};
use assent_server::Clock;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use super::takeover::Takeover;
use super::{clock, inbox, settings};
use crate::deployment::build::{Built, BuiltOrganization};
use crate::deployment::{Deployment, archive};
use crate::say::{Problems, say};

/// The durable log of each organization, with the records of this start: what recovery cut off, that
/// the service runs with which settings, what the release was built from unless that is there already, which
/// release decides. What may take over is told for each organization, in their order.
///
/// # Errors
/// When a log cannot be continued, or a release is too large to be archived: nothing is served then.
pub(super) async fn open(
    config: LogsConfig,
    (deployment, built): (&Deployment, &Built),
    takeovers: Vec<Takeover>,
    now: Instant,
) -> anyhow::Result<AuditRecorder> {
    // Before anything is recorded, since it can fail for any organization.
    let organizations = built.organizations.iter().zip(takeovers);
    let starts =
        organizations.map(|(organization, takeover)| start(organization, takeover, &deployment.root));
    let starts: Vec<Vec<Event>> = starts.collect::<anyhow::Result<_>>()?;
    let organizations = built.organizations.iter().map(|built| built.release.organization().clone());
    let (logs, opened) = Logs::open(config, organizations, now)?;
    say_begun(&opened);
    say_gone(&logs, &opened);
    let recorder = AuditRecorder::new(Arc::new(logs));
    for opened in &opened {
        if let Some(event) = opened.tail_discarded() {
            recorder.note(&opened.organization, now, event).await?;
        }
        inbox::take_in(recorder.logs(), &opened.organization, now).await?;
    }
    clock::compare(&recorder, &opened, now).await?;
    for ((organization, start), opened) in built.organizations.iter().zip(starts).zip(&opened) {
        let Opened { organization: id, year, recovered } = opened;
        settings::note(&recorder, deployment, id, now).await?;
        let is_archived = !recovered.created && holds(&recorder, &organization.release, *year);
        for event in start.iter().filter(|event| !(is_archived && matches!(event, Event::ReleaseArchived(_))))
        {
            recorder.note(id, now, event.clone()).await?;
        }
        recorder.logs().begin_years_with(id, start)?;
        note_keys(&recorder, id, now).await?;
    }
    Ok(recorder)
}

/// The records of an organization's start, in their order.
fn start(organization: &BuiltOrganization, takeover: Takeover, root: &Path) -> anyhow::Result<Vec<Event>> {
    let release = &organization.release;
    let parts = archive::parts(organization)
        .with_context(|| format!("`{}` cannot be archived in its log", release.organization()))?;
    let mut start = vec![Event::ServiceStarted(run())];
    start.extend(parts.into_iter().map(Event::ReleaseArchived));
    start.push(Event::ReleaseActivated(activated(release, takeover, root)));
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
fn say_begun(opened: &[Opened]) {
    for Opened { organization, year, .. } in opened.iter().filter(|opened| opened.recovered.created) {
        say(&format!("a new audit log begins for `{organization}`, year {year}: there was none"));
    }
}

/// A year that no record goes into any more and that is gone: the service can decide without it, and nothing else
/// can be told of it.
fn say_gone(logs: &Logs, opened: &[Opened]) {
    for Opened { organization, .. } in opened {
        let shelf = Shelf::new(logs.config().clone(), organization.clone());
        if let Err(error) = shelf.all_years(None) {
            say(&format!("{error}; until then nothing is let go, and searches and accountings fail"));
        }
    }
}

/// Records in each log that the service stops, and closes them all with a last checkpoint. One that fails keeps no
/// other from it. Blocks while it closes.
pub(super) async fn close(recorder: &AuditRecorder, now: Instant) -> Vec<anyhow::Error> {
    let mut problems = vec![];
    for organization in recorder.logs().status().keys() {
        let noted = recorder.note(organization, now, Event::ServiceStopped(run())).await;
        let what = || format!("that the service stopped is not in the log of `{organization}`");
        problems.extend(noted.with_context(what).err());
    }
    problems.extend(recorder.logs().close().context("the audit log could not be closed").err());
    problems
}

fn run() -> ServiceRun {
    ServiceRun { node: "assent".to_owned(), software: env!("CARGO_PKG_VERSION").to_owned(), note: None }
}

fn activated(release: &Release, Takeover { guarded, request }: Takeover, root: &Path) -> ReleaseActivated {
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
        guarded: Some(guarded),
        request,
    }
}

/// The service, where it does something by itself.
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

/// Says once why a log stopped, when it does; the lines of requests only say that it did. Until then records
/// what happens to the keys beside the service.
pub(super) async fn watch(recorder: AuditRecorder, clock: Arc<dyn Clock>) -> Infallible {
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut problems = Problems::new();
    loop {
        ticks.tick().await;
        for (organization, status) in recorder.logs().status() {
            let problem = match status.failure {
                Some(failure) => Some(format!(
                    "everything of `{organization}` is denied: {:#}; start the service again once this is mended",
                    anyhow::Error::from(failure)
                )),
                None => note_keys(&recorder, &organization, clock.now()).await.err().map(|error| {
                    format!("a change of the keys of `{organization}` is not recorded yet: {error:#}")
                }),
            };
            problems.now(organization, problem);
        }
    }
}

/// How often it is looked whether a year ends: a twelfth of the time that a log is opened ahead, so that it is
/// tried several times.
const TURN_INTERVAL: Duration = Duration::from_secs(5);

/// Opens the next year's logs ahead, begins them with the year, and closes last year's: so that no request waits
/// for any of it. What goes wrong is said once and tried again; and the first request of the year would try, too.
pub(super) async fn turn(recorder: AuditRecorder, clock: Arc<dyn Clock>) -> Infallible {
    let mut ticks = tokio::time::interval(TURN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut problems = Problems::new();
    loop {
        ticks.tick().await;
        let (logs, now) = (Arc::clone(recorder.logs()), clock.now());
        let problem = match spawn_blocking(move || logs.turn(now)).await {
            Ok(Ok(opened)) => {
                say_begun(&opened);
                None
            }
            Ok(Err(error)) => {
                let error = anyhow::Error::from(error);
                Some(format!("the next year's audit log is not ready: {error:#}; it is tried again"))
            }
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and this with it.
                Err(_cancelled) => return std::future::pending().await,
            },
        };
        problems.now((), problem);
    }
}
