//! Why state cannot be opened or changed.

use assent_audit::shelf::ShelfError;
use assent_policy::LoadErrors;
use assent_store::{InvalidEdit, StoreError};

use crate::record::RecordError;

/// What went wrong with an organization's state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The audit log took nothing, so nothing changed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to change cannot be stored.
    #[error(transparent)]
    Edit(#[from] InvalidEdit),
    /// What was to change has no form in the log.
    #[error("what is to be stored cannot be recorded")]
    Payload(#[from] assent_audit::record::RecordError),
    /// Entities do not fit the schema, or each other.
    #[error("the entities do not fit the organization's schema, or each other")]
    Facts(#[from] LoadErrors),
    /// What is stored does not fit the release, or each other. The source names the entities: for the person who starts
    /// the service, and for no log and no caller.
    #[error(
        "what is stored does not fit the schema of this release: go on with the release before, change or remove what \
         does not fit so that it fits both, and only then start this one"
    )]
    Misfit(#[source] LoadErrors),
    /// The database is older than what was read of it before.
    #[error(
        "the database has version {found} of the state where it had {known}: it was put back to an older state; bring \
         back the newer one, or start every node again, each of which applies what its own audit log has"
    )]
    PutBack {
        /// The version that it has.
        found: u64,
        /// The one that it had.
        known: u64,
    },
    /// The database is older than what this node's log has seen.
    #[error(
        "the database has version {found} of the state, and this node's audit log has seen version {seen}: the \
         database was put back to an older state. Start every other node, each of which applies what its own log has. \
         If the node that made these versions is gone for good, two persons give them up: `assent audit give-up DIR \
         --after {found}`"
    )]
    Lacks {
        /// The version that it has.
        found: u64,
        /// The one that was seen.
        seen: u64,
    },
    /// A stored document is not what this software writes.
    #[error(
        "a stored `{kind}` cannot be read: it was written by a newer version, or the database was damaged"
    )]
    Unreadable {
        /// Its section.
        kind: &'static str,
    },
    /// The runtime ends.
    #[error("the service ends")]
    Ended,
    /// The audit log cannot be read.
    #[error("the state cannot be compared with the audit log")]
    Log(#[from] ShelfError),
    /// What was carried on of a year that was let go cannot be used.
    #[error("the state cannot be made from what was carried on of a year that was let go")]
    Carried(#[from] assent_audit::carried::CarriedError),
    /// Which years were let go cannot be read.
    #[error("which years were let go cannot be read")]
    LetGo(#[from] assent_audit::retention::LetGoError),
    /// The change is on the log, or may be, and not in the store.
    #[error("the change may be recorded and is not applied yet; it will be before the next change")]
    InDoubt {
        /// What went wrong.
        source: Box<StateError>,
    },
    /// Another node changed the state first. Look at it again, and try again.
    #[error("another node changed the state meanwhile: look at it again and repeat the change")]
    Overtaken,
    /// The store knows of a record that the log does not have.
    #[error(
        "the state was changed by record {seq} of `{log}`, which {found}: the log was put back to an older state, \
         or the database belongs to another one; bring back the log, or remove the database so that the state is \
         made again from the log"
    )]
    Ahead {
        /// The log.
        log: String,
        /// The record that the store knows.
        seq: u64,
        /// What the log has there.
        found: &'static str,
    },
}

impl StateError {
    /// Whether other nodes that start may bring what is missing.
    #[must_use]
    pub const fn waits_for_others(&self) -> bool {
        matches!(self, Self::Lacks { .. } | Self::Store(StoreError::Behind { .. }))
    }
}
