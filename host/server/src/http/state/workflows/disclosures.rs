//! A licensed professional's decisions about a minor's category of care: made, withdrawn.

use assent_engine::state::{LiveTurn, Person};
use assent_model::{EntityId, Instant, Value as Fact};
use assent_workflow::Machine;
use assent_workflow::disclosure::{Disclosure, Settings, Statement};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use assent_workflow::disclosure::Decision;

use super::{Asked, Asking, Collection, Shown, fresh, made, no_such_step, nothing, taken};
use crate::http::state::body::of_form;
use crate::http::state::command::Step;
use crate::http::state::problem::{Problem, Stop};

/// What is asked for.
#[derive(Clone)]
pub(in crate::http::state) enum Command {
    Make { id: String, making: Box<Making> },
    Withdraw { id: String },
}

/// A decision of whoever acts.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::http::state) struct Making {
    patient: EntityId,
    category: String,
    service: Option<String>,
    recipient: Option<EntityId>,
    disclosure: Disclosure,
    licence: String,
    reason: String,
    expires_at: Option<Instant>,
}

impl Command {
    pub(super) fn of(asking: &Asking, asked: &Asked<'_>) -> Result<Self, Stop> {
        let limits = &asking.service.limits;
        let Some(id) = asked.id.map(str::to_owned) else {
            return Ok(Self::Make { id: fresh(asking)?, making: Box::new(of_form(asked.body, limits)?) });
        };
        nothing(asked, limits)?;
        match asked.step {
            Some("withdraw") => Ok(Self::Withdraw { id }),
            _ => Err(no_such_step("`withdraw`")),
        }
    }

    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Make { .. } => None,
            Self::Withdraw { id } => Some((Decision::SECTION, id.clone())),
        }
    }

    pub(super) async fn step(
        self,
        turn: &LiveTurn<'_>,
        asking: &Asking,
        person: Person,
    ) -> Result<Step, Stop> {
        let at = asking.at;
        let settings: &Settings = asking.state.rules().disclosures.as_ref().ok_or_else(not_here)?;
        match self {
            Self::Make { id, making } => {
                let Making { patient, category, service, recipient, disclosure, licence, reason, expires_at } =
                    *making;
                check_licence(turn, &person, &licence)?;
                let author = person.id;
                let statement = Statement {
                    patient,
                    category,
                    service,
                    recipient,
                    disclosure,
                    author,
                    licence,
                    reason,
                    expires_at,
                };
                let taken = Decision::make(&id, statement, settings, at);
                made(turn, asking, Collection::Disclosures, taken)
            }
            Self::Withdraw { id } => {
                let Person { id: by, roles } = person;
                taken(turn, asking, &id, |found: &Decision| found.withdraw(by, &roles, settings, at)).await
            }
        }
    }
}

/// The law leaves it to a licensed professional: the licence must be the one on record.
fn check_licence(turn: &LiveTurn<'_>, person: &Person, licence: &str) -> Result<(), Stop> {
    let facts = turn.release().snapshot().facts();
    let known = facts.get(&person.id).and_then(|entity| entity.attributes.get("licence"));
    if known.and_then(Fact::as_text) == Some(licence) {
        return Ok(());
    }
    let detail =
        "the licence is not the one on record for this person: record it with the person's entity first";
    Err(Problem::new(StatusCode::FORBIDDEN, "licence-unknown", detail).into())
}

fn not_here() -> Stop {
    let detail = "decisions of professionals cannot be made here: `[disclosure_decisions]` in `organization.toml` sets their terms";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-rule", detail).into()
}

impl Shown for Decision {
    fn now(&self, at: Instant) -> Value {
        json!({ "status": self.status(at).code(), "expiresAt": self.expires_at() })
    }
}
