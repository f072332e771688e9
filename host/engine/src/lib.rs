//! From a question to an answer: one release, one set of facts, one place that can permit.
//!
//! Read [`mod@decide`] first: [`judge`] and [`record_decision`] are the description of a decision as
//! code. [`combine`] is pure, the only place that knows precedence, and the only place that can
//! make a permit.

pub mod audit;
pub mod caller;
pub mod combine;
pub mod decide;
pub mod describe;
pub mod explain;
pub mod hold;
pub mod record;
pub mod release;
pub mod replay;
pub mod state;

pub use audit::AuditRecorder;
pub use caller::{Caller, Right};
pub use combine::{Decision, Problem, ProblemCode};
pub use decide::{Answer, Judged, Question, host_context, judge, record_decision};
pub use describe::Provenance;
pub use explain::{CallerView, FullView, caller_view, full_view};
pub use record::{MemoryRecorder, Receipt, RecordError, Recorder};
pub use release::{Binding, Release, Scope};
pub use replay::{Rebuild, RebuildError, Replayed};
