//! What `retention` records add up to: holds, requests of one person, what a second one agreed to.
//!
//! A record counts for what it is at its place: a release without a request by somebody else releases nothing, nor
//! does one that was asked for before the hold was last placed. A record that came twice (see [`crate::inbox`])
//! counts once. What holds are made of, and what of them outlives their years, is in [`super::holds`].

use std::collections::{BTreeMap, BTreeSet};

use assent_model::Instant;

use super::holds::{Hold, Holds, is_carried};
use super::{REQUEST_DAYS, is_in_time};
use crate::index::{Order, PAGE_MAX, Query};
use crate::record::{Actor, Event, Record, Retention, RetentionChange};
use crate::redacted::debug_by_name;
use crate::shelf::{Page, Place, Shelf, ShelfError, decoded};

/// What a request is for.
#[derive(Clone, PartialEq, Eq)]
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
#[derive(Clone, PartialEq, Eq)]
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
    /// Where it is recorded.
    place: Place,
}

debug_by_name!(Wanted, Request);

impl Request {
    /// Whether it may still be acted on at this moment.
    ///
    /// # Errors
    /// When it waited too long.
    pub fn in_time(&self, at: Instant) -> Result<(), RequestError> {
        if is_in_time(self.at, at) { Ok(()) } else { Err(RequestError::Expired(self.at)) }
    }
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
    /// The hold is not the one any more whose end was asked for.
    #[error(
        "`{0}` was placed again since this was asked, so this ends nothing: ask again, if it still holds"
    )]
    PlacedSince(String),
    /// It waited too long.
    #[error("the request is of {0}, more than {REQUEST_DAYS} days ago: ask again")]
    Expired(Instant),
}

/// What retention records say together.
#[derive(Clone, Debug, Default)]
pub struct State {
    holds: Holds,
    requests: BTreeMap<String, Request>,
    /// Years whose letting go is recorded as done.
    let_go: BTreeSet<i32>,
    /// The requests by which they were.
    spent: BTreeSet<String>,
    /// Up to which position each year's records were read, where they were read one by one.
    read_to: BTreeMap<i32, u64>,
    /// How often damage was passed over.
    skipped: u64,
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
    /// year `damaged`, which two persons want to be rid of as it is, it reads whatever can be read: it may say what
    /// holds other years.
    ///
    /// # Errors
    /// When any record of any other year cannot be read, or a year is gone.
    pub fn read(
        shelf: &Shelf,
        damaged: Option<i32>,
        mut progress: impl FnMut(u64),
    ) -> Result<Self, ShelfError> {
        let mut state = Self::default();
        state.read_on(shelf, damaged, &mut progress)?;
        Ok(state)
    }

    /// Reads the records that came since.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_on(
        &mut self,
        shelf: &Shelf,
        damaged: Option<i32>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ShelfError> {
        let mut done = 0;
        for year in shelf.all_years_but(None, damaged)? {
            let reader = shelf.reader(year)?;
            let mut from = Some(self.read_to.get(&year).copied().unwrap_or_default());
            while let Some(first) = from.take() {
                let mut next = first;
                let read = reader.entries(first).map_err(ShelfError::from).and_then(|entries| {
                    for entry in entries {
                        let entry = entry?;
                        let (place, record) = decoded(year, &entry)?;
                        self.apply(place, &record);
                        next = entry.seq + 1;
                        self.read_to.insert(year, next);
                        done += 1;
                        progress(done);
                    }
                    Ok(())
                });
                match read {
                    Err(error) if damaged == Some(year) && error.is_damage() => {
                        self.skipped += 1;
                        from = reader.segment_from(next.max(first + 1))?;
                    }
                    other => other?,
                }
            }
        }
        Ok(())
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
            RetentionChange::HoldPlaced(id) => self.holds.place(id, event, here),
            RetentionChange::HoldReleaseAsked(hold) => {
                self.ask(event, here, Wanted::Release { hold: hold.clone() });
            }
            RetentionChange::HoldReleased(id) => self.release(id, event, here),
            RetentionChange::LetGoAsked { even_damaged } => {
                if let [year] = *event.years {
                    self.ask(event, here, Wanted::LetGo { year, even_damaged: *even_damaged });
                }
            }
            RetentionChange::LetGoConfirmed => {
                let years = &event.years;
                self.agree(event, record.at, |wanted| match wanted {
                    Wanted::LetGo { year, .. } => *years == [*year],
                    Wanted::Release { .. } => false,
                });
            }
            RetentionChange::ExpiredBefore(_) => {
                self.let_go.extend(&event.years);
                self.spent.extend(event.request.clone());
            }
            RetentionChange::KeptForDays(_) => {}
        }
    }

    /// Only a second person's release of what was asked for ends a hold, or one that was written again.
    fn release(&mut self, id: &str, event: &Retention, here: (Instant, Place)) {
        let wanted = Wanted::Release { hold: id.to_owned() };
        let asked = match is_carried(event) {
            true => Some(None),
            false => self.agree(event, here.0, |other| *other == wanted).map(Some),
        };
        if let Some(asked) = asked {
            self.holds.release(id, event, asked, here);
        }
    }

    fn ask(&mut self, event: &Retention, (at, place): (Instant, Place), wanted: Wanted) {
        let Some(id) = event.request.clone() else { return };
        let (by, reason) = (event.by.clone(), event.reason.clone());
        let request = Request { id: id.clone(), wanted, by, reason, at, confirmed: None, place };
        // The first counts: nobody changes what a second person is looking at.
        self.requests.entry(id).or_insert(request);
    }

    /// Where the request stands to which this record is a second person's, in time, if it is for what it should be.
    fn agree(&mut self, event: &Retention, at: Instant, is_meant: impl Fn(&Wanted) -> bool) -> Option<Place> {
        let id = event.request.as_ref()?;
        self.request(id, &event.by, at).ok().filter(|(request, _)| is_meant(&request.wanted))?;
        let request = self.requests.get_mut(id)?;
        request.confirmed = Some(event.by.clone());
        Some(request.place)
    }

    /// The hold whose end is asked for.
    fn meant(&self, request: &Request) -> Option<&Hold> {
        let Wanted::Release { hold } = &request.wanted else { return None };
        self.holds.get(hold)
    }

    /// The same, where somebody placed it since: what the second person looks at is not what the first one looked
    /// at, and what both agreed on ended what was before.
    fn placed_since(&self, request: &Request) -> Option<&Hold> {
        let is_spent = |hold: &Hold| request.confirmed.is_some() && hold.released.is_some();
        self.meant(request).filter(|hold| hold.last_word > request.place && !is_spent(hold))
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
        if let Some(hold) = self.placed_since(request) {
            return Err(RequestError::PlacedSince(hold.id.clone()));
        }
        match &request.confirmed {
            Some(other) if !same_person(other, by) => {
                Err(RequestError::ConfirmedBy(other.entity.id.to_string()))
            }
            Some(_) => Ok((request, Asked::Confirmed)),
            None => request.in_time(at).map(|()| (request, Asked::Open)),
        }
    }

    /// The requests that a second person can still confirm, and those that were confirmed to let a year
    /// go which is not recorded as gone.
    pub fn open_requests(&self, now: Instant) -> impl Iterator<Item = &Request> {
        self.requests.values().filter(move |request| match (&request.confirmed, &request.wanted) {
            (None, _) => {
                request.in_time(now).is_ok()
                    && self.placed_since(request).is_none()
                    && self.meant(request).is_none_or(|hold| hold.released.is_none())
            }
            (Some(_), Wanted::LetGo { .. }) => !self.is_spent(&request.id),
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
        self.holds.all()
    }

    /// What holds this year.
    pub fn holding(&self, year: i32) -> impl Iterator<Item = &Hold> {
        self.holds.all().filter(move |hold| hold.holds(year))
    }

    /// Whether it is recorded that this year was let go.
    pub fn is_let_go(&self, year: i32) -> bool {
        self.let_go.contains(&year)
    }

    /// How many stretches of a damaged year could not be read: a hold that was said there is not among these.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether a year was let go by this request: then it says nothing of a log of that year that was put back.
    pub fn is_spent(&self, request: &str) -> bool {
        self.spent.contains(request)
    }

    /// What must be written again before a year's log goes, because it says something of holds that others do not.
    pub fn to_carry(&self, year: i32) -> Vec<Retention> {
        self.holds.to_carry(year)
    }
}
