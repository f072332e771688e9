//! `assent audit exporters`: how far each exporter is, from its files; a service may run or not.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use assent_model::OrganizationId;
use assent_outbound::export::{Exporter, Standing, standing};
use serde_json::json;

use crate::{audit_keys, exporters};

const HEAD: [&str; COLUMNS] =
    ["EXPORTER", "ORGANIZATION", "NEXT", "LAG", "OLDEST", "REFUSED", "MANDATORY", "FORMAT", "TO"];
const COLUMNS: usize = 9;

/// Prints a line for each exporter and organization; or all of it as JSON.
///
/// # Errors
/// When the deployment keeps no log, keys are missing, or a cursor or log cannot be read.
pub fn exporters(root: &Path, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let config = super::kept(&deployment, audit_keys::load(&deployment)?)?;
    let mut found = vec![];
    for exporter in exporters::described(&deployment)? {
        for organization in &exporter.organizations {
            let standing = standing(&config, organization, &exporter.id)
                .with_context(|| format!("exporter `{}`, organization `{organization}`", exporter.id))?;
            found.push((exporter.clone(), organization.clone(), standing));
        }
    }
    if as_json {
        let shown: Vec<_> = found
            .iter()
            .map(|(exporter, organization, standing)| value(exporter, organization, standing))
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else if found.is_empty() {
        writeln!(out, "there are no exporters: `[[audit.export]]` in assent.toml makes one")?;
    } else {
        write!(out, "{}", table(&found))?;
    }
    Ok(())
}

fn value(exporter: &Exporter, organization: &OrganizationId, standing: &Standing) -> serde_json::Value {
    json!({
        "exporter": exporter.id.as_str(),
        "organization": organization,
        "to": exporter.to.to_string(),
        "format": exporter.format.as_str(),
        "mandatory": exporter.mandatory,
        "next": standing.next.map(|place| place.to_string()),
        "undelivered": standing.undelivered().map(|place| place.to_string()),
        "lag": standing.lag,
        "oldest": standing.oldest,
        "refused": standing.set_aside.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn table(found: &[(Exporter, OrganizationId, Standing)]) -> String {
    let dash = || "-".to_owned();
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (exporter, organization, standing) in found {
        rows.push([
            exporter.id.to_string(),
            organization.to_string(),
            standing.next.map_or_else(dash, |place| place.to_string()),
            standing.lag.to_string(),
            standing.oldest.map_or_else(dash, |at| at.to_string()),
            standing.set_aside.len().to_string(),
            if exporter.mandatory { "yes" } else { "no" }.to_owned(),
            exporter.format.as_str().to_owned(),
            exporter.to.to_string(),
        ]);
    }
    let mut text = super::table::aligned(&rows);
    for (exporter, organization, standing) in found.iter().filter(|(.., s)| !s.set_aside.is_empty()) {
        const SHOWN: usize = 10;
        let places: Vec<_> = standing.set_aside.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = standing.set_aside.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more (`--json` lists all)") } else { String::new() };
        text.push_str(&format!(
            "`{}` refuses of `{organization}`: {}{more}\n",
            exporter.id,
            places.join(", ")
        ));
    }
    text
}
