//! The witnesses of a running service: asked at its start, at intervals and at its good stop, and what the
//! operator is told of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use assent_engine::AuditRecorder;
use assent_outbound::witness::{Change, State, Witnessing};

use crate::deployment::Deployment;
use crate::witnesses;

/// How long a good stop waits for witnesses: the next start shows them the same.
const LAST_ROUND_PATIENCE: Duration = Duration::from_secs(10);

/// The witnesses of the service's logs, with the time between two rounds. `None` where there are none.
///
/// # Errors
/// When one cannot be used.
pub(super) fn open(
    deployment: &Deployment,
    recorder: Option<&AuditRecorder>,
) -> anyhow::Result<Option<(Arc<Witnessing>, Duration)>> {
    let witnesses = witnesses::load(deployment)?;
    let (Some(recorder), Some(audit)) = (recorder, &deployment.config.audit) else { return Ok(None) };
    if witnesses.is_empty() {
        return Ok(None);
    }
    let interval = Duration::from_secs(audit.witness_interval_s);
    Ok(Some((Arc::new(Witnessing::new(Arc::clone(recorder.logs()), witnesses)), interval)))
}

/// Asks them, at once and then at intervals.
pub(super) async fn watch(witnessing: Option<&(Arc<Witnessing>, Duration)>) -> Infallible {
    let Some((witnessing, interval)) = witnessing else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(*interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        witnessing.round().await.iter().for_each(say);
    }
}

/// Shows them how the log ended.
pub(super) async fn last(witnessing: Option<&(Arc<Witnessing>, Duration)>) {
    let Some((witnessing, _)) = witnessing else { return };
    if let Ok(changes) = tokio::time::timeout(LAST_ROUND_PATIENCE, witnessing.round()).await {
        changes.iter().for_each(say);
    }
}

#[expect(clippy::print_stderr, reason = "the person who runs the service must see what witnesses say")]
fn say(Change { organization, year, witness, state }: &Change) {
    match state {
        State::Waiting => {}
        State::Seen => {
            eprintln!("witness `{witness}` cosigns the log of `{organization}`, year {year}, again")
        }
        State::Behind(refused) => eprintln!(
            "witness `{witness}` does not cosign the log of `{organization}`, year {year}: {refused}; decisions go \
             on, and it is asked again"
        ),
        State::Contradicted(how) => eprintln!(
            "ALARM: witness `{witness}` knows another log of `{organization}`, year {year}: {how}; the log takes \
             no more records. Keep what is there, and find out who changed it; if it is the witness that is wrong, \
             take it out of assent.toml"
        ),
    }
}
