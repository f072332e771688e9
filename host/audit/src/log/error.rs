//! What can be wrong with a log, where, and what to do about it.
//!
//! A [`Fault`] is what is wrong in one place, a [`Problem`] adds the place. Opening for writing,
//! reading and verifying find the same faults through the same scan, and say them in the same words.

use std::path::PathBuf;
use std::sync::Arc;

use crate::keys::{KeyError, RecordError};
use crate::text::in_full;
use crate::tlog::checkpoint::CheckpointError;

use super::DiskError;

/// What is wrong in one place of a log.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file ends too early.
    #[error("the file ends in the middle of a {what}")]
    CutShort {
        /// What is incomplete.
        what: &'static str,
    },
    /// No segment, or one of a version this program cannot read.
    #[error("expected the first bytes of a segment of format 1")]
    NotASegment,
    /// A segment of another log.
    #[error("the segment is of another log than `{origin}`")]
    OtherLog {
        /// The log expected.
        origin: String,
    },
    /// Damage to a signed block.
    #[error("the checksum of the {what} does not match: it is damaged")]
    Checksum {
        /// Which block.
        what: &'static str,
    },
    /// A block that somebody without the log's key made or changed.
    #[error("the signature of the {what} is not the log's: it was forged, or another key is expected")]
    Signature {
        /// Which block.
        what: &'static str,
    },
    /// A segment under another's name.
    #[error("expected segment {expected}, found segment {found}")]
    SegmentNumber {
        /// By the file's name.
        expected: u64,
        /// By the header.
        found: u64,
    },
    /// A signed header that contradicts itself.
    #[error("the segment header contradicts itself")]
    HeaderFields,
    /// A segment is not there.
    #[error("segment {number} is missing")]
    SegmentMissing {
        /// Its number.
        number: u64,
    },
    /// A block that does not follow the one before it.
    #[error(
        "the {what} does not follow what stands before it: something was removed, exchanged or rolled back"
    )]
    Link {
        /// Which block.
        what: &'static str,
    },
    /// A number that is not the next one.
    #[error("expected {what} {expected}, found {found}")]
    Number {
        /// Of what.
        what: &'static str,
        /// The next one.
        expected: u64,
        /// The one found.
        found: u64,
    },
    /// A frame whose length cannot be.
    #[error("an entry of {found} bytes cannot be")]
    FrameLength {
        /// Its length field.
        found: u32,
    },
    /// A damaged entry.
    #[error("the checksum of entry {seq} does not match: it is damaged")]
    FrameChecksum {
        /// Its position.
        seq: u64,
    },
    /// An entry that is no envelope.
    #[error("entry {seq} is not as it must be")]
    Envelope {
        /// Its position.
        seq: u64,
        /// Why.
        source: RecordError,
    },
    /// An entry sealed with another key than its segment's.
    #[error("entry {seq} is sealed with another key than its segment names")]
    EntryKey {
        /// Its position.
        seq: u64,
    },
    /// Entries that no trailer follows.
    #[error("the entries from {first_seq} on have no batch trailer")]
    NoTrailer {
        /// The first of them.
        first_seq: u64,
    },
    /// The tree's root is another than what was signed.
    #[error(
        "the entries do not have the root that was signed for the first {size} of them: some were changed"
    )]
    Root {
        /// The size of the tree.
        size: u64,
    },
    /// Bytes where there must be none.
    #[error("{bytes} bytes follow the last batch")]
    TrailingBytes {
        /// How many.
        bytes: u64,
    },
    /// Damage that a later batch proves to be none of a crash.
    #[error("bad bytes, but batch {later} after them is whole: this is damage, not the trace of a crash")]
    DamageBefore {
        /// A later batch.
        later: u64,
        /// What is wrong with the bytes.
        source: Box<Fault>,
    },
    /// The log lost entries that were published.
    #[error(
        "the log ends after {found} entries, but its checkpoint was signed for {expected}: it was cut or rolled back"
    )]
    ShorterThanCheckpoint {
        /// By the checkpoint.
        expected: u64,
        /// By the segments.
        found: u64,
        /// What is wrong where it ends, if it does not simply end.
        source: Option<Box<Fault>>,
    },
    /// The checkpoint's size is inside a batch, where the log never signs one.
    #[error("no batch ends at the checkpoint's size {size}: the checkpoint is not this log's")]
    CheckpointSize {
        /// By the checkpoint.
        size: u64,
    },
    /// A log without its checkpoint.
    #[error("there is no checkpoint, without which nobody sees whether the log was cut")]
    CheckpointMissing,
    /// A directory in which nothing of a log is.
    #[error("there is neither a checkpoint nor a segment: the log was never begun, or all of it was removed")]
    NotBegun,
    /// A log without its mark.
    #[error(
        "there is no mark of how many segments were begun, without which nobody sees whether the last vanished"
    )]
    MarkMissing,
    /// A mark that cannot be opened.
    #[error(
        "the mark of how many segments were begun does not hold: it was changed, or another key is expected"
    )]
    Mark,
    /// The log does not reach a checkpoint that was kept elsewhere.
    #[error(
        "this checkpoint was signed for {expected} entries, but the log has only {found}: it was cut, or put back \
         to an older state"
    )]
    OutsideShorter {
        /// By the checkpoint.
        expected: u64,
        /// By the log.
        found: u64,
    },
    /// The log does not continue a checkpoint that was kept elsewhere.
    #[error(
        "this checkpoint was signed for other entries than the log's first {size}: the log was written again by \
         somebody who has its signing key"
    )]
    OutsideForked {
        /// By the checkpoint.
        size: u64,
    },
    /// A checkpoint that cannot be opened.
    #[error(
        "the checkpoint does not hold: it was changed, is another log's, or another key is expected (the log's name, \
         which begins with `audit.name`, is part of its key)"
    )]
    Checkpoint(#[source] Box<CheckpointError>),
    /// A key file with a problem.
    #[error("the data key of segment {segment} is not usable")]
    Key {
        /// Which segment's.
        segment: u64,
        /// Why.
        source: Box<KeyError>,
    },
    /// A tile that does not agree with the log.
    #[error("the tile does not agree with the log; delete it, it will be made again")]
    Tile,
}

/// Something wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{} at byte {offset}", file.display())]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The first byte of the block, batch or entry concerned.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// Why a scan of a log ended.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The log itself is wrong. The advice stands last, after what is wrong; so the causes are in the text.
    #[error("{}; {ADVICE}", in_full(.0))]
    Problem(Problem),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<Problem> for ScanError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What to do about a log that is damaged or was changed. Nothing here repairs one: evidence would go with it.
pub const ADVICE: &str =
    "keep the log as it is, find out what happened, and restore what is damaged or missing from a copy";

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log is wrong, or the disk.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// An entry does not open.
    #[error("entry {seq} could not be opened")]
    Record {
        /// Its position.
        seq: u64,
        /// Why.
        source: RecordError,
    },
    /// A data key cannot be had.
    #[error("the entries of segment {segment} cannot be opened")]
    Key {
        /// Which segment's.
        segment: u64,
        /// Why.
        source: Box<KeyError>,
    },
}

/// Why a log was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log is wrong; the first problems found, in the order of the log.
    #[error("{} problems, first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a log cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes this log.
    #[error("{} is held: another service writes this log already; stop it first, for a log has one writer", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The log is damaged, cut or not this one; or the disk fails.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The data key of the last segment does not open: probably the wrong key-encryption key.
    #[error("its data keys cannot be used")]
    Key(#[from] KeyError),
    /// The first segment or checkpoint could not be made.
    #[error("the log could not be begun")]
    Start(#[source] Failure),
    /// The system gave no thread.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
}

/// What stopped a log for good. Only opening it anew recovers.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A write or sync failed, or a new segment could not be made.
    #[error("the log stopped")]
    Disk(#[from] DiskError),
    /// A new data key could not be made.
    #[error("the log stopped, for the next segment has no key")]
    Key(#[from] KeyError),
    /// A record could not be sealed.
    #[error("the log stopped, for a record could not be sealed")]
    Seal(#[from] RecordError),
    /// A checkpoint could not be signed.
    #[error("the log stopped, for a checkpoint could not be signed")]
    Checkpoint(#[source] Box<CheckpointError>),
    /// The log could not be read back for its tiles, or they not be written: the disk is in trouble, or the log
    /// is damaged already.
    #[error("the log stopped, for its tiles could not be made")]
    Tiles(#[source] ScanError),
    /// The file that was written to is not where the log is any more.
    #[error(
        "the log stopped, for {} was removed, renamed or exchanged while it was written to: find out by whom, \
         and restore it",
        path.display()
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A witness knows another log than this one.
    #[error("the log stopped, for the witness `{witness}` knows another one: {reason}")]
    Contradicted {
        /// The witness's name.
        witness: String,
        /// What it said.
        reason: String,
    },
    /// One of the log's threads is gone.
    #[error("the log stopped, for its {thread} thread ended")]
    Thread {
        /// Which.
        thread: &'static str,
    },
}

/// Why a record has no receipt.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The record is too large or could not be compressed; never written.
    #[error("the record was refused")]
    Record(#[source] Arc<RecordError>),
    /// The queue was full until the deadline; never written.
    #[error("the log's queue was full until the deadline")]
    Busy,
    /// The record was queued, but not known to be durable by the deadline; it may still be written.
    #[error("the record was not durable by the deadline")]
    Late,
    /// The log has failed; it may or may not have been written.
    #[error("the log has failed and takes no more records until it is opened anew")]
    Failed(#[source] Arc<Failure>),
    /// The log is closed; never written.
    #[error("the log is closed")]
    Closed,
}

impl AppendError {
    /// Whether the record may be on the log, or come there, all the same.
    #[must_use]
    pub const fn may_be_kept(&self) -> bool {
        match self {
            Self::Late | Self::Failed(_) => true,
            Self::Record(_) | Self::Busy | Self::Closed => false,
        }
    }
}
