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

/// Why Cedar does not take an entity.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the schema has no entity type of that name")]
    UnknownType,
    #[error("attrs.{attribute} is out of range")]
    OutOfRange { attribute: SmolStr },
}

/// The Cedar name of an entity.
pub(crate) fn uid(entity_type: &EntityType, id: &SmolStr) -> ast::EntityUID {
    ast::EntityUID::from_components(entity_type.cedar.clone(), ast::Eid::new(id.clone()), None)
}

impl Form {
    /// The form of a stored entity.
    ///
    /// # Errors
    /// Why Cedar does not take it.
    pub(super) fn of(schema: &Schema, inner: &Inner, entity: &Arc<Entity>) -> Result<Self, Unfit> {
        let uid_of = |id: &EntityId| Some(uid(schema.types.get(id.kind.as_str())?, &id.id));
        let own = uid_of(&entity.id).ok_or(Unfit::UnknownType)?;
        let mut attributes: BTreeMap<SmolStr, ast::PartialValue> = BTreeMap::new();
        let mut neighbours = BTreeSet::new();
        for (name, value) in &entity.attributes {
            references(value, &mut |id| neighbours.extend(inner.facts.number(id)));
            let value = to_cedar(value, &|id| uid_of(id).map(Arc::new))
                .ok_or_else(|| Unfit::OutOfRange { attribute: name.clone() })?;
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
/// ordinary entities, 1.5 to 2.5 kB each, some 60 MB. Few in tests, so that these let some go.
const PART_MAX: usize = if cfg!(test) { 4 } else { 1_024 };

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
        let old = {
            let generations = part.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(form) = generations.young.get(&place) {
                return Ok(Arc::clone(form));
            }
            generations.old.get(&place).cloned()
        };
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::Snapshot;
    use crate::policies::Policies;
    use crate::testing::{policies, snapshot_with};

    /// A world with a thousand entities more.
    fn world() -> (Policies, Snapshot) {
        let policies = policies(&["permit(principal, action, resource);"]);
        let roles: Vec<Json> =
            (0..1_000).map(|number| json!({"uid": {"type": "Role", "id": number.to_string()}})).collect();
        let snapshot = snapshot_with(&policies, &json!(roles));
        (policies, snapshot)
    }

    /// Forms that are remembered, and how many were made.
    struct Counted<'a> {
        policies: &'a Policies,
        snapshot: &'a Snapshot,
        remembered: Remembered,
        made: Cell<usize>,
    }

    impl<'a> Counted<'a> {
        fn new((policies, snapshot): &'a (Policies, Snapshot)) -> Self {
            Self { policies, snapshot, remembered: Remembered::default(), made: Cell::new(0) }
        }

        fn fresh(&self, entity: &Arc<Entity>) -> Form {
            Form::of(&self.policies.schema, &self.snapshot.inner, entity).unwrap()
        }

        fn form(&self, entity: &Arc<Entity>) -> Arc<Form> {
            let make = || {
                self.made.set(self.made.get() + 1);
                Ok::<_, Unfit>(self.fresh(entity))
            };
            self.remembered.form(entity, make).unwrap()
        }
    }

    #[test]
    fn of_more_forms_than_fit_each_is_right_and_what_is_needed_again_and_again_is_made_once() {
        let world = world();
        let counted = Counted::new(&world);
        let nina = world.1.entity(&EntityId::new("User", "nina")).unwrap();
        let first = counted.form(nina);
        let others: Vec<_> = world.1.facts().iter().filter(|entity| entity.id != nina.id).collect();
        for round in 1..=2 {
            for entity in &others {
                let expected = counted.fresh(entity);
                let found = counted.form(entity);
                assert!(Arc::ptr_eq(&found.entity, entity) && found.cedar.deep_eq(&expected.cedar));
                assert_eq!(found.neighbours, expected.neighbours);
                assert!(Arc::ptr_eq(&counted.form(nina), &first), "it was needed since");
            }
            // All others were let go before they were needed again.
            assert_eq!(counted.made.get(), 1 + round * others.len());
        }
    }

    #[test]
    fn a_part_remembers_two_full_generations_and_lets_one_go_for_one_form_more() {
        let world = world();
        let counted = Counted::new(&world);
        let here = |entity: &&Arc<Entity>| part(Arc::as_ptr(entity).addr()) == 0;
        let entities: Vec<_> = world.1.facts().iter().filter(here).take(2 * PART_MAX + 1).collect();
        let (last, full) = entities.split_last().unwrap();
        full.iter().for_each(|entity| drop(counted.form(entity)));
        let lengths = || {
            let Generations { young, old } = &*counted.remembered.0[0].read().unwrap();
            (young.len(), old.len())
        };
        assert_eq!((counted.made.get(), lengths()), (2 * PART_MAX, (PART_MAX, PART_MAX)));
        counted.form(last);
        assert_eq!((counted.made.get(), lengths()), (2 * PART_MAX + 1, (1, PART_MAX)));
        let (first, second) = full.split_at(PART_MAX);
        counted.form(second[0]);
        assert_eq!(counted.made.get(), 2 * PART_MAX + 1, "it is in the old generation");
        counted.form(first[0]);
        assert_eq!(counted.made.get(), 2 * PART_MAX + 2, "it was let go");
    }
}
