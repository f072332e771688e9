//! Cedar's part of a decision: effect, determining policies, errors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::Remedy;
use crate::obligation::Obligation;

/// What Cedar's policies say, before any plugin is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub effect: VerdictEffect,
    /// The policies that determined it, sorted by id: the satisfied forbids if there are any,
    /// else the satisfied permits.
    pub determining: Vec<PolicyNote>,
    /// The policies that could not be evaluated, sorted by id.
    pub errors: Vec<PolicyError>,
    /// Whether some permit is satisfied, whatever forbids say: then the subject would have had
    /// access, and may be told what stands against it.
    pub permit_satisfied: bool,
}

/// The outcome of Cedar's policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictEffect {
    /// A permit is satisfied, no forbid is, and no forbid failed to evaluate.
    Permit,
    /// A forbid is satisfied.
    Forbidden,
    /// Nothing permits.
    NoPolicy,
    /// A permit is satisfied, but a forbid could not be evaluated; or facts that every policy
    /// rests on are absent, so that forbids might be silently disarmed. The text says which,
    /// without values.
    Indeterminate(String),
}

/// A determining policy, with what its author wrote about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyNote {
    /// The policy's `@id`.
    pub id: String,
    /// Whether it permits (or forbids).
    pub permits: bool,
    /// Its `@intent`: one line that says what it is for.
    pub intent: Option<String>,
    /// Its `@source`: the law or rule it implements.
    pub source: Option<String>,
    /// Its `@message`: a sentence that may be shown to the person asking, if some permit is
    /// satisfied (or `reveals`).
    pub message: Option<String>,
    /// `@reveals("existence")`: its message may be shown although nothing else permits, and so tell
    /// that the record exists. For rules about the workforce, which may know that.
    pub reveals: bool,
    /// Its `@obligation`s.
    pub obligations: Vec<Obligation>,
    /// Its `@advice`.
    pub advice: Vec<Obligation>,
    /// Its `@remedy`s.
    pub remedies: Vec<Remedy>,
}

/// A policy that could not be evaluated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyError {
    /// The policy's `@id`.
    pub id: String,
    /// Whether it is a permit (and so only grants nothing) or a forbid (and so denies).
    pub permits: bool,
    /// What went wrong: a code such as `missing-attribute`, without any value.
    pub code: String,
    /// Cedar's own message. It may quote entity ids, so it belongs to the full explanation only.
    pub message: String,
}

/// INVARIANT (no patient in logs): policy and code are printed, Cedar's message is not.
impl fmt::Debug for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.permits { "permit" } else { "forbid" };
        write!(f, "PolicyError({effect} {}, {})", self.id, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_policy_prints_which_and_not_about_whom() {
        let error = PolicyError {
            id: "care.read".into(),
            permits: false,
            code: "missing-attribute".into(),
            message: "`Patient::\"pat-7\"` does not have the attribute `state`".into(),
        };
        assert_eq!(format!("{error:?}"), "PolicyError(forbid care.read, missing-attribute)");
    }
}
