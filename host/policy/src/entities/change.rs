//! Makes a snapshot from another one and what was read: the checks of an entity against all others, and
//! the new state, which shares everything unchanged with the old one.
//!
//! INVARIANT (no dangling references) holds before and after: only what a change touches can break it, that
//! is what is put, what is taken out, and what refers to that. Loading is a change of the empty snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use assent_model::{Entity, EntityId};

use super::edges::{Targets, parents};
use super::hierarchy::{self, Closed};
use super::load::{Read, Reading};
use super::{Snapshot, digest, lock, share};
use crate::error::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES};
use crate::policies::Policies;
use crate::source::suggestion;
use crate::value::references;

/// How many references to unknown entities get the name that was probably meant. Each is looked for among
/// all entities of the type that were read: what is stored already is too much to be searched, and nothing to
/// be quoted to whoever makes a change.
const SUGGESTIONS_MAX: usize = 50;

/// The entities as they will be, as far as they can be told before anything is built.
pub(super) struct After<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) puts: HashMap<&'a EntityId, &'a Read>,
    removed: &'a HashSet<EntityId>,
}

impl After<'_> {
    fn knows(&self, id: &EntityId) -> bool {
        self.puts.contains_key(id) || self.keeps(id)
    }

    /// Whether a stored entity stays as it is stored, apart from its ancestors.
    pub(super) fn keeps(&self, id: &EntityId) -> bool {
        !self.puts.contains_key(id) && !self.removed.contains(id) && self.before.entity(id).is_some()
    }

    /// The parents that an entity will have.
    pub(super) fn parents(&self, id: &EntityId) -> BTreeSet<EntityId> {
        match self.puts.get(id) {
            Some(read) => read.parents.clone(),
            None => parents(&self.before.inner, id).cloned().collect(),
        }
    }
}

/// Checks what was read and makes the snapshot that results.
///
/// # Errors
/// All that is wrong, in the reading or with one another.
pub(super) fn apply(
    policies: &Policies,
    before: &Snapshot,
    reading: Reading<'_>,
) -> Result<Snapshot, LoadErrors> {
    let Reading { mut puts, removed, refused, mut problems, .. } = reading;
    puts.sort_by(|a, b| a.id.cmp(&b.id));
    let after = After { before, puts: puts.iter().map(|read| (&read.id, read)).collect(), removed: &removed };
    for read in puts.iter().filter(|read| removed.contains(&read.id)) {
        problems.push(read.origin.problem(format!("`{}` is both put and removed", read.id)));
    }
    if !refused.any {
        check_references(&after, &puts, &refused.ids, &mut problems);
        check_removals(&after, &refused.ids, &mut problems);
    }
    let closed = hierarchy::close(&after, &puts, &mut problems);
    LoadErrors::check(problems)?;
    build(policies, &after, &puts, closed)
}

fn check_references(
    after: &After<'_>,
    puts: &[Read],
    refused: &HashSet<String>,
    problems: &mut Vec<LoadProblem>,
) {
    let mut suggestions = 0;
    for read in puts {
        let mut check = |target: &EntityId, path: &str| {
            if after.knows(target) || refused.contains(target.id.as_str()) {
                return;
            }
            let mut problem = read
                .origin
                .problem(format!("`{}`: {path} refers to `{target}`, {NOT_AMONG_ENTITIES}", read.id));
            suggestions += 1;
            if suggestions <= SUGGESTIONS_MAX {
                let same_type = puts.iter().filter(|other| other.id.kind == target.kind);
                problem.help = suggestion(&target.id, same_type.map(|other| other.id.id.as_str()));
            }
            problems.push(problem);
        };
        for parent in &read.parents {
            check(parent, "parents");
        }
        for (name, value) in &read.attributes {
            references(value, &mut |target| check(target, &format!("attrs.{name}")));
        }
    }
}

/// What is taken out must not be referred to by what stays. (What is put and refers to it is seen above.)
fn check_removals(after: &After<'_>, refused: &HashSet<String>, problems: &mut Vec<LoadProblem>) {
    for id in after.removed {
        let mut staying: BTreeMap<&str, usize> = BTreeMap::new();
        for Entity { id: other, .. } in after.before.inner.referring_to(id).map(AsRef::as_ref) {
            if after.keeps(other) && !refused.contains(other.id.as_str()) {
                *staying.entry(&other.kind).or_default() += 1;
            }
        }
        if !staying.is_empty() {
            let counts: Vec<_> = staying.iter().map(|(kind, count)| format!("{count} `{kind}`")).collect();
            let message = format!("`{id}` cannot be removed: referred to by {}", counts.join(", "));
            let help = "remove or change what refers to it in the same change";
            problems.push(LoadProblem::of_file(REMOVALS, message).with_help(help));
        }
    }
}

/// The place of problems with what is taken out, which stands in no file.
const REMOVALS: &str = "removals";

fn build(
    policies: &Policies,
    after: &After<'_>,
    puts: &[Read],
    closed: Closed,
) -> Result<Snapshot, LoadErrors> {
    let before = &after.before.inner;
    let mut next = before.as_ref().clone();
    // Numbers of what goes may be given to what comes, so all that is said by old numbers comes first.
    let mut old_targets: HashMap<u32, Targets> = HashMap::new();
    let mut gone = Vec::new();
    for id in after.removed.iter().chain(puts.iter().map(|read| &read.id)) {
        let Some((number, entity)) = before.facts.number(id).zip(before.facts.get(id)) else { continue };
        let parents: BTreeSet<&EntityId> = parents(before, id).collect();
        next.hash.remove(digest::of(entity, parents.iter().copied()));
        let targets = Targets::of(&before.facts, &entity.attributes, parents.iter().copied());
        if after.removed.contains(id) {
            next.edges.remove(number, &targets);
            gone.push(id);
        } else {
            old_targets.insert(number, targets);
        }
    }
    let facts = Arc::make_mut(&mut next.facts);
    gone.into_iter().for_each(|id| facts.remove(id));

    let mut touched = Vec::with_capacity(puts.len() + closed.moved.len());
    for (read, ancestors) in puts.iter().zip(closed.puts) {
        let attributes = share::record(&read.attributes, &policies.schema.shapes, &|id| {
            let stored = || after.before.entity(id).map(|entity| &entity.id);
            after.puts.get(id).map(|read| &read.id).or_else(stored).unwrap_or(id).clone()
        });
        let entity =
            Arc::new(Entity { id: read.id.clone(), attributes, ancestors, provided: read.provided.clone() });
        next.hash.insert(digest::of(&entity, &read.parents));
        touched.push(facts.put(entity).ok_or_else(too_many)?);
    }
    for (number, ancestors) in closed.moved {
        let Some(entity) = before.facts.numbered(number) else { continue };
        let entity = Entity { ancestors, ..entity.as_ref().clone() };
        touched.push(facts.put(Arc::new(entity)).ok_or_else(too_many)?);
    }
    next.digest = next.hash.digest();
    for (read, number) in puts.iter().zip(&touched) {
        let targets = Targets::of(facts, &read.attributes, &read.parents);
        next.edges.replace(*number, old_targets.remove(number).unwrap_or_default(), targets);
    }
    lock::check(policies, &next, &touched, |id| after.puts.get(id).map(|read| &read.origin))?;
    Ok(Snapshot { inner: Arc::new(next) })
}

fn too_many() -> LoadErrors {
    LoadErrors(vec![LoadProblem::of_file("entities", "there are more than four billion entities")])
}

#[cfg(test)]
mod tests;
