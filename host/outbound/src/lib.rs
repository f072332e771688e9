//! What the service sends elsewhere: records to other systems, checkpoints to witnesses, copies of
//! finished segments to object storage.
//!
//! The only crate that opens connections. All of it follows the log and none of it is waited for by a
//! decision: INVARIANT (nothing outside decides): whatever fails here is tried again and shown to the
//! operator, and the log stays the truth.

pub mod copies;
pub mod http;
