//! A batch: entries that became durable together, and the signed trailer that says so.
//!
//! An entry stands in a frame: its length (4 bytes, big-endian), the CRC-32C of the envelope (4), the
//! envelope. The trailer begins with a magic that is no possible length. Layout: magic (8), batch
//! number (8), first seq (8), count (4), bytes of its frames (4), root after it (32), link (32),
//! CRC (4), signature (64).

use crate::tlog::merkle::Hash;
use crate::tlog::note::{Signer, Verifier};

use super::block::{self, Fields, Kind, SEAL_BYTES};
use super::error::Fault;

/// Bounds the wait of a batch's first record for its last.
pub(crate) const BATCH_RECORDS_MAX: usize = 1024;
/// Bounds what a reader holds in memory. One record more may begin below it.
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;
pub(crate) const FRAME_HEAD_BYTES: usize = 8;
pub(crate) const TRAILER_BYTES: usize = CONTENT_BYTES + SEAL_BYTES;
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"ASNTBAT1";

const CONTENT_BYTES: usize = 8 + 8 + 8 + 4 + 4 + 32 + 32;

/// What a batch's trailer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) batch: u64,
    pub(crate) first_seq: u64,
    pub(crate) count: u32,
    pub(crate) frames_bytes: u32,
    /// Over all entries up to the end of this batch.
    pub(crate) root: Hash,
    /// The hash of the block before.
    pub(crate) link: Hash,
}

impl Trailer {
    /// Makes the block.
    pub(crate) fn encode(&self, origin_hash: &Hash, signer: &Signer) -> Vec<u8> {
        let mut block = Vec::with_capacity(TRAILER_BYTES);
        block.extend_from_slice(&TRAILER_MAGIC);
        block.extend_from_slice(&self.batch.to_be_bytes());
        block.extend_from_slice(&self.first_seq.to_be_bytes());
        block.extend_from_slice(&self.count.to_be_bytes());
        block.extend_from_slice(&self.frames_bytes.to_be_bytes());
        block.extend_from_slice(&self.root);
        block.extend_from_slice(&self.link);
        block::seal(Kind::Trailer, origin_hash, &mut block, signer);
        block
    }

    /// Reads the block.
    pub(crate) fn decode(block: &[u8], origin_hash: &Hash, verifier: &Verifier) -> Result<Self, Fault> {
        Self::fields(block::open(Kind::Trailer, origin_hash, block, verifier)?)
    }

    /// Reads the block without a look at its signature; see [`block::open_unsigned`].
    pub(crate) fn decode_unsigned(block: &[u8]) -> Result<Self, Fault> {
        Self::fields(block::open_unsigned(Kind::Trailer, block)?)
    }

    fn fields(content: &[u8]) -> Result<Self, Fault> {
        Self::parse(content).ok_or(Fault::CutShort { what: Kind::Trailer.name() })
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let mut fields = Fields(content);
        fields.take::<8>()?;
        Some(Self {
            batch: fields.u64()?,
            first_seq: fields.u64()?,
            count: fields.u32()?,
            frames_bytes: fields.u32()?,
            root: fields.take()?,
            link: fields.take()?,
        })
    }
}

/// Appends a frame whose envelope `fill` writes.
pub(crate) fn frame<E>(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    fill(out)?;
    let envelope = out.get(start + FRAME_HEAD_BYTES..).unwrap_or_default();
    let head =
        (envelope.len() as u32).to_be_bytes().into_iter().chain(crc32c::crc32c(envelope).to_be_bytes());
    out.iter_mut().skip(start).zip(head).for_each(|(to, from)| *to = from);
    Ok(())
}
