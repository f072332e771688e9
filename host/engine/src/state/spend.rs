//! Which approval a permit uses, and how the use is counted.
//!
//! INVARIANT (an approval is used as often as it says): whoever permits under an approval counts the use under the
//! right to change, on the facts as they are then, before the decision is recorded. So of two questions at once one
//! finds it spent; and a crash in between leaves a use that nobody had, never a permit that nobody counted. Whether a
//! plugin would have agreed without it is not asked: what matches is used.

use assent_audit::record::{StateItem, StateVerb};
use assent_model::{DecisionFacts, DecisionId, Entity, EntityId, Instant, Value};
use assent_workflow::approval::Approval;
use serde_json::json;

use super::{LiveTurn, StateError, document, entity_item, items};
use crate::release::Release;

/// The approval that a permit on these facts uses: one that matches the question, of a kind that a plugin in scope asks
/// for; of several the one that ends first. `None`: it uses none.
#[must_use]
pub fn approval_used(release: &Release, facts: &DecisionFacts) -> Option<EntityId> {
    let in_scope = release.bindings().iter().filter(|binding| binding.scope.contains(facts));
    let kinds: Vec<&str> =
        in_scope.flat_map(|binding| &binding.plugin.needs().approvals).map(String::as_str).collect();
    let stored = facts.facts.approvals(&facts.subject.id);
    let usable = stored.filter(|approval| kinds.iter().any(|kind| matches(approval, kind, facts)));
    let first =
        usable.min_by_key(|approval| (expires(approval).is_none(), expires(approval), approval.id.clone()));
    first.map(|approval| approval.id.clone())
}

fn expires(approval: &Entity) -> Option<Instant> {
    approval.attributes.get("expiresAt").and_then(Value::as_instant)
}

/// Whether an approval can be used for this question. What it does not name it does not limit.
fn matches(approval: &Entity, kind: &str, facts: &DecisionFacts) -> bool {
    let text =
        |name: &str| approval.attributes.get(name).and_then(Value::as_text).filter(|text| !text.is_empty());
    let number = |name: &str| approval.attributes.get(name).and_then(Value::as_integer);
    let of_resource = |name: &str| facts.resource.attributes.get(name);
    let digest = of_resource("digest").and_then(Value::as_text);
    let records = of_resource("recordCount").and_then(Value::as_integer);
    text("kind") == Some(kind)
        && text("status") == Some("approved")
        && number("usesLeft").is_some_and(|left| left > 0)
        && expires(approval).is_none_or(|end| facts.now < end)
        && text("dataSet").is_none_or(|set| Some(set) == digest || set == facts.resource.id.id)
        && text("action").is_none_or(|action| action == facts.action)
        && text("purpose").is_none_or(|purpose| Some(purpose) == facts.purpose.as_deref())
        && number("maxRecords").is_none_or(|most| records.is_some_and(|records| records <= most))
}

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
