//! The thread that publishes: signs a checkpoint of what is durable, at most one in each interval.
//!
//! Off the writer's path, because replacing a file waits for the file system's journal. The first
//! batch after a quiet time is published at once, the last one before a quiet time one interval
//! later at most, and the end of the log when it closes.

use std::sync::Arc;
use std::time::Duration;

use crate::tlog::note::Signer;

use super::error::Failure;
use super::published;
use super::scan::Source;
use super::shared::Shared;

/// What it takes to publish.
pub(crate) struct Keeper {
    pub(crate) source: Source,
    pub(crate) signer: Arc<Signer>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) interval: Duration,
}

impl Keeper {
    /// Publishes until the log closes or fails. A checkpoint that cannot be written stops the log:
    /// the disk is in trouble, and nobody could see from outside how far the log was.
    pub(crate) fn run(self) {
        loop {
            let progress = self.shared.wait_for_growth();
            if self.shared.failure().is_some() {
                break;
            }
            if let Err(failure) = self.publish() {
                self.shared.fail(failure);
                break;
            }
            if progress.closing {
                break;
            }
            self.shared.pause(self.interval);
        }
    }

    /// A crash leaves the old checkpoint or the new one. The old one is of a smaller tree, which is fine.
    fn publish(&self) -> Result<(), Failure> {
        let progress = self.shared.progress();
        if progress.durable != progress.published {
            published::write(&self.source.layout, progress.durable, &self.signer)?;
            self.shared.published(progress.durable);
        }
        Ok(())
    }
}
