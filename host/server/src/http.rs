//! From the socket to the answer.
//!
//! [`serve`] owns connections and their limits, [`router`] what is served where, `edge` what holds
//! for every request (request id, panic, completion line), `evaluation` the order in which a
//! request for a decision is refused or read, `decide` the task that decides and records, `lane` on
//! which thread; `audit` how the log is read, `metrics` what is measured.

mod audit;
mod connection;
mod content;
mod decide;
mod edge;
mod evaluation;
mod health;
mod lane;
mod log;
mod metadata;
mod metrics;
mod panic;
mod refusal;
mod reply;
mod router;
mod state;
mod turned_away;

pub(crate) use audit::Archive;
pub use connection::{ServeError, runtime, serve};
pub(crate) use decide::BATCH_ITEMS_MOST;
pub(crate) use edge::NO_ROUTE;
pub(crate) use lane::Lane;
pub use log::{CompletedRequest, RequestLog, StderrLog, Tally};
pub use panic::note_panics_by_place;
pub use router::{ROUTES, Route, router};
pub(crate) use turned_away::TurnedAway;

pub use crate::callers::Connection;

#[cfg(test)]
mod tests;
