//! `assent audit expire`: which years have been kept for long enough, and letting one go, by two persons.
//!
//! INVARIANT (nothing goes that must stay): the second person's command looks at everything again, at the records
//! themselves, before it destroys the first byte. INVARIANT (record before act): request, confirmation,
//! carried holds and what the state stands on ([`carry`]) are in the log before that, and that it is done is recorded after.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use assent_audit::known;
use assent_audit::log::{VerifyError, verify_against};
use assent_audit::record::{Event, RetentionChange};
use assent_audit::retention::{RequestError, Shard, State, Stay, Wanted, stays};
use assent_audit::shelf::{Place, Shelf};
use assent_audit::text::printable;
use assent_outbound::export::standing;
use assent_server::{Clock, SystemClock};

use super::carry;
use super::progress::Bar;
use super::record::{Said, record};
use super::two_persons::{self, Agreement, Asking};
use super::{Opened, Which, open_of, wait_for};
use crate::deployment::Deployment;
use crate::{audit_copies, exporters};

/// Prints of every organization, or of one, which years can be let go, and why the others stay.
///
/// # Errors
/// When the logs cannot be listed, or their holds cannot be read.
pub fn list(root: &Path, organization: Option<&str>, out: &mut dyn Write) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let all = deployment.organizations.iter().map(|organization| organization.config.id.as_str());
    let organizations: Vec<&str> = organization.map_or_else(|| all.collect(), |one| vec![one]);
    for id in organizations {
        let logs = deployment.config.audit.as_ref().map(|audit| root.join(&audit.directory));
        let has_none = |logs: PathBuf| !logs.join(id).exists() && !known::beside(&logs).join(id).exists();
        // Whoever asks for one that has none is told so as an error.
        if organization.is_none() && logs.is_some_and(has_none) {
            writeln!(out, "{id}\n  no log yet")?;
            continue;
        }
        let opened = open_of(&deployment, &Which { organization: Some(id), year: None })?;
        writeln!(out, "{id}")?;
        let state = state(&opened.shelf, None)?;
        for year in Shard::years_let_go(&opened.shelf.config().directory.join(id))? {
            gone(&opened.shelf, &state, year, out)?;
        }
        for year in &opened.years {
            let stays = reasons(&deployment, &opened.shelf, *year, &state)?;
            if stays.is_empty() {
                writeln!(out, "  {year}: can be let go, with `--organization {id} --year {year}`")?;
            } else {
                let reasons: Vec<_> = stays.iter().map(ToString::to_string).collect();
                writeln!(out, "  {}", printable(&format!("{year}: stays: {}", reasons.join("; "))))?;
            }
        }
        for request in state.open_requests(SystemClock.now()) {
            if let Wanted::LetGo { year, even_damaged } = request.wanted {
                let damaged = if even_damaged { ", even though it is damaged" } else { "" };
                let what = format!("let {year} go{damaged}");
                writeln!(out, "  {}", two_persons::waiting(request, &what))?;
            }
        }
    }
    Ok(())
}

/// What is held and asked for. Of a year that is to go although it is damaged, as much as can be read.
fn state(shelf: &Shelf, damaged: Option<i32>) -> anyhow::Result<State> {
    let found = if damaged.is_some() { State::read(shelf, damaged, |_| {}) } else { State::find(shelf) };
    found.context(
        "not all records can be read, and one may be a hold, so nothing is let go; a year that is damaged for good can \
         go with `--even-damaged`",
    )
}

/// What both persons must know of a damaged year.
fn say_skipped(state: &State, year: i32, out: &mut dyn Write) -> anyhow::Result<()> {
    if state.skipped() > 0 {
        let places = state.skipped();
        writeln!(
            out,
            "{year} cannot be read from {places} places on: a hold that was said there is not known"
        )?;
    }
    Ok(())
}

/// A year that was let go, or half.
fn gone(shelf: &Shelf, state: &State, year: i32, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = shelf.directory(year);
    let Some(noted) = Shard::tombstone(&directory)? else { return Ok(()) };
    if state.is_spent(&noted.request) && directory.exists() {
        let note = directory.with_extension("let-go");
        writeln!(
            out,
            "  {year}: was let go (request {}), and its log was put back: to let that go, remove {} and ask anew",
            noted.request,
            note.display()
        )?;
        return Ok(());
    }
    let size = noted.size().map_or("an unknown number of".to_owned(), |size| size.to_string());
    if Shard::is_unfinished(&directory) || !state.is_let_go(year) {
        let again = format!("type the confirmation of request {} again", noted.request);
        writeln!(out, "  {year}: was begun to be let go and is not finished: {again}")?;
    } else {
        writeln!(out, "  {year}: was let go, {size} records (request {})", noted.request)?;
    }
    Ok(())
}

/// Why a year stays. What takes long is only asked where nothing else keeps it.
fn reasons(deployment: &Deployment, shelf: &Shelf, year: i32, state: &State) -> anyhow::Result<Vec<Stay>> {
    let newest = shelf.years()?.last().copied().unwrap_or(year);
    let years = deployment.config.audit.as_ref().map(|audit| audit.retention.years).unwrap_or(u32::MAX);
    let mut stays = stays(year, newest, years, state, SystemClock.now());
    if stays.is_empty() {
        stays.extend(not_whole(shelf, year)?);
        stays.extend(not_copied(deployment, shelf, year)?);
        stays.extend(unread(deployment, shelf, year)?);
    }
    Ok(stays)
}

fn not_whole(shelf: &Shelf, year: i32) -> anyhow::Result<Option<Stay>> {
    let verifier = shelf.verifier(year)?;
    // Whatever is wrong with the checkpoint, verifying finds it.
    let size = shelf.reader(year)?.checkpoint().map_or(0, |tree| tree.size);
    let mut bar = Bar::new(size);
    // What is remembered of it counts as a checkpoint that somebody kept.
    let memory = known::file(shelf.config(), shelf.organization(), year);
    let kept = known::remembered(memory, &verifier)?.into_iter().collect();
    match verify_against(&shelf.directory(year), &verifier, kept, &mut |done| bar.show(done)) {
        Ok(_) => Ok(None),
        Err(error @ VerifyError::Problems(_)) => Ok(Some(Stay::NotWhole { problem: error.to_string() })),
        Err(VerifyError::Disk(error)) => Err(error).context("the log cannot be read"),
    }
}

fn not_copied(deployment: &Deployment, shelf: &Shelf, year: i32) -> anyhow::Result<Option<Stay>> {
    let Some(copies) = audit_copies::load(deployment, shelf.config())? else { return Ok(None) };
    let missing = wait_for(copies.missing(shelf.organization(), year))?;
    let problem = missing.unwrap_or_else(|error| Some(error.in_full()));
    Ok(problem.map(|problem| Stay::NotCopied { problem }))
}

/// The exporters that must have every record and do not have all of this year's.
fn unread(deployment: &Deployment, shelf: &Shelf, year: i32) -> anyhow::Result<Vec<Stay>> {
    let size = shelf.reader(year)?.checkpoint().ok().map(|tree| tree.size);
    let exporters = exporters::described(deployment)?;
    let concerned = exporters
        .iter()
        .filter(|exporter| exporter.mandatory && exporter.organizations.contains(shelf.organization()));
    let mut stays = vec![];
    for exporter in concerned {
        let undelivered = standing(shelf.config(), shelf.organization(), &exporter.id)
            .with_context(|| format!("exporter `{}`", exporter.id))?
            .undelivered();
        if !has_all(undelivered, year, size) {
            let next = undelivered.map_or("has read nothing".to_owned(), |next| format!("is at {next}"));
            stays.push(Stay::Unread { reader: format!("exporter `{}`, which {next}", exporter.id) });
        }
    }
    Ok(stays)
}

/// Whether somebody whose first undelivered record is this one has all of a year's. The cursor stands at the end of
/// a year until it goes on to the next; of a year whose size nobody knows, only that tells.
fn has_all(undelivered: Option<Place>, year: i32, size: Option<u64>) -> bool {
    undelivered.is_some_and(|next| {
        next.year > year || (next.year == year && size.is_some_and(|size| next.position >= size))
    })
}

fn refuse(year: i32, stays: &[Stay]) -> anyhow::Result<()> {
    let reasons: Vec<_> = stays.iter().map(ToString::to_string).collect();
    ensure!(stays.is_empty(), "{year} stays: {}", reasons.join("; "));
    Ok(())
}

/// Asks that a year be let go.
///
/// # Errors
/// When something keeps it, or the request is not recorded.
pub fn ask(
    root: &Path,
    which: &Which<'_>,
    even_damaged: bool,
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let year = which.year.context("say which year: `--year`")?;
    let Opened { shelf, years, .. } = open_of(&deployment, &Which { year: None, ..which.clone() })?;
    ensure!(years.contains(&year), "there is no log of {year}: {}", super::listed(&years));
    let state = state(&shelf, even_damaged.then_some(year))?;
    let mut stays = reasons(&deployment, &shelf, year, &state)?;
    let is_whole = !stays.iter().any(|stay| matches!(stay, Stay::NotWhole { .. }));
    if even_damaged {
        stays.retain(|stay| !matches!(stay, Stay::NotWhole { .. }));
    }
    refuse(year, &stays)?;
    // Only that it can be; the second person's command does it.
    carry::of(&deployment, &shelf, (year, is_whole))?;
    say_skipped(&state, year, out)?;
    let asking = Asking {
        change: RetentionChange::LetGoAsked { even_damaged },
        years: vec![year],
        meanwhile: "nothing goes",
        command: "expire",
    };
    two_persons::ask(root, &shelf, asking, said, out)
}

/// What a request is for. It is a few days old at most, so it is in one of the two newest logs; the others may be
/// damaged.
fn wanted(opened: &Opened, request: &str) -> anyhow::Result<(i32, bool)> {
    for year in opened.years.iter().rev().take(2) {
        let (config, organization) = (opened.shelf.config().clone(), opened.shelf.organization().clone());
        let state = State::find(&Shelf::new(config, organization).of_year(*year))?;
        match state.wanted(request) {
            Some(Wanted::LetGo { year, even_damaged }) => return Ok((*year, *even_damaged)),
            Some(Wanted::Release { .. }) => {
                bail!("request {request} is to release a hold: confirm it with `assent audit hold release`")
            }
            None => {}
        }
    }
    // One that was begun long ago and not finished is named by what it left.
    let logs = opened.shelf.config().directory.join(opened.shelf.organization().as_str());
    for year in Shard::years_let_go(&logs)? {
        if let Some(noted) = Shard::tombstone(&opened.shelf.directory(year))?
            && noted.request == request
        {
            return Ok((year, !noted.whole));
        }
    }
    Err(RequestError::Unknown(request.to_owned()).into())
}

/// Lets a year go, as the second person; or finishes what was begun.
///
/// # Errors
/// When this person cannot confirm the request, something keeps the year, or a step fails: to type it again goes on.
pub fn confirm(
    root: &Path,
    which: &Which<'_>,
    request: &str,
    by: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let opened = open_of(&deployment, which)?;
    let (year, even_damaged) = wanted(&opened, request)?;
    let shelf = &opened.shelf;
    let mut bar = Bar::over(&opened).unwrap_or_else(|_| Bar::new(0));
    let damaged = even_damaged.then_some(year);
    let mut state = State::read(shelf, damaged, |done| bar.show(done))
        .context("what is held cannot be read, so nothing is let go")?;
    drop(bar);
    let agreement = Agreement::to(&state, request, by)?;
    let directory = shelf.directory(year);
    // Once it is set aside there is no way back; until then everything is looked at again.
    let noted = Shard::tombstone(&directory)?;
    if let Some(noted) = noted.as_ref().filter(|noted| noted.request != request) {
        let note = directory.with_extension("let-go");
        bail!(
            "{year} was let go by request {}, as {} says; if its log was put back, remove that note first",
            noted.request,
            note.display()
        );
    }
    let begun = !directory.exists() && noted.is_some();
    ensure!(
        begun || !state.is_spent(request),
        "request {request} has let {year} go already, and a log of {year} was put back since: it says nothing of that"
    );
    ensure!(begun || directory.exists(), "there is no log of {year}: {}", super::listed(&opened.years));

    if noted.is_none() {
        agreement.still_in_time()?;
    }
    say_skipped(&state, year, out)?;
    let mut whole = true;
    if !begun {
        let mut stays = reasons(&deployment, shelf, year, &state)?;
        if even_damaged {
            whole = !stays.iter().any(|stay| matches!(stay, Stay::NotWhole { .. }));
            stays.retain(|stay| !matches!(stay, Stay::NotWhole { .. }));
        }
        refuse(year, &stays)?;
        for event in state.to_carry(year) {
            record(shelf.config(), shelf.organization(), &Event::Retention(event))?;
        }
        carry::write(shelf, carry::of(&deployment, shelf, (year, whole))?)?;
        if !agreement.is_recorded {
            agreement.record(shelf, RetentionChange::LetGoConfirmed, vec![year])?;
        }
        // Somebody may have placed a hold meanwhile.
        state.read_on(shelf, damaged, &mut |_| {})?;
        let holds: Vec<_> = state.holding(year).map(|hold| hold.id.clone()).collect();
        refuse(year, &(if holds.is_empty() { vec![] } else { vec![Stay::Held { holds }] }))?;
    }
    let shard = Shard::take(&directory, &shelf.verifier(year)?, whole, request)?;
    let noted = shard.let_go().context("it is not let go completely: type the same again")?;
    // Otherwise what is gone on purpose would be missed for ever.
    known::forget(shelf.config(), shelf.organization(), year)
        .context("it is let go, but that it was there is still remembered: type the same again")?;
    let size = noted.size().unwrap_or_default();
    if !state.is_spent(request) {
        agreement
            .record(shelf, RetentionChange::ExpiredBefore(size), vec![year])
            .context("it is let go, but that is not recorded: type the same again")?;
    }
    writeln!(
        out,
        "let go: {size} records of {year}; {} stays",
        directory.with_extension("let-go").display()
    )?;
    if deployment.config.audit.as_ref().is_some_and(|audit| audit.copy.is_some()) {
        writeln!(out, "the copy is as it was: whoever keeps it lets it go there, with its key files first")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_past_the_end_of_a_year_has_all_of_it() {
        let at = |year, position| Some(Place { year, position });
        for (undelivered, size, expected) in [
            (None, Some(0), false),
            (at(2018, 9), Some(9), false),
            (at(2019, 8), Some(9), false),
            (at(2019, 9), Some(9), true),
            (at(2020, 0), Some(9), true),
            // The checkpoint of a damaged year does not say how many there were.
            (at(2019, 9), None, false),
            (at(2020, 0), None, true),
        ] {
            assert_eq!(has_all(undelivered, 2019, size), expected, "{undelivered:?} of {size:?}");
        }
    }
}
