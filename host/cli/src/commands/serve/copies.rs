//! The copies of the log that a running service makes, beside everything else.

use std::convert::Infallible;

use assent_engine::AuditRecorder;
use assent_outbound::copies::Copies;

use crate::audit_copies;
use crate::deployment::Deployment;

/// The copies that the deployment describes, if it does and keeps a log.
///
/// # Errors
/// When their place or credentials are wrong: nothing is served then, rather than served without copies.
pub(super) fn load(
    deployment: &Deployment,
    recorder: Option<&AuditRecorder>,
) -> anyhow::Result<Option<Copies>> {
    let config = recorder.map(|recorder| recorder.logs().config());
    Ok(config.map(|config| audit_copies::load(deployment, config)).transpose()?.flatten())
}

/// Copies, and says when that begins to fail and when all is well again.
#[expect(clippy::print_stderr, reason = "the person who runs the service must see this")]
pub(super) async fn run(copies: Option<Copies>) -> Infallible {
    if let Some(copies) = copies {
        copies.run(|line| eprintln!("{line}")).await;
    }
    std::future::pending().await
}
