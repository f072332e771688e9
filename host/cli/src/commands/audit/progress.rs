//! How far a command is that reads a whole log. Shown on a terminal alone: elsewhere nobody waits, and
//! the lines would stand in a file.

use std::io::{IsTerminal, Write};

use super::Opened;

/// How many steps a bar has.
const STEPS: u64 = 40;

/// A bar on standard error; cleared when it goes.
pub(super) struct Bar {
    total: u64,
    what: &'static str,
    shown: u64,
    on: bool,
}

impl Bar {
    /// For this many records; about as many, since a log grows.
    pub(super) fn new(total: u64) -> Self {
        Self::of(total, "records")
    }

    /// For this many of something else.
    pub(super) fn of(total: u64, what: &'static str) -> Self {
        Self { total, what, shown: 0, on: std::io::stderr().is_terminal() && total > 0 }
    }

    /// For all records of these logs.
    ///
    /// # Errors
    /// When a checkpoint does not hold.
    pub(super) fn over(Opened { shelf, years, .. }: &Opened) -> anyhow::Result<Self> {
        let mut total = 0;
        for year in years {
            total += shelf.reader(*year)?.checkpoint()?.size;
        }
        Ok(Self::new(total))
    }

    /// The same records, each of which moves the bar on.
    pub(super) fn along<T>(&mut self, records: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        (1..).zip(records).map(|(done, record)| {
            self.show(done);
            record
        })
    }

    /// So many are done.
    pub(super) fn show(&mut self, done: u64) {
        let step = done.min(self.total) * STEPS / self.total.max(1);
        if self.on && step > self.shown {
            self.shown = step;
            let filled = "#".repeat(usize::try_from(step).unwrap_or_default());
            // Whoever closed the terminal does not look.
            write!(std::io::stderr(), "\r[{filled:40}] {done} of {} {}", self.total, self.what).ok();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.on {
            write!(std::io::stderr(), "\r{:80}\r", "").ok();
        }
    }
}
