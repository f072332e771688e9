//! Time and randomness, as the rest of the service gets them: injected.
//!
//! Decisions depend on the clock (a birthday, the end of a grant), so tests and replays supply
//! their own. This is the only file that reads the machine's clock or its source of randomness.

use std::fmt::Debug;

use assent_model::Instant;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// The present moment.
    fn now(&self) -> Instant;
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

    #[test]
    fn the_system_clock_stands_after_this_was_written() {
        assert!(SystemClock.now() > "2026-01-01T00:00:00Z".parse().unwrap());
    }
}
