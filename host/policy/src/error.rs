//! What can be wrong with policies, schema, entities (found at load, for their authors) and with a
//! request (found at decision time, for the caller).
//!
//! INVARIANT (no patient in logs): load problems may quote the files and edits they are about, since those
//! who load them wrote them, and nothing else that is stored; as `Debug` they show their place alone. An
//! [`Unprepared`] never quotes a value of the request.

use std::fmt;

/// How a problem with the name of an entity ends, so that those who must not show such names can tell.
pub const NOT_AMONG_ENTITIES: &str = "which is not among the entities";

/// One problem in one place of one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadProblem {
    /// The file's name as it was given.
    pub file: String,
    /// Line, counted from 1; 0 where the problem belongs to the whole file.
    pub line: usize,
    /// Column in characters, counted from 1; 0 where it belongs to the whole file.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to put it right, where that is known.
    pub help: Option<String>,
}

impl LoadProblem {
    /// A problem of a whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// INVARIANT (no patient in logs): the place, and not what is wrong there, which may quote an entity.
impl fmt::Debug for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadProblem(")?;
        self.write_place(f)?;
        f.write_str(")")
    }
}

impl fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_place(f)?;
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// Every problem that was found, by file, line and column; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(pub Vec<LoadProblem>);

impl LoadErrors {
    /// `Ok` where there are no problems; else all of them, sorted, each once.
    pub(crate) fn check(mut problems: Vec<LoadProblem>) -> Result<(), Self> {
        problems.sort();
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Why a request cannot become a question that policies can be asked. Each of these denies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unprepared {
    /// No entity with the subject's type and id is stored.
    #[error("the subject is not known")]
    UnknownSubject,
    /// No entity with the resource's type and id is stored.
    #[error("the resource is not known")]
    UnknownResource,
    /// The action is in no table and not in the schema.
    #[error("the action is not known")]
    UnknownAction,
    /// The organization's table does not name this type.
    #[error("the type of `{path}` is not mapped to an entity type")]
    UnknownType {
        /// `subject.type` or `resource.type`.
        path: &'static str,
    },
    /// The schema does not let this action be taken by a subject, or on a resource, of this type.
    #[error("action `{action}` does not apply to {path} `{entity_type}`")]
    NotApplicable {
        /// The action's Cedar id.
        action: String,
        /// `subject.type` or `resource.type`.
        path: &'static str,
        /// The Cedar entity type.
        entity_type: String,
    },
    /// The schema knows this attribute, and its value is missing or of another kind.
    #[error("`{path}` must be {expected}")]
    BadAttribute {
        /// Where, such as `context.session.mfa`.
        path: String,
        /// What it must be.
        expected: String,
    },
    /// The caller supplied another value than is stored, or two values for one attribute. Neither
    /// can be trusted more than the other.
    #[error("`{path}` was supplied with a value that contradicts another one of it")]
    Contradiction {
        /// Where, such as `resource.properties.recordCount`.
        path: String,
    },
    /// A reference to an entity that is not stored.
    #[error("`{path}` refers to an entity that is not known")]
    DanglingReference {
        /// Where, such as `context.app.client`.
        path: String,
    },
    /// The host itself did not provide a value that the schema requires of it.
    #[error("the host does not provide `{path}`, which must be {expected}")]
    HostValue {
        /// Where, such as `context.callerEnvironment`.
        path: String,
        /// What it must be.
        expected: String,
    },
    /// A fact that the question could stand on is older than the schema lets it be.
    #[error(
        "`{path}` is older than it may be, of an entity that this question reaches: it must be provided again"
    )]
    Stale {
        /// Entity type and attribute, such as `Practitioner.licence`.
        path: String,
    },
    /// The stored facts could not be put before the policies, such as those of another schema.
    #[error("the facts could not be assembled")]
    Facts,
}

impl Unprepared {
    /// The kind of failure as a metric label.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownSubject => "unknown_subject",
            Self::UnknownResource => "unknown_resource",
            Self::UnknownAction => "unknown_action",
            Self::UnknownType { .. } => "unknown_type",
            Self::NotApplicable { .. } => "not_applicable",
            Self::BadAttribute { .. } => "bad_attribute",
            Self::Contradiction { .. } => "contradiction",
            Self::DanglingReference { .. } => "dangling_reference",
            Self::HostValue { .. } => "host_value",
            Self::Stale { .. } => "stale_fact",
            Self::Facts => "facts",
        }
    }
}
