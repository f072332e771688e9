//! `assent test DIR`: the decision cases of every organization, expected against got.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use assent_engine::Caller;

use crate::cases::{self, Report};
use crate::deployment::Deployment;
use crate::deployment::build::{self, Built};

/// Runs the cases whose name or file contains `filter`, and prints the differences and a summary.
///
/// # Errors
/// When the deployment does not load or a case does not read. Failing cases are in the report.
pub fn test(root: &Path, filter: Option<&str>, out: &mut dyn Write) -> anyhow::Result<Report> {
    let (deployment, built) = super::load(root)?;
    let report = run_all(&deployment, &built, filter)?;
    for outcome in report.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()) {
        writeln!(out, "FAILED {}: {}", outcome.case.file, outcome.case.name)?;
        for difference in &outcome.differences {
            writeln!(out, "    {difference}")?;
        }
    }
    if report.outcomes.is_empty() {
        writeln!(out, "no case {}", filter.map_or("found".to_owned(), |f| format!("matches `{f}`")))?;
    }
    writeln!(out, "{} passed, {} failed", report.passed(), report.failed())?;
    Ok(report)
}

/// The callers that cases can name.
pub fn callers(deployment: &Deployment) -> BTreeMap<String, Caller> {
    deployment.config.callers.iter().map(|config| (config.id.clone(), build::caller(config))).collect()
}

/// Runs the cases of a built deployment.
///
/// # Errors
/// When a case file does not read.
pub fn run_all(deployment: &Deployment, built: &Built, filter: Option<&str>) -> anyhow::Result<Report> {
    let callers = callers(deployment);
    let mut report = Report::default();
    let mut problems = vec![];
    for organization in &built.organizations {
        for file in &organization.case_files {
            let cases = match cases::read(&file.name, &file.text) {
                Ok(cases) => cases,
                Err(more) => {
                    problems.extend(more.iter().map(ToString::to_string));
                    continue;
                }
            };
            for case in cases {
                if filter.is_none_or(|text| case.name.contains(text) || case.file.contains(text)) {
                    let (release, entities) = (&organization.release, &organization.entity_files);
                    report.outcomes.push(cases::run(case, release, entities, &callers));
                }
            }
        }
    }
    if problems.is_empty() { Ok(report) } else { anyhow::bail!(problems.join("\n")) }
}
