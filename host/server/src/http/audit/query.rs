//! What a page is asked for by: the parameters, their forms, and what is said of one that is wrong.
//!
//! A parameter that is misspelt must not widen a search, so an unknown or repeated one refuses the request.
//! Messages repeat no value: it may name a patient. A name is repeated where it is plain.

use assent_audit::index::{Order, Query, entity};
use assent_audit::shelf::Place;
use assent_model::{EntityId, Instant};
use axum::extract::Query as Parameters;
use axum::http::Uri;
use serde::de::DeserializeOwned;

use crate::http::refusal::Refusal;

/// Records of a page where none is said: a screenful.
const LIMIT_DEFAULT: usize = 20;
/// Records of a page at most: at 64 KiB each, the most that a record has, 6 MB.
const LIMIT_MAX: usize = 100;
/// Characters of an unknown name that is repeated: twice the longest known one.
const NAME_SHOWN: usize = 16;
/// Below this likeness, suggestions are noise.
const ALIKE: f64 = 0.7;

pub(in crate::http) const PARAMETERS: &[&str] = &[
    "patient", "subject", "caller", "action", "resource", "decision", "cause", "policy", "plugin", "kind",
    "id", "from", "until", "limit", "after", "order",
];

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

/// Reads the parameters of a page.
pub(super) fn page(uri: &Uri) -> Result<Wanted, Refusal> {
    let parameters = Parameters::<Vec<(String, String)>>::try_from_uri(uri);
    let Ok(Parameters(parameters)) = parameters else {
        return Err(Refusal::Parameter("the parameters cannot be read".to_owned()));
    };
    let (mut query, mut order, mut after, mut limit) =
        (Query::default(), Order::NewestFirst, None, LIMIT_DEFAULT);
    let mut seen: Vec<&str> = vec![];
    for (name, value) in &parameters {
        if seen.contains(&name.as_str()) {
            return Err(Refusal::Parameter(format!("{}: expected once", shown(name))));
        }
        seen.push(name);
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
            "limit" => {
                let within = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit = within.ok_or_else(|| expected(name, &format!("1 to {LIMIT_MAX}")))?;
            }
            "after" => {
                let place = value.parse();
                after = Some(place.map_err(|_| expected(name, "the `next` of a page, such as `2026-17`"))?);
            }
            "order" => order = word(name, value, "`newest-first` or `oldest-first`")?,
            unknown => return Err(Refusal::Parameter(unknown_name(unknown))),
        }
    }
    Ok(Wanted { query, order, after, limit })
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

fn unknown_name(name: &str) -> String {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let nearest = PARAMETERS.iter().map(|known| (likeness(known), *known)).max_by(|a, b| a.0.total_cmp(&b.0));
    let help = match nearest {
        Some((likeness, known)) if likeness >= ALIKE => format!("did you mean `{known}`?"),
        _ => format!("expected one of `{}`", PARAMETERS.join("`, `")),
    };
    format!("{}: unknown parameter; {help}", shown(name))
}

/// The name, where it is plainly one.
fn shown(name: &str) -> String {
    let plain = name.len() <= NAME_SHOWN && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain && !name.is_empty() { format!("`{name}`") } else { "a parameter".to_owned() }
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
    fn what_is_wrong_is_named_and_no_value_is_repeated() {
        for (query, expected) in [
            ("patiant=Patient::jun", "`patiant`: unknown parameter; did you mean `patient`?"),
            ("zzz=jun", "`zzz`: unknown parameter; expected one of `patient`, `subject`"),
            ("Jun%20Park=1", "a parameter: unknown parameter; expected one of"),
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
