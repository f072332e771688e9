//! The signed blocks of a segment (its header and the trailers of its batches), and how they are chained.
//!
//! A block ends in a CRC-32C, which tells damage from forgery, and an Ed25519 signature over domain,
//! origin and everything before. Each block names the hash of the one before it, across segments, so
//! a log whose last block is believed has no gap, no exchanged and no foreign part.
//! INVARIANT (one chain): a block is accepted only at the [`Position`] that the block before it left.

use sha2::{Digest, Sha256};

use crate::tlog::merkle::{Frontier, Hash};
use crate::tlog::note::{Signer, Verifier};

use super::error::Fault;

/// CRC and signature.
pub(crate) const SEAL_BYTES: usize = 4 + 64;

/// Where a log stands between two blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The number of the next batch, from 1.
    pub(crate) batch: u64,
    /// The hash of the last block; zeros before the first.
    pub(crate) link: Hash,
    /// The tree over all entries so far.
    pub(crate) tree: Frontier,
}

impl Position {
    /// Before the first segment.
    pub(crate) fn start() -> Self {
        Self { batch: 1, link: [0; 32], tree: Frontier::default() }
    }
}

/// What a block is; part of what is signed, so that none passes for the other.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Header,
    Trailer,
}

impl Kind {
    /// The NUL keeps the message apart from every note's text.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Header => b"assent segment v1\0",
            Self::Trailer => b"assent batch v1\0",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Header => "segment header",
            Self::Trailer => "batch trailer",
        }
    }
}

/// Adds CRC and signature to a block's content.
pub(crate) fn seal(kind: Kind, origin_hash: &Hash, content: &mut Vec<u8>, signer: &Signer) {
    content.extend_from_slice(&crc32c::crc32c(content).to_be_bytes());
    let signature = signer.sign_bytes(&message(kind, origin_hash, content));
    content.extend_from_slice(&signature);
}

/// Checks CRC and signature; gives the content.
pub(crate) fn open<'a>(
    kind: Kind,
    origin_hash: &Hash,
    block: &'a [u8],
    verifier: &Verifier,
) -> Result<&'a [u8], Fault> {
    let content = open_unsigned(kind, block)?;
    let (signed, signature) = block.split_last_chunk::<64>().ok_or(Fault::CutShort { what: kind.name() })?;
    if !verifier.check_bytes(&message(kind, origin_hash, signed), signature) {
        return Err(Fault::Signature { what: kind.name() });
    }
    Ok(content)
}

/// Checks the CRC alone; for a block that a later one, whose signature is checked, names.
pub(crate) fn open_unsigned(kind: Kind, block: &[u8]) -> Result<&[u8], Fault> {
    let short = || Fault::CutShort { what: kind.name() };
    let (signed, _) = block.split_last_chunk::<64>().ok_or_else(short)?;
    let (content, crc) = signed.split_last_chunk::<4>().ok_or_else(short)?;
    if crc32c::crc32c(content).to_be_bytes() != *crc {
        return Err(Fault::Checksum { what: kind.name() });
    }
    Ok(content)
}

/// What the next block calls this one.
pub(crate) fn link(block: &[u8]) -> Hash {
    Sha256::digest(block).into()
}

fn message(kind: Kind, origin_hash: &Hash, signed: &[u8]) -> Vec<u8> {
    [kind.domain(), origin_hash, signed].concat()
}

/// Takes numbers and hashes off the front of a block.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}
