//! `assent audit export`: records in the formats of other systems, from a cursor on.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use assent_audit::export::{self, Cursor, ENTERPRISE, FollowError, Format, Source};
use assent_audit::record::AuditUse;
use assent_audit::shelf::decoded;
use serde_json::json;

use super::record::note_reading;
use super::{Opened, Which, open};

/// How many records are written before the cursor moves.
const BATCH: usize = 1_000;

/// Writes records from the cursor on (from the first without one), and moves the cursor behind each
/// batch that was written: at least once. A cursor is of one year's log.
///
/// # Errors
/// When the log cannot be read, the output is closed, or the cursor is of another log.
pub fn export(
    root: &Path,
    which: &Which<'_>,
    format: Format,
    cursor: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let opened = open(root, which)?;
    anyhow::ensure!(
        cursor.is_none() || opened.years.len() == 1,
        "a cursor is of one log: say which with `--year`, one of {:?}",
        opened.years
    );
    opened.shelf.all_years(None)?;
    // Before anything is written that nobody could note.
    if let Some(folder) = cursor.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()) {
        anyhow::ensure!(folder.is_dir(), "`--cursor`: the folder {} does not exist", folder.display());
    }
    // How many it will be is known at the end alone; and nothing may leave before the record.
    let put = json!({ "format": format.as_str(), "years": opened.years, "cursor": cursor.is_some() });
    note_reading(&opened, AuditUse::Export, None, put, 0)?;
    let Opened { shelf, years, name } = opened;
    for year in years {
        let source = Source {
            log: shelf.verifier(year)?.name().to_owned(),
            node: name.clone(),
            organization: shelf.organization().to_string(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            enterprise: ENTERPRISE,
        };
        let Some(path) = cursor else {
            for entry in shelf.reader(year)?.entries(0)? {
                let (place, record) = decoded(year, &entry?)?;
                writeln!(out, "{}", format.render(&source, place.position, &record))?;
            }
            continue;
        };
        let mut cursor = Cursor::open(path, &source.log)?;
        let entries = shelf.reader(year)?.entries(cursor.next())?;
        let items = entries.map(|entry| -> Result<_, Failure> {
            let (place, record) =
                decoded(year, &entry.map_err(anyhow::Error::from)?).map_err(anyhow::Error::from)?;
            Ok((place.position, record))
        });
        let delivered = export::follow(&mut cursor, items, BATCH, |batch| {
            for (position, record) in batch {
                writeln!(out, "{}", format.render(&source, *position, record))
                    .map_err(anyhow::Error::from)?;
            }
            out.flush().map_err(anyhow::Error::from)?;
            Ok(())
        });
        delivered.map_err(|error| match error {
            FollowError::Delivery { from, source: Failure(error) } => {
                error.context(format!("records from position {from} on were not written"))
            }
            other => anyhow::Error::from(other),
        })?;
    }
    out.flush().context("the output was closed")
}

/// Any error on the way, as the follower wants it.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Failure(#[from] anyhow::Error);
