//! The turn of a year: which log a record goes into, and how the next year's comes to be.
//!
//! The next log is opened ahead, begins with the first record of its year, and last year's is closed once nobody
//! holds it. INVARIANT (a year's log explains itself): the first records of a year that begins while the service
//! runs are those of its start, as [`Logs::begin_years_with`] was told, so that a year can be replayed, kept and let
//! go without the one before it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use assent_model::{Instant, OrganizationId};

use super::opening::open_shard;
use super::{BeginError, Logs, LogsError, Next, Opened, Shard, Years};
use crate::keys::Payload;
use crate::log::Log;
use crate::record::{Event, Record};

/// How long before a year begins its log is opened: a hundred times what it takes on a slow disk. If the
/// service ends in between, there is an empty log of a year that has not come, which nobody minds.
pub const LEAD: Duration = Duration::from_secs(60);

impl Logs {
    /// What the log of a year begins with that begins from now on: the records of the service's start,
    /// in their order.
    ///
    /// # Errors
    /// When no log was opened for the organization, or these cannot be records.
    pub fn begin_years_with(
        &self,
        organization: &OrganizationId,
        start: Vec<Event>,
    ) -> Result<(), LogsError> {
        let mut years = self.years();
        let years = years.get_mut(organization).ok_or_else(|| LogsError::Unknown(organization.clone()))?;
        if let Some(Next { shard, start: payloads, .. }) = &mut years.next {
            *payloads = first_records(&start, shard.year).map_err(|source| LogsError::Begin {
                organization: organization.clone(),
                year: shard.year,
                source,
            })?;
        }
        years.start = start.into();
        Ok(())
    }

    /// The log into which a record of this moment goes. Blocks for some tenths of a second at the first
    /// record of a year for which nobody called [`Logs::turn`] in time.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the new year's cannot be.
    pub fn log(&self, organization: &OrganizationId, at: Instant) -> Result<Arc<Log>, LogsError> {
        let year = at.year();
        if let Some(log) = self.open_log(organization, year)? {
            return Ok(log);
        }
        self.prepare(organization, year)?;
        self.open_log(organization, year)?.ok_or_else(|| LogsError::Unknown(organization.clone()))
    }

    /// Opens the logs of the next year when it is near, begins them when it has come, and closes those that
    /// nobody writes to any more; says which were opened. Blocks; cheap where there is nothing to do. To be
    /// called every now and then, more often than [`LEAD`]. That recovery cut something off, where it did, is
    /// recorded with the first records.
    ///
    /// # Errors
    /// The first log that cannot be opened or begun, after those of the other organizations were; it is tried again
    /// with the next call, or by [`Logs::log`]. Or the first that had failed before it was closed.
    pub fn turn(&self, now: Instant) -> Result<Vec<Opened>, LogsError> {
        let soon = now.as_millis().saturating_add(i64::try_from(LEAD.as_millis()).unwrap_or_default());
        let soon = Instant::from_millis(soon).unwrap_or(now).year();
        let organizations: Vec<OrganizationId> = self.years().keys().cloned().collect();
        let (mut opened, mut result) = (vec![], Ok(()));
        for organization in organizations {
            // What is wrong with one organization's logs is no reason for another's to wait.
            let prepared = self.prepare(&organization, soon).map(|prepared| opened.extend(prepared));
            let begun = self.open_log(&organization, now.year()).map(drop);
            let closed = self.close_unused(&organization);
            result = result.and(prepared).and(begun).and(closed);
        }
        result.map(|()| opened)
    }

    /// Closes the logs of earlier years that nobody writes to any more.
    fn close_unused(&self, organization: &OrganizationId) -> Result<(), LogsError> {
        let mut result = Ok(());
        for shard in self.unused(organization) {
            let closed = self.close_shard(organization, &shard).map_err(|source| LogsError::Close {
                organization: organization.clone(),
                year: shard.year,
                source,
            });
            result = result.and(closed);
        }
        result
    }

    /// The log of this year, or of a later one; `None` if it is not open. Begins one that was prepared.
    fn open_log(&self, organization: &OrganizationId, year: i32) -> Result<Option<Arc<Log>>, LogsError> {
        let mut years = self.years();
        let years = years.get_mut(organization).ok_or_else(|| LogsError::Unknown(organization.clone()))?;
        if years.current.year >= year {
            return Ok(Some(Arc::clone(&years.current.log)));
        }
        let Some(Next { shard, mut discarded, start }) = years.next.take_if(|next| next.shard.year == year)
        else {
            return Ok(None);
        };
        discarded.extend(start);
        // A log that does not take them takes nothing, and a crash leaves it empty or with the first of them:
        // the next start writes them again.
        shard.log.queue(discarded).map_err(|error| LogsError::Begin {
            organization: organization.clone(),
            year,
            source: error.into(),
        })?;
        // Those who still hold last year's log finish with it.
        years.retired.push(std::mem::replace(&mut years.current, shard));
        Ok(Some(Arc::clone(&years.current.log)))
    }

    /// Opens the log of this year, unless that or a later one is open.
    fn prepare(&self, organization: &OrganizationId, year: i32) -> Result<Option<Opened>, LogsError> {
        let is_open = |years: &Years| {
            years.current.year >= year || years.next.as_ref().is_some_and(|next| next.shard.year == year)
        };
        let start = |logs: &Self| match logs.years().get(organization) {
            None => Err(LogsError::Unknown(organization.clone())),
            Some(years) => Ok((!is_open(years)).then(|| Arc::clone(&years.start))),
        };
        if start(self)?.is_none() {
            return Ok(None);
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have opened it meanwhile.
        let Some(mut start) = start(self)? else { return Ok(None) };
        let begin = |source| LogsError::Begin { organization: organization.clone(), year, source };
        let mut first = first_records(&start, year).map_err(begin)?;
        let (shard, recovered) = open_shard(&self.config, organization, year, self.segment_bytes)?;
        let opened = Opened { organization: organization.clone(), year, recovered };
        let discarded = first_records(opened.tail_discarded().as_slice(), year).map_err(begin)?;
        loop {
            {
                let mut years = self.years();
                let unknown = || LogsError::Unknown(organization.clone());
                let years = years.get_mut(organization).ok_or_else(unknown)?;
                if Arc::ptr_eq(&start, &years.start) {
                    let replaced = years.next.replace(Next { shard, discarded, start: first });
                    years.retired.extend(replaced.map(|next| next.shard));
                    return Ok(Some(opened));
                }
                start = Arc::clone(&years.start);
            }
            // Meanwhile somebody said that a year begins with others.
            first = first_records(&start, year).map_err(begin)?;
        }
    }

    /// The logs of earlier years that nobody else holds.
    fn unused(&self, organization: &OrganizationId) -> Vec<Shard> {
        let mut years = self.years();
        let Some(years) = years.get_mut(organization) else { return vec![] };
        years.retired.extract_if(.., |shard| Arc::strong_count(&shard.log) == 1).collect()
    }
}

/// The first records of a year, ready to be queued. They are dated to its beginning.
fn first_records(start: &[Event], year: i32) -> Result<Vec<Payload>, BeginError> {
    let at: Instant = format!("{year:04}-01-01T00:00:00Z").parse().map_err(|_| BeginError::Year)?;
    let payload = |event: &Event| Ok(Payload::new(Record::new(at, event.clone()).encode()?)?);
    start.iter().map(payload).collect()
}
