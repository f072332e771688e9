//! What is left of the changes of state in a year that is let go, in parts that each fit a record.
//!
//! `crate::carried` cuts changes into parts and puts them together again. A change keeps its version and its place,
//! and what it says of things that no later change replaced. INVARIANT (no patient in logs): `Debug` prints numbers
//! and digests; what shows records to people or to other systems shows [`StateCarried::without_payloads`].

use std::fmt;

use assent_model::{Digest, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StateItem;

/// A part of what is left of a year's changes of state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCarried {
    /// Whose state.
    pub organization: OrganizationId,
    /// The year whose log said it first.
    pub year: i32,
    /// The digest of all that is left of it: parts with another are of another set.
    pub set: Digest,
    /// Which part this is, from 1.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// The hashes of records of changes that another node overtook, as that year's log said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overtaken: Vec<String>,
    /// The changes, oldest first. One that does not fit a part goes on in the next, under the same version.
    pub changes: Vec<CarriedChange>,
}

/// What is left of a change, and of those right before it of which nothing is left.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedChange {
    /// The first version that it stands for, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The version that it makes.
    pub version: u64,
    /// Where its record was in the year's log, from 0.
    pub seq: u64,
    /// That record's hash, in hexadecimal.
    pub record: String,
    /// What still counts of it. Of what it removed only that it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<StateItem>,
}

impl CarriedChange {
    /// The first version that it stands for.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.since.unwrap_or(self.version)
    }
}

impl StateCarried {
    /// The same without what things are: they are not new, and of every patient.
    #[must_use]
    pub fn without_payloads(&self) -> Self {
        let mut shown = self.clone();
        for item in shown.changes.iter_mut().flat_map(|change| &mut change.items) {
            item.payload = Value::Null;
        }
        shown
    }

    /// All that still counts, in all changes.
    pub fn items(&self) -> impl Iterator<Item = &StateItem> {
        self.changes.iter().flat_map(|change| &change.items)
    }

    /// The first and the last version that it stands for; `None` where nothing changed in that year.
    #[must_use]
    pub fn versions(&self) -> Option<(u64, u64)> {
        Some((self.changes.first()?.first(), self.changes.last()?.version))
    }
}

impl fmt::Debug for StateCarried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, set, part, parts, .. } = self;
        write!(f, "StateCarried({year}, {set}, part {part} of {parts})")
    }
}

impl fmt::Debug for CarriedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CarriedChange({} to {}, {} items)", self.first(), self.version, self.items.len())
    }
}
