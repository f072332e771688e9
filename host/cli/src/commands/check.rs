//! `assent check DIR`: everything that a release must pass, all problems at once.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use assent_engine::{MemoryRecorder, Release};
use assent_server::SystemClock;

use crate::cases;

/// Checks a deployment and prints what it holds.
///
/// # Errors
/// All problems of the deployment, one line each.
pub fn check(root: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let (deployment, built) = super::load(root)?;
    // Callers, limits and addresses, as the service itself checks them.
    let nowhere = Arc::new(MemoryRecorder::new(0));
    super::serve::service(&deployment, &built, nowhere, Arc::new(SystemClock))?;
    let mut problems = vec![];
    for organization in &built.organizations {
        summarize(&organization.release, out)?;
        let mut count = 0;
        for file in &organization.case_files {
            match cases::read(&file.name, &file.text) {
                Ok(cases) => count += cases.len(),
                Err(more) => problems.extend(more.iter().map(ToString::to_string)),
            }
        }
        writeln!(out, "  {count} decision cases (run them with `assent test`)")?;
    }
    if problems.is_empty() {
        writeln!(out, "all good")?;
        Ok(())
    } else {
        anyhow::bail!(problems.join("\n"))
    }
}

fn summarize(release: &Release, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", release.organization())?;
    writeln!(out, "  release {}", release.digest())?;
    writeln!(
        out,
        "  {} policies, {} entities",
        release.policies().notes().count(),
        release.snapshot().facts().len()
    )?;
    for missing in release.policies().missing_entities(release.snapshot()) {
        writeln!(out, "  note: {missing}")?;
    }
    for binding in release.bindings() {
        let description = binding.plugin.description();
        writeln!(
            out,
            "  plugin `{}`: {} {} ({})",
            binding.plugin.binding(),
            description.name,
            description.version,
            description.summary
        )?;
    }
    Ok(())
}
