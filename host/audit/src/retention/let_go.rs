//! Letting a year's log go, step by step, each of which can be repeated.
//!
//! INVARIANT (what was begun is finished): every step does nothing where it was done, so after a crash anywhere the
//! whole is run again and ends the same. INVARIANT (the year stays provable): before the first byte goes, a
//! [`Tombstone`] with the last signed checkpoint is durable beside the log; a proof that somebody kept still
//! verifies against it.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::log::disk::{self, DiskError};
use crate::log::layout::Layout;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{NOTE_BYTES_MAX, Verifier};

const VERSION: u32 = 1;
/// A checkpoint and a few names.
const TOMBSTONE_BYTES_MAX: usize = 4 * NOTE_BYTES_MAX;

/// Why a year's log was not let go, or not completely.
#[derive(Debug, thiserror::Error)]
pub enum LetGoError {
    /// Somebody writes it.
    #[error("{} is held: a service writes this log", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The index could not be removed.
    #[error("the search index {} could not be removed", path.display())]
    Index {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The note of what was there cannot be read back.
    #[error(
        "{} is no note of a log that was let go: it was changed, or a newer release of assent wrote it", path.display()
    )]
    Tombstone {
        /// Which.
        path: PathBuf,
    },
}

/// What stays of a year that was let go: `<year>.let-go`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    version: u32,
    /// The log's name.
    pub log: String,
    /// Its public key.
    pub key: String,
    /// The last checkpoint, as it was signed.
    pub checkpoint: String,
    /// Whether the log verified against it when it was let go.
    pub whole: bool,
    /// The request that two persons agreed on; the current log says who.
    pub request: String,
}

impl Tombstone {
    /// How many records there were, if the checkpoint is the log's.
    pub fn size(&self) -> Option<u64> {
        let verifier = Verifier::parse(&self.key).ok()?;
        Some(Checkpoint::open(&self.checkpoint, &verifier, &[]).ok()?.0.tree().size)
    }
}

/// A year's log on its way out.
#[derive(Debug)]
pub struct Shard {
    /// `<audit dir>/<organization>/<year>`.
    directory: PathBuf,
    tombstone: Tombstone,
    /// Nobody writes the log meanwhile; `None` where there is nothing left to lock.
    _lock: Option<File>,
}

/// One step, which does nothing where it was done.
pub(super) type Step = fn(&Shard) -> Result<(), LetGoError>;

impl Shard {
    /// Takes the log in this directory, to let it go. Changes nothing. What is noted is `whole` and `request`, or
    /// what an earlier run noted.
    ///
    /// # Errors
    /// When somebody writes it, or what is there cannot be read.
    pub fn take(
        directory: &Path,
        verifier: &Verifier,
        whole: bool,
        request: &str,
    ) -> Result<Self, LetGoError> {
        let lock = match [directory, &beside(directory, GOING)].into_iter().find(|path| path.is_dir()) {
            Some(there) => {
                let path = Layout::new(there).lock();
                Some(disk::lock(&path).map_err(|error| {
                    if error.is_locked() { LetGoError::Locked { path } } else { error.into() }
                })?)
            }
            None => None,
        };
        let tombstone = match Self::tombstone(directory)? {
            Some(earlier) => earlier,
            None => {
                let checkpoint = disk::read_small(&Layout::new(directory).checkpoint(), NOTE_BYTES_MAX);
                let checkpoint = match checkpoint {
                    // A damaged log may have lost it, and can be let go all the same if two persons say so.
                    Err(error) if (error.is_not_found() || error.is_too_large()) && !whole => vec![],
                    other => other?,
                };
                Tombstone {
                    version: VERSION,
                    log: verifier.name().to_owned(),
                    key: verifier.to_string(),
                    checkpoint: String::from_utf8_lossy(&checkpoint).into_owned(),
                    whole,
                    request: request.to_owned(),
                }
            }
        };
        Ok(Self { directory: directory.to_owned(), tombstone, _lock: lock })
    }

    /// What is noted of the year whose log is, or was, in this directory; `None` if it was never let go.
    ///
    /// # Errors
    /// When the note cannot be read.
    pub fn tombstone(directory: &Path) -> Result<Option<Tombstone>, LetGoError> {
        let path = beside(directory, TOMBSTONE);
        let bytes = match disk::read_small(&path, TOMBSTONE_BYTES_MAX) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        let tombstone: Option<Tombstone> = serde_json::from_slice(&bytes).ok();
        let tombstone = tombstone.filter(|tombstone| tombstone.version == VERSION);
        tombstone.map(Some).ok_or(LetGoError::Tombstone { path })
    }

    /// The years of an organization that were let go, or were begun to be, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn years_let_go(organization: &Path) -> Result<Vec<i32>, LetGoError> {
        let names = disk::names(organization)?;
        let mut years: Vec<i32> = names
            .iter()
            .filter_map(|name| name.strip_suffix(TOMBSTONE)?.strip_suffix('.')?.parse().ok())
            .collect();
        years.sort_unstable();
        Ok(years)
    }

    /// Whether the log in this directory was let go, or begun to be.
    pub(crate) fn is_noted(directory: &Path) -> bool {
        beside(directory, TOMBSTONE).exists()
    }

    /// Whether anything is left of the log in this directory, of which there is a note.
    pub fn is_unfinished(directory: &Path) -> bool {
        Self::is_noted(directory) && (directory.exists() || beside(directory, GOING).exists())
    }

    /// Lets it go; gives the note that stays.
    ///
    /// 1. The note is made durable. A crash after it leaves a log that is whole, and a note.
    /// 2. The directory gets a name under which nobody looks for logs. A crash leaves it there.
    /// 3. The search index goes.
    /// 4. The wrapped data keys are overwritten and removed: from here on nobody can read the records.
    /// 5. Everything else goes.
    ///
    /// # Errors
    /// At the first step that fails. To run it again goes on there.
    pub fn let_go(&self) -> Result<&Tombstone, LetGoError> {
        for step in Self::STEPS {
            step(self)?;
        }
        Ok(&self.tombstone)
    }

    pub(super) const STEPS: [Step; 5] =
        [Self::note, Self::set_aside, Self::remove_index, Self::destroy_keys, Self::remove_files];

    fn note(&self) -> Result<(), LetGoError> {
        let path = beside(&self.directory, TOMBSTONE);
        if !path.exists() {
            let text = serde_json::to_vec_pretty(&self.tombstone);
            let mut text = text.map_err(|_| LetGoError::Tombstone { path: path.clone() })?;
            text.push(b'\n');
            disk::replace(&path, &text)?;
        }
        Ok(())
    }

    fn set_aside(&self) -> Result<(), LetGoError> {
        if self.directory.exists() {
            disk::rename(&self.directory, &beside(&self.directory, GOING))?;
        }
        Ok(())
    }

    fn remove_index(&self) -> Result<(), LetGoError> {
        let path = beside(&self.directory, "index");
        Index::discard(&path).map_err(|source| LetGoError::Index { path, source })
    }

    fn destroy_keys(&self) -> Result<(), LetGoError> {
        let keys = Layout::new(&beside(&self.directory, GOING)).keys();
        for name in disk::names(&keys)? {
            let path = keys.join(name);
            let file = disk::open_to_write(&path)?;
            let zeros = vec![0; usize::try_from(disk::len(&file, &path)?).unwrap_or_default()];
            // Where the file system writes in place this takes the key away, and elsewhere it does no harm.
            disk::write_at(&file, &path, &zeros, 0)?;
            disk::sync_data(&file, &path)?;
            disk::remove(&path)?;
        }
        if keys.exists() {
            disk::sync_dir(&keys)?;
        }
        Ok(())
    }

    fn remove_files(&self) -> Result<(), LetGoError> {
        disk::remove_dir(&beside(&self.directory, GOING))?;
        Ok(disk::sync_dir(self.directory.parent().unwrap_or(Path::new(".")))?)
    }
}

const GOING: &str = "going";
const TOMBSTONE: &str = "let-go";

/// `<year>.<ending>` beside `<year>`. Only names of four digits are taken for logs.
fn beside(directory: &Path, ending: &str) -> PathBuf {
    directory.with_extension(ending)
}
