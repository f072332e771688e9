//! Which files of a log will never change again: what can be copied, beside whoever writes it.
//!
//! A segment is finished when the next one exists, or when its file ends with the trailer of a batch that the
//! checkpoint covers (a file that is being written ends in zeros). INVARIANT (published before copied): a
//! segment counts only once the checkpoint covers all of it, so nothing is copied that a crash could take back.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::keys::{KEY_FILE_BYTES_MAX, WrappedKey};
use crate::tlog::merkle::Tree;
use crate::tlog::note::Verifier;
use crate::tlog::tile::{TILE_WIDTH, new_tiles};

use super::batch::{TRAILER_BYTES, Trailer};
use super::disk::{self, DiskError};
use super::error::{Fault, Problem, ReadError, ScanError};
use super::published;
use super::scan::{SegmentScan, Signatures, Step};
use super::segment::HEADER_BYTES;
use super::source::Source;
use super::tiles;

/// A segment that will not change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedSegment {
    /// Its number, from 1.
    pub number: u64,
    /// The file.
    pub file: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// The file of its wrapped data key, which is replaced when the key-encryption key changes.
    pub key: PathBuf,
    /// When it was sealed, by the file system's clock.
    pub sealed: SystemTime,
    /// The log's tree at its end.
    pub tree: Tree,
}

/// What of a log is finished.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// The finished segments that were asked for, in order.
    pub segments: Vec<FinishedSegment>,
    /// What the checkpoint is of; larger than the last segment's tree while one is being written.
    pub published: Tree,
    /// Up to which entry full tiles are durable.
    pub tiled: u64,
}

impl Finished {
    /// The paths, relative to the log, of the full tiles that are durable and not of the first `from` entries.
    pub fn tiles(&self, from: u64) -> impl Iterator<Item = String> + use<> {
        new_tiles(from, self.tiled).filter(|tile| tile.width() == TILE_WIDTH).map(|tile| tile.to_string())
    }
}

/// What of the log in this directory is finished, of the segments after number `after`.
///
/// # Errors
/// When the checkpoint or a segment's header does not hold, or the disk cannot be read.
pub fn finished(dir: &Path, verifier: &Verifier, after: u64) -> Result<Finished, ReadError> {
    let source = Source::new(dir, verifier);
    // Before the checkpoint: it then covers what these say, or they are of no use yet.
    let numbers = source.layout.segment_numbers().map_err(ScanError::Disk)?;
    let published = if numbers.is_empty() { Tree::EMPTY } else { published::read_existing(&source)? };
    let mut found = Finished { segments: vec![], published, tiled: tiles::durable(&source) };
    let wanted: Vec<u64> = numbers.into_iter().filter(|number| *number > after).collect();
    for (index, number) in wanted.iter().enumerate() {
        let path = source.layout.segment(*number);
        let tree = match wanted.get(index + 1) {
            Some(next) if *next == number + 1 => Some(source.header(*next)?.before.tree.tree()),
            Some(_) => {
                let number = number + 1;
                let (file, fault) = (source.layout.segment(number), Fault::SegmentMissing { number });
                return Err(ScanError::from(Problem { file, offset: 0, fault }).into());
            }
            None => end_of_last(&source, *number)?,
        };
        let Some(tree) = tree.filter(|tree| tree.size <= published.size) else { break };
        let file = disk::open_to_read(&path).map_err(ScanError::Disk)?;
        let metadata = disk::metadata(&file, &path).map_err(ScanError::Disk)?;
        found.segments.push(FinishedSegment {
            number: *number,
            bytes: metadata.len(),
            key: source.layout.key(*number),
            sealed: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            file: path,
            tree,
        });
    }
    Ok(found)
}

/// The tree at the end of the last segment, if its file ends where its last batch does.
fn end_of_last(source: &Source, number: u64) -> Result<Option<Tree>, ScanError> {
    let path = source.layout.segment(number);
    let file = disk::open_to_read(&path)?;
    let header = source.header_of(&file, &path, number)?;
    let len = disk::len(&file, &path)?;
    if len == HEADER_BYTES as u64 {
        return Ok(Some(header.before.tree.tree()));
    }
    let mut block = vec![0; TRAILER_BYTES];
    disk::read_at(&file, &path, &mut block, len.saturating_sub(TRAILER_BYTES as u64))?;
    let trailer = Trailer::decode(&block, &source.origin_hash, &source.verifier).ok();
    Ok(trailer
        .map(|Trailer { first_seq, count, root, .. }| Tree { size: first_seq + u64::from(count), root }))
}

impl FinishedSegment {
    /// The content of its key file, if that is whole and holds the key that the segment names.
    ///
    /// # Errors
    /// When it is missing, damaged or another's.
    pub fn read_key(&self, dir: &Path, verifier: &Verifier) -> Result<Vec<u8>, ReadError> {
        let header = Source::new(dir, verifier).header(self.number)?;
        let whole = WrappedKey::read(&self.key, self.number)
            .and_then(|key| key.expect(&self.key, header.commitment))
            .and_then(|()| Ok(disk::read_small(&self.key, KEY_FILE_BYTES_MAX)?));
        whole.map_err(|source| ReadError::Key { segment: self.number, source: Box::new(source) })
    }

    /// Goes through all of it: every checksum, position, link and root, up to the signed end that was found
    /// when it was listed.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn check(&self, dir: &Path, verifier: &Verifier) -> Result<(), ReadError> {
        let mut scan = SegmentScan::open(&Source::new(dir, verifier), self.number, Signatures::Chained)?;
        let disk = |error: DiskError| ReadError::Scan(error.into());
        loop {
            match scan.advance().map_err(disk)? {
                Step::Batch => {}
                Step::Bad(fault) => return Err(ScanError::from(scan.problem(fault)).into()),
                Step::End => break,
            }
        }
        let bytes = self.bytes.saturating_sub(scan.end());
        let tree = scan.position().tree.tree();
        let fault = if bytes > 0 {
            Fault::TrailingBytes { bytes }
        } else if tree != self.tree {
            Fault::Root { size: tree.size }
        } else {
            return Ok(());
        };
        Err(ScanError::from(scan.problem(fault)).into())
    }
}
