//! `assent check DIR`: everything that a release must pass, all problems at once.

use std::io::Write;
use std::path::Path;

use assent_policy::LoadErrors;
use assent_server::{Clock, SystemClock};

use crate::deployment::build::BuiltOrganization;
use crate::{cases, exporters};

/// Checks a deployment and prints what it holds.
///
/// # Errors
/// All problems of the deployment, one line each.
pub fn check(root: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let (deployment, built) = super::load(root)?;
    // Callers, limits and addresses, as the service itself checks them.
    super::serve::check(&deployment, &built)?;
    crate::witnesses::load(&deployment)?;
    crate::audit_copies::target(&deployment)?;
    exporters::prepare(&deployment)
        .map_err(|errors| anyhow::anyhow!(super::listed(&errors, super::NOT_LOADED)))?;
    let callers = super::test::callers(&deployment);
    let mut problems = vec![];
    for (files, organization) in deployment.organizations.iter().zip(&built.organizations) {
        let release = &organization.release;
        summarize(organization, out)?;
        super::release::foresee(&deployment, (files, organization), out)?;
        let mut count = 0;
        for file in &organization.case_files {
            match cases::read(&file.name, &file.text) {
                Ok(cases) => {
                    count += cases.len();
                    let check = |case| cases::check(case, release, &organization.entity_files, &callers);
                    problems.extend(cases.iter().flat_map(check));
                }
                Err(more) => problems.extend(more),
            }
        }
        writeln!(out, "  {count} decision cases (run them with `assent test`)")?;
    }
    if problems.is_empty() {
        writeln!(out, "all good")?;
        Ok(())
    } else {
        // Cases that share a default share its problem.
        problems.sort();
        problems.dedup();
        anyhow::bail!(super::listed(&LoadErrors(problems), " in decision cases"))
    }
}

fn summarize(organization: &BuiltOrganization, out: &mut dyn Write) -> std::io::Result<()> {
    let BuiltOrganization { release, role_notes, .. } = organization;
    writeln!(out, "{}", release.organization())?;
    writeln!(out, "  release {}", release.digest())?;
    writeln!(
        out,
        "  {} policies, {} entities",
        release.policies().notes().count(),
        release.snapshot().facts().len()
    )?;
    let missing = release.policies().missing_entities(release.snapshot()).notes;
    for note in missing.iter().chain(role_notes) {
        writeln!(out, "  note: {note}")?;
    }
    for ((kind, attribute), count) in release.policies().stale_facts(release.snapshot(), SystemClock.now()) {
        writeln!(
            out,
            "  note: `{attribute}` of {count} `{kind}` is older than the schema lets it be, so questions that reach it \
             are denied: provide it again"
        )?;
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
