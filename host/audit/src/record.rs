//! What a record says: versioned, canonical, complete enough to make the decision again.
//!
//! A record is one JSON object: `{"at": …, "event": {"kind": …, …}, "version": 1}`, written one way only
//! ([`canonical`]), so that equal records are equal bytes. It is a description of what happened; nothing
//! here can be turned into a permit. INVARIANT (no patient in logs): `Debug` prints kinds, codes and
//! digests, never who or what.
//!
//! Versions: every record carries its own. Within a version members may be added if they are optional
//! and are left out when they have nothing to say; a reader ignores members that it does not know. A new
//! kind of event, or another meaning, is a new version, and an older reader refuses that record by name.

mod archived;
pub mod canonical;
mod decision;
mod error;
mod event;

use std::borrow::Cow;
use std::fmt;

use assent_model::Instant;
use serde::{Deserialize, Serialize};

pub use archived::{ArchivedPiece, ReleaseArchived};
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

/// The version that this code writes, and the highest that it reads.
pub const VERSION: u32 = 1;

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
    /// A record of this event, in the current version.
    pub const fn new(at: Instant, event: Event) -> Self {
        Self { version: VERSION, at, event, letter: None }
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
            Some(version) if version == u64::from(VERSION) => {}
            Some(found) => return Err(RecordError::UnknownVersion { found, known: VERSION }),
            None => return Err(RecordError::NoVersion),
        }
        if canonical::bytes(&json)? != bytes {
            return Err(RecordError::NotCanonical);
        }
        let record: Self = serde_json::from_value(json).map_err(|e| RecordError::shape(&e))?;
        record.check()?;
        Ok(record)
    }

    /// The decision, where this is one.
    pub const fn decision(&self) -> Option<&DecisionEvent> {
        if let Event::Decision(decision) = &self.event { Some(decision) } else { None }
    }

    /// The record as it is shown to people and given to other systems: whole, but for the contents of
    /// archived files, which are megabytes that say nothing of what happened, of every patient.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, Self> {
        match &self.event {
            Event::ReleaseArchived(part) => {
                let event = Event::ReleaseArchived(part.without_content());
                Cow::Owned(Self { version: self.version, at: self.at, event, letter: self.letter.clone() })
            }
            _ => Cow::Borrowed(self),
        }
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
