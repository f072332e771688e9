//! Version 0.1 of the plugin contract: its types as the host sends and receives them.
//!
//! Everything that depends on `wit/0.1.0/plugin.wit` is in this module; a later version gets a
//! module beside it, and converts to and from the same model. What comes back from a guest is
//! validated here, at the edge: INVARIANT (a guest can never panic the host).

mod accept;
mod answer;
mod clinical;
mod request;
mod resolve;

pub(crate) use accept::{accept_description, accept_findings, accept_problems, printable};
pub(crate) use answer::{Description, Findings, Problem};
pub(crate) use clinical::approvals;
pub(crate) use request::Request;
pub(crate) use resolve::{Asked, resolve};

/// The contract's text, against which components are checked.
pub(crate) const WIT: &str = include_str!("../../../../wit/0.1.0/plugin.wit");
/// The world that a component must fit.
pub(crate) const WORLD: &str = "plugin";
/// The one interface that it exports.
pub(crate) const INTERFACE: &str = "assent:plugin/rules@0.1.0";
