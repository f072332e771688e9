//! `assent audit hold`: years that must stay, for a litigation or an inquiry, whatever their age.
//!
//! One person places a hold, which can only keep more; two release it. Everything is a record, and the list is read
//! from the records.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use assent_audit::record::{Event, Retention, RetentionChange};
use assent_audit::retention::{State, Wanted};
use assent_audit::text::printable;
use assent_server::{Clock, SystemClock};

use super::progress::Bar;
use super::record::{Said, actor, record};
use super::two_persons::{self, Agreement, Asking};
use super::{Opened, Which, open};

/// Holds what there is of these years (none: all, also those to come).
///
/// # Errors
/// When it is not recorded: then nothing is held.
pub fn place(
    root: &Path,
    which: &Which<'_>,
    id: &str,
    years: &[i32],
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Opened { shelf, .. } = open(root, which)?;
    ensure!(!id.trim().is_empty(), "`--id`: expected a name for the hold, such as a case number");
    let there = shelf.years()?;
    for year in years {
        ensure!(there.contains(year), "there is no log of {year} to hold: {}", super::listed(&there));
    }
    let event = Retention {
        change: RetentionChange::HoldPlaced(id.to_owned()),
        by: actor(said.by)?,
        reason: said.because()?,
        years: years.to_vec(),
        request: None,
        carried_from: None,
    };
    record(shelf.config(), shelf.organization(), &Event::Retention(event))?;
    // A year may have been let go between the look and the record.
    let left = shelf.years()?;
    for year in years {
        ensure!(left.contains(year), "the log of {year} was let go meanwhile: only what is left is held");
    }
    writeln!(
        out,
        "held: {} of `{}`, until `{}` is released",
        words(years.iter()),
        shelf.organization(),
        printable(id)
    )?;
    Ok(())
}

/// Asks that a hold end.
///
/// # Errors
/// When there is none, or it is not recorded.
pub fn ask_release(
    root: &Path,
    which: &Which<'_>,
    id: &str,
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Opened { shelf, .. } = open(root, which)?;
    let state = State::find(&shelf)?;
    let hold = state.hold(id).filter(|hold| hold.released.is_none());
    let hold =
        hold.with_context(|| format!("nothing is held by `{id}`; `assent audit hold list` shows what is"))?;
    let asking = Asking {
        change: RetentionChange::HoldReleaseAsked(hold.id.clone()),
        years: vec![],
        meanwhile: "it goes on to hold",
        command: "hold release",
    };
    two_persons::ask(root, &shelf, asking, said, out)
}

/// Releases a hold, as the second person.
///
/// # Errors
/// When this person cannot confirm the request, or it is not recorded.
pub fn confirm_release(
    root: &Path,
    which: &Which<'_>,
    request: &str,
    by: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let opened = open(root, which)?;
    // By the records themselves: what ends a hold lets something go.
    let mut bar = Bar::over(&opened).unwrap_or_else(|_| Bar::new(0));
    let state = State::read(&opened.shelf, None, |done| bar.show(done))?;
    drop(bar);
    let shelf = &opened.shelf;
    let agreement = Agreement::to(&state, request, by)?;
    let Wanted::Release { hold } = &agreement.asked.wanted else {
        bail!("request {request} is to let a year go: confirm it with `assent audit expire`");
    };
    if !agreement.is_recorded {
        agreement.record(shelf, RetentionChange::HoldReleased(hold.clone()), vec![])?;
    }
    writeln!(out, "released: `{}` holds nothing any more", printable(hold))?;
    Ok(())
}

/// Prints what is held, what was, and what waits for a second person.
///
/// # Errors
/// When the logs cannot be read.
pub fn list(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let Opened { shelf, .. } = open(root, which)?;
    let state = State::find(&shelf)?;
    if state.holds().next().is_none() {
        writeln!(out, "`{}` has no holds", shelf.organization())?;
    }
    for hold in state.holds() {
        let (placed, place) = hold.placed;
        let ended = hold.released.map(|(at, place)| format!("; released {at} ({place})")).unwrap_or_default();
        let line = format!(
            "{}: {}, by {} since {placed} ({place}){ended}: {}",
            hold.id,
            words(hold.years.iter()),
            hold.by.entity.id,
            hold.reason
        );
        writeln!(out, "{}", printable(&line))?;
    }
    for request in state.open_requests(SystemClock.now()) {
        if let Wanted::Release { hold } = &request.wanted {
            writeln!(out, "{}", two_persons::waiting(request, &format!("release `{hold}`")))?;
        }
    }
    Ok(())
}

fn words<'a>(years: impl ExactSizeIterator<Item = &'a i32>) -> String {
    if years.len() == 0 {
        return "all years".to_owned();
    }
    years.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
