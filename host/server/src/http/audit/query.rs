//! What a page is asked for by: the parameters, their forms, and what is said of one that is wrong.
//!
//! A parameter that is misspelt must not widen a search, so an unknown or repeated one refuses the request.
//! Messages repeat no value, and a name only where it is nearly a known one: anything else may name a patient.

use assent_audit::export::{Format, UnknownFormat};
use assent_audit::index::{Order, Query, entity};
use assent_audit::shelf::Place;
use assent_model::{EntityId, Instant};
use axum::extract::Query as Parameters;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::refusal::Refusal;

/// Records of a page where none is said: a screenful.
const LIMIT_DEFAULT: usize = 20;
/// Records of a page at most: at 64 KiB each, the most that a record has, 6 MB.
const LIMIT_MAX: usize = 100;
/// Records of an export at most, and where no number is said: some 3 MB.
const EXPORT_LIMIT_MAX: usize = 1_000;
/// Bytes of all parameters together, as sent: what common proxies take for a URL. A reading's record holds what
/// was asked, and at this length it fits one however it is escaped.
const PARAMETERS_BYTES_MAX: usize = 8 << 10;
/// Characters of an unknown name that is repeated: twice the longest known one.
const NAME_SHOWN: usize = 16;
/// Below this likeness, suggestions are noise.
const ALIKE: f64 = 0.7;

pub(in crate::http) const PARAMETERS: &[&str] = &[
    "patient", "subject", "caller", "action", "resource", "decision", "cause", "policy", "plugin", "kind",
    "id", "from", "until", "limit", "after", "order",
];

pub(in crate::http) const ACCOUNTING_PARAMETERS: &[&str] = &["patient", "from", "all", "format", "time_zone"];

pub(in crate::http) const EXPORT_PARAMETERS: &[&str] = &["format", "after", "limit"];

/// The page that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) query: Query,
    pub(super) order: Order,
    pub(super) after: Option<Place>,
    pub(super) limit: usize,
}

/// Refuses any parameter.
pub(super) fn none(uri: &Uri) -> Result<(), Refusal> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Refusal::Parameter("no parameters are known here".to_owned())),
    }
}

/// Whether the checkpoint that witnesses cosigned is asked for.
pub(super) fn witnessed(uri: &Uri) -> Result<bool, Refusal> {
    match uri.query() {
        None | Some("") => Ok(false),
        Some("witnessed=true") => Ok(true),
        Some(_) => Err(Refusal::Parameter("expected no parameter, or `witnessed=true`".to_owned())),
    }
}

/// The parameters of a request, of which these are known.
fn parameters(uri: &Uri, known: &[&str]) -> Result<Vec<(String, String)>, Refusal> {
    if uri.query().is_some_and(|query| query.len() > PARAMETERS_BYTES_MAX) {
        let message = format!("the parameters are longer than {PARAMETERS_BYTES_MAX} bytes");
        return Err(Refusal::Parameter(message));
    }
    let parameters = Parameters::<Vec<(String, String)>>::try_from_uri(uri);
    let Ok(Parameters(parameters)) = parameters else {
        return Err(Refusal::Parameter("the parameters cannot be read".to_owned()));
    };
    let mut seen: Vec<&str> = vec![];
    for (name, _) in &parameters {
        // What was seen is known, so its name can be said.
        if seen.contains(&name.as_str()) {
            return Err(expected(name, "once"));
        }
        if !known.contains(&name.as_str()) {
            return Err(Refusal::Parameter(unknown_name(name, known)));
        }
        seen.push(name);
    }
    Ok(parameters)
}

/// An accounting of disclosures that is asked for.
#[derive(Debug)]
pub(super) struct WantedAccounting {
    pub(super) patient: EntityId,
    pub(super) from: Option<Instant>,
    pub(super) time_zone: String,
    pub(super) all: bool,
    pub(super) form: Form,
}

/// How an accounting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    Json,
    Csv,
    Text,
    Html,
}

/// Reads the parameters of an accounting, as of this moment.
pub(super) fn accounting(uri: &Uri, now: Instant) -> Result<WantedAccounting, Refusal> {
    let (mut patient, mut from, mut all, mut form) = (None, None, false, Form::Json);
    let mut time_zone = "UTC".to_owned();
    for (name, value) in &parameters(uri, ACCOUNTING_PARAMETERS)? {
        match name.as_str() {
            "patient" => patient = Some(party(name, value)?),
            "from" => from = Some(instant(name, value)?),
            "all" => all = value.parse().map_err(|_| expected(name, "`true` or `false`"))?,
            "format" => form = word(name, value, "`json`, `csv`, `text` or `html`")?,
            // An unknown one would silently be UTC, and days would be wrong.
            _ if now.date_in(value).is_some() => time_zone.clone_from(value),
            _ => return Err(expected(name, "a name of the IANA database, such as `America/Chicago`")),
        }
    }
    let patient = patient.ok_or_else(|| expected("patient", "the patient whose accounting it is"))?;
    Ok(WantedAccounting { patient, from, time_zone, all, form })
}

/// An export that is asked for.
#[derive(Debug)]
pub(super) struct WantedExport {
    pub(super) format: Format,
    pub(super) after: Option<Place>,
    pub(super) limit: usize,
}

/// Reads the parameters of an export.
pub(super) fn export(uri: &Uri) -> Result<WantedExport, Refusal> {
    let (mut format, mut after, mut limit) = (Format::JsonLines, None, EXPORT_LIMIT_MAX);
    for (name, value) in &parameters(uri, EXPORT_PARAMETERS)? {
        match name.as_str() {
            "format" => {
                format = value
                    .parse()
                    .map_err(|_: UnknownFormat| expected(name, "`json-lines`, `ocsf`, `fhir` or `syslog`"))?;
            }
            "after" => after = Some(place(name, value)?),
            _ => limit = at_most(name, value, EXPORT_LIMIT_MAX)?,
        }
    }
    Ok(WantedExport { format, after, limit })
}

/// Reads the parameters of a page.
pub(super) fn page(uri: &Uri) -> Result<Wanted, Refusal> {
    let (mut query, mut order, mut after, mut limit) =
        (Query::default(), Order::NewestFirst, None, LIMIT_DEFAULT);
    for (name, value) in &parameters(uri, PARAMETERS)? {
        match name.as_str() {
            "patient" => query.patient = Some(party(name, value)?),
            "subject" => query.subject = Some(party(name, value)?),
            "caller" => query.caller = Some(text(name, value)?),
            "action" => query.action = Some(text(name, value)?),
            "resource" => query.resource = Some(party(name, value)?),
            "decision" => query.effect = Some(word(name, value, "`permit` or `deny`")?),
            "cause" => {
                let known = "`permit`, `forbidden`, `no_policy` or `indeterminate`";
                query.cause = Some(word(name, value, known)?);
            }
            "policy" => query.policy = Some(text(name, value)?),
            "plugin" => query.plugin = Some(text(name, value)?),
            "kind" => query.kind = Some(text(name, value)?),
            "id" => query.id = Some(text(name, value)?),
            "from" => query.from = Some(instant(name, value)?),
            "until" => query.until = Some(instant(name, value)?),
            "limit" => limit = at_most(name, value, LIMIT_MAX)?,
            "after" => after = Some(place(name, value)?),
            // The last of those that are known.
            _ => order = word(name, value, "`newest-first` or `oldest-first`")?,
        }
    }
    Ok(Wanted { query, order, after, limit })
}

fn at_most(name: &str, value: &str, most: usize) -> Result<usize, Refusal> {
    let within = value.parse().ok().filter(|limit| (1..=most).contains(limit));
    within.ok_or_else(|| expected(name, &format!("1 to {most}")))
}

fn place(name: &str, value: &str) -> Result<Place, Refusal> {
    value.parse().map_err(|_| expected(name, "the `next` of a page, such as `2026-17`"))
}

fn expected(name: &str, what: &str) -> Refusal {
    Refusal::Parameter(format!("`{name}`: expected {what}"))
}

fn party(name: &str, value: &str) -> Result<EntityId, Refusal> {
    entity(value).map_err(|_| expected(name, "a type and an id, such as `Patient::jun-park`"))
}

fn text(name: &str, value: &str) -> Result<String, Refusal> {
    if value.is_empty() { Err(expected(name, "text")) } else { Ok(value.to_owned()) }
}

fn instant(name: &str, value: &str) -> Result<Instant, Refusal> {
    value.parse().map_err(|_| expected(name, "a moment, such as `2026-11-21T18:00:00Z`"))
}

/// A word as records write it.
fn word<T: DeserializeOwned>(name: &str, value: &str, known: &str) -> Result<T, Refusal> {
    serde_json::from_value(value.into()).map_err(|_| expected(name, known))
}

fn unknown_name(name: &str, known: &[&str]) -> String {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let nearest = known.iter().map(|known| (likeness(known), *known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, known)) if likeness >= ALIKE && is_plain(name) => {
            format!("`{name}`: unknown parameter; did you mean `{known}`?")
        }
        _ => format!("a parameter is unknown: expected one of `{}`", known.join("`, `")),
    }
}

/// Whether a name has nothing but what known names have, and is not much longer.
fn is_plain(name: &str) -> bool {
    name.len() <= NAME_SHOWN && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wanted, String> {
        page(&format!("/bay/audit/v1/records?{query}").parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_asked_is_the_newest_page_of_everything() {
        let Wanted { query, order, after, limit } = read("").unwrap();
        assert_eq!((query, order, after, limit), (Query::default(), Order::NewestFirst, None, LIMIT_DEFAULT));
    }

    #[test]
    fn every_known_parameter_is_read() {
        let values = [
            ("patient", "Patient::a%20b"),
            ("subject", "User::%22u%22"),
            ("caller", "portal"),
            ("action", "read+it"),
            ("resource", "Record::r"),
            ("decision", "deny"),
            ("cause", "no_policy"),
            ("policy", "p.q"),
            ("plugin", "adolescent"),
            ("kind", "decision"),
            ("id", "r1"),
            ("from", "2026-11-21T18:00:00Z"),
            ("until", "2026-11-22T18:00:00Z"),
            ("limit", "100"),
            ("after", "2026-17"),
            ("order", "oldest-first"),
        ];
        assert_eq!(values.map(|(name, _)| name), PARAMETERS);
        let all: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let Wanted { query, order, after, limit } = read(&all.join("&")).unwrap();
        let written = serde_json::to_value(&query).unwrap();
        // All but the page's own three parameters are in the query.
        assert_eq!(written.as_object().unwrap().len(), PARAMETERS.len() - 3);
        assert_eq!(query.patient, Some(EntityId::new("Patient", "a b")));
        assert_eq!(query.subject, Some(EntityId::new("User", "u")));
        assert_eq!(query.action.as_deref(), Some("read it"));
        let place = Place { year: 2026, position: 17 };
        assert_eq!((order, after, limit), (Order::OldestFirst, Some(place), 100));
    }

    #[test]
    fn an_accounting_is_of_a_patient_and_on_days_of_a_known_time_zone() {
        let now = "2026-11-21T18:00:00Z".parse().unwrap();
        let read = |query: &str| accounting(&format!("/x?{query}").parse().unwrap(), now);
        let wanted = read("patient=Patient::jun&all=true&format=csv&time_zone=America/Chicago").unwrap();
        assert_eq!(
            (wanted.patient, wanted.all, wanted.form),
            (EntityId::new("Patient", "jun"), true, Form::Csv)
        );
        for (query, expected) in [
            ("", "`patient`: expected the patient"),
            ("patient=Patient::jun&time_zone=Mars", "`time_zone`: expected a name of the IANA"),
            ("patient=Patient::jun&format=pdf", "`format`: expected `json`, `csv`"),
            ("patient=Patient::jun&all=yes", "`all`: expected `true` or `false`"),
            ("patient=Patient::jun&timezone=UTC", "`timezone`: unknown parameter; did you mean `time_zone`?"),
        ] {
            assert!(read(query).unwrap_err().to_string().starts_with(expected), "{query}");
        }
    }

    #[test]
    fn an_export_is_in_a_known_format_from_a_place_on() {
        let read = |query: &str| export(&format!("/x?{query}").parse().unwrap());
        let wanted = read("format=ocsf&after=2026-17&limit=10").unwrap();
        assert_eq!((wanted.format, wanted.limit), (Format::Ocsf, 10));
        assert_eq!(wanted.after, Some(Place { year: 2026, position: 17 }));
        for query in ["format=jsonl", "limit=0", "limit=1001", "after=x", "patient=Patient::jun"] {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[test]
    fn parameters_are_read_up_to_their_length() {
        let query = |length: usize| format!("action={}", "a".repeat(length - "action=".len()));
        assert!(read(&query(PARAMETERS_BYTES_MAX)).is_ok());
        let error = read(&query(PARAMETERS_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(error, "the parameters are longer than 8192 bytes");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_is_repeated() {
        for (query, expected) in [
            ("patiant=Patient::jun", "`patiant`: unknown parameter; did you mean `patient`?"),
            ("jun=1", "a parameter is unknown: expected one of `patient`, `subject`"),
            ("Jun%20Park=1", "a parameter is unknown: expected one of"),
            ("limit=1&limit=2", "`limit`: expected once"),
            ("patient=jun", "`patient`: expected a type and an id"),
            ("action=", "`action`: expected text"),
            ("decision=jun", "`decision`: expected `permit` or `deny`"),
            ("cause=jun", "`cause`: expected `permit`, `forbidden`"),
            ("from=jun", "`from`: expected a moment"),
            ("until=jun", "`until`: expected a moment"),
            ("limit=0", "`limit`: expected 1 to 100"),
            ("limit=101", "`limit`: expected 1 to 100"),
            ("after=jun", "`after`: expected the `next` of a page"),
            ("order=jun", "`order`: expected `newest-first`"),
        ] {
            let error = read(query).unwrap_err();
            assert!(
                error.starts_with(expected) && !error.to_lowercase().replace("jun-park", "").contains("jun"),
                "{query}: {error}"
            );
        }
    }
}
