//! Why something was not copied, in words for an operator. An alarm is for a person; all else is tried again.

use std::path::PathBuf;

use assent_audit::log::ReadError;
use assent_audit::tlog::checkpoint::CheckpointError;
use assent_audit::tlog::note::NoteError;

use assent_audit::text::in_full;

/// Longer answers of servers are cut: the first words say what it is.
const REASON_CHARS_MAX: usize = 300;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The server does not accept the credentials, or they do not suffice.
    #[error(
        "{to} refuses the credentials (`audit.copy`): they must exist and be allowed to list, read and write there: \
         {reason}"
    )]
    Denied {
        /// Where.
        to: String,
        /// What the server said.
        reason: String,
    },
    /// The place is not there: the bucket, or the folder.
    #[error("{to} does not exist: make the bucket or folder first: {reason}")]
    NoPlace {
        /// Where.
        to: String,
        /// What the server said.
        reason: String,
    },
    /// The server cannot be reached, or has a problem.
    #[error("{to} cannot be used: {reason}")]
    Store {
        /// Where.
        to: String,
        /// What happened.
        reason: String,
    },
    /// Somebody else's content, where a file that never changes should be.
    #[error(
        "ALARM: {to} is there with another content than {}, and was left as it is: find out who wrote it, and which of \
         the two is the log (`assent audit verify`)", file.display()
    )]
    Alien {
        /// The object.
        to: String,
        /// The file.
        file: PathBuf,
    },
    /// A checkpoint that nobody with the log's key signed, or that this log never had.
    #[error(
        "ALARM: {to} is not of the log in {}: one of the two was exchanged or written again; keep both and find out \
         which", log.display()
    )]
    Contradiction {
        /// The copy's checkpoint.
        to: String,
        /// The log.
        log: PathBuf,
    },
    /// The copy has more than the log.
    #[error(
        "ALARM: {to} is of {copied} records, and the log in {} has {found}: the log was cut or put back to an older \
         state; keep both", log.display()
    )]
    Ahead {
        /// The copy's checkpoint.
        to: String,
        /// The log.
        log: PathBuf,
        /// How many records the copy has.
        copied: u64,
        /// How many the log has.
        found: u64,
    },
    /// The log cannot be read: what is damaged is not copied.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The deployment's name cannot be part of an origin.
    #[error("the log's name cannot be used")]
    Name(#[from] NoteError),
    /// The copy's checkpoint could not be signed.
    #[error("the checkpoint of the copy could not be signed")]
    Checkpoint(#[from] CheckpointError),
    /// A thread of this process failed.
    #[error("the files could not be read: a thread ended")]
    Thread,
}

impl CopyError {
    /// Whether a person must look at it.
    pub const fn is_alarm(&self) -> bool {
        matches!(self, Self::Alien { .. } | Self::Contradiction { .. } | Self::Ahead { .. })
    }

    /// Whether other logs can be copied all the same.
    pub(super) const fn is_of_one_log(&self) -> bool {
        !matches!(self, Self::Denied { .. } | Self::NoPlace { .. } | Self::Store { .. })
    }

    /// The error with its causes, on one line.
    pub fn in_full(&self) -> String {
        in_full(self)
    }

    /// What a store's error means.
    pub(super) fn of_store(to: String, error: &object_store::Error) -> Self {
        use object_store::Error;

        let full = in_full(error);
        // Of a list the library gives the status in words alone.
        let status =
            |codes: [&str; 2]| codes.iter().any(|code| full.contains(&format!("status code: {code} ")));
        // Servers answer with pages.
        let reason = full.chars().take(REASON_CHARS_MAX).collect();
        match error {
            Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => Self::Denied { to, reason },
            Error::NotFound { .. } => Self::NoPlace { to, reason },
            _ if status(["401", "403"]) => Self::Denied { to, reason },
            _ if status(["404", "301"]) => Self::NoPlace { to, reason },
            _ => Self::Store { to, reason },
        }
    }
}
