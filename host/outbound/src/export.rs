//! Exporters: each follows the logs by itself and hands their records to one receiver, a file, a syslog
//! collector or an HTTP collector.
//!
//! `definition` is what is configured, `feed` what is read of one organization's logs and how far it came,
//! `file`, `syslog` and `collector` how each receiver takes records and says so, `run` the thread that goes
//! round. INVARIANT (nothing outside decides): an exporter reads files and waits for nobody but its receiver;
//! no decision knows that it exists. INVARIANT (at least once): the cursor moves, durably, only behind what
//! the receiver has answered for; so a crash anywhere repeats records, in order, and loses none.
//! INVARIANT (no patient in logs): a [`Failure`] names what happened, never what was sent or answered.

mod collector;
mod definition;
mod error;
mod feed;
mod file;
mod pace;
mod run;
mod state;
mod syslog;
mod trouble;

pub use assent_audit::export::Format;
pub use definition::{Destination, Exporter, ExporterId, Start};
pub use error::{DefinitionError, Failure};
pub use pace::Pace;
pub use run::{Prepared, Running, Say, prepare};
pub use state::{OrganizationState, Standing, State, standing};
