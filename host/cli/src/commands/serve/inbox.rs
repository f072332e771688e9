//! What commands ask a running service to record, and the segments that are old enough to be sealed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use assent_audit::inbox::{INBOX_INTERVAL, Inbox, InboxError, Taken};
use assent_audit::logs::Logs;
use assent_engine::AuditRecorder;
use assent_model::Instant;
use assent_server::Clock;

/// How often segments are asked for their age, which is an hour: fine enough.
const AGE_INTERVAL: Duration = Duration::from_secs(60);

/// Takes in what waits for any organization. A letter that cannot be read is said once, for it is set aside.
///
/// # Errors
/// When a log takes no records; the letters wait.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see this")]
pub(super) async fn take_in(logs: &Logs, now: Instant) -> Result<(), InboxError> {
    for organization in logs.status().into_keys() {
        let inbox = Inbox::new(logs.config().clone(), organization);
        for Taken { letter, refused } in inbox.take_in(logs, now).await? {
            if let Some(reason) = refused {
                eprintln!("{inbox:?}: letter {letter} was not recorded and set aside: {reason}");
            }
        }
    }
    Ok(())
}

/// Goes on to take in, within a second; and has old segments sealed.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see this")]
pub(super) async fn watch(recorder: Option<&AuditRecorder>, clock: Arc<dyn Clock>) -> Infallible {
    let Some(recorder) = recorder else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(INBOX_INTERVAL);
    let mut ages = tokio::time::interval(AGE_INTERVAL);
    let mut said = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ages.tick() => recorder.logs().seal_aged(),
        }
        let problem = take_in(recorder.logs(), clock.now()).await.err().map(|error| error.to_string());
        if problem != said
            && let Some(problem) = &problem
        {
            eprintln!("what commands ask to record waits: {problem}");
        }
        said = problem;
    }
}
