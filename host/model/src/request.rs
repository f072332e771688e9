//! What a caller asks: subject, action, resource, context (the AuthZEN information model).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Free-form properties as the caller sent them. Which of them count is decided by the schema.
pub type Properties = serde_json::Map<String, serde_json::Value>;

/// The id of an organization (tenant): 1 to 64 of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OrganizationId(String);

/// Text that cannot be the id of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 64 of `a-z`, `0-9` and `-`, beginning with a letter")]
pub struct OrganizationIdError;

impl OrganizationId {
    /// The id that this text is.
    ///
    /// # Errors
    /// When the text has another form; see [`OrganizationId`].
    pub fn new(text: impl Into<String>) -> Result<Self, OrganizationIdError> {
        let text = text.into();
        let well_formed = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(text)) } else { Err(OrganizationIdError) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrganizationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The subject or the resource of a request, in the caller's own type names.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// AuthZEN's `type`: any text; mapped to a Cedar entity type by the organization's table.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id within the type.
    pub id: String,
    /// Attributes that the caller supplies with the request.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

/// What the subject wants to do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// AuthZEN's action name.
    pub name: String,
    /// Parameters of the action; policies see them as `context.action`.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

/// One question: may this subject do this to this resource, in this context?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks to act.
    pub subject: Party,
    /// What they want to do.
    pub action: Action,
    /// What they want to do it to.
    pub resource: Party,
    /// The circumstances, as the caller reports them.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub context: Properties,
}

/// INVARIANT (no patient in logs): all of it is the caller's own text, the type too, until an
/// organization's tables have been asked.
impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Party(<redacted>)")
    }
}

/// INVARIANT (no patient in logs): the name too is the caller's own text.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Action(<redacted>)")
    }
}

/// INVARIANT (no patient in logs): nothing is printed.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_ids_are_safe_in_paths_and_urls() {
        for good in ["a", "bay-pediatrics", "st-marys2"] {
            assert_eq!(OrganizationId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", "-a", "a/b", "..", "a b", "é", &"a".repeat(65)] {
            assert!(OrganizationId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_of_a_request_hides_who_and_what() {
        let text = || "pat-7".to_owned();
        let party = || Party { kind: text(), id: text(), properties: Properties::new() };
        let request = Request {
            subject: party(),
            action: Action { name: text(), properties: Properties::new() },
            resource: party(),
            context: Properties::from_iter([(text(), text().into())]),
        };
        let printed = format!("{request:?} {:?} {:?}", request.subject, request.action);
        assert!(!printed.contains("pat-7"), "{printed}");
    }
}
