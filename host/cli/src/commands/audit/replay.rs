//! `assent audit replay`: recorded decisions, made again and compared byte for byte.
//!
//! INVARIANT (a decision replays): the same release and facts (by digest), question, caller and clock
//! give the same answer, today and in years. A difference is an alarm: the log, the software or the
//! machine is not what it was.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use assent_audit::record::{DecisionEvent, Record};
use assent_audit::shelf::Place;
use assent_engine::{Question, Release, describe, judge};
use assent_model::{Digest, Instant};

use super::progress::Bar;
use super::records::look_up;
use super::{Which, open};

/// Which decisions to make again.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// One, by its id or place; left out: all between `from` and `until`.
    pub id: Option<&'a str>,
    /// From this moment on.
    pub from: Option<Instant>,
    /// Before this moment.
    pub until: Option<Instant>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    same: u64,
    different: u64,
    /// Decisions of releases or facts that the deployment at hand does not have.
    elsewhere: BTreeMap<(Digest, Digest), u64>,
}

/// Makes decisions again with the release that the deployment at `root` gives, and compares; whether
/// some were, and all of these came out the same.
///
/// # Errors
/// When the deployment does not load, or the log cannot be read.
pub fn replay(
    root: &Path,
    which: &Which<'_>,
    wanted: &Wanted<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let opened = open(root, which)?;
    let shelf = &opened.shelf;
    let (_, built) = crate::commands::load(root)?;
    let organizations = built.organizations.iter();
    let release = organizations
        .map(|organization| &organization.release)
        .find(|release| release.organization() == shelf.organization())
        .context("the deployment has no such organization")?;
    let mut tally = Tally::default();
    if let Some(id) = wanted.id {
        let place = look_up(&opened, id)?;
        let (place, record) = shelf
            .at(place)?
            .with_context(|| format!("the log of {} has no record {}", place.year, place.position))?;
        if record.decision().is_none() {
            bail!("record {place} is not a decision");
        }
        again(release, place, &record, &mut tally, out)?;
    } else {
        let mut bar = Bar::over(&opened)?;
        for (done, record) in (1..).zip(shelf.records()?) {
            let (place, record) = record?;
            bar.show(done);
            let within = wanted.from.is_none_or(|from| from <= record.at)
                && wanted.until.is_none_or(|until| record.at < until);
            if within {
                again(release, place, &record, &mut tally, out)?;
            }
        }
    }
    let Tally { same, different, elsewhere } = tally;
    writeln!(out, "{same} came out the same, {different} differ")?;
    for ((release, facts), count) in &elsewhere {
        writeln!(out, "{count} not tried: they need release {release} with facts {facts}")?;
    }
    if !elsewhere.is_empty() {
        writeln!(out, "run this on a copy of the deployment as it was then, beside the same log")?;
    }
    Ok(different == 0 && same > 0)
}

fn again(
    release: &Release,
    place: Place,
    record: &Record,
    tally: &mut Tally,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Some(event) = record.decision() else { return Ok(()) };
    if event.release != release.digest() || event.facts.snapshot != release.snapshot().digest() {
        *tally.elsewhere.entry((event.release, event.facts.snapshot)).or_default() += 1;
        return Ok(());
    }
    if is_same(release, record.at, event)? {
        tally.same += 1;
    } else {
        tally.different += 1;
        writeln!(out, "ALARM: {place} ({}) comes out differently", event.id)?;
    }
    Ok(())
}

fn is_same(release: &Release, at: Instant, event: &DecisionEvent) -> anyhow::Result<bool> {
    let question =
        Question { id: event.id.clone(), at, request: event.request.clone(), explain: event.explained };
    let decision = judge(release, &describe::caller_again(event), &question).decision;
    Ok(describe::outcome(&decision).replay_bytes()? == event.outcome.replay_bytes()?)
}
