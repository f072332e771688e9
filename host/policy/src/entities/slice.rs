//! The entities of one request whose subject or resource carries values from the caller.
//!
//! A snapshot cannot be changed cheaply (adding one entity to 100,000 costs 300 ms), so such a
//! request gets its own small set: whatever can be reached from the subject, the resource and the
//! context by attributes and hierarchy, and what conditions look up by name. Nothing else can make a
//! difference, since policies can only follow references. Entities are shared, not copied.

use std::collections::HashSet;
use std::sync::Arc;

use assent_model::EntityId;
use cedar_policy_core::ast;
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use super::Snapshot;
use crate::value::references;

/// An entity as this request sees it, in both forms.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) model: Arc<assent_model::Entity>,
    pub(crate) cedar: Arc<ast::Entity>,
}

impl Snapshot {
    /// The entities reachable from `replaced` (which stand in for, or beside, stored ones) and from
    /// `others`, with all actions. `None` where Cedar refuses the set, which it has no reason to.
    pub(crate) fn slice<'a>(
        &'a self,
        replaced: &'a [Seen],
        others: impl IntoIterator<Item = &'a EntityId>,
        actions: impl IntoIterator<Item = &'a Arc<ast::Entity>>,
    ) -> Option<cedar_policy::Entities> {
        let inner = &self.inner;
        let hidden: Vec<Option<u32>> =
            replaced.iter().map(|seen| inner.nodes.get(&seen.model.id).copied()).collect();
        let mut visited: HashSet<u32> = HashSet::with_capacity(64);
        let mut queue: Vec<u32> = Vec::with_capacity(64);
        let mut visit = |node: u32, queue: &mut Vec<u32>| {
            if !hidden.contains(&Some(node)) && visited.insert(node) {
                queue.push(node);
            }
        };
        for root in &inner.roots {
            visit(*root, &mut queue);
        }
        let mut visit_id = |id: &EntityId, queue: &mut Vec<u32>| {
            if let Some(node) = inner.nodes.get(id) {
                visit(*node, queue);
            }
        };
        for seen in replaced {
            for ancestor in &seen.model.ancestors {
                visit_id(ancestor, &mut queue);
            }
            for value in seen.model.attributes.values() {
                references(value, &mut |id| visit_id(id, &mut queue));
            }
        }
        for id in others {
            visit_id(id, &mut queue);
        }
        let mut reached = 0;
        while let Some(node) = queue.get(reached).and_then(|node| inner.graph.get(*node as usize)) {
            reached += 1;
            for neighbour in &node.neighbours {
                visit(*neighbour, &mut queue);
            }
        }
        let stored = queue.iter().filter_map(|node| inner.graph.get(*node as usize));
        let all = replaced
            .iter()
            .map(|seen| Arc::clone(&seen.cedar))
            .chain(actions.into_iter().map(Arc::clone))
            .chain(stored.map(|node| Arc::clone(&node.cedar)));
        Entities::new()
            .add_entities(
                all,
                None::<&NoEntitiesSchema>,
                // Ancestors of stored entities were closed at load; a replaced one keeps them.
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .ok()
            .map(Into::into)
    }
}
