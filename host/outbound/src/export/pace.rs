//! How fast an exporter goes: how often it looks, how long it waits, how much it sends at once.

use std::time::Duration;

/// The times and sizes of an exporter. The default is what services use; tests are in more of a hurry.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often it looks for new records when it has sent all. A quarter of a second: nobody who reads a
    /// collector notices, and a look costs a microsecond.
    pub look_every: Duration,
    /// The wait after a first failure; doubled with each further one.
    pub wait_first: Duration,
    /// The longest wait between two tries: a receiver that comes back is found within a minute.
    pub wait_most: Duration,
    /// The longest wait that a receiver can ask for (`Retry-After`).
    pub asked_wait_most: Duration,
    /// How long one exchange with a receiver may take: a connection, a request, the end of a connection.
    pub exchange: Duration,
    /// How long records that were sent over syslog wait to be confirmed; see `syslog`.
    pub confirm_after: Duration,
    /// How often records that were refused are offered again.
    pub offer_again_every: Duration,
    /// How many records are sent at once, at most.
    pub batch_records: usize,
    /// How many bytes are sent at once, at most, but for one record that is longer by itself: half of what
    /// common HTTP servers take by default (1 MiB).
    pub batch_bytes: usize,
    /// How many records may be on their way over syslog, unconfirmed: what is sent again when a connection
    /// breaks.
    pub window_records: usize,
    /// A part of a wait, so that exporters that failed together do not come back together.
    pub jitter: fn(Duration) -> Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look_every: Duration::from_millis(250),
            wait_first: Duration::from_secs(1),
            wait_most: Duration::from_secs(60),
            asked_wait_most: Duration::from_secs(300),
            exchange: Duration::from_secs(30),
            confirm_after: Duration::from_secs(5),
            offer_again_every: Duration::from_secs(3_600),
            batch_records: 500,
            batch_bytes: 512 << 10,
            window_records: 4_096,
            jitter: half_to_whole,
        }
    }
}

/// Between half of it and all of it. Without random numbers all of it.
fn half_to_whole(wait: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

impl Pace {
    /// The wait after this many failures in a row, from 1.
    pub(super) fn wait(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        (self.jitter)(self.wait_first.saturating_mul(doubled).min(self.wait_most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        let pace = Pace { jitter: |wait| wait, ..Pace::default() };
        let waits: Vec<_> = [1, 2, 3, 6, 7, 32, 33, u32::MAX].map(|n| pace.wait(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60, 60]);
        for _ in 0..100 {
            let wait = Pace::default().wait(3);
            assert!((Duration::from_secs(2)..=Duration::from_secs(4)).contains(&wait), "{wait:?}");
        }
    }
}
