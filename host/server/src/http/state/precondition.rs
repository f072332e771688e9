//! On which version a change insists: `If-Match` and `If-None-Match` (RFC 9110, section 13), with the version of a
//! document as its entity tag.
//!
//! Both are looked at under the right to change, so nobody changes the document between the look and the change.

use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::{Problem, Stop};

/// What must hold of a document before it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Precondition {
    matches: Option<Tags>,
    absent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Versions(Vec<u64>),
}

impl Precondition {
    /// What the headers ask for.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Stop> {
        let matches = match one(headers, &IF_MATCH)? {
            None => None,
            Some("*") => Some(Tags::Any),
            Some(list) => Some(Tags::Versions(
                list.split(',').map(|tag| version(tag.trim())).collect::<Option<_>>().ok_or_else(|| {
                    malformed("`If-Match`: expected `*`, or the `ETag` of the document as it was read")
                })?,
            )),
        };
        let absent = match one(headers, &IF_NONE_MATCH)? {
            None => false,
            Some("*") => true,
            Some(_) => return Err(malformed("`If-None-Match`: expected `*`, for what is to be made anew")),
        };
        Ok(Self { matches, absent })
    }

    /// Whether it asks for anything.
    pub(super) const fn is_any(&self) -> bool {
        self.matches.is_some() || self.absent
    }

    /// Whether it holds of a document of this version; `None`: there is none.
    pub(super) fn check(&self, found: Option<u64>) -> Result<(), Stop> {
        let holds = match (&self.matches, found) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(Tags::Any), Some(_)) => true,
            (Some(Tags::Versions(versions)), Some(found)) => versions.contains(&found),
        };
        if holds && !(self.absent && found.is_some()) {
            return Ok(());
        }
        let detail = match found {
            None => "there is no such document any more".to_owned(),
            Some(_) if self.absent => "there is such a document already".to_owned(),
            Some(version) => {
                format!("it was changed meanwhile, and is of version {version}: look at it again")
            }
        };
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail).into())
    }
}

/// A version as an entity tag.
pub(super) fn tag(version: u64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

fn version(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Stop> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            Ok(Some(value.to_str().map_err(|_| malformed("a header is not text"))?.trim()))
        }
        (Some(_), Some(_)) => Err(malformed(&format!("`{name}` is there twice"))),
    }
}

fn malformed(detail: &str) -> Stop {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(HeaderName, &'static str)]) -> Option<Precondition> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        Precondition::of(&headers.collect()).ok()
    }

    #[test]
    fn a_precondition_holds_of_what_it_names_and_of_nothing_else() {
        for (header, value, holds) in [
            (IF_MATCH, "*", [false, true, true]),
            (IF_MATCH, "\"7\"", [false, true, false]),
            (IF_MATCH, "\"3\", \"8\"", [false, false, true]),
            (IF_NONE_MATCH, "*", [true, false, false]),
        ] {
            let precondition = of(&[(header, value)]).unwrap();
            let found = [None, Some(7), Some(8)].map(|found| precondition.check(found).is_ok());
            assert_eq!(found, holds, "{value}");
        }
        let both = of(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]).unwrap();
        assert!([None, Some(1)].iter().all(|found| both.check(*found).is_err()));
        assert!(!of(&[]).unwrap().is_any());
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for value in ["", "7", "\"7", "W/\"7\"", "\"\"", "\"-1\"", "\"7\" \"8\"", "\"99999999999999999999\""]
        {
            assert_eq!(of(&[(IF_MATCH, value)]), None, "{value}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"7\"")]), None);
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(IF_MATCH, HeaderValue::from_static("*"));
        }
        assert!(Precondition::of(&headers).is_err());
    }
}
