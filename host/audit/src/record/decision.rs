//! The record of one decision: who asked for whom, what, why, from where; what decided; what came out.
//!
//! INVARIANT (a decision replays): request, caller, clock, release and the facts are here, or are named by
//! digest and here in the part that was read. [`Outcome::replay_bytes`] is what a replay must reproduce.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use assent_model::{
    Absence, BindingOutcome, Cause, DecisionId, Digest, Effect, Entity, EntityId, Obligation, ObligationCode,
    OrganizationId, Request, Value, Verdict,
};
use serde::{Deserialize, Serialize};

use super::RecordError;
use super::canonical;
use crate::redacted::debug_by_name;

/// One decision, with everything it depended on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionEvent {
    /// The decision's id.
    pub id: DecisionId,
    /// Whose rules decided.
    pub organization: OrganizationId,
    /// The enforcement point that asked.
    pub caller: CallerSeen,
    /// The id that the caller gave its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The question, exactly as it was asked.
    pub request: Request,
    /// For whom it was asked.
    pub subject: Subject,
    /// The action, as policies name it; as asked, where they have no name for it.
    pub action: String,
    /// What it was asked about.
    pub resource: Resource,
    /// The patient whose record it is, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<EntityId>,
    /// Where it was to go, if not to the subject: the organization at the other end of an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<EntityId>,
    /// The purpose of use: an HL7 v3 PurposeOfUse code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The reason in words, a break-glass reason included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The relations from subject to patient that held: care, proxy, grant to an app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<EntityId>,
    /// The consents and authorizations that were in force for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<EntityId>,
    /// The release that decided.
    pub release: Digest,
    /// The facts it decided on.
    pub facts: FactsSeen,
    /// Whether plugins were asked although Cedar denied.
    pub explained: bool,
    /// The answer.
    pub outcome: Outcome,
    /// From the question to the answer, in microseconds, the log not included.
    pub latency_us: u64,
}

/// The caller as it was registered when it asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerSeen {
    /// Its id.
    pub id: String,
    /// The environment it runs in.
    pub environment: String,
    /// Its rights, by code.
    pub rights: BTreeSet<String>,
    /// The obligations it was registered for: an input of the decision.
    pub obligations: Registered,
    /// The network address it called from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The obligations a caller was registered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registered {
    /// Every one.
    All,
    /// These.
    Only(BTreeSet<ObligationCode>),
}

/// For whom it was asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Type and id, as policies name it; as asked, where the type is not mapped.
    pub entity: EntityId,
    /// Roles, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The organization the subject belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<EntityId>,
}

/// What it was asked about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Type and id, as policies name it; as asked, where the type is not mapped.
    pub entity: EntityId,
    /// Confidentiality and sensitivity labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether it is a record of a 42 CFR Part 2 program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub part2: bool,
}

/// The facts of a decision.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsSeen {
    /// The digest of the snapshot.
    pub snapshot: Digest,
    /// The state that was laid over the release's own facts; nothing where the organization keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateSeen>,
    /// What the determining policies and the plugins read, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub read: BTreeMap<String, FactRead>,
    /// The entities that the decision could reach, where the snapshot itself is not kept: enough to
    /// build one that answers the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
}

/// The state that a decision saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSeen {
    /// Its version: how many changes led to it.
    pub version: u64,
    /// The digest of the facts that it was laid over: those of the release's files.
    pub base: Digest,
}

/// One fact that was asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactRead {
    /// Its value.
    Value(Value),
    /// Why there was none.
    Absent(Absence),
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Permit or deny; follows from the cause, and is written for readers who know only that.
    pub effect: Effect,
    /// Why.
    pub cause: Cause,
    /// What Cedar said; absent where the question could not be put to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What each plugin in scope answered, by binding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<BindingOutcome>,
    /// Obligations of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// Advice of the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<Obligation>,
    /// Why it could not be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Why it could not be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind, as in metrics: `question`, `policy`, `plugin`, …
    pub code: String,
    /// Which one, without any value of the request.
    pub detail: String,
}

impl DecisionEvent {
    /// Whether access was given.
    pub fn permits(&self) -> bool {
        self.outcome.effect == Effect::Permit
    }

    /// Whether the answer carries this obligation.
    pub fn obliges(&self, code: &ObligationCode) -> bool {
        self.outcome.obligations.iter().any(|obligation| obligation.code == *code)
    }

    /// Whether access was given in an emergency: it must be reviewed, or was for purpose `BTG`.
    pub fn is_break_glass(&self) -> bool {
        self.permits()
            && (self.obliges(&ObligationCode::BreakGlassReview) || self.purpose.as_deref() == Some("BTG"))
    }
}

impl Outcome {
    /// Why in one line without any value: determining policies, plugins' codes, failures, problems.
    pub fn reasons(&self) -> Vec<String> {
        let verdict = self.verdict.iter();
        let policies = verdict.clone().flat_map(|v| &v.determining).map(|note| note.id.clone());
        let errors = verdict.flat_map(|v| &v.errors).map(|error| format!("{} failed", error.id));
        let plugins = self.plugins.iter().flat_map(|outcome| match &outcome.result {
            Ok(findings) => {
                let denials = findings.denials.iter().map(|denial| &denial.code);
                let reviews = findings.reviews.iter().map(|review| &review.code);
                denials.chain(reviews).map(|code| format!("{}:{code}", outcome.binding)).collect()
            }
            Err(failure) => vec![format!("{} failed: {}", outcome.binding, failure.kind.code())],
        });
        let problems = self.problems.iter().map(|problem| problem.code.clone());
        policies.chain(errors).chain(plugins).chain(problems).collect()
    }

    /// What a replay must reproduce, byte for byte: all of the answer but the fuel, which says what it
    /// cost and may change with the WebAssembly runtime.
    ///
    /// # Errors
    /// As [`super::Record::encode`].
    pub fn replay_bytes(&self) -> Result<Vec<u8>, RecordError> {
        let mut answer = self.clone();
        for outcome in &mut answer.plugins {
            outcome.fuel_used = 0;
        }
        canonical::bytes(&answer)
    }

    pub(super) fn is_consistent(&self) -> bool {
        match self.cause {
            Cause::Permit => self.effect == Effect::Permit,
            Cause::Forbidden | Cause::NoPolicy | Cause::Indeterminate => self.effect == Effect::Deny,
        }
    }
}

debug_by_name!(CallerSeen, Subject, Resource, FactsSeen, FactRead);

impl fmt::Debug for DecisionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecisionEvent({}, {}, {:?})", self.id, self.organization, self.outcome)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({})", self.cause.code())
    }
}
