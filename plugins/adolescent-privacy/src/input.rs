//! What the decision table looks at, as plain values: the subject, the patient, what is asked for,
//! and how the organization has set the rule.
//!
//! INVARIANT (unknown is not harmless): everything that protects the minor when it is absent is an
//! `Option` or has a value that says so; nothing is defaulted to the permissive side.

use assent_law::minor_consent::{Day, Disclosure, MayConsent, Row};

/// One case to judge.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Who asks.
    pub subject: Subject<'a>,
    /// Whose record it is.
    pub patient: Patient<'a>,
    /// What is asked for.
    pub resource: Resource<'a>,
    /// What professionals and courts have said.
    pub flags: Flags<'a>,
    /// How the organization has set the rule.
    pub organization: &'a Organization,
    /// Today in the patient's time zone; none: not known, and no dated row is in force.
    pub today: Option<Day>,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Subject<'a> {
    /// In which capacity; none: not known.
    pub kind: Option<SubjectKind>,
    /// `parent`, `guardian`, `court-custodian`, `in-loco-parentis`, ...; empty: none on record.
    pub relationship: &'a str,
    /// The relationship has been verified (45 CFR 164.514(h)).
    pub relationship_verified: bool,
    /// The person's identity has been proofed.
    pub identity_proofed: bool,
    /// The standing as representative has ended or not begun.
    pub proxy_expired: bool,
    /// It has been revoked.
    pub proxy_revoked: bool,
    /// A parent has delegated in writing.
    pub delegation_by_parent: bool,
    /// Categories of care that an adult patient opened to this person.
    pub adult_authorization: Vec<&'a str>,
}

/// In which capacity somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// The patient.
    Own,
    /// Somebody for the patient.
    Proxy,
}

/// Whose record it is.
#[derive(Clone, Debug, Default)]
pub struct Patient<'a> {
    /// Completed years today, in the patient's zone; none: not known.
    pub age: Option<u32>,
    /// State of residence, USPS code; empty: not known.
    pub state: &'a str,
    /// Emancipated by a court or by law.
    pub emancipated: bool,
    /// Treated as an adult: married, in the military, a parent, living apart.
    pub status_minor: bool,
    /// Cannot make the decisions of their age.
    pub diminished_capacity: bool,
    /// What the teen has opened to representatives.
    pub teen_grant: TeenGrant,
    /// The minor asked that the parent be treated as representative (164.502(g)(3)(i)(A)).
    pub teen_requests_representative: bool,
    /// The minor's written consent to disclose Part 2 records to the parent (42 CFR 2.14).
    pub teen_consents_part2_disclosure: bool,
}

/// What a teen has opened to representatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TeenGrant {
    /// Nothing.
    #[default]
    None,
    /// Messages.
    Messages,
    /// The record, without what the law keeps apart.
    Standard,
    /// Everything.
    Full,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Resource<'a> {
    /// The categories of care in it.
    pub categories: Vec<Requested<'a>>,
    /// One item, or the answer to a search.
    pub kind: Kind,
    /// What part of a portal it belongs to.
    pub function: Function,
    /// State where the service was given, USPS code; empty: not known.
    pub service_state: &'a str,
    /// When it was given.
    pub service_date: Option<Day>,
    /// Whether the minor consented to it.
    pub minor_consented: MinorConsented,
    /// A court or another person authorized by law consented.
    pub alternative_lawful_consent: bool,
    /// The parent assented to an agreement of confidentiality.
    pub confidentiality_agreement: bool,
    /// Record of a 42 CFR Part 2 program.
    pub part2: bool,
    /// Marked as a confidential note.
    pub confidential_note: bool,
    /// Why, where it is recorded.
    pub confidential_basis: Option<ConfidentialBasis>,
    /// A message that the teen wrote.
    pub teen_authored: bool,
    /// An event recorded that the statute names as exception to its prohibition.
    pub statutory_exception: bool,
    /// A professional's statement that disclosure would cause substantial harm (164.524(a)(3)(iii)).
    pub harm_statement: bool,
    /// That statement is about this very item.
    pub harm_item: bool,
    /// Sessions of the service so far.
    pub sessions: Option<i64>,
    /// Days since the course of treatment began.
    pub days: Option<i64>,
    /// It is about medication.
    pub medication: bool,
    /// Result of a test.
    pub test_result: Option<TestResult>,
}

/// A category of care in what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested<'a> {
    /// Its code, such as `sti_hiv`; may be one that no table knows.
    pub code: &'a str,
    /// Nobody named it: the answer to a search of unknown content may hold it.
    pub implied: bool,
}

/// One item, or the answer to a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One item: withheld as a whole.
    #[default]
    Item,
    /// Several: what must be withheld can be left out.
    List,
}

/// What part of a portal something belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Function {
    /// The clinical record; also what does not say.
    #[default]
    Clinical,
    /// Secure messages.
    Messaging,
    /// Appointments.
    Scheduling,
    /// Immunizations.
    Immunization,
    /// Bills, statements, explanations of benefits.
    Billing,
    /// Forms and demographic data.
    Forms,
    /// Who may act for the patient.
    ProxyAdmin,
}

/// Whether the minor consented to a service. `Yes` also where a parent consented as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinorConsented {
    /// The minor consented.
    Yes,
    /// A parent's consent was the operative one.
    No,
    /// Not recorded: taken as yes, where the minor could.
    #[default]
    Unknown,
}

/// Why a note is confidential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfidentialBasis {
    /// Harm.
    Harm,
    /// An agreement of confidentiality.
    Agreement,
    /// A court's order.
    Court,
    /// Psychotherapy notes.
    Psychotherapy,
    /// The minor consented to the care alone.
    MinorConsent,
}

/// Result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestResult {
    /// Found.
    Positive,
    /// Not found.
    Negative,
}

/// What professionals and courts have said.
#[derive(Clone, Debug, Default)]
pub struct Flags<'a> {
    /// A court has ordered that this person has no access.
    pub court_order_no_access: bool,
    /// A court has ended this person's parental rights.
    pub rights_terminated: bool,
    /// Treating this person as representative could endanger the patient (164.502(g)(5)).
    pub endangerment: bool,
    /// Access endangers the patient's own life or physical safety (164.524(a)(3)(i)).
    pub patient_harm: bool,
    /// Licensed professionals' decisions in force, about this service and this person.
    pub decisions: Vec<Decided<'a>>,
}

/// A licensed professional's decision on one category of care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided<'a> {
    /// The category.
    pub category: &'a str,
    /// To disclose; else to withhold.
    pub disclose: bool,
}

/// How an organization has set the rule.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Age of majority; none: by the table of states.
    pub majority_age: Option<u32>,
    /// From this age a minor has an account of their own.
    pub teen_account_min: u32,
    /// Below this age, a parent's view does not depend on the teen.
    pub full_proxy_below: u32,
    /// What a parent of a teen sees without more.
    pub posture: Posture,
    /// Unsettled rows of the table decide as if they were settled.
    pub trust_low_confidence_rows: bool,
    /// Rows that the organization has adopted or changed, by id.
    pub overrides: Vec<AdoptedRow>,
}

/// What a parent of a teen sees without more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posture {
    /// Everything but the categories that the law keeps from them.
    CategoryScoped,
    /// No clinical record, unless the teen or the state opens it.
    Limited,
}

/// A row that an organization has adopted, with what it changed.
#[derive(Clone, Debug)]
pub struct AdoptedRow {
    /// Such as `OH/outpatient_mental_health`.
    pub row: String,
    /// Changed, if some.
    pub may_consent: Option<MayConsent>,
    /// Changed, if some; `Some(None)`: any minor.
    pub min_age: Option<Option<u8>>,
    /// Changed, if some.
    pub disclosure: Option<Disclosure>,
    /// Changed, if some.
    pub citation: Option<String>,
    /// Who adopted it.
    pub approved_by: String,
    /// Since when it holds.
    pub approved_on: Day,
}

impl Default for Organization {
    fn default() -> Self {
        Self {
            majority_age: None,
            teen_account_min: 13,
            full_proxy_below: 12,
            posture: Posture::CategoryScoped,
            trust_low_confidence_rows: false,
            overrides: Vec::new(),
        }
    }
}

/// A row of the table, as it stands for the organization.
#[derive(Clone, Copy, Debug)]
pub struct Law<'a> {
    /// The row, with the organization's changes.
    pub row: Row<'a>,
    /// Whether the organization has adopted it.
    pub adopted: bool,
}
