//! What `retention` records add up to: holds, requests of one person, what a second one agreed to.
//!
//! A record counts for what it is at its place: a release without a request by somebody else releases nothing. A
//! record that came twice (see [`crate::inbox`]) counts once.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::Instant;

use super::REQUEST_DAYS;
use crate::index::{Order, PAGE_MAX, Query};
use crate::record::{Actor, Event, Record, Retention, RetentionChange};
use crate::shelf::{Page, Place, Shelf, ShelfError, decoded};

const DAY_MS: i64 = 86_400_000;

/// Nothing of these years may be let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub id: String,
    /// Which years; none: all.
    pub years: BTreeSet<i32>,
    /// Who placed it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// Since when, and where that is recorded.
    pub placed: (Instant, Place),
    /// Until when, and where that is recorded.
    pub released: Option<(Instant, Place)>,
}

impl Hold {
    /// Whether it holds this year.
    pub fn holds(&self, year: i32) -> bool {
        self.released.is_none() && (self.years.is_empty() || self.years.contains(&year))
    }
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That a year's log be let go.
    LetGo {
        /// Which.
        year: i32,
        /// Also if it does not verify.
        even_damaged: bool,
    },
    /// That a hold end.
    Release {
        /// Which.
        hold: String,
    },
}

/// What one person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id, by which the second person confirms it.
    pub id: String,
    /// What for.
    pub wanted: Wanted,
    /// Who asked.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Instant,
    /// Who agreed.
    pub confirmed: Option<Actor>,
}

/// Whether a second person can confirm, or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Not yet.
    Open,
    /// The same person has done so already; what follows may have been interrupted.
    Confirmed,
}

/// Why a request cannot be confirmed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// There is none.
    #[error(
        "there is no request `{0}`: `assent audit expire` and `assent audit hold list` show those that are open"
    )]
    Unknown(String),
    /// The same person asked.
    #[error("`{0}` asked for this, so somebody else must confirm it")]
    SamePerson(String),
    /// Somebody else confirmed it already.
    #[error("`{0}` has confirmed this already")]
    ConfirmedBy(String),
    /// It waited too long.
    #[error("the request is of {0}, more than {REQUEST_DAYS} days ago: ask again")]
    Expired(Instant),
}

/// What retention records say together.
#[derive(Clone, Debug, Default)]
pub struct State {
    holds: BTreeMap<String, Hold>,
    requests: BTreeMap<String, Request>,
    /// Years whose letting go is recorded as done.
    let_go: BTreeSet<i32>,
    letters: BTreeSet<String>,
}

/// Whether two are the same: the names that people type, without regard to case and space.
pub fn same_person(one: &Actor, other: &Actor) -> bool {
    let name = |actor: &Actor| actor.entity.id.trim().to_lowercase();
    name(one) == name(other)
}

impl State {
    /// Reads the records through the search indexes: to show them.
    ///
    /// # Errors
    /// When a log or its index cannot be read.
    pub fn find(shelf: &Shelf) -> Result<Self, ShelfError> {
        let query = Query { kind: Some("retention".to_owned()), ..Query::default() };
        let (mut state, mut after) = (Self::default(), None);
        loop {
            let page = Page { query: &query, order: Order::OldestFirst, after, limit: PAGE_MAX };
            let found = shelf.find(page)?;
            for (place, record) in &found {
                state.apply(*place, record);
            }
            match found.last() {
                Some((last, _)) if found.len() == PAGE_MAX => after = Some(*last),
                _ => return Ok(state),
            }
        }
    }

    /// Reads every record of every year: before anything is let go. `progress` is told how many were read. Of the
    /// year `damaged`, which two persons want to be rid of as it is, it reads as far as can be read.
    ///
    /// # Errors
    /// When any record of any other year cannot be read.
    pub fn read(
        shelf: &Shelf,
        damaged: Option<i32>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ShelfError> {
        let (mut state, mut done) = (Self::default(), 0);
        for year in shelf.years()? {
            let read = shelf.reader(year).and_then(|reader| {
                for entry in reader.entries(0)? {
                    let (place, record) = decoded(year, &entry?)?;
                    state.apply(place, &record);
                    done += 1;
                    progress(done);
                }
                Ok(())
            });
            if damaged != Some(year) {
                read?;
            }
        }
        Ok(state)
    }

    /// Takes the next record.
    pub fn apply(&mut self, place: Place, record: &Record) {
        let Event::Retention(event) = &record.event else { return };
        if let Some(letter) = &record.letter
            && !self.letters.insert(letter.clone())
        {
            return;
        }
        let here = (record.at, place);
        match &event.change {
            RetentionChange::HoldPlaced(id) => self.place(id, event, here),
            RetentionChange::HoldReleaseAsked(hold) => {
                self.ask(event, record.at, Wanted::Release { hold: hold.clone() });
            }
            RetentionChange::HoldReleased(id) => {
                let wanted = Wanted::Release { hold: id.clone() };
                let counts = event.carried_from.is_some() || self.agreed(event, record.at, &wanted);
                if counts && let Some(hold) = self.holds.get_mut(id) {
                    hold.released = Some(here);
                }
            }
            RetentionChange::LetGoAsked { even_damaged } => {
                if let [year] = *event.years {
                    self.ask(event, record.at, Wanted::LetGo { year, even_damaged: *even_damaged });
                }
            }
            RetentionChange::LetGoConfirmed => {
                if let Some(wanted) =
                    event.request.as_ref().and_then(|id| Some(self.requests.get(id)?.wanted.clone()))
                {
                    self.agreed(event, record.at, &wanted);
                }
            }
            RetentionChange::ExpiredBefore(_) => self.let_go.extend(&event.years),
            RetentionChange::KeptForDays(_) => {}
        }
    }

    /// A hold that is placed again, while it holds, holds what it did and what is new.
    fn place(&mut self, id: &str, event: &Retention, placed: (Instant, Place)) {
        let mut years: BTreeSet<i32> = event.years.iter().copied().collect();
        if let Some(before) = self.holds.get(id).filter(|hold| hold.released.is_none()) {
            if before.years.is_empty() || years.is_empty() {
                years.clear();
            } else {
                years.extend(&before.years);
            }
        }
        let (id, by, reason) = (id.to_owned(), event.by.clone(), event.reason.clone());
        self.holds.insert(id.clone(), Hold { id, years, by, reason, placed, released: None });
    }

    fn ask(&mut self, event: &Retention, at: Instant, wanted: Wanted) {
        let Some(id) = event.request.clone() else { return };
        let (by, reason) = (event.by.clone(), event.reason.clone());
        let request = Request { id: id.clone(), wanted, by, reason, at, confirmed: None };
        // The first counts: nobody changes what a second person is looking at.
        self.requests.entry(id).or_insert(request);
    }

    /// Whether this record is a second person's, in time, to a request for the same.
    fn agreed(&mut self, event: &Retention, at: Instant, wanted: &Wanted) -> bool {
        let Some(id) = &event.request else { return false };
        let open = self.request(id, &event.by, at).is_ok_and(|(request, _)| request.wanted == *wanted);
        if open && let Some(request) = self.requests.get_mut(id) {
            request.confirmed = Some(event.by.clone());
        }
        open
    }

    /// The request with this id, if this person can confirm it at this moment, or has confirmed it before.
    ///
    /// # Errors
    /// Why not.
    pub fn request(&self, id: &str, by: &Actor, at: Instant) -> Result<(&Request, Asked), RequestError> {
        let request = self.requests.get(id).ok_or_else(|| RequestError::Unknown(id.to_owned()))?;
        if same_person(&request.by, by) {
            return Err(RequestError::SamePerson(by.entity.id.to_string()));
        }
        match &request.confirmed {
            Some(other) if !same_person(other, by) => {
                Err(RequestError::ConfirmedBy(other.entity.id.to_string()))
            }
            Some(_) => Ok((request, Asked::Confirmed)),
            None if at.as_millis() - request.at.as_millis() > REQUEST_DAYS * DAY_MS => {
                Err(RequestError::Expired(request.at))
            }
            None => Ok((request, Asked::Open)),
        }
    }

    /// The requests that a second person can still confirm, and those that were confirmed to let a year
    /// go which is not recorded as gone.
    pub fn open_requests(&self, now: Instant) -> impl Iterator<Item = &Request> {
        self.requests.values().filter(move |request| match (&request.confirmed, &request.wanted) {
            (None, _) => now.as_millis() - request.at.as_millis() <= REQUEST_DAYS * DAY_MS,
            (Some(_), Wanted::LetGo { year, .. }) => !self.let_go.contains(year),
            (Some(_), Wanted::Release { .. }) => false,
        })
    }

    /// What the request with this id is for.
    pub fn wanted(&self, id: &str) -> Option<&Wanted> {
        self.requests.get(id).map(|request| &request.wanted)
    }

    /// The hold with this id.
    pub fn hold(&self, id: &str) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// All holds, also those that ended.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    /// What holds this year.
    pub fn holding(&self, year: i32) -> impl Iterator<Item = &Hold> {
        self.holds.values().filter(move |hold| hold.holds(year))
    }

    /// Whether it is recorded that this year was let go.
    pub fn is_let_go(&self, year: i32) -> bool {
        self.let_go.contains(&year)
    }

    /// What must be written again before a year's log goes, because other years' holds stand in it: holds that go
    /// on, and ends of holds whose beginning stays.
    pub fn to_carry(&self, year: i32) -> Vec<Retention> {
        let carried = |hold: &Hold, change, place: Place| Retention {
            change,
            by: hold.by.clone(),
            reason: hold.reason.clone(),
            years: hold.years.iter().copied().collect(),
            request: None,
            carried_from: Some(place.to_string()),
        };
        let mut carry = vec![];
        for hold in self.holds.values() {
            let (_, placed) = hold.placed;
            match hold.released {
                None if placed.year == year => {
                    carry.push(carried(hold, RetentionChange::HoldPlaced(hold.id.clone()), placed));
                }
                Some((_, released)) if released.year == year && placed.year != year => {
                    carry.push(carried(hold, RetentionChange::HoldReleased(hold.id.clone()), released));
                }
                None | Some(_) => {}
            }
        }
        carry
    }
}
