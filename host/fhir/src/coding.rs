//! Codes of consents, and the systems that they are known in.
//!
//! Systems that are small and closed are checked code by code, and so are labels: a deny of a class or label
//! that does not exist would otherwise never match, and keep back nothing. Of the big ones a code only has to
//! look like one: whether they have it is not known here. `consent-directive` takes a purpose or role that it
//! does not know for doubt, and doubt never opens; clinical codes and classes of documents it only compares.

use crate::outcome::Why;
use crate::reader::{At, Reader};
use crate::shapes::{CODING, CONCEPT};

/// Policies, sensitivity labels and marks.
pub(crate) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// What a consent is about.
pub(crate) const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
/// Whether a resource is whole.
pub(crate) const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
const LOINC: &str = "http://loinc.org";

/// Roles of an actor.
pub(crate) const ROLES: &[&str] = &[
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
];
/// Actions.
pub(crate) const ACTIONS: &[&str] = &[CONSENT_ACTION];
/// Security labels.
pub(crate) const LABELS: &[&str] = &[CONFIDENTIALITY, ACT_CODE];
/// Purposes of use.
pub(crate) const PURPOSES: &[&str] = &[ACT_REASON];
/// Types of resources and classes of documents.
pub(crate) const CLASSES: &[&str] = &[RESOURCE_TYPES, LOINC];
/// Clinical codes.
pub(crate) const CLINICAL: &[&str] = &[
    "http://snomed.info/sct",
    LOINC,
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://hl7.org/fhir/sid/icd-10",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://hl7.org/fhir/sid/icd-9-cm",
    "http://hl7.org/fhir/sid/cvx",
    "http://hl7.org/fhir/sid/ndc",
    "http://www.ama-assn.org/go/cpt",
];

/// FHIR R4's types of resources, in words.
const RESOURCES: &str = include_str!("../data/resource-types.txt");

/// The labels of sensitivity and marks of privacy law that `consent-directive` knows, in words.
const SENSITIVITY: &str = include_str!("../data/labels.txt");

/// A coding as it stands.
pub(crate) struct Coding<'a> {
    pub(crate) system: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) path: String,
}

impl Coding<'_> {
    /// Whether it is this one.
    pub(crate) fn is(&self, system: &str, code: &str) -> bool {
        self.system == Some(system) && self.code == Some(code)
    }
}

impl Reader<'_> {
    /// A coding of any system; none: it is wrong, and reported.
    pub(crate) fn coding<'a>(&mut self, at: &At<'a>) -> Option<Coding<'a>> {
        let element = self.element(at, &CODING)?;
        let (system, code) = (self.text(&element, "system"), self.text(&element, "code"));
        Some(Coding { system, code, path: at.path.clone() })
    }

    /// The codings of a concept, of any system; empty as well where there are words only.
    pub(crate) fn codings<'a>(&mut self, at: &At<'a>) -> Vec<Coding<'a>> {
        let Some(element) = self.element(at, &CONCEPT) else { return Vec::new() };
        self.text(&element, "text");
        let items = self.list(&element, "coding");
        items.iter().filter_map(|item| self.coding(item)).collect()
    }

    /// A coding as entities have it, `system|code`, of one of these systems.
    pub(crate) fn known(&mut self, coding: &Coding<'_>, systems: &[&str]) -> Option<String> {
        let why = match (coding.system, coding.code) {
            (Some(system), _) if !systems.contains(&system) => Why::CodeSystem,
            (None, _) => Why::CodeSystem,
            (Some(system), Some(code)) if is_code(system, code) => return Some(format!("{system}|{code}")),
            (Some(_), Some(_) | None) => Why::Code,
        };
        self.unsupported(coding.path.as_str(), why);
        None
    }

    /// A list of codings, sorted, each once.
    pub(crate) fn known_codings(&mut self, items: &[At<'_>], systems: &[&str]) -> Vec<String> {
        let codings: Vec<_> = items.iter().filter_map(|item| self.coding(item)).collect();
        sorted(codings.iter().filter_map(|coding| self.known(coding, systems)).collect())
    }

    /// A list of concepts of which each codes one thing in one or several systems: all their codings.
    pub(crate) fn known_concepts(&mut self, items: &[At<'_>], systems: &[&str]) -> Vec<String> {
        let all = items.iter().flat_map(|item| self.known_concept(item, systems)).collect();
        sorted(all)
    }

    /// A concept that must be one code; none: it is not, which is reported.
    pub(crate) fn one_code(&mut self, at: &At<'_>, systems: &[&str]) -> Option<String> {
        let mut codes = sorted(self.known_concept(at, systems));
        let code = codes.pop()?;
        if !codes.is_empty() {
            self.unsupported(at.path.as_str(), Why::SeveralCodes);
        }
        Some(code)
    }

    fn known_concept(&mut self, at: &At<'_>, systems: &[&str]) -> Vec<String> {
        let malformed = self.found.malformed();
        let codings = self.codings(at);
        if codings.is_empty() && self.found.malformed() == malformed {
            self.unsupported(at.path.as_str(), Why::TextOnly);
        }
        codings.iter().filter_map(|coding| self.known(coding, systems)).collect()
    }
}

/// Whether the system may have this code: one that is small is asked, of others it must look like one.
fn is_code(system: &str, code: &str) -> bool {
    match system {
        CONSENT_ACTION => ["access", "collect", "correct", "disclose", "use"].contains(&code),
        CONFIDENTIALITY => ["U", "L", "M", "N", "R", "V"].contains(&code),
        RESOURCE_TYPES => RESOURCES.split_whitespace().any(|known| known == code),
        ACT_CODE => SENSITIVITY.split_whitespace().any(|known| known == code),
        _ => code.chars().all(|c| c.is_ascii_graphic()),
    }
}

fn sorted(mut codes: Vec<String>) -> Vec<String> {
    codes.sort_unstable();
    codes.dedup();
    codes
}
