//! What a log's threads and its callers know of one another: how far it is, and whether it failed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::tlog::merkle::Tree;

use super::error::Failure;

/// Shared by the writer, the keeper and everybody who appends.
#[derive(Debug)]
pub(crate) struct Shared {
    progress: Mutex<Progress>,
    /// Wakes the keeper.
    changed: Condvar,
    failure: OnceLock<Arc<Failure>>,
}

/// How far the log is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// What is durable.
    pub(crate) durable: Tree,
    /// What the checkpoint is of.
    pub(crate) published: Tree,
    /// When that was written; at first, when the log was opened.
    pub(crate) published_at: Instant,
    /// No more records will come.
    pub(crate) closing: bool,
}

impl Shared {
    pub(crate) fn new(durable: Tree, published: Tree) -> Self {
        let progress = Progress { durable, published, published_at: Instant::now(), closing: false };
        Self { progress: Mutex::new(progress), changed: Condvar::new(), failure: OnceLock::new() }
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.lock()
    }

    /// Why the log stopped, if it did.
    pub(crate) fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.get().cloned()
    }

    /// Stops the log for good; the first failure counts.
    pub(crate) fn fail(&self, failure: Failure) -> Arc<Failure> {
        let first = self.failure.get_or_init(|| Arc::new(failure)).clone();
        // Not while somebody is between looking and waiting, or it would sleep through this.
        drop(self.lock());
        self.changed.notify_all();
        first
    }

    /// A batch became durable.
    pub(crate) fn grown(&self, durable: Tree) {
        self.lock().durable = durable;
        self.changed.notify_all();
    }

    /// A checkpoint was written.
    pub(crate) fn published(&self, published: Tree) {
        let mut progress = self.lock();
        (progress.published, progress.published_at) = (published, Instant::now());
    }

    /// The writer has ended.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits until there is something to publish, or the log closes or fails.
    pub(crate) fn wait_for_growth(&self) -> Progress {
        let idle = |progress: &mut Progress| {
            progress.durable == progress.published && !progress.closing && self.failure.get().is_none()
        };
        *self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits this long, or until the log closes or fails.
    pub(crate) fn pause(&self, duration: Duration) {
        let go_on = |progress: &mut Progress| !progress.closing && self.failure.get().is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), duration, go_on);
        drop(waited);
    }

    /// A thread that panicked while it held this lock cannot have left it half changed: changes are assignments.
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
