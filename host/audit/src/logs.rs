//! The logs of a deployment: one for each organization and year.
//!
//! `config` says where a log is and under which name; `opening` which year's log to go on in; `turning` how one
//! year follows another; `standing` how the open ones are doing. A year's log is closed when the next year has begun,
//! and can then be kept or let go whole (six years, or longer under a legal hold). INVARIANT (never back): records
//! go on into the newest year that has records, whatever the clock says, so that positions keep the order in which
//! decisions were answered.

mod config;
mod error;
mod opening;
mod standing;
mod turning;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assent_model::{Instant, OrganizationId};

use crate::keys::Payload;
use crate::log::{Failure, Log, SEGMENT_BYTES};
use crate::record::Event;

pub use config::LogsConfig;
pub(crate) use config::years;
pub use error::{BeginError, LogsError};
pub use opening::Opened;
pub use turning::LEAD;

use opening::{newest_year, open_shard, remember};

/// Room for a command's records.
const BRIEF_SEGMENT_BYTES: u64 = 256 << 10;

/// How long a record may take to become durable before its decision is denied: a hundred times what
/// a busy disk takes, and well below what a person waits for.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(2);

/// The open logs of a deployment.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Logs {
    config: LogsConfig,
    segment_bytes: u64,
    /// The lock is held for a look-up, or while prepared records are queued: never while a log is opened or closed.
    years: Mutex<BTreeMap<OrganizationId, Years>>,
    /// Held while a log is opened, so that two do not open the same one.
    opening: Mutex<()>,
}

/// The logs of an organization that are open.
struct Years {
    current: Shard,
    /// The next year's log, opened before its first record comes; nothing is in it yet.
    next: Option<Next>,
    /// What a year begins with.
    start: Arc<[Event]>,
    /// Logs of earlier years that somebody may still write to.
    retired: Vec<Shard>,
}

#[derive(Clone)]
struct Shard {
    year: i32,
    log: Arc<Log>,
}

struct Next {
    shard: Shard,
    /// That its end was cut off when it was opened, if it was.
    discarded: Vec<Payload>,
    /// What it begins with.
    start: Vec<Payload>,
}

impl Logs {
    /// Opens (or begins) each organization's log of the year of `now`, or of a later one that has records.
    ///
    /// # Errors
    /// The first log that cannot be opened. Nothing is served without a log.
    pub fn open(
        config: LogsConfig,
        organizations: impl IntoIterator<Item = OrganizationId>,
        now: Instant,
    ) -> Result<(Self, Vec<Opened>), LogsError> {
        Self::open_sized(config, organizations, now, SEGMENT_BYTES)
    }

    /// The same for a command that writes a record or two: it sets no room aside for millions.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_briefly(
        config: LogsConfig,
        organizations: impl IntoIterator<Item = OrganizationId>,
        now: Instant,
    ) -> Result<(Self, Vec<Opened>), LogsError> {
        Self::open_sized(config, organizations, now, BRIEF_SEGMENT_BYTES)
    }

    fn open_sized(
        config: LogsConfig,
        organizations: impl IntoIterator<Item = OrganizationId>,
        now: Instant,
        segment_bytes: u64,
    ) -> Result<(Self, Vec<Opened>), LogsError> {
        let mut years = BTreeMap::new();
        let mut opened = vec![];
        for organization in organizations {
            let year = newest_year(&config, &organization, now)?;
            let (current, recovered) = open_shard(&config, &organization, year, segment_bytes)?;
            let start = Arc::from([]);
            years.insert(organization.clone(), Years { current, next: None, start, retired: vec![] });
            opened.push(Opened { organization, year, recovered });
        }
        let (years, opening) = (Mutex::new(years), Mutex::new(()));
        Ok((Self { config, segment_bytes, years, opening }, opened))
    }

    /// Where the logs are, and with which keys.
    pub const fn config(&self) -> &LogsConfig {
        &self.config
    }

    /// Writes what waits and publishes the last checkpoints. Blocks.
    ///
    /// # Errors
    /// The first log that had failed; the others are closed all the same.
    pub fn close(&self) -> Result<(), Arc<Failure>> {
        let mut open: Vec<(OrganizationId, Shard)> = vec![];
        for (organization, Years { current, next, retired, .. }) in self.years().iter() {
            let others = next.iter().map(|next| &next.shard).chain(retired);
            open.extend(others.chain([current]).map(|shard| (organization.clone(), shard.clone())));
        }
        let mut result = Ok(());
        for (organization, shard) in &open {
            result = result.and(self.close_shard(organization, shard));
        }
        result
    }

    fn close_shard(
        &self,
        organization: &OrganizationId,
        Shard { year, log }: &Shard,
    ) -> Result<(), Arc<Failure>> {
        log.close()?;
        // Where this cannot be remembered, what was remembered last still is.
        drop(remember(&self.config, organization, *year));
        Ok(())
    }

    fn years(&self) -> MutexGuard<'_, BTreeMap<OrganizationId, Years>> {
        // Each step below leaves the map whole, so a panic elsewhere does not spoil it.
        self.years.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
