//! Witnesses (c2sp.org/tlog-witness): who outside saw that the log only grows?
//!
//! A log sends each checkpoint with a proof that it continues the last one; the witness answers with a cosignature.
//! [`Request`] is what is sent, [`Witness::add_checkpoint`] what the witness does with it, [`attach`] what the log
//! does with the answer. Who holds the disk and the key of a log can rewrite it, but not what a witness remembers.
//! INVARIANT (a witness never goes back): it cosigns only what continues the last tree it cosigned.

use std::collections::BTreeMap;
use std::fmt;

use super::checkpoint::Checkpoint;
use super::merkle::{self, Hash, MerkleError, Tree};
use super::note::{self, Cosigner, NOTE_BYTES_MAX, NoteError, Unverified, Verifier};
use super::text;

/// The most hashes in a request; the specification says so.
pub const REQUEST_HASHES_MAX: usize = 63;

/// The longest request in bytes: a note of any length, and room for 63 hashes.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 4_000;

/// Why a witness does not cosign.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is not one.
    #[error("line {line} of the request must be {expected}")]
    Malformed {
        /// Which line, counted from 1.
        line: usize,
        /// What it should have been.
        expected: &'static str,
    },
    /// The request is too long, or its checkpoint is not one.
    #[error("the checkpoint of the request is malformed")]
    Checkpoint,
    /// The old size is larger than that of the checkpoint.
    #[error("the old size {old} is larger than the checkpoint's {new}")]
    Shrinks {
        /// The old size of the request.
        old: u64,
        /// The size of the checkpoint.
        new: u64,
    },
    /// The witness does not know the log.
    #[error("the witness does not know the log `{origin}`")]
    UnknownLog {
        /// The origin of the checkpoint.
        origin: String,
    },
    /// None of the log's keys signed the checkpoint, or one of the signatures is bad.
    #[error("no key of the log signed the checkpoint")]
    BadSignature,
    /// The witness remembers another size than the request starts from.
    #[error("the witness last cosigned size {size}: start from there")]
    Conflict {
        /// The size that the witness last cosigned.
        size: u64,
    },
    /// The log shows two trees of the same size: it has forked.
    #[error("the checkpoint's root differs from the one cosigned for the same size {size}")]
    Forked {
        /// The size of both.
        size: u64,
    },
    /// The checkpoint does not continue the last one, or the proof does not show it.
    #[error("the checkpoint is not proved to continue the last one cosigned")]
    Unprocessable(#[source] MerkleError),
}

impl Refusal {
    /// The HTTP status that the specification gives it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed { .. } | Refusal::Checkpoint | Refusal::Shrinks { .. } => 400,
            Refusal::BadSignature => 403,
            Refusal::UnknownLog { .. } => 404,
            Refusal::Conflict { .. } | Refusal::Forked { .. } => 409,
            Refusal::Unprocessable(_) => 422,
        }
    }

    /// The body of a 409, of type `text/x.tlog.size`: the size to start from.
    #[must_use]
    pub fn conflict_body(&self) -> Option<String> {
        match self {
            Refusal::Conflict { size } | Refusal::Forked { size } => Some(format!("{size}\n")),
            _ => None,
        }
    }
}

/// Reads the body of a 409: the size that the witness last cosigned.
#[must_use]
pub fn parse_conflict(body: &str) -> Option<u64> {
    text::decode_decimal(body.strip_suffix('\n')?)
}

/// The body of `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size that the witness cosigned last, as far as the log knows; 0 if never.
    pub old_size: u64,
    /// The consistency proof from there to the checkpoint; empty if `old_size` is 0.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Request {
    /// Reads a request as [`Display`](fmt::Display) prints it. The checkpoint in it is not yet looked at.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for the first line that is not as it must be.
    pub fn parse(body: &str) -> Result<Self, Refusal> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(Refusal::Checkpoint);
        }
        let wrong = |line, expected| Refusal::Malformed { line, expected };
        let (head, checkpoint) =
            body.split_once("\n\n").ok_or(wrong(1, "followed by an empty line and a checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| text::decode_decimal(line.strip_prefix("old ")?));
        let old_size = old_size.ok_or(wrong(1, "`old` and a decimal number without leading zeros"))?;
        let hash = |(at, line)| match text::decode_hash(line) {
            Some(hash) if at <= REQUEST_HASHES_MAX => Ok(hash),
            _ => Err(wrong(at + 1, "a hash, 32 bytes in base64, at most 63 of them")),
        };
        let proof = (1..).zip(lines).map(hash).collect::<Result<_, _>>()?;
        Ok(Self { old_size, proof, checkpoint: checkpoint.to_owned() })
    }
}

/// The body that is sent.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", text::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Adds a witness's answer to the checkpoint: those of its cosignatures that are by keys we know, and hold.
///
/// # Errors
/// [`NoteError`] if the answer is malformed, or none of the cosignatures is by a known key, or one is bad.
pub fn attach(checkpoint: &str, answer: &str, witnesses: &[Verifier]) -> Result<String, NoteError> {
    let text = Unverified::parse(checkpoint)?.text;
    let opened = note::open(&format!("{text}\n{answer}"), witnesses)?;
    // An answer with an empty line in it would move the end of the text, and sign something else.
    if opened.text() != text {
        return Err(NoteError::NoSignatures);
    }
    let signatures: Vec<_> =
        opened.signatures().iter().map(|verified| verified.signature().clone()).collect();
    note::append(checkpoint, &signatures)
}

/// A witness: its key, the logs it knows, and the last tree of each that it cosigned.
#[expect(missing_debug_implementations, reason = "it holds a private key")]
pub struct Witness {
    cosigner: Cosigner,
    logs: BTreeMap<String, Known>,
}

struct Known {
    keys: Vec<Verifier>,
    latest: Tree,
}

impl Witness {
    /// A witness that does not know any log.
    #[must_use]
    pub fn new(cosigner: Cosigner) -> Self {
        Self { cosigner, logs: BTreeMap::new() }
    }

    /// The key that others check its cosignatures with.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        self.cosigner.verifier()
    }

    /// Makes a log known: its origin, its keys, and what the witness last cosigned of it ([`Tree::EMPTY`] if nothing).
    pub fn know(&mut self, origin: &str, keys: Vec<Verifier>, latest: Tree) {
        self.logs.insert(origin.to_owned(), Known { keys, latest });
    }

    /// What the witness last cosigned of this log; `None` if it does not know it.
    #[must_use]
    pub fn latest(&self, origin: &str) -> Option<Tree> {
        self.logs.get(origin).map(|known| known.latest)
    }

    /// Answers `add-checkpoint` at `time` (seconds since 1970): checks the request and gives the signature lines.
    /// The witness remembers the new tree from then on; whoever runs it must store [`latest`](Self::latest) before
    /// sending the answer, or a restart could take it back.
    ///
    /// # Errors
    /// [`Refusal`], with what the HTTP answer must be. Nothing is remembered then.
    pub fn add_checkpoint(&mut self, body: &str, time: u64) -> Result<String, Refusal> {
        let request = Request::parse(body)?;
        let note = Unverified::parse(&request.checkpoint).map_err(|_| Refusal::Checkpoint)?;
        let checkpoint = Checkpoint::parse(&note.text).map_err(|_| Refusal::Checkpoint)?;
        let (old, new) = (request.old_size, checkpoint.tree());
        let unknown = || Refusal::UnknownLog { origin: checkpoint.origin().to_owned() };
        let known = self.logs.get_mut(checkpoint.origin()).ok_or_else(unknown)?;
        note.verify(&known.keys).map_err(|_| Refusal::BadSignature)?;
        if old > new.size {
            return Err(Refusal::Shrinks { old, new: new.size });
        }
        if old != known.latest.size {
            return Err(Refusal::Conflict { size: known.latest.size });
        }
        if old == new.size && new.root != known.latest.root {
            return Err(Refusal::Forked { size: old });
        }
        merkle::verify_consistency(&known.latest, &new, &request.proof).map_err(Refusal::Unprocessable)?;
        known.latest = new;
        Ok(self.cosigner.cosign(&note.text, time).to_string())
    }
}

#[cfg(test)]
mod tests;
