//! A snapshot of an organization's entities, as Cedar sees them and as everything else sees them.
//!
//! INVARIANT (no dangling references): every entity that is referred to, as parent or in an
//! attribute, is in the snapshot. On an absent entity `in` and `has` are silently false in Cedar,
//! which would disarm a forbid; so absence is refused at load and with each request.

mod build;
mod load;
mod overrides;
mod slice;
mod unique;

pub(crate) use build::uid;
pub(crate) use slice::Seen;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use assent_model::{Digest, EntityId, Facts};
use cedar_policy_core::ast;

use crate::error::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES};
use crate::policies::Policies;
use crate::source::{SourceFile, nearest};

/// The entities of an organization at one time: immutable, shared by all decisions made on it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

struct Inner {
    /// Everything, with the schema's actions.
    cedar: Arc<cedar_policy::Entities>,
    facts: Arc<Facts>,
    digest: Digest,
    nodes: HashMap<EntityId, u32>,
    graph: Vec<Node>,
    /// Nodes that conditions look up by name; part of every slice.
    roots: Vec<u32>,
}

/// One entity with what it refers to.
struct Node {
    uid: Arc<ast::EntityUID>,
    cedar: Arc<ast::Entity>,
    model: Arc<assent_model::Entity>,
    /// Ancestors and entities that attributes refer to.
    neighbours: Box<[u32]>,
}

impl Snapshot {
    /// The facts of all entities.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.inner.facts
    }

    /// The digest of the entities, whatever the order of files and entities.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    pub(crate) fn all(&self) -> Arc<cedar_policy::Entities> {
        Arc::clone(&self.inner.cedar)
    }

    fn node(&self, id: &EntityId) -> Option<&Node> {
        self.inner.graph.get(*self.inner.nodes.get(id)? as usize)
    }

    /// The stored entity with this id.
    pub(crate) fn entity(&self, id: &EntityId) -> Option<&Arc<assent_model::Entity>> {
        Some(&self.node(id)?.model)
    }

    /// The Cedar name of a stored entity.
    pub(crate) fn uid(&self, id: &EntityId) -> Option<&Arc<ast::EntityUID>> {
        Some(&self.node(id)?.uid)
    }

    /// The stored entity as Cedar sees it.
    pub(crate) fn cedar(&self, id: &EntityId) -> Option<&Arc<ast::Entity>> {
        Some(&self.node(id)?.cedar)
    }
}

/// INVARIANT (no patient in logs): counted, not printed.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} entities, {:?})", self.inner.graph.len(), self.inner.digest)
    }
}

/// Entities that policies name and nobody has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingEntities {
    /// An entity of nearly that name exists: the policy means that one, or the entity was forgotten.
    pub slips: Vec<LoadProblem>,
    /// None does: the organization may have no such role or group.
    pub notes: Vec<LoadProblem>,
}

/// The id that a name is a slip of: nearly the same, and not another number in a series.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let without_digits =
        |text: &str| text.chars().filter(|character| !character.is_ascii_digit()).collect::<String>();
    nearest(name, known).filter(|candidate| {
        // Stricter than advice needs to be, since this refuses: `a` is no slip of `b`.
        let shorter = name.chars().count().min(candidate.chars().count());
        strsim::damerau_levenshtein(name, candidate) * 3 <= shorter
            && without_digits(name) != without_digits(candidate)
    })
}

impl Policies {
    /// Reads files of entities in Cedar's JSON: `[{"uid": {"type", "id"}, "attrs": {}, "parents": []}]`.
    ///
    /// # Errors
    /// Every entity that does not fit the schema, appears twice, or refers to one that is nowhere.
    pub fn load_entities(&self, files: &[SourceFile]) -> Result<Snapshot, LoadErrors> {
        load::load(self, files, &[])
    }

    /// Entities that policies name and a snapshot does not hold, as `file:line` of the policy. Such a
    /// name is always "not in" and "not equal": right where an organization has no such role or
    /// group, and a forbid that never holds where it is a slip of the pen. Entities that callers may
    /// supply need not be there.
    pub fn missing_entities(&self, snapshot: &Snapshot) -> MissingEntities {
        let mut missing = MissingEntities::default();
        for policy in &self.policies {
            for uid in &policy.named {
                let id: &str = uid.eid().as_ref();
                let id = EntityId::new(uid.entity_type().to_string(), id);
                let entity_type = self.schema.types.get(id.kind.as_str());
                let need_not_be_stored = entity_type.is_none_or(|of| of.caller_may_supply);
                if uid.entity_type().is_action() || need_not_be_stored || snapshot.entity(&id).is_some() {
                    continue;
                }
                let problem = LoadProblem {
                    file: policy.info.file.clone(),
                    line: policy.info.line,
                    column: 1,
                    message: format!("policy `{}` names `{id}`, {NOT_AMONG_ENTITIES}", policy.note().id),
                    help: None,
                };
                let same_type = snapshot.inner.nodes.keys().filter(|other| other.kind == id.kind);
                match meant(&id.id, same_type.map(|other| other.id.as_str())) {
                    Some(meant) => missing
                        .slips
                        .push(problem.with_help(format!(
                            "did you mean `{meant}`? if not, add `{id}` to the entities"
                        ))),
                    None => missing.notes.push(problem),
                }
            }
        }
        for problems in [&mut missing.slips, &mut missing.notes] {
            problems.sort();
            problems.dedup();
        }
        missing
    }

    /// The same with overrides, as tests of one situation need them: an entity of an override file
    /// replaces single attributes of the one in `files` (JSON null removes one) and, where it lists
    /// `parents`, those; an entity that is not in `files` is added; one with `"absent": true` is
    /// left out. Later override files see what earlier ones made.
    ///
    /// # Errors
    /// As [`Policies::load_entities`], for what results.
    pub fn load_entities_with(
        &self,
        files: &[SourceFile],
        overrides: &[SourceFile],
    ) -> Result<Snapshot, LoadErrors> {
        load::load(self, files, overrides)
    }
}

#[cfg(test)]
mod tests;
