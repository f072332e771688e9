//! Facts: the entities an organization holds, and the view of them that one decision sees.
//!
//! INVARIANT (one release per decision): a [`DecisionFacts`] is taken once, from one snapshot;
//! policies, plugins and the explanation read the same values from it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::{Date, Instant};
use crate::value::{EntityId, Value};

/// One entity with its attributes and parents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Type and id.
    pub id: EntityId,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Value>,
    /// All ancestors (groups, roles, organizations it is in, and theirs), sorted.
    pub ancestors: Vec<EntityId>,
}

/// What the host itself knows about an entity type, from the `@kind` annotation in the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityKind {
    /// The person whose record it is.
    Patient,
    /// A relation between two entities, with attributes of its own: `from` and `to` name the
    /// attributes that hold its ends.
    Relation {
        /// The attribute that refers to the first end, such as the proxy.
        from: String,
        /// The attribute that refers to the second end, such as the patient.
        to: String,
    },
    /// An approval of an export or access; attribute `requester` says whose.
    Approval,
    /// A consent directive; attribute `patient` says whose.
    Consent,
    /// A licensed professional's decision to disclose or withhold; attribute `patient` says about whom.
    DisclosureDecision,
    /// A named set of codes; the id is its name.
    ValueSet,
}

/// Why a fact that was asked for is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The entity is known, the attribute has no value.
    NotRecorded,
    /// The request concerns no patient.
    NoPatient,
    /// The path leads to an entity that is not known.
    UnknownEntity,
    /// The path leads through a value that has no attributes.
    NotARecord,
}

impl Absence {
    /// The reason as a short kebab-case code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotRecorded => "not-recorded",
            Self::NoPatient => "no-patient",
            Self::UnknownEntity => "unknown-entity",
            Self::NotARecord => "not-a-record",
        }
    }
}

/// An immutable snapshot of an organization's entities, with the look-ups that plugins' needs use.
#[derive(Default)]
pub struct Facts {
    entities: HashMap<EntityId, Arc<Entity>>,
    kinds: BTreeMap<String, EntityKind>,
    /// Relations by type, then by the entity at the `from` end. Each sorted by id.
    relations: HashMap<String, HashMap<EntityId, Vec<Arc<Entity>>>>,
    /// Approvals by requester; consents and disclosure decisions by patient. Each sorted by id.
    approvals: HashMap<EntityId, Vec<Arc<Entity>>>,
    consents: HashMap<EntityId, Vec<Arc<Entity>>>,
    disclosure_decisions: HashMap<EntityId, Vec<Arc<Entity>>>,
    value_sets: HashMap<String, Arc<Entity>>,
}

impl Facts {
    /// A snapshot of these entities. `kinds` says what the host knows of an entity type.
    pub fn new(entities: impl IntoIterator<Item = Entity>, kinds: BTreeMap<String, EntityKind>) -> Self {
        let mut facts = Self { kinds, ..Self::default() };
        for entity in entities {
            facts.entities.insert(entity.id.clone(), Arc::new(entity));
        }
        let mut sorted: Vec<_> = facts.entities.values().cloned().collect();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        for entity in sorted {
            let reference = |name: &str| entity.attributes.get(name).and_then(Value::as_entity);
            match facts.kinds.get(&entity.id.kind) {
                Some(EntityKind::Relation { from, .. }) => {
                    let of_type = facts.relations.entry(entity.id.kind.clone()).or_default();
                    push(of_type, reference(from), &entity);
                }
                Some(EntityKind::Approval) => push(&mut facts.approvals, reference("requester"), &entity),
                Some(EntityKind::Consent) => push(&mut facts.consents, reference("patient"), &entity),
                Some(EntityKind::DisclosureDecision) => {
                    push(&mut facts.disclosure_decisions, reference("patient"), &entity);
                }
                Some(EntityKind::ValueSet) => {
                    // Two types of value sets could share a name; the first by type counts.
                    facts.value_sets.entry(entity.id.id.clone()).or_insert(entity);
                }
                Some(EntityKind::Patient) | None => {}
            }
        }
        facts
    }

    /// The entity with this id.
    pub fn get(&self, id: &EntityId) -> Option<&Arc<Entity>> {
        self.entities.get(id)
    }

    /// What the host knows of this entity type.
    pub fn kind(&self, entity_type: &str) -> Option<&EntityKind> {
        self.kinds.get(entity_type)
    }

    /// The entity types of which the host knows something, with what it knows.
    pub fn kinds(&self) -> impl Iterator<Item = (&String, &EntityKind)> {
        self.kinds.iter()
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// All entities, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.entities.values()
    }

    /// The relations of this type that begin at `from` and, where given, end at `to`; by id.
    pub fn relations<'a>(
        &'a self,
        relation_type: &str,
        from: &EntityId,
        to: Option<&'a EntityId>,
    ) -> impl Iterator<Item = &'a Arc<Entity>> {
        let to_name = match self.kinds.get(relation_type) {
            Some(EntityKind::Relation { to, .. }) => to.as_str(),
            _ => "",
        };
        let of_type = self.relations.get(relation_type).and_then(|of_type| of_type.get(from));
        of_type.into_iter().flatten().filter(move |relation| {
            to.is_none_or(|to| relation.attributes.get(to_name).and_then(Value::as_entity) == Some(to))
        })
    }

    /// The approvals that this requester asked for; by id.
    pub fn approvals(&self, requester: &EntityId) -> &[Arc<Entity>] {
        self.approvals.get(requester).map_or(&[], Vec::as_slice)
    }

    /// The consents of this patient; by id.
    pub fn consents(&self, patient: &EntityId) -> &[Arc<Entity>] {
        self.consents.get(patient).map_or(&[], Vec::as_slice)
    }

    /// The professional disclosure decisions about this patient; by id.
    pub fn disclosure_decisions(&self, patient: &EntityId) -> &[Arc<Entity>] {
        self.disclosure_decisions.get(patient).map_or(&[], Vec::as_slice)
    }

    /// The value set of this name.
    pub fn value_set(&self, name: &str) -> Option<&Arc<Entity>> {
        self.value_sets.get(name)
    }
}

fn push(index: &mut HashMap<EntityId, Vec<Arc<Entity>>>, key: Option<&EntityId>, entity: &Arc<Entity>) {
    if let Some(key) = key {
        index.entry(key.clone()).or_default().push(Arc::clone(entity));
    }
}

/// INVARIANT (no patient in logs): entities are counted, not printed.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({} entities)", self.len())
    }
}

/// The facts of one decision: the snapshot, with what this request supplies laid over it.
#[derive(Clone)]
pub struct DecisionFacts {
    /// The snapshot everything else is read from.
    pub facts: Arc<Facts>,
    /// Who asks, with the attributes the caller may supply laid over the stored ones.
    pub subject: Arc<Entity>,
    /// The action, as the policies name it.
    pub action: String,
    /// What is asked for, overlaid likewise.
    pub resource: Arc<Entity>,
    /// The patient whose record it is, where the request concerns one.
    pub patient: Option<Arc<Entity>>,
    /// The context that policies see: accepted values from the caller and the host's own.
    pub context: BTreeMap<String, Value>,
    /// The purpose of use, an HL7 v3 PurposeOfUse code such as `TREAT`.
    pub purpose: Option<String>,
    /// The host's clock at the decision.
    pub now: Instant,
    /// The calendar date at `now` in the patient's time zone (attribute `timeZone`).
    pub today: Option<Date>,
}

/// INVARIANT (no patient in logs): the action and the entity types are printed, nothing else.
impl fmt::Debug for DecisionFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecisionFacts({:?}, {}, {:?})", self.subject.id, self.action, self.resource.id)
    }
}

impl DecisionFacts {
    /// The value at a path such as `patient.birthDate`, `resource.encounter.state` or
    /// `context.session.mfa`. A path begins with `subject`, `resource`, `patient`, `context` or
    /// `action` and may cross records and references to entities.
    ///
    /// # Errors
    /// Why there is no such value.
    pub fn attribute(&self, path: &str) -> Result<&Value, Absence> {
        let mut steps = path.split('.');
        let mut attributes = self.root(steps.next().unwrap_or_default())?;
        let mut found: Option<&Value> = None;
        for step in steps {
            if let Some(value) = found {
                attributes = self.attributes_of(value)?;
            }
            found = Some(attributes.get(step).ok_or(Absence::NotRecorded)?);
        }
        found.ok_or(Absence::NotRecorded)
    }

    /// What a path that begins with this word leads into.
    pub(crate) fn root(&self, name: &str) -> Result<&BTreeMap<String, Value>, Absence> {
        match name {
            "subject" => Ok(&self.subject.attributes),
            "resource" => Ok(&self.resource.attributes),
            "patient" => Ok(&self.patient.as_ref().ok_or(Absence::NoPatient)?.attributes),
            "context" => Ok(&self.context),
            "action" => match self.context.get("action") {
                Some(Value::Record(record)) => Ok(record),
                _ => Err(Absence::NotRecorded),
            },
            _ => Err(Absence::NotRecorded),
        }
    }

    /// What a path leads into that goes on from this value.
    pub(crate) fn attributes_of<'a>(
        &'a self,
        value: &'a Value,
    ) -> Result<&'a BTreeMap<String, Value>, Absence> {
        match value {
            Value::Record(record) => Ok(record),
            Value::Entity(id) => self.entity(id).map(|entity| &entity.attributes),
            _ => Err(Absence::NotARecord),
        }
    }

    /// The entity with this id as this decision sees it.
    ///
    /// # Errors
    /// [`Absence::UnknownEntity`].
    pub fn entity(&self, id: &EntityId) -> Result<&Entity, Absence> {
        let overlaid = [Some(&self.subject), Some(&self.resource), self.patient.as_ref()];
        overlaid
            .into_iter()
            .flatten()
            .find(|entity| entity.id == *id)
            .or_else(|| self.facts.get(id))
            .map(AsRef::as_ref)
            .ok_or(Absence::UnknownEntity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    fn entity(kind: &str, id: &str, attributes: &[(&str, Value)]) -> Entity {
        Entity {
            id: EntityId::new(kind, id),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            ancestors: vec![],
        }
    }

    fn sample() -> DecisionFacts {
        let patient = EntityId::new("Patient", "p1");
        let kinds = BTreeMap::from([
            ("Proxy".to_owned(), EntityKind::Relation { from: "person".into(), to: "patient".into() }),
            ("Patient".to_owned(), EntityKind::Patient),
        ]);
        let facts = Facts::new(
            [
                entity("Patient", "p1", &[("state", Value::Text("CA".into()))]),
                entity(
                    "Proxy",
                    "x1",
                    &[
                        ("person", Value::Entity(EntityId::new("RelatedPerson", "r1"))),
                        ("patient", Value::Entity(patient.clone())),
                    ],
                ),
            ],
            kinds,
        );
        DecisionFacts {
            subject: Arc::new(entity("RelatedPerson", "r1", &[])),
            action: "read".into(),
            resource: Arc::new(entity(
                "Observation",
                "o1",
                &[
                    ("patient", Value::Entity(patient.clone())),
                    ("ghost", Value::Entity(EntityId::new("Patient", "nobody"))),
                ],
            )),
            patient: facts.get(&patient).cloned(),
            facts: Arc::new(facts),
            context: BTreeMap::from([(
                "session".to_owned(),
                Value::Record(BTreeMap::from([("mfa".to_owned(), Value::Boolean(true))])),
            )]),
            purpose: None,
            now: Instant::from_millis(0).unwrap(),
            today: None,
        }
    }

    /// A tree of paths gives what each path gives alone, in any order and however often.
    #[test]
    fn a_tree_of_paths_gives_what_each_path_gives_alone() {
        let mut facts = sample();
        let mut paths = vec![
            "",
            "patient",
            "elsewhere.x",
            "action.soft",
            "patient.state",
            "patient.zip",
            "patient.state.code",
            "resource.patient",
            "resource.patient.state",
            "resource.patient.state.code",
            "resource.ghost",
            "resource.ghost.state",
            "resource.ghost.state.code",
            "context.session.mfa",
            "context.session",
            "context.session.mfa",
            "subject.patient.state",
        ];
        for _ in 0..2 {
            for turn in 0..paths.len() {
                paths.rotate_left(turn);
                let expected: Vec<_> = paths.iter().map(|path| facts.attribute(path)).collect();
                assert_eq!(Paths::new(paths.iter().copied()).values(&facts), expected, "{paths:?}");
            }
            facts.patient = None;
        }
        assert_eq!(Paths::new([]).values(&facts), []);
    }

    #[test]
    fn paths_cross_records_and_references() {
        let facts = sample();
        assert_eq!(facts.attribute("patient.state"), Ok(&Value::Text("CA".into())));
        assert_eq!(facts.attribute("resource.patient.state"), Ok(&Value::Text("CA".into())));
        assert_eq!(facts.attribute("context.session.mfa"), Ok(&Value::Boolean(true)));
    }

    #[test]
    fn absent_facts_say_why() {
        let mut facts = sample();
        assert_eq!(facts.attribute("patient.zip"), Err(Absence::NotRecorded));
        assert_eq!(facts.attribute("resource.ghost.state"), Err(Absence::UnknownEntity));
        assert_eq!(facts.attribute("patient.state.code"), Err(Absence::NotARecord));
        for path in ["", "patient", "elsewhere.x", "action.soft"] {
            assert_eq!(facts.attribute(path), Err(Absence::NotRecorded), "{path}");
        }
        facts.patient = None;
        assert_eq!(facts.attribute("patient.state"), Err(Absence::NoPatient));
    }

    #[test]
    fn relations_are_found_by_both_ends() {
        let facts = sample();
        let (proxy, patient) = (EntityId::new("RelatedPerson", "r1"), EntityId::new("Patient", "p1"));
        let other = EntityId::new("Patient", "p2");
        assert_eq!(facts.facts.relations("Proxy", &proxy, Some(&patient)).count(), 1);
        assert_eq!(facts.facts.relations("Proxy", &proxy, None).count(), 1);
        assert_eq!(facts.facts.relations("Proxy", &proxy, Some(&other)).count(), 0);
        assert_eq!(facts.facts.relations("Proxy", &patient, None).count(), 0);
    }
}
