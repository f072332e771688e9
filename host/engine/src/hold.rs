//! Who and what is on hold: quarantined at once, whatever policies and plugins say.
//!
//! INVARIANT (a hold only denies): it is looked at before a decision is combined, and what it finds is a denial.
//! A plugin on hold is neither trusted nor left out: everything in its scope is denied. The person asking is told
//! nothing of it, for a hold can be part of an investigation.

use std::collections::BTreeMap;
use std::fmt;

use assent_model::{DecisionFacts, EntityId, Value};
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
        if self.id_to_target.is_empty() {
            return None;
        }
        let subject = &facts.subject;
        let organization = subject.attributes.get("organization").and_then(Value::as_entity);
        let client = facts.attribute("context.app.client").ok().and_then(Value::as_entity);
        let of_client = client.and_then(|client| facts.facts.get(client));
        let through = of_client.into_iter().flat_map(|client| {
            let organization = client.attributes.get("organization").and_then(Value::as_entity);
            client.ancestors.iter().chain(organization)
        });
        let concerned: Vec<&EntityId> = [&subject.id]
            .into_iter()
            .chain(subject.ancestors.iter())
            .chain(organization)
            .chain(client)
            .chain(through)
            .collect();
        self.any(|target| matches!(target, Target::Entity(id) if concerned.contains(&id)))
            .then_some(Held::Subject)
    }

    /// Whether a plugin is on hold.
    pub(crate) fn of_plugin(&self, binding: &str) -> Option<Held> {
        self.any(|target| matches!(target, Target::Plugin(held) if held == binding))
            .then(|| Held::Plugin(binding.to_owned()))
    }
}
