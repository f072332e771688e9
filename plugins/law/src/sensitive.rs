//! Categories that are sensitive at any age: what each jurisdiction asks for before release.
//!
//! The rules and the words they use are `data/sensitive/`, checked and compiled by the build script;
//! `SENSITIVE.md` says how to read them. Here are their types, the look-ups, and what is part of what
//! among labels and purposes. INVARIANT (exact purposes): no purpose that is only met by itself
//! (break-glass, emergency treatment, machine learning) is ever reached through a wider one.

use crate::minor_consent::Day;
pub use crate::minor_consent::{Basis, Confidence};

mod hierarchy;

pub use hierarchy::{
    is_emergency, known_label, known_purpose, label_is, label_within, labels_of, purpose_in, purpose_is,
};

include!(concat!(env!("OUT_DIR"), "/sensitive.rs"));

/// The rule of this id.
pub fn rule(id: &str) -> Option<&'static Rule<'static>> {
    RULES.binary_search_by(|rule| rule.id.cmp(id)).ok().and_then(|at| RULES.get(at))
}

/// The form of consent of this id.
pub fn form(id: &str) -> Option<&'static Form<'static>> {
    FORMS.binary_search_by(|form| form.id.cmp(id)).ok().and_then(|at| FORMS.get(at))
}

/// The exception of this id.
pub fn exception(id: &str) -> Option<&'static Exception> {
    EXCEPTIONS.binary_search_by(|exception| exception.id.cmp(id)).ok().and_then(|at| EXCEPTIONS.get(at))
}

/// Kinds of organization that a rule can be limited to; an organization says which it is.
pub const HOLDERS: &[&str] = &[
    "provider",
    "mental-health-facility",
    "treatment-facility",
    "part2-program",
    "exchange",
    "health-plan",
    "digital-mental-health",
    "consumer-service",
];

/// One rule: what a jurisdiction asks for before records of a category are released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Such as `ny-hiv`; the code of the findings that rest on it.
    pub id: &'a str,
    /// The category in words.
    pub title: &'a str,
    /// USPS code; `US`: federal; `ORG`: the organization's own.
    pub jurisdiction: &'a str,
    /// How a record shows that the rule is about it.
    pub marked_by: MarkedBy,
    /// The labels; narrower ones count as well.
    pub labels: &'a [&'a str],
    /// Not about records that are known not to be a Part 2 program's.
    pub unless_not_part2: bool,
    /// Whether use inside the organization counts, or release to others only.
    pub what: What,
    /// The kinds of organization it binds; empty: all.
    pub holders: &'a [&'a str],
    /// The purposes it is about, with what is part of them; empty: all.
    pub purposes: &'a [&'a str],
    /// Whether it also binds where a representative asks in the patient's place.
    pub representatives: bool,
    /// What holds without consent.
    pub default: Default,
    /// The forms of consent of which one is enough.
    pub forms: &'a [&'a str],
    /// Whether the consent must name the recipient.
    pub names_recipient: bool,
    /// Exceptions, by id.
    pub exceptions: &'a [&'a str],
    /// What must be done with a release.
    pub obligations: &'a [Obligation],
    /// The ground of a denial.
    pub ground: Ground,
    /// Where the rule is written.
    pub citation: &'a str,
    /// Since when it holds, if that is known.
    pub effective_from: Option<Day>,
    /// When the source was read.
    pub source_snapshot: &'a str,
    /// How sure the compilers are.
    pub confidence: Confidence,
    /// What the row rests on.
    pub basis: Basis,
    /// The law conflicts or is moving.
    pub under_review: bool,
    /// Who answers for the row.
    pub owner: &'a str,
}

impl Rule<'_> {
    /// Whether the row must not decide alone.
    pub const fn unsettled(&self) -> bool {
        self.under_review || matches!(self.confidence, Confidence::Low)
    }
}

/// How a record shows that a rule is about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedBy {
    /// By one of the rule's labels.
    AnyLabel,
    /// By all of them.
    AllLabels,
    /// The rule is about every record.
    AnyRecord,
}

/// What a rule limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Release to others than the organization that holds the record.
    Disclosure,
    /// Use inside it as well.
    UseAndDisclosure,
}

/// What holds where no consent is on file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// No release.
    Deny,
    /// No release, and no right of access for the patient either.
    DenyAlsoToPatient,
    /// No release, consent or not.
    DenyAlways,
    /// No release by or to a health information exchange.
    DenyExchange,
    /// No release to recipients outside the state, or of unknown state.
    DenyOutOfState,
    /// No release to legal process from outside the state, or of unknown state.
    DenyOutOfStateProcess,
    /// No release for other purposes than treatment, payment and operations.
    DenyOutsideTpo,
    /// The record must stay in the United States.
    DenyStorageAbroad,
    /// No release to a health plan for payment or operations.
    DenyToPlan,
    /// No access without a treatment relationship.
    DenyWithoutRelationship,
    /// A representative may be refused, by professional judgement.
    MayRefuseRepresentative,
    /// Release of the relevant part only.
    PermitRelevantPart,
    /// Release, but communications go to the person alone.
    RouteCommunications,
    /// The rule is kept for the record; it does not hold.
    NotInForce,
}

impl Default {
    /// All of them with their codes in the data.
    pub const ALL: &[(&str, Self)] = &[
        ("deny", Self::Deny),
        ("deny-also-to-patient", Self::DenyAlsoToPatient),
        ("deny-always", Self::DenyAlways),
        ("deny-exchange", Self::DenyExchange),
        ("deny-out-of-state", Self::DenyOutOfState),
        ("deny-out-of-state-process", Self::DenyOutOfStateProcess),
        ("deny-outside-tpo", Self::DenyOutsideTpo),
        ("deny-storage-abroad", Self::DenyStorageAbroad),
        ("deny-to-plan", Self::DenyToPlan),
        ("deny-without-relationship", Self::DenyWithoutRelationship),
        ("may-refuse-representative", Self::MayRefuseRepresentative),
        ("not-in-force", Self::NotInForce),
        ("permit-relevant-part", Self::PermitRelevantPart),
        ("route-communications", Self::RouteCommunications),
    ];

    /// Reads a code; none: there is no such code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == code).map(|(_, default)| *default)
    }
}

/// The ground of a denial, in the words of the plugin contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the plugin contract documents each ground")]
pub enum Ground {
    Destination,
    Endangerment,
    IndividualRequest,
    LawProhibits,
    NoConsent,
    NoRelationship,
    Part2,
    PsychotherapyNotes,
    Purpose,
}

/// Something to do with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// The code of the plugin contract, or a caller's own.
    pub code: &'static str,
    /// When it is due.
    pub when: When,
    /// With what: names and values.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// When an obligation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With every release.
    Always,
    /// Where the release rests on a consent.
    Consent,
    /// Where it rests on an exception.
    Exception,
}

/// A form of consent: the name by which a consent on file says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    /// Such as `part2-tpo`.
    pub id: &'a str,
    /// The purposes it can cover, with what is part of them; `*`: any.
    pub purposes: &'a [&'a str],
    /// The purposes it never covers, with what is part of them.
    pub except_purposes: &'a [&'a str],
    /// Whether it must name the recipient.
    pub names_recipient: bool,
    /// How long it lasts when it states no end, in days.
    pub lapses_after_days: Option<u32>,
}

/// An exception that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Such as `medical-emergency`.
    pub id: &'static str,
    /// It in words.
    pub words: &'static str,
    /// Which facts show that it applies.
    pub evidence: Evidence,
    /// Where no fact can show it: the purposes for which a person must decide; empty: any purpose.
    pub purposes: &'static [&'static str],
}

/// Which facts show that an exception applies; `data/sensitive/exceptions.toml` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented beside the exceptions, for readers of the data")]
pub enum Evidence {
    Emergency,
    Treating,
    CareTeam,
    Program,
    Payer,
    PublicHealth,
    Author,
    Organization,
    Relationship,
    None,
}

/// A row of minor consent that limits it, or that requires disclosure of treatment for substance use to
/// the parent: an excerpt, for rules that need no more of that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Such as `OH.outpatient_mental_health`: the code of findings that rest on it.
    pub id: &'static str,
    /// USPS code; `US`: federal.
    pub state: &'static str,
    /// The category of care.
    pub category: &'static str,
    /// Whether the minor may consent, within limits.
    pub consent_ends: bool,
    /// Whether the parent must be told.
    pub requires_disclosure: bool,
    /// The age from which the minor may consent.
    pub min_age: Option<u8>,
    /// The most sessions.
    pub sessions_max: Option<u16>,
    /// The longest course of treatment, or the time until it is determined anew, in days.
    pub days_max: Option<u16>,
    /// The age from which the consent covers medication.
    pub medication_from_age: Option<u8>,
    /// A negative test result may not be disclosed.
    pub negative_result_withheld: bool,
    /// The row is about positive test results only.
    pub only_positive_result: bool,
    /// The setting or subject to which the consent is limited; empty: none. No fact of a record shows it.
    pub setting: &'static str,
    /// Where the rule is written.
    pub citation: &'static str,
}

/// A sensitivity label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The HL7 v3 ActCode.
    pub code: &'static str,
    /// The label it is part of.
    pub broader: Option<&'static str>,
    /// The label that says the same.
    pub equals: Option<&'static str>,
    /// Whether it is about what a patient's own entry holds.
    pub demographic: bool,
}

/// A purpose of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The HL7 v3 PurposeOfUse code.
    pub code: &'static str,
    /// The purpose it is part of.
    pub broader: Option<&'static str>,
    /// Whether it is met only by itself.
    pub exact: bool,
}

#[cfg(test)]
mod tests;
