//! Why a record cannot be written or read. No message quotes a value of the record.

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer release.
    #[error(
        "the record has version {found}, this release reads up to {known}: use a newer release of assent"
    )]
    UnknownVersion {
        /// The record's version.
        found: u64,
        /// The highest known.
        known: u32,
    },
    /// Of a version in which its kind of event is not written.
    #[error("a record of kind `{kind}` does not have version {found}: it was not written by assent")]
    OtherVersion {
        /// The kind.
        kind: &'static str,
        /// The record's version.
        found: u32,
    },
    /// There is no `version`, or it is no whole number.
    #[error("the record has no `version`: these bytes are not a record")]
    NoVersion,
    /// Not JSON.
    #[error("the record is not JSON: {category} error at byte {column}")]
    Syntax {
        /// serde_json's category: `syntax`, `data`, `eof`.
        category: &'static str,
        /// Where, counted from 1.
        column: usize,
    },
    /// JSON of another form: a member missing, unknown kind, wrong type.
    #[error("the record does not have the form of its version: {expected}")]
    Shape {
        /// What was expected, with quoted text removed.
        expected: String,
    },
    /// Another spelling of the same JSON.
    #[error("the record is not in canonical form: it was not written by assent")]
    NotCanonical,
    /// Effect and cause say different things.
    #[error("the decision's effect contradicts its cause")]
    EffectContradictsCause,
    /// Nested more deeply than can be read back.
    #[error("the record is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}

impl RecordError {
    pub(super) fn syntax(error: &serde_json::Error) -> Self {
        let category = match error.classify() {
            serde_json::error::Category::Io => "io",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "data",
            serde_json::error::Category::Eof => "eof",
        };
        Self::Syntax { category, column: error.column() }
    }

    /// serde names members and variants in backticks and quotes unexpected values in double quotes; the
    /// latter may identify a patient, and an unknown variant is a value too.
    pub(super) fn shape(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let expected = match text.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None if text.starts_with("missing field") => text,
            None => "a value is not well-formed".to_owned(),
        };
        Self::Shape { expected }
    }
}
