//! Reading a log: in order, or one entry; sealed, or opened where keys are given.
//!
//! A reader takes no lock and does not disturb the writer: it sees whole batches only, and an end
//! where the writer has not got further yet. All it hands out was checked from the start of its
//! segment on (checksums, root, signatures), and against the checkpoint where it comes by it. A reader that has
//! looked into a segment before begins where it then came by; see `marks`.

use std::path::Path;
use std::sync::Arc;
use std::vec::IntoIter;

use crate::keys::{Commitment, Envelope, KeyEncryption, KeyRing};
use crate::tlog::merkle::{Hash, Tree};
use crate::tlog::note::Verifier;

use super::chain::{Against, LogScan};
use super::error::{Fault, Problem, ReadError, ScanError};
use super::marks::{Mark, Marks};
use super::published;
use super::scan::Signatures;
use super::source::Source;

/// Reads one log.
#[derive(Clone)]
pub struct Reader {
    pub(super) source: Source,
    kek: Option<Arc<dyn KeyEncryption>>,
    marks: Arc<Marks>,
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
        Self { source: Source::new(dir, verifier), kek, marks: Arc::default() }
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
        let scan = LogScan::from_entry(&self.source, first, Signatures::Each, Some(&self.marks))?;
        if scan.is_none() && published.size > 0 {
            let (file, fault) = (self.source.layout.segment(1), Fault::SegmentMissing { number: 1 });
            return Err(ScanError::from(Problem { file, offset: 0, fault }).into());
        }
        let keys = self
            .kek
            .clone()
            .map(|kek| KeyRing::new(self.source.layout.clone(), self.source.origin_hash, kek));
        let against = Against::new(published);
        let (source, marks) = (self.source.clone(), Arc::clone(&self.marks));
        let ready = Vec::new().into_iter();
        Ok(Entries { source, marks, scan, keys, against, published, first, next: first, begun: false, ready })
    }

    /// The first entry of the next segment that begins at this entry or later and whose header can be read: where
    /// to go on in a log that is damaged before.
    ///
    /// # Errors
    /// When the disk cannot say; a header that is damaged is passed over.
    pub(crate) fn segment_from(&self, seq: u64) -> Result<Option<u64>, ReadError> {
        let mut found: Option<u64> = None;
        for number in self.source.layout.segment_numbers().map_err(ScanError::Disk)? {
            match self.source.header(number) {
                Ok(header) => {
                    let first = header.before.tree.size();
                    found = found.into_iter().chain([first].into_iter().filter(|first| *first >= seq)).min();
                }
                Err(ScanError::Problem(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Tells where a look-up may begin.
    pub(crate) fn offer(&self, mark: Mark) {
        self.marks.learn(mark);
    }

    /// One entry, if the log has it. The first look into a segment reads it up to the entry, those that this
    /// reader (or a copy of it) makes later a small part.
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
    source: Source,
    marks: Arc<Marks>,
    /// `None` for a log without segments, and after an error.
    scan: Option<LogScan>,
    keys: Option<KeyRing>,
    against: Against,
    published: Tree,
    /// The position of the first entry asked for.
    first: u64,
    /// The position of the next entry to hand out that is not in `ready`.
    next: u64,
    /// Whether a batch was read: then the mark at which the scan began did hold.
    begun: bool,
    ready: IntoIter<Sealed>,
}

/// An entry that is still sealed, and with which key.
#[derive(Debug)]
struct Sealed {
    seq: u64,
    leaf: Hash,
    envelope: Vec<u8>,
    segment: u64,
    commitment: Commitment,
}

impl Iterator for Entries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let outcome = match self.ready.next() {
                Some(sealed) => self.open(sealed).map(Some),
                None => match self.batch() {
                    Ok(true) => Ok(None),
                    Ok(false) => return None,
                    Err(error) => Err(error),
                },
            };
            if let Some(item) = outcome.transpose() {
                if item.is_err() {
                    (self.scan, self.ready) = (None, Vec::new().into_iter());
                }
                return Some(item);
            }
        }
    }
}

impl Entries {
    /// Makes the entries of the next batch ready; `false` when there is none yet.
    fn batch(&mut self) -> Result<bool, ReadError> {
        let read = self.read();
        if read.is_ok() || self.begun {
            return read;
        }
        // It may be the mark that does not hold; from its start on a segment speaks for itself.
        if let Some(scan) = &self.scan {
            self.marks.forget(scan.segment().header.number);
        }
        self.begun = true;
        self.scan = LogScan::from_entry(&self.source, self.first, Signatures::Each, None)?;
        self.against = Against::new(self.published);
        self.read()
    }

    fn read(&mut self) -> Result<bool, ReadError> {
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
        self.begun = true;
        let (number, commitment) = (segment.header.number, segment.header.commitment);
        // On the way to the first entry only: who reads on does not come back.
        if tree.size <= self.first {
            let (offset, position) = (segment.end(), segment.position().clone());
            self.marks.learn(Mark { segment: number, offset, position });
        }
        let wanted = segment.entries().filter(|(seq, ..)| *seq >= self.next);
        let ready: Vec<_> = wanted
            .map(|(seq, leaf, envelope)| Sealed {
                seq,
                leaf: *leaf,
                envelope: envelope.to_vec(),
                segment: number,
                commitment,
            })
            .collect();
        self.next = self.next.max(tree.size);
        self.ready = ready.into_iter();
        Ok(true)
    }

    /// Where the scan is, if all entries before that were handed out.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let segment = self.scan.as_ref().filter(|_| self.ready.len() == 0)?.segment();
        let position = segment.position().clone();
        Some(Mark { segment: segment.header.number, offset: segment.end(), position })
    }

    /// Opens an entry, where there are keys. One by one: who looks for one record pays for one.
    fn open(&mut self, sealed: Sealed) -> Result<Entry, ReadError> {
        let Sealed { seq, leaf, envelope, segment, commitment } = sealed;
        let record = match &mut self.keys {
            Some(keys) => {
                let key = keys
                    .key(segment, commitment)
                    .map_err(|source| ReadError::Key { segment, source: Box::new(source) })?;
                let opened = Envelope::parse(&envelope).and_then(|envelope| key.open(&envelope));
                Some(opened.map_err(|source| ReadError::Record { seq, source })?)
            }
            None => None,
        };
        Ok(Entry { seq, leaf, envelope, record })
    }
}
