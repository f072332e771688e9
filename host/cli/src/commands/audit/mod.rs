//! `assent audit …`: what operators and auditors do with the log.
//!
//! Everything here reads the log beside a running service, without its lock, through a [`Shelf`]; what a command
//! adds to the log goes through [`record`].

pub mod copy;
pub mod expire;
pub mod export;
pub mod hold;
mod page;
mod progress;
pub mod record;
pub mod records;
pub mod replay;
pub mod report;
pub mod search;
mod table;
pub mod verify;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use assent_audit::shelf::Shelf;
use assent_model::OrganizationId;

use crate::audit_keys;

/// Which log.
#[derive(Clone, Debug, Default)]
pub struct Which<'a> {
    /// The organization; may be left out where there is only one.
    pub organization: Option<&'a str>,
    /// One year; left out: all of them.
    pub year: Option<i32>,
}

/// The logs of a deployment's organization, and the deployment's name.
struct Opened {
    shelf: Shelf,
    /// The years that were asked for, oldest first; never none.
    years: Vec<i32>,
    name: String,
}

/// Which years there are logs of, in words.
fn listed(years: &[i32]) -> String {
    let years: Vec<_> = years.iter().map(ToString::to_string).collect();
    if years.is_empty() { "it has none yet".to_owned() } else { format!("it has {}", years.join(", ")) }
}

/// Opens the logs that `which` names.
///
/// # Errors
/// When the deployment keeps none, the organization is not one of its, or keys are missing.
fn open(root: &Path, which: &Which<'_>) -> anyhow::Result<Opened> {
    let read = super::read(root)?;
    let config = audit_keys::load(&read)?.with_context(|| {
        format!("{} has no table `[audit]`: its log is in memory", root.join("assent.toml").display())
    })?;
    let known: Vec<&OrganizationId> = read.organizations.iter().map(|o| &o.config.id).collect();
    let named = || known.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let organization = match (which.organization, known.as_slice()) {
        (Some(wanted), _) => *known
            .iter()
            .find(|id| id.as_str() == wanted)
            .with_context(|| format!("there is no organization `{wanted}`: expected one of {}", named()))?,
        (None, [only]) => only,
        (None, _) => bail!("say which organization: `--organization` with one of {}", named()),
    };
    let name = config.name.clone();
    let mut shelf = Shelf::new(config, organization.clone());
    let mut years = shelf.years().context("the logs cannot be listed")?;
    if let Some(year) = which.year {
        ensure!(years.contains(&year), "`{organization}` has no log of {year}: {}", listed(&years));
        (shelf, years) = (shelf.of_year(year), vec![year]);
    }
    ensure!(
        !years.is_empty(),
        "`{organization}` has no log yet: `assent serve` begins it with the first record"
    );
    Ok(Opened { shelf, years, name })
}

/// `assent audit keys`: what an auditor needs to check the logs, and nothing that is secret.
///
/// # Errors
/// When there is no log, as for every command here.
pub fn keys(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let Opened { shelf, years, .. } = open(root, which)?;
    for year in years {
        writeln!(out, "{}", shelf.verifier(year)?)?;
    }
    Ok(())
}
