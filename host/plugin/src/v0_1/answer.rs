//! What a guest returns, as the contract types it and before anything of it is believed.
//!
//! Lifting these is bounded by the bytes a call may copy out of the guest; whether the texts,
//! dates and counts are acceptable is decided in [`super::accept`].

use wasmtime::component::{ComponentType, Lift};

use crate::v0_1::request::Value;

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct RelationNeed {
    pub(crate) kind: String,
    pub(crate) attributes: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Needs {
    pub(crate) attributes: Vec<String>,
    pub(crate) memberships: Vec<String>,
    pub(crate) relations: Vec<RelationNeed>,
    pub(crate) approvals: Vec<String>,
    pub(crate) consents: bool,
    #[component(name = "disclosure-decisions")]
    pub(crate) disclosure_decisions: bool,
    #[component(name = "value-sets")]
    pub(crate) value_sets: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    #[component(name = "settings-schema")]
    pub(crate) settings_schema: String,
    pub(crate) needs: Needs,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Problem {
    pub(crate) path: String,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum ObligationCode {
    #[component(name = "audit")]
    Audit,
    #[component(name = "account-disclosure")]
    AccountDisclosure,
    #[component(name = "redact")]
    Redact,
    #[component(name = "mask")]
    Mask,
    #[component(name = "minimum-necessary")]
    MinimumNecessary,
    #[component(name = "deidentify")]
    Deidentify,
    #[component(name = "pseudonymize")]
    Pseudonymize,
    #[component(name = "anonymize")]
    Anonymize,
    #[component(name = "watermark")]
    Watermark,
    #[component(name = "encrypt")]
    Encrypt,
    #[component(name = "data-loss-prevention")]
    DataLossPrevention,
    #[component(name = "redisclosure-notice")]
    RedisclosureNotice,
    #[component(name = "attach-consent")]
    AttachConsent,
    #[component(name = "segregate")]
    Segregate,
    #[component(name = "privacy-mark")]
    PrivacyMark,
    #[component(name = "no-persist")]
    NoPersist,
    #[component(name = "step-up")]
    StepUp,
    #[component(name = "notify")]
    Notify,
    #[component(name = "notify-without-phi")]
    NotifyWithoutPhi,
    #[component(name = "session-termination")]
    SessionTermination,
    #[component(name = "human-review")]
    HumanReview,
    #[component(name = "route-to-clinician")]
    RouteToClinician,
    #[component(name = "neutral-reason")]
    NeutralReason,
    #[component(name = "review-right-notice")]
    ReviewRightNotice,
    #[component(name = "suppress-billing-detail")]
    SuppressBillingDetail,
    #[component(name = "paper-request-route")]
    PaperRequestRoute,
    #[component(name = "break-glass-review")]
    BreakGlassReview,
    #[component(name = "custom")]
    Custom(String),
}

impl From<ObligationCode> for assent_model::ObligationCode {
    fn from(code: ObligationCode) -> Self {
        match code {
            ObligationCode::Audit => Self::Audit,
            ObligationCode::AccountDisclosure => Self::AccountDisclosure,
            ObligationCode::Redact => Self::Redact,
            ObligationCode::Mask => Self::Mask,
            ObligationCode::MinimumNecessary => Self::MinimumNecessary,
            ObligationCode::Deidentify => Self::Deidentify,
            ObligationCode::Pseudonymize => Self::Pseudonymize,
            ObligationCode::Anonymize => Self::Anonymize,
            ObligationCode::Watermark => Self::Watermark,
            ObligationCode::Encrypt => Self::Encrypt,
            ObligationCode::DataLossPrevention => Self::DataLossPrevention,
            ObligationCode::RedisclosureNotice => Self::RedisclosureNotice,
            ObligationCode::AttachConsent => Self::AttachConsent,
            ObligationCode::Segregate => Self::Segregate,
            ObligationCode::PrivacyMark => Self::PrivacyMark,
            ObligationCode::NoPersist => Self::NoPersist,
            ObligationCode::StepUp => Self::StepUp,
            ObligationCode::Notify => Self::Notify,
            ObligationCode::NotifyWithoutPhi => Self::NotifyWithoutPhi,
            ObligationCode::SessionTermination => Self::SessionTermination,
            ObligationCode::HumanReview => Self::HumanReview,
            ObligationCode::RouteToClinician => Self::RouteToClinician,
            ObligationCode::NeutralReason => Self::NeutralReason,
            ObligationCode::ReviewRightNotice => Self::ReviewRightNotice,
            ObligationCode::SuppressBillingDetail => Self::SuppressBillingDetail,
            ObligationCode::PaperRequestRoute => Self::PaperRequestRoute,
            ObligationCode::BreakGlassReview => Self::BreakGlassReview,
            ObligationCode::Custom(code) => Self::Custom(code),
        }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: Value<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Obligation {
    pub(crate) code: ObligationCode,
    pub(crate) parameters: Vec<Parameter>,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "lifting makes the cases from their numbers")]
pub(crate) enum Ground {
    #[component(name = "minor-consent")]
    MinorConsent,
    #[component(name = "law-prohibits")]
    LawProhibits,
    #[component(name = "professional-judgement")]
    ProfessionalJudgement,
    #[component(name = "confidentiality-agreement")]
    ConfidentialityAgreement,
    #[component(name = "harm")]
    Harm,
    #[component(name = "endangerment")]
    Endangerment,
    #[component(name = "court-order")]
    CourtOrder,
    #[component(name = "part2")]
    Part2,
    #[component(name = "psychotherapy-notes")]
    PsychotherapyNotes,
    #[component(name = "individual-request")]
    IndividualRequest,
    #[component(name = "no-consent")]
    NoConsent,
    #[component(name = "no-authority")]
    NoAuthority,
    #[component(name = "identity-unverified")]
    IdentityUnverified,
    #[component(name = "no-relationship")]
    NoRelationship,
    #[component(name = "approval-missing")]
    ApprovalMissing,
    #[component(name = "justification-missing")]
    JustificationMissing,
    #[component(name = "agreement-missing")]
    AgreementMissing,
    #[component(name = "destination")]
    Destination,
    #[component(name = "purpose")]
    Purpose,
    #[component(name = "minimum-necessary")]
    MinimumNecessary,
    #[component(name = "law-unsettled")]
    LawUnsettled,
    #[component(name = "fact-missing")]
    FactMissing,
    #[component(name = "security")]
    Security,
    #[component(name = "organization-policy")]
    OrganizationPolicy,
}

impl From<Ground> for assent_model::Ground {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::MinorConsent => Self::MinorConsent,
            Ground::LawProhibits => Self::LawProhibits,
            Ground::ProfessionalJudgement => Self::ProfessionalJudgement,
            Ground::ConfidentialityAgreement => Self::ConfidentialityAgreement,
            Ground::Harm => Self::Harm,
            Ground::Endangerment => Self::Endangerment,
            Ground::CourtOrder => Self::CourtOrder,
            Ground::Part2 => Self::Part2,
            Ground::PsychotherapyNotes => Self::PsychotherapyNotes,
            Ground::IndividualRequest => Self::IndividualRequest,
            Ground::NoConsent => Self::NoConsent,
            Ground::NoAuthority => Self::NoAuthority,
            Ground::IdentityUnverified => Self::IdentityUnverified,
            Ground::NoRelationship => Self::NoRelationship,
            Ground::ApprovalMissing => Self::ApprovalMissing,
            Ground::JustificationMissing => Self::JustificationMissing,
            Ground::AgreementMissing => Self::AgreementMissing,
            Ground::Destination => Self::Destination,
            Ground::Purpose => Self::Purpose,
            Ground::MinimumNecessary => Self::MinimumNecessary,
            Ground::LawUnsettled => Self::LawUnsettled,
            Ground::FactMissing => Self::FactMissing,
            Ground::Security => Self::Security,
            Ground::OrganizationPolicy => Self::OrganizationPolicy,
        }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ApprovalRemedy {
    pub(crate) kind: String,
    pub(crate) quorum: u32,
    pub(crate) have: u32,
    pub(crate) roles: Vec<String>,
    #[component(name = "data-set")]
    pub(crate) data_set: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ConsentRemedy {
    pub(crate) form: String,
    pub(crate) category: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ClinicianRemedy {
    pub(crate) question: String,
    pub(crate) category: Option<String>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Remedy {
    #[component(name = "approval")]
    Approval(ApprovalRemedy),
    #[component(name = "consent")]
    Consent(ConsentRemedy),
    #[component(name = "clinician-decision")]
    ClinicianDecision(ClinicianRemedy),
    #[component(name = "step-up")]
    StepUp(String),
    #[component(name = "break-glass")]
    BreakGlass,
    #[component(name = "identity-proofing")]
    IdentityProofing(String),
    #[component(name = "justification")]
    Justification(u32),
    #[component(name = "agreement")]
    Agreement(String),
    #[component(name = "reduce-scope")]
    ReduceScope(u64),
    #[component(name = "human-review")]
    HumanReview(String),
    #[component(name = "paper-request")]
    PaperRequest,
    #[component(name = "wait-until")]
    WaitUntil(i64),
    #[component(name = "supply-fact")]
    SupplyFact(String),
    #[component(name = "other")]
    Other(String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Denial {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) ground: Ground,
    pub(crate) citation: Option<String>,
    pub(crate) remedies: Vec<Remedy>,
    pub(crate) neutral: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Review {
    pub(crate) code: String,
    pub(crate) question: String,
    pub(crate) ground: Ground,
    pub(crate) citation: Option<String>,
    pub(crate) queue: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Findings {
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) advice: Vec<Obligation>,
    pub(crate) denials: Vec<Denial>,
    pub(crate) reviews: Vec<Review>,
    pub(crate) notes: Vec<String>,
}
