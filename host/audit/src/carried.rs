//! What is left of a year's changes of state, as records: cut into parts, and found again among all records.
//!
//! Before a year's log goes, the changes of state in it of which something still counts are written again into the
//! newest log ([`parts`]). Whoever makes the state again takes them in the place of the year ([`Carried`]). As the
//! writing may break off and be repeated, a set counts once all of its parts are there; of several sets of a year any
//! is right, as each leaves out only what later changes replaced, and the newest counts. INVARIANT (what was carried is
//! what comes back): the digest of a set is checked.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::{Digest, OrganizationId};

use crate::record::{CarriedChange, Event, RecordError, StateCarried, canonical};
use crate::shelf::Place;

/// Bytes of JSON that the changes of one part have, as those of an archive: a part fits even where the log cannot
/// compress it. One thing that is longer has a part for itself, and fits where its own record did.
const PART_JSON_BYTES: usize = 62_000;

/// Why a set of parts does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarriedError {
    /// Its parts are not what was written.
    #[error(
        "the state of {year} that was carried on is not what its digest says: `assent audit verify` tells more"
    )]
    Altered {
        /// Of which year.
        year: i32,
    },
    /// Parts of it are missing.
    #[error(
        "of the state of {year} that was carried on some parts are missing: bring back the logs that had them"
    )]
    Incomplete {
        /// Of which year.
        year: i32,
    },
    /// It cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What is left of a year.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The changes, oldest first.
    pub changes: Vec<CarriedChange>,
    /// The hashes of records of changes that another node overtook, as the year's log says.
    pub overtaken: Vec<String>,
}

/// The parts of what is left of a year, in their order; one where nothing is, so that it is known that nothing was.
///
/// # Errors
/// When something of it has no form in a log.
pub fn parts(
    organization: &OrganizationId,
    year: i32,
    left: &Left,
) -> Result<Vec<StateCarried>, CarriedError> {
    let set = digest(year, left)?;
    let mut parts = Parts::default();
    for hash in &left.overtaken {
        parts.make_room(hash.len() + 3);
        parts.open.overtaken.push(hash.clone());
    }
    for change in &left.changes {
        let empty = CarriedChange { items: vec![], ..change.clone() };
        let head = canonical::bytes(&empty)?.len() + 16;
        parts.make_room(head);
        parts.open.changes.push(empty.clone());
        for item in &change.items {
            let more = canonical::bytes(item)?.len() + 1;
            // What goes on in the next part has its head there as well.
            if parts.make_room(more) {
                parts.json_bytes += head;
                parts.open.changes.push(empty.clone());
            }
            parts.open.changes.last_mut().into_iter().for_each(|last| last.items.push(item.clone()));
        }
    }
    let parts = parts.finished();
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let part = |(part, Left { changes, overtaken })| StateCarried {
        organization: organization.clone(),
        year,
        set,
        part,
        parts: count,
        overtaken,
        changes,
    };
    Ok((1..).zip(parts).map(part).collect())
}

/// Parts that are being filled.
#[derive(Default)]
struct Parts {
    full: Vec<Left>,
    open: Left,
    /// Bytes of JSON in the open one.
    json_bytes: usize,
}

impl Parts {
    /// Begins another part where so many bytes more do not fit the open one; whether it did. An empty one takes
    /// whatever it is given.
    fn make_room(&mut self, more: usize) -> bool {
        let is_full = self.json_bytes > 0 && self.json_bytes + more > PART_JSON_BYTES;
        if is_full {
            self.full.push(std::mem::take(&mut self.open));
            self.json_bytes = 0;
        }
        self.json_bytes += more;
        is_full
    }

    fn finished(mut self) -> Vec<Left> {
        self.full.push(self.open);
        self.full
    }
}

fn digest(year: i32, left: &Left) -> Result<Digest, RecordError> {
    let overtaken = canonical::bytes(&left.overtaken)?;
    let changes = canonical::bytes(&left.changes)?;
    Ok(Digest::of_parts([&year.to_be_bytes()[..], &overtaken, &changes]))
}

/// A set of which parts were found, each with the year in whose log it stands last.
#[derive(Debug, Default)]
struct Set {
    parts: BTreeMap<u32, (i32, StateCarried)>,
    last: Option<Place>,
}

/// All that was carried, as it is found when records are read in their order.
#[derive(Debug, Default)]
pub struct Carried {
    sets: BTreeMap<(i32, Digest), Set>,
}

/// What was carried of one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is left of it.
    pub left: Left,
    /// The digest of the set.
    pub set: Digest,
    /// The years in whose logs its parts stand.
    pub stands_in: BTreeSet<i32>,
}

impl Carried {
    /// Takes the next record, if it is a part of something that was carried.
    pub fn take(&mut self, place: Place, event: &Event) {
        let Event::StateCarried(part) = event else { return };
        let set = self.sets.entry((part.year, part.set)).or_default();
        set.last = Some(place);
        // A part that came twice counts where it stands last, in the log that is kept for longer.
        set.parts.insert(part.part, (place.year, part.clone()));
    }

    /// The years of which anything was carried, whole or not.
    pub fn years(&self) -> BTreeSet<i32> {
        self.sets.keys().map(|(year, _)| *year).collect()
    }

    /// What was carried of a year; `None` if no set of it is whole.
    ///
    /// # Errors
    /// When the newest set that is whole is not what was written.
    pub fn of(&self, year: i32) -> Result<Option<Found>, CarriedError> {
        let of_year = self.sets.iter().filter(|((of, _), set)| *of == year && set.is_whole());
        let Some(((_, digest_said), set)) = of_year.max_by_key(|(_, set)| set.last) else { return Ok(None) };
        let (mut left, mut stands_in) = (Left::default(), BTreeSet::new());
        for (stands, part) in set.parts.values() {
            stands_in.insert(*stands);
            left.overtaken.extend(part.overtaken.iter().cloned());
            for change in &part.changes {
                match left.changes.last_mut() {
                    Some(last) if last.version == change.version => last.items.extend(change.items.clone()),
                    _ => left.changes.push(change.clone()),
                }
            }
        }
        if digest(year, &left)? != *digest_said {
            return Err(CarriedError::Altered { year });
        }
        Ok(Some(Found { left, set: *digest_said, stands_in }))
    }
}

impl Set {
    fn is_whole(&self) -> bool {
        let mut parts = self.parts.values();
        let count = parts.next().map(|(_, part)| part.parts);
        let found = u32::try_from(self.parts.len()).ok();
        count.is_some() && count == found && parts.all(|(_, part)| Some(part.parts) == count)
    }
}

#[cfg(test)]
mod tests;
