//! Time and randomness, as the rest of the service gets them: injected.
//!
//! Decisions depend on the clock (a birthday, the end of a grant), so tests and replays supply
//! their own. This is the only file that reads the machine's clock or its source of randomness.
//! INVARIANT (time goes on): within a process no decision is of an earlier moment than one before it, nor does time
//! pass slower for decisions than it does; so what has ended stays so, wherever the clock is put.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use assent_model::Instant;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// The present moment.
    fn now(&self) -> Instant;

    /// How much time went by since some moment, by a clock that nobody can put. None for one that stands still.
    fn passed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Supplies random bits for ids. They need not be secret, but must not repeat.
pub trait Ids: Send + Sync + Debug {
    /// 128 fresh bits; `None` where the machine has none to give, and then nothing is decided.
    fn bits(&self) -> Option<u128>;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Instant {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        // A machine whose clock is past the year 9999 is taken to stand at its end: grants have
        // then run out, so that nothing is permitted by mistake.
        Instant::from_millis(millis).unwrap_or(END_OF_TIME)
    }

    fn passed(&self) -> Duration {
        static BEGUN: LazyLock<Monotonic> = LazyLock::new(Monotonic::now);
        BEGUN.elapsed()
    }
}

/// INVARIANT (time goes on): a clock as decisions see it. Where it is put back they go on from the latest moment that
/// it told, as time does, until it has caught up or the process is started again.
#[derive(Debug)]
pub(crate) struct Onward {
    clock: Arc<dyn Clock>,
    /// The last moment that counts as the clock told it, and what had passed by then; none before it was asked.
    told: Mutex<Option<(Instant, Duration)>>,
}

impl Onward {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, told: Mutex::default() }
    }
}

impl Clock for Onward {
    fn now(&self) -> Instant {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that of two looks the later one is the later one here too.
        let (now, passed) = (self.clock.now(), self.clock.passed());
        let (before, then) = told.unwrap_or((now, passed));
        let since = i64::try_from(passed.saturating_sub(then).as_millis()).unwrap_or(i64::MAX);
        let due = Instant::from_millis(before.as_millis().saturating_add(since)).unwrap_or(END_OF_TIME);
        if now < due {
            return due;
        }
        *told = Some((now, passed));
        now
    }

    fn passed(&self) -> Duration {
        self.clock.passed()
    }
}

const END_OF_TIME: Instant = match Instant::from_millis(253_402_300_799_999) {
    Ok(instant) => instant,
    // Unreachable, and checked at compile time: the value is `Instant`'s own upper bound.
    Err(_) => panic!(),
};

/// The operating system's source of randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn bits(&self) -> Option<u128> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(u128::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| RandomIds.bits().unwrap()).collect();
        assert_eq!(ids.len(), 1_000);
    }

    /// A clock that is put where a test wants it, and the milliseconds that passed.
    #[derive(Debug)]
    struct Put(Mutex<(i64, u64)>);

    impl Clock for Put {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0.lock().unwrap().0).unwrap()
        }

        fn passed(&self) -> Duration {
            Duration::from_millis(self.0.lock().unwrap().1)
        }
    }

    #[test]
    fn time_goes_on_wherever_the_clock_is_put() {
        let put = Arc::new(Put(Mutex::new((1_000, 0))));
        let onward = Onward::new(Arc::clone(&put) as Arc<dyn Clock>);
        for (told, passed, expected) in [
            (1_000, 0, 1_000),
            (1_500, 500, 1_500),
            // Put back: as much later as passed, however often it is asked.
            (100, 500, 1_500),
            (101, 501, 1_501),
            (301, 701, 1_701),
            // Put right again, and on.
            (1_801, 801, 1_801),
            (9_000, 901, 9_000),
            // It caught up while the machine slept and nothing passed.
            (5_000, 901, 9_000),
            (9_001, 901, 9_001),
        ] {
            *put.0.lock().unwrap() = (told, passed);
            assert_eq!(onward.now().as_millis(), expected, "{told} {passed}");
        }
        let end = END_OF_TIME.as_millis();
        *put.0.lock().unwrap() = (end, 901);
        assert_eq!(onward.now(), END_OF_TIME);
        *put.0.lock().unwrap() = (0, 5_000);
        assert_eq!(onward.now(), END_OF_TIME);
    }

    #[test]
    fn the_system_clock_stands_after_this_was_written() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
