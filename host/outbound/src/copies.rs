//! Copies of the logs elsewhere: what never changes is written once, what changes is replaced, the checkpoint last.
//!
//! A copy of a log is a log: the same files under `<organization>/<year>/`, with a checkpoint of what was
//! copied. INVARIANT (never ahead): a copy's checkpoint is written after everything it covers.
//! INVARIANT (nothing is overwritten): segments and tiles are created or found the same; anything else there is
//! an alarm, as is a copy that knows more than the log, or something else. What fails is tried again; nobody
//! waits for any of it.

mod error;
mod log;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use assent_audit::logs::LogsConfig;
use assent_model::OrganizationId;

use log::LogCopy;

pub use error::CopyError;
pub use log::Done;
pub use target::{Settings, Target, TargetError};

/// How often finished segments are looked for: they come once an hour or when 64 MiB are full.
const INTERVAL: Duration = Duration::from_secs(30);
/// The first wait after a failure; each doubles the one before.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait: an outage of hours costs some requests, and its end is noticed soon.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// How far the copies are, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many records of all logs the copies do not have. Those of segments that are being written count.
    pub records_behind: u64,
    /// How many sealed segments are not copied.
    pub segments_waiting: u64,
    /// When the oldest of these was sealed.
    pub waiting_since: Option<SystemTime>,
    /// When everything sealed was last found copied.
    pub complete_at: Option<SystemTime>,
    /// Why the last round failed, if it did: it is tried again.
    pub failure: Option<String>,
    /// What a person must look at: the copy is not what was copied.
    pub alarm: Option<String>,
}

impl Status {
    /// For how many seconds the oldest sealed segment has waited to be copied.
    pub fn seconds_behind(&self, now: SystemTime) -> u64 {
        self.waiting_since
            .and_then(|since| now.duration_since(since).ok())
            .map_or(0, |waited| waited.as_secs())
    }
}

/// Reads [`Status`] while the copies run.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Status>>);

impl Watch {
    /// How far the copies are.
    pub fn status(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Copies the logs of a deployment.
#[derive(Debug)]
pub struct Copies {
    source: Source,
    target: Target,
    logs: BTreeMap<(OrganizationId, i32), LogCopy>,
    watch: Watch,
}

/// Which logs, and the keys that sign checkpoints.
pub struct Source {
    /// Where the logs are.
    pub config: LogsConfig,
    /// Whose.
    pub organizations: Vec<OrganizationId>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?})", self.organizations)
    }
}

impl Copies {
    /// Copies of these logs to this place; nothing is done before [`Self::round`] or [`Self::run`].
    pub fn new(source: Source, target: Target) -> Self {
        Self { source, target, logs: BTreeMap::new(), watch: Watch::default() }
    }

    /// For whoever wants to know how far they are.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Copies what is finished and not copied yet. With `compare`, also reads back what is there already and
    /// compares every byte. Problems of one log do not keep others from being copied.
    pub async fn round(&mut self, compare: bool) -> Done {
        let mut done = Done::default();
        match self.logs() {
            Ok(present) => self.logs.retain(|log, _| present.contains(log)),
            Err(error) => done.problems.push(error),
        }
        for log in self.logs.values_mut() {
            if let Err(error) = log.round(&self.target, compare, &mut done).await {
                let unreachable = !error.is_alarm() && !error.is_of_one_log();
                done.problems.push(error);
                if unreachable {
                    break;
                }
            }
        }
        self.note(&done);
        done
    }

    /// Copies until it is dropped. `say` is told, in a line each, what goes wrong when it begins to, and when all is
    /// well again.
    pub async fn run(mut self, mut say: impl FnMut(&str)) {
        let (mut wait, mut said) = (BACKOFF_FIRST, BTreeSet::new());
        loop {
            let done = self.round(false).await;
            let problems: BTreeSet<String> = done.problems.iter().map(CopyError::in_full).collect();
            // Each that is new: a log that fails for long must not keep another's alarm from being heard.
            for problem in problems.difference(&said) {
                say(&format!("the audit log is not copied: {problem}"));
            }
            if problems.is_empty() && !said.is_empty() {
                say("the audit log is copied again");
            }
            let failed = !problems.is_empty();
            said = problems;
            if failed {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF_MAX);
            } else {
                wait = BACKOFF_FIRST;
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }

    /// Whether the copy has all of a year's log, as its checkpoint says: what is missing, if not.
    ///
    /// # Errors
    /// When the log or the copy cannot be read.
    pub async fn missing(
        &self,
        organization: &OrganizationId,
        year: i32,
    ) -> Result<Option<String>, CopyError> {
        LogCopy::new(&self.source.config, organization, year)?.missing(&self.target).await
    }

    /// The logs that there are; new ones are taken up.
    fn logs(&mut self) -> Result<Vec<(OrganizationId, i32)>, CopyError> {
        let mut present = vec![];
        let Source { config, organizations } = &self.source;
        for organization in organizations {
            let path = || config.directory.join(organization.as_str());
            let years =
                config.years(organization).map_err(|source| CopyError::Disk { path: path(), source })?;
            for year in years {
                let log = (organization.clone(), year);
                if !self.logs.contains_key(&log) {
                    self.logs.insert(log.clone(), LogCopy::new(config, organization, year)?);
                }
                present.push(log);
            }
        }
        Ok(present)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an operator compares with files' times, which are of this clock"
    )]
    fn note(&self, done: &Done) {
        let now = SystemTime::now();
        let worst =
            |alarm| done.problems.iter().find(|error| error.is_alarm() == alarm).map(CopyError::in_full);
        self.watch.set(|status| {
            status.records_behind = self.logs.values().map(LogCopy::records_behind).sum();
            status.segments_waiting = self.logs.values().map(LogCopy::segments_waiting).sum();
            status.waiting_since = self.logs.values().filter_map(LogCopy::waiting_since).min();
            (status.failure, status.alarm) = (worst(false), worst(true));
            if done.problems.is_empty() {
                status.complete_at = Some(now);
            }
        });
    }
}
