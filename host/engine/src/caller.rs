//! Who asks: a registered enforcement point, its rights, and the obligations it can honour.
//!
//! INVARIANT (a permit's obligations are all honoured): a permit that needs an obligation the
//! caller is not registered for is no permit.

use std::collections::BTreeSet;

use assent_model::{ObligationCode, OrganizationId};
use serde::{Deserialize, Serialize};

/// What a caller may do with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Ask for decisions.
    Decide,
    /// See the full explanation of a decision: policies, findings, grounds, facts.
    Explain,
    /// Read the audit log.
    Audit,
    /// Read what is measured.
    Metrics,
    /// Read the state: entities, consents, workflows.
    ReadState,
    /// Change entities and consents.
    WriteState,
    /// Ask for and answer approvals, declare and review emergencies, record clinicians' decisions, on behalf of
    /// persons that the caller has authenticated.
    Workflow,
    /// Place holds, and release them.
    Hold,
}

impl Right {
    /// The right as configuration and records write it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Explain => "explain",
            Self::Audit => "audit",
            Self::Metrics => "metrics",
            Self::ReadState => "read-state",
            Self::WriteState => "write-state",
            Self::Workflow => "workflow",
            Self::Hold => "hold",
        }
    }
}

/// A registered caller: a portal backend, an EHR component, a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its id, as registered.
    pub id: String,
    /// The organizations it may ask about.
    pub organizations: BTreeSet<OrganizationId>,
    /// What it may do.
    pub rights: BTreeSet<Right>,
    /// The obligations it can honour.
    pub obligations: Obligations,
    /// The environment it runs in: `production`, `test`, `development`.
    pub environment: String,
}

/// The obligations that a caller can honour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obligations {
    /// Every obligation there is. For tests and demonstrations.
    All,
    /// These, by code.
    Only(BTreeSet<ObligationCode>),
}

impl Obligations {
    /// Whether this one is among them.
    pub fn contains(&self, code: &ObligationCode) -> bool {
        match self {
            Self::All => true,
            Self::Only(codes) => codes.contains(code),
        }
    }
}

impl Caller {
    /// Whether the caller may do this about this organization.
    pub fn may(&self, right: Right, organization: &OrganizationId) -> bool {
        self.rights.contains(&right) && self.organizations.contains(organization)
    }
}
