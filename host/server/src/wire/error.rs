//! What can be wrong with a body. All of it is the caller's to mend, so all of it is HTTP 400;
//! within a batch it makes the one item false. The texts hold no part of the body.

/// Why a body, or one item of a batch, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON: a syntax error, invalid UTF-8, a lone surrogate, a number beyond a double.
    #[error("malformed JSON at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1; 0 where the line is empty.
        column: usize,
    },
    /// Two members of one object have the same name (RFC 7493, section 2.3).
    #[error("duplicate member name at line {line}, column {column}")]
    DuplicateName {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// Nested deeper than the limit.
    #[error("nested more than {max} levels deep")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// More values than the limit.
    #[error("more than {max} JSON values")]
    TooManyValues {
        /// The limit.
        max: usize,
    },
    /// The body is JSON, but no object.
    #[error("expected a JSON object")]
    NotAnObject,
    /// A required member is absent.
    #[error("`{path}` is missing: expected {expected}")]
    Missing {
        /// Its path, such as `subject.id`.
        path: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A member has the wrong type.
    #[error("`{path}`: expected {expected}")]
    Expected {
        /// Its path, such as `subject.id`.
        path: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A batch with more items than the limit.
    #[error("`evaluations`: expected at most {max} items")]
    BatchTooLarge {
        /// The limit.
        max: usize,
    },
}
