//! Applies what is on an organization's logs and not in its store.
//!
//! Every change goes through [`assent_store::Store::apply`], which applies none twice and none out of order; so it
//! does not matter how much of the logs is read again, only that nothing after the last change is left out.
//! INVARIANT (what was overtaken never happens): of a change that another node overtook the log says so before the next
//! one. So each change waits for what follows it, and a database that was lost or put back, which does not know any more
//! who was first, is not given it. INVARIANT (the state outlives the years it is said in): a year that was let go is not
//! passed over: in its place what was carried of it is applied, wherever that stands.

use std::collections::{BTreeMap, BTreeSet};

use assent_audit::carried::{Carried, CarriedError, Left};
use assent_audit::log::Entry;
use assent_audit::record::{CarriedChange, Event};
use assent_audit::retention::Shard;
use assent_audit::shelf::{self, ShelfError};
use assent_model::Digest;
use assent_store::{Applied, Change, Place};

use super::carry::overtaken;
use super::given_up::{GIVEN_UP, GiveUp, NeverMade};
use super::{Keeper, StateError, edit};

/// What is found on the logs.
#[derive(Default)]
struct Found {
    /// The newest change, not applied yet.
    waiting: Option<Change>,
    overtaken: Vec<Place>,
    /// What is said of changes after them.
    never_made: NeverMade,
    /// The latest version that this node knew of, but for those that were given up.
    seen: u64,
}

impl Found {
    /// Takes from a record which version there was.
    fn see(&mut self, event: &Event) {
        match event {
            Event::Decision(decision) => {
                self.seen = self.seen.max(decision.facts.state.map_or(0, |state| state.version));
            }
            Event::StateChanged(change) => self.seen = self.seen.max(change.version),
            event => {
                if let Some(given_up) = GiveUp::of(event, GIVEN_UP) {
                    self.seen = self.seen.min(given_up.after);
                }
            }
        }
    }
}

/// What stands in the place of years that were let go.
#[derive(Default)]
struct InPlaceOfYears {
    of_year: BTreeMap<i32, Left>,
    /// The records of changes that were overtaken, as anything says that is still there.
    overtaken: BTreeSet<String>,
}

impl Keeper {
    /// Applies what is missing. Gives the version of the state then, and the changes that turned out to be overtaken.
    ///
    /// Where something is missing it is looked whether that was given up, which is said after what it is about.
    pub(super) async fn catch_up(&self) -> Result<(u64, Vec<Place>), StateError> {
        match self.apply_logs(NeverMade::default()).await {
            Err(error) if error.waits_for_others() => {
                let never_made = NeverMade::find(&self.shelf)?;
                if never_made.is_any() { self.apply_logs(never_made).await } else { Err(error) }
            }
            applied => applied,
        }
    }

    async fn apply_logs(&self, never_made: NeverMade) -> Result<(u64, Vec<Place>), StateError> {
        let organization = self.organization.as_str();
        let reached = self.store.logs(organization).await?;
        let mut reached: BTreeMap<String, Place> =
            reached.into_iter().map(|place| (place.log.clone(), place)).collect();
        // A year is read only after all of those before it were, so what is gone of them is in the store already.
        let years = self.shelf.years()?;
        let since = years.into_iter().rev().find(|year| reached.contains_key(&self.shelf.log(*year)));
        let mut found = Found { never_made, ..Found::default() };
        let mut years: BTreeMap<i32, Option<Left>> =
            self.shelf.all_years(since)?.into_iter().map(|year| (year, None)).collect();
        let carried = self.carried(since)?;
        years.extend(carried.of_year.into_iter().map(|(year, left)| (year, Some(left))));
        for (year, left) in years {
            let log = self.shelf.log(year);
            let known = reached.remove(&log);
            match left {
                None => self.read((year, &log, known), &mut found).await?,
                Some(left) => {
                    // What is said of it in a year that went is said in what was carried of that year.
                    let waits = found.waiting.take();
                    found.waiting = waits.filter(|change| !carried.overtaken.contains(&change.place.record));
                    self.apply(&mut found).await?;
                    let is_new = |change: &CarriedChange| {
                        known.as_ref().is_none_or(|known| known.seq < change.seq)
                            && !carried.overtaken.contains(&change.record)
                    };
                    for change in left.changes.into_iter().filter(is_new) {
                        let at = shelf::Place { year, position: change.seq };
                        if found.never_made.is_given_up(change.version, at) {
                            continue;
                        }
                        self.apply_carried(&log, change, &mut found).await?;
                    }
                }
            }
        }
        self.apply(&mut found).await?;
        // Of years that were let go only their marks are left, which say nothing any more. A log of another
        // node is that node's to read.
        let version = self.stored_version().await?;
        if version < found.seen {
            return Err(StateError::Lacks { found: version, seen: found.seen });
        }
        Ok((version, found.overtaken))
    }

    async fn read(
        &self,
        (year, log, known): (i32, &str, Option<Place>),
        found: &mut Found,
    ) -> Result<(), StateError> {
        let first = known.as_ref().map_or(0, |place| place.seq);
        let reader = self.shelf.reader(year)?;
        let mut entries = reader.entries(first).map_err(ShelfError::from)?;
        if let Some(place) = known {
            let first = entries.next().transpose().map_err(ShelfError::from)?;
            same(&place, first.as_ref())?;
        }
        for entry in entries {
            let entry = entry.map_err(ShelfError::from)?;
            let (at, record) = shelf::decoded(year, &entry)?;
            found.see(&record.event);
            let change = match record.event {
                Event::StateChanged(change) if !change.items.is_empty() => change,
                event => {
                    if let Some(record) = overtaken(&event) {
                        found.waiting = found.waiting.take().filter(|change| change.place.record != record);
                    }
                    continue;
                }
            };
            self.apply(found).await?;
            let edits = change.items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
            let record = Digest::from_bytes(entry.leaf).to_string();
            let place = Place { log: log.to_owned(), seq: entry.seq, record };
            if found.never_made.is_overtaken(&place.record) {
                continue;
            }
            if found.never_made.is_given_up(change.version, at) {
                // The log says so before the next change, as of any other that was overtaken.
                found.overtaken.push(place);
                continue;
            }
            found.waiting = Some(Change { version: change.version, place, edits });
        }
        Ok(())
    }

    /// What was carried of the years after this one that were let go; nothing where none was. Reads all logs.
    fn carried(&self, since: Option<i32>) -> Result<InPlaceOfYears, StateError> {
        let (config, organization) = (self.shelf.config(), self.shelf.organization());
        let there = self.shelf.years()?;
        let mut let_go = Shard::years_let_go(&config.directory.join(organization.as_str()))?;
        let_go.retain(|year| !there.contains(year) && since.is_none_or(|since| since < *year));
        let mut place_of = InPlaceOfYears::default();
        if let_go.is_empty() {
            return Ok(place_of);
        }
        let mut carried = Carried::default();
        for year in there {
            for entry in self.shelf.reader(year)?.entries(0).map_err(ShelfError::from)? {
                let (place, record) = shelf::decoded(year, &entry.map_err(ShelfError::from)?)?;
                carried.take(place, &record.event);
                place_of.overtaken.extend(overtaken(&record.event));
            }
        }
        for year in let_go {
            // Of a year that an older release let go there is nothing. If it had changes, a later one does not fit.
            let Some(found) = carried.of(year)? else {
                if carried.years().contains(&year) {
                    return Err(CarriedError::Incomplete { year }.into());
                }
                continue;
            };
            place_of.overtaken.extend(found.left.overtaken.iter().cloned());
            place_of.of_year.insert(year, found.left);
        }
        Ok(place_of)
    }

    /// Applies what is left of a change in a year that was let go, at its place there.
    async fn apply_carried(
        &self,
        log: &str,
        change: CarriedChange,
        found: &mut Found,
    ) -> Result<(), StateError> {
        let first = change.first();
        let CarriedChange { version, seq, record, items, .. } = change;
        let edits = items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
        let change = Change { version, place: Place { log: log.to_owned(), seq, record }, edits };
        let applied = self.store.apply_since(self.organization.as_str(), first, &change).await?;
        if let Applied::Overtaken { .. } = applied {
            found.overtaken.push(change.place);
        }
        Ok(())
    }

    /// Applies the change that waits: nothing after it says that it never happened.
    async fn apply(&self, found: &mut Found) -> Result<(), StateError> {
        let Some(change) = found.waiting.take() else { return Ok(()) };
        match self.store.apply(self.organization.as_str(), &change).await? {
            // Another node made that version, and this change was never acknowledged.
            Applied::Overtaken { .. } => found.overtaken.push(change.place),
            Applied::Now(_) | Applied::Before => {}
        }
        Ok(())
    }
}

/// Whether the log has the record that the store knows.
fn same(place: &Place, found: Option<&Entry>) -> Result<(), StateError> {
    let found = match found {
        None => "it does not have",
        Some(entry) if Digest::from_bytes(entry.leaf).to_string() != place.record => "is another one there",
        Some(_) => return Ok(()),
    };
    Err(StateError::Ahead { log: place.log.clone(), seq: place.seq, found })
}
