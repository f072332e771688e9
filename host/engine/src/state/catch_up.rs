//! Applies what is on an organization's logs and not in its store.
//!
//! Every change goes through [`assent_store::Store::apply`], which applies none twice and none out of order; so it
//! does not matter how much of the logs is read again, only that nothing after the last change is left out.

use std::collections::BTreeMap;

use assent_audit::log::Entry;
use assent_audit::record::Event;
use assent_audit::shelf::{self, ShelfError};
use assent_model::Digest;
use assent_store::{Change, Place};

use super::{Keeper, StateError, edit};

impl Keeper {
    /// Applies what is missing, and gives the version of the state then.
    pub(super) async fn catch_up(&self) -> Result<u64, StateError> {
        let organization = self.organization.as_str();
        let reached = self.store.logs(organization).await?;
        let mut reached: BTreeMap<String, Place> =
            reached.into_iter().map(|place| (place.log.clone(), place)).collect();
        // A year is read only after all of those before it were, so what is gone of them is in the store already.
        let years = self.shelf.years()?;
        let since = years.into_iter().rev().find(|year| reached.contains_key(&self.shelf.log(*year)));
        for year in self.shelf.all_years(since)? {
            let log = self.shelf.log(year);
            let known = reached.remove(&log);
            self.read(year, &log, known).await?;
        }
        // Of years that were let go only their marks are left, which say nothing any more. A log of another
        // node is that node's to read.
        self.stored_version().await
    }

    async fn read(&self, year: i32, log: &str, known: Option<Place>) -> Result<(), StateError> {
        let first = known.as_ref().map_or(0, |place| place.seq);
        let reader = self.shelf.reader(year)?;
        let mut entries = reader.entries(first).map_err(ShelfError::from)?;
        if let Some(place) = known {
            let found = entries.next().transpose().map_err(ShelfError::from)?;
            same(&place, found.as_ref())?;
        }
        for entry in entries {
            let entry = entry.map_err(ShelfError::from)?;
            let (_, record) = shelf::decoded(year, &entry)?;
            let Event::StateChanged(change) = record.event else { continue };
            if change.items.is_empty() {
                continue;
            }
            let edits = change.items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
            let record = Digest::from_bytes(entry.leaf).to_string();
            let place = Place { log: log.to_owned(), seq: entry.seq, record };
            let change = Change { version: change.version, place, edits };
            // Overtaken: another node made that version, and this change was never acknowledged.
            self.store.apply(self.organization.as_str(), &change).await?;
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
