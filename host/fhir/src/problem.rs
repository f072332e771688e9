//! Why something is no Consent that could be stored.
//!
//! INVARIANT (no patient in logs): a problem says where and what was expected, never what was there.

use std::fmt;

use serde::Serialize;

/// Problems that a message spells out: as many as somebody reads. The others are counted.
const SHOWN_MAX: usize = 16;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("`{path}`: expected {expected}")]
pub struct Problem {
    /// Where: a FHIRPath, such as `Consent.provision.actor[0].role`.
    pub path: String,
    /// What should have been there.
    pub expected: &'static str,
}

/// All that is wrong, sorted by path; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().take(SHOWN_MAX).enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
