//! The human workflows around decisions: approvals, emergencies, professional decisions, holds, consents.
//!
//! Each is a state machine of plain values: a document, steps that give a new document or say why not, and what
//! it is as of a moment. INVARIANT (time needs no timer): nothing has to run when something ends; at the very
//! moment of its end it has ended, for everybody who asks. INVARIANT (a refused step changes nothing): a step
//! takes `&self`. INVARIANT (only what steps make): a document that no sequence of steps can make is not read.
//!
//! No IO, no clock and no ids are made here: moments and ids are arguments. A document keeps the settings that
//! it was made under, so that changing them changes nothing that is under way. Where clocks differ and `now` is
//! before the last step, the moment of that step counts: no document goes back in time.

pub mod approval;
pub mod break_glass;
mod cedar;
mod checks;
pub mod consent;
pub mod disclosure;
pub mod hold;
mod redacted;
mod refused;

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod schema;

use assent_model::EntityId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use checks::{ID_BYTES_MAX, TEXT_CHARS_MAX};
pub use refused::{Group, Refused, Unfit};

/// What every document of a workflow has.
pub trait Machine: Clone + Serialize + DeserializeOwned {
    /// The part of the state that it is stored in, as the audit log names it.
    const SECTION: &'static str;
    /// The Cedar type of its entity, and of what a record of it names.
    const TYPE: &'static str;

    /// Its id.
    fn id(&self) -> &str;

    /// The patient concerned, where it concerns one.
    fn patient(&self) -> Option<&EntityId>;

    /// The entity that policies and plugins see, as entity files take it: `{"uid", "attrs", "parents"}`. None where
    /// they must see none: it is to be removed where it is stored.
    fn entity(&self) -> Option<Value>;
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the document that results is to be stored"]
pub struct Step<M> {
    /// The document from now on.
    pub to: M,
    /// What was done, to be recorded.
    pub verb: Verb,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// It is new.
    Created,
    /// It says something else.
    Updated,
    /// It counts from now on.
    Activated,
    /// It does not count any more.
    Ended,
    /// Somebody looked at it and said so.
    Reviewed,
}

impl Verb {
    /// The verb, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Activated => "activated",
            Self::Ended => "ended",
            Self::Reviewed => "reviewed",
        }
    }
}
