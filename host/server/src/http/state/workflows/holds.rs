//! Holds: placed by one person, released by two.

use assent_engine::state::{LiveTurn, Person};
use assent_model::Instant;
use assent_workflow::Machine;
use assent_workflow::hold::Target;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use assent_workflow::hold::Hold;

use super::{Asked, Asking, Collection, Shown, fresh, made, no_such_step, nothing, taken};
use crate::http::state::body::of_form;
use crate::http::state::command::Step;
use crate::http::state::problem::{Problem, Stop};

/// What is asked for.
#[derive(Clone)]
pub(in crate::http::state) enum Command {
    Place { id: String, placing: Placing },
    Propose { id: String, comment: String },
    Confirm { id: String },
    TakeBack { id: String },
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::state) struct Placing {
    target: Target,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposing {
    comment: String,
}

impl Command {
    pub(super) fn of(asking: &Asking, asked: &Asked<'_>) -> Result<Self, Stop> {
        let limits = &asking.service.limits;
        let Some(id) = asked.id.map(str::to_owned) else {
            return Ok(Self::Place { id: fresh(asking)?, placing: of_form(asked.body, limits)? });
        };
        Ok(match asked.step {
            Some("propose-release") => {
                let Proposing { comment } = of_form(asked.body, limits)?;
                Self::Propose { id, comment }
            }
            Some("confirm-release") => {
                nothing(asked, limits)?;
                Self::Confirm { id }
            }
            Some("take-back") => {
                nothing(asked, limits)?;
                Self::TakeBack { id }
            }
            _ => return Err(no_such_step("`propose-release`, `confirm-release` or `take-back`")),
        })
    }

    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Place { .. } => None,
            Self::Propose { id, .. } | Self::Confirm { id } | Self::TakeBack { id } => {
                Some((Hold::SECTION, id.clone()))
            }
        }
    }

    pub(super) async fn step(
        self,
        turn: &LiveTurn<'_>,
        asking: &Asking,
        person: Person,
    ) -> Result<Step, Stop> {
        let at = asking.at;
        match self {
            Self::Place { id, placing: Placing { target, reason } } => {
                check(turn, asking, &target)?;
                made(turn, asking, Collection::Holds, Hold::place(&id, target, reason, person.id, at))
            }
            Self::Propose { id, comment } => {
                taken(turn, asking, &id, |hold: &Hold| hold.propose_release(person.id, comment, at)).await
            }
            Self::Confirm { id } => {
                taken(turn, asking, &id, |hold: &Hold| hold.confirm_release(person.id, at)).await
            }
            Self::TakeBack { id } => taken(turn, asking, &id, Hold::take_back).await,
        }
    }
}

/// A hold on what does not exist would hold nothing, and nobody would notice.
fn check(turn: &LiveTurn<'_>, asking: &Asking, target: &Target) -> Result<(), Stop> {
    let release = turn.release();
    let (exists, what) = match target {
        Target::Entity(id) => (release.snapshot().facts().get(id).is_some(), "entity"),
        Target::Caller(id) => (asking.service.callers.iter().any(|caller| caller.id == *id), "caller"),
        Target::Plugin(id) => {
            (release.bindings().iter().any(|binding| binding.plugin.binding() == id), "plugin")
        }
        Target::Organization => (true, "organization"),
    };
    let detail =
        || format!("there is no such {what}, so the hold would hold nothing: look at how it is written");
    if exists {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-target", detail()).into())
}

impl Shown for Hold {
    fn now(&self, _at: Instant) -> Value {
        json!({ "status": self.status().code(), "holds": self.holds() })
    }
}
