//! Writing, recovering and reading the log of one organization and year.
//!
//! One directory is one log; `segments/` is the log itself, `keys/` what opens its entries,
//! `checkpoint` what it has told the world, `begun` how many segments there are, `witnessed/` what witnesses
//! cosigned; `tile/` can be made again. [`Log::open`] recovers and
//! begins a new segment, [`Log::append`] gives a receipt once a record is durable, [`Reader`] reads,
//! [`verify()`] proves every byte without any key. How records become durable is told in `writer`,
//! what a crash leaves behind in `recover`.
//! INVARIANT (receipt before permit): [`Log::append`] is ready only once its batch's `fdatasync` returned.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::keys::{KeyEncryption, Payload};
use crate::tlog::merkle::{Hash, Tree};
use crate::tlog::note::Signer;

mod batch;
mod block;
mod chain;
pub(crate) mod disk;
mod edge;
mod error;
mod finished;
mod keeper;
pub(crate) mod layout;
mod mark;
mod marks;
mod outside;
mod prepare;
mod prove;
mod published;
mod read;
mod recover;
mod scan;
mod segment;
mod shared;
pub(crate) mod source;
mod tiles;
mod verify;
mod witnessed;
mod writer;

#[cfg(test)]
pub(crate) use block::Position;
pub use disk::DiskError;
pub use error::{ADVICE, AppendError, Failure, Fault, OpenError, Problem, ReadError, ScanError, VerifyError};
pub use finished::{Finished, FinishedSegment, finished};
pub use mark::{MARK_FILE, sign_mark};
pub(crate) use marks::Mark;
pub use outside::Outside;
pub use prove::ProveError;
pub use read::{Entries, Entry, Reader};
pub use recover::Recovered;
pub use verify::{PROBLEMS_MAX, Verified, verify, verify_against};
pub use witnessed::{Witnessed, cosigned};

use keeper::Keeper;
use prepare::Preparer;
use shared::Shared;
use source::Source;
use writer::{Message, Request, Start, Writer};

/// How many records may wait for the writer. At full speed this is a few hundredths of a second.
pub const QUEUE_RECORDS_MAX: usize = 4096;
/// How long a segment grows: long enough that beginning one is rare, short enough to be copied, scanned
/// and given a new key often.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// How long a segment grows at most, however slowly: what is not sealed yet is not copied yet, and a data
/// key should not seal the records of many hours.
pub const SEGMENT_AGE: Duration = Duration::from_secs(3_600);
/// How often the checkpoint is replaced, at most.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Which log, and with which keys.
#[expect(missing_debug_implementations, reason = "holds keys")]
#[derive(Clone)]
pub struct Config {
    /// The log's directory; made if it does not exist.
    pub dir: PathBuf,
    /// Signs batches and checkpoints. Its name is the log's origin: `<name>/audit/<organization>/<year>`.
    pub signer: Arc<Signer>,
    /// Wraps the data keys.
    pub kek: Arc<dyn KeyEncryption>,
    /// [`SEGMENT_BYTES`], except in tests.
    pub segment_bytes: u64,
    /// [`SEGMENT_AGE`], except in tests.
    pub segment_age: Duration,
    /// [`CHECKPOINT_INTERVAL`], except in tests.
    pub checkpoint_interval: Duration,
}

impl Config {
    /// A log with the usual sizes and times.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, signer: Arc<Signer>, kek: Arc<dyn KeyEncryption>) -> Self {
        let (segment_bytes, segment_age) = (SEGMENT_BYTES, SEGMENT_AGE);
        let checkpoint_interval = CHECKPOINT_INTERVAL;
        Self { dir: dir.into(), signer, kek, segment_bytes, segment_age, checkpoint_interval }
    }
}

/// Where a durable record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its position in the log, from 0.
    pub seq: u64,
    /// The hash of its entry, by which a proof of inclusion proves it.
    pub leaf: Hash,
}

/// How a log is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// Why it takes no more records, if it failed. Then nothing may be permitted until it is opened anew.
    pub failure: Option<Arc<Failure>>,
    /// Whether it was closed.
    pub closed: bool,
    /// What is durable.
    pub durable: Tree,
    /// What the checkpoint is of.
    pub published: Tree,
    /// How long ago this process wrote the checkpoint, or opened the log.
    pub since_checkpoint: Duration,
    /// How many records wait, of [`QUEUE_RECORDS_MAX`].
    pub queued: usize,
}

/// Whether a log is open for writing, in this process or another. Looks and lets go at once.
///
/// # Errors
/// When its lock file cannot be opened.
pub fn is_being_written(dir: &Path) -> Result<bool, DiskError> {
    let path = layout::Layout::new(dir).lock();
    match disk::look_at_lock(&path) {
        Err(error) if error.is_locked() => Ok(true),
        // No lock: no writer has ever been here, as in a log that was copied here.
        Err(error) if error.is_not_found() => Ok(false),
        looked => looked.map(|()| false),
    }
}

/// A log open for writing. Only one process can have it open.
#[derive(Debug)]
pub struct Log {
    origin: String,
    /// Gone once the log is closed; the writer ends when all copies of it are gone.
    queue: RwLock<Option<mpsc::Sender<Message>>>,
    shared: Arc<Shared>,
    /// Gone once the log is closed.
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
    /// Held until both have ended.
    _lock: File,
}

impl Log {
    /// Recovers a log, or makes it, and begins a new segment. Blocks while it reads and writes.
    ///
    /// # Errors
    /// When another process has it open, when it is damaged, cut, foreign or its keys do not open (nothing
    /// is changed then), or when the disk fails.
    pub fn open(config: Config) -> Result<(Self, Recovered), OpenError> {
        let Config { dir, signer, kek, segment_bytes, segment_age, checkpoint_interval } = config;
        let source = Source::new(&dir, signer.verifier());
        for dir in [dir, source.layout.segments(), source.layout.keys()] {
            disk::create_dir(&dir)?;
        }
        let lock = disk::lock(&source.layout.lock()).map_err(|error| {
            if error.is_locked() { OpenError::Locked { path: source.layout.lock() } } else { error.into() }
        })?;
        let found = recover::recover(&source, &signer, kek.as_ref())?;
        let origin = signer.verifier().name().to_owned();

        let shared = Arc::new(Shared::new(found.position.tree.tree(), found.published));
        let preparer = Preparer { source: source.clone(), kek, segment_bytes };
        let helper = preparer.start().map_err(OpenError::Thread)?;
        let start = Start {
            source: source.clone(),
            signer: Arc::clone(&signer),
            segment_bytes,
            segment_age,
            shared: Arc::clone(&shared),
            helper,
            position: found.position,
            next_segment: found.next_segment,
        };
        let writer = Writer::begin(start).map_err(OpenError::Start)?;
        let keeper = Keeper { source, signer, shared: Arc::clone(&shared), interval: checkpoint_interval };
        let (queue, requests) = mpsc::channel(QUEUE_RECORDS_MAX);
        let thread = |name: &str| Builder::new().name(name.to_owned());
        let writer = thread("audit-writer").spawn(move || writer.run(requests)).map_err(OpenError::Thread)?;
        let keeper = thread("audit-keeper").spawn(move || keeper.run()).map_err(OpenError::Thread)?;
        let threads = Mutex::new(Some(Threads { writer, keeper, _lock: lock }));
        Ok((Self { origin, queue: RwLock::new(Some(queue)), shared, threads }, found.recovered))
    }

    /// The name that the log is known by: that of its signer.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Appends a record; ready once it is durable. Needs a tokio runtime with its timer on.
    ///
    /// # Errors
    /// No receipt: the caller must deny. See [`AppendError`] for whether the record may be in the log.
    pub async fn append(&self, record: Vec<u8>, deadline: Instant) -> Result<Receipt, AppendError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(AppendError::Closed)?;
        if let Some(failure) = self.shared.failure() {
            return Err(AppendError::Failed(failure));
        }
        let payload = Payload::new(record).map_err(|error| AppendError::Record(Arc::new(error)))?;
        let (answer, answered) = oneshot::channel();
        let mut queued = false;
        let durable = async {
            let place = queue.reserve().await.map_err(|_| self.writer_gone())?;
            place.send(Message::Append(Request { payload, answer }));
            queued = true;
            answered.await.map_err(|_| self.writer_gone())?
        };
        let outcome = tokio::time::timeout_at(deadline.into(), durable).await;
        outcome.unwrap_or(Err(if queued { AppendError::Late } else { AppendError::Busy }))
    }

    /// Queues records before those of anybody who appends later, and does not wait for them: whoever gets a
    /// receipt afterwards knows that they are durable too, for the queue is kept in order and a log that
    /// failed once takes nothing more.
    ///
    /// # Errors
    /// When the log failed or was closed; [`AppendError::Busy`] when the queue has no room for all of them.
    pub fn queue(&self, records: Vec<Payload>) -> Result<(), AppendError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(AppendError::Closed)?;
        if let Some(failure) = self.shared.failure() {
            return Err(AppendError::Failed(failure));
        }
        let places = match queue.try_reserve_many(records.len()) {
            Err(mpsc::error::TrySendError::Full(())) => return Err(AppendError::Busy),
            Err(mpsc::error::TrySendError::Closed(())) => return Err(self.writer_gone()),
            Ok(places) => places,
        };
        for (place, payload) in places.zip(records) {
            // Nobody waits for the receipt.
            place.send(Message::Append(Request { payload, answer: oneshot::channel().0 }));
        }
        Ok(())
    }

    /// Seals the segment if it has records and is older than [`Config::segment_age`]. Does not wait.
    pub fn seal_aged(&self) {
        if let Some(queue) = &*self.queue.read().unwrap_or_else(PoisonError::into_inner) {
            // A full queue: then the next record seals it.
            drop(queue.try_send(Message::SealAged));
        }
    }

    /// How the log is doing; for readiness and metrics.
    #[must_use]
    pub fn status(&self) -> Status {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let progress = self.shared.progress();
        Status {
            failure: self.shared.failure(),
            closed: queue.is_none(),
            durable: progress.durable,
            published: progress.published,
            since_checkpoint: progress.published_at.elapsed(),
            queued: queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity()),
        }
    }

    /// Stops the log for good because a witness knows another one than this. Records that wait get no receipt.
    pub fn contradicted(&self, witness: &str, reason: &str) {
        self.shared.fail(Failure::Contradicted { witness: witness.to_owned(), reason: reason.to_owned() });
    }

    /// Takes no more records, writes those that wait, and publishes the last checkpoint. Blocks; to close
    /// again does nothing. Dropping a log closes it.
    ///
    /// # Errors
    /// When the log has failed.
    pub fn close(&self) -> Result<(), Arc<Failure>> {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Threads { writer, keeper, _lock }) = threads {
            if writer.join().is_err() {
                self.shared.fail(Failure::Thread { thread: "writer" });
            }
            self.shared.close();
            if keeper.join().is_err() {
                self.shared.fail(Failure::Thread { thread: "keeper" });
            }
        }
        self.shared.failure().map_or(Ok(()), Err)
    }

    /// The writer ends only when the log closes, and then takes what was queued; so it must have panicked.
    fn writer_gone(&self) -> AppendError {
        AppendError::Failed(self.shared.fail(Failure::Thread { thread: "writer" }))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Who wants to know closes the log first.
        drop(self.close());
    }
}

#[cfg(test)]
mod tests;
