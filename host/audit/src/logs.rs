//! The logs of a deployment: one for each organization and year.
//!
//! A year's log is closed when the first record of the next year comes, and can then be kept or let
//! go whole (six years, or longer under a legal hold). INVARIANT (never back): the clock may be set
//! back, a log is not: records go on into the newest year that was opened, so that positions keep
//! the order in which decisions were answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_model::{Instant, OrganizationId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::index::IndexKey;
use crate::keys::KeyEncryption;
use crate::log::{self, Config, Log, OpenError, Recovered, SEGMENT_BYTES};
use crate::record::{Event, TailDiscarded};
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

fn years(directory: &Path) -> std::io::Result<Vec<i32>> {
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
    /// No log was opened for this organization.
    #[error("there is no audit log for `{0}`")]
    Unknown(OrganizationId),
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
    /// The newest year of each organization. The lock is held for a look-up; and, once a year, while
    /// the next year's log is opened.
    newest: Mutex<BTreeMap<OrganizationId, Shard>>,
}

struct Shard {
    year: i32,
    log: Arc<Log>,
}

impl Logs {
    /// Opens (or begins) each organization's log of the year of `now`, or of a later one that exists.
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
        let mut newest = BTreeMap::new();
        let mut opened = vec![];
        for organization in organizations {
            let existing = config.years(&organization).map_err(|source| LogsError::Directory {
                directory: config.directory.join(organization.as_str()),
                source,
            })?;
            let year = existing.last().copied().map_or(now.year(), |last| last.max(now.year()));
            let (shard, recovered) = open_shard(&config, &organization, year, segment_bytes)?;
            newest.insert(organization.clone(), shard);
            opened.push(Opened { organization, year, recovered });
        }
        Ok((Self { config, segment_bytes, newest: Mutex::new(newest) }, opened))
    }

    /// The log into which a record of this moment goes. Blocks for some milliseconds at the first
    /// record of a year.
    ///
    /// # Errors
    /// When no log was opened for the organization, or the new year's cannot be.
    pub fn log(&self, organization: &OrganizationId, at: Instant) -> Result<Arc<Log>, LogsError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = newest.get_mut(organization).ok_or_else(|| LogsError::Unknown(organization.clone()))?;
        if shard.year < at.year() {
            let (next, _) = open_shard(&self.config, organization, at.year(), self.segment_bytes)?;
            // Those who still hold last year's log finish with it; it closes when the last lets go.
            *shard = next;
        }
        Ok(Arc::clone(&shard.log))
    }

    /// Seals segments that have grown for long enough, so that they can be copied also where no record
    /// comes to do it. Does not wait.
    pub fn seal_aged(&self) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.values().for_each(|shard| shard.log.seal_aged());
    }

    /// How each organization's log is doing.
    pub fn status(&self) -> BTreeMap<OrganizationId, log::Status> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.iter().map(|(organization, shard)| (organization.clone(), shard.log.status())).collect()
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
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut result = Ok(());
        for shard in newest.values() {
            result = result.and(shard.log.close());
        }
        result
    }
}

fn open_shard(
    config: &LogsConfig,
    organization: &OrganizationId,
    year: i32,
    segment_bytes: u64,
) -> Result<(Shard, Recovered), LogsError> {
    let signer = config
        .signer(organization, year)
        .map_err(|source| LogsError::Name { name: config.name.clone(), source })?;
    let directory = config.directory_of(organization, year);
    let sized =
        Config { segment_bytes, ..Config::new(&directory, Arc::new(signer), Arc::clone(&config.kek)) };
    let opened = Log::open(sized);
    let (log, recovered) = opened.map_err(|source| LogsError::Open {
        organization: organization.clone(),
        directory,
        source: Box::new(source),
    })?;
    Ok((Shard { year, log: Arc::new(log) }, recovered))
}

/// How long a record may take to become durable before its decision is denied: a hundred times what
/// a busy disk takes, and well below what a person waits for.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(2);
