//! Why nothing can be made of a text, not even an objection.
//!
//! Whatever has a patient becomes an entity; this is for the rest: a text that is no JSON or no Consent, and a
//! Consent of nobody who is stored. INVARIANT (no patient in logs): it is said where and what to do, never what
//! was there.

use crate::outcome::Why;

/// Why a text gives no entity. What is stored for its id, if anything, still holds: whoever sent it must know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No JSON, or not in UTF-8.
    #[error("line {line}, column {column}: not JSON in UTF-8; send one FHIR R4 Consent as JSON")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1; 0 where the line was not begun.
        column: usize,
    },
    /// Another resource, or none.
    #[error(
        "`Consent.resourceType`: it must be there once and be `Consent`; send one FHIR R4 Consent, and other resources where they belong"
    )]
    NotAConsent,
    /// Whose it is cannot be told: there is nobody for whom it could be an objection.
    #[error(
        "`{path}`: it cannot be told whose consent this is ({why}); name a patient who is stored, such as `Patient/p1`, or store the patient first, and send it again"
    )]
    NoPatient {
        /// Where: a FHIRPath.
        path: String,
        /// Why it cannot be told.
        why: Why,
    },
}
