//! Why the logs of a deployment are not open, cannot begin or do not end well.

use std::path::PathBuf;
use std::sync::Arc;

use assent_model::OrganizationId;

use crate::keys::{self, KeyError};
use crate::known::KnownError;
use crate::log::{AppendError, Failure, OpenError};
use crate::record::RecordError;
use crate::tlog::note::NoteError;

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
    /// A log had failed before it was closed.
    #[error("the audit log of `{organization}`, year {year}, failed before it was closed")]
    Close {
        /// Whose.
        organization: OrganizationId,
        /// The year.
        year: i32,
        /// Why.
        #[source]
        source: Arc<Failure>,
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
    Size(#[from] keys::RecordError),
    /// The log takes no records.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// No moment is in it.
    #[error("no record can be of this year")]
    Year,
}
