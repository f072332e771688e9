//! The request itself, and the records that come with it: approvals, consents, decisions.
//!
//! The same as in the contract, with instants that cannot be mistaken for integers.

use crate::bindings::exports::assent::plugin::rules as wit;
pub use crate::bindings::exports::assent::plugin::rules::{
    Absence, ApprovalStatus, Coding, ConsentActor, ConsentData, ConsentStatus, DataMeaning, Disclosure,
    EntityId, ProvisionEffect, ValueSet,
};
use crate::facts::{Fact, Missing};
use crate::time::{Date, Instant};

/// One question: who wants to do what, with what, of whom, why and when.
#[derive(Clone, Debug)]
pub struct Request {
    /// The organization's id.
    pub organization: String,
    /// The moment of the decision.
    pub now: Instant,
    /// Today's date in the patient's time zone; absent without a patient or a known time zone.
    pub today: Fact<Date>,
    /// Who asks.
    pub subject: EntityId,
    /// The action, as the policies name it: `read`, `export`, ...
    pub action: String,
    /// What is asked for.
    pub resource: EntityId,
    /// The patient whose record it is.
    pub patient: Option<EntityId>,
    /// The purpose of use, an HL7 v3 PurposeOfUse code; none: not stated.
    pub purpose: Option<String>,
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Self {
        let why = if request.patient.is_some() { Absence::NotRecorded } else { Absence::NoPatient };
        Self {
            organization: request.organization,
            now: Instant(request.now),
            today: match request.today {
                Some(today) => Fact::Known(today),
                None => Fact::Absent(Missing { path: "patient.timeZone", why }),
            },
            subject: request.subject,
            action: request.action,
            resource: request.resource,
            patient: request.patient,
            purpose: request.purpose,
        }
    }
}

impl EntityId {
    /// The entity of this type with this id.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

impl Coding {
    /// The code in this system.
    pub fn new(system: impl Into<String>, code: impl Into<String>) -> Self {
        Self { system: system.into(), code: code.into() }
    }
}

impl ValueSet {
    /// Whether the set has this code of this system; `None` where the organization has no such
    /// value set, which the rule must decide on.
    pub fn has(&self, system: &str, code: &str) -> Option<bool> {
        self.known.then(|| self.codes.iter().any(|coding| coding.system == system && coding.code == code))
    }
}

/// One person's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// Who approved.
    pub who: EntityId,
    /// The role in which they approved; empty: none.
    pub role: String,
    /// When.
    pub at: Instant,
}

/// An approval that the subject asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its own id.
    pub id: String,
    /// What it is for, such as `export`.
    pub kind: String,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who asked for it.
    pub requester: EntityId,
    /// Who approved so far.
    pub approvers: Vec<Approver>,
    /// The data set it is bound to; empty: not bound.
    pub data_set: String,
    /// The action it is for; empty: any.
    pub action: String,
    /// The purpose it is for; empty: any.
    pub purpose: String,
    /// The most records it covers, if it says so.
    pub max_records: Option<u64>,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When it ends.
    pub expires_at: Option<Instant>,
    /// How often it may still be used.
    pub uses_left: u32,
}

impl From<wit::Approval> for Approval {
    fn from(approval: wit::Approval) -> Self {
        let approvers = approval.approvers.into_iter();
        Self {
            id: approval.id,
            kind: approval.kind,
            status: approval.status,
            requester: approval.requester,
            approvers: approvers.map(|a| Approver { who: a.who, role: a.role, at: Instant(a.at) }).collect(),
            data_set: approval.data_set,
            action: approval.action,
            purpose: approval.purpose,
            max_records: approval.max_records,
            requested_at: Instant(approval.requested_at),
            expires_at: approval.expires_at.map(Instant),
            uses_left: approval.uses_left,
        }
    }
}

/// A span of time; an absent end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first moment in it.
    pub start: Option<Instant>,
    /// The first moment after it.
    pub end: Option<Instant>,
}

impl Period {
    /// Whether the moment is in it: `start <= at < end`.
    pub fn contains(self, at: Instant) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }
}

impl From<wit::Period> for Period {
    fn from(period: wit::Period) -> Self {
        Self { start: period.start.map(Instant), end: period.end.map(Instant) }
    }
}

/// One provision of a consent; nested ones name the position of the one they are an exception to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// The position of the provision that this one is an exception to; none: the root's.
    pub parent: Option<u32>,
    /// Permit or deny.
    pub effect: ProvisionEffect,
    /// When the provision holds.
    pub period: Period,
    /// The dates of the data it is about.
    pub data_period: Period,
    /// Who; empty: anyone.
    pub actors: Vec<ConsentActor>,
    /// Which actions; empty: any.
    pub actions: Vec<Coding>,
    /// Which purposes; empty: any.
    pub purposes: Vec<Coding>,
    /// Which classes of resources; empty: any.
    pub classes: Vec<Coding>,
    /// Which clinical codes; empty: any.
    pub codes: Vec<Coding>,
    /// Which security labels; empty: any.
    pub security_labels: Vec<Coding>,
    /// Which data; empty: any.
    pub data: Vec<ConsentData>,
}

/// A consent directive of the patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Its own id.
    pub id: String,
    /// Where it stands.
    pub status: ConsentStatus,
    /// When it was given.
    pub given_at: Instant,
    /// The forms of consent it satisfies, such as `part2-tpo`.
    pub forms: Vec<String>,
    /// Who signed.
    pub signed_by: Vec<EntityId>,
    /// Categories of care it names; empty: not limited by category.
    pub categories: Vec<String>,
    /// Recipients it names; empty: not limited by recipient.
    pub recipients: Vec<EntityId>,
    /// When it holds.
    pub period: Period,
    /// What holds where no provision says otherwise; none: it does not say.
    pub base: Option<ProvisionEffect>,
    /// Its provisions.
    pub provisions: Vec<Provision>,
    /// What the host could not read in it: an objection.
    pub unsupported: Vec<String>,
}

impl From<wit::Consent> for Consent {
    fn from(consent: wit::Consent) -> Self {
        Self {
            id: consent.id,
            status: consent.status,
            given_at: Instant(consent.given_at),
            forms: consent.forms,
            signed_by: consent.signed_by,
            categories: consent.categories,
            recipients: consent.recipients,
            period: consent.period.into(),
            base: consent.base,
            provisions: consent.provisions.into_iter().map(Provision::from).collect(),
            unsupported: consent.unsupported,
        }
    }
}

impl From<wit::Provision> for Provision {
    fn from(provision: wit::Provision) -> Self {
        Self {
            parent: provision.parent,
            effect: provision.effect,
            period: provision.period.into(),
            data_period: provision.data_period.into(),
            actors: provision.actors,
            actions: provision.actions,
            purposes: provision.purposes,
            classes: provision.classes,
            codes: provision.codes,
            security_labels: provision.security_labels,
            data: provision.data,
        }
    }
}

/// A licensed professional's decision to disclose or to withhold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureDecision {
    /// Its own id.
    pub id: String,
    /// The category of care it is about.
    pub category: String,
    /// The service it is about; empty: all of the category.
    pub service: String,
    /// To whom; none: to the patient's representatives.
    pub recipient: Option<EntityId>,
    /// Disclose or withhold.
    pub disclosure: Disclosure,
    /// Who decided.
    pub author: EntityId,
    /// The author's licence.
    pub licence: String,
    /// Why: the organization's reason code.
    pub reason: String,
    /// When.
    pub decided_at: Instant,
    /// Until when it holds.
    pub expires_at: Option<Instant>,
}

impl From<wit::DisclosureDecision> for DisclosureDecision {
    fn from(decision: wit::DisclosureDecision) -> Self {
        Self {
            id: decision.id,
            category: decision.category,
            service: decision.service,
            recipient: decision.recipient,
            disclosure: decision.disclosure,
            author: decision.author,
            licence: decision.licence,
            reason: decision.reason,
            decided_at: Instant(decision.decided_at),
            expires_at: decision.expires_at.map(Instant),
        }
    }
}
