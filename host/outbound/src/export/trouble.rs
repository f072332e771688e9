//! How long something has been failing, when it is tried next, and when somebody should be told.

use std::time::{Duration, Instant};

use super::error::Failure;
use super::pace::Pace;
use assent_audit::text::in_full;

/// How many failures in a row are told the first time: a single one is every receiver's right.
const TOLD_AFTER: u32 = 3;
/// How often it is told again while it lasts.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Of a receiver, or of one organization's records.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    failures: u32,
    told: Option<Instant>,
    until: Option<Instant>,
}

impl Trouble {
    /// It failed. What to tell, if it is time to.
    pub(super) fn failed(&mut self, failure: &Failure, pace: &Pace, now: Instant) -> Option<String> {
        self.failures = self.failures.saturating_add(1);
        let asked = failure.retry_after().unwrap_or_default().min(pace.asked_wait_most);
        self.until = Some(now + pace.wait(self.failures).max(asked));
        let due = self.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
        (self.failures >= TOLD_AFTER && due).then(|| {
            self.told = Some(now);
            format!("{}; {} tries have failed, and it tries again", in_full(failure), self.failures)
        })
    }

    /// It went well. What to tell, if somebody was told of the trouble.
    pub(super) fn is_over(&mut self) -> Option<&'static str> {
        let told = self.told.is_some();
        *self = Self::default();
        told.then_some("it works again")
    }

    /// Whether the last try failed.
    pub(super) const fn lasts(&self) -> bool {
        self.failures > 0
    }

    /// How long until the next try.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_when_it_lasts_and_again_from_time_to_time_and_when_it_is_over() {
        let pace = Pace { jitter: |wait| wait, ..Pace::default() };
        let mut trouble = Trouble::default();
        let start = Instant::now();
        let mut told = vec![];
        for second in 0..1_300 {
            let now = start + Duration::from_secs(second);
            if trouble.failed(&Failure::Closed, &pace, now).is_some() {
                told.push(second);
            }
        }
        assert_eq!(told, [2, 602, 1202]);
        assert!(trouble.lasts() && trouble.is_over().is_some());
        assert!(!trouble.lasts() && trouble.is_over().is_none());
        assert_eq!(trouble.wait(start), Duration::ZERO);
    }

    #[test]
    fn a_receiver_that_asks_to_be_left_alone_is_but_not_for_ever() {
        let pace = Pace { jitter: |wait| wait, ..Pace::default() };
        let now = Instant::now();
        for (asked, expected) in [(0, 1), (20, 20), (100_000, 300)] {
            let retry_after = Some(Duration::from_secs(asked));
            let mut trouble = Trouble::default();
            trouble.failed(&Failure::Status { status: 429, retry_after }, &pace, now);
            assert_eq!(trouble.wait(now).as_secs(), expected);
        }
    }
}
