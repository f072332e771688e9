//! Proofs to keep (c2sp.org/tlog-proof): how does somebody show, years later and offline, that an entry was logged?
//!
//! A proof is a text with the entry's index, its inclusion proof, and the signed checkpoint that the proof leads to,
//! with the cosignatures of witnesses if there are any. To check it takes the log's public key and the entry.

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::merkle::{self, Hash, MerkleError};
use super::note::{NOTE_BYTES_MAX, Opened, Verifier};
use super::text;

/// The first line of every proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The longest extra data in bytes: as long as an entry, since it is there to explain one.
pub const EXTRA_BYTES_MAX: usize = u16::MAX as usize;

/// The longest proof in bytes: a note of any length, and room for 64 hashes and the extra data in base64.
pub const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 100_000;

/// Why a proof was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// More than [`PROOF_BYTES_MAX`] bytes.
    #[error("the proof is {found} bytes long, more than {PROOF_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// The text is not that of a proof.
    #[error("line {line} of the proof must be {expected}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What it should have been.
        expected: &'static str,
    },
    /// The checkpoint in it.
    #[error("the proof's checkpoint does not hold")]
    Checkpoint(#[from] CheckpointError),
    /// The inclusion proof in it.
    #[error("the entry is not proved to be in the log")]
    Inclusion(#[from] MerkleError),
}

/// That an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Data for the application, at most [`EXTRA_BYTES_MAX`]. Nobody signs it: do not trust it.
    pub extra: Option<Vec<u8>>,
    /// The index of the entry, counted from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Proof {
    /// Reads a proof as [`Display`](fmt::Display) prints it. The checkpoint in it is not yet looked at.
    ///
    /// # Errors
    /// [`ProofError`] for the first line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong { found: text.len() });
        }
        let wrong = |line, expected| ProofError::Line { line, expected };
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(wrong(1, "followed by an empty line and a checkpoint"))?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        lines.next_if(|(_, line)| *line == HEADER).ok_or(wrong(1, "`c2sp.org/tlog-proof@v1`"))?;
        let extra = match lines.next_if(|(_, line)| line.starts_with("extra ")) {
            Some((at, line)) => {
                let extra = line.strip_prefix("extra ").and_then(text::decode);
                let extra = extra.filter(|extra| extra.len() <= EXTRA_BYTES_MAX);
                Some(extra.ok_or(wrong(at, "`extra` and at most 65535 bytes in base64"))?)
            }
            None => None,
        };
        let index = lines.next().and_then(|(_, line)| text::decode_decimal(line.strip_prefix("index ")?));
        let index_line = if extra.is_some() { 3 } else { 2 };
        let index = index.ok_or(wrong(index_line, "`index` and a decimal number without leading zeros"))?;
        let hash = |(at, line)| match text::decode_hash(line) {
            Some(hash) if at - index_line <= text::PROOF_HASHES_MAX => Ok(hash),
            _ => Err(wrong(at, "a hash, 32 bytes in base64, at most 64 of them")),
        };
        let hashes = lines.map(hash).collect::<Result<_, _>>()?;
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that `entry` is in the log whose origin and key are `log`, and gives the checkpoint that says so.
    /// The keys of `witnesses` are checked as well: see [`Opened::signatures`] for those that cosigned.
    ///
    /// # Errors
    /// [`ProofError`]; anything but `Ok` means that nothing was proved.
    pub fn verify(
        &self,
        log: &Verifier,
        witnesses: &[Verifier],
        entry: &[u8],
    ) -> Result<(Checkpoint, Opened), ProofError> {
        let (checkpoint, opened) = Checkpoint::open(&self.checkpoint, log, witnesses)?;
        let leaf = merkle::leaf_hash(entry);
        merkle::verify_inclusion(&checkpoint.tree(), self.index, &leaf, &self.hashes)?;
        Ok((checkpoint, opened))
    }
}

/// The text form, which ends with the checkpoint.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", text::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests;
