//! Tiles (c2sp.org/tlog-tiles): which files hold the tree and its entries, and what is in them?
//!
//! The tree is cut into tiles of 8 levels: a tile is up to 256 consecutive hashes of one level, of which every
//! 8th is stored. Entries stand in bundles that are cut like the tiles of level 0. [`grow`] makes the tiles that new
//! entries add; [`TileReader`] finds any hash of the tree in them again.
//! INVARIANT (tiles are derived): nothing here vouches for a tile's content; a proof made from tiles counts only
//! once it verifies against a signed checkpoint.

use std::collections::BTreeMap;
use std::fmt;

use super::merkle::{Frontier, Hash, HashReader};
use super::text;

/// How many hashes or entries a full tile or bundle has.
pub const TILE_WIDTH: u16 = 256;

/// The highest level that the paths of the specification know. Sizes of 64 bits use levels 0 to 7.
pub const LEVEL_MAX: u8 = 63;

/// The longest entry in bytes, because its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Tree levels in a tile.
const HEIGHT: u8 = 8;

/// Levels of tiles that a tree of at most `u64::MAX` entries has.
const LEVELS: u8 = 8;

/// Why a tile or a bundle was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// No tile of the specification has this path.
    #[error(
        "`{path}` is not the path of a tile: it must be `tile/<level>/<number>` or `tile/entries/<number>`, perhaps with `.p/<width>`"
    )]
    Path {
        /// The path as given, cut off where it gets long.
        path: String,
    },
    /// The content does not have the size it must have.
    #[error("`{tile}` has {found} bytes, which is not {expected} hashes")]
    Length {
        /// The tile.
        tile: Tile,
        /// Its length in bytes.
        found: usize,
        /// The number of hashes, of 32 bytes each.
        expected: u16,
    },
    /// The bundle does not consist of the entries it must have.
    #[error("entry {entry} of the bundle is cut off, missing or too many: it must have {expected}")]
    Bundle {
        /// Which entry of the bundle, counted from 0.
        entry: usize,
        /// The number of entries.
        expected: u16,
    },
    /// The entry is longer than [`ENTRY_BYTES_MAX`].
    #[error("an entry of {found} bytes does not fit into a bundle: {ENTRY_BYTES_MAX} is the most")]
    EntryTooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// A hash that is not stored, because its subtree is not whole in the tree.
    #[error("the tree of {size} entries has no hash {index} on level {level}")]
    NoSuchHash {
        /// The level of the hash, leaves being 0.
        level: u8,
        /// Which hash of the level.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
}

/// What a tile is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// Hashes of tree level `8 * level`; the level is at most [`LEVEL_MAX`].
    Hashes {
        /// The level of the tile; 0 has the leaf hashes.
        level: u8,
    },
    /// The entries themselves.
    Entries,
}

/// The coordinates of a tile or an entry bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    content: Content,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile with these coordinates; `None` if the level or the width (1 to 256) is out of range.
    #[must_use]
    pub fn new(content: Content, index: u64, width: u16) -> Option<Self> {
        let level_fits = !matches!(content, Content::Hashes { level } if level > LEVEL_MAX);
        (level_fits && (1..=TILE_WIDTH).contains(&width)).then_some(Self { content, index, width })
    }

    /// Reads a path as [`Display`](fmt::Display) prints it: `tile/1/x001/234.p/5`, `tile/entries/007`.
    ///
    /// # Errors
    /// [`TileError::Path`] for anything that would not print back to the same path.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let tile = parse_path(path).filter(|tile| tile.to_string() == path);
        tile.ok_or_else(|| TileError::Path { path: path.chars().take(80).collect() })
    }

    /// What it is made of.
    #[must_use]
    pub fn content(&self) -> Content {
        self.content
    }

    /// Which tile of its level it is, counted from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The number of hashes or entries, 1 to 256; less than 256 means partial.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The hashes in the content of this tile.
    ///
    /// # Errors
    /// [`TileError::Length`] if it does not have exactly 32 bytes for each.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(self.width) {
            return Err(TileError::Length { tile: *self, found: bytes.len(), expected: self.width });
        }
        Ok(hashes.to_vec())
    }
}

/// The path, relative to the log.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Hashes { level } => write!(f, "tile/{level}/")?,
            Content::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (after, group) in groups.iter().enumerate().rev() {
            if after > 0 { write!(f, "x{group:03}/")? } else { write!(f, "{group:03}")? }
        }
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// Reads a path without looking whether it is the only spelling of its tile.
fn parse_path(path: &str) -> Option<Tile> {
    let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => Content::Entries,
        level => Content::Hashes { level: u8::try_from(text::decode_decimal(level)?).ok()? },
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, u16::try_from(text::decode_decimal(width)?).ok()?),
        None => (rest, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in number.split('/') {
        let group: u16 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(group.into())?;
    }
    Tile::new(content, index, width)
}

/// The hash tiles that are new or wider in a tree of `new` entries, compared with one of `old`. None if it is not
/// larger. For a whole tree, `old` is 0.
pub fn new_tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let shift = u32::from(level * HEIGHT);
        cut(Content::Hashes { level }, old >> shift, new >> shift)
    })
}

/// The entry bundles that are new or wider in a tree of `new` entries, compared with one of `old`.
pub fn new_bundles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    cut(Content::Entries, old, new)
}

/// The tiles of one level that change when it grows from `old` to `new` hashes.
fn cut(content: Content, old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let (first, width) = (old / u64::from(TILE_WIDTH), u64::from(TILE_WIDTH));
    let indexes = if new > old { first..new.div_ceil(width) } else { 0..0 };
    // `as` keeps the value: it is at most 256.
    indexes.map(move |index| Tile { content, index, width: (new - index * width).min(width) as u16 })
}

/// Makes the tiles that change when `leaves` (their [leaf hashes](super::merkle::leaf_hash)) are added to a tree of
/// `old` entries, with their contents, from the leaves up. `fetch` gets the content of tiles that exist:
/// at most one for each level, the partial one at the tree's right edge.
///
/// # Errors
/// What `fetch` says, and [`TileError::Length`] if it gives something else than the tile.
pub fn grow<E: From<TileError>>(
    old: u64,
    leaves: &[Hash],
    mut fetch: impl FnMut(Tile) -> Result<Vec<u8>, E>,
) -> Result<Vec<(Tile, Vec<u8>)>, E> {
    let (mut made, mut start, mut new) = (vec![], old, leaves.to_vec());
    for level in 0..LEVELS {
        if new.is_empty() {
            break;
        }
        let content = Content::Hashes { level };
        let first = start / u64::from(TILE_WIDTH);
        let mut hashes = match (start % u64::from(TILE_WIDTH)) as u16 {
            0 => vec![],
            width => {
                let partial = Tile { content, index: first, width };
                partial.decode(&fetch(partial)?)?
            }
        };
        hashes.append(&mut new);
        for (index, part) in (first..).zip(hashes.chunks(TILE_WIDTH.into())) {
            made.push((Tile { content, index, width: part.len() as u16 }, part.concat()));
            if part.len() == usize::from(TILE_WIDTH) {
                new.push(root_of(part));
            }
        }
        start = first;
    }
    Ok(made)
}

/// Finds the hashes of a tree in its tiles, which `fetch` gets by their coordinates. It asks only for tiles that
/// exist for this size. The last tile of each level is kept, so that a proof fetches most of its tiles once.
pub struct TileReader<F> {
    size: u64,
    fetch: F,
    kept: BTreeMap<u8, (Tile, Vec<Hash>)>,
}

impl<F> fmt::Debug for TileReader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileReader").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<F, E> TileReader<F>
where
    F: FnMut(Tile) -> Result<Vec<u8>, E>,
    E: From<TileError>,
{
    /// The reader of a tree with this many entries.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, kept: BTreeMap::new() }
    }

    /// The tile at these coordinates, as wide as the tree has it.
    fn tile(&mut self, level: u8, index: u64) -> Result<Option<&[Hash]>, E> {
        let hashes = self.size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0);
        let Some(before) = index.checked_mul(TILE_WIDTH.into()).filter(|before| *before < hashes) else {
            return Ok(None);
        };
        let width = (hashes - before).min(TILE_WIDTH.into()) as u16;
        let tile = Tile { content: Content::Hashes { level }, index, width };
        if self.kept.get(&level).is_none_or(|(kept, _)| *kept != tile) {
            let content = tile.decode(&(self.fetch)(tile)?)?;
            self.kept.insert(level, (tile, content));
        }
        Ok(self.kept.get(&level).map(|(_, hashes)| hashes.as_slice()))
    }
}

impl<F, E> HashReader for TileReader<F>
where
    F: FnMut(Tile) -> Result<Vec<u8>, E>,
    E: From<TileError>,
{
    type Error = E;

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, E> {
        // The hash is the root over `count` neighbours in the tile below it, which start at `from`.
        let count = 1usize << (level % HEIGHT);
        let from = (index % (u64::from(TILE_WIDTH) / count as u64)) as usize * count;
        let tile = self.tile(level / HEIGHT, index / (u64::from(TILE_WIDTH) / count as u64))?;
        match tile.and_then(|hashes| hashes.get(from..from + count)) {
            Some(hashes) => Ok(root_of(hashes)),
            None => Err(TileError::NoSuchHash { level, index, size: self.size }.into()),
        }
    }
}

fn root_of(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    frontier.root()
}

/// The content of a bundle: each entry behind its length in two bytes, the high one first.
///
/// # Errors
/// [`TileError::EntryTooLong`] if an entry has more than [`ENTRY_BYTES_MAX`] bytes.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileError> {
    let mut bundle = vec![];
    for entry in entries {
        let length =
            u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { found: entry.len() })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries in the content of a bundle of this width.
///
/// # Errors
/// [`TileError::Bundle`] if it has fewer or more, or one is cut off.
pub fn decode_bundle(mut bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(width.into());
    let wrong = |entry| TileError::Bundle { entry, expected: width };
    for number in 0..usize::from(width) {
        let (length, rest) = bundle.split_first_chunk::<2>().ok_or(wrong(number))?;
        let (entry, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(wrong(number))?;
        entries.push(entry);
        bundle = rest;
    }
    if bundle.is_empty() { Ok(entries) } else { Err(wrong(entries.len())) }
}

#[cfg(test)]
mod tests;
