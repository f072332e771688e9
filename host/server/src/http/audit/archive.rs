//! An organization's log as the service reads it: on threads of its own, a few at once.
//!
//! INVARIANT (nobody waits for another organization's plugins) has its counterpart here: reading a log is
//! disk and decryption, so it happens on blocking threads, and an organization has a few of them. A reading
//! whose caller gave up goes on to its end and keeps its place till then, so that the bound is one.

use std::sync::{Arc, Mutex, PoisonError};

use assent_audit::record::{AuditRead, Event, Record};
use assent_audit::shelf::{Place, Shelf, ShelfError};
use assent_audit::text::in_full;
use assent_engine::replay::{NotTried, Releases, replay, replay_with};
use assent_engine::{AuditRecorder, Rebuild, Release, Replayed};
use assent_model::{Instant, OrganizationId};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::http::refusal::Refusal;

/// Readings of one organization's log at once. Four: auditors are few, and disk and processors are there
/// for decisions first. Further ones wait, and end as 503 when their time does.
const READINGS: usize = 4;

/// Decisions of one organization that are made again at once. One, since a release may have to be built for it,
/// which takes a processor for seconds and memory for all its facts.
const REPLAYS: usize = 1;
/// Releases that are kept once they were built again: the auditor's next question is about the same one.
const RELEASES_KEPT: usize = 1;

/// One organization's log.
#[derive(Debug)]
pub(crate) struct Archive {
    recorder: AuditRecorder,
    shelf: Arc<Shelf>,
    readings: Arc<Semaphore>,
    replays: Arc<Semaphore>,
    rebuild: Option<Arc<dyn Rebuild>>,
    /// The lock is held while a decision is made again; see [`REPLAYS`].
    releases: Arc<Mutex<Releases>>,
}

/// What came of a decision that was made again.
pub(super) struct Again {
    pub(super) replayed: Replayed,
    /// Whether the release was built again of the log; else it is the one that decides now.
    pub(super) from_log: bool,
}

impl Archive {
    pub(crate) fn new(
        recorder: AuditRecorder,
        organization: OrganizationId,
        rebuild: Option<Arc<dyn Rebuild>>,
    ) -> Self {
        let shelf = Arc::new(Shelf::new(recorder.logs().config().clone(), organization));
        let semaphore = |places| Arc::new(Semaphore::new(places));
        let releases = Arc::new(Mutex::new(Releases::new(RELEASES_KEPT)));
        let (readings, replays) = (semaphore(READINGS), semaphore(REPLAYS));
        Self { recorder, shelf, readings, replays, rebuild, releases }
    }

    /// Makes a recorded decision again, on a thread that may block: with the present release where that is the
    /// one that decided, else with one that is built of the log.
    pub(super) async fn replay(
        &self,
        place: Place,
        record: Record,
        present: Arc<Release>,
    ) -> Result<Again, Refusal> {
        let turn = Arc::clone(&self.replays).acquire_owned().await.map_err(|_| Refusal::Internal)?;
        let (rebuild, releases) = (self.rebuild.clone(), Arc::clone(&self.releases));
        self.read(move |shelf| {
            // Kept to the end, also where nobody waits any more.
            let _turn = turn;
            if let Some(replayed) = replay_with(&present, &record) {
                return Ok(Again { replayed, from_log: false });
            }
            let replayed = match (rebuild, record.decision()) {
                (Some(rebuild), Some(decision)) => {
                    let mut releases = releases.lock().unwrap_or_else(PoisonError::into_inner);
                    replay(shelf, rebuild.as_ref(), &mut releases, (place, record.at, decision))?
                }
                _ => Replayed::NotTried(NotTried::NoArchive),
            };
            Ok(Again { replayed, from_log: true })
        })
        .await
    }

    pub(super) const fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Reads, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> Result<T, ShelfError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.readings).acquire_owned().await.map_err(|_| Refusal::Internal)?;
        let shelf = Arc::clone(&self.shelf);
        let reading = spawn_blocking(move || {
            let read = work(&shelf);
            drop(place);
            read
        });
        match reading.await {
            Ok(read) => read.map_err(|error| Refusal::Unreadable(in_full(&error))),
            // Counted as any other, and answered so, by whoever catches it at the edge.
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_ended) => Err(Refusal::Internal),
        }
    }

    /// Records a reading. What was read may leave once this is done.
    pub(super) async fn note(&self, at: Instant, read: AuditRead) -> Result<(), Refusal> {
        let noted = self.recorder.note(self.shelf.organization(), at, Event::AuditRead(read)).await;
        noted.map(drop).map_err(|_| Refusal::Unrecorded)
    }
}
