//! The logs of a deployment: one for each organization and year.
//!
//! A year's log is closed when the first record of the next year comes, and can then be kept or let
//! go whole (six years, or longer under a legal hold). INVARIANT (never back): the clock may be set
//! back, a log is not: records go on into the newest year that has records, so that positions keep
//! the order in which decisions were answered. INVARIANT (a year's log explains itself): the first
//! records of a year that begins while the service runs are those of its start, as [`Logs::begin_years_with`]
//! was told, so that a year can be replayed, kept and let go without the one before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assent_model::{Instant, OrganizationId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::index::IndexKey;
use crate::keys::{Changes, KeyChanged, KeyEncryption, KeyError, Payload};
use crate::known::{self, KnownError};
use crate::log::{self, AppendError, Config, Log, OpenError, Reader, Recovered, SEGMENT_BYTES};
use crate::record::{Event, Record, RecordError, TailDiscarded};
use crate::tlog::note::{NoteError, Signer};

/// Keeps the index key apart from whatever else is made of the signing key.
const INDEX_DOMAIN: &[u8] = b"assent audit index key";
/// Room for a command's records.
const BRIEF_SEGMENT_BYTES: u64 = 256 << 10;

/// Where the logs are, under which name, and with which keys.
#[expect(missing_debug_implementations, reason = "holds keys")]
#[derive(Clone)]
pub struct LogsConfig {
    /// The directory of all logs: `<directory>/<organization>/<year>`.
    pub directory: PathBuf,
    /// The deployment's name, such as `pdp.example.org`: the first part of each log's origin.
    pub name: String,
    /// 32 random bytes: the private key that signs batches and checkpoints (RFC 8032).
    pub signing_seed: Zeroizing<[u8; 32]>,
    /// Wraps the data keys.
    pub kek: Arc<dyn KeyEncryption>,
}

impl LogsConfig {
    /// The directory of an organization's log of a year.
    pub fn directory_of(&self, organization: &OrganizationId, year: i32) -> PathBuf {
        self.directory.join(organization.as_str()).join(format!("{year:04}"))
    }

    /// The organizations that have logs here, whether or not they are still served.
    ///
    /// # Errors
    /// When the directory cannot be read; one that does not exist has none.
    pub fn organizations(&self) -> std::io::Result<Vec<OrganizationId>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries?,
        };
        let mut organizations = vec![];
        for entry in entries {
            organizations.extend(entry?.file_name().to_str().and_then(|name| OrganizationId::new(name).ok()));
        }
        organizations.sort_unstable();
        Ok(organizations)
    }

    /// The years of which an organization has a log, oldest first.
    ///
    /// # Errors
    /// When the organization's directory cannot be read; one that does not exist has no years.
    pub fn years(&self, organization: &OrganizationId) -> std::io::Result<Vec<i32>> {
        years(&self.directory.join(organization.as_str()))
    }

    /// The signer of an organization's log of a year; its name is the log's origin.
    ///
    /// # Errors
    /// When the deployment's name cannot be part of an origin.
    pub fn signer(&self, organization: &OrganizationId, year: i32) -> Result<Signer, NoteError> {
        Signer::from_seed(&self.origin(organization, year), &self.signing_seed)
    }

    /// The name that an organization's log of a year is known by.
    pub fn origin(&self, organization: &OrganizationId, year: i32) -> String {
        format!("{}/audit/{organization}/{year:04}", self.name)
    }

    /// The key of the search index: it can be had from the signing key and from nothing else.
    pub fn index_key(&self) -> IndexKey {
        let mut hasher = Sha256::new_with_prefix(INDEX_DOMAIN);
        hasher.update(*self.signing_seed);
        IndexKey::new(hasher.finalize().into())
    }
}

pub(crate) fn years(directory: &Path) -> std::io::Result<Vec<i32>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut years = vec![];
    for entry in entries {
        let name = entry?.file_name();
        years.extend(name.to_str().filter(|name| name.len() == 4).and_then(|name| name.parse::<i32>().ok()));
    }
    years.sort_unstable();
    Ok(years)
}

/// Why the logs of a deployment are not open.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The deployment's name cannot be part of an origin.
    #[error("`{name}` cannot be the name of the audit log")]
    Name {
        /// The name as configured.
        name: String,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// A log cannot be opened.
    #[error("the audit log of `{organization}` in {} cannot be opened", directory.display())]
    Open {
        /// Whose.
        organization: OrganizationId,
        /// Where it is.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: Box<OpenError>,
    },
    /// The organization's directory cannot be read.
    #[error("the directory {} of audit logs cannot be read", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The records that a year begins with cannot be written.
    #[error("the audit log of `{organization}` of the year {year} cannot begin")]
    Begin {
        /// Whose.
        organization: OrganizationId,
        /// Which year.
        year: i32,
        /// Why not.
        #[source]
        source: BeginError,
    },
    /// The notes about an organization's keys cannot be read or written.
    #[error("what changed in the keys of `{organization}` cannot be told")]
    Keys {
        /// Whose.
        organization: OrganizationId,
        /// Why not.
        #[source]
        source: Box<KeyError>,
    },
    /// The log is not the one that this deployment remembers.
    #[error("the audit log of `{organization}`, year {year}, cannot be opened")]
    Known {
        /// Whose.
        organization: OrganizationId,
        /// The year.
        year: i32,
        /// What is remembered.
        #[source]
        source: Box<KnownError>,
    },
    /// No log was opened for this organization.
    #[error("there is no audit log for `{0}`")]
    Unknown(OrganizationId),
}

/// Why the first records of a year cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// One is no record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// One does not fit the log.
    #[error(transparent)]
    Size(#[from] crate::keys::RecordError),
    /// The log takes no records.
    #[error(transparent)]
    Append(#[from] AppendError),
}

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

/// The open logs of a deployment.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Logs {
    config: LogsConfig,
    segment_bytes: u64,
    /// The lock is held for a look-up, or while prepared records are queued: never while a log is opened.
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

struct Shard {
    year: i32,
    log: Arc<Log>,
}

struct Next {
    shard: Shard,
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
        if let Some(Next { shard, start: payloads }) = &mut years.next {
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
    /// called every now and then, more often than [`LEAD`].
    ///
    /// # Errors
    /// The first log that cannot be opened or begun. It is tried again with the next call, or by [`Logs::log`].
    pub fn turn(&self, now: Instant) -> Result<Vec<Opened>, LogsError> {
        let soon = now.as_millis().saturating_add(i64::try_from(LEAD.as_millis()).unwrap_or_default());
        let soon = Instant::from_millis(soon).unwrap_or(now).year();
        let organizations: Vec<OrganizationId> = self.years().keys().cloned().collect();
        let mut opened = vec![];
        for organization in organizations {
            opened.extend(self.prepare(&organization, soon)?);
            self.open_log(&organization, now.year())?;
            for Shard { year, log } in self.unused(&organization) {
                // Where it cannot be closed or remembered, what was remembered last still is.
                if log.close().is_ok() {
                    drop(remember(&self.config, &organization, year));
                }
            }
        }
        Ok(opened)
    }

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

    /// What changed in the keys of an organization's newest log and is not recorded in it yet. Once it is,
    /// call [`Self::key_changes_recorded`]; otherwise it comes again.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the notes cannot be read.
    pub fn key_changes(&self, organization: &OrganizationId) -> Result<Vec<KeyChanged>, LogsError> {
        self.changes(organization, |changes| changes.unrecorded(self.config.kek.id()))
    }

    /// The changes that were given last are recorded.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the notes cannot be written.
    pub fn key_changes_recorded(&self, organization: &OrganizationId) -> Result<(), LogsError> {
        self.changes(organization, |changes| changes.recorded(self.config.kek.id()))
    }

    fn changes<T>(
        &self,
        organization: &OrganizationId,
        what: impl FnOnce(&Changes) -> Result<T, KeyError>,
    ) -> Result<T, LogsError> {
        let year = match self.years().get(organization) {
            Some(years) => years.current.year,
            None => return Err(LogsError::Unknown(organization.clone())),
        };
        let changes = Changes::of(&self.config.directory_of(organization, year));
        what(&changes).map_err(|source| LogsError::Keys {
            organization: organization.clone(),
            source: Box::new(source),
        })
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
    pub fn committed(&self, organization: &OrganizationId, year: i32) -> Result<Option<u64>, log::DiskError> {
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

    /// Where the logs are, and with which keys.
    pub const fn config(&self) -> &LogsConfig {
        &self.config
    }

    /// Writes what waits and publishes the last checkpoints. Blocks.
    ///
    /// # Errors
    /// The first log that had failed; the others are closed all the same.
    pub fn close(&self) -> Result<(), Arc<log::Failure>> {
        let mut result = Ok(());
        for (organization, Years { current, next, retired, .. }) in self.years().iter() {
            let others = next.iter().map(|next| &next.shard).chain(retired);
            for Shard { year, log } in others.chain([current]) {
                let closed = log.close();
                // Where this cannot be remembered, the last start still is.
                if closed.is_ok() {
                    drop(remember(&self.config, organization, *year));
                }
                result = result.and(closed);
            }
        }
        result
    }

    fn years(&self) -> MutexGuard<'_, BTreeMap<OrganizationId, Years>> {
        // Each step below leaves the map whole, so a panic elsewhere does not spoil it.
        self.years.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of this year, or of a later one; `None` if it is not open. Begins one that was prepared.
    fn open_log(&self, organization: &OrganizationId, year: i32) -> Result<Option<Arc<Log>>, LogsError> {
        let mut years = self.years();
        let years = years.get_mut(organization).ok_or_else(|| LogsError::Unknown(organization.clone()))?;
        if years.current.year >= year {
            return Ok(Some(Arc::clone(&years.current.log)));
        }
        let Some(Next { shard, start }) = years.next.take_if(|next| next.shard.year == year) else {
            return Ok(None);
        };
        // A log that does not take them takes nothing, and a crash leaves it empty or with the first of them:
        // the next start writes them again.
        shard.log.queue(start).map_err(|error| LogsError::Begin {
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
        let Some(start) = start(self)? else { return Ok(None) };
        let begin = |source| LogsError::Begin { organization: organization.clone(), year, source };
        let payloads = first_records(&start, year).map_err(begin)?;
        let (shard, recovered) = open_shard(&self.config, organization, year, self.segment_bytes)?;
        let mut years = self.years();
        let years = years.get_mut(organization).ok_or_else(|| LogsError::Unknown(organization.clone()))?;
        let replaced = years.next.replace(Next { shard, start: payloads });
        years.retired.extend(replaced.map(|next| next.shard));
        Ok(Some(Opened { organization: organization.clone(), year, recovered }))
    }

    /// The logs of earlier years that nobody else holds.
    fn unused(&self, organization: &OrganizationId) -> Vec<Shard> {
        let mut years = self.years();
        let Some(years) = years.get_mut(organization) else { return vec![] };
        years.retired.extract_if(.., |shard| Arc::strong_count(&shard.log) == 1).collect()
    }
}

/// How long before a year begins its log is opened: a hundred times what it takes on a slow disk. If the
/// service ends in between, there is an empty log of a year that has not come, which nobody minds.
pub const LEAD: Duration = Duration::from_secs(60);

/// The first records of a year, ready to be queued. They are dated to its beginning.
fn first_records(start: &[Event], year: i32) -> Result<Vec<Payload>, BeginError> {
    let from = |year: i32| format!("{year:04}-01-01T00:00:00Z").parse::<Instant>();
    let Ok(at) = from(year) else { return Ok(vec![]) };
    let payload = |event: &Event| Ok(Payload::new(Record::new(at, event.clone()).encode()?)?);
    start.iter().map(payload).collect()
}

/// The year to go on in: that of `now`, or a later one that has records, since the clock may be set back.
fn newest_year(config: &LogsConfig, organization: &OrganizationId, now: Instant) -> Result<i32, LogsError> {
    let listed = |directory: PathBuf, years: std::io::Result<Vec<i32>>| {
        years.map_err(|source| LogsError::Directory { directory, source })
    };
    let there = listed(config.directory.join(organization.as_str()), config.years(organization))?;
    let memory = known::file(config, organization, now.year());
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

fn open_shard(
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
fn remember(config: &LogsConfig, organization: &OrganizationId, year: i32) -> Result<(), LogsError> {
    let signer = signer(config, organization, year)?;
    let (log, file) = (config.directory_of(organization, year), known::file(config, organization, year));
    known::remember(&log, &file, signer.verifier()).map_err(|source| LogsError::Known {
        organization: organization.clone(),
        year,
        source: Box::new(source),
    })
}

/// How long a record may take to become durable before its decision is denied: a hundred times what
/// a busy disk takes, and well below what a person waits for.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
