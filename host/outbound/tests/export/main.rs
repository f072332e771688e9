//! Exporters against receivers on this machine: files that are rotated, syslog collectors over TLS that die and
//! stall, HTTP collectors that refuse. What is asked each time: does every record arrive, in order, whatever
//! happens on the way; and does nothing of a record reach the operator's lines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests: a panic is their failure"
)]

mod collector;
mod file;
#[path = "../logs/mod.rs"]
mod logs;
mod rsyslog;
mod support;
mod syslog;
mod years;
