//! Why a record did not get into the log through the inbox.

use std::path::PathBuf;
use std::sync::Arc;

use crate::keys::{self, KeeperError, KeyError};
use crate::log::{AppendError, DiskError, Failure};
use crate::logs::LogsError;
use crate::record;

/// What went wrong. Whatever it is, what was to be recorded must not happen.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Another user would leave files that the service cannot read.
    #[error(
        "{} belongs to user {owner}, and this is user {here}: run the command as user {owner}, as with \
         `sudo -u '#{owner}'`", directory.display()
    )]
    OtherUser {
        /// The directory of the logs.
        directory: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        here: u32,
    },
    /// Nobody took the letter.
    #[error(
        "the service that writes this log did not record this within {seconds} s, so nothing was done; see what it \
         says, and whether it is ready"
    )]
    NotTaken {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The letter was being recorded when the command gave up.
    #[error(
        "it is not known whether this is in the audit log: it was being recorded, and is when {} is gone; look there \
         before it is done again", path.display()
    )]
    Undecided {
        /// The letter.
        path: PathBuf,
    },
    /// The service could not read the letter.
    #[error(
        "the service refused to record this, so nothing was done: its sealing key or version is another, or the \
         record is too large; it says which, and {} is what it refused", path.display()
    )]
    Refused {
        /// The letter, set aside.
        path: PathBuf,
    },
    /// The inbox went while a letter was in it.
    #[error(
        "{} is gone, and nobody knows whether the record in it was taken, so nothing was done: see that the volume of \
         the logs is mounted", directory.display()
    )]
    NoInbox {
        /// Where it was.
        directory: PathBuf,
    },
    /// A letter that cannot be read.
    #[error("the letter {} cannot be read: {what}", path.display())]
    Letter {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The event could not be sealed.
    #[error("the letter could not be sealed")]
    Seal,
    /// The event is no record.
    #[error("this cannot be recorded")]
    Record(#[source] record::RecordError),
    /// Sealing or opening failed.
    #[error(transparent)]
    Sealed(#[from] keys::RecordError),
    /// The sealing key is out of reach.
    #[error("the sealing key could not be used")]
    Keeper(#[source] KeeperError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogsError),
    /// The log does not take the record.
    #[error("the log did not take the record")]
    Append(#[from] AppendError),
    /// The log could not be closed after the record.
    #[error("the log failed after the record")]
    Close(#[source] Arc<Failure>),
}

impl InboxError {
    /// Whether it is the letter that is wrong, and stays so however often it is tried.
    pub(super) const fn is_of_the_letter(&self) -> bool {
        match self {
            Self::Letter { .. }
            | Self::Record(_)
            | Self::Sealed(_)
            | Self::Append(AppendError::Record(_)) => true,
            Self::OtherUser { .. }
            | Self::NotTaken { .. }
            | Self::Undecided { .. }
            | Self::Refused { .. }
            | Self::NoInbox { .. }
            | Self::Seal
            | Self::Keeper(_)
            | Self::Key(_)
            | Self::Disk(_)
            | Self::Log(_)
            | Self::Append(
                AppendError::Busy | AppendError::Late | AppendError::Failed(_) | AppendError::Closed,
            )
            | Self::Close(_) => false,
        }
    }
}
