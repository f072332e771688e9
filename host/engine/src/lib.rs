//! From a question to an answer: one release, one set of facts, one place that can permit.
//!
//! Read [`decide`] first: it is the description of a decision as code. [`combine`] is pure, the
//! only place that knows precedence, and the only place that can make a permit.

pub mod caller;
pub mod combine;
pub mod decide;
pub mod explain;
pub mod record;
pub mod release;

pub use caller::{Caller, Right};
pub use combine::{Decision, Problem, ProblemCode};
pub use decide::{Answer, Question, decide, host_context, judge};
pub use explain::{CallerView, FullView, caller_view, full_view};
pub use record::{DecisionRecord, MemoryRecorder, Receipt, RecordError, Recorder};
pub use release::{Binding, Release, Scope};
