//! What commands ask a running service to record, and the segments that are old enough to be sealed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use assent_audit::inbox::{INBOX_INTERVAL, Inbox, InboxError, Taken};
use assent_audit::logs::Logs;
use assent_engine::AuditRecorder;
use assent_model::{Instant, OrganizationId};
use assent_server::Clock;
use tokio::time::MissedTickBehavior;

use crate::say::{Problems, say};

/// How often segments are asked for their age, which is an hour: fine enough.
const AGE_INTERVAL: Duration = Duration::from_secs(60);

/// Takes in what waits for an organization. A letter that cannot be read is said once, for it is set aside.
///
/// # Errors
/// When its log takes no records; the letters wait.
pub(super) async fn take_in(
    logs: &Logs,
    organization: &OrganizationId,
    now: Instant,
) -> Result<(), InboxError> {
    let inbox = Inbox::new(logs.config().clone(), organization.clone());
    for Taken { letter, refused } in inbox.take_in(logs, now).await? {
        if let Some(reason) = refused {
            say(&format!("{inbox:?}: letter {letter} was not recorded and set aside: {reason}"));
        }
    }
    Ok(())
}

/// Goes on to take in, within a second; and has old segments sealed. Where one organization's log takes nothing, the
/// others' goes on.
pub(super) async fn watch(recorder: AuditRecorder, clock: Arc<dyn Clock>) -> Infallible {
    let logs = recorder.logs();
    let mut ticks = tokio::time::interval(INBOX_INTERVAL);
    let mut ages = tokio::time::interval(AGE_INTERVAL);
    for interval in [&mut ticks, &mut ages] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut problems = Problems::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ages.tick() => logs.seal_aged(),
        }
        for organization in logs.status().into_keys() {
            let taken = take_in(logs, &organization, clock.now()).await;
            let problem = taken.err().map(|error| {
                let error = anyhow::Error::from(error);
                format!("what commands ask to record for `{organization}` waits: {error:#}")
            });
            problems.now(organization, problem);
        }
    }
}
