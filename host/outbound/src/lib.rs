//! What the service sends elsewhere: records to other systems, checkpoints to witnesses, copies of
//! finished segments to object storage. And the client by which people use the service.
//!
//! The only crate that opens connections. All of it follows the log and none of it is waited for by a
//! decision: INVARIANT (nothing outside decides): whatever fails here is tried again and shown to the
//! operator, and the log stays the truth. One thing from outside can stop a log, and permits nothing: a
//! witness that knows another one.

pub mod copies;
pub mod export;
pub mod http;
pub mod service;
pub mod witness;
