//! Writing, recovering and reading the log of one organization and year.

pub(crate) mod disk;
pub(crate) mod layout;

pub use disk::DiskError;
