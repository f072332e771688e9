//! Which guarded parts of its release are in force for an organization, and what two persons agreed they become.
//!
//! The guarded parts are what is dangerous in a release: who may open records in an emergency, who approves what, what
//! plugins are granted. Everything is read from the organization's own log: activations say what was in force, and a
//! proposal and an approval are records like any other. INVARIANT (two persons for what is guarded): parts that differ
//! from those in force are agreed on only by a proposal and somebody else's approval of the same digest, within
//! [`REQUEST_DAYS`]. INVARIANT (agreed once): an activation that changes what is in force ends every request from
//! before it, so what was agreed on once does not come back by itself.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::{Digest, EntityId, Instant};

use crate::index::{Order, PAGE_MAX, Query};
use crate::record::{Actor, Administration, Event, Guarded, Record, ReleaseActivated};
use crate::redacted::debug_by_name;
use crate::retention::{REQUEST_DAYS, is_in_time, same_person};
use crate::shelf::{Found, Page, Place, Shelf, ShelfError};

/// One person proposes that guarded parts change.
pub const PROPOSE: &str = "release.propose";
/// A second one approves.
pub const APPROVE: &str = "release.approve";
/// The type of a request, where a record names it.
const REQUEST: &str = "ReleaseRequest";

/// What was activated last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its guarded parts.
    pub guarded: Guarded,
    /// The release.
    pub release: Digest,
    /// When it was activated.
    pub at: Instant,
}

/// What one person asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id, by which the second person approves it.
    pub id: String,
    /// What is to be in force.
    pub wanted: Guarded,
    /// What was in force when it was proposed.
    pub before: Guarded,
    /// Who proposed it.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Instant,
    /// Who approved it.
    pub approved: Option<Actor>,
    /// What became of it, once something did.
    pub ended: Option<Ended>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was agreed on took over.
    Activated,
    /// Something else took over.
    Overtaken,
}

debug_by_name!(Request);

/// Why a request cannot be approved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// There is none.
    #[error("there is no request `{0}`: `assent release show` lists those of the last {REQUEST_DAYS} days")]
    Unknown(String),
    /// The same person proposed it.
    #[error("`{0}` proposed this, so somebody else must approve it")]
    SamePerson(String),
    /// Somebody else approved it already.
    #[error("`{0}` has approved this already")]
    ApprovedBy(String),
    /// It took over.
    #[error(
        "request `{0}` was approved, and what it is for has taken over since: to change it again, propose anew"
    )]
    Activated(String),
    /// Something else took over.
    #[error("something else has taken over since request `{0}`: propose anew")]
    Overtaken(String),
    /// It waited too long.
    #[error("the request is of {0}, more than {REQUEST_DAYS} days ago: propose anew")]
    Expired(Instant),
}

/// Whether a release may take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nothing is recorded yet that it could be compared with.
    First,
    /// Its guarded parts are those in force.
    Same,
    /// They differ, and what is in force does not ask for two persons.
    NotAsked,
    /// They differ, and two persons agreed on them.
    Agreed(&'a Request),
    /// They differ, and two persons must agree first.
    Needed,
}

/// A part that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it was; none: there was no such part.
    pub before: Option<Digest>,
    /// What it is to be; none: there is none any more.
    pub after: Option<Digest>,
}

/// The parts that differ, by name.
pub fn changes<'a>(before: &'a Guarded, after: &'a Guarded) -> Vec<Change<'a>> {
    let names: BTreeSet<&String> = before.parts.keys().chain(after.parts.keys()).collect();
    let compared = names.into_iter().map(|name| Change {
        name,
        before: before.parts.get(name).copied(),
        after: after.parts.get(name).copied(),
    });
    compared.filter(|change| change.before != change.after).collect()
}

/// The record by which somebody proposes that these parts take over.
///
/// # Errors
/// Never, for digests and names can be written; the form is the serializer's.
pub fn proposal(
    id: &str,
    (before, wanted): (&Guarded, &Guarded),
    by: Actor,
    reason: String,
) -> serde_json::Result<Event> {
    Ok(Event::Administration(Administration {
        by,
        action: PROPOSE.to_owned(),
        target: EntityId::new(REQUEST, id),
        before: Some(serde_json::to_value(before)?),
        after: Some(serde_json::to_value(wanted)?),
        reason: Some(reason),
    }))
}

/// The record by which somebody approves a request; it repeats what is approved.
///
/// # Errors
/// As [`proposal`].
pub fn approval(request: &Request, by: Actor) -> serde_json::Result<Event> {
    Ok(Event::Administration(Administration {
        by,
        action: APPROVE.to_owned(),
        target: EntityId::new(REQUEST, request.id.as_str()),
        before: None,
        after: Some(serde_json::to_value(&request.wanted)?),
        reason: Some(request.reason.clone()),
    }))
}

fn parts(value: Option<&serde_json::Value>) -> Option<Guarded> {
    serde_json::from_value(value?.clone()).ok()
}

/// What a log says together.
#[derive(Clone, Debug, Default)]
pub struct State {
    in_force: Option<InForce>,
    requests: BTreeMap<String, Request>,
    letters: BTreeSet<String>,
}

impl State {
    /// Reads what counts at this moment: the last activation, and the requests of the last [`REQUEST_DAYS`] with all
    /// activations since the first of them. Requests of so few days are in one of the two newest logs.
    ///
    /// # Errors
    /// When a log or its index cannot be read, or one is gone in which the last activation may stand.
    pub fn find(shelf: &Shelf, now: Instant) -> Result<Self, ShelfError> {
        let there = shelf.years()?;
        let of = |year| Shelf::new(shelf.config().clone(), shelf.organization().clone()).of_year(year);
        let mut found: Vec<Found> = vec![];
        for year in there.iter().rev().take(2) {
            let shelf = of(*year);
            for action in [PROPOSE, APPROVE] {
                let query = Query { action: Some(action.to_owned()), ..Query::default() };
                let in_time = |(_, record): &Found| is_in_time(record.at, now);
                found.extend(all(&shelf, &query)?.into_iter().filter(in_time));
            }
        }
        let first = found.iter().map(|(place, _)| *place).min();
        let query = Query { kind: Some("release-activated".to_owned()), ..Query::default() };
        let mut years = [there, shelf.gone()?].concat();
        years.sort_unstable();
        'years: for year in years.into_iter().rev() {
            let (shelf, mut after) = (of(year), None);
            loop {
                let page = Page { query: &query, order: Order::NewestFirst, after, limit: ACTIVATIONS };
                let activations = shelf.find(page)?;
                after = activations.last().map(|(place, _)| *place);
                for (place, record) in activations {
                    let is_enough = is_guarded(&record) && first.is_none_or(|first| place < first);
                    found.push((place, record));
                    if is_enough {
                        break 'years;
                    }
                }
                if after.is_none() {
                    break;
                }
            }
        }
        found.sort_unstable_by_key(|(place, _)| *place);
        let mut state = Self::default();
        found.iter().for_each(|(_, record)| state.apply(record));
        Ok(state)
    }

    /// Takes the next record.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::ReleaseActivated(event) => self.activate(event, record.at),
            Event::Administration(event) if event.action == PROPOSE || event.action == APPROVE => {
                if let Some(letter) = &record.letter
                    && !self.letters.insert(letter.clone())
                {
                    return;
                }
                if event.action == PROPOSE {
                    self.propose(event, record.at);
                } else {
                    self.approve(event, record.at);
                }
            }
            _ => {}
        }
    }

    fn activate(&mut self, event: &ReleaseActivated, at: Instant) {
        // A release of Assent that knew nothing of guarded parts says nothing of them.
        let Some(guarded) = event.guarded.clone() else { return };
        let same = self.in_force.as_ref().is_none_or(|before| before.guarded.digest == guarded.digest);
        for request in self.requests.values_mut().filter(|request| !same && request.ended.is_none()) {
            let is_meant = request.approved.is_some() && request.wanted.digest == guarded.digest;
            request.ended = Some(if is_meant { Ended::Activated } else { Ended::Overtaken });
        }
        self.in_force = Some(InForce { guarded, release: event.release, at });
    }

    fn propose(&mut self, event: &Administration, at: Instant) {
        let (Some(before), Some(wanted)) = (parts(event.before.as_ref()), parts(event.after.as_ref())) else {
            return;
        };
        // Something may have taken over between the look and the record.
        let is_now = self.in_force.as_ref().is_some_and(|now| now.guarded.digest == before.digest);
        let request = Request {
            id: event.target.id.to_string(),
            wanted,
            before,
            by: event.by.clone(),
            reason: event.reason.clone().unwrap_or_default(),
            at,
            approved: None,
            ended: (!is_now).then_some(Ended::Overtaken),
        };
        // The first counts: nobody changes what a second person is looking at.
        self.requests.entry(request.id.clone()).or_insert(request);
    }

    fn approve(&mut self, event: &Administration, at: Instant) {
        let id: &str = event.target.id.as_ref();
        let approved = parts(event.after.as_ref());
        let meant = self.request(id, &event.by, at).ok();
        let is_meant =
            meant.zip(approved).is_some_and(|(request, parts)| request.wanted.digest == parts.digest);
        if let Some(request) = self.requests.get_mut(id).filter(|_| is_meant) {
            request.approved = Some(event.by.clone());
        }
    }

    /// The request with this id, if this person can approve it at this moment, or has approved it before.
    ///
    /// # Errors
    /// Why not.
    pub fn request(&self, id: &str, by: &Actor, at: Instant) -> Result<&Request, RequestError> {
        let request = self.requests.get(id).ok_or_else(|| RequestError::Unknown(id.to_owned()))?;
        match request.ended {
            Some(Ended::Activated) => return Err(RequestError::Activated(id.to_owned())),
            Some(Ended::Overtaken) => return Err(RequestError::Overtaken(id.to_owned())),
            None => {}
        }
        if same_person(&request.by, by) {
            return Err(RequestError::SamePerson(by.entity.id.to_string()));
        }
        if !is_in_time(request.at, at) {
            return Err(RequestError::Expired(request.at));
        }
        match &request.approved {
            Some(other) if !same_person(other, by) => {
                Err(RequestError::ApprovedBy(other.entity.id.to_string()))
            }
            Some(_) | None => Ok(request),
        }
    }

    /// Whether a release with these guarded parts may take over at this moment. What is in force says whether two
    /// persons are asked for: to switch that off is itself a change that needs them.
    pub fn standing(&self, wanted: &Guarded, now: Instant) -> Standing<'_> {
        match &self.in_force {
            None => Standing::First,
            Some(now) if now.guarded.digest == wanted.digest => Standing::Same,
            Some(now) if !now.guarded.two_persons => Standing::NotAsked,
            Some(_) => {
                let mut for_these = self.open(now).filter(|request| request.wanted.digest == wanted.digest);
                for_these
                    .find(|request| request.approved.is_some())
                    .map_or(Standing::Needed, Standing::Agreed)
            }
        }
    }

    /// What was activated last.
    pub const fn in_force(&self) -> Option<&InForce> {
        self.in_force.as_ref()
    }

    /// The requests that are read, oldest first.
    pub fn requests(&self) -> Vec<&Request> {
        let mut requests: Vec<_> = self.requests.values().collect();
        requests.sort_by_key(|request| request.at);
        requests
    }

    /// Those that can still be approved, or were and can take over.
    pub fn open(&self, now: Instant) -> impl Iterator<Item = &Request> {
        self.requests.values().filter(move |request| request.ended.is_none() && is_in_time(request.at, now))
    }
}

/// Activations that are read at once: mostly the last one is the one.
const ACTIVATIONS: usize = 8;

fn is_guarded(record: &Record) -> bool {
    matches!(&record.event, Event::ReleaseActivated(event) if event.guarded.is_some())
}

/// All records that match.
fn all(shelf: &Shelf, query: &Query) -> Result<Vec<Found>, ShelfError> {
    let (mut found, mut after): (Vec<Found>, Option<Place>) = (vec![], None);
    loop {
        let page = shelf.find(Page { query, order: Order::OldestFirst, after, limit: PAGE_MAX })?;
        after = page.last().map(|(place, _)| *place);
        found.extend(page);
        if after.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests;
