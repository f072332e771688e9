//! `assent audit …`: what operators and auditors do with the log.
//!
//! Everything here reads the log beside a running service, without its lock. [`Shelf`] is the logs
//! of one organization, year by year.

pub mod export;
mod page;
mod progress;
pub mod records;
pub mod replay;
pub mod report;
pub mod search;
mod table;
pub mod verify;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use assent_audit::log::{Entry, Reader};
use assent_audit::logs::LogsConfig;
use assent_audit::record::Record;
use assent_audit::tlog::note::Verifier;
use assent_model::{EntityId, OrganizationId};

use crate::audit_keys;

/// Which log.
#[derive(Clone, Debug, Default)]
pub struct Which<'a> {
    /// The organization; may be left out where there is only one.
    pub organization: Option<&'a str>,
    /// One year; left out: all of them.
    pub year: Option<i32>,
}

/// The logs of one organization, oldest first.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Shelf {
    config: LogsConfig,
    organization: OrganizationId,
    years: Vec<i32>,
}

/// Where a record is: the year of its log, and its position there. Written `2026/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The year.
    pub year: i32,
    /// The position in that year's log, from 0.
    pub position: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}/{}", self.year, self.position)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(year, position)| {
            Some(Self { year: year.parse().ok()?, position: position.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("`{text}`: expected a year and a position, such as `2026/17`"))
    }
}

impl Shelf {
    /// The logs of a deployment's organization.
    ///
    /// # Errors
    /// When the deployment keeps none, the organization is not one of its, or keys are missing.
    pub fn open(root: &Path, which: &Which<'_>) -> anyhow::Result<Self> {
        let read = super::read(root)?;
        let config = audit_keys::load(&read)?.with_context(|| {
            format!("{} has no table `[audit]`: its log is in memory", root.join("assent.toml").display())
        })?;
        let known: Vec<&OrganizationId> = read.organizations.iter().map(|o| &o.config.id).collect();
        let named = || known.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        let organization = match (which.organization, known.as_slice()) {
            (Some(wanted), _) => *known.iter().find(|id| id.as_str() == wanted).with_context(|| {
                format!("there is no organization `{wanted}`: expected one of {}", named())
            })?,
            (None, [only]) => only,
            (None, _) => bail!("say which organization: `--organization` with one of {}", named()),
        };
        let mut years = config.years(organization).context("the logs cannot be listed")?;
        if let Some(year) = which.year {
            ensure!(years.contains(&year), "`{organization}` has no log of {year}: {}", listed(&years));
            years = vec![year];
        }
        ensure!(
            !years.is_empty(),
            "`{organization}` has no log yet: `assent serve` begins it with the first record"
        );
        Ok(Self { organization: organization.clone(), years, config })
    }

    /// Whose logs these are.
    pub const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The years, oldest first.
    pub fn years(&self) -> &[i32] {
        &self.years
    }

    fn verifier(&self, year: i32) -> anyhow::Result<Verifier> {
        let signer = self.config.signer(&self.organization, year).context("audit.name")?;
        Ok(signer.verifier().clone())
    }

    fn reader(&self, year: i32) -> anyhow::Result<Reader> {
        let directory = self.config.directory_of(&self.organization, year);
        Ok(Reader::new(&directory, &self.verifier(year)?, Some(Arc::clone(&self.config.kek))))
    }

    /// All records of these years with their places, in the order of the log.
    fn records(&self) -> impl Iterator<Item = anyhow::Result<(Place, Record)>> + '_ {
        self.years.iter().flat_map(|year| {
            match self.reader(*year).and_then(|reader| Ok(reader.entries(0)?)) {
                Ok(entries) => {
                    Box::new(entries.map(|entry| decoded(*year, &entry?))) as Box<dyn Iterator<Item = _>>
                }
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })
    }
}

/// Which years there are logs of, in words.
fn listed(years: &[i32]) -> String {
    let years: Vec<_> = years.iter().map(ToString::to_string).collect();
    if years.is_empty() { "it has none yet".to_owned() } else { format!("it has {}", years.join(", ")) }
}

fn decoded(year: i32, entry: &Entry) -> anyhow::Result<(Place, Record)> {
    let place = Place { year, position: entry.seq };
    let bytes = entry.record.as_deref().with_context(|| format!("record {place} was not opened"))?;
    let record = Record::decode(bytes).with_context(|| format!("record {place} cannot be read"))?;
    Ok((place, record))
}

/// An entity as people write it: `Patient::jun-park` or `Patient::"jun-park"`.
///
/// # Errors
/// What was expected.
pub fn entity(text: &str) -> Result<EntityId, String> {
    let parsed = text.split_once("::").map(|(kind, id)| (kind, id.trim_matches('"')));
    match parsed {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(EntityId::new(kind, id)),
        _ => Err(format!("`{text}`: expected a type and an id, such as `Patient::jun-park`")),
    }
}

/// `assent audit keys`: what an auditor needs to check the logs, and nothing that is secret.
///
/// # Errors
/// As [`Shelf::open`].
pub fn keys(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let shelf = Shelf::open(root, which)?;
    for year in shelf.years() {
        writeln!(out, "{}", shelf.verifier(*year)?)?;
    }
    Ok(())
}
