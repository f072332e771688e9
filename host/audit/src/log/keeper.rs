//! The thread that publishes: signs a checkpoint of what is durable, at most one in each interval, and makes
//! the tiles of it.
//!
//! Off the writer's path, because replacing a file waits for the file system's journal. The first
//! batch after a quiet time is published at once, the last one before a quiet time one interval
//! later at most, and the end of the log when it closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::tlog::note::Signer;

use super::error::Failure;
use super::published;
use super::shared::Shared;
use super::source::Source;
use super::tiles::Tiler;

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
        if let Err(failure) = self.publish_until_closed() {
            self.shared.fail(failure);
        }
    }

    fn publish_until_closed(&self) -> Result<(), Failure> {
        let published = self.shared.progress().published.size;
        let mut tiler = Tiler::new(self.source.clone(), published);
        tiler.remove_partial(published).map_err(|error| Failure::Tiles(error.into()))?;
        let mut tiled = false;
        loop {
            let progress = if tiled { self.shared.wait_for_growth() } else { self.shared.progress() };
            if self.shared.failure().is_some() {
                return Ok(());
            }
            if progress.durable != progress.published {
                published::write(&self.source.layout, progress.durable, &self.signer)?;
                self.shared.published(progress.durable);
            }
            // Tiles that take longer wait for their next turn, so that the next checkpoint is in time.
            let next = Instant::now() + self.interval;
            loop {
                tiled = tiler.turn(progress.durable).map_err(Failure::Tiles)?;
                if tiled || Instant::now() >= next {
                    break;
                }
            }
            if progress.closing {
                return tiler.make_durable().map_err(|error| Failure::Tiles(error.into()));
            }
            self.shared.pause(next.saturating_duration_since(Instant::now()));
        }
    }
}
