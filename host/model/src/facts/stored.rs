//! The entities an organization holds, with the look-ups that decisions use.
//!
//! A [`Facts`] is a value: a clone shares everything with the original, and a change of the clone costs a
//! few nodes of its trees and leaves the original as it was. Entities have numbers, by which indexes
//! refer to them in four bytes; an entity keeps its number until it is taken out.
//!
//! INVARIANT (one copy of each entity): entities are in `entities` and nowhere else. Indexes by name hold
//! hashes and numbers; what they lead to is compared before it counts.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use super::pairs::Pairs;
use super::{Entity, EntityKind};
use crate::value::{EntityId, Value};

/// An organization's entities at one time, with the look-ups that plugins' needs use.
#[derive(Clone, Default)]
pub struct Facts {
    kinds: Arc<BTreeMap<String, EntityKind>>,
    /// By number; empty where an entity was taken out and no other has its number yet.
    entities: imbl::Vector<Option<Arc<Entity>>>,
    /// Numbers that nobody has.
    free: imbl::Vector<u32>,
    /// From hashes of names to numbers.
    names: Pairs,
    /// Relations by hashes of their type and the entity at the `from` end.
    relations: Pairs,
    /// Approvals by requester; consents and disclosure decisions by patient; as hashes.
    approvals: Pairs,
    consents: Pairs,
    disclosure_decisions: Pairs,
    /// By hashes of their names.
    value_sets: Pairs,
    /// Seeded by chance, so that nobody can choose names that fall together.
    hasher: RandomState,
}

impl Facts {
    /// These entities. `kinds` says what the host knows of an entity type.
    pub fn new(entities: impl IntoIterator<Item = Entity>, kinds: BTreeMap<String, EntityKind>) -> Self {
        let mut facts = Self { kinds: Arc::new(kinds), ..Self::default() };
        for entity in entities {
            facts.put(Arc::new(entity));
        }
        facts
    }

    /// Puts an entity, in place of the one of that name if there is one, and gives its number. `None`
    /// where all four billion numbers are taken; nothing is changed then.
    pub fn put(&mut self, entity: Arc<Entity>) -> Option<u32> {
        let number = match self.number(&entity.id) {
            Some(number) => {
                self.unindex(number);
                number
            }
            None => {
                let number = match self.free.pop_back() {
                    Some(number) => number,
                    None => {
                        let next = u32::try_from(self.entities.len()).ok()?;
                        self.entities.push_back(None);
                        next
                    }
                };
                self.names.insert(self.hash(&entity.id), number);
                number
            }
        };
        if let Some((index, hash)) = self.look_up_key(&entity) {
            self.index(index).insert(hash, number);
        }
        self.entities.set(number as usize, Some(entity));
        Some(number)
    }

    /// Takes an entity out. Its number may go to another one.
    pub fn remove(&mut self, id: &EntityId) {
        if let Some(number) = self.number(id) {
            self.unindex(number);
            self.names.remove(self.hash(id), number);
            self.entities.set(number as usize, None);
            self.free.push_back(number);
        }
    }

    /// The number of an entity.
    pub fn number(&self, id: &EntityId) -> Option<u32> {
        let is_it = |number: &u32| self.numbered(*number).is_some_and(|entity| entity.id == *id);
        self.names.seconds(self.hash(id)).find(is_it)
    }

    /// The entity that has this number.
    pub fn numbered(&self, number: u32) -> Option<&Arc<Entity>> {
        self.entities.get(number as usize)?.as_ref()
    }

    /// The entity with this id.
    pub fn get(&self, id: &EntityId) -> Option<&Arc<Entity>> {
        self.numbered(self.number(id)?)
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
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All entities, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.entities.iter().flatten()
    }

    /// The relations of this type that begin at `from` and end at `to`; by id.
    pub fn relations<'a>(
        &'a self,
        relation_type: &str,
        from: &EntityId,
        to: &EntityId,
    ) -> impl Iterator<Item = &'a Arc<Entity>> {
        let ends = match self.kind(relation_type) {
            Some(EntityKind::Relation { from, to }) => Some((from, to)),
            _ => None,
        };
        let matches = |entity: &Entity| {
            ends.is_some_and(|(from_name, to_name)| {
                entity.id.kind == relation_type
                    && reference(entity, from_name) == Some(from)
                    && reference(entity, to_name) == Some(to)
            })
        };
        self.found(&self.relations, self.hash(&(relation_type, from)), matches)
    }

    /// The approvals that this requester asked for; by id.
    pub fn approvals(&self, requester: &EntityId) -> impl Iterator<Item = &Arc<Entity>> {
        let matches = |entity: &Entity| reference(entity, REQUESTER) == Some(requester);
        self.found(&self.approvals, self.hash(requester), matches)
    }

    /// The consents of this patient; by id.
    pub fn consents(&self, patient: &EntityId) -> impl Iterator<Item = &Arc<Entity>> {
        let matches = |entity: &Entity| reference(entity, PATIENT) == Some(patient);
        self.found(&self.consents, self.hash(patient), matches)
    }

    /// The professional disclosure decisions about this patient; by id.
    pub fn disclosure_decisions(&self, patient: &EntityId) -> impl Iterator<Item = &Arc<Entity>> {
        let matches = |entity: &Entity| reference(entity, PATIENT) == Some(patient);
        self.found(&self.disclosure_decisions, self.hash(patient), matches)
    }

    /// The value set of this name. Two types of value sets could share a name; the first by type counts.
    pub fn value_set(&self, name: &str) -> Option<&Arc<Entity>> {
        self.found(&self.value_sets, self.hash(name), |entity| entity.id.id == name).next()
    }

    /// What an index leads to and `matches`, by id. Few are left to be sorted: those of one patient,
    /// requester or pair of ends.
    fn found(
        &self,
        index: &Pairs,
        hash: u32,
        matches: impl Fn(&Entity) -> bool,
    ) -> std::vec::IntoIter<&Arc<Entity>> {
        let entities = index.seconds(hash).filter_map(|number| self.numbered(number));
        let mut found: Vec<_> = entities.filter(|entity| matches(entity)).collect();
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        found.into_iter()
    }

    /// Under which hash an entity is looked up, and where.
    fn look_up_key(&self, entity: &Entity) -> Option<(Index, u32)> {
        let by = |name: &str| reference(entity, name).map(|end| self.hash(end));
        match self.kinds.get(entity.id.kind.as_str())? {
            EntityKind::Relation { from, .. } => {
                let from = reference(entity, from)?;
                Some((Index::Relations, self.hash(&(entity.id.kind.as_str(), from))))
            }
            EntityKind::Approval => Some((Index::Approvals, by(REQUESTER)?)),
            EntityKind::Consent => Some((Index::Consents, by(PATIENT)?)),
            EntityKind::DisclosureDecision => Some((Index::DisclosureDecisions, by(PATIENT)?)),
            EntityKind::ValueSet => Some((Index::ValueSets, self.hash(entity.id.id.as_str()))),
            EntityKind::Patient => None,
        }
    }

    fn index(&mut self, index: Index) -> &mut Pairs {
        match index {
            Index::Relations => &mut self.relations,
            Index::Approvals => &mut self.approvals,
            Index::Consents => &mut self.consents,
            Index::DisclosureDecisions => &mut self.disclosure_decisions,
            Index::ValueSets => &mut self.value_sets,
        }
    }

    fn unindex(&mut self, number: u32) {
        let key = self.numbered(number).and_then(|entity| self.look_up_key(entity));
        if let Some((index, hash)) = key {
            self.index(index).remove(hash, number);
        }
    }

    fn hash(&self, key: &(impl Hash + ?Sized)) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

/// The attribute of an approval that says whose it is.
const REQUESTER: &str = "requester";
/// The attribute of a consent or disclosure decision that says whose it is.
const PATIENT: &str = "patient";

enum Index {
    Relations,
    Approvals,
    Consents,
    DisclosureDecisions,
    ValueSets,
}

fn reference<'a>(entity: &'a Entity, name: &str) -> Option<&'a EntityId> {
    entity.attributes.get(name).and_then(Value::as_entity)
}

/// INVARIANT (no patient in logs): entities are counted, not printed.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({} entities)", self.len())
    }
}

#[cfg(test)]
mod tests;
