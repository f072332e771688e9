//! Applies what is on an organization's logs and not in its store.
//!
//! Every change goes through [`assent_store::Store::apply`], which applies none twice and none out of order; so it
//! does not matter how much of the logs is read again, only that nothing after the last change is left out.
//! INVARIANT (what was overtaken never happens): of a change that another node overtook the log says so before the next
//! one, and of one that two persons gave up their records do. So before the first change is applied, the logs are read to
//! their end for what they say of it and of those that follow; a database that was lost or put back, which does not know
//! any more who was first, is not given it. Mostly there is no such change. INVARIANT (the state outlives the years it is
//! said in): a year that was let go is not passed over: in its place what was carried of it is applied, wherever that
//! stands.

use std::collections::{BTreeMap, BTreeSet};

use assent_audit::carried::{Carried, CarriedError, Left};
use assent_audit::log::Entry;
use assent_audit::record::{CarriedChange, Event, Record};
use assent_audit::retention::Shard;
use assent_audit::shelf::{self, Shelf, ShelfError};
use assent_model::Digest;
use assent_store::{Applied, Change, Place};

use super::carry::overtaken;
use super::given_up::{GivenUp, NeverMade};
use super::{Keeper, StateError, edit};

/// What is found on the logs.
#[derive(Default)]
struct Found {
    /// Changes that the log does not yet call overtaken.
    overtaken: Vec<Place>,
    /// What is said of changes after them; read once there is one to apply.
    never_made: Option<NeverMade>,
    /// The latest version that this node knew of, but for those that were given up.
    seen: u64,
    given_up: GivenUp,
}

impl Found {
    /// Takes from a record which version there was.
    fn see(&mut self, at: shelf::Place, record: &Record) {
        match &record.event {
            Event::Decision(decision) => {
                self.seen = self.seen.max(decision.facts.state.map_or(0, |state| state.version));
            }
            Event::StateChanged(change) => self.seen = self.seen.max(change.version),
            _ => {
                if let Some(after) = self.given_up.take(at, record) {
                    self.seen = self.seen.min(after);
                }
            }
        }
    }

    /// Whether this change is to be applied, as far as the logs say. They are read from the first one on.
    fn counts(
        &mut self,
        shelf: &Shelf,
        at: shelf::Place,
        version: u64,
        place: &Place,
    ) -> Result<bool, ShelfError> {
        let never_made = match &mut self.never_made {
            Some(never_made) => never_made,
            unread => unread.insert(NeverMade::find(shelf, at)?),
        };
        if never_made.is_overtaken(&place.record) {
            return Ok(false);
        }
        let is_given_up = never_made.is_given_up(version, at);
        if is_given_up {
            // The log says so before the next change, as of any other that was overtaken.
            self.overtaken.push(place.clone());
        }
        Ok(!is_given_up)
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
    pub(super) async fn catch_up(&self) -> Result<(u64, Vec<Place>), StateError> {
        let organization = self.organization.as_str();
        let reached = self.store.logs(organization).await?;
        let mut reached: BTreeMap<String, Place> =
            reached.into_iter().map(|place| (place.log.clone(), place)).collect();
        // A year is read only after all of those before it were, so what is gone of them is in the store already.
        let years = self.shelf.years()?;
        let since = years.into_iter().rev().find(|year| reached.contains_key(&self.shelf.log(*year)));
        let mut found = Found::default();
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
                    let is_new = |change: &CarriedChange| {
                        known.as_ref().is_none_or(|known| known.seq < change.seq)
                            && !carried.overtaken.contains(&change.record)
                    };
                    for change in left.changes.into_iter().filter(is_new) {
                        self.apply_carried((year, &log), change, &mut found).await?;
                    }
                }
            }
        }
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
            found.see(at, &record);
            let change = match record.event {
                Event::StateChanged(change) if !change.items.is_empty() => change,
                _ => continue,
            };
            let record = Digest::from_bytes(entry.leaf).to_string();
            let place = Place { log: log.to_owned(), seq: entry.seq, record };
            if found.counts(&self.shelf, at, change.version, &place)? {
                let edits = change.items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
                let version = change.version;
                self.apply(version, Change { version, place, edits }, found).await?;
            }
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
        (year, log): (i32, &str),
        change: CarriedChange,
        found: &mut Found,
    ) -> Result<(), StateError> {
        let first = change.first();
        let CarriedChange { version, seq, record, items, .. } = change;
        let place = Place { log: log.to_owned(), seq, record };
        if found.counts(&self.shelf, shelf::Place { year, position: seq }, version, &place)? {
            let edits = items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
            self.apply(first, Change { version, place, edits }, found).await?;
        }
        Ok(())
    }

    /// Applies a change, which stands for all from version `first` to its own.
    async fn apply(&self, first: u64, change: Change, found: &mut Found) -> Result<(), StateError> {
        match self.store.apply_since(self.organization.as_str(), first, &change).await? {
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
