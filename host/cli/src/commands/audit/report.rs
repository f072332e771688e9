//! `assent audit report`: the reviews that somebody has to do daily, weekly or monthly.

use std::io::Write;
use std::path::Path;

use assent_audit::record::AuditUse;
use assent_audit::reports::Report;
use assent_model::Instant;
use serde_json::json;

use super::progress::Bar;
use super::record::note_reading;
use super::{Which, open};

/// Prints a report as JSON, one finding a line, and how many there are to standard error.
///
/// # Errors
/// When the log cannot be read.
pub fn report(
    root: &Path,
    which: &Which<'_>,
    report: Report,
    now: Instant,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let opened = open(root, which)?;
    let mut bar = Bar::over(&opened)?;
    let findings = opened.shelf.over(|records| report.over(bar.along(records), now))?;
    drop(bar);
    let put = json!({ "report": report.as_str() });
    note_reading(&opened, AuditUse::Report, None, put, findings.len())?;
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    // For the person; programs read the lines.
    match findings.len() {
        0 => writeln!(std::io::stderr(), "nothing to review").ok(),
        count => writeln!(std::io::stderr(), "to review: {count}").ok(),
    };
    Ok(())
}
