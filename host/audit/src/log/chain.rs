//! Goes through a log, segment after segment, and follows it while it grows.
//!
//! INVARIANT (sealed before followed): a segment is cut to its end, durably, before the next one
//! exists. So once a next one is there, the one before must be whole and end with its last batch.

use crate::tlog::merkle::Tree;

use super::disk;
use super::error::{Fault, Problem, ScanError};
use super::marks::Marks;
use super::scan::{SegmentScan, Signatures, Step};
use super::source::Source;

/// Goes through the batches of a log from the start of some segment on.
#[derive(Debug)]
pub(crate) struct LogScan {
    source: Source,
    signatures: Signatures,
    current: SegmentScan,
    /// Why [`Self::advance`] last said that there is no further batch.
    tail: Option<Fault>,
}

impl LogScan {
    /// Begins with this segment.
    pub(crate) fn from_segment(source: &Source, number: u64) -> Result<Self, ScanError> {
        let signatures = Signatures::Each;
        let current = SegmentScan::open(source, number, signatures)?;
        Ok(Self { source: source.clone(), signatures, current, tail: None })
    }

    /// Begins in the last segment that starts at or before entry `seq`: at its start, or at the last of
    /// these marks before the entry. `None` if there is no segment; an error if segments were removed before the
    /// first that is there.
    pub(crate) fn from_entry(
        source: &Source,
        seq: u64,
        signatures: Signatures,
        marks: Option<&Marks>,
    ) -> Result<Option<Self>, ScanError> {
        let numbers = source.layout.segment_numbers()?;
        let (mut low, mut high) = (0, numbers.len());
        while low < high {
            let middle = low.midpoint(high);
            let Some(number) = numbers.get(middle) else { break };
            if source.header(*number)?.before.tree.size() <= seq {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let found = low.checked_sub(1).and_then(|index| numbers.get(index));
        match (found, numbers.first()) {
            (Some(number), _) => {
                let mark = marks.and_then(|marks| marks.before(*number, seq));
                let current = SegmentScan::open_at(source, *number, signatures, mark)?;
                Ok(Some(Self { source: source.clone(), signatures, current, tail: None }))
            }
            (None, None) => Ok(None),
            // The first segment starts at entry 0, so this one is not it. To begin here would pass over
            // entries in silence.
            (None, Some(first)) => {
                let number = first.saturating_sub(1);
                let file = source.layout.segment(number);
                Err(Problem { file, offset: 0, fault: Fault::SegmentMissing { number } }.into())
            }
        }
    }

    /// Goes on to the next batch, if there is one yet; its entries are in [`Self::segment`].
    pub(crate) fn advance(&mut self) -> Result<bool, ScanError> {
        loop {
            let next = self.current.header.number + 1;
            match self.current.advance()? {
                Step::Batch => return Ok(true),
                _ if self.source.layout.segment(next).exists() => {}
                Step::End => {
                    self.tail = None;
                    return Ok(false);
                }
                Step::Bad(fault) => {
                    self.tail = Some(fault);
                    return Ok(false);
                }
            }
            // By the invariant this segment is complete now, though it may not have been a moment ago.
            match self.current.advance()? {
                Step::Batch => return Ok(true),
                Step::Bad(fault) => return Err(self.current.problem(fault).into()),
                Step::End => self.follow(next)?,
            }
        }
    }

    /// The segment the scan is in, and the batch it holds.
    pub(crate) const fn segment(&self) -> &SegmentScan {
        &self.current
    }

    /// What is wrong after the last batch, once [`Self::advance`] found no further one.
    pub(crate) const fn take_tail(&mut self) -> Option<Fault> {
        self.tail.take()
    }

    fn follow(&mut self, next: u64) -> Result<(), ScanError> {
        let bytes = self.current.file_len()?.saturating_sub(self.current.end());
        if bytes > 0 {
            return Err(self.current.problem(Fault::TrailingBytes { bytes }).into());
        }
        let following = SegmentScan::open(&self.source, next, self.signatures)?;
        if following.header.before != *self.current.position() {
            let fault = Fault::Link { what: "segment header" };
            return Err(Problem { file: following.path, offset: 0, fault }.into());
        }
        self.current = following;
        Ok(())
    }
}

/// Checks that the log's checkpoint is one of its trees, while a scan goes by.
#[derive(Debug)]
pub(crate) struct Against {
    checkpoint: Tree,
    /// Whether the scan was at the checkpoint's size.
    met: bool,
}

impl Against {
    pub(crate) const fn new(checkpoint: Tree) -> Self {
        Self { checkpoint, met: false }
    }

    /// Compares, if the scan is at the checkpoint's size.
    pub(crate) fn pass(&mut self, tree: Tree) -> Result<(), Fault> {
        if tree.size != self.checkpoint.size {
            return Ok(());
        }
        self.met = true;
        if tree.root == self.checkpoint.root { Ok(()) } else { Err(Fault::Root { size: tree.size }) }
    }

    /// Says at the end of the log whether the checkpoint is covered by it.
    pub(crate) fn finish(self, size: u64, tail: Option<Fault>) -> Result<(), Fault> {
        let expected = self.checkpoint.size;
        match (self.met, size < expected) {
            (true, _) => Ok(()),
            (false, true) => {
                Err(Fault::ShorterThanCheckpoint { expected, found: size, source: tail.map(Box::new) })
            }
            (false, false) => Err(Fault::CheckpointSize { size: expected }),
        }
    }
}

/// Checks that all segments are there and each follows the one before, by headers and last blocks alone.
/// Gives the segment in which, or before which, the first `size` entries end.
pub(crate) fn check_headers(source: &Source, numbers: &[u64], size: u64) -> Result<u64, ScanError> {
    let mut expected = super::block::Position::start().link;
    let mut containing = 1;
    for (number, found) in (1..).zip(numbers) {
        let file = source.layout.segment(number);
        if number != *found {
            return Err(Problem { file, offset: 0, fault: Fault::SegmentMissing { number } }.into());
        }
        let header = source.header(number)?;
        if header.before.link != expected {
            return Err(Problem { file, offset: 0, fault: Fault::Link { what: "segment header" } }.into());
        }
        if header.before.tree.size() <= size {
            containing = number;
        }
        expected = last_link(source, number)?;
    }
    Ok(containing)
}

/// The hash of a sealed segment's last block.
fn last_link(source: &Source, number: u64) -> Result<crate::tlog::merkle::Hash, ScanError> {
    use super::batch::TRAILER_BYTES;
    use super::segment::HEADER_BYTES;

    let path = source.layout.segment(number);
    let file = disk::open_to_read(&path)?;
    let len = disk::len(&file, &path)?;
    let block = if len == HEADER_BYTES as u64 { HEADER_BYTES } else { TRAILER_BYTES };
    let mut bytes = vec![0; block];
    disk::read_at(&file, &path, &mut bytes, len.saturating_sub(block as u64))?;
    Ok(super::block::link(&bytes))
}
