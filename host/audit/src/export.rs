//! Records for other systems: JSON lines, OCSF, FHIR AuditEvent, syslog.
//!
//! Each form is a pure view of one record; the record itself stays the truth. Views carry ids and codes,
//! not the words of a justification and not the facts (JSON lines carry all). What has been delivered is
//! kept in a [`Cursor`]: INVARIANT (at least once): it moves only after delivery, so a crash repeats records
//! and never loses one; receivers recognise a repetition by [`event_id`].

mod cursor;
mod fhir;
mod format;
mod ocsf;
mod set_aside;
mod syslog;

use assent_model::{Digest, EntityId};
use serde_json::{Value, json};

use crate::record::{Event, Record, StateChange};
pub use cursor::{Cursor, CursorError, FollowError, follow};
pub use fhir::fhir;
pub use format::{Format, UnknownFormat};
pub use ocsf::ocsf;
pub use set_aside::{SET_ASIDE_MAX, SetAside};
pub use syslog::syslog;

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The log's origin, such as `audit.example.org/clinic/2026`.
    pub log: String,
    /// The node that exports.
    pub node: String,
    /// The organization.
    pub organization: String,
    /// The version of Assent.
    pub software: String,
    /// The private enterprise number for syslog's structured data (RFC 5424, section 7.2.2).
    pub enterprise: u32,
}

/// Until the project has a private enterprise number: the one that RFC 5612 sets aside for documentation.
pub const ENTERPRISE: u32 = 32_473;

/// The record as one JSON line with its place in the log; complete, but for the contents of archived files
/// and of carried state.
pub fn jsonl(source: &Source, position: u64, record: &Record) -> String {
    line(&json!({ "log": source.log, "position": position, "record": record.shown() }))
}

/// JSON on one line, also for readers that take U+0085, U+2028 or U+2029 for the end of a line.
pub fn line(value: &Value) -> String {
    let mut text = value.to_string();
    // They can only be inside of strings, where the escape says the same.
    for (raw, escaped) in [('\u{85}', "\\u0085"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")] {
        if text.contains(raw) {
            text = text.replace(raw, escaped);
        }
    }
    text
}

/// By which a receiver recognises a record that it has seen: a decision's id; else 128 bits of the digest of
/// log and position, in the same form.
pub fn event_id(source: &Source, position: u64, record: &Record) -> String {
    match record.decision() {
        Some(decision) => decision.id.to_string(),
        None => {
            let place = Digest::of_parts([source.log.as_bytes(), &position.to_be_bytes()]);
            place.to_string().chars().take(32).collect()
        }
    }
}

/// What was done to the first thing, and to how many more.
fn state_changed(event: &StateChange) -> String {
    let first = event.items.first();
    let first =
        first.map_or_else(String::new, |item| format!("{} {}", word(&item.change), name(&item.target)));
    match event.items.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more - 1),
    }
}

/// One sentence of kind, codes and ids.
fn sentence(record: &Record) -> String {
    let text = match &record.event {
        Event::Decision(decision) => format!(
            "{} {} {}: {}",
            decision.outcome.cause.code(),
            decision.action,
            name(&decision.resource.entity),
            decision.outcome.reasons().join(", ")
        ),
        Event::Administration(event) => format!("{} {}", event.action, name(&event.target)),
        Event::StateChanged(event) => state_changed(event),
        Event::StateCarried(event) => {
            format!("state of {} carried on, part {} of {}", event.year, event.part, event.parts)
        }
        Event::ReleaseArchived(event) => {
            format!("release {} archived, part {} of {}", event.release, event.part, event.parts)
        }
        Event::ReleaseActivated(event) => {
            let agreed = event.request.as_ref().map(|request| format!(" by request {request}"));
            format!("release {} activated{}", event.release, agreed.unwrap_or_default())
        }
        Event::Key(event) => format!("key {} {}", event.key, word(&event.change)),
        Event::CallerRefused(event) => format!("caller refused: {}", event.reason),
        Event::AuditRead(event) => {
            format!("audit log read: {}, {} records", word(&event.what), event.records)
        }
        Event::TailDiscarded(event) => format!("{} unacknowledged bytes discarded", event.bytes),
        Event::ServiceStarted(run) => format!("service started on {}", run.node),
        Event::ServiceStopped(run) => format!("service stopped on {}", run.node),
        Event::Retention(_) | Event::ClockJump { .. } => record.event.kind().replace('-', " "),
    };
    crate::text::printable(&text)
}

/// One object of these parts; members that have nothing to say (null, or an empty list) are left out, at
/// every depth, for neither OCSF nor FHIR knows them.
fn compose<const N: usize>(parts: [Value; N]) -> Value {
    let members = parts
        .into_iter()
        .filter_map(|part| if let Value::Object(members) = part { Some(members) } else { None });
    tidy(Value::Object(members.flatten().collect()))
}

fn tidy(value: Value) -> Value {
    let says_something =
        |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, tidy(value)));
            Value::Object(members.filter(|(_, value)| says_something(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(tidy).collect(),
        other => other,
    }
}

fn name(entity: &EntityId) -> String {
    format!("{}/{}", entity.kind, entity.id)
}

/// The code of a unit variant, as it is written in the record.
fn word(code: &impl serde::Serialize) -> String {
    json!(code).as_str().unwrap_or("changed").to_owned()
}

#[cfg(test)]
mod tests;
