//! The kinds of event: decisions, and every change that decisions or the log itself depend on.
//!
//! INVARIANT (one log): a change of policy, settings, key, state or administration is a record beside the
//! decisions it influences, in their order.

use std::collections::BTreeMap;
use std::fmt;

use assent_model::{Digest, EntityId, Instant, OrganizationId};
use serde::{Deserialize, Serialize};

use super::{DecisionEvent, ReleaseArchived, StateCarried};
use crate::redacted::debug_by_name;

/// What happened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A decision was made.
    Decision(Box<DecisionEvent>),
    /// The service began to write this log.
    ServiceStarted(ServiceRun),
    /// The service stopped in good order.
    ServiceStopped(ServiceRun),
    /// Recovery found an unfinished tail, never acknowledged, and cut it off.
    TailDiscarded(TailDiscarded),
    /// A part of what a release and its facts were built from.
    ReleaseArchived(ReleaseArchived),
    /// A release took over.
    ReleaseActivated(ReleaseActivated),
    /// A key changed.
    Key(KeyEvent),
    /// What is kept for how long changed, or records were let go.
    Retention(Retention),
    /// The clock moved by itself.
    ClockJump {
        /// What it said.
        before: Instant,
        /// What it says.
        after: Instant,
    },
    /// A caller was turned away.
    CallerRefused(CallerRefused),
    /// Somebody read the audit log.
    AuditRead(AuditRead),
    /// Settings, callers, accounts or plugins were administered.
    Administration(Administration),
    /// State changed: an entity, consent, approval, break-glass access or its review.
    StateChanged(StateChange),
    /// What is left of the changes of state in a year that is let go.
    StateCarried(StateCarried),
}

impl Event {
    /// All kinds, as they are written.
    pub const KINDS: [&'static str; 14] = [
        "decision",
        "service-started",
        "service-stopped",
        "tail-discarded",
        "release-archived",
        "release-activated",
        "key",
        "retention",
        "clock-jump",
        "caller-refused",
        "audit-read",
        "administration",
        "state-changed",
        "state-carried",
    ];

    /// The version of records in which this kind came.
    pub const fn version(&self) -> u32 {
        match self {
            Self::StateCarried(_) => 2,
            Self::Decision(_)
            | Self::ServiceStarted(_)
            | Self::ServiceStopped(_)
            | Self::TailDiscarded(_)
            | Self::ReleaseArchived(_)
            | Self::ReleaseActivated(_)
            | Self::Key(_)
            | Self::Retention(_)
            | Self::ClockJump { .. }
            | Self::CallerRefused(_)
            | Self::AuditRead(_)
            | Self::Administration(_)
            | Self::StateChanged(_) => 1,
        }
    }

    /// The kind, as it is written.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Decision(_) => "decision",
            Self::ServiceStarted(_) => "service-started",
            Self::ServiceStopped(_) => "service-stopped",
            Self::TailDiscarded(_) => "tail-discarded",
            Self::ReleaseArchived(_) => "release-archived",
            Self::ReleaseActivated(_) => "release-activated",
            Self::Key(_) => "key",
            Self::Retention(_) => "retention",
            Self::ClockJump { .. } => "clock-jump",
            Self::CallerRefused(_) => "caller-refused",
            Self::AuditRead(_) => "audit-read",
            Self::Administration(_) => "administration",
            Self::StateChanged(_) => "state-changed",
            Self::StateCarried(_) => "state-carried",
        }
    }

    /// The patient concerned, where there is one; of a change of state that concerns several, the first.
    pub fn patient(&self) -> Option<&EntityId> {
        match self {
            Self::Decision(event) => event.patient.as_ref(),
            Self::AuditRead(event) => event.patient.as_ref(),
            Self::StateChanged(event) => event.items.iter().find_map(|item| item.patient.as_ref()),
            Self::ServiceStarted(_)
            | Self::ServiceStopped(_)
            | Self::TailDiscarded(_)
            | Self::ReleaseArchived(_)
            | Self::ReleaseActivated(_)
            | Self::Key(_)
            | Self::Retention(_)
            | Self::ClockJump { .. }
            | Self::CallerRefused(_)
            | Self::Administration(_)
            | Self::StateCarried(_) => None,
        }
    }

    /// Who did it, where somebody did.
    pub const fn actor(&self) -> Option<&Actor> {
        match self {
            Self::ReleaseActivated(event) => Some(&event.by),
            Self::Key(event) => Some(&event.by),
            Self::Retention(event) => Some(&event.by),
            Self::AuditRead(event) => Some(&event.by),
            Self::Administration(event) => Some(&event.by),
            Self::StateChanged(event) => Some(&event.by),
            Self::Decision(_)
            | Self::ServiceStarted(_)
            | Self::ServiceStopped(_)
            | Self::TailDiscarded(_)
            | Self::ReleaseArchived(_)
            | Self::ClockJump { .. }
            | Self::CallerRefused(_)
            | Self::StateCarried(_) => None,
        }
    }
}

/// Who did something: a person or program, through which caller, from where.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Type and id, such as `Practitioner` `adm-7`, or `Service` `assent` for what it does by itself.
    pub entity: EntityId,
    /// The caller it came through, or `cli`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The operating system's account behind a command: `uid 990, login 1000`. The entity is what whoever
    /// sat there said; this is what the kernel said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Actor {
    /// What the service does by itself.
    #[must_use]
    pub fn service() -> Self {
        Self { entity: EntityId::new("Service", "assent"), caller: None, address: None, account: None }
    }
}

/// A run of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRun {
    /// The node's name.
    pub node: String,
    /// The version of Assent.
    pub software: String,
    /// Why, where there is more to say: `signal`, `self-test passed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A tail that recovery cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailDiscarded {
    /// The segment's file name.
    pub segment: String,
    /// The first position that was free again.
    pub position: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// A release that took over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseActivated {
    /// Whose.
    pub organization: OrganizationId,
    /// The release.
    pub release: Digest,
    /// The one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// The digest of schema and policies.
    pub policies: Digest,
    /// The plugins, by binding.
    pub plugins: Vec<PluginUsed>,
    /// Who activated it.
    pub by: Actor,
    /// Where it came from: a directory, a registry reference.
    pub source: String,
    /// The parts of it that two persons must agree on; nothing in records from before that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<Guarded>,
    /// The request by which two persons agreed on these parts, where they are not those of the activation before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// The guarded parts of a release, by their digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// Of all parts, with their names.
    pub digest: Digest,
    /// Whether two persons must agree before these parts give way to others.
    pub two_persons: bool,
    /// The digest of each part, by its name: `break_glass`, `plugin:exports`, ….
    pub parts: BTreeMap<String, Digest>,
}

impl Guarded {
    /// These parts.
    pub fn new(two_persons: bool, parts: BTreeMap<String, Digest>) -> Self {
        let named = parts.iter().flat_map(|(name, digest)| [name.as_bytes(), digest.as_bytes()]);
        let digest = Digest::of_parts([GUARDED_FORM].into_iter().chain(named));
        Self { digest, two_persons, parts }
    }
}

/// Whoever changes how the digest of all parts is counted changes this.
const GUARDED_FORM: &[u8] = b"assent-guarded-1";

/// One plugin of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginUsed {
    /// The binding's id.
    pub binding: String,
    /// Name and version.
    pub plugin: String,
    /// The digest of the component.
    pub component: Digest,
    /// The digest of its settings.
    pub settings: Digest,
}

/// A change of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// What happened to it.
    pub change: KeyChange,
    /// The sealing key's id; never the key.
    pub key: String,
    /// The sealing key that wraps now what it wrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped_by: Option<String>,
    /// Who did it.
    pub by: Actor,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyChange {
    /// Made, or taken into use: it wraps the data keys of all segments from here on.
    Created,
    /// What it wrapped is wrapped by another key.
    Rewrapped,
    /// Destroyed: what it sealed cannot be read any more.
    Destroyed,
}

/// A change of what is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// What changed.
    pub change: RetentionChange,
    /// Who did it.
    pub by: Actor,
    /// Why, or under which rule.
    pub reason: String,
    /// The years whose logs it is about; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<i32>,
    /// What two persons do together: the id of the first one's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Written again because the log that said it first was let go: its place there, such as `2019-17`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_from: Option<String>,
}

/// What changed in what is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionChange {
    /// Records are kept for so many days.
    KeptForDays(u32),
    /// Nothing may be let go: the hold's id.
    HoldPlaced(String),
    /// Somebody asks that the hold with this id end; a second person must agree.
    HoldReleaseAsked(String),
    /// The hold with this id ended; by the second person.
    HoldReleased(String),
    /// Somebody asks that a year be let go, perhaps even though it is damaged; a second person must agree.
    LetGoAsked {
        /// Whether a log that does not verify may go.
        even_damaged: bool,
    },
    /// A second person agreed; what follows cannot be taken back.
    LetGoConfirmed,
    /// The records before this position were let go.
    ExpiredBefore(u64),
}

/// A caller that was turned away.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerRefused {
    /// Who it said or proved to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The organization it asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Why, as a code: `unknown-credential`, `no-credential`, `no-right`, …
    pub reason: String,
    /// How often, where several are one record.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
    /// When the first of several was; the last was no later than the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
}

impl CallerRefused {
    /// Why, and how often: `no-right, 17 times`.
    pub fn reasons(&self) -> String {
        match self.times {
            1 => self.reason.clone(),
            times => format!("{}, {times} times", self.reason),
        }
    }
}

const fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_once(times: &u64) -> bool {
    *times == 1
}

/// Somebody read the audit log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRead {
    /// Who.
    pub by: Actor,
    /// To do what.
    pub what: AuditUse,
    /// The patient asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<EntityId>,
    /// The query, as it was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<serde_json::Value>,
    /// How many records were given out.
    pub records: u64,
    /// Where they went, where they left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// What the audit log was read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditUse {
    /// A list of records.
    Search,
    /// One record.
    Show,
    /// An accounting of disclosures.
    Disclosures,
    /// Records for another system.
    Export,
    /// A report.
    Report,
    /// Making a decision again.
    Replay,
}

/// Something was administered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administration {
    /// Who.
    pub by: Actor,
    /// What was done, as a code: `caller.create`, `account.disable`, `settings.change`, …
    pub action: String,
    /// To what.
    pub target: EntityId,
    /// What was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A change of state.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Whose state.
    pub organization: OrganizationId,
    /// The version of the state that it makes: one more than the one it was decided on. Where nothing changed, the
    /// one that there is: said once it is known again, after something went wrong.
    pub version: u64,
    /// Who did it.
    pub by: Actor,
    /// The decision it answers, such as the break-glass access that was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<assent_model::DecisionId>,
    /// What changed; together or not at all, each thing at most once.
    pub items: Vec<StateItem>,
}

/// One thing that a change of state concerns.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// What was done.
    pub change: StateVerb,
    /// In which part of the state: `entity`, `consent`, `approval`, …
    pub section: String,
    /// To what: an entity of any type, such as `Consent`, `Approval`, `BreakGlassReview`.
    pub target: EntityId,
    /// The patient concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<EntityId>,
    /// What it is from now on, whole, in the form of its section; nothing where it is gone.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub payload: serde_json::Value,
}

/// What was done to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateVerb {
    /// It is new.
    Created,
    /// It has other attributes.
    Updated,
    /// It is gone.
    Deleted,
    /// It counts from now on.
    Activated,
    /// It does not count any more: revoked, withdrawn, spent, ended.
    Ended,
    /// Somebody looked at it and said so.
    Reviewed,
}

/// INVARIANT (no patient in logs): the kind is printed, and the decision's cause.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision(decision) => fmt::Debug::fmt(decision, f),
            other => f.write_str(other.kind()),
        }
    }
}

debug_by_name!(
    Actor,
    ReleaseActivated,
    KeyEvent,
    Retention,
    RetentionChange,
    CallerRefused,
    AuditRead,
    Administration,
    StateChange,
    StateItem
);
