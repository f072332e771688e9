//! Opening a log for writing: is it whole, and where does it go on?
//!
//! A crash can leave one thing behind: after the last whole batch of the last segment, bytes of a
//! batch nobody was told of. They are cut off and reported. Anything else that is wrong is damage or
//! tampering, and the log does not open: a log that repairs itself over lost entries would hide it.
//! INVARIANT (nothing answered is cut): batch n+1 is written only after batch n is durable, so bad
//! bytes before a whole batch are never the trace of a crash; and no checkpoint is of a batch that is not durable.

use crate::keys::{KeyEncryption, WrappedKey};
use crate::tlog::merkle::Tree;
use crate::tlog::note::Signer;

use super::block::Position;
use super::chain::{Against, LogScan, check_headers};
use super::disk;
use super::error::{Failure, Fault, OpenError, Problem, ScanError};
use super::mark;
use super::published;
use super::scan::SegmentScan;
use super::source::Source;

/// What opening a log found and did. Record it: bytes that were cut off are otherwise forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The log did not exist. Unexpected for one that should: somebody may have removed it.
    pub created: bool,
    /// How many entries the log has.
    pub size: u64,
    /// How many segments there were.
    pub segments: u64,
    /// For how many entries the last checkpoint was signed.
    pub checkpoint_size: u64,
    /// How many bytes of an unfinished batch were cut off. No receipt was given for what was in them.
    pub discarded_bytes: u64,
}

/// Where the log goes on.
pub(crate) struct Found {
    pub(crate) recovered: Recovered,
    pub(crate) position: Position,
    /// The tree that the checkpoint is of.
    pub(crate) published: Tree,
    /// The number of the segment to begin.
    pub(crate) next_segment: u64,
}

/// Checks the log and cuts off the trace of a crash; makes the log if it does not exist.
/// The caller holds the lock.
pub(crate) fn recover(source: &Source, signer: &Signer, kek: &dyn KeyEncryption) -> Result<Found, OpenError> {
    disk::remove(&source.layout.spare())?;
    let numbers = source.layout.segment_numbers()?;
    let Some(last) = numbers.last().copied() else { return begin(source, signer) };
    mark::check(source, mark::read_existing(source)?, last).map_err(ScanError::from)?;
    let published = published::read_existing(source)?;

    let first = check_headers(source, &numbers, published.size)?;
    let mut scan = LogScan::from_segment(source, first)?;
    let mut against = Against::new(published);
    let at = |segment: &SegmentScan, fault| ScanError::from(segment.problem(fault));
    against.pass(scan.segment().position().tree.tree()).map_err(|fault| at(scan.segment(), fault))?;
    while scan.advance()? {
        against.pass(scan.segment().position().tree.tree()).map_err(|fault| at(scan.segment(), fault))?;
    }

    let mut tail = scan.take_tail();
    let segment = scan.segment();
    let position = segment.position().clone();
    let size = position.tree.size();
    let remains = segment.remains()?;
    if let Some(later) = remains.later {
        let source = Box::new(tail.unwrap_or(Fault::NoTrailer { first_seq: size }));
        return Err(at(segment, Fault::DamageBefore { later, source }).into());
    }
    if remains.bytes > 0 && tail.is_none() {
        tail = Some(Fault::NoTrailer { first_seq: size });
    }
    against.finish(size, tail).map_err(|fault| at(segment, fault))?;
    check_key(source, segment, kek)?;

    // A crash before this cut repeats it; a crash after it finds nothing to cut.
    if segment.file_len()? > segment.end() {
        let file = disk::open_to_write(&segment.path)?;
        disk::truncate(&file, &segment.path, segment.end())?;
    }
    let recovered = Recovered {
        created: false,
        size,
        segments: numbers.len() as u64,
        checkpoint_size: published.size,
        discarded_bytes: remains.bytes,
    };
    Ok(Found { recovered, position, published, next_segment: last + 1 })
}

/// A log begins with the checkpoint of the empty tree and a mark of no segments, so that afterwards segments
/// without them can only mean that they were removed.
fn begin(source: &Source, signer: &Signer) -> Result<Found, OpenError> {
    let published = published::read(source)?;
    if let Some(tree) = published
        && tree.size > 0
    {
        let file = source.layout.checkpoint();
        let fault = Fault::ShorterThanCheckpoint { expected: tree.size, found: 0, source: None };
        return Err(ScanError::from(Problem { file, offset: 0, fault }).into());
    }
    let begun = mark::read(source)?;
    mark::check(source, begun.unwrap_or_default(), 0).map_err(ScanError::from)?;
    let failed = |failure| match failure {
        Failure::Disk(disk) => OpenError::Disk(disk),
        other => OpenError::Start(other),
    };
    if published.is_none() {
        published::write(&source.layout, Tree::EMPTY, signer).map_err(failed)?;
    }
    if begun.is_none() {
        mark::write(source, signer, 0).map_err(failed)?;
    }
    let recovered = Recovered { created: true, size: 0, segments: 0, checkpoint_size: 0, discarded_bytes: 0 };
    Ok(Found { recovered, position: Position::start(), published: Tree::EMPTY, next_segment: 1 })
}

/// Finds a wrong key-encryption key now rather than when somebody wants to read.
fn check_key(source: &Source, segment: &SegmentScan, kek: &dyn KeyEncryption) -> Result<(), OpenError> {
    let number = segment.header.number;
    let path = source.layout.key(number);
    let file = WrappedKey::read(&path, number)?;
    file.expect(&path, segment.header.commitment)?;
    file.unwrap(&path, &source.origin_hash, kek)?;
    Ok(())
}
