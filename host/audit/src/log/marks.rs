//! Where in a segment its batches begin: what look-ups have learnt, so that the next one need not read the
//! segment from its start.
//!
//! A mark is a place that a scan has reached, one in each 256 KiB. Marks are in memory, of the segments looked into
//! last; the search index keeps those that it came by (`index::store`). INVARIANT (a mark is a hint): what is read from a mark on is checked like everything else, by link, root
//! and signature; where that fails the segment is read from its start, which tells what is wrong.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::tlog::merkle::Frontier;

use super::block::{Fields, Position};

/// Between two marks: what a look-up reads over, and what a scan reads at a time.
const APART_BYTES: u64 = 256 * 1024;
/// Segments with marks. A full segment has 256 marks, each with an edge of at most 2 KiB (800 bytes at ten million
/// entries): some 13 MB in all.
const SEGMENTS_MAX: usize = 64;

/// A place between two batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) segment: u64,
    /// In the segment's file.
    pub(crate) offset: u64,
    /// Where the log stands there.
    pub(crate) position: Position,
}

impl Mark {
    /// The first entry after it.
    pub(crate) fn seq(&self) -> u64 {
        self.position.tree.size()
    }

    /// Whether there is reason to keep it, beside this one before it.
    pub(crate) fn is_apart(&self, before: Option<&Self>) -> bool {
        before
            .is_none_or(|before| before.segment != self.segment || before.offset + APART_BYTES <= self.offset)
    }

    /// As bytes, numbers big-endian: segment (8), offset (8), number of the next batch (8), link (32), size (8), edge
    /// (32 each).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { segment, offset, position: Position { batch, link, tree } } = self;
        let (size, edge) = tree.parts();
        let numbers = |numbers: [u64; 3]| numbers.map(u64::to_be_bytes).concat();
        [&numbers([*segment, *offset, *batch])[..], link, &size.to_be_bytes(), edge.as_flattened()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (segment, offset, batch) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (link, size) = (fields.take()?, fields.u64()?);
        let (edge, rest) = fields.0.as_chunks::<32>();
        let tree = Frontier::from_parts(size, edge.to_vec()).ok().filter(|_| rest.is_empty())?;
        Some(Self { segment, offset, position: Position { batch, link, tree } })
    }
}

/// The marks of one log; shared by the copies of a reader.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Segment numbers with their marks in order; the segment used last is the last. Held for a look-up.
    segments: Mutex<VecDeque<(u64, Vec<Mark>)>>,
}

impl Marks {
    /// The last mark of this segment at or before entry `seq`.
    pub(crate) fn before(&self, segment: u64, seq: u64) -> Option<Mark> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let at = segments.iter().position(|(number, _)| *number == segment)?;
        let used = segments.remove(at)?;
        let after = used.1.partition_point(|mark| mark.seq() <= seq);
        let found = after.checked_sub(1).and_then(|index| used.1.get(index)).cloned();
        segments.push_back(used);
        found
    }

    /// Keeps a mark, unless there is one close by.
    pub(crate) fn learn(&self, mark: Mark) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let at = segments.iter().position(|(number, _)| *number == mark.segment);
        let mut used = at.and_then(|at| segments.remove(at)).unwrap_or((mark.segment, Vec::new()));
        let after = used.1.partition_point(|other| other.offset <= mark.offset);
        let before = after.checked_sub(1).and_then(|index| used.1.get(index));
        if mark.is_apart(before) && used.1.get(after).is_none_or(|next| next.is_apart(Some(&mark))) {
            used.1.insert(after, mark);
        }
        segments.push_back(used);
        if segments.len() > SEGMENTS_MAX {
            segments.pop_front();
        }
    }

    /// Forgets a segment whose marks did not hold.
    pub(crate) fn forget(&self, segment: u64) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        segments.retain(|(number, _)| *number != segment);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tlog::merkle::leaf_hash;

    fn mark(segment: u64, offset: u64, size: u64) -> Mark {
        let mut position = Position::start();
        (0..size).for_each(|n| position.tree.push(leaf_hash(&n.to_be_bytes())));
        Mark { segment, offset, position }
    }

    #[test]
    fn marks_are_apart_and_the_last_before_an_entry_is_found() {
        let marks = Marks::default();
        for (size, offset) in [
            (1, 4096),
            (40, 9 * APART_BYTES),
            (39, 9 * APART_BYTES - 1),
            (5, 4096 + APART_BYTES),
            (7, 4097 + APART_BYTES),
            (9, 4096 + 2 * APART_BYTES),
        ] {
            marks.learn(mark(1, offset, size));
        }
        let found = |seq| marks.before(1, seq).map(|mark| mark.seq());
        assert_eq!(
            [0, 4, 5, 8, 39, 40, 99].map(found),
            [None, Some(1), Some(5), Some(5), Some(9), Some(40), Some(40)]
        );
        assert!(marks.before(2, 99).is_none());
        marks.forget(1);
        assert!(marks.before(1, 99).is_none());
    }

    #[test]
    fn the_segments_used_last_are_kept() {
        let marks = Marks::default();
        for segment in 0..=SEGMENTS_MAX as u64 {
            marks.learn(mark(segment, APART_BYTES, 1));
            assert!(marks.before(0, 1).is_some(), "used all the time");
        }
        assert!(marks.before(1, 1).is_none(), "used long ago");
        assert!(marks.before(SEGMENTS_MAX as u64, 1).is_some());
    }

    proptest! {
        #[test]
        fn marks_read_back_what_they_write(segment: u64, offset: u64, size in 0..300_u64) {
            let mark = mark(segment, offset, size);
            prop_assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(mark) = Mark::decode(&bytes) {
                prop_assert_eq!(mark.encode(), bytes);
            }
        }
    }
}
