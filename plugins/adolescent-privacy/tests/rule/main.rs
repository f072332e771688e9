//! The rule as a whole: cases as data, time, lists and decisions, settings, properties.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a mistake in a test must stop the test"
)]

mod case;
mod cases;
mod lists;
mod professionals;
mod properties;
mod settings;
mod time;
