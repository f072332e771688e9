//! Opening one log: of which year, and is it the one that this deployment remembers?
//!
//! INVARIANT (never back): the clock may be set back, a log is not: the year to go on in is the newest that has, or
//! is remembered to have had, records.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use assent_model::{Instant, OrganizationId};

use super::{LogsConfig, LogsError, Shard};
use crate::known;
use crate::log::{Config, Log, Reader, Recovered};
use crate::record::{Event, TailDiscarded};
use crate::tlog::note::Signer;

/// A log that was opened, with what opening it found.
#[derive(Debug)]
pub struct Opened {
    /// Whose.
    pub organization: OrganizationId,
    /// The year.
    pub year: i32,
    /// What recovery found and did.
    pub recovered: Recovered,
}

impl Opened {
    /// The record of what recovery cut off, if it did. Otherwise it is forgotten.
    pub fn tail_discarded(&self) -> Option<Event> {
        let Self { year, recovered, .. } = self;
        (recovered.discarded_bytes > 0).then(|| {
            Event::TailDiscarded(TailDiscarded {
                segment: format!("{year:04}/{:08}", recovered.segments),
                position: recovered.size,
                bytes: recovered.discarded_bytes,
            })
        })
    }
}

/// The year to go on in: that of `now`, or a later one that has records, since the clock may be set back.
pub(super) fn newest_year(
    config: &LogsConfig,
    organization: &OrganizationId,
    now: Instant,
) -> Result<i32, LogsError> {
    let listed = |directory: PathBuf, years: std::io::Result<Vec<i32>>| {
        years.map_err(|source| LogsError::Directory { directory, source })
    };
    let there = listed(config.directory.join(organization.as_str()), config.years(organization))?;
    let memory = known::file(config, organization, now.year()).with_file_name("");
    let remembered = listed(memory, known::years(config, organization))?;
    let later: BTreeSet<i32> = there.iter().chain(&remembered).copied().filter(|y| *y > now.year()).collect();
    for year in later.into_iter().rev() {
        let signer = signer(config, organization, year)?;
        let reader = Reader::new(&config.directory_of(organization, year), signer.verifier(), None);
        // One that cannot be read, or is gone, is opened, and then says why.
        let has_records = || {
            !matches!(reader.entries(0).map(|mut entries| entries.next()), Ok(None)) && there.contains(&year)
        };
        let had_records = match known::remembered(known::file(config, organization, year), signer.verifier())
        {
            Ok(remembered) => remembered.is_some_and(|outside| outside.tree.size > 0),
            Err(_spoiled) => true,
        };
        if had_records || has_records() {
            return Ok(year);
        }
    }
    Ok(now.year())
}

fn signer(config: &LogsConfig, organization: &OrganizationId, year: i32) -> Result<Signer, LogsError> {
    let signer = config.signer(organization, year);
    signer.map_err(|source| LogsError::Name { name: config.name.clone(), source })
}

/// Opens a log for writing, if it is the one that is remembered, and remembers it as it is now.
pub(super) fn open_shard(
    config: &LogsConfig,
    organization: &OrganizationId,
    year: i32,
    segment_bytes: u64,
) -> Result<(Shard, Recovered), LogsError> {
    let signer = signer(config, organization, year)?;
    let directory = config.directory_of(organization, year);
    let unlike =
        |source| LogsError::Known { organization: organization.clone(), year, source: Box::new(source) };
    known::check(&directory, known::file(config, organization, year), signer.verifier()).map_err(unlike)?;
    let sized =
        Config { segment_bytes, ..Config::new(&directory, Arc::new(signer), Arc::clone(&config.kek)) };
    let opened = Log::open(sized);
    let (log, recovered) = opened.map_err(|source| LogsError::Open {
        organization: organization.clone(),
        directory,
        source: Box::new(source),
    })?;
    remember(config, organization, year)?;
    Ok((Shard { year, log: Arc::new(log) }, recovered))
}

/// Remembers a log, as it is published now, outside of it.
pub(super) fn remember(
    config: &LogsConfig,
    organization: &OrganizationId,
    year: i32,
) -> Result<(), LogsError> {
    let signer = signer(config, organization, year)?;
    let (log, file) = (config.directory_of(organization, year), known::file(config, organization, year));
    known::remember(&log, &file, signer.verifier()).map_err(|source| LogsError::Known {
        organization: organization.clone(),
        year,
        source: Box::new(source),
    })
}
