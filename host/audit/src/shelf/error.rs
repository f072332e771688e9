//! Why an organization's logs cannot be read. Messages name files and places, never what a record says.

use std::path::PathBuf;

use super::Place;
use crate::index::IndexError;
use crate::keys::{KeeperError, KeyError};
use crate::known::KnownError;
use crate::log::{ProveError, ReadError, ScanError};
use crate::record::RecordError;
use crate::tlog::note::NoteError;

/// What went wrong on the way to a record.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The organization's directory cannot be read.
    #[error("the directory {} of audit logs cannot be read", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A year's log is not there, and the deployment remembers that it was: what is made of the others would lack
    /// it in silence.
    #[error(
        "{} is gone, but {} says that it was there: mount or restore it; if it was let go on purpose, remove that \
         file too",
        log.display(), memory.display()
    )]
    Gone {
        /// Where the log should be.
        log: PathBuf,
        /// What remembers it.
        memory: PathBuf,
    },
    /// A year's log is less than the deployment remembers of it.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// The deployment's name cannot be part of an origin.
    #[error("`{name}` cannot be the name of the audit log")]
    Name {
        /// The name as configured.
        name: String,
        /// What is wrong with it.
        source: NoteError,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log has no proof to give.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The search index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The index tells of a record that is not there, or is another.
    #[error(
        "the search index {} says of record {place} what the log does not say: one of them was exchanged; verify the \
         log, and remove the index and the files that begin with its name, so that it is made again", index.display()
    )]
    Astray {
        /// Which record.
        place: Place,
        /// The index.
        index: PathBuf,
    },
    /// An index that must be built again cannot be removed.
    #[error("{} cannot be removed", path.display())]
    Discard {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The reader had no keys.
    #[error("record {place} was not opened")]
    Sealed {
        /// Where it is.
        place: Place,
    },
    /// The record is not one that this release reads.
    #[error("record {place} cannot be read")]
    Record {
        /// Where it is.
        place: Place,
        /// Why not.
        source: RecordError,
    },
}

impl ShelfError {
    /// Whether this is damage, which stays; not a key, a token or a disk that may answer the next time.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Read(error) => match error {
                ReadError::Scan(ScanError::Problem(_)) | ReadError::Record { .. } => true,
                ReadError::Key { source, .. } => matches!(
                    source.as_ref(),
                    KeyError::Missing { .. }
                        | KeyError::Damaged { .. }
                        | KeyError::Unwrap { source: KeeperError::Refused, .. }
                ),
                ReadError::Scan(ScanError::Disk(_)) => false,
            },
            Self::Record { .. } => true,
            _ => false,
        }
    }
}
