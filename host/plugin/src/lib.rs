//! Runs the rules that organizations write: WebAssembly components that import nothing, judged
//! when a release is built and called in a fresh instance for each request.
//!
//! This is the only crate that names wasmtime. A plugin can fail, be slow or be hostile; what
//! comes out of this crate is either findings that were checked whole, or a named failure, which
//! denies. Start at [`PluginHost`].

mod admit;
mod approvals;
mod cache;
mod classify;
mod contract;
mod engine;
mod error;
mod guest;
mod host;
pub mod limits;
mod needs;
mod plugin;
mod settings;
mod slots;
mod snapshot;
mod v0_1;

pub use error::{AdmissionProblem, HostError};
pub use host::{BindingSpec, HostConfig, PluginHost, SLOTS_DEFAULT};
pub use limits::Limits;
pub use needs::{Needs, RelationNeed};
pub use plugin::{Answered, Configured, Description, PluginPre};
pub use slots::OrganizationSlots;
