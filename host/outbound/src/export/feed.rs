//! What an exporter reads of one organization's logs: year after year, no further than what is durable, and
//! how far it came.
//!
//! INVARIANT (at least once): what is held was read and not delivered; the cursor, on disk, stands before the
//! first of it. [`Feed::delivered`] is the only way to move it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use assent_audit::export::{Cursor, CursorError, ENTERPRISE, Format, SetAside, Source};
use assent_audit::log::Entries;
use assent_audit::logs::Logs;
use assent_audit::shelf::{Place, Shelf, decoded};
use assent_model::{Instant, OrganizationId};

use super::definition::{Exporter, Start};
use super::error::Failure;
use super::state::{ToldOf, cursor_path, directory, place, set_aside_path};
use super::trouble::Trouble;

/// A record on its way.
pub(super) struct Item {
    pub(super) place: Place,
    at: Instant,
    /// One line, without its end.
    pub(super) text: String,
}

/// How much is held at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// An organization's records.
pub(super) struct Feed {
    shelf: Shelf,
    logs: Arc<Logs>,
    format: Format,
    cursor: Cursor,
    set_aside: SetAside,
    /// The last place of those set aside that was offered again.
    offered_again: Option<Place>,
    /// What is read next.
    next: Place,
    entries: Option<Entries>,
    held: VecDeque<Item>,
    held_bytes: usize,
    /// How many of those held are on their way, unconfirmed.
    pub(super) on_their_way: usize,
    /// How many are sent at once: fewer after a batch was refused.
    pub(super) batch: usize,
    /// With this organization's records alone.
    pub(super) trouble: Trouble,
    /// What somebody should be told.
    pub(super) note: Option<String>,
}

impl Feed {
    /// Takes up where the exporter was, or begins.
    pub(super) fn open(
        exporter: &Exporter,
        logs: &Arc<Logs>,
        organization: &OrganizationId,
        batch: usize,
    ) -> Result<Self, Failure> {
        let config = logs.config();
        let folder = directory(config, organization);
        let path = cursor_path(config, organization, &exporter.id);
        std::fs::create_dir_all(&folder)
            .map_err(|source| CursorError::File { path: folder.clone(), source })?;
        let shelf = Shelf::new(config.clone(), organization.clone());
        let years = shelf.years()?;
        let newest = logs.newest(organization).unwrap_or_default();
        let cursor = match Cursor::resume(&path)? {
            Some(cursor) => cursor,
            None => {
                let (year, position) = match exporter.from {
                    Start::Now => newest,
                    Start::Beginning => (years.first().copied().unwrap_or(newest.0), 0),
                };
                Cursor::begin(&path, &shelf.log(year), position)?
            }
        };
        let Some(next) = place(&shelf, &cursor) else {
            let (found, expected) = (cursor.log().to_owned(), shelf.log(newest.0));
            return Err(CursorError::OtherLog { path, found, expected }.into());
        };
        Ok(Self {
            shelf,
            logs: Arc::clone(logs),
            format: exporter.format,
            cursor,
            set_aside: SetAside::open(&set_aside_path(config, organization, &exporter.id))?,
            offered_again: None,
            next,
            entries: None,
            held: VecDeque::new(),
            held_bytes: 0,
            on_their_way: 0,
            batch,
            trouble: Trouble::default(),
            note: None,
        })
    }

    /// Whose records.
    pub(super) const fn organization(&self) -> &OrganizationId {
        self.shelf.organization()
    }

    /// Reads until so much is held, or what is durable ends.
    pub(super) fn fill(&mut self, most: Most) -> Result<(), Failure> {
        let room = |feed: &Self| feed.held.len() < most.records && feed.held_bytes < most.bytes;
        while room(self) {
            let Some(committed) = self.logs.committed(self.shelf.organization(), self.next.year)? else {
                return Ok(());
            };
            let source = source(&self.shelf, self.next.year);
            while room(self) && self.next.position < committed {
                match self.read()? {
                    Some((place, text, at)) => {
                        let text = self.format.render(&source, place.position, &text);
                        self.held_bytes += text.len();
                        self.held.push_back(Item { place, at, text });
                        self.next.position = place.position + 1;
                    }
                    None if committed == u64::MAX => {
                        // The year is over, and all of it was read; or it was let go before that. Nothing else
                        // is passed over, and what was looked for while it was away is looked for again.
                        let years = self.shelf.all_years(Some(self.next.year));
                        let years = years.inspect_err(|_| self.entries = None)?;
                        if years.contains(&self.next.year)
                            && self.next.position < self.shelf.reader(self.next.year)?.checkpoint()?.size
                        {
                            self.entries = None;
                            return Ok(());
                        }
                        let Some(later) = years.into_iter().find(|year| *year > self.next.year) else {
                            return Ok(());
                        };
                        if !self.shelf.directory(self.next.year).exists() {
                            self.note = Some(format!(
                                "the log of {} for `{}` was let go, with what was not sent of it",
                                self.next.year,
                                self.organization()
                            ));
                        }
                        self.next = Place { year: later, position: 0 };
                        self.entries = None;
                        break;
                    }
                    None => return Ok(()),
                }
            }
            if self.next.position >= committed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next record, if the log has it.
    fn read(&mut self) -> Result<Option<(Place, assent_audit::record::Record, Instant)>, Failure> {
        let Place { year, position } = self.next;
        let entries = match &mut self.entries {
            Some(entries) => entries,
            None => self.entries.insert(self.shelf.reader(year)?.entries(position)?),
        };
        // After an error the entries have ended; the next try begins anew.
        let read = entries.next().map(|entry| decoded(year, &entry?)).transpose();
        let found = read.inspect_err(|_| self.entries = None)?;
        Ok(found.map(|(place, record)| {
            let at = record.at;
            (place, record, at)
        }))
    }

    /// Those to be sent next: at most a batch, and no more bytes than that unless one record has them.
    pub(super) fn waiting(&mut self, most: Most) -> &[Item] {
        let (records, mut bytes) = (self.batch.min(most.records), 0);
        let on_their_way = self.on_their_way;
        let waiting = self.held.make_contiguous().get(on_their_way..).unwrap_or_default();
        let fitting = waiting.iter().take(records).take_while(|item| {
            let first = bytes == 0;
            bytes += item.text.len();
            first || bytes <= most.bytes
        });
        let count = fitting.count();
        waiting.get(..count).unwrap_or_default()
    }

    /// All that is held, from the oldest on.
    pub(super) fn held(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.held.iter()
    }

    /// Whether so much is held that no more is read.
    pub(super) fn is_full(&self, most: Most) -> bool {
        self.held.len() >= most.records || self.held_bytes >= most.bytes
    }

    /// The oldest `count` held were delivered, but for those at these indexes, which were refused.
    /// A crash before the cursor is on disk sends all of them again; a crash after the list of those refused
    /// is, and before the cursor, has them on the list and offers them again all the same.
    pub(super) fn delivered(&mut self, count: usize, refused: &[usize]) -> Result<(), Failure> {
        let Some(last) = count.checked_sub(1).and_then(|last| self.held.get(last)).map(|item| item.place)
        else {
            return Ok(());
        };
        if !refused.is_empty() {
            if !self.set_aside.has_room_for(refused.len()) {
                return Err(Failure::TooManyRefused { count: self.set_aside.places().len() });
            }
            self.set_aside
                .add(refused.iter().filter_map(|index| self.held.get(*index)).map(|item| item.place))?;
        }
        self.cursor.moved(&self.shelf.log(last.year), last.position + 1)?;
        for item in self.held.drain(..count) {
            self.held_bytes -= item.text.len();
        }
        self.on_their_way = self.on_their_way.saturating_sub(count);
        Ok(())
    }

    /// The next `most` places that were set aside, to be offered again. Goes round, so that what is refused again
    /// and again does not keep the others from their turn.
    pub(super) fn next_set_aside(&mut self, most: usize) -> Vec<Place> {
        let key = |place: &Place| (place.year, place.position);
        let offered = self.offered_again;
        let (before, behind): (Vec<_>, Vec<_>) =
            self.set_aside.places().partition(|place| offered.is_some_and(|last| key(place) <= key(&last)));
        let next: Vec<_> = behind.into_iter().chain(before).take(most).collect();
        self.offered_again = next.last().copied();
        next
    }

    /// A record that was set aside, to be offered again; `None` where the log no longer has it.
    pub(super) fn fetch(&self, place: Place) -> Result<Option<Item>, Failure> {
        let found = self.shelf.at(place)?;
        let source = source(&self.shelf, place.year);
        Ok(found.map(|(place, record)| Item {
            place,
            at: record.at,
            text: self.format.render(&source, place.position, &record),
        }))
    }

    /// A record that was set aside was delivered after all, or is gone.
    pub(super) fn done_with(&mut self, place: Place) -> Result<(), Failure> {
        Ok(self.set_aside.remove(place)?)
    }

    /// Says how far it is.
    pub(super) fn tell(&self, told: &ToldOf) {
        let next = place(&self.shelf, &self.cursor);
        let oldest = self.held.front().map(|item| item.at);
        *told.at.lock().unwrap_or_else(PoisonError::into_inner) = (next, oldest);
        told.set_aside.store(self.set_aside.places().len() as u64, Ordering::Relaxed);
    }
}

fn source(shelf: &Shelf, year: i32) -> Source {
    let log = shelf.log(year);
    Source {
        node: log.split('/').next().unwrap_or_default().to_owned(),
        log,
        organization: shelf.organization().to_string(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        enterprise: ENTERPRISE,
    }
}
