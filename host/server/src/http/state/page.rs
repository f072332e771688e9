//! Which page of a list is asked for. A parameter that is misspelt must not widen a list, so an unknown or repeated
//! one is refused.

use axum::extract::Query as Parameters;
use axum::http::{StatusCode, Uri};

use super::problem::{Problem, Stop};

/// Documents of a page where none is said.
const LIMIT_DEFAULT: u32 = 50;
/// Documents of a page at most.
const LIMIT_MAX: u32 = 500;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) after: Option<String>,
    pub(super) limit: u32,
    /// What else is asked of each, by the collection's own parameters.
    pub(super) filters: Vec<(String, String)>,
}

/// The page that is asked for, of a collection that knows these filters.
pub(super) fn page(uri: &Uri, filters: &[&str]) -> Result<Page, Stop> {
    read(uri, &["after", "limit"], filters)
}

/// What is asked of something that has no pages and knows these filters.
pub(super) fn filters(uri: &Uri, filters: &[&str]) -> Result<Page, Stop> {
    read(uri, &[], filters)
}

fn read(uri: &Uri, paging: &[&str], filters: &[&str]) -> Result<Page, Stop> {
    let Ok(Parameters(parameters)) = Parameters::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Err(refused("the parameters cannot be read".to_owned()));
    };
    let mut page = Page { after: None, limit: LIMIT_DEFAULT, filters: vec![] };
    let mut seen = vec![];
    for (name, value) in parameters {
        if seen.contains(&name) {
            return Err(refused("a parameter is there twice".to_owned()));
        }
        seen.push(name.clone());
        match name.as_str() {
            name if !paging.contains(&name) && !filters.contains(&name) => {
                let known = paging.iter().chain(filters).map(|name| format!("`{name}`"));
                let known: Vec<String> = known.collect();
                return Err(refused(format!("unknown parameter: expected {}", known.join(", "))));
            }
            "after" => page.after = Some(value),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                page.limit = limit.ok_or_else(|| refused(format!("`limit`: expected 1 to {LIMIT_MAX}")))?;
            }
            name => page.filters.push((name.to_owned(), value)),
        }
    }
    Ok(page)
}

impl Page {
    /// The value of a filter.
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Refuses any parameter.
pub(super) fn none(uri: &Uri) -> Result<(), Stop> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(refused("no parameters are known here".to_owned())),
    }
}

pub(super) fn refused(detail: String) -> Stop {
    Problem::new(StatusCode::BAD_REQUEST, "parameter", detail).into()
}
