//! How far an import is. Shown on a terminal alone: elsewhere nobody waits, and the lines would stand in a file.

use std::io::{IsTerminal, Write};
use std::time::Instant;

/// A line on standard error; cleared when it goes.
pub(super) struct Progress {
    begun: Instant,
    begin: usize,
    total: usize,
    on: bool,
}

impl Progress {
    /// From this entity on, of so many.
    pub(super) fn new(begin: usize, total: usize) -> Self {
        Self { begun: Instant::now(), begin, total, on: std::io::stderr().is_terminal() }
    }

    /// So many are done.
    pub(super) fn show(&self, done: usize) {
        if self.on {
            let ms = self.begun.elapsed().as_millis().max(1);
            let rate = ((done - self.begin) as u128 * 1_000) / ms;
            // Whoever closed the terminal does not look.
            write!(std::io::stderr(), "\r{done} of {} entities, {rate} a second  ", self.total).ok();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on {
            write!(std::io::stderr(), "\r{:60}\r", "").ok();
        }
    }
}
