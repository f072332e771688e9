//! Who refers to whom, as pairs of numbers, from the entity referred to: what must be known to take
//! an entity out, and to close the hierarchy again below one that moved.
//!
//! Parents are not kept anywhere else: they are those ancestors of an entity of which it is a child.

use std::collections::BTreeSet;
use std::sync::Arc;

use assent_model::{Entity, EntityId, Facts, Pairs, Record};

use super::Inner;
use crate::value::references;

/// The references of a snapshot.
#[derive(Clone, Default)]
pub(super) struct Edges {
    /// From an entity to those that are directly in it.
    children: Pairs,
    /// From an entity to those whose attributes refer to it.
    referrers: Pairs,
}

/// The entities that one entity refers to, by number.
#[derive(Default)]
pub(super) struct Targets {
    parents: BTreeSet<u32>,
    attributes: BTreeSet<u32>,
}

impl Targets {
    pub(super) fn of<'a>(
        facts: &Facts,
        attributes: &Record,
        parents: impl IntoIterator<Item = &'a EntityId>,
    ) -> Self {
        let mut targets = Self::default();
        targets.parents.extend(parents.into_iter().filter_map(|id| facts.number(id)));
        for value in attributes.values() {
            references(value, &mut |id| targets.attributes.extend(facts.number(id)));
        }
        targets
    }
}

impl Edges {
    /// Takes out what an entity refers to.
    pub(super) fn remove(&mut self, number: u32, targets: &Targets) {
        targets.parents.iter().for_each(|parent| self.children.remove(*parent, number));
        targets.attributes.iter().for_each(|target| self.referrers.remove(*target, number));
    }

    /// Sets what an entity refers to, where it referred to `old`.
    pub(super) fn replace(&mut self, number: u32, old: Targets, new: Targets) {
        let pairs = [
            (&mut self.children, old.parents, new.parents),
            (&mut self.referrers, old.attributes, new.attributes),
        ];
        for (pairs, old, new) in pairs {
            old.difference(&new).for_each(|target| pairs.remove(*target, number));
            new.difference(&old).for_each(|target| pairs.insert(*target, number));
        }
    }

    /// Those that are directly in this one.
    pub(super) fn children(&self, number: u32) -> impl Iterator<Item = u32> {
        self.children.seconds(number)
    }

    pub(super) fn is_child(&self, parent: u32, child: u32) -> bool {
        self.children.contains(parent, child)
    }
}

/// The parents of a stored entity, sorted.
pub(super) fn parents<'a>(inner: &'a Inner, id: &EntityId) -> impl Iterator<Item = &'a EntityId> + use<'a> {
    let child = inner.facts.number(id);
    let ancestors = inner.facts.get(id).map(|entity| entity.ancestors.iter());
    ancestors.into_iter().flatten().filter(move |ancestor| {
        let parent = inner.facts.number(ancestor);
        parent.zip(child).is_some_and(|(parent, child)| inner.edges.is_child(parent, child))
    })
}

impl Inner {
    /// The entities that are in this one or whose attributes refer to it, each once.
    pub(super) fn referring_to(&self, id: &EntityId) -> impl Iterator<Item = &Arc<Entity>> {
        let number = self.facts.number(id);
        let Edges { children, referrers } = &self.edges;
        let numbers = number.into_iter().flat_map(move |number| {
            let others = referrers.seconds(number).filter(move |other| !children.contains(number, *other));
            children.seconds(number).chain(others)
        });
        numbers.filter_map(|number| self.facts.numbered(number))
    }
}
