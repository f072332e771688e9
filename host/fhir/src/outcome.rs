//! What comes of a resource: the entity, which rule it follows, and what could not be carried into it.
//!
//! INVARIANT (no patient in logs): entity and provenance are printed by nothing; all else names elements
//! and reasons.

use std::fmt;

use assent_model::EntityId;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::settings::Effect;

/// Defines an enum and `ALL` of it, so that no list of its variants is kept by hand.
macro_rules! listed {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$own:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$own])* $variant,)* }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

/// What a Consent is.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A privacy directive, or an objection: to be stored, in place of what had this id.
    Directive(Box<Directive>),
    /// A consent to something else, which says nothing of who may see records: nothing to be stored, and
    /// what had this id is to be removed.
    Other(Box<Other>),
}

/// A consent to something else than who may see records.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// What it is about.
    pub scope: OtherScope,
    /// Its own id.
    pub consent: EntityId,
    /// Whose it is; stored.
    pub patient: EntityId,
    /// What is unsupported in it, sorted, each once. All of it stands where only that other matter is
    /// settled; anything that could change what the consent is about makes it an objection instead.
    pub unsupported: Vec<Unsupported>,
}

/// What else a consent can be about (FHIR's `consentscope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherScope {
    /// `adr`: care in advance of not being able to say.
    AdvanceDirective,
    /// `research`: taking part in research.
    Research,
    /// `treatment`: a treatment.
    Treatment,
}

/// A privacy directive in the internal form.
#[derive(Clone, PartialEq)]
pub struct Directive {
    /// The entity, as entity files take it: `{"uid", "attrs", "parents"}`.
    pub entity: Value,
    /// Its id. A document without one gets `unnamed-` and a digest of its text.
    pub consent: EntityId,
    /// Whose it is; stored.
    pub patient: EntityId,
    /// Where the document stands. Only an active one counts.
    pub status: Status,
    /// What holds where no provision says otherwise; none: it does not say.
    pub base: Option<Effect>,
    /// Which rule decided that, and how the provisions go together.
    pub rule: Rule,
    /// What could not be carried into the entity, sorted, each once; with any, the entity is an objection.
    pub unsupported: Vec<Unsupported>,
    /// What was read in a way worth knowing, sorted; none of it is an objection.
    pub notes: Vec<Note>,
    /// The elements that say where the document comes from, as it has them: `meta`, `identifier`,
    /// `category`, `dateTime`, `performer`, `organization`, `source[x]`, `policy`, `policyRule`,
    /// `verification`.
    pub provenance: Map<String, Value>,
}

impl Directive {
    /// Whether the entity is an objection until somebody resolves what is unsupported.
    pub const fn is_objection(&self) -> bool {
        !self.unsupported.is_empty()
    }
}

impl fmt::Debug for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directive")
            .field("consent", &self.consent)
            .field("patient", &self.patient)
            .field("status", &self.status)
            .field("base", &self.base)
            .field("rule", &self.rule)
            .field("unsupported", &self.unsupported)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

/// Where a consent stands, as the base schema writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Being written.
    Draft,
    /// Offered to the patient.
    Proposed,
    /// In force.
    Active,
    /// Refused by the patient.
    Rejected,
    /// Ended or withdrawn.
    Inactive,
    /// Never should have been.
    EnteredInError,
}

impl Status {
    /// The status with this code.
    pub fn of(code: &str) -> Option<Self> {
        Some(match code {
            "draft" => Self::Draft,
            "proposed" => Self::Proposed,
            "active" => Self::Active,
            "rejected" => Self::Rejected,
            "inactive" => Self::Inactive,
            "entered-in-error" => Self::EnteredInError,
            _ => return None,
        })
    }

    /// Its code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Proposed => "proposed",
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::Inactive => "inactive",
            Self::EnteredInError => "entered-in-error",
        }
    }
}

/// Which rule the entity follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// How the provisions go together.
    pub combining: Combining,
    /// What the base was taken from.
    pub base: BaseSource,
}

/// How base and provisions go together. In all of them the deepest provision that matches decides, and
/// one that denies is enough among several side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combining {
    /// The base holds for everything; provisions are exceptions to it.
    ExceptionsToBase,
    /// The root provision has criteria, which the schema has no place for, or days between which some is
    /// permitted and some denied: the entity's base is deny, and the document's base one provision with
    /// these criteria (`root`), which the others are exceptions to.
    BaseWithinCriteria,
    /// Something is unsupported: until somebody resolves it, the consent is an objection.
    Objection,
}

/// Where the base was found, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseSource {
    /// `provision.type` (IHE PCF).
    RootType,
    /// `policyRule`: `OPTIN`, `OPTINR`, `OPTOUT` or `OPTOUTE` (FHIR R4).
    PolicyRule,
    /// `policy.uri`, by the organization's settings.
    PolicyUri,
    /// Nowhere: the base is indeterminate.
    Indeterminate,
}

/// Something that could not be carried into the entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unsupported {
    /// Where: a FHIRPath, such as `Consent.provision.actor[0].role`. A member that FHIR does not know is not
    /// named: the path is that of what it stands in.
    pub path: String,
    /// Why.
    pub why: Why,
    /// What should have been there, of what is malformed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<&'static str>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why, expected } = self;
        match expected {
            Some(expected) => write!(f, "{path}: {why}: expected {expected}"),
            None => write!(f, "{path}: {why}"),
        }
    }
}

listed! {
/// Why something is unsupported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Something is missing, said twice, or of another shape than FHIR R4 gives it.
    #[error("not as FHIR R4 has it")]
    Malformed,
    /// `modifierExtension`, wherever it stands.
    #[error("an extension that may change what is said")]
    ModifierExtension,
    /// An extension that nobody said is harmless, where it may change the meaning.
    #[error("an extension that is not known to be harmless")]
    Extension,
    /// An element that R4 does not have.
    #[error("an element that FHIR R4 does not have")]
    UnknownElement,
    /// An element, or the shape of one, that R5 has and R4 does not.
    #[error("FHIR R5's shape of a consent")]
    R5,
    /// `implicitRules`.
    #[error("the document follows rules of its own")]
    ImplicitRules,
    /// A tag or label: something was left out or masked.
    #[error("the document is marked as incomplete")]
    Incomplete,
    /// `text.status` is `additional`.
    #[error("the narrative says more than the elements do")]
    Narrative,
    /// The scope is none of FHIR's.
    #[error("a scope that is not known")]
    Scope,
    /// A provision that says neither permit nor deny, where nothing else tells.
    #[error("it cannot be told whether this permits or denies")]
    Untyped,
    /// Two policies, of which one permits and one denies.
    #[error("the policies named contradict each other")]
    Contradiction,
    /// It says that it was given later than now.
    #[error("a date in the future")]
    Future,
    /// `verified` is false.
    #[error("it was not verified with the patient")]
    NotVerified,
    /// The base schema cannot say it.
    #[error("the base schema has no place for this")]
    NoPlace,
    /// A code of a system that is not known here, or of none.
    #[error("a code system that is not known here")]
    CodeSystem,
    /// A code that its system does not have, or none.
    #[error("a code that is not known")]
    Code,
    /// Words without a code.
    #[error("words without a code")]
    TextOnly,
    /// Different codes for what must be one thing.
    #[error("several codes for one thing")]
    SeveralCodes,
    /// An absolute URL of a server that is not the organization's own, or a URN.
    #[error("a reference to another server")]
    ReferenceAbsolute,
    /// `#id`.
    #[error("a reference to a contained resource")]
    ReferenceContained,
    /// An identifier that the settings do not know.
    #[error("a reference by an identifier that is not known")]
    ReferenceIdentifier,
    /// A name for the reader only.
    #[error("a reference by name only")]
    ReferenceDisplay,
    /// `Type/id/_history/version`.
    #[error("a reference to one version")]
    ReferenceVersion,
    /// Neither `Type/id` nor any other form.
    #[error("a reference in no known form")]
    ReferenceForm,
    /// `type` says something else than the reference.
    #[error("a reference that contradicts its type")]
    ReferenceType,
    /// A type that the base schema has no place for here, such as `Group` or `PractitionerRole`.
    #[error("a reference to a type that the base schema has no place for")]
    ReferenceKind,
    /// An entity that is not stored.
    #[error("a reference to what is not stored")]
    ReferenceUnknown,
}
}

/// Something worth knowing about how the document was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// Where: a FHIRPath.
    pub path: String,
    /// What.
    pub remark: Remark,
}

listed! {
/// What is worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// A day, month or year: it begins and ends at different moments in different time zones.
    #[error("a date without a time, read so that it only narrows in whatever time zone it was meant")]
    AnyTimeZone,
    /// A period of days that may be over in one time zone before it begins in another.
    #[error("too short to be sure of in every time zone: what it permits is never permitted")]
    TooShort,
    /// An end at the end of the calendar.
    #[error("the end of the calendar, read as no end")]
    NoEnd,
    /// `dateTime` is missing: older than any other.
    #[error("when it was given is not said, read as the beginning of 1970")]
    NotDated,
    /// A root provision without type, whose exceptions tell that it has the effect of its policy.
    #[error("a root provision without type, read as when and for what its policy holds")]
    NarrowsPolicy,
    /// A policy that the settings know as a form of consent, which was not signed.
    #[error(
        "counts for no form of consent: it is not dated, or not agreed to (`performer`) by the patient or a \
         related person who may sign for them now"
    )]
    NotSigned,
    /// The root provision's type won over the policy rule or a policy, which says otherwise.
    #[error("the root provision's type counts, not the policy")]
    PolicyOverruled,
}
}
