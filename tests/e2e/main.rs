//! End-to-end tests, in one binary: the real loader, engine, plugins and HTTP server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![expect(clippy::print_stdout, reason = "tests say what they skip, and why")]

mod approvals;
mod authzen;
mod cases;
mod coverage;
mod matrix;
mod mistakes;
mod state;
mod stories;
mod support;
mod tidy;
