//! Emergencies: declared for one patient, ended, reviewed.

use assent_engine::state::{Emergencies, LiveTurn, Person};
use assent_model::{EntityId, Instant};
use assent_workflow::Machine;
use assent_workflow::break_glass::{Declaration, Finding, Outcome};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use assent_workflow::break_glass::Emergency;

use super::{Asked, Asking, Collection, Shown, fresh, made, no_such_step, nothing, require_role, taken};
use crate::http::state::body::of_form;
use crate::http::state::command::Step;
use crate::http::state::problem::{Problem, Stop};

/// What is asked for.
#[derive(Clone)]
pub(in crate::http::state) enum Command {
    Declare { id: String, declaring: Declaring },
    End { id: String },
    Review { id: String, reviewing: Reviewing },
}

/// An emergency that whoever acts declares.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::state) struct Declaring {
    patient: EntityId,
    reason: String,
    justification: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::state) struct Reviewing {
    outcome: Outcome,
    comment: Option<String>,
}

impl Command {
    pub(super) fn of(asking: &Asking, asked: &Asked<'_>) -> Result<Self, Stop> {
        let limits = &asking.service.limits;
        let Some(id) = asked.id.map(str::to_owned) else {
            return Ok(Self::Declare { id: fresh(asking)?, declaring: of_form(asked.body, limits)? });
        };
        Ok(match asked.step {
            Some("end") => {
                nothing(asked, limits)?;
                Self::End { id }
            }
            Some("review") => Self::Review { id, reviewing: of_form(asked.body, limits)? },
            _ => return Err(no_such_step("`end` or `review`")),
        })
    }

    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Declare { .. } => None,
            Self::End { id } | Self::Review { id, .. } => Some((Emergency::SECTION, id.clone())),
        }
    }

    pub(super) async fn step(
        self,
        turn: &LiveTurn<'_>,
        asking: &Asking,
        person: Person,
    ) -> Result<Step, Stop> {
        let at = asking.at;
        let Emergencies { settings, declarers, reviewers } =
            asking.state.rules().emergencies.as_ref().ok_or_else(not_here)?;
        match self {
            Self::Declare { id, declaring: Declaring { patient, reason, justification } } => {
                require_role(declarers, &person)?;
                let declaration = Declaration { practitioner: person.id, patient, reason, justification };
                let taken = Emergency::declare(&id, declaration, settings, at);
                made(turn, asking, Collection::Emergencies, taken)
            }
            Self::End { id } => {
                // Whoever may look at it may end it; and whoever declared it.
                let end = |found: &Emergency| found.end(person.id.clone(), at);
                let found = super::found::<Emergency>(turn, &id).await?;
                if *found.practitioner() != person.id {
                    require_role(reviewers, &person)?;
                }
                taken(turn, asking, &id, end).await
            }
            Self::Review { id, reviewing: Reviewing { outcome, comment } } => {
                require_role(reviewers, &person)?;
                let finding = Finding { by: person.id, outcome, comment };
                taken(turn, asking, &id, |found: &Emergency| found.review(finding, at)).await
            }
        }
    }
}

fn not_here() -> Stop {
    let detail =
        "emergencies cannot be declared here: `[break_glass]` in `organization.toml` sets their terms";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-rule", detail).into()
}

impl Shown for Emergency {
    fn now(&self, at: Instant) -> Value {
        json!({
            "status": self.status(at).code(),
            "reviewState": self.review_state(at).code(),
            "lastsUntil": self.lasts_until(),
            "reviewDue": self.review_due(),
        })
    }
}
