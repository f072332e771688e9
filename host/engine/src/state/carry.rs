//! What must be written again before a year's log is let go, so that the state can still be made again from the logs.
//!
//! INVARIANT (the state outlives the years it is said in): of each change in that year the version is carried on, with
//! what it says of things that no later change replaced or removed. Which these are the database says, which alone
//! knows what all nodes did; it is believed only where it is whole and has all of that year. What was removed is carried
//! as nothing but that it was: an older copy of the database, or a log that is kept for longer, may still have it.

use std::collections::{BTreeMap, BTreeSet};

use assent_audit::carried::{Carried, CarriedError, Left, parts};
use assent_audit::record::{CarriedChange, Event, StateCarried, StateItem, StateVerb};
use assent_audit::shelf::{self, Shelf, ShelfError};
use assent_model::Digest;
use assent_store::{Document, Key, Place, Store, StoreError};
use serde_json::Value;

use super::{IDEMPOTENCY, OVERTAKEN, StateError, edit};

/// Why what the state stands on cannot be carried on. Then the year stays.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] ShelfError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was carried before does not hold, or cannot be written again.
    #[error(transparent)]
    Carried(#[from] CarriedError),
    /// A change cannot be read.
    #[error("version {version} of the state cannot be read back")]
    Change {
        /// Which.
        version: u64,
        /// Why not.
        source: StateError,
    },
    /// The deployment keeps no state, and the year has changes of it.
    #[error(
        "the log of {year} has changes of the state, and only the state's database says which still count: put the \
         table `[state]` back into assent.toml, and start the service once"
    )]
    NoState {
        /// The year.
        year: i32,
    },
    /// The database does not have what the log says.
    #[error(
        "the database does not have version {version} of the state as the log of {year} says it: start the service, \
         which brings the database up to the logs, and try again"
    )]
    Behind {
        /// The year.
        year: i32,
        /// The first version that is missing.
        version: u64,
    },
}

/// What the logs say of the changes of state.
#[derive(Default)]
struct Read {
    carried: Carried,
    /// The records of changes that another node overtook.
    overtaken: BTreeSet<String>,
    /// Of those, what the log of the year says.
    said_here: Vec<String>,
    /// The changes of the year.
    changes: Vec<CarriedChange>,
}

/// What the database has: of each document the version and the digest of what it says.
struct Stored {
    version: u64,
    documents: BTreeMap<Key, (u64, Digest)>,
}

/// What is to be recorded before the log of this year goes: for it, and for years before it that are carried in it.
/// Nothing where that is done. Reads all logs and the whole state.
///
/// # Errors
/// When a log cannot be read, or the database cannot say what still counts: the year must stay.
pub async fn to_carry(
    shelf: &Shelf,
    year: i32,
    store: Option<&Store>,
) -> Result<Vec<StateCarried>, CarryError> {
    let mut read = read(shelf, year)?;
    let mut of_years = BTreeMap::from([(year, Left { changes: read.changes, overtaken: read.said_here })]);
    for earlier in read.carried.years() {
        let Some(found) = read.carried.of(earlier)? else { continue };
        read.overtaken.extend(found.left.overtaken.iter().cloned());
        if earlier != year && found.stands_in.contains(&year) {
            of_years.insert(earlier, found.left);
        }
    }
    let has_changes = of_years.values().any(|left| !left.changes.is_empty());
    let organization = shelf.organization();
    let stored = match store {
        Some(store) if has_changes => {
            let place = |place: Place| (place.log, place.seq);
            let reached = store.logs(organization.as_str()).await?.into_iter().map(place).collect();
            is_applied(shelf, year, &reached, (&of_years, &read.overtaken))?;
            Some(stored(store, organization.as_str()).await?)
        }
        None if has_changes => return Err(CarryError::NoState { year }),
        Some(_) | None => None,
    };
    let mut carry = vec![];
    for (of, left) in of_years {
        let Left { changes, overtaken } = left;
        let changes = changes.into_iter().filter(|change| !read.overtaken.contains(&change.record));
        let changes = match &stored {
            Some(stored) => reduced(changes, stored, of)?,
            None => vec![],
        };
        let left = Left { changes, overtaken };
        let parts = parts(organization, of, &left)?;
        let before = read.carried.of(of)?.filter(|found| !found.stands_in.contains(&year));
        if before.is_none_or(|found| Some(found.set) != parts.first().map(|part| part.set)) {
            carry.extend(parts);
        }
    }
    Ok(carry)
}

fn read(shelf: &Shelf, year: i32) -> Result<Read, CarryError> {
    let mut read = Read::default();
    for of in shelf.all_years(None)? {
        for entry in shelf.reader(of)?.entries(0).map_err(ShelfError::from)? {
            let entry = entry.map_err(ShelfError::from)?;
            let (place, record) = shelf::decoded(of, &entry)?;
            read.carried.take(place, &record.event);
            if let Some(target) = overtaken(&record.event) {
                if of == year {
                    read.said_here.push(target.clone());
                }
                read.overtaken.insert(target);
            }
            if let Event::StateChanged(change) = record.event
                && of == year
                && !change.items.is_empty()
            {
                let record = Digest::from_bytes(entry.leaf).to_string();
                let (version, seq, items) = (change.version, entry.seq, change.items);
                read.changes.push(CarriedChange { since: None, version, seq, record, items });
            }
        }
    }
    Ok(read)
}

/// The record of the change that was overtaken, where an event says that one was.
pub(super) fn overtaken(event: &Event) -> Option<String> {
    let Event::Administration(said) = event else { return None };
    (said.action == OVERTAKEN).then(|| said.target.id.to_string())
}

/// Whether the database has everything that is to be carried.
fn is_applied(
    shelf: &Shelf,
    year: i32,
    reached: &BTreeMap<String, u64>,
    (of_years, overtaken): (&BTreeMap<i32, Left>, &BTreeSet<String>),
) -> Result<(), CarryError> {
    for (of, left) in of_years {
        let reached = reached.get(&shelf.log(*of));
        let is_missing = |change: &&CarriedChange| {
            !overtaken.contains(&change.record) && reached.is_none_or(|reached| *reached < change.seq)
        };
        if let Some(change) = left.changes.iter().find(is_missing) {
            return Err(CarryError::Behind { year, version: change.version });
        }
    }
    Ok(())
}

/// What the database has, whole: its sum is checked.
async fn stored(store: &Store, organization: &str) -> Result<Stored, CarryError> {
    let mut documents = BTreeMap::new();
    let keep = |document: Document| {
        let body = document.body.as_deref().unwrap_or_default();
        documents.insert(document.key, (document.version, Digest::of(body.as_bytes())));
    };
    let position = store.load(organization, 0, keep).await?;
    Ok(Stored { version: position.version, documents })
}

/// What is left of changes: versions of which nothing is are counted with the next.
fn reduced(
    changes: impl Iterator<Item = CarriedChange>,
    stored: &Stored,
    year: i32,
) -> Result<Vec<CarriedChange>, CarryError> {
    let mut left: Vec<CarriedChange> = vec![];
    for mut change in changes {
        let version = change.version;
        if version > stored.version {
            return Err(CarryError::Behind { year, version });
        }
        let mut items = vec![];
        for item in change.items {
            items.extend(still_counts(item, (version, year), stored)?);
        }
        change.items = items;
        if let Some(before) =
            left.pop_if(|before| before.items.is_empty() && before.version + 1 == change.first())
        {
            change.since = Some(before.first());
        }
        left.push(change);
    }
    Ok(left)
}

/// What is left of one thing that a change said.
fn still_counts(
    item: StateItem,
    (version, year): (u64, i32),
    stored: &Stored,
) -> Result<Option<StateItem>, CarryError> {
    // An answer to a request that comes again is forgotten after a day.
    if item.section == IDEMPOTENCY {
        return Ok(None);
    }
    let unreadable = |source: StateError| CarryError::Change { version, source };
    let edit = edit(&item).map_err(unreadable)?;
    let found = stored.documents.get(&edit.key);
    match (edit.body, found) {
        // Written again or removed since.
        (Some(_), None) => Ok(None),
        (Some(_) | None, Some((now, _))) if *now > version => Ok(None),
        (Some(body), Some((now, digest))) if *now == version && *digest == Digest::of(body.as_bytes()) => {
            Ok(Some(item))
        }
        (Some(_) | None, Some(_)) => Err(CarryError::Behind { year, version }),
        (None, None) => {
            let StateItem { section, target, .. } = item;
            let (change, patient, payload) = (StateVerb::Deleted, None, Value::Null);
            Ok(Some(StateItem { change, section, target, patient, payload }))
        }
    }
}
