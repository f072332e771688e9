//! The first 4 KiB of a segment: which part of which log it is, and where the log stood at its start.
//!
//! Because the header holds the tree's right edge, a log is opened, read or verified from any segment
//! on, without reading the ones before. Layout, numbers big-endian: magic (8), segment number (8),
//! origin hash (32), number of the first batch (8), link (32), root (32), key commitment (32),
//! first seq (8), count of edge hashes (4), the hashes (32 each), zeros, CRC (4), signature (64).

use crate::keys::Commitment;
use crate::tlog::merkle::{Frontier, Hash};
use crate::tlog::note::{Signer, Verifier};

use super::block::{self, Fields, Kind, Position, SEAL_BYTES};
use super::error::Fault;

/// One page, and room for an edge of 63 hashes.
pub(crate) const HEADER_BYTES: usize = 4096;

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"ASNTSEG1";

/// A segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    /// The key that its entries are sealed with.
    pub(crate) commitment: Commitment,
    /// Where the log stood before this header.
    pub(crate) before: Position,
    /// The hash of the header itself.
    link: Hash,
}

impl Header {
    /// Makes the header block of a new segment.
    pub(crate) fn encode(
        number: u64,
        commitment: Commitment,
        before: &Position,
        origin_hash: &Hash,
        signer: &Signer,
    ) -> Vec<u8> {
        let (size, edge) = before.tree.parts();
        let mut block = Vec::with_capacity(HEADER_BYTES);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&number.to_be_bytes());
        block.extend_from_slice(origin_hash);
        block.extend_from_slice(&before.batch.to_be_bytes());
        block.extend_from_slice(&before.link);
        block.extend_from_slice(&before.tree.root());
        block.extend_from_slice(&commitment.0);
        block.extend_from_slice(&size.to_be_bytes());
        block.extend_from_slice(&(edge.len() as u32).to_be_bytes());
        edge.iter().for_each(|hash| block.extend_from_slice(hash));
        block.resize(HEADER_BYTES - SEAL_BYTES, 0);
        block::seal(Kind::Header, origin_hash, &mut block, signer);
        block
    }

    /// Reads the header block of the segment with this number.
    pub(crate) fn decode(
        bytes: &[u8],
        number: u64,
        origin_hash: &Hash,
        verifier: &Verifier,
    ) -> Result<Self, Fault> {
        if bytes.len() != HEADER_BYTES {
            return Err(Fault::CutShort { what: Kind::Header.name() });
        }
        // Asked before the seal: another log's header fails for being another log's.
        let mut fields = Fields(bytes);
        if fields.take() != Some(MAGIC) {
            return Err(Fault::NotASegment);
        }
        let found = fields.u64().unwrap_or_default();
        if fields.take() != Some(*origin_hash) {
            return Err(Fault::OtherLog { origin: verifier.name().to_owned() });
        }
        let content = block::open(Kind::Header, origin_hash, bytes, verifier)?;
        if found != number {
            return Err(Fault::SegmentNumber { expected: number, found });
        }
        let skipped = content.get(MAGIC.len() + 8 + 32..).unwrap_or_default();
        let header = Self::fields(skipped, number, block::link(bytes));
        header.ok_or(Fault::HeaderFields)
    }

    fn fields(content: &[u8], number: u64, link: Hash) -> Option<Self> {
        let mut fields = Fields(content);
        let batch = fields.u64()?;
        let before_link = fields.take()?;
        let root: Hash = fields.take()?;
        let commitment = Commitment(fields.take()?);
        let size = fields.u64()?;
        let count = fields.u32()?;
        let edge: Option<Vec<Hash>> = (0..count).map(|_| fields.take()).collect();
        let tree = Frontier::from_parts(size, edge?).ok()?;
        let whole = tree.root() == root && fields.0.iter().all(|byte| *byte == 0);
        whole.then_some(Self {
            number,
            commitment,
            before: Position { batch, link: before_link, tree },
            link,
        })
    }

    /// Where the log stands after this header.
    pub(crate) fn after(&self) -> Position {
        Position { link: self.link, ..self.before.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::leaf_hash;

    const ORIGIN: Hash = [5; 32];

    fn signer(seed: u8) -> Signer {
        Signer::from_seed("test/audit/org/2026", &[seed; 32]).unwrap()
    }

    fn position(size: u64) -> Position {
        let mut position = Position { batch: 17, link: [9; 32], ..Position::start() };
        (0..size).for_each(|seq| position.tree.push(leaf_hash(&seq.to_be_bytes())));
        position
    }

    #[test]
    fn a_header_says_where_the_log_stood() {
        for size in [0, 1, 2, 3, 255, 1000] {
            let before = position(size);
            let block = Header::encode(3, Commitment([1; 32]), &before, &ORIGIN, &signer(1));
            assert_eq!(block.len(), HEADER_BYTES);
            let header = Header::decode(&block, 3, &ORIGIN, signer(1).verifier()).unwrap();
            assert_eq!((&header.before, header.commitment.0), (&before, [1; 32]));
            assert_ne!(header.after(), before, "the header is part of the chain");
        }
    }

    #[test]
    fn the_edge_of_the_largest_tree_fits() {
        let size = crate::tlog::merkle::SIZE_MAX;
        let edge = vec![[7; 32]; size.count_ones() as usize];
        let tree = Frontier::from_parts(size, edge).unwrap();
        let block = Header::encode(
            1,
            Commitment([1; 32]),
            &Position { tree, ..Position::start() },
            &ORIGIN,
            &signer(1),
        );
        assert_eq!(block.len(), HEADER_BYTES);
        Header::decode(&block, 1, &ORIGIN, signer(1).verifier()).unwrap();
    }

    #[test]
    fn a_changed_moved_or_foreign_header_is_refused() {
        let block = Header::encode(3, Commitment([1; 32]), &position(5), &ORIGIN, &signer(1));
        let signer = signer(1);
        let decode = |block: &[u8], number, origin| Header::decode(block, number, origin, signer.verifier());
        assert!(matches!(decode(&block, 4, &ORIGIN), Err(Fault::SegmentNumber { expected: 4, found: 3 })));
        assert!(matches!(decode(&block, 3, &[6; 32]), Err(Fault::OtherLog { .. })));
        assert!(matches!(decode(&block[..4095], 3, &ORIGIN), Err(Fault::CutShort { .. })));
        for at in 0..HEADER_BYTES {
            let mut changed = block.clone();
            changed[at] ^= 1;
            assert!(decode(&changed, 3, &ORIGIN).is_err(), "byte {at}");
        }
        let forged = Header::encode(3, Commitment([1; 32]), &position(5), &ORIGIN, &self::signer(2));
        assert!(matches!(decode(&forged, 3, &ORIGIN), Err(Fault::Signature { .. })));
    }
}
