//! What is made of the whole log: an accounting of disclosures, a report, an export.
//!
//! Each is what the command line makes, and each reading is a record like any other before it leaves.

use std::collections::BTreeMap;

use assent_audit::disclosures::{Accounting, Gathered, Scope, account};
use assent_audit::export::{ENTERPRISE, Source};
use assent_audit::record::AuditUse;
use assent_audit::reports::{Report, UnknownReport};
use assent_audit::shelf::{Place, Shelf, ShelfError, decoded};
use assent_model::EntityId;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde_json::json;

use super::query::{self, Form, WantedAccounting, WantedExport};
use super::{Asking, TEXT};
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply, typed_reply};

/// Where an export goes on: its last place, the `after` of the next.
const X_AUDIT_NEXT: HeaderName = HeaderName::from_static("x-audit-next");
/// What is made of a whole log says so here, for who expects a node's name.
const NODE: &str = "assent";

impl Asking<'_> {
    /// The accounting of disclosures of a patient (45 CFR 164.528; 42 CFR 2.25).
    pub(super) async fn disclosures(&self, uri: &Uri) -> Result<Response, Refusal> {
        let now = self.service.clock.now();
        let wanted = query::accounting(uri, now)?;
        let WantedAccounting { patient, from, time_zone, all, form } = wanted;
        let holder = EntityId::new("Organization", self.archive.shelf().organization().as_str());
        let accounted = patient.clone();
        // Written where it may take its time: a patient's records of six years can be many.
        let write = move |shelf: &Shelf| {
            let Gathered { records, named } = shelf.over(|records| Gathered::from(records, &patient))?;
            let (names, authorizations, suspended) = (BTreeMap::new(), vec![], vec![]);
            let scope = Scope {
                patient,
                holder,
                requested: now,
                from,
                time_zone,
                names,
                authorizations,
                suspended,
                all,
            };
            let accounting = account(&records, &scope);
            let rows = u64::try_from(accounting.rows.len()).unwrap_or(u64::MAX);
            Ok((written(&accounting, named, form), rows))
        };
        let (response, rows) = self.archive.read(write).await?;
        self.note(AuditUse::Disclosures, Some(accounted), json!({ "all": all, "from": from }), rows).await?;
        Ok(response)
    }

    /// A report for a review.
    pub(super) async fn report(&self, uri: &Uri) -> Result<Response, Refusal> {
        query::none(uri)?;
        let name = uri.path().rsplit('/').next().unwrap_or_default();
        let report: Report = name.parse().map_err(|_: UnknownReport| Refusal::Report)?;
        let now = self.service.clock.now();
        let make = move |shelf: &Shelf| shelf.over(|records| report.over(records, now));
        let findings = self.archive.read(make).await?;
        let count = u64::try_from(findings.len()).unwrap_or(u64::MAX);
        self.note(AuditUse::Report, None, json!({ "report": report.as_str() }), count).await?;
        let shown = json!({ "report": report.as_str(), "at": now, "findings": findings });
        Ok(json_reply(StatusCode::OK, NO_STORE, &shown))
    }

    /// Records in the format of another system, oldest first, from a place on.
    pub(super) async fn export(&self, uri: &Uri) -> Result<Response, Refusal> {
        let WantedExport { format, after, limit } = query::export(uri)?;
        let write = move |shelf: &Shelf| lines(shelf, &WantedExport { format, after, limit });
        let Exported { text, count, last } = self.archive.read(write).await?;
        let put = json!({ "format": format.as_str(), "after": after.map(|place| place.to_string()) });
        self.note(AuditUse::Export, None, put, count).await?;
        let mut response = typed_reply(StatusCode::OK, NO_STORE, format.media_type(), text);
        // At the end too: what is appended later comes after it.
        let next = last.or(after).and_then(|place| HeaderValue::try_from(place.to_string()).ok());
        if let Some(next) = next {
            response.headers_mut().insert(X_AUDIT_NEXT, next);
        }
        Ok(response)
    }
}

/// An accounting in the form that was asked for. `named`: whether the log names the patient anywhere.
fn written(accounting: &Accounting, named: bool, form: Form) -> Response {
    let typed = |content_type, text| typed_reply(StatusCode::OK, NO_STORE, content_type, text);
    match form {
        Form::Json => {
            let shown = json!({ "known": named, "accounting": accounting.to_json() });
            json_reply(StatusCode::OK, NO_STORE, &shown)
        }
        Form::Csv => typed("text/csv; charset=utf-8", accounting.to_csv()),
        Form::Text => typed(TEXT, accounting.to_text()),
        Form::Html => typed("text/html; charset=utf-8", accounting.to_html()),
    }
}

/// A part of the log in another format.
struct Exported {
    text: String,
    count: u64,
    last: Option<Place>,
}

/// Blocks.
fn lines(shelf: &Shelf, wanted: &WantedExport) -> Result<Exported, ShelfError> {
    let mut exported = Exported { text: String::new(), count: 0, last: None };
    let mut left = wanted.limit;
    for year in shelf.all_years(wanted.after.map(|after| after.year))? {
        if left == 0 {
            break;
        }
        let first = match wanted.after {
            Some(after) if after.year > year => continue,
            // Nothing comes behind the last position that can be written.
            Some(after) if after.year == year => match after.position.checked_add(1) {
                Some(first) => first,
                None => continue,
            },
            Some(_) | None => 0,
        };
        let source = Source {
            log: shelf.log(year),
            node: NODE.to_owned(),
            organization: shelf.organization().to_string(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            enterprise: ENTERPRISE,
        };
        for entry in shelf.reader(year)?.entries(first)?.take(left) {
            let (place, record) = decoded(year, &entry?)?;
            exported.text.push_str(&wanted.format.render(&source, place.position, &record));
            exported.text.push('\n');
            exported.count += 1;
            exported.last = Some(place);
            left -= 1;
        }
    }
    Ok(exported)
}
