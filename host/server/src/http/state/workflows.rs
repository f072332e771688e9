//! The workflows over HTTP: what a request says of one, the step that it is, and how a document is shown.
//!
//! Every step is somebody's: the caller names the person, and the person must be known, active and on no hold. Roles
//! are those of the facts, never of the request.

mod approvals;
mod consents;
mod disclosures;
mod emergencies;
mod holds;
mod representative;

use assent_engine::state::{LiveTurn, Person, StoredDocument, document, items, person};
use assent_model::{EntityId, Instant};
use assent_workflow::{Group, Machine, Refused, Step as Taken};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::of_form;
use super::command::Step;
use super::entities::with_version;
use super::page::{self, refused};
use super::path::{Collection, Document, Named};
use super::problem::{Problem, Stop};
use super::{Asking, read};
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply};
use crate::limits::Limits;

/// A step of a workflow, as it was asked for.
#[derive(Clone)]
pub(super) enum Command {
    Approval(approvals::Command),
    Consent(consents::Command),
    Disclosure(disclosures::Command),
    Emergency(emergencies::Command),
    Hold(holds::Command),
}

impl Command {
    /// What a request asks for.
    pub(super) fn of(asking: &Asking, named: &Named, _method: &Method, body: &[u8]) -> Result<Self, Stop> {
        let id = match &named.document {
            None => None,
            Some(Document::Id(id)) => Some(id.as_str()),
            Some(Document::Entity(_)) => return Err(Refusal::NotFound.into()),
        };
        let asked = Asked { id, step: named.step.as_deref(), body };
        asking.person()?;
        Ok(match named.collection {
            Collection::Approvals => Self::Approval(approvals::Command::of(asking, &asked)?),
            Collection::Consents => Self::Consent(consents::Command::of(asking, &asked)?),
            Collection::Disclosures => Self::Disclosure(disclosures::Command::of(asking, &asked)?),
            Collection::Emergencies => Self::Emergency(emergencies::Command::of(asking, &asked)?),
            Collection::Holds => Self::Hold(holds::Command::of(asking, &asked)?),
            Collection::Entities | Collection::Lapses => return Err(Refusal::NotFound.into()),
        })
    }

    /// The document that a precondition is about.
    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Approval(command) => command.target(),
            Self::Consent(command) => command.target(),
            Self::Disclosure(command) => command.target(),
            Self::Emergency(command) => command.target(),
            Self::Hold(command) => command.target(),
        }
    }

    pub(super) async fn step(self, turn: &LiveTurn<'_>, asking: &Asking) -> Result<Step, Stop> {
        let id = asking.person()?;
        let unfit = || {
            let detail = "`Assent-Person`: expected somebody known, active, certified and on no hold, by facts that are \
                          fresh enough";
            Problem::new(StatusCode::FORBIDDEN, "person-unfit", detail)
        };
        let person = person(turn, id, asking.at).ok_or_else(unfit)?;
        match self {
            Self::Approval(command) => command.step(turn, asking, person).await,
            Self::Consent(command) => command.step(turn, asking, person).await,
            Self::Disclosure(command) => command.step(turn, asking, person).await,
            Self::Emergency(command) => command.step(turn, asking, person).await,
            Self::Hold(command) => command.step(turn, asking, person).await,
        }
    }
}

/// What a request names and says.
struct Asked<'a> {
    id: Option<&'a str>,
    step: Option<&'a str>,
    body: &'a [u8],
}

/// A fresh id.
fn fresh(asking: &Asking) -> Result<String, Stop> {
    let bits = asking.service.ids.bits().ok_or(Refusal::Internal)?;
    Ok(format!("{bits:032x}"))
}

/// A document that is new.
fn made<M: Shown>(
    turn: &LiveTurn<'_>,
    asking: &Asking,
    collection: Collection,
    taken: Result<Taken<M>, Refused>,
) -> Result<Step, Stop> {
    let step = taken.map_err(|refused| stopped(&refused))?;
    let path = format!("/{}/state/v1/{}/{}", asking.organization, collection.name(), step.to.id());
    Ok(Step { status: StatusCode::CREATED, location: Some(path), ..stepped(turn, asking, &step)? })
}

/// A document that there must be.
async fn found<M: Machine>(turn: &LiveTurn<'_>, id: &str) -> Result<M, Stop> {
    Ok(document(turn, id).await?.ok_or(Refusal::NotFound)?)
}

/// A body that says nothing.
fn nothing(asked: &Asked<'_>, limits: &Limits) -> Result<(), Stop> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    of_form::<Nothing>(asked.body, limits).map(drop)
}

/// Whether a person has one of these roles.
fn require_role(roles: &[String], person: &Person) -> Result<(), Stop> {
    if roles.iter().any(|role| person.roles.contains(role)) {
        return Ok(());
    }
    Err(stopped(&Refused::RoleMissing { roles: roles.to_vec() }))
}

/// A step of a document that there is.
async fn taken<M: Shown>(
    turn: &LiveTurn<'_>,
    asking: &Asking,
    id: &str,
    take: impl FnOnce(&M) -> Result<Taken<M>, Refused>,
) -> Result<Step, Stop> {
    let step = take(&found(turn, id).await?).map_err(|refused| stopped(&refused))?;
    stepped(turn, asking, &step)
}

fn stepped<M: Shown>(turn: &LiveTurn<'_>, asking: &Asking, step: &Taken<M>) -> Result<Step, Stop> {
    let body = with_version(step.to.shown(asking.at)?, turn.version() + 1);
    let items = items(turn, step)?;
    Ok(Step { items, decision: None, status: StatusCode::OK, body, location: None })
}

/// How a document is shown: as it is stored, and what it is as of a moment.
trait Shown: Machine {
    /// What follows from the document at this moment: its `status` at least.
    fn now(&self, at: Instant) -> Value;

    fn shown(&self, at: Instant) -> Result<Value, Stop> {
        let mut shown = serde_json::to_value(self).map_err(|_| Refusal::Internal)?;
        if let (Some(members), Value::Object(now)) = (shown.as_object_mut(), self.now(at)) {
            members.extend(now);
        }
        Ok(shown)
    }
}

fn stopped(refused: &Refused) -> Stop {
    let status = match refused.group() {
        Group::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Group::Forbidden => StatusCode::FORBIDDEN,
        Group::Conflict => StatusCode::CONFLICT,
    };
    Problem::new(status, refused.code(), refused.to_string()).into()
}

/// The part of the state that a collection shows.
pub(super) const fn section(collection: Collection) -> Option<&'static str> {
    match collection {
        Collection::Approvals => Some(<approvals::Approval as Machine>::SECTION),
        Collection::Consents => Some(<consents::Consent as Machine>::SECTION),
        Collection::Disclosures => Some(<disclosures::Decision as Machine>::SECTION),
        Collection::Emergencies => Some(<emergencies::Emergency as Machine>::SECTION),
        Collection::Holds => Some(<holds::Hold as Machine>::SECTION),
        Collection::Entities | Collection::Lapses => None,
    }
}

/// The type that a record of a reading names.
pub(super) const fn entity_type(collection: Collection) -> &'static str {
    match collection {
        Collection::Approvals => <approvals::Approval as Machine>::TYPE,
        Collection::Consents => <consents::Consent as Machine>::TYPE,
        Collection::Disclosures => <disclosures::Decision as Machine>::TYPE,
        Collection::Emergencies => <emergencies::Emergency as Machine>::TYPE,
        Collection::Holds => <holds::Hold as Machine>::TYPE,
        Collection::Entities | Collection::Lapses => "State",
    }
}

/// The members by which a list can be narrowed.
pub(super) const fn filters(collection: Collection) -> &'static [&'static str] {
    match collection {
        Collection::Entities => &["type"],
        Collection::Lapses => &[],
        Collection::Emergencies => &["status", "reviewState"],
        Collection::Approvals | Collection::Consents | Collection::Disclosures | Collection::Holds => {
            &["status"]
        }
    }
}

/// A document as it is shown, and its version.
pub(super) fn shown(
    collection: Collection,
    found: &StoredDocument,
    at: Instant,
) -> Result<(u64, Value), Stop> {
    fn of<M: Shown>(found: &StoredDocument, at: Instant) -> Result<Value, Stop> {
        found.parsed::<M>(M::SECTION)?.shown(at)
    }
    let shown = match collection {
        Collection::Approvals => of::<approvals::Approval>(found, at)?,
        Collection::Consents => of::<consents::Consent>(found, at)?,
        Collection::Disclosures => of::<disclosures::Decision>(found, at)?,
        Collection::Emergencies => of::<emergencies::Emergency>(found, at)?,
        Collection::Holds => of::<holds::Hold>(found, at)?,
        Collection::Entities | Collection::Lapses => return Err(Refusal::NotFound.into()),
    };
    Ok((found.version, with_version(shown, found.version)))
}

/// How far ahead it is looked for what lapses, in days, where nothing is said, and at most.
const LAPSES_DAYS: (i64, i64) = (30, 366);
/// Lapses of one answer.
const LAPSES_MAX: usize = 1_000;
const DAY_MS: i64 = 86_400_000;

/// What lapses soon: `within=P30D`.
pub(super) async fn lapses(asking: &Asking, uri: &Uri) -> Result<Response, Stop> {
    let asked = page::filters(uri, &["within"])?;
    let days = match asked.filter("within") {
        None => LAPSES_DAYS.0,
        Some(text) => {
            let days = text.strip_prefix('P').and_then(|text| text.strip_suffix('D')?.parse().ok());
            let days = days.filter(|days| (1..=LAPSES_DAYS.1).contains(days));
            days.ok_or_else(|| refused("`within`: expected days, from `P1D` to `P366D`".to_owned()))?
        }
    };
    let until = Instant::from_millis(asking.at.as_millis().saturating_add(days * DAY_MS));
    let until = until.map_err(|_| Refusal::Internal)?;
    let query = json!({ "within": format!("P{days}D") });
    read::note(asking, EntityId::new("State", "lapses"), Some(query)).await?;
    let (release, from) = (asking.state.release(), asking.at);
    let look = move || release.policies().lapses(release.snapshot(), (from, until), LAPSES_MAX);
    // It goes through all entities.
    let found = tokio::task::spawn_blocking(look).await.map_err(|_| Refusal::Internal)?;
    let items: Vec<Value> = found
        .iter()
        .map(|lapse| {
            let entity = json!({ "type": lapse.entity.kind, "id": lapse.entity.id });
            json!({ "at": lapse.at, "entity": entity, "attribute": lapse.attribute, "what": lapse.what })
        })
        .collect();
    let is_whole = found.len() < LAPSES_MAX;
    Ok(json_reply(StatusCode::OK, NO_STORE, &json!({ "until": until, "items": items, "whole": is_whole })))
}

/// An unknown step.
fn no_such_step(known: &str) -> Stop {
    let detail = format!("there is no such step: expected {known}");
    Problem::new(StatusCode::NOT_FOUND, "no-such-step", detail).into()
}
