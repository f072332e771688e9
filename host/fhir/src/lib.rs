//! What a FHIR R4 Consent says, as a `Consent` entity of the base schema.
//!
//! [`normalise`] reads one resource from its text; nothing here does IO, reads a clock or decides anything.
//! INVARIANT (nothing is passed over): what this crate cannot carry into the entity is listed with its
//! FHIRPath, and marks the entity, so that `consent-directive` treats it as an objection. That holds for what
//! is malformed too: an error is only what has no patient for whom it could be one.
//! INVARIANT (a mark that is taken away opens nothing): a provision that is not read in full is written as
//! a deny of everything it is nested in, and a consent whose root is not read in full without base,
//! provisions and period.
//! INVARIANT (a date only narrows): a permit counts on what is a day in every time zone, a deny on what is in
//! any.
//! INVARIANT (no patient in logs): no message and no `Debug` holds a value of the resource, or the name of a
//! member that FHIR does not have there.
//!
//! | element | where it goes |
//! |---|---|
//! | `id`, `patient`, `status`, `dateTime` | the entity's id, `patient`, `status`, `givenAt` (1970 if it is not dated) |
//! | `scope` | anything but privacy is no directive |
//! | `provision.type`, `policyRule`, `policy.uri` | `base`, in this order |
//! | the root's `period` | `start`, `end` |
//! | the root's other criteria | a provision `root` with the base's effect, under a base of deny |
//! | `provision.provision`, to any depth within [`PROVISION_DEPTH_MAX`] | `provisions`, flat |
//! | `period`, `dataPeriod`, `actor`, `action`, `securityLabel`, `purpose`, `class`, `code` | their attributes |
//! | `data`; actors that are no organization, practitioner or related person | unsupported: no place |
//! | `policy.uri` with `performer`, where the settings know a form by it | `forms`, who signed, recipients |
//! | `performer`, `organization`, `source[x]`, `verification`, `meta`, … | [`Directive::provenance`] |
//!
//! A start is the first moment of its day, month or year, an end the first moment after it, since FHIR's
//! periods include their ends and the base schema's do not.

mod base;
mod coding;
mod consent;
mod error;
mod findings;
mod forms;
mod moment;
mod nested;
mod outcome;
mod provision;
mod reader;
mod reference;
mod settings;
mod shapes;
mod text;
mod window;

pub use consent::normalise;
pub use error::Unreadable;
pub use nested::{PROVISION_DEPTH_MAX, PROVISIONS_MAX};
pub use outcome::{
    BaseSource, Combining, Directive, Note, Other, OtherScope, Outcome, Remark, Rule, Status, Unsupported,
    Why,
};
pub use reader::Records;
pub use settings::{Effect, Settings};
