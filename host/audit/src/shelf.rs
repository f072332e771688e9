//! The logs of one organization as they are read: year by year, beside whoever writes them.
//!
//! A record is found by its [`Place`], by the id of its decision, or by a query, for which the shelf keeps
//! each year's search index up to date. The command line and the service read through here alone. Everything
//! blocks. INVARIANT (the log is the truth): an index says only where to look; what is handed out was read,
//! and checked, from the log. An index that does not fit the log is made again, or an error, and never a shorter
//! answer. INVARIANT (no year is passed over): what is made of all years fails where one that the deployment remembers
//! is not there.

mod archives;
mod error;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use assent_model::OrganizationId;

use crate::index::{Index, IndexError, Order, Query};
use crate::known;
use crate::log::{Entry, Reader};
use crate::logs::LogsConfig;
use crate::record::Record;
use crate::tlog::note::Verifier;

pub use archives::Archived;
pub use error::ShelfError;
pub use place::{Place, PlaceError};

/// How many records are read over rather than looked up, which costs as much as to read some hundred.
const READ_OVER: u64 = 500;

/// A record and where it is.
pub type Found = (Place, Record);

/// A page of a search.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// What to look for.
    pub query: &'a Query,
    /// Which end of the log comes first.
    pub order: Order,
    /// The last place of the page before.
    pub after: Option<Place>,
    /// How many records at most; never more than [`PAGE_MAX`](crate::index::PAGE_MAX).
    pub limit: usize,
}

/// The logs of one organization.
pub struct Shelf {
    config: LogsConfig,
    organization: OrganizationId,
    only: Option<i32>,
    /// The indexes that were asked for. The lock is held while one is brought up to date and searched: one
    /// search at a time, and the second finds what the first has read.
    indexes: Mutex<BTreeMap<i32, Index>>,
    /// The readers that were asked for, each with what it knows of its log. The lock is held for a look-up.
    readers: Mutex<BTreeMap<i32, Reader>>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({})", self.organization)
    }
}

impl Shelf {
    /// The logs of this organization, of all years.
    pub const fn new(config: LogsConfig, organization: OrganizationId) -> Self {
        let indexes = Mutex::new(BTreeMap::new());
        Self { config, organization, only: None, indexes, readers: Mutex::new(BTreeMap::new()) }
    }

    /// The same, of one year alone.
    #[must_use]
    pub fn of_year(self, year: i32) -> Self {
        Self { only: Some(year), ..self }
    }

    /// Whose logs these are.
    pub const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Where the logs are, and with which keys.
    pub const fn config(&self) -> &LogsConfig {
        &self.config
    }

    /// The years that there are, oldest first.
    ///
    /// # Errors
    /// When the organization's directory cannot be read.
    pub fn years(&self) -> Result<Vec<i32>, ShelfError> {
        let mut years = self.config.years(&self.organization).map_err(|source| ShelfError::Directory {
            directory: self.config.directory.join(self.organization.as_str()),
            source,
        })?;
        years.retain(|year| self.only.is_none_or(|only| only == *year));
        Ok(years)
    }

    /// The years that are remembered and not there any more, oldest first.
    ///
    /// # Errors
    /// When what is remembered cannot be read.
    pub fn gone(&self) -> Result<Vec<i32>, ShelfError> {
        let (config, organization) = (&self.config, &self.organization);
        let mut gone = known::gone(config, organization).map_err(|source| ShelfError::Directory {
            directory: config.directory.join(organization.as_str()),
            source,
        })?;
        gone.retain(|year| self.only.is_none_or(|only| only == *year));
        Ok(gone)
    }

    /// The years that there are, oldest first, if none is gone or less than it was: for whoever must not pass over
    /// one in silence. Those before `since` may be gone.
    ///
    /// # Errors
    /// As [`Self::years`]; and [`ShelfError::Gone`] or [`ShelfError::Known`] for the first that is.
    pub fn all_years(&self, since: Option<i32>) -> Result<Vec<i32>, ShelfError> {
        self.all_years_but(since, None)
    }

    /// The same, but for a year that two persons want to be rid of as it is.
    ///
    /// # Errors
    /// As [`Self::all_years`].
    pub(crate) fn all_years_but(
        &self,
        since: Option<i32>,
        damaged: Option<i32>,
    ) -> Result<Vec<i32>, ShelfError> {
        let concerns = |year: &i32| since.is_none_or(|since| since <= *year);
        if let Some(year) = self.gone()?.into_iter().find(concerns) {
            return Err(self.missing(year));
        }
        let years = self.years()?;
        for year in years.iter().filter(|year| concerns(year) && damaged != Some(**year)) {
            self.check_known(*year)?;
        }
        Ok(years)
    }

    /// Compares a year that is there with what is remembered of it.
    fn check_known(&self, year: i32) -> Result<(), ShelfError> {
        let memory = known::file(&self.config, &self.organization, year);
        Ok(known::check_size(&self.directory(year), memory, &self.verifier(year)?)?)
    }

    fn missing(&self, year: i32) -> ShelfError {
        let memory = known::file(&self.config, &self.organization, year);
        ShelfError::Gone { log: self.directory(year), memory }
    }

    /// The directory of a year's log.
    pub fn directory(&self, year: i32) -> PathBuf {
        self.config.directory_of(&self.organization, year)
    }

    /// The name that a year's log is known by: its origin.
    pub fn log(&self, year: i32) -> String {
        self.config.origin(&self.organization, year)
    }

    /// The public key of a year's log; its name is the log's origin.
    ///
    /// # Errors
    /// When the deployment's name cannot be part of an origin.
    pub fn verifier(&self, year: i32) -> Result<Verifier, ShelfError> {
        let signer = self.config.signer(&self.organization, year);
        let signer = signer.map_err(|source| ShelfError::Name { name: self.config.name.clone(), source })?;
        Ok(signer.verifier().clone())
    }

    /// A reader of a year's log, with its keys.
    ///
    /// # Errors
    /// As [`Self::verifier`].
    pub fn reader(&self, year: i32) -> Result<Reader, ShelfError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&year) {
            return Ok(reader.clone());
        }
        let verifier = self.verifier(year)?;
        let reader = Reader::new(&self.directory(year), &verifier, Some(Arc::clone(&self.config.kek)));
        readers.insert(year, reader.clone());
        Ok(reader)
    }

    /// All records with their places, in the order of the log.
    ///
    /// # Errors
    /// As [`Self::all_years`]; each item, when the log cannot be read there.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Found, ShelfError>> + '_, ShelfError> {
        Ok(self.all_years(None)?.into_iter().flat_map(|year| {
            match self.reader(year).and_then(|reader| Ok(reader.entries(0)?)) {
                Ok(entries) => {
                    Box::new(entries.map(move |entry| decoded(year, &entry?))) as Box<dyn Iterator<Item = _>>
                }
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        }))
    }

    /// All records in the order of the log, handed to `work` one at a time; what it makes of them, if all
    /// could be read.
    ///
    /// # Errors
    /// When the log cannot be read: then what was made of a part of it is dropped.
    pub fn over<T>(&self, work: impl FnOnce(&mut dyn Iterator<Item = Record>) -> T) -> Result<T, ShelfError> {
        let mut failure = None;
        let mut records = self.records()?.map_while(|found| match found {
            Ok((_, record)) => Some(record),
            Err(error) => {
                failure = Some(error);
                None
            }
        });
        let made = work(&mut records);
        drop(records);
        failure.map_or(Ok(made), Err)
    }

    /// The entry at this place, if there is one.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn entry(&self, place: Place) -> Result<Option<Entry>, ShelfError> {
        if !self.years()?.contains(&place.year) {
            return Ok(None);
        }
        let reader = self.reader(place.year)?;
        self.offer_mark(&reader, place);
        Ok(reader.entry(place.position)?)
    }

    /// The record at this place, if there is one.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn at(&self, place: Place) -> Result<Option<Found>, ShelfError> {
        self.entry(place)?.map(|entry| decoded(place.year, &entry)).transpose()
    }

    /// The record of the decision with this id; the newest years are looked through first.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn by_id(&self, id: &str) -> Result<Option<Found>, ShelfError> {
        let query = Query { id: Some(id.to_owned()), kind: Some("decision".to_owned()), ..Query::default() };
        // A caller may give its request the id of somebody else's decision, so the second may be the one.
        let mut after = None;
        loop {
            let page = Page { query: &query, order: Order::NewestFirst, after, limit: 1 };
            let Some(found) = self.find(page)?.pop() else { return Ok(None) };
            if found.1.decision().is_some_and(|decision| decision.id.as_str() == id) {
                return Ok(Some(found));
            }
            after = Some(found.0);
        }
    }

    /// The records of a page, in its order.
    ///
    /// # Errors
    /// When the log or its index cannot be read, or a year is gone into which the page reaches.
    pub fn find(&self, page: Page<'_>) -> Result<Vec<Found>, ShelfError> {
        let gone = self.gone()?;
        let mut years = self.years()?;
        years.extend(&gone);
        years.sort_unstable();
        if page.order == Order::NewestFirst {
            years.reverse();
        }
        let mut found = vec![];
        for year in years {
            let position = match page.after {
                Some(after) if after.year == year => Some(after.position),
                Some(after) if (after.year < year) == (page.order == Order::NewestFirst) => continue,
                Some(_) | None => None,
            };
            let missing = page.limit.saturating_sub(found.len());
            if missing == 0 {
                break;
            }
            if gone.contains(&year) {
                return Err(self.missing(year));
            }
            self.check_known(year)?;
            let positions = self.positions(year, page, position, missing)?;
            let records = self.fetch(year, &positions)?;
            if let Some((place, _)) = records.iter().find(|(_, record)| !page.query.matches(record)) {
                return Err(self.astray(*place));
            }
            found.extend(records);
        }
        Ok(found)
    }

    /// Where the year's records that match are, after its index was brought up to date.
    fn positions(
        &self,
        year: i32,
        page: Page<'_>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<u64>, ShelfError> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that one that failed is opened anew by the next.
        let held = indexes.remove(&year);
        let (index, positions) = match self.search(year, held, page, after, limit) {
            Err(ShelfError::Index(error)) if error.is_spoilt() => {
                // It can always be made again; see `Index`.
                let path = self.index_path(year);
                Index::discard(&path).map_err(|source| ShelfError::Discard { path, source })?;
                self.search(year, None, page, after, limit)?
            }
            searched => searched?,
        };
        indexes.insert(year, index);
        Ok(positions)
    }

    /// Brings an index up to date and searches it; opens it, where none was held.
    fn search(
        &self,
        year: i32,
        held: Option<Index>,
        page: Page<'_>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<(Index, Vec<u64>), ShelfError> {
        let mut index = match held {
            Some(index) => index,
            None => self.open_index(year)?,
        };
        let mut entries = self.reader(year)?.entries(index.next())?;
        while let Some(entry) = entries.next() {
            let (place, record) = decoded(year, &entry?)?;
            index.add(place.position, &record)?;
            if let Some(mark) = entries.mark() {
                index.mark(mark);
            }
        }
        let positions = index.page(page.query, page.order, after, limit)?;
        Ok((index, positions))
    }

    /// Opens a year's index, if it is of this log as it is: that its last record is there and of the same moment tells
    /// it from one of a log that was put back from an older copy, or lost its end before that was durable.
    fn open_index(&self, year: i32) -> Result<Index, ShelfError> {
        let index =
            Index::open(&self.index_path(year), &self.config.index_key(), self.verifier(year)?.name())?;
        if let Some((position, millis)) = index.last()? {
            let reader = self.reader(year)?;
            index.mark_before(position).into_iter().for_each(|mark| reader.offer(mark));
            let entry = reader.entry(position)?.map(|entry| decoded(year, &entry)).transpose()?;
            if entry.is_none_or(|(_, record)| record.at.as_millis() != millis) {
                return Err(IndexError::OtherLog.into());
            }
        }
        Ok(index)
    }

    /// Tells a reader what the index knows, where one is open, of where to begin.
    fn offer_mark(&self, reader: &Reader, place: Place) {
        let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = indexes.get(&place.year).and_then(|index| index.mark_before(place.position)) {
            reader.offer(mark);
        }
    }

    fn index_path(&self, year: i32) -> PathBuf {
        self.directory(year).with_extension("index")
    }

    fn astray(&self, place: Place) -> ShelfError {
        ShelfError::Astray { place, index: self.index_path(place.year) }
    }

    /// The records at these positions, in the order of the positions.
    fn fetch(&self, year: i32, positions: &[u64]) -> Result<Vec<Found>, ShelfError> {
        let mut ascending = positions.to_vec();
        ascending.sort_unstable();
        let reader = self.reader(year)?;
        let mut entries = None;
        let mut next = 0;
        let mut found = vec![];
        for position in ascending {
            if entries.is_none() || position.saturating_sub(next) > READ_OVER {
                self.offer_mark(&reader, Place { year, position });
                entries = Some(reader.entries(position)?);
                next = position;
            }
            let before = found.len();
            for entry in entries.iter_mut().flatten() {
                let entry = entry?;
                next = entry.seq + 1;
                if entry.seq == position {
                    found.push(decoded(year, &entry)?);
                    break;
                }
            }
            if found.len() == before {
                return Err(self.astray(Place { year, position }));
            }
        }
        if positions.first() > positions.last() {
            found.reverse();
        }
        Ok(found)
    }
}

/// What an entry of a year's log says, and where it is.
///
/// # Errors
/// When it was not opened, or this release cannot read it.
pub fn decoded(year: i32, entry: &Entry) -> Result<Found, ShelfError> {
    let place = Place { year, position: entry.seq };
    let bytes = entry.record.as_deref().ok_or(ShelfError::Sealed { place })?;
    let record = Record::decode(bytes).map_err(|source| ShelfError::Record { place, source })?;
    Ok((place, record))
}

#[cfg(test)]
mod tests;
