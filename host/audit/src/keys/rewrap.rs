//! Rotation: the data keys of a log, wrapped anew with the sealing key in use; and which still need another.
//!
//! Works beside the service. INVARIANT (nobody writes the other's key files): a service writes the key of a
//! segment before the segment has its name, and never again; a rewrap touches only the keys of segments that
//! are there and name them. Files are replaced whole, so a reader has the old wrap or the new one, and a rewrap that was
//! ended in the middle goes on where it was. Two rewraps of one log exclude one another by a lock.
//! A key that cannot be opened does not keep the others from being wrapped.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Changes, KeeperError, KeyEncryption, KeyError, WrappedKey};
use crate::log::ScanError;
use crate::log::disk::{self, DiskError};
use crate::log::is_being_written;
use crate::log::source::Source;
use crate::tlog::note::Verifier;

/// How many problems are told one by one.
pub const PROBLEMS_MAX: usize = 10;

/// Why a log's keys were not looked at or wrapped to the end.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// Another rewrap is under way.
    #[error("{} is held: another rewrap of this log is under way", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The service would go on making keys under a former key, and could not open the new ones.
    #[error(
        "the service that writes {} still seals with `{kek}`: start it again first, so that it has the sealing key that \
         assent.toml names now",
        dir.display()
    )]
    ServiceHasFormerKey {
        /// The log.
        dir: PathBuf,
        /// Its newest key's sealing key.
        kek: String,
    },
    /// A segment's header cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A key file cannot be written, or the sealing key's keeper is out of reach.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What [`rewrap`] did.
#[derive(Debug, Default)]
pub struct Rewrapped {
    /// Key files now wrapped with the sealing key in use and for the recipients named now.
    pub rewrapped: u64,
    /// Key files that already were: an earlier run was interrupted, or ran twice.
    pub already: u64,
    /// Segments whose keys could not be opened.
    pub failed: u64,
    /// Why: the first [`PROBLEMS_MAX`].
    pub problems: Vec<KeyError>,
}

/// What [`look`] found.
#[derive(Debug, Default)]
pub struct Found {
    /// Segments whose data key was opened with the sealing key in use.
    pub opened: u64,
    /// How many segments need another key, by its id.
    pub other: BTreeMap<String, u64>,
    /// How many of all these are not wrapped for exactly the recovery recipients named now.
    pub other_recipients: u64,
    /// Segments whose key file is missing, damaged or does not open.
    pub failed: u64,
    /// Why: the first [`PROBLEMS_MAX`].
    pub problems: Vec<KeyError>,
}

impl Found {
    /// Whether the sealing key in use opens everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.other.is_empty() && self.failed == 0
    }
}

/// Wraps every data key of a log anew with `kek`, for its recovery recipients; `progress` hears how many are done.
///
/// # Errors
/// When another rewrap runs, the service was not started again with `kek`, a header or the disk fails, or the
/// sealing key cannot be reached. The files before it are done; keys that do not open are counted instead.
pub fn rewrap(
    dir: &Path,
    verifier: &Verifier,
    kek: &dyn KeyEncryption,
    progress: &mut dyn FnMut(u64),
) -> Result<Rewrapped, RewrapError> {
    let source = Source::new(dir, verifier);
    let _lock = lock(&source)?;
    let numbers = source.layout.segment_numbers()?;
    refuse_beside_former(&source, numbers.last().copied(), kek)?;
    let changes = Changes::of(dir);
    let mut done = Rewrapped::default();
    for (count, number) in (1..).zip(numbers) {
        match rewrap_one(&source, number, kek, &changes)? {
            Ok(true) => done.rewrapped += 1,
            Ok(false) => done.already += 1,
            Err(problem) => note(&mut done.failed, &mut done.problems, problem),
        }
        progress(count);
    }
    Ok(done)
}

/// Whether it was changed; inside, why it could not be opened.
///
/// 1. The key is opened, with whatever opens it. A crash leaves the old file.
/// 2. What will be recorded is noted. A crash leaves a record of a change that is not complete yet.
/// 3. The file is replaced. A crash leaves the old one or the new one.
fn rewrap_one(
    source: &Source,
    number: u64,
    kek: &dyn KeyEncryption,
    changes: &Changes,
) -> Result<Result<bool, KeyError>, RewrapError> {
    let (path, file) = match named(source, number)? {
        Ok(found) => found,
        Err(problem) => return Ok(Err(problem)),
    };
    if file.kek() == kek.id() && has_recipients(&file, kek) {
        return Ok(Ok(false));
    }
    let key = match opened(file.unwrap(&path, &source.origin_hash, kek))? {
        Ok(key) => key,
        Err(problem) => return Ok(Err(problem)),
    };
    let new = WrappedKey::wrap(&source.origin_hash, number, &key, kek)?;
    if file.kek() != kek.id() {
        changes.note_rewrapped(file.kek(), kek.id())?;
    }
    new.write(&source.layout)?;
    Ok(Ok(true))
}

/// Opens every data key of a log that `kek` by itself should open, and says what needs another. Changes nothing.
///
/// # Errors
/// When a header cannot be read, or the sealing key cannot be reached.
pub fn look(
    dir: &Path,
    verifier: &Verifier,
    kek: &dyn KeyEncryption,
    progress: &mut dyn FnMut(u64),
) -> Result<Found, RewrapError> {
    let source = Source::new(dir, verifier);
    let mut found = Found::default();
    for (count, number) in (1..).zip(source.layout.segment_numbers()?) {
        match named(&source, number)? {
            Ok((path, file)) => {
                found.other_recipients += u64::from(!has_recipients(&file, kek));
                if file.kek() == kek.id() {
                    match opened(file.unwrap(&path, &source.origin_hash, kek))? {
                        Ok(_) => found.opened += 1,
                        Err(problem) => note(&mut found.failed, &mut found.problems, problem),
                    }
                } else {
                    *found.other.entry(file.kek().to_owned()).or_default() += 1;
                }
            }
            Err(problem) => note(&mut found.failed, &mut found.problems, problem),
        }
        progress(count);
    }
    Ok(found)
}

/// The key file of a segment, if it is the one that the segment names.
fn named(source: &Source, number: u64) -> Result<Result<(PathBuf, WrappedKey), KeyError>, RewrapError> {
    let header = source.header(number)?;
    let path = source.layout.key(number);
    let file = WrappedKey::read(&path, number).and_then(|file| {
        file.expect(&path, header.commitment)?;
        Ok(file)
    });
    Ok(file.map(|file| (path, file)))
}

/// A keeper out of reach stops everything; a key that does not open is one problem.
fn opened<T>(result: Result<T, KeyError>) -> Result<Result<T, KeyError>, RewrapError> {
    match result {
        Err(error @ KeyError::Unwrap { source: KeeperError::Token(_), .. }) => Err(error.into()),
        other => Ok(other),
    }
}

fn has_recipients(file: &WrappedKey, kek: &dyn KeyEncryption) -> bool {
    let named = kek.recovery().map(super::Recovery::recipients).unwrap_or_default();
    file.recipients() == named
}

fn note(count: &mut u64, problems: &mut Vec<KeyError>, problem: KeyError) {
    *count += 1;
    if problems.len() < PROBLEMS_MAX {
        problems.push(problem);
    }
}

fn lock(source: &Source) -> Result<File, RewrapError> {
    let path = source.layout.keys_lock();
    disk::lock(&path)
        .map_err(|error| if error.is_locked() { RewrapError::Locked { path } } else { error.into() })
}

/// A service that runs has the key that the newest key file names; should that be a former one, it must start
/// again first.
fn refuse_beside_former(
    source: &Source,
    last: Option<u64>,
    kek: &dyn KeyEncryption,
) -> Result<(), RewrapError> {
    let Some(number) = last else { return Ok(()) };
    let Ok((_, file)) = named(source, number)? else { return Ok(()) };
    if file.kek() == kek.id() {
        return Ok(());
    }
    // Where nobody writes, whoever starts now starts with the new key.
    if is_being_written(source.layout.dir())? {
        let (dir, kek) = (source.layout.dir().to_owned(), file.kek().to_owned());
        return Err(RewrapError::ServiceHasFormerKey { dir, kek });
    }
    Ok(())
}
