//! `assent audit …`: what operators and auditors do with the log.
//!
//! Everything here reads the log beside a running service, without its lock, through a [`Shelf`]; what a command
//! adds to the log goes through [`record`].

mod alone;
mod carry;
pub mod copy;
pub mod expire;
pub mod export;
pub mod exporters;
pub mod give_up;
pub mod hold;
mod page;
mod progress;
pub mod record;
pub mod records;
pub mod replay;
pub mod report;
pub mod rewrap;
pub mod search;
mod table;
mod two_persons;
pub mod verify;
pub mod witness;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use assent_audit::logs::LogsConfig;
use assent_audit::retention::Shard;
use assent_audit::shelf::Shelf;
use assent_model::{Instant, OrganizationId};

use crate::audit_keys;
use crate::deployment::{DEPLOYMENT_FILE, Deployment};

/// Which log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// The organization; may be left out where there is only one.
    pub organization: Option<&'a str>,
    /// One year; left out: all of them.
    pub year: Option<i32>,
}

/// The logs of a deployment's organization, and the deployment's name.
pub(super) struct Opened {
    pub(super) shelf: Shelf,
    /// The years that were asked for, oldest first; never none.
    years: Vec<i32>,
    name: String,
}

/// Which years there are logs of, in words.
fn listed(years: &[i32]) -> String {
    let years: Vec<_> = years.iter().map(ToString::to_string).collect();
    if years.is_empty() { "it has none yet".to_owned() } else { format!("it has {}", years.join(", ")) }
}

/// That a year has no log, and what is known of it; `there` are those that have one.
fn no_log(shelf: &Shelf, year: i32, there: &[i32]) -> anyhow::Result<String> {
    let organization = shelf.organization();
    if shelf.gone()?.contains(&year) {
        shelf.all_years(Some(year))?;
    }
    let let_go = Shard::tombstone(&shelf.directory(year)).context("what was let go cannot be read")?;
    Ok(match let_go {
        Some(noted) => format!(
            "the log of {year} for `{organization}` was let go, by request {}: {}",
            noted.request,
            listed(there)
        ),
        None => format!("`{organization}` has no log of {year}: {}", listed(there)),
    })
}

/// Whether a time ends after it begins: otherwise nothing is in it, and nobody would be told why.
fn ensure_in_order(from: Option<Instant>, until: Option<Instant>, names: &str) -> anyhow::Result<()> {
    ensure!(
        from.zip(until).is_none_or(|(from, until)| from < until),
        "{names}: the first must be the earlier"
    );
    Ok(())
}

/// Opens the logs that `which` names.
///
/// # Errors
/// When the deployment keeps none, the organization is not one of its, or keys are missing.
fn open(root: &Path, which: &Which<'_>) -> anyhow::Result<Opened> {
    open_of(&super::read(root)?, which)
}

/// The same, of a deployment that was read for other things, too.
pub(super) fn open_of(deployment: &Deployment, which: &Which<'_>) -> anyhow::Result<Opened> {
    let config = kept(deployment, audit_keys::load(deployment)?)?;
    let known: Vec<&OrganizationId> = deployment.organizations.iter().map(|o| &o.config.id).collect();
    opened(config, &known, which)
}

/// What is known of the logs that a deployment keeps; it is an error if it keeps none.
fn kept<T>(deployment: &Deployment, config: Option<T>) -> anyhow::Result<T> {
    let file = deployment.root.join(DEPLOYMENT_FILE);
    config.with_context(|| format!("{} has no table `[audit]`: its log is in memory", file.display()))
}

/// Waits for what goes over connections, or for another process, on this thread.
fn wait_for<T>(what: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("no thread for connections could be started")?.block_on(what))
}

/// The logs of one of these organizations.
fn opened(config: LogsConfig, known: &[&OrganizationId], which: &Which<'_>) -> anyhow::Result<Opened> {
    let named = || known.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let organization = match (which.organization, known) {
        (_, []) => bail!("there is no log yet: `assent serve` begins it with the first record"),
        (Some(wanted), _) => *known
            .iter()
            .find(|id| id.as_str() == wanted)
            .with_context(|| format!("there is no organization `{wanted}`: expected one of {}", named()))?,
        (None, [only]) => *only,
        (None, _) => bail!("say which organization: `--organization` with one of {}", named()),
    };
    let name = config.name.clone();
    let shelf = Shelf::new(config, organization.clone());
    let there = shelf.years()?;
    let shelf = match which.year {
        Some(year) => shelf.of_year(year),
        None => shelf,
    };
    let years = shelf.years()?;
    if years.is_empty() {
        // One that is gone was there.
        shelf.all_years(None)?;
    }
    match which.year {
        Some(year) => {
            ensure!(!years.is_empty(), no_log(&shelf, year, &there)?);
        }
        None => ensure!(
            !years.is_empty(),
            "`{organization}` has no log yet: `assent serve` begins it with the first record"
        ),
    }
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
