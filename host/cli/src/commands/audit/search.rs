//! `assent audit search`: the records that match, a page at a time.

use std::io::Write;
use std::path::Path;

use assent_audit::index::PAGE_MAX;
use assent_audit::record::AuditUse;
use assent_audit::shelf::Page;
use serde_json::json;

use super::record::note_reading;
use super::table::table;
use super::{Which, ensure_in_order, open};

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
    ensure_in_order(page.query.from, page.query.until, "`--from`, `--until`")?;
    let opened = open(root, which)?;
    let found = opened.shelf.find(page)?;
    note_reading(&opened, AuditUse::Search, page.query.patient.as_ref(), json!(page.query), found.len())?;
    if as_json {
        for (place, record) in &found {
            writeln!(out, "{}", json!({ "place": place.to_string(), "record": record.shown() }))?;
        }
    } else if !found.is_empty() {
        write!(out, "{}", table(&found))?;
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
