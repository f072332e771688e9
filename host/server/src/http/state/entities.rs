//! Entities: what a change of one or of several says, and what comes of it.

use std::collections::BTreeMap;

use assent_engine::state::{EntityChange, EntityRefused, LiveTurn, Provided, Stamp};
use assent_model::{EntityId, Facts, Instant};
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Asking;
use super::body::of_form;
use super::command::Step;
use super::problem::{Problem, Stop, malformed};
use crate::limits::Limits;

/// Entities of one change. A record of the log holds some hundreds; this is what is read before that is known.
const CHANGES_MAX: usize = 1_000;

/// A change of one entity.
#[derive(Clone)]
pub(super) struct One {
    change: EntityChange,
    /// Whether it may be made anew.
    puts: bool,
}

/// A change of several entities, all or none.
#[derive(Clone)]
pub(super) struct Several {
    changes: Vec<EntityChange>,
}

/// An entity as it is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    uid: Option<Uid>,
    #[serde(default)]
    attrs: Map<String, Value>,
    #[serde(default)]
    parents: Vec<Value>,
    #[serde(default)]
    provenance: BTreeMap<String, Moment>,
}

/// What is to change of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    uid: Option<Uid>,
    #[serde(default)]
    attrs: Map<String, Value>,
    parents: Option<Vec<Value>>,
    #[serde(default)]
    provenance: BTreeMap<String, Moment>,
}

/// When something was provided; without a moment, now. By whom is whoever asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    at: Option<Instant>,
}

fn provided(provenance: BTreeMap<String, Moment>) -> Provided {
    provenance.into_iter().map(|(name, moment)| (name, moment.at)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Uid {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    changes: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Put(Whole),
    Patch(Part),
    Delete(Uid),
}

impl Uid {
    fn entity(&self) -> EntityId {
        EntityId::new(self.kind.as_str(), self.id.as_str())
    }
}

impl One {
    /// What a request says of this entity.
    pub(super) fn of(id: EntityId, method: &Method, body: &[u8], limits: &Limits) -> Result<Self, Stop> {
        let same = |uid: Option<Uid>| match uid {
            Some(uid) if uid.entity() != id => {
                Err(malformed("/uid", "expected the entity that the path names"))
            }
            _ => Ok(id.clone()),
        };
        let change = match *method {
            Method::PUT => {
                let Whole { uid, attrs, parents, provenance } = of_form(body, limits)?;
                EntityChange::Put { id: same(uid)?, attrs, parents, provided: provided(provenance) }
            }
            Method::PATCH => {
                let Part { uid, attrs, parents, provenance } = of_form(body, limits)?;
                EntityChange::Patch { id: same(uid)?, attrs, parents, provided: provided(provenance) }
            }
            _ => EntityChange::Remove { id },
        };
        Ok(Self { puts: *method == Method::PUT, change })
    }

    /// The id of its document.
    pub(super) fn document(&self) -> String {
        let EntityId { kind, id } = self.change.id();
        format!("{kind}/{id}")
    }

    /// Whether it is among these.
    pub(super) fn is_in(&self, facts: &Facts) -> bool {
        facts.get(self.change.id()).is_some()
    }

    pub(super) async fn step(self, turn: &LiveTurn<'_>, asking: &Asking) -> Result<Step, Stop> {
        let exists = self.is_in(turn.release().snapshot().facts());
        let in_files = self.is_in(turn.base().facts());
        let stamp = Stamp { by: asking.who(), at: asking.at };
        let item = self.change.item(turn, &stamp).await?.map_err(|refused| stopped(&refused))?;
        let body = match &item.payload {
            Value::Null if in_files => json!({ "version": turn.version() + 1, "source": "files" }),
            Value::Null => json!({ "version": turn.version() + 1 }),
            payload => with_version(payload.clone(), turn.version() + 1),
        };
        let status = if self.puts && !exists { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Step { items: vec![item], decision: None, status, body, location: None })
    }
}

impl Several {
    /// What a request says of several entities.
    pub(super) fn of(body: &[u8], limits: &Limits) -> Result<Self, Stop> {
        let Batch { changes } = of_form(body, limits)?;
        if !(1..=CHANGES_MAX).contains(&changes.len()) {
            return Err(malformed("/changes", format!("expected 1 to {CHANGES_MAX} changes")));
        }
        let named = |uid: Option<Uid>, index: usize| {
            let place = format!("/changes/{index}");
            uid.map(|uid| uid.entity()).ok_or_else(|| malformed(&place, "expected a `uid`"))
        };
        let changes = changes.into_iter().enumerate().map(|(index, entry)| {
            Ok(match entry {
                Entry::Put(Whole { uid, attrs, parents, provenance }) => EntityChange::Put {
                    id: named(uid, index)?,
                    attrs,
                    parents,
                    provided: provided(provenance),
                },
                Entry::Patch(Part { uid, attrs, parents, provenance }) => EntityChange::Patch {
                    id: named(uid, index)?,
                    attrs,
                    parents,
                    provided: provided(provenance),
                },
                Entry::Delete(uid) => EntityChange::Remove { id: uid.entity() },
            })
        });
        Ok(Self { changes: changes.collect::<Result<_, Stop>>()? })
    }

    pub(super) async fn step(self, turn: &LiveTurn<'_>, asking: &Asking) -> Result<Step, Stop> {
        let stamp = Stamp { by: asking.who(), at: asking.at };
        let mut items = vec![];
        let detail = "some of the changes cannot be made: nothing changed";
        let mut problem = None;
        for (index, change) in self.changes.into_iter().enumerate() {
            match change.item(turn, &stamp).await? {
                Ok(item) => items.push(item),
                Err(refused) => {
                    let all = problem
                        .take()
                        .unwrap_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail));
                    problem = Some(all.at(format!("/changes/{index}"), refused.to_string()));
                }
            }
        }
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let body = json!({ "version": turn.version() + 1, "changed": items.len() });
        Ok(Step { items, decision: None, status: StatusCode::OK, body, location: None })
    }
}

/// A document as it is answered: with the version in which it was last changed.
pub(super) fn with_version(mut document: Value, version: u64) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.insert("version".to_owned(), json!(version));
    }
    document
}

fn stopped(refused: &EntityRefused) -> Stop {
    let (status, code) = match refused {
        EntityRefused::Unknown => (StatusCode::NOT_FOUND, "unknown-entity"),
        EntityRefused::OfFiles => (StatusCode::CONFLICT, "in-files"),
        EntityRefused::NotYet(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not-yet"),
        EntityRefused::OfWorkflow(_) => (StatusCode::FORBIDDEN, "of-a-workflow"),
    };
    Problem::new(status, code, refused.to_string()).into()
}
