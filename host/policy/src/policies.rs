//! The loaded policies of one organization: immutable, shared by all its decisions.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use assent_model::{Digest, EntityId, PolicyNote};
use cedar_policy_core::ast;

use crate::index::Index;
use crate::load::{PolicyInfo, ResolvedNames, Shape};
use crate::schema::Schema;

/// Schema, policies and names, checked and indexed. Made by [`crate::load`].
pub struct Policies {
    pub(crate) schema: Schema,
    pub(crate) names: ResolvedNames,
    pub(crate) policies: Vec<Policy>,
    pub(crate) index: Index,
    /// Entities that some condition looks up by name, each once.
    pub(crate) looked_up: BTreeSet<EntityId>,
    digest: Digest,
}

/// One policy, ready to be evaluated.
pub(crate) struct Policy {
    pub(crate) cedar: ast::Policy,
    /// Scope and conditions as one expression. Cedar builds it anew for each evaluation, which is
    /// more than half of what an evaluation costs; here it is built once.
    pub(crate) condition: ast::Expr,
    pub(crate) info: PolicyInfo,
    looked_up: HashSet<Arc<ast::EntityUID>>,
    /// Every entity that scope or conditions name.
    pub(crate) named: HashSet<Arc<ast::EntityUID>>,
}

impl Policy {
    pub(crate) fn new(cedar: ast::Policy, info: PolicyInfo, shape: &Shape) -> Self {
        let condition = cedar.condition();
        let mut named = shape.named.clone();
        named.extend(cedar.principal_constraint().as_inner().get_euid().cloned());
        named.extend(cedar.resource_constraint().as_inner().get_euid().cloned());
        Self { cedar, condition, info, looked_up: shape.looked_up.clone(), named }
    }

    pub(crate) fn note(&self) -> &PolicyNote {
        &self.info.note
    }
}

impl Policies {
    pub(crate) fn new(
        schema: Schema,
        names: ResolvedNames,
        policies: Vec<Policy>,
        index: Index,
        digest: Digest,
    ) -> Self {
        let looked_up =
            policies.iter().flat_map(|policy| policy.looked_up.iter()).map(|uid| entity_id(uid)).collect();
        Self { schema, names, policies, index, looked_up, digest }
    }

    /// The digest of schema, policies and names, whatever the order and names of the files.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// All policies with what is known about them, in the order of the files.
    pub fn notes(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.policies.iter().map(|policy| &policy.info)
    }

    /// The ids of the actions that can be asked for, such as `read`; not those of groups.
    pub fn action_names(&self) -> BTreeSet<String> {
        // The table also holds each action under its full name.
        let asked =
            self.schema.actions.iter().filter(|(name, action)| !name.contains("::\"") && action.applies());
        asked.map(|(name, _)| name.clone()).collect()
    }

    /// The entity types whose entities can take an action; some of them more than once.
    pub fn subject_types(&self) -> impl Iterator<Item = &str> {
        self.schema.actions.values().flat_map(|action| &action.subjects).map(|kind| &**kind)
    }

    /// The names of the schema's entity types.
    pub fn entity_types(&self) -> BTreeSet<String> {
        self.schema.types.keys().map(|name| name.to_string()).collect()
    }
}

/// The name of an entity as facts have it.
pub(crate) fn entity_id(uid: &ast::EntityUID) -> EntityId {
    let id: &str = uid.eid().as_ref();
    EntityId::new(uid.entity_type().to_string(), id)
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("digest", &self.digest)
            .field("policies", &self.policies.len())
            .finish_non_exhaustive()
    }
}
