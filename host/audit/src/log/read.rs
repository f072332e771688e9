//! Reading a log: in order, or one entry; sealed, or opened where keys are given.
//!
//! A reader takes no lock and does not disturb the writer: it sees whole batches only, and an end
//! where the writer has not got further yet. All it hands out was checked from the start of its
//! segment on (checksums, root, signatures), and against the checkpoint where it comes by it.

use std::path::Path;
use std::sync::Arc;
use std::vec::IntoIter;

use crate::keys::{Envelope, KeyEncryption, KeyRing};
use crate::tlog::merkle::{Hash, Tree};
use crate::tlog::note::Verifier;

use super::chain::{Against, LogScan};
use super::error::{Fault, Problem, ReadError, ScanError};
use super::published;
use super::scan::SegmentScan;
use super::source::Source;

/// Reads one log.
#[derive(Clone)]
pub struct Reader {
    pub(super) source: Source,
    kek: Option<Arc<dyn KeyEncryption>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<reader of {}>", self.source.verifier.name())
    }
}

/// An entry of a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position, from 0.
    pub seq: u64,
    /// Its hash, by which it is proved.
    pub leaf: Hash,
    /// The entry itself: the sealed record.
    pub envelope: Vec<u8>,
    /// The record, where the reader has keys.
    pub record: Option<Vec<u8>>,
}

/// Not the record: it tells of patients.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<entry {} {}>", self.seq, hex::encode(self.leaf))
    }
}

impl Reader {
    /// A reader of the log in this directory, which `verifier` signs and is named after. With the
    /// key-encryption key it also opens the entries.
    #[must_use]
    pub fn new(dir: &Path, verifier: &Verifier, kek: Option<Arc<dyn KeyEncryption>>) -> Self {
        Self { source: Source::new(dir, verifier), kek }
    }

    /// What the log's checkpoint says; the empty tree for a log that does not exist.
    ///
    /// # Errors
    /// When the checkpoint is not valid, or missing though there are segments.
    pub fn checkpoint(&self) -> Result<Tree, ReadError> {
        if self.source.layout.segment_numbers().map_err(ScanError::Disk)?.is_empty() {
            return Ok(published::read(&self.source)?.unwrap_or(Tree::EMPTY));
        }
        Ok(published::read_existing(&self.source)?)
    }

    /// The entries from `first` on. After the last one the iterator can be asked again, and goes on when
    /// the log has grown; after an error it has ended.
    ///
    /// # Errors
    /// When the checkpoint or the first segment needed cannot be read.
    pub fn entries(&self, first: u64) -> Result<Entries, ReadError> {
        let published = self.checkpoint()?;
        let scan = LogScan::from_entry(&self.source, first)?;
        if scan.is_none() && published.size > 0 {
            let (file, fault) = (self.source.layout.segment(1), Fault::SegmentMissing { number: 1 });
            return Err(ScanError::from(Problem { file, offset: 0, fault }).into());
        }
        let keys = self
            .kek
            .clone()
            .map(|kek| KeyRing::new(self.source.layout.clone(), self.source.origin_hash, kek));
        let against = Against::new(published);
        Ok(Entries { scan, keys, against, published, next: first, ready: Vec::new().into_iter() })
    }

    /// One entry, if the log has it.
    ///
    /// # Errors
    /// As [`Self::entries`], and when the entry's segment is damaged or its key cannot be had.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, ReadError> {
        self.entries(seq)?.next().transpose()
    }
}

/// See [`Reader::entries`].
#[derive(Debug)]
pub struct Entries {
    /// `None` for a log without segments, and after an error.
    scan: Option<LogScan>,
    keys: Option<KeyRing>,
    against: Against,
    published: Tree,
    /// The position of the next entry to hand out that is not in `ready`.
    next: u64,
    ready: IntoIter<Entry>,
}

impl Iterator for Entries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            match self.batch() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.scan = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Entries {
    /// Makes the entries of the next batch ready; `false` when there is none yet.
    fn batch(&mut self) -> Result<bool, ReadError> {
        let Some(scan) = &mut self.scan else { return Ok(false) };
        let whole = scan.advance()?;
        let tail = scan.take_tail();
        let segment = scan.segment();
        let tree = segment.position().tree.tree();
        let at = |fault| ScanError::from(segment.problem(fault));
        self.against.pass(tree).map_err(at)?;
        if !whole {
            let (expected, found, source) = (self.published.size, tree.size, tail.map(Box::new));
            if found < expected {
                return Err(at(Fault::ShorterThanCheckpoint { expected, found, source }).into());
            }
            return Ok(false);
        }
        let mut ready = Vec::new();
        for (seq, leaf, envelope) in segment.entries().filter(|(seq, ..)| *seq >= self.next) {
            let record = match &mut self.keys {
                Some(keys) => Some(open(keys, segment, seq, envelope)?),
                None => None,
            };
            ready.push(Entry { seq, leaf: *leaf, envelope: envelope.to_vec(), record });
        }
        self.next = self.next.max(tree.size);
        self.ready = ready.into_iter();
        Ok(true)
    }
}

fn open(keys: &mut KeyRing, segment: &SegmentScan, seq: u64, envelope: &[u8]) -> Result<Vec<u8>, ReadError> {
    let header = &segment.header;
    let key = keys
        .key(header.number, header.commitment)
        .map_err(|source| ReadError::Key { segment: header.number, source: Box::new(source) })?;
    let envelope = Envelope::parse(envelope);
    envelope.and_then(|envelope| key.open(&envelope)).map_err(|source| ReadError::Record { seq, source })
}
