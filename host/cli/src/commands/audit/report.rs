//! `assent audit report`: the reviews that somebody has to do daily, weekly or monthly.

use std::io::Write;
use std::path::Path;

use assent_audit::record::{Event, Record};
use assent_audit::reports;
use assent_model::Instant;
use serde::Serialize;

use super::progress::Bar;
use super::{Which, open};

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Report {
    /// Emergency access that nobody has reviewed within a day.
    BreakGlass,
    /// What left in the last seven days.
    Exports,
    /// Access in the last thirty days to patients to whom no relation led.
    WithoutRelationship,
    /// Accounts first seen in the last seven days, and those not seen for ninety.
    Accounts,
    /// Ten denials or more of one subject within ten minutes.
    DenialBursts,
}

const DAY_MS: i64 = 86_400_000;
const BURST_WINDOW_MS: i64 = 600_000;
const BURST_COUNT: usize = 10;

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
    let mut records: Vec<Record> = vec![];
    for (done, record) in (1..).zip(opened.shelf.records()?) {
        let (_, record) = record?;
        // No report looks at them, and they are the largest records there are.
        if !matches!(record.event, Event::ReleaseArchived(_)) {
            records.push(record);
        }
        bar.show(done);
    }
    drop(bar);
    // Periods end before their last moment, and what happens in this one belongs to the report.
    let end = Instant::from_millis(now.as_millis() + 1)?;
    let since = |days: i64| Instant::from_millis(now.as_millis() - days * DAY_MS);
    match report {
        Report::BreakGlass => lines(out, &reports::break_glass_unreviewed(&records, now, DAY_MS)),
        Report::Exports => lines(out, &reports::exports(&records, since(7)?, end)),
        Report::WithoutRelationship => lines(out, &reports::without_relationship(&records, since(30)?, end)),
        Report::Accounts => {
            let found = reports::accounts(&records, now, 7 * DAY_MS, 90 * DAY_MS);
            writeln!(out, "{}", serde_json::to_string(&found)?)?;
            Ok(())
        }
        Report::DenialBursts => lines(out, &reports::denial_bursts(&records, BURST_WINDOW_MS, BURST_COUNT)),
    }
}

fn lines<T: Serialize>(out: &mut dyn Write, found: &[T]) -> anyhow::Result<()> {
    for finding in found {
        writeln!(out, "{}", serde_json::to_string(finding)?)?;
    }
    // For the person; programs read the lines.
    match found.len() {
        0 => writeln!(std::io::stderr(), "nothing to review").ok(),
        count => writeln!(std::io::stderr(), "to review: {count}").ok(),
    };
    Ok(())
}
