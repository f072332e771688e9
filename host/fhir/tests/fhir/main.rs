//! Tests of reading Consents: cases as data, properties of any document, and the base schema.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod cases;
mod dates;
mod limits;
mod properties;
mod schema;
mod silence;
mod support;
