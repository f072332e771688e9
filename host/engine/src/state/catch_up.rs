//! Applies what is on an organization's logs and not in its store.
//!
//! Every change goes through [`assent_store::Store::apply`], which applies none twice and none out of order; so it
//! does not matter how much of the logs is read again, only that nothing after the last change is left out.
//! INVARIANT (what was overtaken never happens): of a change that another node overtook the log says so before the next
//! one. So each change waits for what follows it, and a database that was lost or put back, which does not know any more
//! who was first, is not given it.

use std::collections::BTreeMap;

use assent_audit::log::Entry;
use assent_audit::record::Event;
use assent_audit::shelf::{self, ShelfError};
use assent_model::Digest;
use assent_store::{Applied, Change, Place};

use super::{Keeper, OVERTAKEN, StateError, edit};

/// What is found on the logs.
#[derive(Default)]
struct Found {
    /// The newest change, not applied yet.
    waiting: Option<Change>,
    overtaken: Vec<Place>,
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
        for year in self.shelf.all_years(since)? {
            let log = self.shelf.log(year);
            let known = reached.remove(&log);
            self.read((year, &log, known), &mut found).await?;
        }
        self.apply(&mut found).await?;
        // Of years that were let go only their marks are left, which say nothing any more. A log of another
        // node is that node's to read.
        Ok((self.stored_version().await?, found.overtaken))
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
            let (_, record) = shelf::decoded(year, &entry)?;
            let change = match record.event {
                Event::StateChanged(change) if !change.items.is_empty() => change,
                Event::Administration(said) if said.action == OVERTAKEN => {
                    found.waiting =
                        found.waiting.take().filter(|change| change.place.record != *said.target.id);
                    continue;
                }
                _ => continue,
            };
            self.apply(found).await?;
            let edits = change.items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
            let record = Digest::from_bytes(entry.leaf).to_string();
            let place = Place { log: log.to_owned(), seq: entry.seq, record };
            found.waiting = Some(Change { version: change.version, place, edits });
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
