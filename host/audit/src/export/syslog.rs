//! A record as an RFC 5424 message, facility 13 (log audit), with structured data.
//!
//! INVARIANT (one record, one line): whatever a value holds, the message has no control character and no
//! line separator, and no value can end its own quotes. How messages are framed and sent is not said here.

use assent_model::{Cause, EntityId};

use super::{Source, event_id, name, sentence};
use crate::record::{Event, Record};
use crate::text::is_unprintable;

const FACILITY: u8 = 13;

/// Receivers need only take 2 048 bytes (RFC 5424, section 6.1); ids are shorter than this, hostile ones not.
const VALUE_MAX_CHARS: usize = 128;

/// The record as one message, without framing.
pub fn syslog(source: &Source, position: u64, record: &Record) -> String {
    let mut values = vec![
        ("log", source.log.clone()),
        ("position", position.to_string()),
        ("id", event_id(source, position, record)),
        ("organization", source.organization.clone()),
    ];
    let mut add = |key, value: Option<String>| values.extend(value.map(|value| (key, value)));
    let entity = |id: &EntityId| name(id);
    if let Event::Decision(decision) = &record.event {
        add("cause", Some(decision.outcome.cause.code().to_owned()));
        add("caller", Some(decision.caller.id.clone()));
        add("address", decision.caller.address.clone());
        add("subject", Some(entity(&decision.subject.entity)));
        add("action", Some(decision.action.clone()));
        add("resource", Some(entity(&decision.resource.entity)));
        add("patient", decision.patient.as_ref().map(entity));
        add("purpose", decision.purpose.clone());
        add("release", Some(decision.release.to_string()));
        add("request", decision.request_id.clone());
    }
    if let Some(actor) = record.event.actor() {
        add("subject", Some(entity(&actor.entity)));
        add("caller", actor.caller.clone());
        add("address", actor.address.clone());
    }
    if let Event::CallerRefused(refused) = &record.event {
        add("caller", refused.caller.clone());
        add("address", refused.address.clone());
    }
    let values: String = values.iter().map(|(key, value)| format!(" {key}=\"{}\"", quoted(value))).collect();
    let message: String = sentence(record).chars().take(4 * VALUE_MAX_CHARS).collect();
    format!(
        "<{}>1 {} {} assent - {} [assent@{}{values}] \u{feff}{message}",
        FACILITY * 8 + severity(record),
        record.at,
        header(&source.node),
        record.event.kind(),
        source.enterprise,
    )
}

/// As a value of structured data: `"`, `\` and `]` behind a backslash (section 6.3.3); what would break the
/// line as its code point.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars().take(VALUE_MAX_CHARS) {
        match c {
            '"' | '\\' | ']' => out.extend(['\\', c]),
            c if is_unprintable(c) => out.push_str(&format!("\\\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// As a header field: printable ASCII without spaces, or `-`.
fn header(text: &str) -> &str {
    let fits = !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { text } else { "-" }
}

/// 4 warning, 5 notice, 6 informational.
fn severity(record: &Record) -> u8 {
    match &record.event {
        Event::Decision(decision) => match decision.outcome.cause {
            Cause::Permit => 6,
            Cause::Forbidden | Cause::NoPolicy => 5,
            Cause::Indeterminate => 4,
        },
        Event::TailDiscarded(_) | Event::ClockJump { .. } => 4,
        Event::CallerRefused(_) | Event::Retention(_) | Event::Key(_) => 5,
        Event::ServiceStarted(_)
        | Event::ServiceStopped(_)
        | Event::ReleaseArchived(_)
        | Event::ReleaseActivated(_)
        | Event::AuditRead(_)
        | Event::Administration(_)
        | Event::StateChanged(_)
        | Event::StateCarried(_) => 6,
    }
}
