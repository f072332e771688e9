//! `assent audit show` and `assent audit disclosures`: one record, and a patient's accounting.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use assent_audit::disclosures::{Gathered, Scope, account};
use assent_audit::record::AuditUse;
use assent_audit::shelf::{Place, decoded};
use assent_model::{EntityId, Instant};
use serde_json::json;

use super::page::page;
use super::progress::Bar;
use super::record::note_reading;
use super::table::name;
use super::{Opened, Which, ensure_in_order, no_log, open};

/// Prints one record: by its place, or by the id of its decision. As a page, or as it is in the log.
///
/// # Errors
/// When there is none.
pub fn show(
    root: &Path,
    which: &Which<'_>,
    wanted: &str,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let opened = open(root, which)?;
    let place = look_up(&opened, wanted)?;
    let entry = opened.shelf.entry(place)?.with_context(|| {
        format!("the log of {} has no record {}: positions begin at 0", place.year, place.position)
    })?;
    let (place, record) = decoded(place.year, &entry)?;
    let put = json!({ "place": place.to_string() });
    note_reading(&opened, AuditUse::Show, record.event.patient(), put, 1)?;
    if as_json {
        let leaf = hex::encode(entry.leaf);
        let shown = json!({ "place": place.to_string(), "leaf": leaf, "record": record });
        writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else {
        write!(out, "{}", page(&opened.shelf.log(place.year), place, &entry.leaf, &record))?;
    }
    Ok(())
}

/// The place of the record that somebody names: by its place, or by the id of its decision.
pub(super) fn look_up(Opened { shelf, years, .. }: &Opened, wanted: &str) -> anyhow::Result<Place> {
    if let Ok(place) = wanted.parse::<Place>() {
        ensure!(years.contains(&place.year), no_log(shelf, place.year, years)?);
        return Ok(place);
    }
    let found = shelf.by_id(wanted)?.with_context(|| {
        format!(
            "no record has the id `{wanted}`: expected a decision's id, as in the header X-Decision-ID, or a \
             place, such as `2026-17`"
        )
    })?;
    Ok(found.0)
}

/// How an accounting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For a terminal.
    Text,
    /// For a spreadsheet.
    Csv,
    /// For programs.
    Json,
    /// A page to print.
    Html,
}

/// What an accounting is of.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The patient.
    pub patient: EntityId,
    /// From when on; left out: the six years that the law gives.
    pub from: Option<Instant>,
    /// The present moment.
    pub now: Instant,
    /// The patient's time zone.
    pub time_zone: &'a str,
    /// Also what the law does not require.
    pub all: bool,
    /// How it is written.
    pub form: Form,
}

/// Prints the accounting of disclosures of a patient (45 CFR 164.528; 42 CFR 2.25).
///
/// # Errors
/// When the time zone is unknown, or the log cannot be read: an accounting is whole or it is none.
pub fn disclosures(
    root: &Path,
    which: &Which<'_>,
    asked: Asked<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // An unknown one would silently be UTC, and days would be wrong.
    ensure!(
        asked.now.date_in(asked.time_zone).is_some(),
        "`--time-zone {}`: expected a name of the IANA time zone database, such as `America/Chicago`",
        asked.time_zone
    );
    ensure!(
        which.year.is_none(),
        "an accounting is of all years, so it takes no `--year`: `--from` and `--now` say of which time it is"
    );
    ensure_in_order(asked.from, Some(asked.now), "`--from`, `--now`")?;
    let opened = open(root, which)?;
    let shelf = &opened.shelf;
    let mut bar = Bar::over(&opened)?;
    let Gathered { records, named } =
        shelf.over(|records| Gathered::from(bar.along(records), &asked.patient))?;
    drop(bar);
    if !named {
        writeln!(std::io::stderr(), "note: no record names `{}`; is the id right?", name(&asked.patient))
            .ok();
    }
    let scope = Scope {
        patient: asked.patient,
        holder: EntityId::new("Organization", shelf.organization().as_str()),
        requested: asked.now,
        from: asked.from,
        time_zone: asked.time_zone.to_owned(),
        names: BTreeMap::new(),
        authorizations: vec![],
        suspended: vec![],
        all: asked.all,
    };
    let accounting = account(&records, &scope);
    let put = json!({ "all": scope.all, "from": scope.from });
    note_reading(&opened, AuditUse::Disclosures, Some(&accounting.patient), put, accounting.rows.len())?;
    match asked.form {
        Form::Text => write!(out, "{}", accounting.to_text())?,
        Form::Csv => write!(out, "{}", accounting.to_csv())?,
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&accounting.to_json())?)?,
        Form::Html => write!(out, "{}", accounting.to_html())?,
    }
    Ok(())
}
