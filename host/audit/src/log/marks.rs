//! Where in a segment its batches begin: what look-ups have learnt, so that the next one need not read the
//! segment from its start.
//!
//! A mark is a place that a scan has reached, one in each 256 KiB. Marks are in memory alone, of the segments looked
//! into last. INVARIANT (a mark is a hint): what is read from a mark on is checked like everything else, by link, root
//! and signature; where that fails the segment is read from its start, which tells what is wrong.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::block::Position;

/// Between two marks: what a look-up reads over, and what a scan reads at a time.
const APART_BYTES: u64 = 256 * 1024;
/// Segments with marks. A full segment has 256 marks, each with an edge of at most 2 KiB (800 bytes at ten million
/// entries): some 13 MB in all.
const SEGMENTS_MAX: usize = 64;

/// A place between two batches.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// In the segment's file.
    pub(crate) offset: u64,
    /// Where the log stands there.
    pub(crate) position: Position,
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
        let after = used.1.partition_point(|mark| mark.position.tree.size() <= seq);
        let found = after.checked_sub(1).and_then(|index| used.1.get(index)).cloned();
        segments.push_back(used);
        found
    }

    /// A scan reached this place.
    pub(crate) fn learn(&self, segment: u64, offset: u64, position: &Position) {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let at = segments.iter().position(|(number, _)| *number == segment);
        let mut used = at.and_then(|at| segments.remove(at)).unwrap_or((segment, Vec::new()));
        if used.1.last().map_or(0, |last| last.offset) + APART_BYTES <= offset {
            used.1.push(Mark { offset, position: position.clone() });
        }
        segments.push_back(used);
        if segments.len() > SEGMENTS_MAX {
            segments.pop_front();
        }
    }

    /// Forgets a segment whose marks did not hold.
    pub(crate) fn forget(&self, segment: u64) {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).retain(|(number, _)| *number != segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;

    fn at(size: u64) -> Position {
        let mut position = Position::start();
        (0..size).for_each(|n| position.tree.push(leaf_hash(&n.to_be_bytes())));
        position
    }

    #[test]
    fn marks_are_apart_and_the_last_before_an_entry_is_found() {
        let marks = Marks::default();
        for (size, offset) in
            [(1, 4096), (5, APART_BYTES), (7, APART_BYTES + 1), (9, 2 * APART_BYTES), (10, 9 * APART_BYTES)]
        {
            marks.learn(1, offset, &at(size));
        }
        let found = |seq| marks.before(1, seq).map(|mark| mark.position.tree.size());
        assert_eq!([4, 5, 8, 9, 10, 99].map(found), [None, Some(5), Some(5), Some(9), Some(10), Some(10)]);
        assert!(marks.before(2, 99).is_none());
        marks.forget(1);
        assert!(marks.before(1, 99).is_none());
    }

    #[test]
    fn the_segments_used_last_are_kept() {
        let marks = Marks::default();
        for segment in 0..=SEGMENTS_MAX as u64 {
            marks.learn(segment, APART_BYTES, &at(1));
            assert!(marks.before(0, 1).is_some(), "used all the time");
        }
        assert!(marks.before(1, 1).is_none(), "used long ago");
        assert!(marks.before(SEGMENTS_MAX as u64, 1).is_some());
    }
}
