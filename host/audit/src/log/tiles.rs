//! The hash tiles of tlog-tiles, from which proofs are made: derived from the segments, in the background.
//!
//! A tile that is lost or damaged is made again from the log, so none of this is on the way to a receipt,
//! and tiles are made durable together, now and then: the file `tiled` says up to which entry.
//! INVARIANT (tiles follow): tiles are made of published entries only, read back through the same
//! scan as everything else and compared with the tree that was published; partial ones only of its size.

use std::path::{Path, PathBuf};

use crate::tlog::merkle::{Hash, Tree};
use crate::tlog::tile::{TILE_WIDTH, Tile};

use super::chain::LogScan;
use super::disk::{self, DiskError};
use super::edge::{Edge, WIDTH, tile};
use super::error::{Fault, Problem, ScanError};
use super::scan::Signatures;
use super::source::Source;

/// After so many entries tiles are made durable; as many are made again at most after a crash.
const DURABLE_ENTRIES: u64 = 65_536;
/// How many entries are taken at a time, so that checkpoints need not wait for tiles.
const TURN_ENTRIES: u64 = 32_768;
/// More digits than any size has.
const TILED_BYTES_MAX: usize = 32;

/// Makes the tiles of one log.
#[derive(Debug)]
pub(crate) struct Tiler {
    source: Source,
    edge: Edge,
    scan: Option<LogScan>,
    /// Whether the edge was compared with the log; it comes from files that may be damaged.
    trusted: bool,
    /// The size that `tiled` says.
    durable: u64,
    /// The partial tiles that there are.
    partial: Vec<PathBuf>,
}

impl Tiler {
    /// Goes on where the last process made its tiles durable.
    pub(crate) fn new(source: Source, published: u64) -> Self {
        let edge = Some(durable(&source))
            .filter(|size| *size <= published && size % WIDTH == 0)
            .and_then(|size| Edge::restore(&source, size));
        let edge = edge.unwrap_or_default();
        Self { source, durable: edge.size, edge, scan: None, trusted: false, partial: Vec::new() }
    }

    /// Removes the partial tiles that an earlier process made since its tiles were last durable: a power cut
    /// may have torn them. (Full ones of that time are made again, and compared.)
    pub(crate) fn remove_partial(&self, published: u64) -> Result<(), DiskError> {
        for level in (0_u8..).take_while(|level| published >> (8 * u32::from(*level)) > 0) {
            let tile_of = |size: u64| (size >> (8 * u32::from(level))) / WIDTH;
            for index in tile_of(self.edge.size)..=tile_of(published) {
                if let Some(tile) = tile(level, index, WIDTH) {
                    disk::remove_dir(&partial_dir(&self.source, &tile))?;
                }
            }
        }
        Ok(())
    }

    /// Makes tiles of what is published, for one turn; `true` once all are made.
    pub(crate) fn turn(&mut self, published: Tree) -> Result<bool, ScanError> {
        let end = published.size.min(self.edge.size.saturating_add(TURN_ENTRIES));
        while self.edge.size < end {
            self.batch(published)?;
        }
        if self.edge.size - self.edge.size % WIDTH >= self.durable + DURABLE_ENTRIES {
            self.make_durable()?;
        }
        if self.edge.size < published.size {
            return Ok(false);
        }
        self.write_partial()?;
        Ok(true)
    }

    /// Makes durable what was made.
    pub(crate) fn make_durable(&mut self) -> Result<(), DiskError> {
        let size = self.edge.size - self.edge.size % WIDTH;
        if size > self.durable {
            disk::sync_file_system(self.source.layout.dir())?;
            disk::replace(&self.source.layout.tiled(), format!("{size}\n").as_bytes())?;
            self.durable = size;
        }
        Ok(())
    }

    /// Takes the next batch, which must be there, for it was published.
    fn batch(&mut self, published: Tree) -> Result<(), ScanError> {
        let missing =
            Fault::ShorterThanCheckpoint { expected: published.size, found: self.edge.size, source: None };
        let scan = match &mut self.scan {
            Some(scan) => scan,
            none => match LogScan::from_entry(&self.source, self.edge.size, Signatures::Chained, None)? {
                Some(scan) => none.insert(scan),
                None => {
                    let file = self.source.layout.segments();
                    return Err(Problem { file, offset: 0, fault: missing }.into());
                }
            },
        };
        if !scan.advance()? {
            let fault = scan.take_tail().unwrap_or(missing);
            return Err(scan.segment().problem(fault).into());
        }
        let tree = scan.segment().position().tree.tree();
        // This process made the tree that is published, so what agrees with it needs no other signature.
        if tree.size == published.size && tree != published {
            return Err(scan.segment().problem(Fault::Root { size: tree.size }).into());
        }
        for (seq, leaf, _) in scan.segment().entries() {
            if seq == self.edge.size {
                for (tile, hashes) in self.edge.push(*leaf) {
                    write(&self.source, &tile, &hashes)?;
                    disk::remove_dir(&partial_dir(&self.source, &tile))?;
                }
            }
        }
        if !self.trusted && self.edge.size <= tree.size {
            self.trusted = self.edge.tree() == Some(tree);
            if !self.trusted && self.edge.size == tree.size {
                // Tiles were lost or damaged: make all of them again.
                (self.edge, self.scan, self.durable) = (Edge::default(), None, 0);
            }
        }
        Ok(())
    }

    fn write_partial(&mut self) -> Result<(), DiskError> {
        let mut written = Vec::new();
        for (tile, hashes) in self.edge.partial() {
            let path = self.source.layout.tile(&tile.to_string());
            if !self.partial.contains(&path) {
                write(&self.source, &tile, hashes)?;
            }
            written.push(path);
        }
        for old in self.partial.iter().filter(|old| !written.contains(old)) {
            disk::remove(old)?;
        }
        self.partial = written;
        Ok(())
    }
}

/// Up to which entry full tiles are durable; 0 where that cannot be read.
pub(crate) fn durable(source: &Source) -> u64 {
    let tiled = disk::read_small(&source.layout.tiled(), TILED_BYTES_MAX).ok();
    tiled.and_then(|bytes| String::from_utf8(bytes).ok()?.trim_end().parse().ok()).unwrap_or_default()
}

/// Writes a tile, unless it is there already.
fn write(source: &Source, tile: &Tile, hashes: &[Hash]) -> Result<(), DiskError> {
    let (path, bytes) = (source.layout.tile(&tile.to_string()), hashes.as_flattened());
    if disk::read_small(&path, bytes.len()).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    disk::replace_sometime(&path, bytes)
}

fn partial_dir(source: &Source, tile: &Tile) -> PathBuf {
    source.layout.tile(&format!("{tile}.p"))
}

/// Compares the tiles that are there with the log, while a verification goes by.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    edge: Edge,
    /// How many tiles were there and agree.
    pub(crate) good: u64,
    /// The files that do not.
    pub(crate) bad: Vec<PathBuf>,
}

impl Comparison {
    /// Takes the next leaf.
    pub(crate) fn push(&mut self, source: &Source, leaf: Hash) -> Result<(), DiskError> {
        for (tile, hashes) in self.edge.push(leaf) {
            self.compare(source.layout.tile(&tile.to_string()), &hashes);
            self.compare_partial(&partial_dir(source, &tile), &hashes)?;
        }
        Ok(())
    }

    /// At the end of the log: the partial tiles.
    pub(crate) fn finish(&mut self, source: &Source) -> Result<(), DiskError> {
        for (tile, hashes) in std::mem::take(&mut self.edge).partial() {
            if let Some(full) = Tile::new(tile.content(), tile.index(), TILE_WIDTH) {
                self.compare_partial(&partial_dir(source, &full), hashes)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, path: PathBuf, hashes: &[Hash]) {
        match disk::read_small(&path, hashes.len() * 32) {
            Ok(found) if found == hashes.as_flattened() => self.good += 1,
            Err(error) if error.is_not_found() => {}
            Ok(_) | Err(_) => self.bad.push(path),
        }
    }

    /// A wider one than there are hashes is of a log that grew meanwhile.
    fn compare_partial(&mut self, dir: &Path, hashes: &[Hash]) -> Result<(), DiskError> {
        for name in disk::names(dir)? {
            let width = name.parse().ok().filter(|width| *width > 0);
            if let Some(hashes) = width.and_then(|width: usize| hashes.get(..width)) {
                self.compare(dir.join(name), hashes);
            }
        }
        Ok(())
    }
}
