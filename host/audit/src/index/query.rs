//! What can be asked of the log, and by which words each record is found.
//!
//! [`facets`] is the one list of what a record can be found by; the index hashes it, and
//! [`Query::matches`] compares with it in clear, so the two cannot come to mean different things.

use assent_model::{Cause, DecisionId, Effect, EntityId, Instant};
use serde::{Deserialize, Serialize};

use crate::record::{Event, Record};
use crate::redacted::debug_by_name;

/// A query: all that is given must match. Nothing given: every record.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The patient concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<EntityId>,
    /// For whom a decision was asked; who did something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<EntityId>,
    /// The caller that asked, or through which it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The action, as policies name it, or of an administration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What was asked about; what was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<EntityId>,
    /// Permit or deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// A policy that determined a decision or failed in it, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// A plugin that was asked: the binding's id, or the plugin's name without version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The kind of event, as in the record: `decision`, `key`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A decision's id, in its own record or in one that answers it; the caller's request id; or the digest of
    /// a release or of facts, whose archive it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
    /// Before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}

debug_by_name!(Query);

/// What names no entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a type and an id, such as `Patient::jun-park`")]
pub struct EntityError;

/// An entity as people write it: `Patient::jun-park` or `Patient::"jun-park"`.
///
/// # Errors
/// [`EntityError`] where type or id is missing.
pub fn entity(text: &str) -> Result<EntityId, EntityError> {
    let parsed = text.split_once("::").map(|(kind, id)| (kind, id.trim_matches('"')));
    match parsed {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(EntityId::new(kind, id)),
        _ => Err(EntityError),
    }
}

/// Which end of the log comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The newest record first.
    NewestFirst,
    /// The oldest record first.
    OldestFirst,
}

/// What a record can be found by. The number is part of the hash: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// Every record has it, with no value.
    Any = 0,
    /// [`Query::patient`].
    Patient = 1,
    /// [`Query::subject`].
    Subject = 2,
    /// [`Query::caller`].
    Caller = 3,
    /// [`Query::action`].
    Action = 4,
    /// [`Query::resource`].
    Resource = 5,
    /// [`Query::effect`].
    Effect = 6,
    /// [`Query::cause`].
    Cause = 7,
    /// [`Query::policy`].
    Policy = 8,
    /// [`Query::plugin`].
    Plugin = 9,
    /// [`Query::kind`].
    Kind = 10,
    /// [`Query::id`].
    Id = 11,
}

impl Query {
    /// Whether the record matches: what the index answers, without an index.
    pub fn matches(&self, record: &Record) -> bool {
        let has = facets(record);
        self.from.is_none_or(|from| record.at.as_millis() >= from.as_millis())
            && self.until.is_none_or(|until| record.at.as_millis() < until.as_millis())
            && self.terms().iter().all(|term| has.contains(term))
    }

    /// The terms that a matching record has, all of them; never empty.
    pub(super) fn terms(&self) -> Vec<(Field, String)> {
        let entities = [
            (Field::Patient, &self.patient),
            (Field::Subject, &self.subject),
            (Field::Resource, &self.resource),
        ];
        let texts = [
            (Field::Caller, &self.caller),
            (Field::Action, &self.action),
            (Field::Policy, &self.policy),
            (Field::Plugin, &self.plugin),
            (Field::Kind, &self.kind),
            (Field::Id, &self.id),
        ];
        let entities = entities.into_iter().filter_map(|(field, id)| Some((field, name(id.as_ref()?))));
        let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text.clone()?)));
        let effect = self.effect.map(|effect| (Field::Effect, effect_code(effect).to_owned()));
        let cause = self.cause.map(|cause| (Field::Cause, cause.code().to_owned()));
        let mut terms: Vec<_> = entities.chain(texts).chain(effect).chain(cause).collect();
        if terms.is_empty() {
            terms.push((Field::Any, String::new()));
        }
        terms
    }
}

/// What this record can be found by.
pub fn facets(record: &Record) -> Vec<(Field, String)> {
    let mut found = vec![(Field::Any, String::new()), (Field::Kind, record.event.kind().to_owned())];
    let mut add = |field, value: Option<String>| found.extend(value.map(|value| (field, value)));
    if let Some(actor) = record.event.actor() {
        add(Field::Subject, Some(name(&actor.entity)));
        add(Field::Caller, actor.caller.clone());
    }
    add(Field::Patient, record.event.patient().map(name));
    match &record.event {
        Event::Decision(decision) => {
            add(Field::Subject, Some(name(&decision.subject.entity)));
            add(Field::Caller, Some(decision.caller.id.clone()));
            add(Field::Action, Some(decision.action.clone()));
            add(Field::Resource, Some(name(&decision.resource.entity)));
            add(Field::Effect, Some(effect_code(decision.outcome.effect).to_owned()));
            add(Field::Cause, Some(decision.outcome.cause.code().to_owned()));
            add(Field::Id, Some(decision.id.to_string()));
            add(Field::Id, decision.request_id.clone());
            let verdict = decision.outcome.verdict.iter();
            for note in verdict.clone().flat_map(|verdict| &verdict.determining) {
                add(Field::Policy, Some(note.id.clone()));
            }
            for error in verdict.flat_map(|verdict| &verdict.errors) {
                add(Field::Policy, Some(error.id.clone()));
            }
            for outcome in &decision.outcome.plugins {
                add(Field::Plugin, Some(outcome.binding.clone()));
                add(Field::Plugin, outcome.plugin.split(' ').next().map(str::to_owned));
            }
        }
        Event::CallerRefused(event) => add(Field::Caller, event.caller.clone()),
        Event::Administration(event) => {
            add(Field::Action, Some(event.action.clone()));
            add(Field::Resource, Some(name(&event.target)));
        }
        Event::StateChanged(event) => {
            for item in &event.items {
                add(Field::Resource, Some(name(&item.target)));
                add(Field::Patient, item.patient.as_ref().map(name));
            }
            add(Field::Id, event.decision.as_ref().map(DecisionId::to_string));
        }
        // By what it is about, as the changes were that it stands for.
        Event::StateCarried(event) => {
            for item in event.items() {
                add(Field::Resource, Some(name(&item.target)));
                add(Field::Patient, item.patient.as_ref().map(name));
            }
        }
        Event::ReleaseActivated(event) => {
            for plugin in &event.plugins {
                add(Field::Plugin, Some(plugin.binding.clone()));
                add(Field::Plugin, plugin.plugin.split(' ').next().map(str::to_owned));
            }
        }
        // Found by what it is the archive of.
        Event::ReleaseArchived(event) => {
            add(Field::Id, Some(event.release.to_string()));
            add(Field::Id, Some(event.facts.to_string()));
        }
        Event::ServiceStarted(_)
        | Event::ServiceStopped(_)
        | Event::TailDiscarded(_)
        | Event::Key(_)
        | Event::Retention(_)
        | Event::AuditRead(_)
        | Event::ClockJump { .. } => {}
    }
    // A change of many things of one patient names him once.
    found.sort_unstable();
    found.dedup();
    found
}

/// Type and id in one text; the length keeps `A`, `Bc` apart from `AB`, `c`.
fn name(entity: &EntityId) -> String {
    format!("{}:{}{}", entity.kind.len(), entity.kind, entity.id)
}

const fn effect_code(effect: Effect) -> &'static str {
    match effect {
        Effect::Permit => "permit",
        Effect::Deny => "deny",
    }
}
