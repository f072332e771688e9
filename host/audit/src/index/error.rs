//! Why the search index cannot be used. All of it can be cured by building the index again from the log.

/// What is wrong with the index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Written by another release.
    #[error(
        "the search index has form {found}, this release uses {known}: discard it, it is built again from the log"
    )]
    OtherForm {
        /// The file's form.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Its terms were hashed under another key.
    #[error("the search index was made with another index key: discard it, it is built again from the log")]
    OtherKey,
    /// It belongs to another log, or to another state of this one.
    #[error(
        "the search index belongs to another log, or another state of it: discard it, it is built again from the log"
    )]
    OtherLog,
    /// The file is no database, or a damaged one.
    #[error("the file of the search index is damaged: discard it, it is built again from the log")]
    NotAnIndex,
    /// What is stored of a chunk is not all there, or not as it was written.
    #[error("chunk {chunk} of the search index is damaged: discard it, it is built again from the log")]
    Damaged {
        /// Which chunk.
        chunk: u32,
    },
    /// A record came before one that was added already.
    #[error("the search index expects position {next} or later, not {position}")]
    OutOfOrder {
        /// What is expected.
        next: u64,
        /// What came.
        position: u64,
    },
    /// SQLite could not do it.
    #[error(
        "the search index cannot be used: see whether its user may write it and the disk has room; its file can be \
         removed, and is built again"
    )]
    Database(#[source] rusqlite::Error),
}

impl IndexError {
    /// Whether the file itself is wrong: then it is to be discarded, and built again.
    pub const fn is_spoilt(&self) -> bool {
        match self {
            Self::OtherForm { .. }
            | Self::OtherKey
            | Self::OtherLog
            | Self::NotAnIndex
            | Self::Damaged { .. } => true,
            Self::OutOfOrder { .. } | Self::Database(_) => false,
        }
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};

        match (&error, error.sqlite_error_code()) {
            (_, Some(DatabaseCorrupt | NotADatabase)) => Self::NotAnIndex,
            // A table or a column that is not called what it was; a value of another kind.
            (
                SqlInputError { .. }
                | FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..),
                _,
            ) => Self::NotAnIndex,
            _ => Self::Database(error),
        }
    }
}
