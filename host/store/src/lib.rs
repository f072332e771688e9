//! What decisions stand on, held durably: documents (entities, consents, approvals and what else can change
//! without a release) by organization, kind and id, in SQLite or PostgreSQL.
//!
//! This crate knows nothing of what documents say, nor of the audit log; it knows at which place of which log
//! each change is recorded. INVARIANT (recorded, then applied): a change comes here with the place of its record,
//! and is applied whole, together with that place, in one transaction. So whoever opens a store can tell which
//! records are still to be applied, and a store that lost anything is filled again from the log.

mod apply;
mod database;
mod document;
mod error;
mod nodes;
mod read;
mod sum;
mod watch;

pub use apply::{Applied, Change, Place};
pub use database::{Store, Target};
pub use document::{BODY_BYTES_MAX, Edit, ID_BYTES_MAX, InvalidEdit, Key};
pub use error::StoreError;
pub use read::{Document, Position, Reached};
pub use sum::Sum;
pub use watch::Watch;
