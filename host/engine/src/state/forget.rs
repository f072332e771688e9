//! Forgets answers that were kept for requests that come again, once nobody sends such a request any more.
//!
//! It is a change like any other, recorded and applied, of a bounded size: whoever calls it goes on until nothing is
//! left. INVARIANT (a request is not done twice): what is younger than [`KEPT_MS`] is kept.

use assent_audit::record::{Actor, StateItem, StateVerb};
use assent_model::{EntityId, Instant};
use serde::Deserialize;

use super::{IDEMPOTENCY, LiveState, Plan, StateError};

/// How long an answer is kept: a day, for clients that try again after a night.
const KEPT_MS: i64 = 86_400_000;
/// Answers that are forgotten in one change. With the longest keys these are 20 KB of a record's 64.
const AT_ONCE: u32 = 100;
/// The type by which a record names such an answer.
const REQUEST: &str = "Request";

/// What of an answer tells its age.
#[derive(Deserialize)]
struct Answered {
    at: Instant,
}

impl LiveState {
    /// Forgets some of the answers that are older than a day, in one change. Whether there may be more of them.
    ///
    /// # Errors
    /// As [`super::LiveTurn::commit`].
    pub async fn forget(&self, at: Instant) -> Result<bool, StateError> {
        let turn = self.turn(at).await?;
        let (store, organization) = (self.keeper().store(), self.keeper().organization().as_str());
        let oldest = store.oldest(organization, IDEMPOTENCY, AT_ONCE).await?;
        let is_old = |body: &str| {
            let answered: Option<Answered> = serde_json::from_str(body).ok();
            // What a newer version wrote is for a newer version to forget.
            answered.is_some_and(|answered| at.as_millis().saturating_sub(answered.at.as_millis()) >= KEPT_MS)
        };
        let old = oldest.iter().filter(|document| document.body.as_deref().is_some_and(is_old));
        let items: Vec<StateItem> = old
            .map(|document| StateItem {
                change: StateVerb::Deleted,
                section: IDEMPOTENCY.to_owned(),
                target: EntityId::new(REQUEST, document.key.id()),
                patient: None,
                payload: serde_json::Value::Null,
            })
            .collect();
        if items.is_empty() {
            return Ok(false);
        }
        let by = Actor::service();
        turn.commit(at, Plan { by, decision: None, items }).await?;
        // Decisions do not stand on it, so no node must hear of it.
        store.forget_removed(organization, IDEMPOTENCY).await?;
        Ok(true)
    }
}
