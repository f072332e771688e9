//! The one reader of segments: recovery, reading, tiles and verification all go through it.
//!
//! Hands out a batch only after everything in it was checked: checksums, positions, keys, the root
//! over all entries so far, the link to the block before and the signature. It can be asked again
//! when there was no further batch yet, so it follows a log that is being written.
//! INVARIANT (only whole batches): nothing of a batch is seen before its trailer was checked; of its
//! signature, see [`Signatures`].

use std::fs::File;
use std::path::PathBuf;

use crate::keys::{ENVELOPE_BYTES_MAX, Envelope};
use crate::tlog::merkle::{Frontier, Hash, leaf_hash};

use super::batch::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, FRAME_HEAD_BYTES, TRAILER_BYTES, TRAILER_MAGIC, Trailer,
};
use super::block::{Position, link};
use super::disk::{self, DiskError};
use super::error::{Fault, Problem, ScanError};
use super::marks::Mark;
use super::segment::{HEADER_BYTES, Header};
use super::source::Source;

/// How much is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// What the next bytes of a segment are.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch, which the scan now holds.
    Batch,
    /// Nothing: zeros, or the end of the file.
    End,
    /// No whole batch.
    Bad(Fault),
}

/// Which signatures a scan checks.
///
/// Every block names the hash of the one before it, with its signature. So whoever believes a block believes all
/// before it, and a check of each signature (some 75 µs) proves nothing more: it only says sooner, and more
/// exactly, where a forgery begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signatures {
    /// Each, before its batch is seen: for whoever cannot take back what it did with a batch.
    Each,
    /// None but those of headers. Whoever asks for this compares the end with something that is
    /// believed: a header that follows, a tree of this process, or [`SegmentScan::is_signed`].
    Chained,
}

/// Goes through the batches of one segment.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    source: Source,
    signatures: Signatures,
    file: File,
    /// After the last batch that was checked.
    position: Position,
    /// Where in the file the batch held begins.
    offset: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the batch held begins; before it, what is done with.
    start: usize,
    /// How long the batch held is, with its trailer.
    held_bytes: usize,
    /// The hashes of the batch's entries.
    leaves: Vec<Hash>,
}

impl SegmentScan {
    /// Begins at the segment's start.
    pub(crate) fn open(source: &Source, number: u64, signatures: Signatures) -> Result<Self, ScanError> {
        Self::open_at(source, number, signatures, None)
    }

    /// Begins at a mark, if there is one.
    pub(crate) fn open_at(
        source: &Source,
        number: u64,
        signatures: Signatures,
        mark: Option<Mark>,
    ) -> Result<Self, ScanError> {
        let path = source.layout.segment(number);
        let file = disk::open_to_read(&path)?;
        let header = source.header_of(&file, &path, number)?;
        let (offset, position) = match mark {
            Some(Mark { offset, position, .. }) => (offset, position),
            None => (HEADER_BYTES as u64, header.after()),
        };
        Ok(Self {
            path,
            position,
            header,
            source: source.clone(),
            signatures,
            file,
            offset,
            buffer: Vec::new(),
            start: 0,
            held_bytes: 0,
            leaves: Vec::new(),
        })
    }

    /// Goes on to the next batch. After [`Step::End`] or [`Step::Bad`] it looks again at the same place.
    pub(crate) fn advance(&mut self) -> Result<Step, DiskError> {
        self.offset += self.held_bytes as u64;
        self.start += self.held_bytes;
        self.held_bytes = 0;
        self.leaves.clear();
        // What was read ahead may have been written since.
        let read_ahead = !self.window().is_empty();
        let mut step = self.batch()?;
        if read_ahead && !matches!(step, Step::Batch) {
            self.forget();
            step = self.batch()?;
        }
        if !matches!(step, Step::Batch) {
            self.forget();
        }
        Ok(step)
    }

    /// The entries of the batch held: position, hash and envelope.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Hash, &[u8])> {
        let first = self.position.tree.size() - self.leaves.len() as u64;
        let mut rest = self.window().get(..self.held_bytes).unwrap_or_default();
        (first..).zip(&self.leaves).map_while(move |(seq, leaf)| {
            let (head, after) = rest.split_first_chunk::<4>()?;
            let (envelope, after) = after.get(4..)?.split_at_checked(u32::from_be_bytes(*head) as usize)?;
            rest = after;
            Some((seq, leaf, envelope))
        })
    }

    /// Where the log stands after the batch held.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Whether the last batch that was whole bears a good signature; so does the segment that has none, whose
    /// header was checked.
    pub(crate) fn is_signed(&self) -> Result<bool, DiskError> {
        let Some(at) = self.end().checked_sub(TRAILER_BYTES as u64).filter(|at| *at >= HEADER_BYTES as u64)
        else {
            return Ok(true);
        };
        let mut block = [0; TRAILER_BYTES];
        let read = disk::read_at(&self.file, &self.path, &mut block, at)?;
        let Source { origin_hash, verifier, .. } = &self.source;
        let signed = Trailer::decode(block.get(..read).unwrap_or_default(), origin_hash, verifier).is_ok();
        // What was read now must also be what was read before.
        Ok(signed && link(&block) == self.position.link)
    }

    /// The end of the batch held: of the last one that is whole.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.held_bytes as u64
    }

    pub(crate) fn file_len(&self) -> Result<u64, DiskError> {
        disk::len(&self.file, &self.path)
    }

    pub(crate) fn problem(&self, fault: Fault) -> Problem {
        Problem { file: self.path.clone(), offset: self.end(), fault }
    }

    /// Whether bytes after the batch held are more than zeros, and of which later batch there is a whole trailer.
    pub(crate) fn remains(&self) -> Result<Remains, DiskError> {
        let mut found = Remains::default();
        let mut chunk = vec![0; READ_BYTES];
        // Chunks overlap by a trailer, so that none is cut in two.
        for start in (self.end()..).step_by(READ_BYTES - TRAILER_BYTES) {
            let read = disk::read_at(&self.file, &self.path, &mut chunk, start)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                found.bytes = start + last as u64 + 1 - self.end();
                found.later = found.later.or_else(|| self.later_batch(bytes));
            }
            if read < READ_BYTES {
                break;
            }
        }
        Ok(found)
    }

    /// A whole trailer among these bytes, of a batch after the next one.
    fn later_batch(&self, bytes: &[u8]) -> Option<u64> {
        let Source { origin_hash, verifier, .. } = &self.source;
        bytes
            .windows(TRAILER_BYTES)
            .filter(|block| block.starts_with(&TRAILER_MAGIC))
            .filter_map(|block| Trailer::decode(block, origin_hash, verifier).ok())
            .map(|trailer| trailer.batch)
            .find(|batch| *batch > self.position.batch)
    }

    /// Forgets what was read of a batch that is not whole: it may be written any moment.
    fn forget(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.leaves.clear();
    }

    fn batch(&mut self) -> Result<Step, DiskError> {
        let first_seq = self.position.tree.size();
        let mut tree = self.position.tree.clone();
        let mut at = 0;
        loop {
            self.fill(at + FRAME_HEAD_BYTES)?;
            let rest = self.window().get(at..).unwrap_or_default();
            let Some((head, after)) = rest.split_first_chunk::<FRAME_HEAD_BYTES>() else {
                let nothing = at == 0 && rest.is_empty();
                return Ok(if nothing { Step::End } else { Step::Bad(Fault::CutShort { what: "batch" }) });
            };
            if *head == TRAILER_MAGIC {
                return self.trailer(at, first_seq, tree);
            }
            let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
            let len = u32::from_be_bytes([l0, l1, l2, l3]);
            if len == 0 {
                return Ok(if at == 0 { Step::End } else { Step::Bad(Fault::NoTrailer { first_seq }) });
            }
            if len as usize > ENVELOPE_BYTES_MAX {
                return Ok(Step::Bad(Fault::FrameLength { found: len }));
            }
            if self.leaves.len() >= BATCH_RECORDS_MAX || at >= BATCH_BYTES_MAX {
                return Ok(Step::Bad(Fault::NoTrailer { first_seq }));
            }
            let end = at + FRAME_HEAD_BYTES + len as usize;
            if after.len() < len as usize {
                self.fill(end)?;
            }
            let Some(envelope) = self.window().get(at + FRAME_HEAD_BYTES..end) else {
                return Ok(Step::Bad(Fault::CutShort { what: "batch" }));
            };
            let crc = u32::from_be_bytes([c0, c1, c2, c3]);
            if let Err(fault) = check_entry(envelope, crc, tree.size(), &self.header) {
                return Ok(Step::Bad(fault));
            }
            let leaf = leaf_hash(envelope);
            tree.push(leaf);
            self.leaves.push(leaf);
            at = end;
        }
    }

    fn trailer(&mut self, at: usize, first_seq: u64, tree: Frontier) -> Result<Step, DiskError> {
        self.fill(at + TRAILER_BYTES)?;
        let Some(block) = self.window().get(at..at + TRAILER_BYTES) else {
            return Ok(Step::Bad(Fault::CutShort { what: "batch trailer" }));
        };
        let Source { origin_hash, verifier, .. } = &self.source;
        let decoded = match self.signatures {
            Signatures::Each => Trailer::decode(block, origin_hash, verifier),
            Signatures::Chained => Trailer::decode_unsigned(block),
        };
        let trailer = match decoded {
            Ok(trailer) => trailer,
            Err(fault) => return Ok(Step::Bad(fault)),
        };
        let expected = Trailer {
            batch: self.position.batch,
            first_seq,
            count: self.leaves.len() as u32,
            frames_bytes: at as u32,
            root: tree.root(),
            link: self.position.link,
        };
        if let Some(fault) = differs(&expected, &trailer, tree.size()) {
            return Ok(Step::Bad(fault));
        }
        self.position = Position { batch: trailer.batch + 1, link: link(block), tree };
        self.held_bytes = at + TRAILER_BYTES;
        Ok(Step::Batch)
    }

    /// The buffer from the batch held on.
    fn window(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads until the window has this many bytes, or the file ends.
    fn fill(&mut self, bytes: usize) -> Result<(), DiskError> {
        if self.window().len() >= bytes {
            return Ok(());
        }
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        let have = self.buffer.len();
        self.buffer.resize(bytes.max(have + READ_BYTES), 0);
        let into = self.buffer.get_mut(have..).unwrap_or_default();
        let read = disk::read_at(&self.file, &self.path, into, self.offset + have as u64)?;
        self.buffer.truncate(have + read);
        Ok(())
    }
}

fn check_entry(envelope: &[u8], crc: u32, seq: u64, header: &Header) -> Result<(), Fault> {
    if crc32c::crc32c(envelope) != crc {
        return Err(Fault::FrameChecksum { seq });
    }
    let envelope = Envelope::parse(envelope).map_err(|source| Fault::Envelope { seq, source })?;
    if envelope.seq != seq {
        return Err(Fault::Number { what: "entry", expected: seq, found: envelope.seq });
    }
    if envelope.commitment != header.commitment {
        return Err(Fault::EntryKey { seq });
    }
    Ok(())
}

fn differs(expected: &Trailer, found: &Trailer, size: u64) -> Option<Fault> {
    let number =
        |what, expected, found| (expected != found).then_some(Fault::Number { what, expected, found });
    number("batch", expected.batch, found.batch)
        .or_else(|| number("first entry of the batch", expected.first_seq, found.first_seq))
        .or_else(|| number("count of entries", expected.count.into(), found.count.into()))
        .or_else(|| number("bytes of entries", expected.frames_bytes.into(), found.frames_bytes.into()))
        .or_else(|| (expected.link != found.link).then_some(Fault::Link { what: "batch trailer" }))
        .or_else(|| (expected.root != found.root).then_some(Fault::Root { size }))
}

/// What stands after the last whole batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// From the end of the last batch to the last byte that is not zero.
    pub(crate) bytes: u64,
    /// A whole trailer of a batch after the next one: proof that the next one was durable.
    pub(crate) later: Option<u64>,
}
