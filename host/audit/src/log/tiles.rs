//! The hash tiles of tlog-tiles, from which proofs are made: derived from the segments, in the background.
//!
//! A tile that is lost or damaged is made again from the log, so none of this is on the way to a receipt,
//! and tiles are made durable together, now and then: the file `tiled` says up to which entry.
//! INVARIANT (tiles follow): tiles are made of published entries only, read back through the same
//! scan as everything else; partial ones only of the size that is published.

use std::path::{Path, PathBuf};

use crate::tlog::merkle::{EMPTY_ROOT, Frontier, Hash, Tree, node_hash};
use crate::tlog::tile::{Content, TILE_WIDTH, Tile};

use super::chain::LogScan;
use super::disk::{self, DiskError};
use super::error::{Fault, Problem, ScanError};
use super::scan::Source;

const WIDTH: u64 = TILE_WIDTH as u64;
/// After so many entries tiles are made durable; as many are made again at most after a crash.
const DURABLE_ENTRIES: u64 = 65_536;
/// How many entries are taken at a time, so that checkpoints need not wait for tiles.
const TURN_ENTRIES: u64 = 32_768;
/// More digits than any size has.
const TILED_BYTES_MAX: usize = 32;

/// The right edge of a tree in tiles: on each level the hashes of the tile that is not full yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    pub(crate) size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Adds a leaf; gives the tiles that it makes full, from the bottom.
    pub(crate) fn push(&mut self, leaf: Hash) -> Vec<(Tile, Vec<Hash>)> {
        let mut full = Vec::new();
        let mut carry = Some(leaf);
        let mut count = self.size + 1;
        self.size = count;
        for level in 0_u8.. {
            let Some(hash) = carry.take() else { break };
            if usize::from(level) == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            if hashes.len() as u64 == WIDTH {
                let hashes = std::mem::take(hashes);
                carry = Some(subtree_root(&hashes));
                count /= WIDTH;
                full.extend(tile(level, count - 1, WIDTH).map(|tile| (tile, hashes)));
            }
        }
        full
    }

    /// The tiles that are not full.
    pub(crate) fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        (0_u8..).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()).filter_map(|(level, hashes)| {
            let index = (self.size >> (8 * u32::from(level))) / WIDTH;
            Some((tile(level, index, hashes.len() as u64)?, hashes.as_slice()))
        })
    }

    /// The tree that the edge is of.
    fn tree(&self) -> Option<Tree> {
        let mut peaks = Vec::new();
        for hashes in self.levels.iter().rev() {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let (left, right) = rest.split_at_checked(1 << rest.len().ilog2())?;
                peaks.push(subtree_root(left));
                rest = right;
            }
        }
        Frontier::from_parts(self.size, peaks).ok().map(|frontier| frontier.tree())
    }

    /// Reads the edge at a size that is a multiple of a tile's width: from full tiles alone.
    fn restore(source: &Source, size: u64) -> Option<Self> {
        let mut levels = vec![Vec::new()];
        let mut count = size / WIDTH;
        for level in 0_u8.. {
            if count == 0 {
                break;
            }
            let roots = (count - count % WIDTH..count).map(|index| {
                let tile = tile(level, index, WIDTH)?;
                let bytes =
                    disk::read_small(&source.layout.tile(&tile.to_string()), 32 * WIDTH as usize).ok()?;
                Some(subtree_root(&tile.decode(&bytes).ok()?))
            });
            levels.push(roots.collect::<Option<Vec<_>>>()?);
            count /= WIDTH;
        }
        Some(Self { size, levels })
    }
}

fn tile(level: u8, index: u64, width: u64) -> Option<Tile> {
    Tile::new(Content::Hashes { level }, index, u16::try_from(width).ok()?)
}

/// The root of a perfect subtree, from a power of two of its nodes.
fn subtree_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&subtree_root(left), &subtree_root(right))
        }
    }
}

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
        let tiled = disk::read_small(&source.layout.tiled(), TILED_BYTES_MAX).ok();
        let size: Option<u64> =
            tiled.and_then(|bytes| String::from_utf8(bytes).ok()?.trim_end().parse().ok());
        let edge = size
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
    pub(crate) fn turn(&mut self, published: u64) -> Result<bool, ScanError> {
        let end = published.min(self.edge.size.saturating_add(TURN_ENTRIES));
        while self.edge.size < end {
            self.batch(published)?;
        }
        if self.edge.size - self.edge.size % WIDTH >= self.durable + DURABLE_ENTRIES {
            self.make_durable()?;
        }
        if self.edge.size < published {
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
    fn batch(&mut self, published: u64) -> Result<(), ScanError> {
        let missing =
            Fault::ShorterThanCheckpoint { expected: published, found: self.edge.size, source: None };
        let scan = match &mut self.scan {
            Some(scan) => scan,
            none => match LogScan::from_entry(&self.source, self.edge.size)? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;

    #[test]
    fn an_edge_has_the_root_of_its_tree_at_any_size() {
        let (mut edge, mut frontier) = (Edge::default(), Frontier::default());
        assert_eq!(edge.tree(), Some(frontier.tree()));
        for n in 0..70_000_u64 {
            let leaf = leaf_hash(&n.to_be_bytes());
            edge.push(leaf);
            frontier.push(leaf);
            if n % 97 == 0 || n % 256 > 250 {
                assert_eq!(edge.tree(), Some(frontier.tree()), "{n}");
            }
        }
    }

    #[test]
    fn full_and_partial_tiles_are_those_of_the_specification() {
        use crate::tlog::tile::new_tiles;

        for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537] {
            let mut edge = Edge::default();
            let mut made: Vec<Tile> = Vec::new();
            for n in 0..size {
                made.extend(edge.push(leaf_hash(&u64::to_be_bytes(n))).into_iter().map(|(tile, _)| tile));
            }
            made.extend(edge.partial().map(|(tile, _)| tile));
            let mut expected: Vec<Tile> = new_tiles(0, size).collect();
            made.sort();
            expected.sort();
            assert_eq!(made, expected, "{size}");
        }
    }
}
