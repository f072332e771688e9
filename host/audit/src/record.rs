//! What a record says: versioned, canonical, complete enough to make the decision again.
//!
//! A record is one JSON object: `{"at": …, "event": {"kind": …, …}, "version": 1}`, written one way only
//! ([`canonical`]), so that equal records are equal bytes. It is a description of what happened; nothing
//! here can be turned into a permit. INVARIANT (no patient in logs): `Debug` prints kinds, codes and
//! digests, never who or what.
//!
//! Versions: every record carries its own, which is the one that its kind of event came with. Within a version members may be added if they are optional
//! and are left out when they have nothing to say; a reader ignores members that it does not know. A new
//! kind of event, or another meaning, is a new version, and an older reader refuses that record by name.

mod archived;
pub mod canonical;
mod carried;
mod decision;
mod error;
mod event;

use std::borrow::Cow;
use std::fmt;

use assent_model::Instant;
use serde::{Deserialize, Serialize};

pub use archived::{ArchivedPiece, ReleaseArchived};
pub use carried::{CarriedChange, StateCarried};
pub use decision::{
    CallerSeen, DecisionEvent, FactRead, FactsSeen, Outcome, Problem, Registered, Resource, StateSeen,
    Subject,
};
pub use error::RecordError;
pub use event::{
    Actor, Administration, AuditRead, AuditUse, CallerRefused, Event, Guarded, KeyChange, KeyEvent,
    PluginUsed, ReleaseActivated, Retention, RetentionChange, ServiceRun, StateChange, StateItem, StateVerb,
    TailDiscarded,
};

/// The highest version that this code reads, and writes. Version 2 came with [`StateCarried`].
pub const VERSION: u32 = 2;

/// One record of the audit log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of its form.
    pub version: u32,
    /// The host's clock when it happened.
    pub at: Instant,
    /// What happened.
    pub event: Event,
    /// The letter that brought it, where it came through the [inbox](crate::inbox): two records with the same
    /// letter are one, taken in twice around a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<String>,
}

impl Record {
    /// A record of this event, in the version of its kind.
    pub const fn new(at: Instant, event: Event) -> Self {
        Self { version: event.version(), at, event, letter: None }
    }

    /// The canonical bytes: what is sealed.
    ///
    /// # Errors
    /// [`RecordError::EffectContradictsCause`]; [`RecordError::TooDeep`] where an open payload is nested
    /// so deeply that it could not be read back.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        self.check()?;
        canonical::bytes(self)
    }

    /// The record that these bytes are. Strict: they must be canonical, so that there is one reading.
    ///
    /// # Errors
    /// [`RecordError::UnknownVersion`] for a record of a newer release of Assent; otherwise what is wrong,
    /// without quoting any value.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| RecordError::syntax(&e))?;
        let version = json.get("version").and_then(serde_json::Value::as_u64);
        match version {
            Some(version) if (1..=u64::from(VERSION)).contains(&version) => {}
            Some(found) => return Err(RecordError::UnknownVersion { found, known: VERSION }),
            None => return Err(RecordError::NoVersion),
        }
        if canonical::bytes(&json)? != bytes {
            return Err(RecordError::NotCanonical);
        }
        let record: Self = serde_json::from_value(json).map_err(|e| RecordError::shape(&e))?;
        // Or there would be two readings of what an older release would have read.
        if record.version != record.event.version() {
            return Err(RecordError::OtherVersion { kind: record.event.kind(), found: record.version });
        }
        record.check()?;
        Ok(record)
    }

    /// The decision, where this is one.
    pub const fn decision(&self) -> Option<&DecisionEvent> {
        if let Event::Decision(decision) = &self.event { Some(decision) } else { None }
    }

    /// The record as it is shown to people and given to other systems: whole, but for the contents of
    /// archived files and of carried state, which are megabytes that say nothing of what happened, of every patient.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, Self> {
        let event = match &self.event {
            Event::ReleaseArchived(part) => Event::ReleaseArchived(part.without_content()),
            Event::StateCarried(part) => Event::StateCarried(part.without_payloads()),
            _ => return Cow::Borrowed(self),
        };
        Cow::Owned(Self { version: self.version, at: self.at, event, letter: self.letter.clone() })
    }

    fn check(&self) -> Result<(), RecordError> {
        match self.decision() {
            Some(decision) if !decision.outcome.is_consistent() => Err(RecordError::EffectContradictsCause),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record(v{}, {}, {:?})", self.version, self.at, self.event)
    }
}

#[cfg(test)]
pub(crate) mod tests;
