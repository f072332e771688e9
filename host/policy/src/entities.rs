//! A snapshot of an organization's entities, as Cedar sees them and as everything else sees them.
//!
//! A snapshot is a value: a change gives another one, which shares everything unchanged with the first, at a
//! cost that grows with the change and hardly with the snapshot.
//!
//! INVARIANT (no dangling references): every entity that is referred to, as parent or in an
//! attribute, is in the snapshot. On an absent entity `in` and `has` are silently false in Cedar,
//! which would disarm a forbid; so absence is refused with each change and with each request.

mod change;
mod digest;
mod edges;
mod form;
mod hierarchy;
mod json;
mod load;
mod lock;
mod overrides;
mod provenance;
mod share;
mod slice;
mod unique;

pub(crate) use form::uid;
pub use provenance::{EVERY, PROVENANCE};
pub(crate) use share::Shapes;
pub(crate) use slice::Seen;

use std::fmt;
use std::sync::Arc;

use assent_model::{Digest, EntityId, Facts, SetHash};
use cedar_policy_core::ast;

use crate::error::{LoadErrors, LoadProblem, NOT_AMONG_ENTITIES};
use crate::policies::{Policies, entity_id};
use crate::schema::Schema;
use crate::source::{SourceFile, nearest};

/// The entities of an organization at one time: immutable, shared by all decisions made on it. Cheap to
/// clone and to change ([`Policies::change`]).
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    /// The digest of the schema by which all of it was read.
    schema: Digest,
    facts: Arc<Facts>,
    edges: edges::Edges,
    /// Of the digests of the entities.
    hash: SetHash,
    /// The digest of `hash`, which each decision records.
    digest: Digest,
    remembered: Arc<form::Remembered>,
}

/// One edit of an organization's entities; see [`Policies::change`].
#[derive(Clone, Debug)]
pub enum Edit {
    /// Puts an entity, in place of the one of the same type and id if there is one. The text is one object
    /// as in entity files: `{"uid": {"type", "id"}, "attrs": {}, "parents": []}`; the name is what problems
    /// with it name.
    Put(SourceFile),
    /// Takes an entity out. One that is not there is out already.
    Remove(EntityId),
}

impl Snapshot {
    fn empty(policies: &Policies) -> Self {
        let hash = SetHash::default();
        let inner = Inner {
            schema: policies.schema.digest,
            facts: Arc::new(Facts::new([], policies.schema.kinds())),
            edges: edges::Edges::default(),
            digest: hash.digest(),
            hash,
            remembered: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The facts of all entities.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.inner.facts
    }

    /// The digest of the entities, however they came to be these: that of the set of their digests
    /// ([`SetHash`]), in the form that `digest` writes down. Nobody can choose entities such that others have
    /// the same.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// Whether it was made by policies with this schema.
    pub(crate) fn is_of(&self, schema: &Schema) -> bool {
        self.inner.schema == schema.digest
    }

    /// The stored entity with this id.
    pub(crate) fn entity(&self, id: &EntityId) -> Option<&Arc<assent_model::Entity>> {
        self.inner.facts.get(id)
    }

    /// The stored entity as Cedar sees it; `None` where Cedar does not take it, which was made sure of when
    /// it was put.
    pub(crate) fn cedar(
        &self,
        schema: &Schema,
        entity: &Arc<assent_model::Entity>,
    ) -> Option<Arc<ast::Entity>> {
        Some(Arc::clone(&self.form(schema, entity)?.cedar))
    }

    fn form(&self, schema: &Schema, entity: &Arc<assent_model::Entity>) -> Option<Arc<form::Form>> {
        let make = || form::Form::of(schema, &self.inner, entity);
        self.inner.remembered.form(entity, make).ok()
    }
}

/// INVARIANT (no patient in logs): counted, not printed.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} entities, {:?})", self.inner.facts.len(), self.digest())
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
pub fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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

    /// The snapshot without entities, from which changes lead to every other one.
    pub fn empty_snapshot(&self) -> Snapshot {
        Snapshot::empty(self)
    }

    /// The snapshot that a change makes of another one, which stays as it was. All edits are made at once:
    /// what is put may refer to what else is put, and what is removed to what else is removed. The cost is
    /// that of the edits and of what their new parents move, some 0.15 ms for one entity among a million.
    ///
    /// # Errors
    /// As [`Policies::load_entities`], for what results; the places of problems are those of the texts, and no
    /// entities are named but those of the edits. An entity that others refer to is not removed: how many they
    /// are, and of which types, is said. One that is put twice, or put and removed, is refused. So is a
    /// snapshot that policies with another schema made, were it another by a comment alone.
    pub fn change(&self, snapshot: &Snapshot, edits: &[Edit]) -> Result<Snapshot, LoadErrors> {
        load::change(self, snapshot, edits)
    }

    /// Entities that policies name and a snapshot does not hold, as `file:line` of the policy. Such a
    /// name is always "not in" and "not equal": right where an organization has no such role or
    /// group, and a forbid that never holds where it is a slip of the pen. Entities that callers may
    /// supply need not be there.
    pub fn missing_entities(&self, snapshot: &Snapshot) -> MissingEntities {
        let mut missing = MissingEntities::default();
        for policy in &self.policies {
            for uid in &policy.named {
                let id = entity_id(uid);
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
                let same_type = snapshot.facts().iter().filter(|other| other.id.kind == id.kind);
                match meant(&id.id, same_type.map(|other| other.id.id.as_str())) {
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
