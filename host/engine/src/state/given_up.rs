//! Versions of the state that a node saw and the database does not have: refused, until nodes bring them or two persons
//! give them up.
//!
//! A database that was put back to an older copy while every node was stopped knows less than the nodes' logs. Each node
//! applies what its own log has. INVARIANT (nothing that was seen is displaced in silence): where a node's log has seen
//! a later version than there is then, the node does not go on, for another node's log may have it. Where that node is
//! gone for good, two persons say so: a record of the action [`GIVEN_UP`], after which nothing counts that this log said
//! before of later versions than the one it names, whatever other nodes make of these versions meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use assent_audit::record::{Actor, Administration, Event, Record};
use assent_audit::retention::{is_in_time, same_person};
use assent_audit::shelf::{Place, Shelf, ShelfError};
use assent_model::{EntityId, Instant};
use assent_store::Store;
use serde_json::json;

/// One person asks that versions be given up.
pub const GIVE_UP_ASKED: &str = "state.give-up-asked";
/// Two persons gave versions up.
pub const GIVEN_UP: &str = "state.given-up";
/// The type by which the two records name the request.
const REQUEST: &str = "GiveUpRequest";

/// What one person asks for, or two agreed on.
#[derive(Clone)]
pub struct GiveUp {
    /// The request's id.
    pub request: String,
    /// The version that the database has: what is later is given up.
    pub after: u64,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
}

/// INVARIANT (no patient in logs): people may name one when they say why.
impl std::fmt::Debug for GiveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GiveUp({}, after {})", self.request, self.after)
    }
}

/// How a request is named in records.
#[must_use]
pub fn give_up_request(id: &str) -> EntityId {
    EntityId::new(REQUEST, id)
}

impl GiveUp {
    /// The event of this action: [`GIVE_UP_ASKED`] or [`GIVEN_UP`].
    #[must_use]
    pub fn event(&self, action: &str) -> Event {
        Event::Administration(Administration {
            by: self.by.clone(),
            action: action.to_owned(),
            target: give_up_request(&self.request),
            before: None,
            after: Some(json!({ "version": self.after })),
            reason: Some(self.reason.clone()),
        })
    }

    /// What an event of this action says.
    #[must_use]
    pub fn of(event: &Event, action: &str) -> Option<Self> {
        let Event::Administration(said) = event else { return None };
        let after = said.after.as_ref()?.get("version")?.as_u64()?;
        let is_one = said.action == action && *said.target.kind == *REQUEST;
        is_one.then(|| Self {
            request: said.target.id.to_string(),
            after,
            by: said.by.clone(),
            reason: said.reason.clone().unwrap_or_default(),
        })
    }
}

/// The version that the database has of an organization's state.
///
/// # Errors
/// When the database fails.
pub async fn stored_version(store: &Store, organization: &str) -> Result<u64, assent_store::StoreError> {
    let versions = store.versions().await?;
    Ok(versions.into_iter().find(|(name, _)| name == organization).map_or(0, |(_, version)| version))
}

/// What two persons gave up, as a log is read in its order. INVARIANT (two persons): what one record says counts only
/// after another's, of somebody else, that asked for the same no longer than [`REQUEST_DAYS`] before.
///
/// [`REQUEST_DAYS`]: assent_audit::retention::REQUEST_DAYS
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    asked: BTreeMap<String, (Instant, GiveUp)>,
    /// By request: one whose record came twice counts where it stands first, for changes may follow it.
    given_up: BTreeMap<String, (Place, u64)>,
}

impl GivenUp {
    /// Takes the next record. Gives the version after which all is given up from here on, where it says that first.
    pub(super) fn take(&mut self, place: Place, record: &Record) -> Option<u64> {
        if let Some(asked) = GiveUp::of(&record.event, GIVE_UP_ASKED) {
            // The first counts: nobody changes what a second person is looking at.
            self.asked.entry(asked.request.clone()).or_insert((record.at, asked));
        }
        let GiveUp { request, after, by, .. } = GiveUp::of(&record.event, GIVEN_UP)?;
        let (asked_at, asked) = self.asked.get(&request)?;
        let is_meant =
            asked.after == after && !same_person(&asked.by, &by) && is_in_time(*asked_at, record.at);
        if !is_meant || self.given_up.contains_key(&request) {
            return None;
        }
        self.given_up.insert(request, (place, after));
        Some(after)
    }

    /// Whether a change of this version at this place was given up after it was recorded.
    fn has(&self, version: u64, at: Place) -> bool {
        self.given_up.values().any(|(place, after)| *place > at && version > *after)
    }
}

/// What is not to be applied, as the logs say somewhere after it.
#[derive(Debug)]
pub(super) struct NeverMade {
    given_up: GivenUp,
    /// Records of changes that were overtaken.
    overtaken: BTreeSet<String>,
}

impl NeverMade {
    /// Looks through the logs from this place on, for what they say of changes there and later.
    pub(super) fn find(shelf: &Shelf, from: Place) -> Result<Self, ShelfError> {
        let mut found = Self { given_up: GivenUp::default(), overtaken: BTreeSet::new() };
        for year in shelf.years()?.into_iter().filter(|year| *year >= from.year) {
            let first = if year == from.year { from.position } else { 0 };
            for entry in shelf.reader(year)?.entries(first)? {
                let (place, record) = assent_audit::shelf::decoded(year, &entry?)?;
                found.overtaken.extend(super::carry::overtaken(&record.event));
                found.given_up.take(place, &record);
                if let Event::StateCarried(part) = record.event {
                    found.overtaken.extend(part.overtaken);
                }
            }
        }
        Ok(found)
    }

    /// Whether the change with this record was overtaken, as its log says.
    pub(super) fn is_overtaken(&self, record: &str) -> bool {
        self.overtaken.contains(record)
    }

    /// Whether a change of this version at this place was given up after it was recorded.
    pub(super) fn is_given_up(&self, version: u64, at: Place) -> bool {
        self.given_up.has(version, at)
    }
}
