//! One checkpoint to one witness: what is sent, what its answers mean, and when it has proved us wrong.
//!
//! c2sp.org/tlog-witness: `old N`, a consistency proof from there, the checkpoint. 409 says from which size to
//! start instead. Every other answer than a cosignature that verifies is a refusal. A contradiction is what cannot
//! be explained by waiting, by another sender for this log, or by what we sent: it is looked at twice.

use std::time::Duration;

use assent_audit::log::{ProveError, ReadError, Reader};
use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::Tree;
use assent_audit::tlog::note::Verifier;
use assent_audit::tlog::witness::{Request, attach, parse_conflict};
use reqwest::StatusCode;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::Witness;
use crate::http;
use assent_audit::text::{in_full, one_line};

/// How often one round asks: from the size we know, from the one it names, and again for a log that has
/// several senders.
const ATTEMPTS_MAX: usize = 6;
/// The longest answer: some signature lines, of which each has some hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How much of a refusal is repeated to the operator.
const REFUSAL_SHOWN: usize = 120;
/// How long the tiles of a checkpoint may take to be made: they follow it within a second on a busy disk.
const TILES_PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked for them.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a witness said of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It cosigned.
    Cosigned {
        /// The checkpoint that it cosigned, with its cosignature.
        note: String,
        /// What that is of.
        tree: Tree,
        /// When, in seconds since 1970, by its clock.
        time: u64,
    },
    /// There is nothing yet to be witnessed.
    Nothing,
    /// It did not cosign. To be tried again; nobody is wrong yet.
    Refused(Refused),
    /// It knows another log than this one.
    Contradicted(Contradiction),
}

/// Why a witness did not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was not reached, or did not answer in time.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// It does not know the log.
    #[error("it does not know this log: give its operator the key that `assent audit keys` prints")]
    UnknownLog,
    /// It has another key for the log.
    #[error("it expects another key for this log: give its operator the one that `assent audit keys` prints")]
    OtherKey,
    /// Another answer than the protocol has.
    #[error("it answered {status}: {text}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// How its body begins.
        text: String,
    },
    /// It cosigned with another key than the configured one, or badly.
    #[error("its answer carries no cosignature that the configured key made")]
    NoCosignature,
    /// It names sizes without end.
    #[error("it contradicts itself: it asked to start from size {size}, and then did not")]
    Unsteady {
        /// The last one.
        size: u64,
    },
    /// Our own log cannot be read, or has no proof to give.
    #[error("our own log has no proof to give: {0}")]
    OwnLog(String),
}

/// What a witness knows otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// It cosigned a larger log.
    #[error("it saw {witness} records, and here are {ours}: this log was cut, or put back to an older state")]
    RolledBack {
        /// What it cosigned.
        witness: u64,
        /// What our newest checkpoint is of.
        ours: u64,
    },
    /// It cosigned another tree of the same size.
    #[error("it saw other records than the {size} that are here: this log was written again")]
    Forked {
        /// The size of both.
        size: u64,
    },
    /// It cosigned a tree that ours does not continue.
    #[error("the first {size} records that it saw are not the first {size} here: this log was written again")]
    NotContinued {
        /// What it cosigned.
        size: u64,
    },
}

/// The newest checkpoint of a log.
#[derive(Clone)]
pub(super) struct Newest {
    pub(super) note: String,
    pub(super) tree: Tree,
}

impl Newest {
    /// Reads it; `None` for a log that published nothing, or has no record.
    pub(super) async fn read(reader: &Reader, log: &Verifier) -> Result<Option<Self>, Refused> {
        let (reader, log) = (reader.clone(), log.clone());
        let read = spawn_blocking(move || {
            let Some(note) = reader.signed_checkpoint().map_err(|error| in_full(&error))? else {
                return Ok(None);
            };
            let (checkpoint, _) = Checkpoint::open(&note, &log, &[]).map_err(|error| in_full(&error))?;
            let tree = checkpoint.tree();
            Ok((tree.size > 0).then_some(Self { note, tree }))
        });
        read.await.map_err(|error| in_full(&error)).flatten().map_err(Refused::OwnLog)
    }
}

/// Sends the newest checkpoint, from the size that the witness is thought to know.
pub(super) async fn submit(
    witness: &Witness,
    reader: &Reader,
    log: &Verifier,
    newest: Newest,
    thought: u64,
) -> Said {
    match attempt(witness, reader, log, newest, thought).await {
        Ok(said) => said,
        Err(refused) => Said::Refused(refused),
    }
}

async fn attempt(
    witness: &Witness,
    reader: &Reader,
    log: &Verifier,
    mut newest: Newest,
    thought: u64,
) -> Result<Said, Refused> {
    // More than we have is nothing to start from, and proves nothing: only the witness does.
    let mut old = if thought <= newest.tree.size { thought } else { 0 };
    // It refused to start from the very size of our checkpoint, without a size of its own.
    let mut unexplained = false;
    for _ in 0..ATTEMPTS_MAX {
        let proof = proof(reader, old, newest.tree).await?;
        let request = Request { old_size: old, proof, checkpoint: newest.note.clone() };
        let (status, body) = send(witness, request.to_string()).await?;
        match status {
            StatusCode::OK => return accepted(witness, log, &newest, &body),
            StatusCode::NOT_FOUND => return Err(Refused::UnknownLog),
            StatusCode::FORBIDDEN => return Err(Refused::OtherKey),
            // We proved it to ourselves before, so the witness's tree of that size is not ours.
            StatusCode::UNPROCESSABLE_ENTITY if old > 0 => {
                return Ok(Said::Contradicted(Contradiction::NotContinued { size: old }));
            }
            StatusCode::CONFLICT => match parse_conflict(&body) {
                Some(size) if size == newest.tree.size && (size == old || unexplained) => {
                    return Ok(Said::Contradicted(Contradiction::Forked { size }));
                }
                Some(size) if size == old => return Err(Refused::Unsteady { size }),
                Some(size) => {
                    if size > newest.tree.size {
                        // Another process may have sent a newer one than we had read.
                        newest = Newest::read(reader, log).await?.unwrap_or(newest);
                    }
                    if size > newest.tree.size {
                        let ours = newest.tree.size;
                        return Ok(Said::Contradicted(Contradiction::RolledBack { witness: size, ours }));
                    }
                    old = size;
                }
                // The specification has no size here where the roots differ: ask what size it knows.
                None if old == newest.tree.size && old > 0 => {
                    unexplained = true;
                    old = 0;
                }
                None => return Err(refused(status, &body)),
            },
            _ => return Err(refused(status, &body)),
        }
    }
    Err(Refused::Unsteady { size: old })
}

/// The proof that the checkpoint continues the first `old` entries.
async fn proof(
    reader: &Reader,
    old: u64,
    tree: Tree,
) -> Result<Vec<assent_audit::tlog::merkle::Hash>, Refused> {
    let patience = Instant::now() + TILES_PATIENCE;
    loop {
        let reader = reader.clone();
        let looked: Result<Result<_, ProveError>, _> =
            spawn_blocking(move || reader.consistency(old, &tree)).await;
        let looked = looked.map_err(|error| Refused::OwnLog(in_full(&error)))?;
        if let Some(proof) = looked.map_err(|error| Refused::OwnLog(in_full(&error)))? {
            return Ok(proof);
        }
        if Instant::now() >= patience {
            return Err(Refused::OwnLog("its tiles are not made yet".to_owned()));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn send(witness: &Witness, body: String) -> Result<(StatusCode, String), Refused> {
    let unreachable = |error: reqwest::Error| Refused::Unreachable(in_full(&error));
    let answer = witness.client.post(witness.url.clone()).body(body).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = http::body(answer, ANSWER_BYTES_MAX).await.map_err(unreachable)?;
    // Text that is none, or too long, is no answer of the protocol, and is refused as such.
    Ok((status, String::from_utf8_lossy(&body.unwrap_or_default()).into_owned()))
}

fn accepted(witness: &Witness, log: &Verifier, newest: &Newest, answer: &str) -> Result<Said, Refused> {
    let known = std::slice::from_ref(&witness.verifier);
    let note = attach(&newest.note, answer, known).map_err(|_| Refused::NoCosignature)?;
    let time = assent_audit::log::cosigned(&note, log, &witness.verifier).ok_or(Refused::NoCosignature)?;
    Ok(Said::Cosigned { note, tree: newest.tree, time })
}

fn refused(status: StatusCode, body: &str) -> Refused {
    let text = one_line(body).chars().take(REFUSAL_SHOWN).collect();
    Refused::Status { status: status.as_u16(), text }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        Self::OwnLog(in_full(&error))
    }
}
