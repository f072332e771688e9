//! Closes the hierarchy over a change: the ancestors of what is put, and of everything below an entity
//! whose parents changed. Refuses circles.
//!
//! Entities with the same parents have the same ancestors, and share one list of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use assent_model::EntityId;

use super::change::After;
use super::edges::parents;
use super::load::Read;
use crate::error::LoadProblem;

/// How many of its siblings are asked for a list of ancestors that an entity could share.
const SIBLINGS_MAX: usize = 4;

/// New lists of ancestors, sorted.
pub(super) struct Closed {
    /// Of what is put, in its order.
    pub(super) puts: Vec<Arc<[EntityId]>>,
    /// Of other entities whose ancestors change, by number.
    pub(super) moved: Vec<(u32, Arc<[EntityId]>)>,
}

/// The ancestors of everything that is put or moves with it.
pub(super) fn close(after: &After<'_>, puts: &[Read], problems: &mut Vec<LoadProblem>) -> Closed {
    let facts = after.before.facts();
    let below = below(after, puts);
    let mut lists = Lists { after, below: &below, by_parents: HashMap::new() };
    let mut closed = Closed { puts: Vec::with_capacity(puts.len()), moved: Vec::new() };
    for read in puts {
        let ancestors = lists.of(&read.id, &read.parents);
        // Of a circle, every member that is put is named; one is, since the rest had none before.
        if ancestors.binary_search(&read.id).is_ok() {
            problems.push(read.origin.problem(format!("`{}` is its own ancestor", read.id)));
        }
        closed.puts.push(ancestors);
    }
    for number in &below {
        let id = facts.numbered(*number).map(|entity| &entity.id);
        if let Some(id) = id.filter(|id| after.keeps(id)) {
            closed.moved.push((*number, lists.of(id, &after.parents(id))));
        }
    }
    closed
}

/// The numbers of the stored entities that are below one whose parents change, and perhaps of some that
/// were.
fn below(after: &After<'_>, puts: &[Read]) -> BTreeSet<u32> {
    let inner = &after.before.inner;
    let mut queue: Vec<u32> = puts
        .iter()
        .filter_map(|read| {
            let number = inner.facts.number(&read.id)?;
            (!parents(inner, &read.id).eq(&read.parents)).then_some(number)
        })
        .collect();
    let mut below = BTreeSet::new();
    while let Some(number) = queue.pop() {
        queue.extend(inner.edges.children(number).filter(|child| below.insert(*child)));
    }
    below
}

struct Lists<'a> {
    after: &'a After<'a>,
    below: &'a BTreeSet<u32>,
    by_parents: HashMap<BTreeSet<EntityId>, Arc<[EntityId]>>,
}

impl Lists<'_> {
    /// The ancestors of an entity with these parents.
    fn of(&mut self, id: &EntityId, parents: &BTreeSet<EntityId>) -> Arc<[EntityId]> {
        if let Some(known) = self.by_parents.get(parents) {
            return Arc::clone(known);
        }
        let list = self.stored(id, parents).unwrap_or_else(|| self.walk(parents));
        self.by_parents.insert(parents.clone(), Arc::clone(&list));
        list
    }

    /// The list of the entity itself or of a sibling, where it has the same parents and stays.
    fn stored(&self, id: &EntityId, wanted: &BTreeSet<EntityId>) -> Option<Arc<[EntityId]>> {
        let inner = &self.after.before.inner;
        let first = inner.facts.number(wanted.first()?)?;
        let siblings = inner.edges.children(first).take(SIBLINGS_MAX);
        let same = inner.facts.number(id).into_iter().chain(siblings).find(|number| {
            let entity = inner.facts.numbered(*number);
            !self.below.contains(number) && entity.is_some_and(|entity| parents(inner, &entity.id).eq(wanted))
        })?;
        Some(Arc::clone(&inner.facts.numbered(same)?.ancestors))
    }

    fn walk(&self, parents: &BTreeSet<EntityId>) -> Arc<[EntityId]> {
        let mut queue: Vec<EntityId> = parents.iter().cloned().collect();
        let mut ancestors = HashSet::new();
        while let Some(next) = queue.pop() {
            if !ancestors.contains(&next) {
                queue.extend(self.after.parents(&next));
                ancestors.insert(next);
            }
        }
        let mut sorted: Vec<EntityId> = ancestors.into_iter().collect();
        sorted.sort();
        sorted.into()
    }
}
