//! The entities of one request, in Cedar's form.
//!
//! Cedar wants a set of its own entities, which takes gigabytes for all of an organization's and cannot be
//! changed cheaply (adding one entity to 100,000 costs 300 ms). So each request gets a small set: whatever
//! can be reached from the subject, the resource and the context by attributes and hierarchy, and what
//! conditions look up by name. Nothing else can make a difference, since policies can only follow
//! references. Forms are remembered and shared, not copied.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use assent_model::{EntityId, Instant};
use cedar_policy_core::ast;
use cedar_policy_core::entities::{NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use super::Snapshot;
use crate::error::Unprepared;
use crate::policies::Policies;
use crate::value::references;

/// An entity as this request sees it, in both forms.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) model: Arc<assent_model::Entity>,
    pub(crate) cedar: Arc<ast::Entity>,
}

impl Snapshot {
    /// The entities reachable from `replaced` (which stand in for, or beside, stored ones) and from
    /// `others`, with all actions.
    ///
    /// # Errors
    /// [`Unprepared::Stale`] where one of them has a fact that is too old to count at `now`; [`Unprepared::Facts`]
    /// where Cedar refuses the set, which it has no reason to.
    pub(crate) fn slice<'a>(
        &'a self,
        policies: &Policies,
        replaced: &'a [Seen],
        others: impl IntoIterator<Item = &'a EntityId>,
        now: Instant,
    ) -> Result<cedar_policy::Entities, Unprepared> {
        let facts = &self.inner.facts;
        let mut visited: HashSet<u32> = HashSet::with_capacity(64);
        // What is replaced counts as visited: its stored version is no part of this request.
        visited.extend(replaced.iter().filter_map(|seen| facts.number(&seen.model.id)));
        let mut queue: Vec<u32> = Vec::with_capacity(64);
        let mut visit_id = |id: &EntityId| queue.extend(facts.number(id).filter(|new| visited.insert(*new)));
        policies.looked_up.iter().for_each(&mut visit_id);
        for seen in replaced {
            seen.model.ancestors.iter().for_each(&mut visit_id);
            for value in seen.model.attributes.values() {
                references(value, &mut visit_id);
            }
        }
        others.into_iter().for_each(&mut visit_id);
        let mut reached: Vec<Arc<ast::Entity>> = Vec::with_capacity(64);
        reached.extend(replaced.iter().map(|seen| Arc::clone(&seen.cedar)));
        let mut next = 0;
        // Of several the first by name: the order of numbers is another where the same facts are built again, and a
        // replay must give the same words.
        let mut stale: BTreeSet<String> =
            replaced.iter().filter_map(|seen| policies.stale(&seen.model, now)).collect();
        while let Some(number) = queue.get(next) {
            next += 1;
            let entity = facts.numbered(*number).ok_or(Unprepared::Facts)?;
            stale.extend(policies.stale(entity, now));
            let form = self.form(&policies.schema, entity).ok_or(Unprepared::Facts)?;
            reached.push(Arc::clone(&form.cedar));
            queue.extend(form.neighbours.iter().filter(|neighbour| visited.insert(**neighbour)));
        }
        if let Some(path) = stale.pop_first() {
            return Err(Unprepared::Stale { path });
        }
        let actions = policies.schema.action_set.clone();
        actions
            .add_entities(
                reached,
                None::<&NoEntitiesSchema>,
                // Ancestors of stored entities were closed by the change that put them; a replaced one
                // keeps them.
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .map(Into::into)
            .map_err(|_refused| Unprepared::Facts)
    }
}
