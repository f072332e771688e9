//! The names that elements may have, by the object they stand in; each is written here, once.
//!
//! INVARIANT (no patient in logs): a path shows a member's name only if it is one of these. Any other may hold
//! anything, a patient's name too, and is left out of the path.
//! Source: FHIR R4, resource Consent and data types; FHIR R5, Consent, for what tells the two apart.

/// The members that an object may have, beside `id` and extensions.
pub(crate) struct Shape {
    r4: &'static [&'static [&'static str]],
    /// Those that R5 has and R4 does not.
    r5: &'static [&'static str],
}

impl Shape {
    const fn new(r4: &'static [&'static [&'static str]]) -> Self {
        Self { r4, r5: &[] }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.r4.iter().any(|names| names.contains(&name))
    }

    pub(crate) fn has_in_r5(&self, name: &str) -> bool {
        self.r5.contains(&name)
    }
}

/// Of the root: what is read, and kept nowhere else.
const READ: [&str; 8] =
    ["resourceType", "implicitRules", "text", "contained", "status", "scope", "patient", "provision"];
/// Of the root: what is read, and says where the document comes from as well.
pub(crate) const READ_AND_KEPT: [&str; 5] = ["dateTime", "language", "policy", "policyRule", "verification"];
/// Of the root: what says where the document comes from, and is no criterion.
pub(crate) const KEPT: [&str; 7] =
    ["meta", "identifier", "category", "performer", "organization", "sourceAttachment", "sourceReference"];

pub(crate) const CONSENT: Shape = Shape {
    r4: &[&READ, &READ_AND_KEPT, &KEPT],
    r5: &[
        "controller",
        "date",
        "decision",
        "grantee",
        "grantor",
        "manager",
        "period",
        "policyBasis",
        "policyText",
        "regulatoryBasis",
        "subject",
    ],
};
pub(crate) const PROVISION: Shape = Shape {
    r4: &[&[
        "type",
        "period",
        "actor",
        "action",
        "securityLabel",
        "purpose",
        "class",
        "code",
        "dataPeriod",
        "data",
        "provision",
    ]],
    r5: &["documentType", "expression", "resourceType"],
};
pub(crate) const VERIFICATION: Shape = Shape {
    r4: &[&["verified", "verifiedWith", "verificationDate"]],
    r5: &["verificationType", "verifiedBy"],
};
pub(crate) const POLICY: Shape = Shape::new(&[&["authority", "uri"]]);
pub(crate) const ACTOR: Shape = Shape::new(&[&["role", "reference"]]);
pub(crate) const DATA: Shape = Shape::new(&[&["meaning", "reference"]]);
pub(crate) const PERIOD: Shape = Shape::new(&[&["start", "end"]]);
pub(crate) const REFERENCE: Shape = Shape::new(&[&["reference", "type", "identifier", "display"]]);
pub(crate) const IDENTIFIER: Shape = Shape::new(&[&["use", "type", "system", "value", "period", "assigner"]]);
pub(crate) const CODING: Shape = Shape::new(&[&["system", "version", "code", "display", "userSelected"]]);
pub(crate) const CONCEPT: Shape = Shape::new(&[&["coding", "text"]]);
pub(crate) const NARRATIVE: Shape = Shape::new(&[&["status", "div"]]);
const META: Shape = Shape::new(&[&["versionId", "lastUpdated", "source", "profile", "security", "tag"]]);
const ATTACHMENT: Shape =
    Shape::new(&[&["contentType", "language", "data", "url", "size", "hash", "title", "creation"]]);
const ANYWHERE: Shape = Shape::new(&[&["id", "extension", "modifierExtension"]]);

const ALL: [&Shape; 15] = [
    &CONSENT,
    &PROVISION,
    &VERIFICATION,
    &POLICY,
    &ACTOR,
    &DATA,
    &PERIOD,
    &REFERENCE,
    &IDENTIFIER,
    &CODING,
    &CONCEPT,
    &NARRATIVE,
    &META,
    &ATTACHMENT,
    &ANYWHERE,
];

/// The path of a member that stands anywhere; of an unknown one the path of what it stands in.
pub(crate) fn path_to(path: &str, name: &str) -> String {
    if ALL.iter().any(|shape| shape.has(name)) { format!("{path}.{name}") } else { path.to_owned() }
}
