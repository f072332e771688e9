//! An organization's log as the service reads it: on threads of its own, a few at once.
//!
//! INVARIANT (nobody waits for another organization's plugins) has its counterpart here: reading a log is
//! disk and decryption, so it happens on blocking threads, and an organization has a few of them. A reading
//! whose caller gave up goes on to its end and keeps its place till then, so that the bound is one.

use std::sync::Arc;

use assent_audit::record::{AuditRead, Event};
use assent_audit::shelf::{Shelf, ShelfError};
use assent_engine::AuditRecorder;
use assent_model::{Instant, OrganizationId};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::http::refusal::Refusal;

/// Readings of one organization's log at once. Four: auditors are few, and disk and processors are there
/// for decisions first. Further ones wait, and end as 503 when their time does.
const READINGS: usize = 4;

/// One organization's log.
#[derive(Debug)]
pub(crate) struct Archive {
    recorder: AuditRecorder,
    shelf: Arc<Shelf>,
    readings: Arc<Semaphore>,
}

impl Archive {
    pub(crate) fn new(recorder: AuditRecorder, organization: OrganizationId) -> Self {
        let shelf = Arc::new(Shelf::new(recorder.logs().config().clone(), organization));
        Self { recorder, shelf, readings: Arc::new(Semaphore::new(READINGS)) }
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
            Ok(read) => read.map_err(|_| Refusal::Unreadable),
            Err(_ended) => Err(Refusal::Internal),
        }
    }

    /// Records a reading. What was read may leave once this is done.
    pub(super) async fn note(&self, at: Instant, read: AuditRead) -> Result<(), Refusal> {
        let noted = self.recorder.note(self.shelf.organization(), at, Event::AuditRead(read)).await;
        noted.map(drop).map_err(|_| Refusal::Unrecorded)
    }
}
