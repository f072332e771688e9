//! The right edge of a growing tree, cut into tiles: what must be known to go on making them.
//!
//! On each level it is the hashes of the tile that is not full yet; so it can be had back from full
//! tiles alone at every size that fills a tile.

use crate::tlog::merkle::{EMPTY_ROOT, Frontier, Hash, Tree, node_hash};
use crate::tlog::tile::{Content, TILE_WIDTH, Tile};

use super::disk;
use super::source::Source;

/// How many hashes a full tile has.
pub(crate) const WIDTH: u64 = TILE_WIDTH as u64;

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
    pub(crate) fn tree(&self) -> Option<Tree> {
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
    pub(crate) fn restore(source: &Source, size: u64) -> Option<Self> {
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

/// The hash tile with these coordinates.
pub(crate) fn tile(level: u8, index: u64, width: u64) -> Option<Tile> {
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
