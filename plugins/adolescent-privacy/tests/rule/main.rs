//! The rule as a whole: cases as data, time, lists and decisions, settings, properties.

mod case;
mod cases;
mod lists;
mod professionals;
mod properties;
mod settings;
mod time;
