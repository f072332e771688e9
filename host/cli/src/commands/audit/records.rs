//! `assent audit show` and `assent audit disclosures`: one record, and a patient's accounting.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use assent_audit::disclosures::{Scope, account};
use assent_audit::shelf::{Found, Place, Shelf};
use assent_model::{EntityId, Instant};
use serde_json::json;

use super::{Opened, Which, open};

/// Prints one record: by its place, or by the id of its decision.
///
/// # Errors
/// When there is none.
pub fn show(root: &Path, which: &Which<'_>, wanted: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let Opened { shelf, .. } = open(root, which)?;
    let (place, record) = match wanted.parse::<Place>() {
        Ok(place) => shelf.at(place)?.with_context(|| format!("the log has no record {place}"))?,
        Err(_) => by_id(&shelf, wanted)?,
    };
    let shown = json!({ "place": place.to_string(), "record": record });
    writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    Ok(())
}

/// The record of the decision with this id.
pub(super) fn by_id(shelf: &Shelf, id: &str) -> anyhow::Result<Found> {
    shelf.by_id(id)?.with_context(|| {
        format!(
            "no record has the id `{id}`: expected a decision's id, as in the header X-Decision-ID, or a place, \
             such as `2026-17`"
        )
    })
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
/// When the log cannot be read: an accounting is whole or it is none.
pub fn disclosures(
    root: &Path,
    which: &Which<'_>,
    asked: Asked<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let Opened { shelf, .. } = open(root, which)?;
    let mut records = vec![];
    // The whole log, not the index: evidence must not rest on what can be damaged unseen.
    for record in shelf.records()? {
        let (_, record) = record?;
        let concerns = |decision: &assent_audit::record::DecisionEvent| {
            decision.permits() && decision.patient.as_ref().is_none_or(|patient| *patient == asked.patient)
        };
        if record.decision().is_some_and(concerns) {
            records.push(record);
        }
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
    match asked.form {
        Form::Text => write!(out, "{}", accounting.to_text())?,
        Form::Csv => write!(out, "{}", accounting.to_csv())?,
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&accounting.to_json())?)?,
        Form::Html => write!(out, "{}", accounting.to_html())?,
    }
    Ok(())
}
