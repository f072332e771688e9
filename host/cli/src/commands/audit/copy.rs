//! `assent audit copy`: copies what is finished and not copied yet, once, and says what it did.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::{kept, wait_for};
use crate::deployment::DEPLOYMENT_FILE;
use crate::{audit_copies, audit_keys};

/// Copies once; whether all that is finished is copied now. Works beside a service, which copies by itself. With
/// `compare`, also reads back every byte that is there already.
///
/// # Errors
/// When the deployment has no copies, or their place cannot be used at all.
pub fn copy(root: &Path, compare: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let deployment = crate::commands::read(root)?;
    let config = kept(&deployment, audit_keys::load(&deployment)?)?;
    let mut copies = audit_copies::load(&deployment, &config)?.with_context(|| {
        let file = root.join(DEPLOYMENT_FILE);
        format!("{} has no table `[audit.copy]`: add one that says where copies go, in `to`", file.display())
    })?;
    let done = wait_for(copies.round(compare))?;
    let status = copies.watch().status();
    writeln!(
        out,
        "copied: {} segments, {} tiles, {} key files, {} checkpoints; {} bytes",
        done.segments, done.tiles, done.keys, done.checkpoints, done.bytes
    )?;
    let how = if compare { "the same, byte for byte" } else { "of the same length" };
    writeln!(out, "there already, {how}: {} segments and tiles", done.already)?;
    writeln!(
        out,
        "not copied: {} sealed segments; {} records, with those of segments that are being written",
        status.segments_waiting, status.records_behind
    )?;
    for problem in &done.problems {
        writeln!(out, "{}", problem.in_full())?;
    }
    Ok(done.problems.is_empty())
}
