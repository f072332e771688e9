//! `assent audit search`: the records that match, a page at a time.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use assent_audit::index::{Index, IndexError, Order, PAGE_MAX, Query};
use assent_audit::record::Record;
use serde_json::json;

use super::table::table;
use super::{Place, Shelf, Which, decoded};
use crate::audit_keys;

/// A page of a search.
#[derive(Debug)]
pub struct Page<'a> {
    /// What to look for.
    pub query: &'a Query,
    /// Which end of the log comes first.
    pub order: Order,
    /// The last place of the page before.
    pub after: Option<Place>,
    /// How many records at most.
    pub limit: usize,
    /// As JSON, one record a line.
    pub json: bool,
}

/// Prints a page of matching records, and how to get the next.
///
/// # Errors
/// When the log or its index cannot be read.
pub fn search(root: &Path, which: &Which<'_>, page: &Page<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    anyhow::ensure!((1..=PAGE_MAX).contains(&page.limit), "`--limit`: expected 1 to {PAGE_MAX}");
    let shelf = Shelf::open(root, which)?;
    let found = find(&shelf, page)?;
    if page.json {
        for (place, record) in &found {
            writeln!(out, "{}", json!({ "place": place.to_string(), "record": record }))?;
        }
    } else if !found.is_empty() {
        write!(out, "{}", table(&found))?;
    }
    match found.last() {
        Some((last, _)) if found.len() == page.limit && !page.json => {
            writeln!(out, "more: the same with `--after {last}`")?;
        }
        None if !page.json => writeln!(out, "nothing found")?,
        Some(_) | None => {}
    }
    Ok(())
}

/// The records of a page, year by year.
pub(super) fn find(shelf: &Shelf, page: &Page<'_>) -> anyhow::Result<Vec<(Place, Record)>> {
    let mut years = shelf.years().to_vec();
    if page.order == Order::NewestFirst {
        years.reverse();
    }
    let mut found = vec![];
    for year in years {
        let position = match page.after {
            Some(after) if after.year == year => Some(after.position),
            Some(after) if (after.year < year) == (page.order == Order::NewestFirst) => continue,
            Some(_) | None => None,
        };
        let missing = page.limit - found.len();
        if missing == 0 {
            break;
        }
        let index = indexed(shelf, year)?;
        let positions = index.page(page.query, page.order, position, missing)?;
        found.extend(fetch(shelf, year, &positions)?);
    }
    Ok(found)
}

/// The index of a year's log, up to date.
fn indexed(shelf: &Shelf, year: i32) -> anyhow::Result<Index> {
    let directory = shelf.config.directory_of(&shelf.organization, year);
    let path = directory.with_extension("index");
    let (key, verifier) = (audit_keys::index_key(&shelf.config), shelf.verifier(year)?);
    let mut index = match Index::open(&path, &key, verifier.name()) {
        Err(
            IndexError::OtherForm { .. }
            | IndexError::OtherKey
            | IndexError::OtherLog
            | IndexError::NotAnIndex,
        ) => {
            // It can always be made again; see `Index`.
            Index::discard(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
            Index::open(&path, &key, verifier.name())?
        }
        index => index.with_context(|| format!("{}", path.display()))?,
    };
    for entry in shelf.reader(year)?.entries(index.next())? {
        let (place, record) = decoded(year, &entry?)?;
        index.add(place.position, &record)?;
    }
    Ok(index)
}

/// How many records are read over rather than looked up: a look-up reads its segment from the start.
const READ_OVER: u64 = 50_000;

/// The records at these positions, in the order of the positions.
fn fetch(shelf: &Shelf, year: i32, positions: &[u64]) -> anyhow::Result<Vec<(Place, Record)>> {
    let mut ascending = positions.to_vec();
    ascending.sort_unstable();
    let reader = shelf.reader(year)?;
    let mut entries = None;
    let mut next = 0;
    let mut found = vec![];
    for position in ascending {
        if entries.is_none() || position.saturating_sub(next) > READ_OVER {
            entries = Some(reader.entries(position)?);
            next = position;
        }
        for entry in entries.iter_mut().flatten() {
            let entry = entry?;
            next = entry.seq + 1;
            if entry.seq == position {
                found.push(decoded(year, &entry)?);
                break;
            }
        }
    }
    if positions.first() > positions.last() {
        found.reverse();
    }
    Ok(found)
}
