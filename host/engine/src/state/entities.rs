//! What a change of entities is on the log: whole entities, with who provided each attribute and when.
//!
//! Nothing here is checked against the schema: [`super::LiveTurn::commit`] does that for all items together.

use std::collections::BTreeMap;

use assent_audit::record::{StateItem, StateVerb};
use assent_model::{EntityId, EntityKind, Facts, Instant};
use assent_policy::{EVERY, PROVENANCE};
use assent_workflow::Machine;
use assent_workflow::break_glass::Emergency;
use serde_json::{Map, Value, json};

use super::{ENTITIES, LiveTurn, StateError};

/// The moments at which facts were provided, where whoever changes them says so: by names of attributes, or [`EVERY`].
/// `None`: now.
pub type Provided = BTreeMap<String, Option<Instant>>;

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
        /// When its attributes were provided; those without a moment are provided now.
        provided: Provided,
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
        /// When attributes were provided that change, or that are still so.
        provided: Provided,
    },
    /// It is gone; where the release's files have it as well, it is what they say.
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
        "the entity is in the release's files, and nothing of it was changed here: take it out there; here it can only \
         be given other attributes"
    )]
    OfFiles,
    /// It is said to have been provided later than now.
    #[error("`provenance.{0}` is a moment later than now")]
    NotYet(String),
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
    /// In the form of a document; of another moment where one is said.
    fn json(&self, at: Option<Instant>) -> Value {
        json!({ "at": at.unwrap_or(self.at), "by": { "type": self.by.kind, "id": self.by.id } })
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

    /// The name of what is said to have been provided after this moment.
    fn provided_after(&self, now: Instant) -> Option<String> {
        let (Self::Put { provided, .. } | Self::Patch { provided, .. }) = self else { return None };
        provided.iter().find(|(_, at)| at.is_some_and(|at| at > now)).map(|(name, _)| name.clone())
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
        if let Some(name) = self.provided_after(stamp.at) {
            return Ok(Err(EntityRefused::NotYet(name)));
        }
        let exists = facts.get(self.id()).is_some();
        let change = if exists { StateVerb::Updated } else { StateVerb::Created };
        Ok(match self {
            Self::Put { id, attrs, parents, provided } => {
                let mut provenance = Map::from_iter([(EVERY.to_owned(), stamp.json(None))]);
                provenance.extend(provided.iter().map(|(name, at)| (name.clone(), stamp.json(*at))));
                Ok(item(change, id, attrs, parents, Value::Object(provenance)))
            }
            Self::Patch { id, attrs, parents, provided } => match turn.release().snapshot().json(&id) {
                None => Err(EntityRefused::Unknown),
                Some(old) => Ok(patched(turn, (id, old), (attrs, parents, provided), stamp).await?),
            },
            Self::Remove { .. } if !exists => Err(EntityRefused::Unknown),
            Self::Remove { id } if is_of_files_alone(turn, &id).await? => Err(EntityRefused::OfFiles),
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

/// Whether the state says nothing of an entity, and the release's files do.
async fn is_of_files_alone(turn: &LiveTurn<'_>, id: &EntityId) -> Result<bool, StateError> {
    let in_files = turn.base().facts().get(id).is_some();
    Ok(in_files && turn.document(ENTITIES, &format!("{}/{}", id.kind, id.id)).await?.is_none())
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
    (attrs, parents, provided): (Map<String, Value>, Option<Vec<Value>>, Provided),
    stamp: &Stamp,
) -> Result<StateItem, StateError> {
    let stored = turn.document(ENTITIES, &format!("{}/{}", id.kind, id.id)).await?;
    let stored: Option<Value> = stored.and_then(|document| serde_json::from_str(&document.body).ok());
    // Where nothing changed it yet, what the files say of it.
    let mut provenance = match stored.as_ref().unwrap_or(&old).get(PROVENANCE) {
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
            let at = provided.get(&name).or_else(|| provided.get(EVERY));
            provenance.insert(name.clone(), stamp.json(at.copied().flatten()));
            merged.insert(name, value);
        }
    }
    // What does not change and is still so. That of all is about what changes.
    for (name, at) in provided.iter().filter(|(name, _)| *name != EVERY) {
        provenance.insert(name.clone(), stamp.json(*at));
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
