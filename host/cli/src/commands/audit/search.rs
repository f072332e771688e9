//! `assent audit search`: the records that match, a page at a time.

use std::io::Write;
use std::path::Path;

use assent_audit::index::PAGE_MAX;
use assent_audit::record::{DecisionEvent, Event, Record};
use assent_audit::shelf::{Page, Place};
use serde_json::json;

use super::{Opened, Which, open};

/// Prints a page of matching records, and how to get the next; as JSON, one record a line.
///
/// # Errors
/// When the log or its index cannot be read.
pub fn search(
    root: &Path,
    which: &Which<'_>,
    page: Page<'_>,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    anyhow::ensure!((1..=PAGE_MAX).contains(&page.limit), "`--limit`: expected 1 to {PAGE_MAX}");
    let Opened { shelf, .. } = open(root, which)?;
    let found = shelf.find(page)?;
    for (place, record) in &found {
        if as_json {
            writeln!(out, "{}", json!({ "place": place.to_string(), "record": record }))?;
        } else {
            writeln!(out, "{}", line(*place, record))?;
        }
    }
    match found.last() {
        Some((last, _)) if found.len() == page.limit && !as_json => {
            writeln!(out, "more: the same with `--after {last}`")?;
        }
        None if !as_json => writeln!(out, "nothing found")?,
        Some(_) | None => {}
    }
    Ok(())
}

/// A record on one line.
fn line(place: Place, record: &Record) -> String {
    let what = match &record.event {
        Event::Decision(decision) => {
            let DecisionEvent { subject, action, resource, outcome, caller, id, .. } = decision.as_ref();
            let purpose = decision.purpose.as_deref().map(|p| format!(" for {p}")).unwrap_or_default();
            format!(
                "{:<13} {} {action} {}{purpose}, asked by {} [{}] {id}",
                outcome.cause.code(),
                subject.entity,
                resource.entity,
                caller.id,
                outcome.reasons().join(" ")
            )
        }
        other => other.kind().to_owned(),
    };
    format!("{place:<12} {}  {what}", record.at)
}
