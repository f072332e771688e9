//! Who and what is on hold: quarantined at once, whatever policies and plugins say.
//!
//! INVARIANT (a hold only denies): it is looked at before a decision is combined, and what it finds is a denial.
//! A plugin on hold is neither trusted nor left out: everything in its scope is denied. The person asking is told
//! nothing of it, for a hold can be part of an investigation.

use std::collections::BTreeMap;
use std::fmt;

use assent_model::{DecisionFacts, Entity, EntityId, Value};
use assent_workflow::hold::Target;

use crate::caller::Caller;

/// The holds of an organization that stand, by their ids.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Holds {
    id_to_target: BTreeMap<String, Target>,
}

/// INVARIANT (no patient in logs): counted, not printed.
impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holds({})", self.id_to_target.len())
    }
}

/// What of a question is on hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The whole organization.
    Organization,
    /// The caller that asks.
    Caller,
    /// The subject, an application it uses, or a group or organization that either is in.
    Subject,
    /// A plugin that would judge the question; its binding.
    Plugin(String),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("the organization is on hold"),
            Self::Caller => f.write_str("the caller is on hold"),
            Self::Subject => {
                f.write_str("the subject is on hold, or something that it acts through or is in")
            }
            Self::Plugin(binding) => write!(f, "the plugin `{binding}` is on hold"),
        }
    }
}

impl Holds {
    /// The hold of this id stands on this, or, without it, does not stand any more.
    pub fn set(&mut self, id: &str, target: Option<Target>) {
        match target {
            Some(target) => drop(self.id_to_target.insert(id.to_owned(), target)),
            None => drop(self.id_to_target.remove(id)),
        }
    }

    fn any(&self, is_meant: impl Fn(&Target) -> bool) -> bool {
        self.id_to_target.values().any(is_meant)
    }

    /// What can be told before the facts are known.
    pub(crate) fn of_caller(&self, caller: &Caller) -> Option<Held> {
        if self.any(|target| *target == Target::Organization) {
            return Some(Held::Organization);
        }
        self.any(|target| matches!(target, Target::Caller(id) if *id == caller.id)).then_some(Held::Caller)
    }

    /// Whether the subject is on hold.
    pub(crate) fn of_subject(&self, facts: &DecisionFacts) -> Option<Held> {
        let client = facts.attribute("context.app.client").ok().and_then(Value::as_entity);
        let is_held = self.of_entity(&facts.subject)
            || client.is_some_and(|client| match facts.facts.get(client) {
                Some(client) => self.of_entity(client),
                None => self.any(|target| matches!(target, Target::Entity(id) if id == client)),
            });
        is_held.then_some(Held::Subject)
    }

    /// Whether this person is on hold. A hold on a group or an organization is none on its people's work on the state:
    /// somebody must be able to release it.
    pub(crate) fn of_actor(&self, person: &EntityId) -> bool {
        self.any(|target| matches!(target, Target::Entity(id) if id == person))
    }

    /// Whether an entity is on hold, or a group or organization that it is in.
    fn of_entity(&self, entity: &Entity) -> bool {
        let organization = entity.attributes.get("organization").and_then(Value::as_entity);
        let concerned = || [&entity.id].into_iter().chain(entity.ancestors.iter()).chain(organization);
        self.any(|target| matches!(target, Target::Entity(id) if concerned().any(|known| known == id)))
    }

    /// Whether a plugin is on hold.
    pub(crate) fn of_plugin(&self, binding: &str) -> Option<Held> {
        self.any(|target| matches!(target, Target::Plugin(held) if held == binding))
            .then(|| Held::Plugin(binding.to_owned()))
    }
}
