//! The one thread that writes: takes what is queued, makes one batch of it, and answers once it is durable.
//!
//! INVARIANT (receipt before permit): an answer is given after the sync of its batch returned, and
//! nothing of batch n+1 is written before that. INVARIANT (a failed log stays failed): after a failed
//! write or sync nobody knows what is on the disk, so nothing is written or answered with a receipt any more.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::keys::{Payload, SealingKey};
use crate::tlog::merkle::leaf_hash;
use crate::tlog::note::Signer;

use super::Receipt;
use super::batch::{self, BATCH_BYTES_MAX, BATCH_RECORDS_MAX, FRAME_HEAD_BYTES, TRAILER_BYTES, Trailer};
use super::block::{self, Position};
use super::disk;
use super::error::{AppendError, Failure};
use super::mark;
use super::prepare::{Helper, Prepared};
use super::segment::{HEADER_BYTES, Header};
use super::shared::Shared;
use super::source::Source;

/// A record on its way, and who waits for it.
pub(crate) struct Request {
    pub(crate) payload: Payload,
    pub(crate) answer: oneshot::Sender<Result<Receipt, AppendError>>,
}

/// What the writer is told.
pub(crate) enum Message {
    Append(Request),
    /// Seal the segment if it is old enough.
    SealAged,
}

/// The segment that is being written.
struct Segment {
    begun: Instant,
    number: u64,
    key: SealingKey,
    file: File,
    /// To see whether the path still leads to the file.
    identity: disk::Identity,
    path: PathBuf,
    /// Where the next batch begins.
    end: u64,
}

impl Segment {
    fn is_empty(&self) -> bool {
        self.end == HEADER_BYTES as u64
    }
}

/// The writing end of a log.
pub(crate) struct Writer {
    source: Source,
    signer: Arc<Signer>,
    segment_bytes: u64,
    segment_age: Duration,
    shared: Arc<Shared>,
    helper: Helper,
    segment: Segment,
    position: Position,
    /// The batch being made; kept for its memory.
    buffer: Vec<u8>,
}

/// What a writer is made of.
pub(crate) struct Start {
    pub(crate) source: Source,
    pub(crate) signer: Arc<Signer>,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_age: Duration,
    pub(crate) shared: Arc<Shared>,
    pub(crate) helper: Helper,
    pub(crate) position: Position,
    pub(crate) next_segment: u64,
}

impl Writer {
    /// Begins a new segment: a process never continues another's, whose data key has sealed
    /// positions that a crash may have taken back.
    pub(crate) fn begin(start: Start) -> Result<Self, Failure> {
        let Start { source, signer, segment_bytes, segment_age, shared, helper, position, next_segment } =
            start;
        let begun = helper.ask(next_segment).and_then(|()| helper.take()).and_then(|prepared| {
            let begun = begin_segment(&source, &signer, prepared, &position)?;
            helper.ask(next_segment + 1)?;
            Ok(begun)
        });
        match begun {
            Ok((segment, position)) => {
                let buffer = Vec::new();
                Ok(Self {
                    source,
                    signer,
                    segment_bytes,
                    segment_age,
                    shared,
                    helper,
                    segment,
                    position,
                    buffer,
                })
            }
            Err(failure) => {
                helper.stop();
                Err(failure)
            }
        }
    }

    /// Writes until nobody can append any more, then seals the segment.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut inbox = Vec::new();
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() && queue.blocking_recv_many(&mut inbox, BATCH_RECORDS_MAX) == 0 {
                break;
            }
            let mut seal_aged = false;
            for message in inbox.drain(..) {
                match message {
                    Message::Append(request) => waiting.push_back(request),
                    Message::SealAged => seal_aged = true,
                }
            }
            if seal_aged && waiting.is_empty() {
                self.seal_aged();
            }
            if waiting.is_empty() {
                continue;
            }
            let (records, frames_bytes) = take_batch(&mut waiting);
            if let Some(failure) = self.shared.failure() {
                records.into_iter().for_each(|request| refuse(request, &failure));
                continue;
            }
            match self.append(&records, frames_bytes) {
                Ok(receipts) => {
                    self.shared.grown(self.position.tree.tree());
                    for (request, receipt) in records.into_iter().zip(receipts) {
                        // Nobody waits any more: the record is durable all the same.
                        drop(request.answer.send(Ok(receipt)));
                    }
                }
                Err(failure) => {
                    let failure = self.shared.fail(failure);
                    records.into_iter().for_each(|request| refuse(request, &failure));
                }
            }
        }
        if self.shared.failure().is_none()
            && let Err(failure) = seal_segment(&self.segment)
        {
            self.shared.fail(failure);
        }
        self.helper.stop();
    }

    /// Makes one batch durable.
    ///
    /// 1. A new segment, if this one has no room: see [`Self::rotate`].
    /// 2. The batch is made in memory. A crash leaves nothing.
    /// 3. One `pwrite`. A crash leaves some sectors of the batch, in any order: no receipt was given,
    ///    recovery cuts them off, or finds the batch whole and keeps it.
    /// 4. One `fdatasync`: THE COMMIT POINT. Once it returned, recovery finds the batch.
    /// 5. A look whether the file is still where the log is. Nothing is answered that only this process could
    ///    still read.
    /// 6. The answers. A crash before them leaves records that nobody was told of; that is harmless,
    ///    for nobody acted on them.
    fn append(&mut self, records: &[Request], frames_bytes: usize) -> Result<Vec<Receipt>, Failure> {
        let batch_bytes = (frames_bytes + TRAILER_BYTES) as u64;
        // A batch larger than a whole segment gets one of its own, which grows.
        let full = !self.segment.is_empty() && self.segment.end + batch_bytes > self.segment_bytes;
        if full || self.is_aged() {
            self.rotate()?;
        }

        let first_seq = self.position.tree.size();
        let mut tree = self.position.tree.clone();
        let mut receipts = Vec::with_capacity(records.len());
        self.buffer.clear();
        for request in records {
            let (seq, start) = (tree.size(), self.buffer.len() + FRAME_HEAD_BYTES);
            batch::frame(&mut self.buffer, |out| self.segment.key.seal(seq, &request.payload, out))?;
            let leaf = leaf_hash(self.buffer.get(start..).unwrap_or_default());
            tree.push(leaf);
            receipts.push(Receipt { seq, leaf });
        }
        let trailer = Trailer {
            batch: self.position.batch,
            first_seq,
            count: records.len() as u32,
            frames_bytes: self.buffer.len() as u32,
            root: tree.root(),
            link: self.position.link,
        };
        let trailer = trailer.encode(&self.source.origin_hash, &self.signer);
        self.buffer.extend_from_slice(&trailer);

        let Segment { file, path, end, identity, .. } = &mut self.segment;
        disk::write_at(file, path, &self.buffer, *end)?;
        disk::sync_data(file, path)?;
        if !disk::is_at(*identity, path) {
            return Err(Failure::Gone { path: path.clone() });
        }

        *end += self.buffer.len() as u64;
        self.position = Position { batch: self.position.batch + 1, link: block::link(&trailer), tree };
        Ok(receipts)
    }

    fn is_aged(&self) -> bool {
        !self.segment.is_empty() && self.segment.begun.elapsed() >= self.segment_age
    }

    fn seal_aged(&mut self) {
        if self.shared.failure().is_none()
            && self.is_aged()
            && let Err(failure) = self.rotate()
        {
            self.shared.fail(failure);
        }
    }

    /// Goes on in a new segment. All batches so far are durable.
    ///
    /// 1. The old segment is cut to its end. A crash leaves it the last segment, whole.
    /// 2. The new one begins: see [`begin_segment`].
    fn rotate(&mut self) -> Result<(), Failure> {
        seal_segment(&self.segment)?;
        let prepared = match self.helper.take() {
            // It was asked for when this segment began. Since then the keeper of the key may be back.
            Err(Failure::Key(_)) => {
                self.helper.ask(self.segment.number + 1)?;
                self.helper.take()?
            }
            prepared => prepared?,
        };
        let (segment, position) = begin_segment(&self.source, &self.signer, prepared, &self.position)?;
        self.helper.ask(segment.number + 1)?;
        (self.segment, self.position) = (segment, position);
        Ok(())
    }
}

/// Gives a prepared segment its header and its name.
///
/// 1. The header is written and synced in the spare file. A crash leaves a spare, which the next start removes.
/// 2. The spare is renamed and the name synced. A crash before leaves a spare or, after, a segment
///    without batches; either way the log goes on after its last batch.
/// 3. The mark counts it. A crash before leaves a segment more than the mark says, which is fine; from here on
///    a missing segment is missed. See [`mark`].
fn begin_segment(
    source: &Source,
    signer: &Signer,
    prepared: Prepared,
    before: &Position,
) -> Result<(Segment, Position), Failure> {
    let Prepared { number, key, file } = prepared;
    let (spare, path) = (source.layout.spare(), source.layout.segment(number));
    let header = Header::encode(number, key.commitment(), before, &source.origin_hash, signer);
    disk::write_at(&file, &spare, &header, 0)?;
    disk::sync_data(&file, &spare)?;
    disk::rename(&spare, &path)?;
    mark::write(source, signer, number)?;
    let position = Position { link: block::link(&header), ..before.clone() };
    let identity = disk::identity(&file, &path)?;
    let begun = Instant::now();
    Ok((Segment { begun, number, key, file, identity, path, end: HEADER_BYTES as u64 }, position))
}

/// Cuts a segment to its end, durably: see the invariant of [`super::chain`].
fn seal_segment(segment: &Segment) -> Result<(), Failure> {
    Ok(disk::truncate(&segment.file, &segment.path, segment.end)?)
}

/// Takes as many records as one batch may hold, and says how long their frames will be.
fn take_batch(waiting: &mut VecDeque<Request>) -> (Vec<Request>, usize) {
    let (mut count, mut bytes) = (0, 0);
    for request in waiting.iter().take(BATCH_RECORDS_MAX) {
        if bytes >= BATCH_BYTES_MAX {
            break;
        }
        bytes += FRAME_HEAD_BYTES + request.payload.sealed_len();
        count += 1;
    }
    (waiting.drain(..count).collect(), bytes)
}

fn refuse(request: Request, failure: &Arc<Failure>) {
    // Nobody waits any more: then nobody needs to know.
    drop(request.answer.send(Err(AppendError::Failed(Arc::clone(failure)))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(count: usize, record_bytes: usize) -> VecDeque<Request> {
        let mut noise = vec![0; record_bytes];
        aws_lc_rs::rand::fill(&mut noise).unwrap();
        let request =
            || Request { payload: Payload::new(noise.clone()).unwrap(), answer: oneshot::channel().0 };
        std::iter::repeat_with(request).take(count).collect()
    }

    #[test]
    fn records_that_wait_share_a_batch() {
        let mut queue = waiting(BATCH_RECORDS_MAX, 10);
        let (taken, bytes) = take_batch(&mut queue);
        assert_eq!((taken.len(), queue.len()), (BATCH_RECORDS_MAX, 0));
        let sealed: usize = taken.iter().map(|request| FRAME_HEAD_BYTES + request.payload.sealed_len()).sum();
        assert_eq!(bytes, sealed);
    }

    #[test]
    fn a_batch_is_limited_by_count() {
        let mut queue = waiting(BATCH_RECORDS_MAX + 1, 10);
        assert_eq!(take_batch(&mut queue).0.len(), BATCH_RECORDS_MAX);
        assert_eq!(take_batch(&mut queue).0.len(), 1);
    }

    #[test]
    fn a_batch_is_limited_by_bytes_and_the_last_record_may_pass_the_limit() {
        let mut queue = waiting(100, 60_000);
        let (taken, bytes) = take_batch(&mut queue);
        let frame = bytes / taken.len();
        assert!((BATCH_BYTES_MAX..BATCH_BYTES_MAX + frame).contains(&bytes), "{bytes}");
        assert_eq!(queue.len(), 100 - taken.len());
    }
}
