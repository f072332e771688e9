//! Records as a table: one a line, columns aligned, in the words that the options of `search` take.
//!
//! Who asks chooses some of the text, so everything printed goes through [`printable`].

use assent_audit::record::{Actor, DecisionEvent, Event, Record, RetentionChange};
use assent_audit::shelf::Place;
use assent_audit::text::printable;
use assent_model::EntityId;
use serde::Serialize;

const HEAD: [&str; COLUMNS] =
    ["PLACE", "AT", "WHAT", "WHO", "ACTION", "ON", "PURPOSE", "CALLER", "BECAUSE OF"];
const COLUMNS: usize = 9;
/// How many characters of a digest tell releases apart for a reader.
pub(super) const DIGEST_SHOWN: usize = 12;

/// A table of these records, with a head.
pub(super) fn table(found: &[(Place, Record)]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(found.iter().map(|(place, record)| cells(*place, record).map(|cell| printable(&cell))));
    aligned(&rows)
}

/// Rows as lines, each column as wide as its widest cell.
pub(super) fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(place: Place, record: &Record) -> [String; COLUMNS] {
    let row = row(&record.event);
    let (place, at) = (place.to_string(), record.at.to_string());
    [place, at, row.what, row.who, row.action, row.on, row.purpose, row.caller, row.because]
}

#[derive(Default)]
struct Row {
    what: String,
    who: String,
    action: String,
    on: String,
    purpose: String,
    caller: String,
    because: String,
}

fn row(event: &Event) -> Row {
    let mut row = Row { what: event.kind().to_owned(), ..Row::default() };
    if let Some(Actor { entity, caller, .. }) = event.actor() {
        (row.who, row.caller) = (name(entity), caller.clone().unwrap_or_default());
    }
    match event {
        Event::Decision(decision) => {
            let DecisionEvent { subject, action, resource, purpose, outcome, caller, .. } = decision.as_ref();
            row.what = outcome.cause.code().to_owned();
            (row.who, row.on) = (name(&subject.entity), name(&resource.entity));
            (row.action, row.caller) = (action.clone(), caller.id.clone());
            row.purpose = purpose.clone().unwrap_or_default();
            row.because = outcome.reasons().join(", ");
        }
        Event::ServiceStarted(run) | Event::ServiceStopped(run) => {
            row.who = format!("{} {}", run.node, run.software);
        }
        Event::TailDiscarded(tail) => row.because = format!("{} bytes after a crash", tail.bytes),
        Event::ReleaseArchived(part) => {
            row.on = format!("release {}", short(&part.release));
            row.because = format!("part {} of {}", part.part, part.parts);
        }
        Event::ReleaseActivated(release) => {
            row.on = format!("release {}", short(&release.release));
            row.because = release.request.iter().map(|request| format!("request {request}")).collect();
        }
        Event::Key(key) => (row.action, row.on) = (code(&key.change), key.key.clone()),
        Event::Retention(retention) => {
            (row.action, row.on) = change(&retention.change, &retention.years);
            row.because = retention.reason.clone();
        }
        Event::ClockJump { before, after } => row.because = format!("from {before} to {after}"),
        Event::CallerRefused(refused) => {
            row.caller = refused.caller.clone().unwrap_or_default();
            row.because = refused.reasons();
        }
        Event::AuditRead(read) => {
            row.action = code(&read.what);
            row.on = read.patient.as_ref().map(name).unwrap_or_default();
        }
        Event::Administration(done) => (row.action, row.on) = (done.action.clone(), name(&done.target)),
        Event::StateCarried(part) => {
            row.on = format!("state of {}", part.year);
            row.because = format!("part {} of {}", part.part, part.parts);
        }
        Event::StateChanged(change) => {
            if let Some(item) = change.items.first() {
                (row.action, row.on) = (code(&item.change), name(&item.target));
            }
            if let more @ 1.. = change.items.len().saturating_sub(1) {
                row.on = format!("{} and {more} more", row.on);
            }
        }
    }
    row
}

/// An entity as the options take it: `Patient::jun-park`.
pub(super) fn name(entity: &EntityId) -> String {
    format!("{}::{}", entity.kind, entity.id)
}

/// The first characters of a digest.
pub(super) fn short(digest: &assent_model::Digest) -> String {
    digest.to_string().chars().take(DIGEST_SHOWN).collect()
}

/// What changed in what is kept, and of which years or which hold.
fn change(change: &RetentionChange, years: &[i32]) -> (String, String) {
    let named = match serde_json::to_value(change).unwrap_or_default() {
        serde_json::Value::Object(members) => members.into_iter().next(),
        word => Some((word.as_str().unwrap_or_default().to_owned(), serde_json::Value::Null)),
    };
    let (action, of) = named.unwrap_or_default();
    let years = years.iter().map(ToString::to_string);
    let on: Vec<_> = of.as_str().map(str::to_owned).into_iter().chain(years).collect();
    (action, on.join(" "))
}

/// A word as records write it.
fn code(word: &impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}
