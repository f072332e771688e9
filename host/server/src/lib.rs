//! The decision service over HTTP: the OpenID AuthZEN Authorization API 1.0 for each organization.
//!
//! [`wire`] turns AuthZEN's JSON into requests and decisions into AuthZEN's JSON; it does no IO,
//! so that the command line reads and writes the same forms. [`http`] is everything between the
//! socket and `wire`: who may ask, what is refused before it is read, and that a decision once
//! begun is recorded although its caller hangs up. [`Service`] is what both share.

pub mod callers;
pub mod clock;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod service;
pub mod wire;

pub use callers::{Callers, CallersError, Credential, RegisteredCaller, key_digest};
pub use clock::{Clock, Ids, RandomIds, SystemClock};
pub use http::{Connection, note_panics_by_place, router, runtime, serve};
pub use limits::{LimitError, Limits};
pub use metrics::Gauges;
pub use service::{Service, ServiceError, ServiceParts, check_public_url};
