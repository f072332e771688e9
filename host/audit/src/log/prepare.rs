//! Makes the next segment ready before it is needed: its data key, and a file full of zeros.
//!
//! Overwriting zeros needs no change of the file's length or blocks, so a sync has no journal to
//! wait for: the slowest syncs take a tenth of those of a growing file. Nothing here is part of the
//! log yet: a crash leaves a spare file, which the next start removes, and perhaps the key of a
//! segment that never began, which the next segment of that number replaces.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::keys::{DataKey, KeyEncryption, SealingKey, WrappedKey};

use super::disk;
use super::error::Failure;
use super::source::Source;

/// Written and made durable piece by piece, so that no long write stands in the way of a batch's sync.
const PIECE_BYTES: usize = 4 << 20;

/// A segment without a header.
pub(crate) struct Prepared {
    pub(crate) number: u64,
    pub(crate) key: SealingKey,
    /// Still named [`super::layout::Layout::spare`].
    pub(crate) file: File,
}

/// What it takes to make a segment ready.
pub(crate) struct Preparer {
    pub(crate) source: Source,
    pub(crate) kek: Arc<dyn KeyEncryption>,
    pub(crate) segment_bytes: u64,
}

impl Preparer {
    /// Makes a segment ready, durably.
    pub(crate) fn prepare(&self, number: u64) -> Result<Prepared, Failure> {
        let Source { layout, origin_hash, .. } = &self.source;
        let key = DataKey::generate()?;
        WrappedKey::wrap(origin_hash, number, &key, self.kek.as_ref())?.write(layout)?;
        let path = layout.spare();
        disk::remove(&path)?;
        let file = disk::create(&path)?;
        let zeros = vec![0; PIECE_BYTES];
        let mut offset = 0;
        while offset < self.segment_bytes {
            let piece = (self.segment_bytes - offset).min(PIECE_BYTES as u64);
            disk::write_at(&file, &path, zeros.get(..piece as usize).unwrap_or_default(), offset)?;
            disk::sync_data(&file, &path)?;
            offset += piece;
        }
        Ok(Prepared { number, key: SealingKey::new(&key, *origin_hash)?, file })
    }

    /// Starts a thread that makes ready what it is asked for, until nobody can ask any more.
    pub(crate) fn start(self) -> std::io::Result<Helper> {
        let (ask, asked) = sync_channel::<u64>(1);
        let (give, ready) = sync_channel(1);
        let thread = std::thread::Builder::new().name("audit-prepare".to_owned()).spawn(move || {
            for number in asked {
                if give.send(self.prepare(number)).is_err() {
                    break;
                }
            }
            // Left behind it would only take up space until the next start.
            drop(disk::remove(&self.source.layout.spare()));
        })?;
        Ok(Helper { ask, ready, thread })
    }
}

/// The thread that makes segments ready.
pub(crate) struct Helper {
    ask: SyncSender<u64>,
    ready: Receiver<Result<Prepared, Failure>>,
    thread: JoinHandle<()>,
}

const GONE: Failure = Failure::Thread { thread: "prepare" };

impl Helper {
    /// Asks for a segment; does not wait.
    pub(crate) fn ask(&self, number: u64) -> Result<(), Failure> {
        self.ask.try_send(number).map_err(|_| GONE)
    }

    /// The segment asked for; waits until it is ready.
    pub(crate) fn take(&self) -> Result<Prepared, Failure> {
        self.ready.recv().map_err(|_| GONE)?
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        let Self { ask, ready, thread } = self;
        drop((ask, ready));
        // A panic there was reported already by the missing segment, if anybody needed it.
        drop(thread.join());
    }
}
