//! `assent audit replay`: recorded decisions, made again from the log and compared byte for byte.
//!
//! INVARIANT (a decision replays): releases and facts are built again of what the log archived, so the log, its
//! keys and this command are enough, today and in years. A difference is an alarm: the log, the software or the
//! machine is not what it was. Where a log has no archive, the deployment at hand is tried in its place.

mod summary;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use assent_audit::record::{AuditUse, DecisionEvent, Record};
use assent_audit::shelf::{Place, Shelf};
use assent_engine::replay::{NotTried, Releases, replay as replay_from_log, replay_with};
use assent_engine::{Release, Replayed};
use assent_model::Instant;
use serde_json::json;

use super::progress::Bar;
use super::record::note_reading;
use super::records::look_up;
use super::{Opened, Which, alone, ensure_in_order};
use crate::deployment::archive::Rebuilder;
use summary::Summary;

/// Releases that are kept built while the log is read: where one takes over from another they alternate for a
/// moment, and each may hold the facts of a whole organization.
const RELEASES_KEPT: usize = 2;

/// Which decisions to make again, and how to say what came of it.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// One, by its id or place; left out: all between `from` and `until`.
    pub id: Option<&'a str>,
    /// From this moment on.
    pub from: Option<Instant>,
    /// Before this moment.
    pub until: Option<Instant>,
    /// One JSON object a line: alarms, then the summary.
    pub json: bool,
}

/// Makes decisions again and compares; whether some were, and all of these came out the same.
///
/// # Errors
/// When the log cannot be read, or this machine cannot run plugins.
pub fn replay(
    root: &Path,
    which: &Which<'_>,
    wanted: &Wanted<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    ensure_in_order(wanted.from, wanted.until, "`--from`, `--until`")?;
    let (opened, plugins) = alone::open(root, which)?;
    let rebuilder = Rebuilder::alone(root, &plugins).context("plugins cannot run on this machine")?;
    let shelf = &opened.shelf;
    let releases = Releases::new(RELEASES_KEPT);
    let mut again = Again { root, shelf, rebuilder, releases, at_hand: AtHand::NotLoaded };
    let mut summary = Summary::default();
    // Before it, for what comes out differently is said at once.
    let put = json!({ "id": wanted.id, "from": wanted.from, "until": wanted.until });
    note_reading(&opened, AuditUse::Replay, None, put, 0)?;
    if let Some(id) = wanted.id {
        let (place, record) = one(&opened, id)?;
        let event = record.decision().with_context(|| format!("record {place} is not a decision"))?;
        let replayed = again.replay(place, &record, event)?;
        summary.add(place, event, &replayed, wanted.json, out)?;
    } else {
        let mut bar = Bar::over(&opened)?;
        for (done, record) in (1..).zip(shelf.records()?) {
            let (place, record) = record?;
            bar.show(done);
            let within = wanted.from.is_none_or(|from| from <= record.at)
                && wanted.until.is_none_or(|until| record.at < until);
            if let Some(event) = record.decision().filter(|_| within) {
                let replayed = again.replay(place, &record, event)?;
                summary.add(place, event, &replayed, wanted.json, out)?;
            }
        }
    }
    summary.write(wanted.json, out)?;
    Ok(summary.is_well())
}

fn one(opened: &Opened, id: &str) -> anyhow::Result<(Place, Record)> {
    let place = look_up(opened, id)?;
    let Some(found) = opened.shelf.at(place)? else {
        bail!("the log of {} has no record {}", place.year, place.position);
    };
    Ok(found)
}

/// What it takes to make a decision again.
struct Again<'a> {
    root: &'a Path,
    shelf: &'a Shelf,
    rebuilder: Rebuilder,
    releases: Releases,
    at_hand: AtHand,
}

/// The release of the deployment at hand, for logs without an archive.
enum AtHand {
    NotLoaded,
    /// The deployment does not load, or is no longer there.
    None,
    Loaded(Box<Release>),
}

impl Again<'_> {
    fn replay(&mut self, place: Place, record: &Record, event: &DecisionEvent) -> anyhow::Result<Replayed> {
        let replayed =
            replay_from_log(self.shelf, &self.rebuilder, &mut self.releases, (place, record.at, event))?;
        let other = match &replayed {
            Replayed::NotTried(NotTried::NoArchive | NotTried::Incomplete) => {
                self.at_hand().and_then(|release| replay_with(release, record))
            }
            Replayed::NotTried(NotTried::Circumstances | NotTried::NoState)
            | Replayed::Same
            | Replayed::Alarm(_) => None,
        };
        Ok(other.unwrap_or(replayed))
    }

    fn at_hand(&mut self) -> Option<&Release> {
        if matches!(self.at_hand, AtHand::NotLoaded) {
            let loaded = crate::commands::load(self.root).ok().and_then(|(_, built)| {
                let mut releases = built.organizations.into_iter().map(|organization| organization.release);
                releases.find(|release| release.organization() == self.shelf.organization())
            });
            self.at_hand = loaded.map_or(AtHand::None, |release| AtHand::Loaded(Box::new(release)));
        }
        match &self.at_hand {
            AtHand::Loaded(release) => Some(release),
            AtHand::NotLoaded | AtHand::None => None,
        }
    }
}
