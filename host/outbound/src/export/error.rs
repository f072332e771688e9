//! What can be wrong with an exporter as it is configured, and what can go wrong while it runs.
//!
//! INVARIANT (no patient in logs): neither quotes what was sent, nor what a receiver answered: it may have
//! sent our own records back.

use std::time::Duration;

use assent_audit::export::CursorError;
use assent_audit::log::{DiskError, ReadError};
use assent_audit::shelf::ShelfError;

use crate::http::ClientError;

/// Why an exporter cannot be as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It cannot be called that.
    #[error("`{id}` cannot be an exporter's id: expected up to {max} lower-case letters, digits and `-`")]
    Id {
        /// As configured.
        id: String,
        /// How many characters it may have.
        max: usize,
    },
    /// It names no receiver.
    #[error("`{to}` is no receiver: expected `file:PATH`, `syslog+tls://HOST:PORT` or `https://HOST/PATH`")]
    Destination {
        /// As configured.
        to: String,
    },
    /// Records would cross a network in the clear.
    #[error("`{to}` is refused: records leave this machine over TLS only, as with `{instead}`")]
    InTheClear {
        /// As configured.
        to: String,
        /// What would do.
        instead: &'static str,
    },
    /// The receiver does not take this format.
    #[error("the format `{format}` does not go to `{to}`: expected {expected}")]
    Format {
        /// The format.
        format: &'static str,
        /// The receiver.
        to: String,
        /// What would do.
        expected: &'static str,
    },
    /// An option that this receiver has no use for.
    #[error("`{option}` has no meaning for `{to}`: leave it out")]
    Useless {
        /// The option.
        option: &'static str,
        /// The receiver.
        to: String,
    },
    /// The file to append to cannot be.
    #[error("{path} cannot be appended to: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// The token cannot be sent in a header.
    #[error("the token is empty, or has characters that cannot be sent in a header")]
    Token,
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why records did not get on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error("no connection to the receiver")]
    Connect(#[source] std::io::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] std::io::Error),
    /// The receiver ended the connection before we did, so nobody knows what it took.
    #[error("the receiver closed the connection")]
    Closed,
    /// It did not answer in time.
    #[error("the receiver did not {what} in time")]
    Timeout {
        /// What it should have done.
        what: &'static str,
    },
    /// It answered that it does not take records now, or not from us.
    #[error("the receiver answered with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It refuses what was sent for what it is.
    #[error("the receiver refuses the records, with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// It answered what it should not.
    #[error("the receiver answered what is not {expected}")]
    Garbage {
        /// What it should have answered.
        expected: &'static str,
    },
    /// An exchange over HTTP failed on the way.
    #[error("the exchange failed")]
    Http(#[source] reqwest::Error),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[source] std::io::Error),
    /// More records were refused than find room, so something else is wrong.
    #[error(
        "the receiver has refused {count} records, and no more are set aside: see what it has against them"
    )]
    TooManyRefused {
        /// How many are set aside.
        count: usize,
    },
    /// The exporter has no thread to run on.
    #[error("the exporter's thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] ShelfError),
    /// The directory of the logs cannot be looked at.
    #[error("the log cannot be read")]
    Disk(#[from] DiskError),
    /// How far it came cannot be noted, or read back.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Log(error.into())
    }
}

impl Failure {
    /// Whether other organizations' records may get on all the same.
    pub(super) const fn is_of_one_organization(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::TooManyRefused { .. }
            | Self::Log(_)
            | Self::Disk(_)
            | Self::Cursor(_) => true,
            Self::Connect(_)
            | Self::Broken(_)
            | Self::Closed
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::Garbage { .. }
            | Self::Http(_)
            | Self::File(_)
            | Self::Thread(_) => false,
        }
    }

    /// How long the receiver asks to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }
}
