//! What the `assent` command is made of, as a library, so that tests drive the same code.
//!
//! `deployment` reads a directory that a person writes into releases; `cases` runs decision cases
//! kept beside the policies; `commands` are the verbs of the command line.

pub mod audit_copies;
pub mod audit_keys;
pub mod cases;
pub mod commands;
pub mod deployment;
pub mod exporters;
pub mod say;
mod secrets;
pub mod witnesses;
