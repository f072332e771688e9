//! Consents: FHIR R4 resources, recorded with what was made of them, replaced, revoked.
//!
//! INVARIANT (nothing is passed over): what could not be read of a consent is shown under `objections`, and the consent
//! objects until another version of it is recorded.

use assent_engine::state::{LiveTurn, Person, document};
use assent_fhir::{Directive, Outcome, Records, Unreadable, normalise};
use assent_model::{EntityId, Instant};
use assent_workflow::Machine;
use assent_workflow::consent::{Remark, Version};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use assent_workflow::consent::Consent;

use super::{Asked, Asking, Collection, Shown, made, no_such_step, representative, stepped, stopped, taken};
use crate::http::refusal::Refusal;
use crate::http::state::body::of_form;
use crate::http::state::command::Step;
use crate::http::state::problem::{Problem, Stop};
use crate::limits::Limits;
use crate::wire::WireError;

/// What is asked for.
#[derive(Clone)]
pub(in crate::http::state) enum Command {
    Record { id: String, text: Vec<u8> },
    Revoke { id: String, reason: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoking {
    reason: String,
}

impl Command {
    pub(super) fn of(asking: &Asking, asked: &Asked<'_>) -> Result<Self, Stop> {
        let id = asked.id.map(str::to_owned).ok_or_else(|| no_such_step("the consent's id"))?;
        Ok(match asked.step {
            None => {
                bounded(asked.body, &asking.service.limits)?;
                Self::Record { id, text: asked.body.to_vec() }
            }
            Some("revoke") => {
                let Revoking { reason } = of_form(asked.body, &asking.service.limits)?;
                Self::Revoke { id, reason }
            }
            Some(_) => return Err(no_such_step("`revoke`")),
        })
    }

    pub(super) fn target(&self) -> Option<(&'static str, String)> {
        let (Self::Record { id, .. } | Self::Revoke { id, .. }) = self;
        Some((Consent::SECTION, id.clone()))
    }

    pub(super) async fn step(
        self,
        turn: &LiveTurn<'_>,
        asking: &Asking,
        person: Person,
    ) -> Result<Step, Stop> {
        let at = asking.at;
        match self {
            Self::Record { id, text } => {
                let content = version(turn, asking, (&id, &text), person)?;
                match document::<Consent>(turn, &id).await? {
                    None => made(turn, asking, Collection::Consents, Consent::record(&id, content, at)),
                    Some(found) => {
                        let step = found.replace(content, at).map_err(|refused| stopped(&refused))?;
                        stepped(turn, asking, &step)
                    }
                }
            }
            Self::Revoke { id, reason } => {
                taken(turn, asking, &id, |found: &Consent| found.revoke(person.id, reason, at)).await
            }
        }
    }
}

/// A resource is read by a reader of its own, to which a member that is there twice is an objection; what a body costs
/// in memory has the bound that it has elsewhere.
fn bounded(text: &[u8], limits: &Limits) -> Result<(), Stop> {
    let (mut values, mut in_text, mut escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    if values > limits.json_values_max {
        return Err(Refusal::Body(WireError::TooManyValues { max: limits.json_values_max }).into());
    }
    Ok(())
}

/// What was made of a resource.
fn version(
    turn: &LiveTurn<'_>,
    asking: &Asking,
    (id, text): (&str, &[u8]),
    person: Person,
) -> Result<Version, Stop> {
    let release = turn.release();
    let facts = release.snapshot().facts();
    let is_stored = |entity: &EntityId| facts.get(entity).is_some();
    let represents = |person: &EntityId, patient: &EntityId| {
        representative::represents(release.policies(), facts, (person, patient), asking.at)
    };
    let records = Records { is_stored: &is_stored, represents: &represents };
    let outcome = normalise(text, &asking.state.rules().consents, asking.at, &records);
    let directive: Directive = match outcome.map_err(|error| unreadable(&error))? {
        Outcome::Directive(directive) => *directive,
        Outcome::Other(_) => {
            let detail = "this consent is about something else than who may see records, so there is nothing to \
                          record; if one of this id is recorded, revoke it";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "other-scope", detail).into());
        }
    };
    if directive.consent.id != id {
        let detail = "the resource has another `id` than the path, or none: send it to the path of its `id`";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "other-id", detail);
        return Err(problem.at("/id", "expected the id that the path names").into());
    }
    let notes = directive.notes.iter();
    let notes = notes.map(|note| Remark { path: note.path.clone(), reason: note.remark.to_string() });
    let objections = directive.unsupported.iter().map(|unsupported| Remark {
        path: unsupported.path.clone(),
        reason: match &unsupported.expected {
            Some(expected) => format!("{}; expected {expected}", unsupported.why),
            None => unsupported.why.to_string(),
        },
    });
    // What repeats members is an objection, and is kept as a parser reads it that takes the last one.
    let resource = serde_json::from_slice(text).unwrap_or_else(|_| json!({ "resourceType": Consent::TYPE }));
    Ok(Version {
        patient: directive.patient,
        resource,
        entity: directive.entity,
        objections: objections.collect(),
        notes: notes.collect(),
        recorded_by: person.id,
    })
}

fn unreadable(error: &Unreadable) -> Stop {
    let (status, code) = match error {
        Unreadable::NotJson { .. } => (StatusCode::BAD_REQUEST, "malformed"),
        Unreadable::NotAConsent => (StatusCode::UNPROCESSABLE_ENTITY, "not-a-consent"),
        Unreadable::NoPatient { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-patient"),
    };
    Problem::new(status, code, error.to_string()).into()
}

impl Shown for Consent {
    fn now(&self, at: Instant) -> Value {
        json!({
            "status": self.status(at).code(),
            "revision": self.version(),
            "objections": self.objections(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_of_many_small_values_is_refused_and_one_of_much_text_is_not() {
        let limits = Limits { json_values_max: 20, ..Limits::default() };
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(bounded(many(19).as_bytes(), &limits).is_ok());
        assert!(bounded(many(20).as_bytes(), &limits).is_err());
        let text = format!(r#"{{"div": "{} \\\" , \\\\"}}"#, ",[{".repeat(100));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert!(bounded(text.as_bytes(), &limits).is_ok());
        assert!(bounded(format!(r#"{{"a": "\\\\", "b": {}}}"#, many(20)).as_bytes(), &limits).is_err());
    }
}
