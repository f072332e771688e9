//! What a step of a workflow is on the log: its document, and the entity that decisions see of it, in one change.

use std::collections::BTreeSet;
use std::sync::Arc;

use assent_audit::record::{StateItem, StateVerb};
use assent_model::{Entity, EntityId, Instant, Value};
use assent_workflow::{Machine, Step, Verb};

use super::{ENTITIES, LiveTurn, StateError, entity_item};

/// The items that a step makes.
///
/// # Errors
/// When the document has no form in JSON.
pub fn items<M: Machine>(turn: &LiveTurn<'_>, step: &Step<M>) -> Result<Vec<StateItem>, StateError> {
    let unreadable = || StateError::Unreadable { kind: M::SECTION };
    let (document, change) = (&step.to, verb(step.verb));
    let target = EntityId::new(M::TYPE, document.id());
    let known = turn.release().snapshot().facts().get(&target).is_some();
    let of_entity = match document.entity() {
        Some(entity) => Some(entity_item(change, entity).ok_or_else(unreadable)?),
        None if known => Some(StateItem {
            change: StateVerb::Deleted,
            section: ENTITIES.to_owned(),
            target: target.clone(),
            patient: document.patient().cloned(),
            payload: serde_json::Value::Null,
        }),
        None => None,
    };
    let of_document = StateItem {
        change,
        section: M::SECTION.to_owned(),
        target,
        patient: document.patient().cloned(),
        payload: serde_json::to_value(document).map_err(|_| unreadable())?,
    };
    Ok([Some(of_document), of_entity].into_iter().flatten().collect())
}

/// The document of a workflow as it is; `None` if there is none.
///
/// # Errors
/// When the store cannot be read, or the document is not what this software writes.
pub async fn document<M: Machine>(turn: &LiveTurn<'_>, id: &str) -> Result<Option<M>, StateError> {
    let found = turn.document(M::SECTION, id).await?;
    found.map(|found| found.parsed(M::SECTION)).transpose()
}

/// A person who takes a step.
#[derive(Clone)]
pub struct Person {
    /// Who.
    pub id: EntityId,
    /// The roles that the person has, those that a role is part of included.
    pub roles: BTreeSet<String>,
}

/// INVARIANT (no patient in logs): the type is printed.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({:?})", self.id)
    }
}

/// Moments from which on an account opens nothing, as the base policies have it.
const LAPSES: [&str; 2] = ["recertifyBy", "trainingValidUntil"];

/// The person of this name, if it is one who may act at this moment: of a type that acts at all, known, active, certified,
/// and neither on hold nor under sanction, by facts of the person and of its groups that are as fresh as they must be.
#[must_use]
pub fn person(turn: &LiveTurn<'_>, id: &EntityId, at: Instant) -> Option<Person> {
    let release = turn.release();
    let facts = release.snapshot().facts();
    let entity = facts.get(id)?;
    let flag = |name: &str| entity.attributes.get(name).and_then(Value::as_boolean);
    let is_held = release.state().is_some_and(|state| state.holds.of_actor(id));
    let is_out = |name: &&str| flag(name) == Some(true);
    if is_held || flag("active") == Some(false) || ["quarantined", "sanctionHold"].iter().any(is_out) {
        return None;
    }
    let has_lapsed =
        |name: &&str| entity.attributes.get(name).and_then(Value::as_instant).is_some_and(|end| end <= at);
    let groups = entity.ancestors.iter().filter_map(|group| facts.get(group));
    let is_stale = |entity: &Arc<Entity>| release.policies().stale(entity, at).is_some();
    if LAPSES.iter().any(has_lapsed) || [entity].into_iter().chain(groups).any(is_stale) {
        return None;
    }
    // A role or an organization is known too, and is nobody who could agree to anything.
    if !release.policies().subject_types().any(|kind| *kind == *id.kind) {
        return None;
    }
    let roles = entity.ancestors.iter().filter(|group| group.kind == "Role");
    Some(Person { id: id.clone(), roles: roles.map(|role| role.id.to_string()).collect() })
}

const fn verb(verb: Verb) -> StateVerb {
    match verb {
        Verb::Created => StateVerb::Created,
        Verb::Updated => StateVerb::Updated,
        Verb::Activated => StateVerb::Activated,
        Verb::Ended => StateVerb::Ended,
        Verb::Reviewed => StateVerb::Reviewed,
    }
}
