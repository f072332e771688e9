//! What is asked of the state, as one value, and the step that it is on the state as it then is.

use assent_audit::record::StateItem;
use assent_engine::state::{ENTITIES, LiveTurn};
use assent_model::DecisionId;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::path::{Collection, Document, Named};
use super::problem::Stop;
use super::{Asking, entities, workflows};
use crate::http::refusal::Refusal;

/// A change that was read of a request.
#[derive(Clone)]
pub(super) enum Command {
    /// Of one entity.
    Entity(entities::One),
    /// Of several, all or none.
    Entities(entities::Several),
    /// Of a workflow.
    Workflow(workflows::Command),
}

/// What a command comes to.
pub(super) struct Step {
    pub(super) items: Vec<StateItem>,
    /// The decision that it answers.
    pub(super) decision: Option<DecisionId>,
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// The path of what is new.
    pub(super) location: Option<String>,
}

impl Command {
    /// What a request asks for.
    pub(super) fn of(asking: &Asking, named: &Named, method: &Method, body: &[u8]) -> Result<Self, Stop> {
        let limits = &asking.service.limits;
        Ok(match (named.collection, &named.document) {
            (Collection::Entities, None) => Self::Entities(entities::Several::of(body, limits)?),
            (Collection::Entities, Some(Document::Entity(id))) => {
                Self::Entity(entities::One::of(id.clone(), method, body, limits)?)
            }
            (Collection::Entities | Collection::Lapses, _) => return Err(Refusal::NotFound.into()),
            _ => Self::Workflow(workflows::Command::of(asking, named, method, body)?),
        })
    }

    /// The document that a precondition is about: its section and its id.
    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Entity(one) => Some((ENTITIES, one.document())),
            Self::Entities(_) => None,
            Self::Workflow(command) => command.target(),
        }
    }

    /// Whether what it is about stands in the release's files.
    pub(super) fn is_in_files(&self, turn: &LiveTurn<'_>) -> bool {
        match self {
            Self::Entity(one) => one.is_in(turn.base().facts()),
            Self::Entities(_) | Self::Workflow(_) => false,
        }
    }

    /// What it comes to on the state as it is.
    pub(super) async fn step(&self, turn: &LiveTurn<'_>, asking: &Asking) -> Result<Step, Stop> {
        match self {
            Self::Entity(one) => one.clone().step(turn, asking).await,
            Self::Entities(several) => several.clone().step(turn, asking).await,
            Self::Workflow(command) => command.clone().step(turn, asking).await,
        }
    }
}
