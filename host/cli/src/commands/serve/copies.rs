//! The copies of the log that a running service makes, beside everything else.

use std::convert::Infallible;

use assent_outbound::copies::Copies;

use crate::say::say;

/// Copies, and says when that begins to fail and when all is well again.
pub(super) async fn run(copies: Copies) -> Infallible {
    copies.run(say).await;
    // Nothing ends it but whoever drops it.
    std::future::pending().await
}
