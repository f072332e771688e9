//! Facts: the entities an organization holds, and the view of them that one decision sees.
//!
//! INVARIANT (one release per decision): a [`DecisionFacts`] is taken once, from one snapshot;
//! policies, plugins and the explanation read the same values from it.

mod pairs;
mod stored;

pub use pairs::Pairs;
pub use stored::Facts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::record::Record;
use crate::time::{Date, Instant};
use crate::value::{EntityId, Value};

/// One entity with its attributes and ancestors. What others have as well is shared with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Type and id.
    pub id: EntityId,
    /// Attributes by name.
    pub attributes: Record,
    /// All ancestors (groups, roles, organizations it is in, and theirs), sorted.
    pub ancestors: Arc<[EntityId]>,
    /// When attributes that must be fresh were provided, by their names; `None` where it has no such attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provided: Option<Arc<BTreeMap<SmolStr, Instant>>>,
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
    pub context: Record,
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
    pub(crate) fn root(&self, name: &str) -> Result<&Record, Absence> {
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
    pub(crate) fn attributes_of<'a>(&'a self, value: &'a Value) -> Result<&'a Record, Absence> {
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
            attributes: attributes.iter().map(|(k, v)| (*k, v.clone())).collect(),
            ancestors: Arc::default(),
            provided: None,
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
            context: Record::from([(
                "session",
                Value::Record(Record::from([("mfa", Value::Boolean(true))])),
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
        assert_eq!(facts.facts.relations("Proxy", &proxy, &patient).count(), 1);
        assert_eq!(facts.facts.relations("Proxy", &proxy, &other).count(), 0);
        assert_eq!(facts.facts.relations("Proxy", &patient, &patient).count(), 0);
    }
}
