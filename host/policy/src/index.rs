//! Which policies can apply to a question at all, by their scopes alone.
//!
//! A policy is `principal scope && action scope && resource scope && conditions`; scopes cannot
//! fail, so one that is false makes the whole policy false without evaluating it. Leaving such
//! policies out changes neither the decision nor the determining policies nor the errors (Cedar's
//! proof: `isAuthorized_eq_for_sound_policy_slice`). Conditions are never used to leave one out.
//!
//! INVARIANT (the index changes nothing): anchors come from the same entities that the policies are
//! evaluated against, and the action hierarchy from the schema.

use std::collections::HashMap;

use cedar_policy_core::ast::{
    ActionConstraint, Entity, EntityReference, EntityType, EntityUID,
    PrincipalOrResourceConstraint as Constraint,
};

use crate::policies::Policy;
use crate::schema::Schema;

/// What a scope asks of the principal or resource, as a number. Zero asks nothing.
type Anchor = u32;
const ANYTHING: Anchor = 0;

/// The index of one set of policies.
#[derive(Debug, Default)]
pub(crate) struct Index {
    types: HashMap<EntityType, Anchor>,
    entities: HashMap<EntityUID, Anchor>,
    /// `is T in x`: the anchors of `T` and of `x` together.
    typed: HashMap<(Anchor, Anchor), Anchor>,
    last: Anchor,
    /// By action, then by anchors of principal and resource: positions of policies.
    buckets: HashMap<EntityUID, HashMap<(Anchor, Anchor), Vec<u32>>>,
}

impl Index {
    /// Indexes the policies by position.
    pub(crate) fn new(policies: &[Policy], schema: &Schema) -> Self {
        let mut index = Self::default();
        let actions: Vec<&EntityUID> = schema.validator().action_ids().map(|action| action.name()).collect();
        let ancestors: HashMap<&EntityUID, &Entity> =
            schema.actions.values().map(|action| (action.entity.uid(), action.entity.as_ref())).collect();
        for (position, policy) in policies.iter().enumerate() {
            let Ok(position) = u32::try_from(position) else { break };
            let key = (
                index.anchor(policy.cedar.principal_constraint().as_inner()),
                index.anchor(policy.cedar.resource_constraint().as_inner()),
            );
            for action in &actions {
                let is_or_in = |group: &EntityUID| {
                    group == *action
                        || ancestors.get(action).is_some_and(|entity| entity.is_descendant_of(group))
                };
                let matches = match policy.cedar.action_constraint() {
                    ActionConstraint::Any => true,
                    ActionConstraint::Eq(expected) => **expected == **action,
                    ActionConstraint::In(groups) => groups.iter().any(|group| is_or_in(group)),
                };
                if matches {
                    let buckets = index.buckets.entry((*action).clone()).or_default();
                    buckets.entry(key).or_default().push(position);
                }
            }
        }
        index
    }

    fn anchor(&mut self, scope: &Constraint) -> Anchor {
        match scope {
            Constraint::Any
            // Templates are refused at load; a slot would ask nothing, which loses no policy.
            | Constraint::In(EntityReference::Slot(_))
            | Constraint::Eq(EntityReference::Slot(_))
            | Constraint::IsIn(_, EntityReference::Slot(_)) => ANYTHING,
            Constraint::Is(entity_type) => self.of_type(entity_type),
            Constraint::Eq(EntityReference::EUID(uid)) | Constraint::In(EntityReference::EUID(uid)) => {
                self.of_entity(uid)
            }
            Constraint::IsIn(entity_type, EntityReference::EUID(uid)) => {
                let both = (self.of_type(entity_type), self.of_entity(uid));
                let next = self.last + 1;
                let anchor = *self.typed.entry(both).or_insert(next);
                self.last = self.last.max(anchor);
                anchor
            }
        }
    }

    fn of_type(&mut self, entity_type: &EntityType) -> Anchor {
        let next = self.last + 1;
        let anchor = *self.types.entry(entity_type.clone()).or_insert(next);
        self.last = self.last.max(anchor);
        anchor
    }

    fn of_entity(&mut self, uid: &EntityUID) -> Anchor {
        let next = self.last + 1;
        let anchor = *self.entities.entry(uid.clone()).or_insert(next);
        self.last = self.last.max(anchor);
        anchor
    }

    /// Positions of the policies whose scopes this question may satisfy, each once. `principal` and
    /// `resource` must be the entities that the policies are evaluated against.
    pub(crate) fn candidates(&self, principal: &Entity, action: &EntityUID, resource: &Entity) -> Vec<u32> {
        let mut found = Vec::new();
        let Some(buckets) = self.buckets.get(action) else { return found };
        let principals = self.anchors_of(principal);
        let resources = self.anchors_of(resource);
        for principal in &principals {
            for resource in &resources {
                if let Some(positions) = buckets.get(&(*principal, *resource)) {
                    found.extend_from_slice(positions);
                }
            }
        }
        found
    }

    /// The anchors that an entity satisfies, of those that some policy has.
    fn anchors_of(&self, entity: &Entity) -> Vec<Anchor> {
        let mut anchors = Vec::with_capacity(8);
        anchors.push(ANYTHING);
        let own_type = self.types.get(entity.uid().entity_type()).copied();
        anchors.extend(own_type);
        for uid in std::iter::once(entity.uid()).chain(entity.ancestors()) {
            if let Some(anchor) = self.entities.get(uid).copied() {
                anchors.push(anchor);
                anchors.extend(own_type.and_then(|own_type| self.typed.get(&(own_type, anchor)).copied()));
            }
        }
        anchors
    }
}
