//! What a change of entities is on the log: whole entities, with who provided each attribute and when.
//!
//! Nothing here is checked against the schema: [`super::LiveTurn::commit`] does that for all items together.

use assent_audit::record::{StateItem, StateVerb};
use assent_model::{EntityId, EntityKind, Facts, Instant};
use assent_workflow::Machine;
use assent_workflow::break_glass::Emergency;
use serde_json::{Map, Value, json};

use super::{ENTITIES, LiveTurn, PROVENANCE, StateError};

/// The member of the provenance that counts for every attribute without one of its own.
const ALL: &str = "*";

/// One thing to do with an entity.
#[derive(Clone, PartialEq)]
pub enum EntityChange {
    /// It is this from now on, whatever it was.
    Put {
        /// Which.
        id: EntityId,
        /// Its attributes, in Cedar's JSON.
        attrs: Map<String, Value>,
        /// Its parents, each `{"type", "id"}`.
        parents: Vec<Value>,
    },
    /// Some of it changes (RFC 7396): members of `attrs` replace attributes, `null` removes one; `parents`, where
    /// there are any, replace all.
    Patch {
        /// Which.
        id: EntityId,
        /// What changes of its attributes.
        attrs: Map<String, Value>,
        /// Its parents from now on.
        parents: Option<Vec<Value>>,
    },
    /// It is gone.
    Remove {
        /// Which.
        id: EntityId,
    },
}

/// INVARIANT (no patient in logs): the type is printed.
impl std::fmt::Debug for EntityChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put { id, .. } => write!(f, "Put({id:?})"),
            Self::Patch { id, .. } => write!(f, "Patch({id:?})"),
            Self::Remove { id } => write!(f, "Remove({id:?})"),
        }
    }
}

/// Why an entity cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityRefused {
    /// It does not exist.
    #[error("there is no such entity")]
    Unknown,
    /// A file of the release holds it.
    #[error(
        "the entity is in the release's files: take it out there; here it can only be given other attributes"
    )]
    OfFiles,
    /// A workflow keeps entities of this type.
    #[error("entities of type `{0}` are made by their own workflow, and by nothing else")]
    OfWorkflow(String),
}

/// Who provides facts, and when.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Who, as the log names them.
    pub by: EntityId,
    /// When.
    pub at: Instant,
}

impl Stamp {
    fn json(&self) -> Value {
        json!({ "at": self.at, "by": { "type": self.by.kind, "id": self.by.id } })
    }
}

impl EntityChange {
    /// Which entity it is about.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        match self {
            Self::Put { id, .. } | Self::Patch { id, .. } | Self::Remove { id } => id,
        }
    }

    /// What it is on the log, given the state as it is.
    ///
    /// # Errors
    /// The inner one: why it cannot be. The outer one: the store cannot be read.
    pub async fn item(
        self,
        turn: &LiveTurn<'_>,
        stamp: &Stamp,
    ) -> Result<Result<StateItem, EntityRefused>, StateError> {
        let facts = turn.release().snapshot().facts();
        if is_of_workflow(facts, self.id()) {
            return Ok(Err(EntityRefused::OfWorkflow(self.id().kind.to_string())));
        }
        let exists = facts.get(self.id()).is_some();
        let change = if exists { StateVerb::Updated } else { StateVerb::Created };
        Ok(match self {
            Self::Put { id, attrs, parents } => {
                Ok(item(change, id, attrs, parents, json!({ ALL: stamp.json() })))
            }
            Self::Patch { id, attrs, parents } => match turn.release().snapshot().json(&id) {
                None => Err(EntityRefused::Unknown),
                Some(old) => Ok(patched(turn, (id, old), (attrs, parents), stamp).await?),
            },
            Self::Remove { .. } if !exists => Err(EntityRefused::Unknown),
            Self::Remove { id } if turn.base().facts().get(&id).is_some() => Err(EntityRefused::OfFiles),
            Self::Remove { id } => {
                let attrs = turn.release().snapshot().json(&id);
                let attrs = attrs.as_ref().and_then(|old| old.get("attrs")).and_then(Value::as_object);
                let patient = patient(&id, attrs.unwrap_or(&Map::new()));
                let payload = Value::Null;
                let section = ENTITIES.to_owned();
                Ok(StateItem { change: StateVerb::Deleted, section, target: id, patient, payload })
            }
        })
    }
}

/// The item that an entity of a workflow is: its document is the entity and nothing beside.
#[must_use]
pub fn entity_item(change: StateVerb, entity: Value) -> Option<StateItem> {
    let uid = entity.get("uid")?;
    let member = |name: &str| uid.get(name)?.as_str();
    let target = EntityId::new(member("type")?, member("id")?);
    let patient = entity.get("attrs").and_then(Value::as_object).and_then(|attrs| patient(&target, attrs));
    Some(StateItem { change, section: ENTITIES.to_owned(), target, patient, payload: entity })
}

async fn patched(
    turn: &LiveTurn<'_>,
    (id, old): (EntityId, Value),
    (attrs, parents): (Map<String, Value>, Option<Vec<Value>>),
    stamp: &Stamp,
) -> Result<StateItem, StateError> {
    let stored = turn.document(ENTITIES, &format!("{}/{}", id.kind, id.id)).await?;
    let stored: Option<Value> = stored.and_then(|document| serde_json::from_str(&document.body).ok());
    let mut provenance = match stored.as_ref().and_then(|stored| stored.get(PROVENANCE)) {
        Some(Value::Object(provenance)) => provenance.clone(),
        _ => Map::new(),
    };
    let object = |name: &str| old.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut merged = object("attrs");
    for (name, value) in attrs {
        if value.is_null() {
            merged.remove(&name);
            provenance.remove(&name);
        } else {
            provenance.insert(name.clone(), stamp.json());
            merged.insert(name, value);
        }
    }
    let old_parents = || old.get("parents").and_then(Value::as_array).cloned().unwrap_or_default();
    let parents = parents.unwrap_or_else(old_parents);
    Ok(item(StateVerb::Updated, id, merged, parents, Value::Object(provenance)))
}

fn item(
    change: StateVerb,
    id: EntityId,
    attrs: Map<String, Value>,
    parents: Vec<Value>,
    provenance: Value,
) -> StateItem {
    let patient = patient(&id, &attrs);
    let uid = json!({ "type": id.kind, "id": id.id });
    let payload = json!({ "uid": uid, "attrs": attrs, "parents": parents, PROVENANCE: provenance });
    StateItem { change, section: ENTITIES.to_owned(), target: id, patient, payload }
}

/// The patient whom an entity concerns: itself, or the one that its attribute `patient` refers to.
fn patient(id: &EntityId, attrs: &Map<String, Value>) -> Option<EntityId> {
    const PATIENT: &str = "patient";
    if id.kind == "Patient" {
        return Some(id.clone());
    }
    let reference = attrs.get(PATIENT)?;
    let reference = reference.get("__entity").unwrap_or(reference);
    let member = |name: &str| reference.get(name)?.as_str();
    Some(EntityId::new(member("type")?, member("id")?))
}

/// Whether a workflow makes entities of this type, so that nobody writes a grant by hand.
fn is_of_workflow(facts: &Facts, id: &EntityId) -> bool {
    let by_kind = match facts.kind(&id.kind) {
        Some(EntityKind::Approval | EntityKind::Consent | EntityKind::DisclosureDecision) => true,
        Some(EntityKind::Patient | EntityKind::Relation { .. } | EntityKind::ValueSet) | None => false,
    };
    by_kind || id.kind == Emergency::TYPE
}
