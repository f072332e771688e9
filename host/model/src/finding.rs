//! What a plugin returns: obligations, denials with their ground and remedy, calls for review, notes.
//!
//! INVARIANT (no patient in logs): a guest has seen the patient's facts and may repeat them in
//! any text it returns, its own codes included. `Debug` prints grounds, kinds and counts only.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::obligation::Obligation;
use crate::time::Instant;

/// What one plugin found in one request. Empty: nothing to add.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// What the caller must do if the answer is permit.
    pub obligations: Vec<Obligation>,
    /// What the caller may do.
    pub advice: Vec<Obligation>,
    /// Why the answer must be deny.
    pub denials: Vec<Denial>,
    /// Why a person must decide first; each denies until then.
    pub reviews: Vec<Review>,
    /// For the plugin's author; part of the full explanation only.
    pub notes: Vec<String>,
}

impl Findings {
    /// Whether nothing here stands against a permit.
    pub fn allows(&self) -> bool {
        self.denials.is_empty() && self.reviews.is_empty()
    }
}

/// One reason why the answer must be deny.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denial {
    /// The plugin's own code for the rule, such as `P8d`; at most 64 characters.
    pub code: String,
    /// A sentence that may be shown to the person asking, unless `neutral`.
    pub message: String,
    /// The legal or organizational ground.
    pub ground: Ground,
    /// Where the rule is written, such as `Cal. Fam. Code 6924`.
    pub citation: Option<String>,
    /// What would turn the denial into a permit.
    pub remedies: Vec<Remedy>,
    /// Whether this denial must look like an absent record to the person asking:
    /// INVARIANT (absent looks like forbidden).
    pub neutral: bool,
}

/// One question that a person must answer before the plugin can agree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Review {
    /// The plugin's own code for the rule.
    pub code: String,
    /// The question.
    pub question: String,
    /// The ground.
    pub ground: Ground,
    /// Where the rule is written.
    pub citation: Option<String>,
    /// Who should answer: the name of a queue, such as `privacy-office`.
    pub queue: String,
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { obligations, advice, denials, reviews, notes } = self;
        write!(
            f,
            "Findings({obligations:?}, advice {advice:?}, {denials:?}, {reviews:?}, {} notes)",
            notes.len()
        )
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denial({})", self.ground)
    }
}

impl fmt::Debug for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Review({})", self.ground)
    }
}

macro_rules! grounds {
    ($($(#[$doc:meta])* $variant:ident => $code:literal;)*) => {
        /// The ground on which a denial rests. Each has its place in the information-blocking
        /// exceptions (45 CFR part 171); `organization-policy` alone, against a patient's or a
        /// parent's own access, is what an auditor looks for.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Ground { $($(#[$doc])* #[serde(rename = $code)] $variant,)* }

        impl Ground {
            /// Every ground.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The ground as a kebab-case code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

grounds! {
    /// The minor consented, or could consent, to the service (45 CFR 164.502(g)(3)(i)).
    MinorConsent => "minor-consent";
    /// State or other law prohibits the disclosure.
    LawProhibits => "law-prohibits";
    /// The law leaves it to a licensed professional, who has not decided (164.502(g)(3)(ii)(C)).
    ProfessionalJudgement => "professional-judgement";
    /// An agreement of confidentiality was assented to (164.502(g)(3)(i)(C)).
    ConfidentialityAgreement => "confidentiality-agreement";
    /// Disclosure is likely to cause harm (164.524(a)(3)).
    Harm => "harm";
    /// The representative may endanger the person (164.502(g)(5)).
    Endangerment => "endangerment";
    /// A court has ordered otherwise.
    CourtOrder => "court-order";
    /// 42 CFR Part 2.
    Part2 => "part2";
    /// Psychotherapy notes (164.508(a)(2), 164.524(a)(1)(i)).
    PsychotherapyNotes => "psychotherapy-notes";
    /// The person asked for it not to be shared (164.522; 171.202(e)).
    IndividualRequest => "individual-request";
    /// The required consent or authorization is not on file.
    NoConsent => "no-consent";
    /// The person asking has no authority to act for the patient, or it has ended.
    NoAuthority => "no-authority";
    /// Identity or authority could not be verified (164.514(h)).
    IdentityUnverified => "identity-unverified";
    /// No treatment, payment or operations relationship.
    NoRelationship => "no-relationship";
    /// The approval asked for is missing, insufficient, stale or spent.
    ApprovalMissing => "approval-missing";
    /// No justification, or one that says too little.
    JustificationMissing => "justification-missing";
    /// No agreement (business associate, data sharing) in force with the recipient (164.504(e)).
    AgreementMissing => "agreement-missing";
    /// The place it would go to is not allowed.
    Destination => "destination";
    /// The purpose of use is not allowed.
    Purpose => "purpose";
    /// More than needed (164.502(b)).
    MinimumNecessary => "minimum-necessary";
    /// The law or its table row is unsettled: low confidence, under review, conflicting.
    LawUnsettled => "law-unsettled";
    /// A fact that the rule needs is not recorded.
    FactMissing => "fact-missing";
    /// Security of the session, device or channel.
    Security => "security";
    /// The organization's own rule, without a ground in law.
    OrganizationPolicy => "organization-policy";
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What would turn a denial into a permit, so that the caller can offer it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Remedy {
    /// An approval by others.
    Approval {
        /// What is to be approved, such as `export`.
        kind: String,
        /// How many distinct approvers are needed.
        quorum: u32,
        /// How many have approved.
        have: u32,
        /// Roles of which an approver must have one; empty: any.
        roles: Vec<String>,
        /// The data set that the approval must name.
        data_set: Option<String>,
    },
    /// A consent or authorization of the patient (or of the minor).
    Consent {
        /// The form it must have, such as `part2-written-consent`.
        form: String,
        /// The category of care it must cover.
        category: Option<String>,
    },
    /// A licensed professional's recorded decision.
    ClinicianDecision {
        /// The question, such as `disclose-to-parent`.
        question: String,
        /// The category of care.
        category: Option<String>,
    },
    /// Stronger authentication.
    StepUp {
        /// The authentication context class to reach.
        acr: String,
    },
    /// Break-glass: emergency access with a reason, reviewed afterwards.
    BreakGlass,
    /// Proof of identity.
    IdentityProofing {
        /// The level, such as `IAL2`.
        level: String,
    },
    /// A justification in words.
    Justification {
        /// How many characters it must have at least.
        min_length: u32,
    },
    /// An agreement in force with the recipient.
    Agreement {
        /// Which, such as `business-associate`.
        kind: String,
    },
    /// Asking for less.
    ReduceScope {
        /// How many records would be permitted.
        max_records: u64,
    },
    /// A person's review.
    HumanReview {
        /// The queue that reviews.
        queue: String,
    },
    /// The request on paper or in person.
    PaperRequest,
    /// Waiting.
    WaitUntil {
        /// Until when.
        instant: Instant,
    },
    /// A fact that must be recorded or supplied.
    SupplyFact {
        /// Its path, such as `patient.state`.
        path: String,
    },
    /// Something the organization describes itself.
    Other {
        /// The organization's own code.
        code: String,
    },
}

impl fmt::Debug for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Remedy {
    /// The codes of all kinds of remedy.
    pub const CODES: &[&str] = &[
        "approval",
        "consent",
        "clinician-decision",
        "step-up",
        "break-glass",
        "identity-proofing",
        "justification",
        "agreement",
        "reduce-scope",
        "human-review",
        "paper-request",
        "wait-until",
        "supply-fact",
        "other",
    ];

    /// The kind of remedy as a kebab-case code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Approval { .. } => "approval",
            Self::Consent { .. } => "consent",
            Self::ClinicianDecision { .. } => "clinician-decision",
            Self::StepUp { .. } => "step-up",
            Self::BreakGlass => "break-glass",
            Self::IdentityProofing { .. } => "identity-proofing",
            Self::Justification { .. } => "justification",
            Self::Agreement { .. } => "agreement",
            Self::ReduceScope { .. } => "reduce-scope",
            Self::HumanReview { .. } => "human-review",
            Self::PaperRequest => "paper-request",
            Self::WaitUntil { .. } => "wait-until",
            Self::SupplyFact { .. } => "supply-fact",
            Self::Other { .. } => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obligation::ObligationCode;
    use crate::value::Value;

    #[test]
    fn debug_output_of_findings_is_kinds_and_counts() {
        let secret = || "pat-7".to_owned();
        let code = || ObligationCode::Custom(secret());
        let findings = Findings {
            obligations: vec![Obligation::new(code()).with(secret(), Value::Text(secret().into()))],
            advice: vec![Obligation::new(ObligationCode::Audit)],
            denials: vec![Denial {
                code: secret(),
                message: secret(),
                ground: Ground::Harm,
                citation: Some(secret()),
                remedies: vec![Remedy::Other { code: secret() }],
                neutral: true,
            }],
            reviews: vec![Review {
                code: secret(),
                question: secret(),
                ground: Ground::Part2,
                citation: None,
                queue: secret(),
            }],
            notes: vec![secret()],
        };
        assert_eq!(
            format!("{findings:?} {:?}", findings.denials[0].remedies),
            "Findings([custom(1 parameters)], advice [audit(0 parameters)], [Denial(harm)], [Review(part2)], \
             1 notes) [other]"
        );
    }
}
