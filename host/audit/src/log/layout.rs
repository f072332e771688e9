//! Where the files of a log lie. One directory is one log: one organization and year.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::disk::{self, DiskError};

const SEGMENT: &str = ".seg";
const KEY: &str = ".json";

/// The paths of one log.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Held by the one process that writes.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// How many segments were begun.
    pub(crate) fn begun(&self) -> PathBuf {
        self.dir.join(super::mark::MARK_FILE)
    }

    /// What witnesses cosigned.
    pub(crate) fn witnessed(&self) -> PathBuf {
        self.dir.join("witnessed")
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.dir.join("segments")
    }

    /// Numbers are padded so that names sort as numbers do.
    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:010}{SEGMENT}"))
    }

    /// The next segment before it has a header: zeros. Worthless after a crash.
    pub(crate) fn spare(&self) -> PathBuf {
        self.segments().join("spare")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub(crate) fn key(&self, segment: u64) -> PathBuf {
        self.keys().join(format!("{segment:010}{KEY}"))
    }

    /// Held by whoever wraps the keys anew.
    pub(crate) fn keys_lock(&self) -> PathBuf {
        self.keys().join("lock")
    }

    /// The id of the sealing key that the log last recorded.
    pub(crate) fn recorded_key(&self) -> PathBuf {
        self.keys().join("recorded")
    }

    /// What was wrapped anew and is not recorded yet.
    pub(crate) fn rewrapped_keys(&self) -> PathBuf {
        self.keys().join("rewrapped")
    }

    /// Up to which entry the tiles are durable.
    pub(crate) fn tiled(&self) -> PathBuf {
        self.dir.join("tiled")
    }

    /// A tile by its path in the specification.
    pub(crate) fn tile(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// The numbers of the segments that are there, in order.
    pub(crate) fn segment_numbers(&self) -> Result<Vec<u64>, DiskError> {
        numbers(&self.segments(), SEGMENT)
    }
}

/// Ties headers, batches and entries to their log.
pub(crate) fn origin_hash(origin: &str) -> [u8; 32] {
    Sha256::digest(origin.as_bytes()).into()
}

fn numbers(dir: &Path, suffix: &str) -> Result<Vec<u64>, DiskError> {
    let mut numbers: Vec<u64> =
        disk::names(dir)?.iter().filter_map(|name| name.strip_suffix(suffix)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
