//! An entity in Cedar's own form: several times as large as ours, so that there is one only of those
//! entities that recent requests have reached.
//!
//! INVARIANT (a form is of one version): forms are remembered by where the entity is in memory, and hold it
//! there. A changed entity is another one, so that nothing must be forgotten when a snapshot changes, and
//! snapshots that share entities share their forms.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use assent_model::{Entity, EntityId};
use cedar_policy_core::ast;
use smol_str::SmolStr;

use super::Inner;
use super::edges::parents;
use crate::schema::Schema;
use crate::schema::types::EntityType;
use crate::value::{references, to_cedar};

/// An entity as Cedar sees it, with what it refers to.
pub(super) struct Form {
    /// Kept, so that no other entity comes to its place in memory.
    entity: Arc<Entity>,
    pub(super) cedar: Arc<ast::Entity>,
    /// The numbers of its ancestors and of the entities that its attributes refer to. They are the same in
    /// every snapshot that holds this entity, since none of those can be taken out while it refers to them.
    pub(super) neighbours: Box<[u32]>,
}

/// The Cedar name of an entity.
pub(crate) fn uid(entity_type: &EntityType, id: &SmolStr) -> ast::EntityUID {
    ast::EntityUID::from_components(entity_type.cedar.clone(), ast::Eid::new(id.clone()), None)
}

impl Form {
    /// The form of a stored entity.
    ///
    /// # Errors
    /// The name of an attribute whose value Cedar does not take, or of a type that the schema lacks.
    pub(super) fn of(schema: &Schema, inner: &Inner, entity: &Arc<Entity>) -> Result<Self, SmolStr> {
        let uid_of = |id: &EntityId| Some(uid(schema.types.get(id.kind.as_str())?, &id.id));
        let own = uid_of(&entity.id).ok_or_else(|| entity.id.kind.clone())?;
        let mut attributes: BTreeMap<SmolStr, ast::PartialValue> = BTreeMap::new();
        let mut neighbours = BTreeSet::new();
        for (name, value) in &entity.attributes {
            references(value, &mut |id| neighbours.extend(inner.facts.number(id)));
            let value = to_cedar(value, &|id| uid_of(id).map(Arc::new)).ok_or_else(|| name.clone())?;
            attributes.insert(name.clone(), value.into());
        }
        neighbours.extend(entity.ancestors.iter().filter_map(|id| inner.facts.number(id)));
        let direct: BTreeSet<&EntityId> = parents(inner, &entity.id).collect();
        let indirect = entity.ancestors.iter().filter(|id| !direct.contains(id)).filter_map(uid_of).collect();
        let direct = direct.iter().filter_map(|id| uid_of(id)).collect();
        let cedar = ast::Entity::new_with_attr_partial_value(own, attributes, indirect, direct, []);
        Ok(Self {
            entity: Arc::clone(entity),
            cedar: Arc::new(cedar),
            neighbours: neighbours.into_iter().collect(),
        })
    }
}

/// Parts that are locked by themselves, so that decisions seldom wait for one another.
const PARTS: usize = 16;
/// Forms in one part of one generation. All parts and both generations together hold 32,768 at most: of
/// ordinary entities, 1.5 to 2.5 kB each, some 60 MB.
const PART_MAX: usize = 1_024;

/// Which part a place belongs to. Places lie at regular distances, so their bits are mixed (by Fibonacci
/// hashing: the golden ratio as a fraction of 2^64).
const fn part(place: usize) -> usize {
    ((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PARTS
}

/// Forms by the place of their entity in memory.
type Forms = HashMap<usize, Arc<Form>>;

/// The forms that were needed last. Those that were not needed while a generation filled are let go.
#[derive(Default)]
pub(super) struct Remembered([RwLock<Generations>; PARTS]);

#[derive(Default)]
struct Generations {
    young: Forms,
    old: Forms,
}

impl Remembered {
    /// The form of this entity, made by `make` if it is not remembered.
    pub(super) fn form<E>(
        &self,
        entity: &Arc<Entity>,
        make: impl FnOnce() -> Result<Form, E>,
    ) -> Result<Arc<Form>, E> {
        let place = Arc::as_ptr(entity).addr();
        let Some(part) = self.0.get(part(place)) else { return make().map(Arc::new) };
        let known = part.read().unwrap_or_else(PoisonError::into_inner).young.get(&place).cloned();
        if let Some(form) = known {
            return Ok(form);
        }
        let old = part.read().unwrap_or_else(PoisonError::into_inner).old.get(&place).cloned();
        let form = match old {
            Some(form) => form,
            None => Arc::new(make()?),
        };
        debug_assert!(Arc::ptr_eq(&form.entity, entity), "a form is of one version");
        let mut generations = part.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= PART_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(place, Arc::clone(&form));
        Ok(form)
    }
}
