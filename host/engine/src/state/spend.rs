//! How the use of an approval is counted.
//!
//! INVARIANT (an approval is used as often as it says): whoever permits under an approval counts the use under the
//! right to change, on the facts as they are then, before the decision is recorded. So of two questions at once one
//! finds it spent; and a crash in between leaves a use that nobody had, never a permit that nobody counted. Which
//! approvals a permit uses says [`crate::Judged::uses`]: a plugin cannot agree because of any other.

use assent_audit::record::{StateItem, StateVerb};
use assent_model::{DecisionId, EntityId, Instant};
use assent_workflow::approval::Approval;
use serde_json::json;

use super::{LiveTurn, StateError, document, entity_item, items};

/// What counting a use changes; `None` where the approval cannot be used any more.
///
/// # Errors
/// When the store cannot be read.
pub async fn spent(
    turn: &LiveTurn<'_>,
    approval: &EntityId,
    (decision, now): (&DecisionId, Instant),
) -> Result<Option<Vec<StateItem>>, StateError> {
    if let Some(stored) = document::<Approval>(turn, &approval.id).await? {
        return stored.spend(decision.clone(), now).ok().map(|step| items(turn, &step)).transpose();
    }
    // One that stands in the release's files.
    let Some(mut entity) = turn.release().snapshot().json(approval) else { return Ok(None) };
    let left = entity.pointer("/attrs/usesLeft").and_then(serde_json::Value::as_u64);
    let Some(left) = left.and_then(|left| left.checked_sub(1)) else { return Ok(None) };
    if let Some(attrs) = entity.get_mut("attrs").and_then(serde_json::Value::as_object_mut) {
        attrs.insert("usesLeft".to_owned(), json!(left));
        if left == 0 {
            attrs.insert("status".to_owned(), json!("spent"));
        }
    }
    let change = if left == 0 { StateVerb::Ended } else { StateVerb::Updated };
    Ok(entity_item(change, entity).map(|item| vec![item]))
}
