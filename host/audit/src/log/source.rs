//! What whoever reads a log must know: where it is, and whose signature it bears.

use std::fs::File;
use std::path::Path;

use crate::tlog::merkle::Hash;
use crate::tlog::note::Verifier;

use super::disk;
use super::error::{Problem, ScanError};
use super::layout::{self, Layout};
use super::segment::{HEADER_BYTES, Header};

/// A log to be read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) layout: Layout,
    pub(crate) origin_hash: Hash,
    pub(crate) verifier: Verifier,
}

impl Source {
    pub(crate) fn new(dir: &Path, verifier: &Verifier) -> Self {
        let origin_hash = layout::origin_hash(verifier.name());
        Self { layout: Layout::new(dir), origin_hash, verifier: verifier.clone() }
    }

    /// Reads the header of a segment.
    pub(crate) fn header(&self, number: u64) -> Result<Header, ScanError> {
        let path = self.layout.segment(number);
        let file = disk::open_to_read(&path)?;
        self.header_of(&file, &path, number)
    }

    /// The same, of a file that is open.
    pub(crate) fn header_of(&self, file: &File, path: &Path, number: u64) -> Result<Header, ScanError> {
        let mut block = vec![0; HEADER_BYTES];
        let read = disk::read_at(file, path, &mut block, 0)?;
        block.truncate(read);
        Header::decode(&block, number, &self.origin_hash, &self.verifier)
            .map_err(|fault| Problem { file: path.to_owned(), offset: 0, fault }.into())
    }
}
