//! Why a step is refused, for whoever tried it.
//!
//! INVARIANT (no patient in logs): messages name fields, roles and states, and nothing of what was given.

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` must be {expected}")]
pub struct Unfit {
    /// Which, as the document writes it.
    pub setting: &'static str,
    /// What it should be.
    pub expected: &'static str,
}

/// Why a step is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Something given is missing, too long, or of another kind.
    #[error("`{field}` must be {expected}")]
    Invalid {
        /// Which, as the document writes it.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The words that justify an emergency are fewer than the settings ask for.
    #[error("`justification` must be {chars} characters or more: say why in words")]
    JustificationShort {
        /// How many characters there must be.
        chars: u32,
    },
    /// The settings make no sense, so that nothing can be begun under them.
    #[error("the settings cannot be used: {0}; whoever administers them must change this")]
    Settings(#[from] Unfit),

    /// Whoever asks for an approval does not answer it.
    #[error("whoever asked for an approval cannot answer it: somebody else must")]
    OwnRequest,
    /// Only whoever asked takes the question back.
    #[error("only whoever asked for an approval can withdraw it: revoke it, in a role that approves")]
    NotRequester,
    /// None of the person's roles is one of those that may.
    #[error("this takes one of the roles {}", list(.roles))]
    RoleMissing {
        /// Those that may.
        roles: Vec<String>,
    },
    /// Whoever declared an emergency does not review it.
    #[error("whoever declared an emergency cannot review it: somebody else must")]
    OwnEmergency,
    /// Only its author withdraws a decision, where the settings name no roles that may.
    #[error("only the author of a decision can withdraw it: the settings name no role that may")]
    NotAuthor,
    /// One person cannot be two.
    #[error("whoever proposed the release cannot confirm it: somebody else must")]
    SamePerson,

    /// The person has answered.
    #[error("this person has answered already: an answer stands, but an approval can be revoked")]
    Answered,
    /// It is in a state in which this cannot be done.
    #[error("this is {is} and cannot be {wanted}; {remedy}")]
    State {
        /// The state.
        is: &'static str,
        /// What was to be done with it.
        wanted: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The decision has used it.
    #[error("this decision has been counted as a use already: count each decision once")]
    Counted,
    /// The emergency was reviewed.
    #[error("this emergency has been reviewed already: the review stands")]
    Reviewed,
    /// A release is proposed.
    #[error("a release is proposed already: confirm it, or take it back first")]
    Proposed,
    /// No release is proposed.
    #[error("no release is proposed: propose it first, and let another person confirm it")]
    NotProposed,
    /// A new version of a document cannot be another patient's.
    #[error("a new version must be of the same patient: record it under another id")]
    OtherPatient,
}

/// What is wrong in a refusal, which is what an answer over HTTP says by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// What was given is wrong (422).
    Invalid,
    /// This person may not (403).
    Forbidden,
    /// Not in this state (409).
    Conflict,
}

impl Refused {
    /// A code that stays the same, in kebab case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::JustificationShort { .. } => "justification-short",
            Self::Settings(_) => "settings-unusable",
            Self::OwnRequest => "own-request",
            Self::NotRequester => "not-requester",
            Self::RoleMissing { .. } => "role-missing",
            Self::OwnEmergency => "own-emergency",
            Self::NotAuthor => "not-author",
            Self::SamePerson => "same-person",
            Self::Answered => "answered-already",
            Self::State { .. } => "wrong-state",
            Self::Counted => "use-counted-already",
            Self::Reviewed => "reviewed-already",
            Self::Proposed => "release-proposed-already",
            Self::NotProposed => "release-not-proposed",
            Self::OtherPatient => "other-patient",
        }
    }

    /// What is wrong.
    #[must_use]
    pub const fn group(&self) -> Group {
        match self {
            Self::Invalid { .. } | Self::JustificationShort { .. } | Self::Settings(_) => Group::Invalid,
            Self::OwnRequest
            | Self::NotRequester
            | Self::RoleMissing { .. }
            | Self::OwnEmergency
            | Self::NotAuthor
            | Self::SamePerson => Group::Forbidden,
            Self::Answered
            | Self::State { .. }
            | Self::Counted
            | Self::Reviewed
            | Self::Proposed
            | Self::NotProposed
            | Self::OtherPatient => Group::Conflict,
        }
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_refusal_has_a_code_of_its_own_and_says_what_to_do() {
        let all = [
            Refused::Invalid { field: "reason", expected: "given" },
            Refused::JustificationShort { chars: 10 },
            Refused::Settings(Unfit { setting: "quorum", expected: "1 or more" }),
            Refused::OwnRequest,
            Refused::NotRequester,
            Refused::RoleMissing { roles: vec!["privacy-officer".into()] },
            Refused::OwnEmergency,
            Refused::NotAuthor,
            Refused::SamePerson,
            Refused::Answered,
            Refused::State { is: "expired", wanted: "answered", remedy: "ask anew" },
            Refused::Counted,
            Refused::Reviewed,
            Refused::Proposed,
            Refused::NotProposed,
            Refused::OtherPatient,
        ];
        let codes: BTreeSet<_> = all.iter().map(Refused::code).collect();
        assert_eq!(codes.len(), all.len());
        for refused in &all {
            let kebab = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(refused.code().bytes().all(kebab), "{}", refused.code());
            let message = refused.to_string();
            assert!(!message.ends_with('.') && !message.contains('\n'), "{message}");
            assert!(message.starts_with(|first: char| first == '`' || first.is_lowercase()), "{message}");
        }
        let message = Refused::RoleMissing { roles: vec!["a".into(), "b".into()] }.to_string();
        assert_eq!(message, "this takes one of the roles `a`, `b`");
    }
}
