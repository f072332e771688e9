//! Decision cases: files beside the policies that say what must come out of a request.
//!
//! The format serves this project's own tests and those of organizations alike: a new rule needs a
//! new case, not new code. A case states the decision and its cause, and as much of the determining
//! policies, findings, obligations, errors and failures as its author cares to pin.

pub mod check;
pub mod file;
pub mod run;

pub use check::check;
pub use file::{Case, CaseFile, Expected, read};
pub use run::{Actual, Outcome, Report, actual, run};
