//! How the open logs are doing, and what is to be done with them while they are open.
//!
//! Nothing here waits for a disk with the lock held, so that readiness and metrics can ask at any time.

use std::collections::BTreeMap;

use assent_model::OrganizationId;

use super::{Logs, LogsError, Shard, Years};
use crate::keys::{Changes, KeyChanged, KeyError};
use crate::log::{self, DiskError};

impl Logs {
    /// Seals segments that have grown for long enough, so that they can be copied also where no record
    /// comes to do it. Does not wait.
    pub fn seal_aged(&self) {
        self.years().values().for_each(|years| years.current.log.seal_aged());
    }

    /// How each organization's log is doing.
    pub fn status(&self) -> BTreeMap<OrganizationId, log::Status> {
        let years = self.years();
        years.iter().map(|(organization, years)| (organization.clone(), years.current.log.status())).collect()
    }

    /// What changed in the keys of an organization's logs and is not recorded yet: in the newest one. Once it is, call
    /// [`Self::key_changes_recorded`]; otherwise it comes again.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the notes cannot be read.
    pub fn key_changes(&self, organization: &OrganizationId) -> Result<Vec<KeyChanged>, LogsError> {
        let (newest, earlier) = self.changes(organization)?;
        let read = || {
            let mut changes = newest.unrecorded(self.config.kek.id())?;
            for notes in &earlier {
                // A rotation goes over all years, and is one change.
                let more: Vec<_> =
                    notes.rewrapped()?.into_iter().filter(|change| !changes.contains(change)).collect();
                changes.extend(more);
            }
            Ok(changes)
        };
        read().map_err(|error| Self::keys(organization, error))
    }

    /// The changes that were given last are recorded.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the notes cannot be written.
    pub fn key_changes_recorded(&self, organization: &OrganizationId) -> Result<(), LogsError> {
        let (newest, earlier) = self.changes(organization)?;
        let clear = || {
            newest.recorded(self.config.kek.id())?;
            earlier.iter().try_for_each(Changes::rewrapped_recorded)
        };
        clear().map_err(|error| Self::keys(organization, error))
    }

    /// The notes of the newest log, and of those before it.
    fn changes(&self, organization: &OrganizationId) -> Result<(Changes, Vec<Changes>), LogsError> {
        let newest = match self.years().get(organization) {
            Some(years) => years.current.year,
            None => return Err(LogsError::Unknown(organization.clone())),
        };
        let years = self.config.years(organization).map_err(|source| LogsError::Directory {
            directory: self.config.directory.join(organization.as_str()),
            source,
        })?;
        let of = |year| Changes::of(&self.config.directory_of(organization, year));
        Ok((of(newest), years.into_iter().filter(|year| *year < newest).map(of).collect()))
    }

    fn keys(organization: &OrganizationId, source: KeyError) -> LogsError {
        LogsError::Keys { organization: organization.clone(), source: Box::new(source) }
    }

    /// The years of the logs that are open.
    pub fn open_years(&self) -> BTreeMap<OrganizationId, i32> {
        let years = self.years();
        years.iter().map(|(organization, years)| (organization.clone(), years.current.year)).collect()
    }

    /// Stops the log of this organization and year, if it is open: a witness knows another one than it.
    pub fn contradicted(&self, organization: &OrganizationId, year: i32, witness: &str, reason: &str) {
        if let Some(years) = self.years().get(organization).filter(|years| years.current.year == year) {
            years.current.log.contradicted(witness, reason);
        }
    }

    /// How far an organization's log of a year may be read by those who hand records on: what is durable,
    /// or all of a year that is closed. `None` while a past year still takes its last records.
    ///
    /// # Errors
    /// When it cannot be told whether a past year is closed.
    pub fn committed(&self, organization: &OrganizationId, year: i32) -> Result<Option<u64>, DiskError> {
        {
            let years = self.years();
            match years.get(organization).map(|years| &years.current) {
                Some(shard) if shard.year == year => return Ok(Some(shard.log.status().durable.size)),
                Some(shard) if shard.year > year => {}
                Some(_) | None => return Ok(None),
            }
        }
        let written = log::is_being_written(&self.config.directory_of(organization, year))?;
        Ok((!written).then_some(u64::MAX))
    }

    /// The newest year of an organization's logs, and how many records of it are durable.
    pub fn newest(&self, organization: &OrganizationId) -> Option<(i32, u64)> {
        let years = self.years();
        years
            .get(organization)
            .map(|Years { current: Shard { year, log }, .. }| (*year, log.status().durable.size))
    }
}
