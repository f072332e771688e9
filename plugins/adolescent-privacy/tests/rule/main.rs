//! The rule as a whole: cases as data, time, lists and decisions, settings, properties.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a mistake in a test must stop the test")]

mod case;
mod cases;
mod lists;
mod professionals;
mod properties;
mod settings;
mod time;
