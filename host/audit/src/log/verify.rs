//! Proves every byte of a log without any decryption key, and says what is wrong and where.
//!
//! Every entry is hashed again, every checksum, link and root checked, up to the signed checkpoint and on to the
//! last batch, whose signature covers all before it; tiles and key files that are there must agree, and so must every checkpoint
//! that is given from outside ([`verify_against`]) or that witnesses cosigned. Without such a checkpoint nothing
//! on this disk can tell of a log that was put back whole to an older state, or rewritten with the signing key.
//! Where that finds anything wrong, all is gone through once more with a look at every signature, which takes
//! longer and says exactly where a forgery begins.

use std::path::Path;

use crate::keys::WrappedKey;
use crate::tlog::merkle::Tree;
use crate::tlog::note::Verifier;

use super::block::Position;
use super::chain::Against;
use super::disk::DiskError;
use super::error::{Fault, Problem, ScanError, VerifyError};
use super::mark;
use super::outside::{Expected, Outside};
use super::published;
use super::scan::{SegmentScan, Signatures, Step};
use super::source::Source;
use super::tiles::Comparison;
use super::witnessed;

/// Enough to see what happened; a log that was shredded has millions.
pub const PROBLEMS_MAX: usize = 100;

/// What a log was found to be, if all of it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// All entries, with those after the checkpoint.
    pub tree: Tree,
    /// What the signed checkpoint is of.
    pub published: Tree,
    /// How many segments there are.
    pub segments: u64,
    /// How many batches.
    pub batches: u64,
    /// How many tiles there are; all agree.
    pub tiles: u64,
    /// Bytes after the last batch: of a batch that a crash left unfinished or that is being written.
    pub unfinished_bytes: u64,
}

/// Verifies the log in this directory, which `verifier` signs and is named after. `progress` is told the
/// number of entries verified after each batch. May run beside the writer.
///
/// # Errors
/// All problems found, up to [`PROBLEMS_MAX`], in the order of the log; or a disk that cannot be read.
pub fn verify(
    dir: &Path,
    verifier: &Verifier,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, VerifyError> {
    verify_against(dir, verifier, vec![], progress)
}

/// Verifies the log as [`verify`] does, and that it continues each of these checkpoints.
///
/// # Errors
/// As [`verify`].
pub fn verify_against(
    dir: &Path,
    verifier: &Verifier,
    outside: Vec<Outside>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, VerifyError> {
    match go_through(dir, verifier, outside.clone(), Signatures::Chained, progress) {
        Err(VerifyError::Problems(_)) => go_through(dir, verifier, outside, Signatures::Each, progress),
        verified => verified,
    }
}

fn go_through(
    dir: &Path,
    verifier: &Verifier,
    mut outside: Vec<Outside>,
    signatures: Signatures,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, VerifyError> {
    let source = Source::new(dir, verifier);
    let mut problems = Problems(Vec::new());
    // Before the segments are listed, as the checkpoint: the log grows.
    let begun = mark::read(&source).or_else(|error| problems.add(error).map(|()| None))?;
    for kept in witnessed::as_outside(&source).or_else(|error| problems.add(error).map(|()| vec![]))? {
        match kept {
            Ok(kept) => outside.push(kept),
            Err(error) => problems.add(error)?,
        }
    }
    let published = match published::read(&source) {
        Ok(tree) => tree,
        Err(error) => {
            problems.add(error)?;
            Some(Tree::EMPTY)
        }
    };
    // After the checkpoint: the log grows, so it must contain what was published before.
    let numbers = source.layout.segment_numbers()?;
    if published.is_none() {
        let file = source.layout.checkpoint();
        let fault = if numbers.is_empty() { Fault::NotBegun } else { Fault::CheckpointMissing };
        problems.push(Problem { file, offset: 0, fault });
    }
    let published = published.unwrap_or(Tree::EMPTY);
    let (mut against, position) = (Against::new(published), Some(Position::start()));
    // A log whose first segment could not be made, for want of room, is empty and whole.
    if let Err(fault) = against.pass(Tree::EMPTY) {
        problems.push(Problem { file: source.layout.checkpoint(), offset: 0, fault });
    }
    let expected = Expected::new(outside);
    let mut walk =
        Walk { source, signatures, problems, against, expected, position, tiles: Comparison::default() };
    let mut tail = Tail::default();
    let last = numbers.last().copied().unwrap_or_default();
    for number in 1..=last {
        // More would not be told; and a file with a number beyond all others would be counted up to.
        if walk.problems.0.len() >= PROBLEMS_MAX {
            break;
        }
        tail = walk.segment(number, number == last, progress)?;
    }
    let Walk { mut problems, against, expected, position, source, mut tiles, .. } = walk;
    match begun {
        Some(begun) => problems.extend(mark::check(&source, begun, last).err()),
        None if last > 0 && !problems.0.iter().any(|problem| matches!(problem.fault, Fault::Mark)) => {
            problems.push(Problem { file: source.layout.begun(), offset: 0, fault: Fault::MarkMissing });
        }
        None => {}
    }
    if let Some(position) = &position {
        problems.extend(expected.finish(position.tree.size()));
    }
    let Position { batch, tree, .. } = position.unwrap_or(Position::start());
    if problems.0.is_empty()
        && let Err(fault) = against.finish(tree.size(), tail.fault)
    {
        problems.push(Problem { file: source.layout.checkpoint(), offset: 0, fault });
    }
    // Without all leaves before it, no tile can be compared.
    if problems.0.is_empty() {
        tiles.finish(&source)?;
    }
    for file in tiles.bad {
        problems.push(Problem { file, offset: 0, fault: Fault::Tile });
    }
    if !problems.0.is_empty() {
        return Err(VerifyError::Problems(problems.0));
    }
    let (batches, unfinished_bytes) = (batch - 1, tail.bytes);
    let (tree, segments, tiles) = (tree.tree(), numbers.len() as u64, tiles.good);
    Ok(Verified { tree, published, segments, batches, tiles, unfinished_bytes })
}

struct Walk {
    source: Source,
    signatures: Signatures,
    problems: Problems,
    against: Against,
    expected: Expected,
    /// Where the log stands; `None` after a segment whose end is not known.
    position: Option<Position>,
    tiles: Comparison,
}

/// What follows the last batch of the last segment.
#[derive(Default)]
struct Tail {
    bytes: u64,
    fault: Option<Fault>,
}

impl Walk {
    fn segment(
        &mut self,
        number: u64,
        is_last: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Tail, VerifyError> {
        let file = self.source.layout.segment(number);
        let before = self.position.take();
        if !file.exists() {
            self.problems.push(Problem { file, offset: 0, fault: Fault::SegmentMissing { number } });
            return Ok(Tail::default());
        }
        let mut scan = match SegmentScan::open(&self.source, number, self.signatures) {
            Ok(scan) => scan,
            Err(error) => {
                self.problems.add(error)?;
                return Ok(Tail::default());
            }
        };
        if before.is_some_and(|before| before != scan.header.before) {
            let fault = Fault::Link { what: "segment header" };
            self.problems.push(Problem { file, offset: 0, fault });
        }
        self.key(&scan)?;
        let tail = self.batches(&mut scan, is_last, progress)?;
        Ok(tail)
    }

    fn batches(
        &mut self,
        scan: &mut SegmentScan,
        is_last: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Tail, VerifyError> {
        let mut ahead = None;
        let mut before = scan.position().tree.clone();
        loop {
            if let Err(fault) = self.against.pass(scan.position().tree.tree()) {
                self.problems.push(scan.problem(fault));
            }
            let step = match ahead.take() {
                Some(step) => step,
                None => scan.advance()?,
            };
            let fault = match step {
                Step::Batch => {
                    if self.problems.0.is_empty() {
                        for (_, leaf, _) in scan.entries() {
                            self.tiles.push(&self.source, *leaf)?;
                        }
                    }
                    if self.expected.within(scan.position().tree.size()) {
                        let leaves = scan.entries().map(|(_, leaf, _)| leaf);
                        self.problems.extend(self.expected.pass(&before, leaves));
                    }
                    before.clone_from(&scan.position().tree);
                    progress(scan.position().tree.size());
                    continue;
                }
                Step::End => None,
                Step::Bad(fault) => Some(fault),
            };
            let remains = scan.remains()?;
            match (is_last, fault, remains.later) {
                (true, fault, None) => {
                    if self.signatures == Signatures::Chained && !scan.is_signed()? {
                        self.problems.push(scan.problem(Fault::Signature { what: "batch trailer" }));
                    }
                    self.position = Some(scan.position().clone());
                    return Ok(Tail { bytes: remains.bytes, fault });
                }
                (true, fault, Some(later)) => {
                    // The log may have grown between the two looks.
                    let again = scan.advance()?;
                    if matches!(again, Step::Batch) {
                        ahead = Some(again);
                        continue;
                    }
                    let first_seq = scan.position().tree.size();
                    let source = Box::new(fault.unwrap_or(Fault::NoTrailer { first_seq }));
                    self.problems.push(scan.problem(Fault::DamageBefore { later, source }));
                    return Ok(Tail::default());
                }
                (false, Some(fault), _) => {
                    self.problems.push(scan.problem(fault));
                    return Ok(Tail::default());
                }
                (false, None, _) => {
                    let bytes = scan.file_len()?.saturating_sub(scan.end());
                    if bytes > 0 {
                        self.problems.push(scan.problem(Fault::TrailingBytes { bytes }));
                    } else {
                        self.position = Some(scan.position().clone());
                    }
                    return Ok(Tail::default());
                }
            }
        }
    }

    /// A lost key is lost records, so its file is looked at, without opening it.
    fn key(&mut self, scan: &SegmentScan) -> Result<(), VerifyError> {
        let segment = scan.header.number;
        let file = self.source.layout.key(segment);
        let checked =
            WrappedKey::read(&file, segment).and_then(|key| key.expect(&file, scan.header.commitment));
        if let Err(source) = checked {
            let fault = Fault::Key { segment, source: Box::new(source) };
            self.problems.push(Problem { file, offset: 0, fault });
        }
        Ok(())
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn push(&mut self, problem: Problem) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(problem);
        }
    }

    fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// A problem of the log is one more; a disk that cannot be read ends the verification.
    fn add(&mut self, error: ScanError) -> Result<(), DiskError> {
        match error {
            ScanError::Problem(problem) => {
                self.push(problem);
                Ok(())
            }
            ScanError::Disk(disk) => Err(disk),
        }
    }
}
