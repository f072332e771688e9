//! Whether the clock moved by itself: decisions depend on it, so an auditor must see that it did.
//!
//! While the service runs the clock is held against time that only goes on; at a start, against the newest
//! record of the log. What is found is a record and a line for the operator, and nothing more: a clock that
//! was put right must not stop the service. That decisions do not go back with it is for [`assent_server::clock`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use assent_audit::logs::Opened;
use assent_audit::record::Event;
use assent_audit::shelf::{Place, Shelf};
use assent_engine::AuditRecorder;
use assent_model::Instant;
use assent_server::Clock;
use tokio::time::MissedTickBehavior;

use crate::say::say;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What counts as a jump, in milliseconds. Time services slew what is smaller than an eighth of a second
/// and step what is larger; a busy machine may delay a look by most of a second.
const JUMP_MILLIS: i64 = 2_000;

/// What the clock said and should have said, if it moved between two looks that were `passed` apart.
fn jump(earlier: Instant, passed: Duration, now: Instant) -> Option<(Instant, Instant)> {
    let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let expected = earlier.as_millis().saturating_add(passed);
    let moved = now.as_millis().saturating_sub(expected);
    // An expectation beyond the end of time is no moment to compare with.
    let expected = Instant::from_millis(expected).ok()?;
    (moved.abs() >= JUMP_MILLIS).then_some((expected, now))
}

/// Looks at the clock for as long as the service runs.
pub(super) async fn watch(recorder: AuditRecorder, clock: Arc<dyn Clock>) -> Infallible {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut earlier, mut at) = (clock.now(), tokio::time::Instant::now());
    loop {
        looks.tick().await;
        let (now, reached) = (clock.now(), tokio::time::Instant::now());
        if let Some((before, after)) = jump(earlier, reached.duration_since(at), now) {
            let how = match after < before {
                true => "while the service runs, which goes on from the former until it is started again",
                false => "while the service runs",
            };
            tell(before, after, how);
            for organization in recorder.logs().status().keys() {
                // A log that takes no records is said by whoever watches it.
                drop(recorder.note(organization, now, Event::ClockJump { before, after }).await);
            }
        }
        (earlier, at) = (now, reached);
    }
}

/// Records where a log's newest record is of a later moment than now.
///
/// # Errors
/// When the log cannot be read or written.
pub(super) async fn compare(recorder: &AuditRecorder, opened: &[Opened], now: Instant) -> anyhow::Result<()> {
    for Opened { organization, year, recovered } in opened {
        let Some(position) = recovered.size.checked_sub(1) else { continue };
        let shelf = Shelf::new(recorder.logs().config().clone(), organization.clone());
        let Some((_, newest)) = shelf.at(Place { year: *year, position })? else { continue };
        if now < newest.at {
            let event = Event::ClockJump { before: newest.at, after: now };
            recorder.note(organization, now, event).await?;
            tell(newest.at, now, &format!("by the newest record of `{organization}`"));
        }
    }
    Ok(())
}

fn tell(before: Instant, after: Instant, how: &str) {
    say(&format!(
        "the clock moved from {before} to {after}, {how}: decisions depend on it, see that it is right"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_on_does_not_jump_and_one_that_is_set_does() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let earlier = at("2026-11-21T18:00:00Z");
        let passed = Duration::from_secs(1);
        for (now, jumped) in [
            ("2026-11-21T18:00:01Z", false),
            ("2026-11-21T18:00:02.999Z", false),
            ("2026-11-21T17:59:59.001Z", false),
            ("2026-11-21T18:00:03Z", true),
            ("2026-11-21T17:59:59Z", true),
            ("2026-11-21T19:00:00Z", true),
            ("2016-11-21T18:00:01Z", true),
            ("2036-11-21T18:00:01Z", true),
        ] {
            let found = jump(earlier, passed, at(now));
            assert_eq!(found, jumped.then_some((at("2026-11-21T18:00:01Z"), at(now))), "{now}");
        }
        // A look that came late: the clock went on as time did.
        assert!(jump(earlier, Duration::from_secs(3600), at("2026-11-21T19:00:00Z")).is_none());
    }
}
