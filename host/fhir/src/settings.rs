//! What an organization says of the Consents it takes: which policies mean what, and who is whom.
//!
//! Everything that is not said here is unsupported where a document relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use assent_model::EntityId;
use serde::{Deserialize, Serialize};

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Allows what no exception takes back.
    Permit,
    /// Keeps back what no exception allows.
    Deny,
}

impl Effect {
    /// As the base schema writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

/// How documents are read. The default knows nobody's policies, servers or identifiers.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What a policy means, by the `policy.uri` that documents name it with, letter for letter.
    pub policies: BTreeMap<String, Effect>,
    /// Which forms of consent, such as `part2-tpo`, a document satisfies that names a policy, by its
    /// `policy.uri`: the organization's own paper, whose text has what the law asks of that form. A document
    /// counts for them when it is read in full, dated, and agreed to by the patient or a representative of this patient.
    pub forms: BTreeMap<String, BTreeSet<String>>,
    /// The organization's own FHIR servers, such as `https://ehr.example/fhir`: an absolute reference
    /// that leads there is as good as a relative one.
    pub servers: BTreeSet<String>,
    /// Whom an identifier names, by `system|value`.
    pub identifiers: BTreeMap<String, EntityId>,
    /// URLs of extensions that change nothing about what a consent means. Any other, where it could, is
    /// unsupported.
    pub harmless_extensions: BTreeSet<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policies, forms, servers, identifiers, harmless_extensions } = self;
        write!(
            f,
            "Settings({} policies, {} with forms, {} servers, {} identifiers, {} harmless extensions)",
            policies.len(),
            forms.len(),
            servers.len(),
            identifiers.len(),
            harmless_extensions.len()
        )
    }
}
