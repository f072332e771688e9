//! Who asks a running service to stop: a supervisor (SIGTERM) or the person at the terminal (SIGINT, Ctrl-C).
//!
//! INVARIANT (an end in order): once [`Asked::listen`] has returned, neither signal ends the process by itself, and
//! none that comes is missed, however long it is until somebody waits for it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask to stop.
#[derive(Debug)]
pub(super) struct Asked {
    terminate: Signal,
    interrupt: Signal,
}

impl Asked {
    /// Listens from now on. Needs the runtime.
    ///
    /// # Errors
    /// When the system gives no signals: whatever asked to stop would then kill.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ready when somebody has asked.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
