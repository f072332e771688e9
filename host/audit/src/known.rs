//! What a deployment remembers of its logs outside of them: `<directory>.known/<organization>/<year>`.
//!
//! Each file is a copy of the log's checkpoint, made at every start and every good stop. So a log that was
//! removed, is not mounted, or was put back from an older copy is not begun or continued in silence: the start
//! stops and says what to do. INVARIANT (no log twice): a log that this memory knows is never begun anew.

use std::path::{Path, PathBuf};

use assent_model::OrganizationId;

use crate::log::disk::{self, DiskError};
use crate::log::layout::Layout;
use crate::log::{Outside, Reader};
use crate::logs::LogsConfig;
use crate::retention::Shard;
use crate::tlog::checkpoint::{Checkpoint, CheckpointError};
use crate::tlog::merkle::{self, Tree};
use crate::tlog::note::{NOTE_BYTES_MAX, Verifier};

/// What is wrong with a log that is remembered.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// The log is not there at all.
    #[error(
        "{} is gone, but {} says that the log was there with {size} records: mount or restore it; if it was \
         let go on purpose, remove that file too, and a new log begins",
        directory.display(), file.display()
    )]
    Gone {
        /// Where the log should be.
        directory: PathBuf,
        /// What remembers it.
        file: PathBuf,
        /// How many records it had, at the last start or stop.
        size: u64,
    },
    /// The log is an older state of itself, or another.
    #[error(
        "{} is not the log that it was: it has {found} records under its checkpoint, and {} says that there \
         were {size}, or others; keep what is there, find out who put back an older copy, and restore the newest",
        directory.display(), file.display()
    )]
    RolledBack {
        /// Where the log is.
        directory: PathBuf,
        /// What remembers it.
        file: PathBuf,
        /// How many records it had, at the last start or stop.
        size: u64,
        /// How many it has.
        found: u64,
    },
    /// The memory itself is spoiled.
    #[error(
        "{} is not a checkpoint of this log: it was changed, or another key is expected (the log's name, which begins \
         with `audit.name`, is part of its key)",
        file.display()
    )]
    Spoiled {
        /// Which file.
        file: PathBuf,
        /// What does not hold.
        source: CheckpointError,
    },
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The file that remembers a log.
#[must_use]
pub fn file(config: &LogsConfig, organization: &OrganizationId, year: i32) -> PathBuf {
    directory(config).join(organization.as_str()).join(format!("{year:04}"))
}

/// The years that are remembered of an organization, oldest first.
///
/// # Errors
/// When the directory cannot be read; one that does not exist remembers none.
pub fn years(config: &LogsConfig, organization: &OrganizationId) -> std::io::Result<Vec<i32>> {
    crate::logs::years(&directory(config).join(organization.as_str()))
}

/// The years that are remembered and not there any more, oldest first; without those that were let go, or were
/// begun to be.
///
/// # Errors
/// When one of the two directories cannot be read.
pub fn gone(config: &LogsConfig, organization: &OrganizationId) -> std::io::Result<Vec<i32>> {
    let there = config.years(organization)?;
    let mut gone = years(config, organization)?;
    gone.retain(|year| !there.contains(year) && !Shard::is_noted(&config.directory_of(organization, *year)));
    Ok(gone)
}

/// What is remembered of a log.
///
/// # Errors
/// When it cannot be read, or is not a checkpoint of this log.
pub fn remembered(file: PathBuf, verifier: &Verifier) -> Result<Option<Outside>, KnownError> {
    let bytes = match disk::read_small(&file, NOTE_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    match Checkpoint::open(&String::from_utf8_lossy(&bytes), verifier, &[]) {
        Ok((checkpoint, _)) => Ok(Some(Outside { file, tree: checkpoint.tree() })),
        Err(source) => Err(KnownError::Spoiled { file, source }),
    }
}

/// Compares a log with what is remembered of it, before it is opened for writing.
///
/// # Errors
/// When it is gone or older.
pub fn check(log: &Path, file: PathBuf, verifier: &Verifier) -> Result<(), KnownError> {
    compare(log, file, verifier, may_continue)
}

/// Compares a log with what is remembered of it, before it is read as all that there was of its year. Looks at
/// checkpoints alone, since that is done often; what a longer log continues is for [`check`].
///
/// # Errors
/// When it is gone, its directory is empty, or it is older.
pub fn check_size(log: &Path, file: PathBuf, verifier: &Verifier) -> Result<(), KnownError> {
    compare(log, file, verifier, |_, remembered, found| found.size > remembered.size || found == remembered)
}

fn compare(
    log: &Path,
    file: PathBuf,
    verifier: &Verifier,
    may_be: impl Fn(&Reader, &Tree, &Tree) -> bool,
) -> Result<(), KnownError> {
    let Some(Outside { file, tree }) = remembered(file, verifier)? else { return Ok(()) };
    let layout = Layout::new(log);
    let directory = log.to_owned();
    if !layout.checkpoint().exists() && layout.segment_numbers()?.is_empty() {
        return Err(KnownError::Gone { directory, file, size: tree.size });
    }
    // A checkpoint that does not hold is for opening and reading to report, which say more about it.
    let reader = Reader::new(log, verifier, None);
    let Ok(found) = reader.checkpoint() else { return Ok(()) };
    if !may_be(&reader, &tree, &found) {
        return Err(KnownError::RolledBack { directory, file, size: tree.size, found: found.size });
    }
    Ok(())
}

/// Whether the log, as it was found, may be the one that is remembered. Tiles that are missing or damaged prove
/// nothing: they can be made again, and a verification needs none.
fn may_continue(reader: &Reader, remembered: &Tree, found: &Tree) -> bool {
    if found.size <= remembered.size {
        return found == remembered;
    }
    match reader.consistency(remembered.size, found) {
        Ok(Some(proof)) => merkle::verify_consistency(remembered, found, &proof).is_ok(),
        Ok(None) | Err(_) => true,
    }
}

/// Remembers a log as its checkpoint is now.
///
/// # Errors
/// When the memory cannot be written.
pub fn remember(log: &Path, file: &Path, verifier: &Verifier) -> Result<(), KnownError> {
    let Ok(Some(note)) = Reader::new(log, verifier, None).signed_checkpoint() else { return Ok(()) };
    if let Some(parent) = file.parent() {
        disk::create_dir(parent)?;
    }
    Ok(disk::replace(file, note.as_bytes())?)
}

/// Forgets a log that was let go on purpose.
///
/// # Errors
/// When the file cannot be removed; one that is not there is fine.
pub fn forget(config: &LogsConfig, organization: &OrganizationId, year: i32) -> Result<(), KnownError> {
    let file = file(config, organization, year);
    disk::remove(&file)?;
    // A crash must not bring it back: it would stop the next start.
    match file.parent().filter(|parent| parent.is_dir()) {
        Some(parent) => Ok(disk::sync_dir(parent)?),
        None => Ok(()),
    }
}

fn directory(config: &LogsConfig) -> PathBuf {
    beside(&config.directory)
}

/// What remembers the logs in this directory: beside them, so that it outlives them, and a volume that is not
/// mounted is missed.
#[must_use]
pub fn beside(logs: &Path) -> PathBuf {
    match logs.file_name() {
        Some(name) => {
            let mut name = name.to_owned();
            name.push(".known");
            logs.with_file_name(name)
        }
        None => logs.join(".known"),
    }
}

#[cfg(test)]
mod tests;
