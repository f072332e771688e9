//! What the service counts itself: decisions by cause, and how long requests take by route.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assent_model::Cause;

/// The decisions of an organization.
#[derive(Debug, Default)]
pub(crate) struct Decisions([AtomicU64; Cause::ALL.len()]);

impl Decisions {
    /// Counts one.
    pub(crate) fn count(&self, cause: Cause) {
        if let Some(count) = Cause::ALL.iter().zip(&self.0).find(|(known, _)| **known == cause) {
            count.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were, by cause; every cause is there.
    pub(crate) fn by_cause(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.iter().zip(&self.0).map(|(cause, count)| (*cause, count.load(Ordering::Relaxed)))
    }
}

/// The upper bounds of the buckets, in microseconds and as Prometheus writes them. From a tenth of what a
/// decision with a durable record takes to the longest that a request may.
const BOUNDS: [(u64, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// How long something took, as a histogram.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// By bucket, not yet added up; the longest are in the total alone.
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Durations {
    /// Notes one.
    pub(crate) fn note(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some((_, bucket)) = BOUNDS.iter().zip(&self.buckets).find(|((bound, _), _)| us <= *bound) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many took at most so long, for each bound; then how many there were, and seconds in all.
    pub(crate) fn read(&self) -> (Vec<(&'static str, u64)>, u64, f64) {
        let mut up_to = 0;
        let buckets = BOUNDS.iter().zip(&self.buckets).map(|((_, bound), bucket)| {
            up_to += bucket.load(Ordering::Relaxed);
            (*bound, up_to)
        });
        let buckets: Vec<_> = buckets.collect();
        let seconds = Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        // One that is being noted may be in a bucket already: the total is never less than a bucket.
        (buckets, self.count.load(Ordering::Relaxed).max(up_to), seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_rise_and_are_written_as_they_are() {
        assert!(BOUNDS.is_sorted_by(|a, b| a.0 < b.0));
        for (us, text) in BOUNDS {
            assert_eq!(text.parse::<f64>().unwrap(), us as f64 / 1e6);
        }
    }

    #[test]
    fn each_duration_is_in_all_buckets_that_hold_it() {
        let durations = Durations::default();
        for us in [500, 501, 9_000_000, 11_000_000] {
            durations.note(Duration::from_micros(us));
        }
        let (buckets, count, seconds) = durations.read();
        let of = |bound| buckets.iter().find(|(text, _)| *text == bound).unwrap().1;
        assert_eq!((of("0.0005"), of("0.001"), of("5"), of("10"), count), (1, 2, 2, 3, 4));
        assert!((seconds - 20.001_001).abs() < 1e-9);
    }
}
