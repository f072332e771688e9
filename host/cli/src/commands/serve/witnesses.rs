//! The witnesses of a running service: asked at its start, at intervals and at its good stop, and what the
//! operator is told of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use assent_outbound::witness::{Change, State, Witnessing};

use crate::say::say;

/// How long a good stop waits for witnesses: the next start shows them the same.
const LAST_ROUND_PATIENCE: Duration = Duration::from_secs(10);

/// Asks them, at once and then at intervals.
pub(super) async fn watch(witnessing: Arc<Witnessing>, interval: Duration) -> Infallible {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        witnessing.round().await.iter().for_each(tell);
    }
}

/// Shows them how the log ended.
pub(super) async fn last(witnessing: &Witnessing) {
    if let Ok(changes) = tokio::time::timeout(LAST_ROUND_PATIENCE, witnessing.round()).await {
        changes.iter().for_each(tell);
    }
}

fn tell(Change { organization, year, witness, state }: &Change) {
    match state {
        State::Waiting => {}
        State::Seen => {
            say(&format!("witness `{witness}` cosigns the log of `{organization}`, year {year}, again"));
        }
        State::Behind(refused) => say(&format!(
            "witness `{witness}` does not cosign the log of `{organization}`, year {year}: {refused}; decisions go \
             on, and it is asked again"
        )),
        State::Contradicted(how) => say(&format!(
            "ALARM: witness `{witness}` knows another log of `{organization}`, year {year}: {how}; the log takes \
             no more records. Keep what is there, and find out who changed it; if it is the witness that is wrong, \
             take it out of assent.toml"
        )),
    }
}
