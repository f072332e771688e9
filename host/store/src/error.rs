//! Why a store cannot be opened, read or changed.
//!
//! INVARIANT (no patient in logs): a database's own message may repeat what it was sent, so only its code is kept.

use std::path::PathBuf;

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database could not do what it was asked to.
    #[error("the database could not {doing}: {reason}")]
    Database {
        /// What it was to do, such as `apply a change`.
        doing: &'static str,
        /// Its code, or what happened to the connection.
        reason: String,
    },
    /// The address of the database cannot be understood.
    #[error(
        "the address of the database cannot be understood; \
         expected `postgres://user@host/database?sslmode=verify-full`"
    )]
    Address,
    /// The file's directory cannot be made, or the file is not private.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// SQLite is older than the one that no longer loses data.
    #[error("SQLite {found} can lose what it wrote (fixed in 3.51.3); build with the bundled one")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// A setting on which durability rests did not take.
    #[error(
        "the database has {setting} = {found}; {expected} is needed, or it could lose what it said it kept"
    )]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The store was written by another version.
    #[error(
        "the store has format {found}, and this version knows {known}: use the version that wrote it, or an empty database, which is filled again from the audit log"
    )]
    Format {
        /// What it has.
        found: i64,
        /// What this version reads and writes.
        known: i64,
    },
    /// The store belongs to another deployment.
    #[error(
        "the store belongs to `{found}`, not to `{expected}`: name its own database under `[state]`; of several nodes \
         with one database each says the same `state.name`"
    )]
    Deployment {
        /// Who asked.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// What is stored is not what was written.
    #[error(
        "the state of `{organization}` in the database is damaged or was edited by hand ({what}); \
         remove it, and the next start makes it again from the audit log"
    )]
    Damaged {
        /// Whose.
        organization: String,
        /// What does not agree.
        what: &'static str,
    },
    /// A change is recorded before one that was applied already.
    #[error(
        "a change recorded at {seq} in `{log}` comes after one recorded at {applied}: applied out of order"
    )]
    Order {
        /// The log.
        log: String,
        /// Where the change is recorded.
        seq: u64,
        /// Up to where changes were applied.
        applied: u64,
    },
    /// Changes between the state and this one are missing.
    #[error(
        "the state of `{organization}` is at version {found}, and a change that makes version {version} follows: \
         the database was put back to an older state than the audit log. Start every other node, each of which applies \
         what its own log has. If the node that made what is missing is gone for good, two persons give it up: `assent \
         audit give-up DIR --after {found}`"
    )]
    Behind {
        /// Whose.
        organization: String,
        /// What the change makes.
        version: u64,
        /// What there is.
        found: u64,
    },
    /// The change itself is not one.
    #[error(transparent)]
    Edit(#[from] crate::document::InvalidEdit),
}

impl StoreError {
    pub(crate) fn database(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |error| Self::Database { doing, reason: reason(&error) }
    }
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} error {code}", kind(error.kind())),
            None => format!("{} error", kind(error.kind())),
        },
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(_) => "TLS failed".to_owned(),
        sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
        sqlx::Error::PoolClosed => "it was closed".to_owned(),
        sqlx::Error::WorkerCrashed => "its thread ended".to_owned(),
        sqlx::Error::RowNotFound => "a row is missing".to_owned(),
        _ => "it answered something unexpected".to_owned(),
    }
}

fn kind(kind: sqlx::error::ErrorKind) -> &'static str {
    match kind {
        sqlx::error::ErrorKind::UniqueViolation
        | sqlx::error::ErrorKind::ForeignKeyViolation
        | sqlx::error::ErrorKind::NotNullViolation
        | sqlx::error::ErrorKind::CheckViolation => "constraint",
        _ => "database",
    }
}
