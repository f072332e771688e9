//! The words of Assent as plain values: requests, facts, findings, verdicts, decisions, obligations.
//!
//! This crate does no IO, has no async code and reads no clock, so that every other crate can
//! depend on it and every value in it can be written down, compared and replayed.

pub mod decision;
pub mod digest;
pub mod facts;
pub mod finding;
pub mod obligation;
pub mod paths;
pub mod record;
pub mod redacted;
pub mod request;
pub mod set_hash;
pub mod time;
pub mod value;
pub mod verdict;

pub use decision::{BindingOutcome, Cause, DecisionId, Effect, FailureKind, PluginFailure};
pub use digest::Digest;
pub use facts::{Absence, DecisionFacts, Entity, EntityKind, Facts, Pairs};
pub use finding::{Denial, Findings, Ground, Remedy, Review};
pub use obligation::{Obligation, ObligationCode};
pub use paths::Paths;
pub use record::Record;
pub use redacted::Redacted;
pub use request::{Action, OrganizationId, Party, Properties, Request};
pub use set_hash::SetHash;
pub use time::{Date, Instant};
pub use value::{Decimal, EntityId, Parts, Value};
pub use verdict::{PolicyError, PolicyNote, Verdict, VerdictEffect};
