//! Names and edits of documents, checked before anything is written.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 1024;
/// The longest body, in bytes: a consent with its whole FHIR resource fits.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The longest kind, in bytes.
const KIND_BYTES_MAX: usize = 32;

/// The name of a document: its kind, and an id within it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    kind: String,
    id: String,
}

/// Why a document cannot be named or written so. Never says the id, which may be a patient's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEdit {
    /// The kind has other characters, or none, or too many.
    #[error("a kind is 1 to {KIND_BYTES_MAX} lower-case letters, digits and hyphens")]
    Kind,
    /// The id is empty, too long, or has characters that do not print.
    #[error("an id is 1 to {ID_BYTES_MAX} bytes without control characters; this one has {bytes} bytes")]
    Id {
        /// How long it is.
        bytes: usize,
    },
    /// The body is too long, or has a NUL, which PostgreSQL cannot hold.
    #[error("a document has at most {BODY_BYTES_MAX} bytes and no NUL; this one has {bytes} bytes")]
    Body {
        /// How long it is.
        bytes: usize,
    },
    /// A change names the document twice, so that nobody could say which edit counts.
    #[error("a change names one `{kind}` twice")]
    Twice {
        /// Its kind.
        kind: String,
    },
}

impl Key {
    /// The name of a document.
    ///
    /// # Errors
    /// [`InvalidEdit::Kind`] and [`InvalidEdit::Id`].
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Result<Self, InvalidEdit> {
        let (kind, id) = (kind.into(), id.into());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if kind.is_empty() || kind.len() > KIND_BYTES_MAX || !kind.bytes().all(allowed) {
            return Err(InvalidEdit::Kind);
        }
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(InvalidEdit::Id { bytes: id.len() });
        }
        Ok(Self { kind, id })
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The id. It may be a patient's: never to be logged.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// INVARIANT (no patient in logs): an id may be a patient's.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind)
    }
}

/// One document written whole, or removed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Which document.
    pub key: Key,
    /// What it says from now on; `None` removes it.
    pub body: Option<String>,
}

impl Edit {
    /// Writes a document.
    ///
    /// # Errors
    /// [`InvalidEdit::Body`].
    pub fn put(key: Key, body: impl Into<String>) -> Result<Self, InvalidEdit> {
        let body = body.into();
        if body.len() > BODY_BYTES_MAX || body.contains('\0') {
            return Err(InvalidEdit::Body { bytes: body.len() });
        }
        Ok(Self { key, body: Some(body) })
    }

    /// Checks that no document is named twice.
    ///
    /// # Errors
    /// [`InvalidEdit::Twice`].
    pub fn check_once(edits: &[Self]) -> Result<(), InvalidEdit> {
        let mut keys = BTreeSet::new();
        match edits.iter().find(|edit| !keys.insert(&edit.key)) {
            Some(twice) => Err(InvalidEdit::Twice { kind: twice.key.kind().to_owned() }),
            None => Ok(()),
        }
    }

    /// Removes a document, if it is there.
    #[must_use]
    pub const fn remove(key: Key) -> Self {
        Self { key, body: None }
    }
}

/// INVARIANT (no patient in logs): says what is done to which kind of document.
impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.body.is_some() { "put" } else { "remove" };
        write!(f, "{what} {:?}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_one_of_the_databases_could_not_hold_are_refused() {
        for kind in ["", "Entity", "ent ity", "entity;", &"k".repeat(33)] {
            assert_eq!(Key::new(kind, "x"), Err(InvalidEdit::Kind), "{kind}");
        }
        for id in ["", "a\0b", "a\nb", "\u{85}", &"i".repeat(ID_BYTES_MAX + 1)] {
            assert!(matches!(Key::new("entity", id), Err(InvalidEdit::Id { .. })), "{id}");
        }
        assert!(Key::new("break-glass", "Patient::\"Zoë 🩺\"").is_ok());
        let key = Key::new("entity", "x").unwrap();
        assert!(matches!(Edit::put(key.clone(), "a\0"), Err(InvalidEdit::Body { .. })));
        assert!(Edit::put(key.clone(), "x".repeat(BODY_BYTES_MAX)).is_ok());
        assert!(Edit::put(key, "x".repeat(BODY_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn nothing_of_a_document_is_printed() {
        let edit = Edit::put(Key::new("entity", "pat-7").unwrap(), "{\"name\":\"Ann\"}").unwrap();
        assert_eq!(format!("{edit:?} {:?}", InvalidEdit::Id { bytes: 3 }), "put <entity> Id { bytes: 3 }");
    }
}
