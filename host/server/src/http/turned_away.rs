//! Callers that were turned away, on the log of the organization they asked about.
//!
//! Of each kind (who, from where, why) the first is a record at once. Those that follow within [`WINDOW`]
//! are counted, and are one record when it is over: whoever tries keys, or asks on and on, is seen and does
//! not fill the log. The answer does not wait for it, or its time would tell which organizations exist.
//! INVARIANT (bounded): so many kinds are told apart at a time; beyond, addresses are not.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assent_audit::record::{CallerRefused, Event};
use assent_engine::AuditRecorder;
use assent_model::{Instant, OrganizationId};
use tokio::task::JoinSet;

/// How long refusals of one kind are counted before they are a record.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Kinds told apart within a window: a thousand addresses a minute is no mistake any more but an attack,
/// of which the number matters and not each address.
const KINDS_MAX: usize = 1_000;

/// Why, as an extension of a refusal's response: a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason(pub(super) &'static str);

/// One kind of refusal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// Whom it asked about.
    pub(super) organization: OrganizationId,
    /// Who it proved to be, if it did.
    pub(super) caller: Option<String>,
    /// Where it called from.
    pub(super) address: Option<String>,
    /// Why it was turned away: a code.
    pub(super) reason: &'static str,
}

/// What followed the first of its kind.
#[derive(Clone, Copy)]
struct Repeated {
    since: Instant,
    times: u64,
}

/// The book of those turned away.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    recorder: AuditRecorder,
    kinds: Mutex<BTreeMap<Kind, Repeated>>,
    /// The records of the first of each kind that are being written.
    writing: Mutex<JoinSet<()>>,
    /// Held while a window ends, so that whoever stops the service waits for one that is ending already.
    ending: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} times", self.times)
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at `{}`", self.reason, self.organization)
    }
}

impl TurnedAway {
    pub(crate) fn new(recorder: AuditRecorder) -> Self {
        Self {
            recorder,
            kinds: Mutex::default(),
            writing: Mutex::default(),
            ending: tokio::sync::Mutex::default(),
        }
    }

    /// Has a refusal recorded, or counts it. A refusal gives nothing away, so it does not depend on its
    /// record.
    pub(super) fn note(&self, at: Instant, kind: Kind) {
        if let Some(kind) = self.count(at, kind) {
            let record = record(self.recorder.clone(), at, kind, Repeated { since: at, times: 1 });
            self.writing.lock().unwrap_or_else(PoisonError::into_inner).spawn(record);
        }
    }

    /// The kind, if this is the first of it.
    fn count(&self, at: Instant, mut kind: Kind) -> Option<Kind> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind) {
            kind.address = None;
        }
        if let Some(repeated) = kinds.get_mut(&kind) {
            if repeated.times == 0 {
                repeated.since = at;
            }
            repeated.times += 1;
            return None;
        }
        kinds.insert(kind.clone(), Repeated { since: at, times: 0 });
        Some(kind)
    }

    /// Ends the window: what was counted becomes records. Ready once all are written, those of a window that
    /// is ending already among them. Written side by side, so that a log that stalls is waited for once.
    pub(crate) async fn end_window(&self, at: Instant) {
        let _turn = self.ending.lock().await;
        let mut writing = std::mem::take(&mut *self.writing.lock().unwrap_or_else(PoisonError::into_inner));
        let kinds = std::mem::take(&mut *self.kinds.lock().unwrap_or_else(PoisonError::into_inner));
        while writing.join_next().await.is_some() {}
        for (kind, repeated) in kinds.into_iter().filter(|(_, repeated)| repeated.times > 0) {
            writing.spawn(record(self.recorder.clone(), at, kind, repeated));
        }
        while writing.join_next().await.is_some() {}
    }
}

async fn record(recorder: AuditRecorder, at: Instant, kind: Kind, repeated: Repeated) {
    let Kind { organization, caller, address, reason } = kind;
    let event = Event::CallerRefused(CallerRefused {
        caller,
        address,
        organization: Some(organization.clone()),
        reason: reason.to_owned(),
        times: repeated.times,
        since: (repeated.times > 1).then_some(repeated.since),
    });
    // A log that takes no records is said by readiness and by the service's output.
    drop(recorder.note(&organization, at, event).await);
}
