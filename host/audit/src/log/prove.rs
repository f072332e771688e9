//! Proofs for auditors: the signed checkpoint as it is, and that an entry is under it.
//!
//! A proof is made of the tiles that the keeper left behind, at most one for each level, so it costs a few
//! small reads however long the log is. INVARIANT (tiles are derived): it is given out only after it was
//! verified against the checkpoint and the entry, as its reader will.

use crate::tlog::merkle::{self, Hash, MerkleError, ProveError as Unproved, Tree};
use crate::tlog::proof::{Proof, ProofError};
use crate::tlog::tile::{TILE_WIDTH, Tile, TileError, TileReader};

use super::disk::{self, DiskError};
use super::error::ReadError;
use super::layout::Layout;
use super::published;
use super::read::{Entry, Reader};

/// Bytes of a full tile.
const TILE_BYTES: usize = 32 * TILE_WIDTH as usize;

/// Why there is no proof of an entry that the log has.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A tile does not have the form of one.
    #[error("a tile of the log is damaged: remove `tile` and `tiled`, they are made again")]
    Tile(#[source] TileError),
    /// What the tiles say does not lead from one tree to the other.
    #[error(
        "the tiles of the log do not prove that {to} entries continue {from}: `assent audit verify` says what is wrong"
    )]
    Consistency {
        /// The size of the older tree.
        from: u64,
        /// The size of the newer.
        to: u64,
        /// What does not hold.
        source: MerkleError,
    },
    /// What the tiles say does not lead to the checkpoint.
    #[error("the tiles of the log do not prove entry {seq}: `assent audit verify` says what is wrong")]
    Proof {
        /// Its position.
        seq: u64,
        /// What does not hold.
        source: ProofError,
    },
}

impl Reader {
    /// The newest checkpoint as it was signed; `None` where nothing was published yet.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn signed_checkpoint(&self) -> Result<Option<String>, ReadError> {
        Ok(published::read_signed(&self.source)?.map(|(text, _)| text))
    }

    /// Proves that the entry is under the newest checkpoint. `None` while the checkpoint does not cover it,
    /// or its tiles are still being made: ask again.
    ///
    /// # Errors
    /// When checkpoint or tiles cannot be read, or do not agree.
    pub fn prove(&self, entry: &Entry) -> Result<Option<Proof>, ProveError> {
        let published = published::read_signed(&self.source).map_err(ReadError::Scan)?;
        let Some((checkpoint, tree)) = published.filter(|(_, tree)| entry.seq < tree.size) else {
            return Ok(None);
        };
        let layout = &self.source.layout;
        let mut tiles = TileReader::new(tree.size, |tile| fetch(layout, tile));
        let hashes = match merkle::inclusion(&mut tiles, entry.seq, tree.size) {
            Ok(hashes) => hashes,
            Err(Unproved::Read(NoTile::Missing)) => return Ok(None),
            Err(Unproved::Read(NoTile::Disk(error))) => return Err(error.into()),
            Err(Unproved::Read(NoTile::Malformed(error))) => return Err(ProveError::Tile(error)),
            Err(Unproved::Merkle(error)) => {
                return Err(ProveError::Proof { seq: entry.seq, source: error.into() });
            }
        };
        let proof = Proof { extra: None, index: entry.seq, hashes, checkpoint };
        match proof.verify(&self.source.verifier, &[], &entry.envelope) {
            Ok(_) => Ok(Some(proof)),
            Err(source) => Err(ProveError::Proof { seq: entry.seq, source }),
        }
    }
}

impl Reader {
    /// Proves that the tree `to`, which was published, continues the log's first `from` entries: the consistency
    /// proof (RFC 6962, section 2.1.2). `None` while its tiles are still being made: ask again.
    ///
    /// # Errors
    /// When tiles cannot be read, or do not lead to the tree.
    pub fn consistency(&self, from: u64, to: &Tree) -> Result<Option<Vec<Hash>>, ProveError> {
        let layout = &self.source.layout;
        let mut tiles = TileReader::new(to.size, |tile| fetch(layout, tile));
        let proof = merkle::consistency(&mut tiles, from, to.size);
        let old =
            proof.and_then(|proof| Ok((merkle::root(&mut tiles, from).map_err(Unproved::Read)?, proof)));
        let wrong = |source| ProveError::Consistency { from, to: to.size, source };
        match old {
            Ok((root, proof)) => {
                let old = Tree { size: from, root };
                merkle::verify_consistency(&old, to, &proof).map_err(wrong)?;
                Ok(Some(proof))
            }
            Err(Unproved::Read(NoTile::Missing)) => Ok(None),
            Err(Unproved::Read(NoTile::Disk(error))) => Err(error.into()),
            Err(Unproved::Read(NoTile::Malformed(error))) => Err(ProveError::Tile(error)),
            Err(Unproved::Merkle(error)) => Err(wrong(error)),
        }
    }

    /// The bytes of a tile of hashes (c2sp.org/tlog-tiles), of any width that was ever published. `None` for
    /// one that the log does not have, or not yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, ProveError> {
        match fetch(&self.source.layout, tile) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(NoTile::Missing) => Ok(None),
            Err(NoTile::Disk(error)) => Err(error.into()),
            Err(NoTile::Malformed(error)) => Err(ProveError::Tile(error)),
        }
    }
}

/// Why a tile was not had.
enum NoTile {
    Missing,
    Disk(DiskError),
    Malformed(TileError),
}

impl From<DiskError> for NoTile {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<TileError> for NoTile {
    fn from(error: TileError) -> Self {
        Self::Malformed(error)
    }
}

/// A tile's content. Where a partial one was replaced meanwhile by a wider or the full one, that one's beginning.
fn fetch(layout: &Layout, tile: Tile) -> Result<Vec<u8>, NoTile> {
    if let Some(bytes) = read(layout, &tile)? {
        return Ok(bytes);
    }
    let full = Tile::new(tile.content(), tile.index(), TILE_WIDTH).ok_or(NoTile::Missing)?;
    let wider = disk::names(&layout.tile(&format!("{full}.p")))?.into_iter();
    let wider = wider.filter_map(|name| name.parse().ok()).filter(|width| *width > tile.width()).max();
    let wider = wider.and_then(|width| Tile::new(tile.content(), tile.index(), width));
    for other in wider.into_iter().chain([full]) {
        if let Some(mut bytes) = read(layout, &other)? {
            bytes.truncate(32 * usize::from(tile.width()));
            return Ok(bytes);
        }
    }
    Err(NoTile::Missing)
}

fn read(layout: &Layout, tile: &Tile) -> Result<Option<Vec<u8>>, NoTile> {
    match disk::read_small(&layout.tile(&tile.to_string()), TILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(NoTile::Disk(error)),
    }
}
