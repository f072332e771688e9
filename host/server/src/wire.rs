//! AuthZEN 1.0 JSON to requests, and decisions to AuthZEN 1.0 JSON. No IO, no clock.
//!
//! Beyond [`load`] input is JSON within limits and without duplicate names; beyond [`evaluation`]
//! and [`evaluations`] it is valid by type. Messages name paths and what was expected there, never
//! a value: INVARIANT (no patient in logs). Nothing in a response differs between two equal
//! calls: ids and positions travel in headers.

mod batch;
mod error;
mod json;
mod request;
mod response;
mod value;

pub use batch::{Evaluations, Semantic, evaluations};
pub use error::WireError;
pub use json::load;
pub use request::evaluation;
pub use response::{BatchResponse, Response};
pub use value::plain;

#[cfg(test)]
pub(crate) mod tests;
