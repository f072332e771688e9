//! Law as data, shared by plugins.
//!
//! The tables are files under `data/` that a lawyer reads and edits; `build/` checks them and turns
//! them into statics, so that a plugin parses nothing and allocates nothing to look a row up.
//! INVARIANT (no unsourced row decides): a row that has neither an effective date nor a dated
//! source is unsettled, whatever else it says.
#![no_std]

pub mod minor_consent;
pub mod sensitive;
