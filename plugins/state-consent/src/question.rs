//! One request as the rows see it: who would receive what, whose law counts, what for.
//!
//! INVARIANT (unknown does not release): a recipient, state or purpose that is not on record matches
//! no exception and no consent that is limited to one.

use assent_law::sensitive::purpose_in;
use assent_plugin_sdk::prelude::*;

use crate::facts::Facts;
use crate::record::Record;
use crate::table::Table;

/// Treatment, payment and operations (45 CFR 164.506). What is only met by itself is not among them.
pub const TPO: &[&str] = &["TREAT", "HPAYMT", "HOPERAT"];
/// Treatment in an emergency, met only by itself.
pub const EMERGENCY: [&str; 2] = ["ETREAT", "BTG"];

/// Actions that hand out nothing of a record by themselves.
const SILENT_ACTIONS: &[&str] = &[
    "create",
    "update",
    "patch",
    "delete",
    "schedule",
    "deleteMessage",
    "requestAccess",
    "requestAmendment",
    "requestAccounting",
    "administer",
    "audit",
];
/// Actions that send to somebody; without a destination, nobody knows to whom.
const SENDING_ACTIONS: &[&str] = &["export", "share"];
/// Taking out is never opened by breaking the glass.
const TAKING_ACTIONS: &[&str] = &["export", "share", "download", "print"];

/// In whose place the subject asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The patient, or the patient's own app.
    Patient,
    /// A representative in good standing.
    Representative,
    /// Anybody else.
    Other,
}

/// Who would receive it.
#[derive(Debug, Default)]
pub struct Recipient<'a> {
    /// The names by which a consent may name them.
    pub names: Vec<&'a EntityId>,
    /// `payer`, `exchange`, `public-health`, ...
    pub category: Option<&'a str>,
    /// USPS code.
    pub state: Option<&'a str>,
}

/// One request.
#[derive(Debug)]
pub struct Question<'a> {
    /// What the organization says of itself.
    pub table: &'a Table,
    /// The request.
    pub request: &'a Request,
    /// The facts.
    pub facts: &'a Facts,
    /// What the record shows of itself.
    pub record: Record<'a>,
    /// In whose place the subject asks.
    pub party: Party,
    /// Who would receive it.
    pub recipient: Recipient<'a>,
    /// Whether it stays inside the organization that holds the record.
    pub inside: bool,
    /// Use inside the organization for treatment, payment, operations or an emergency.
    pub ordinary_use: bool,
    /// Whether an emergency is shown.
    pub emergency: bool,
    /// Whether the answer is a list, of which parts can be left out.
    pub list: bool,
    /// States of service: the one on record, or each in which the organization gives care.
    pub service_states: Vec<&'a str>,
}

impl<'a> Question<'a> {
    /// The question that the request asks of the rows; none: it hands out nothing they could be about.
    pub fn of(table: &'a Table, request: &'a Request, facts: &'a Facts) -> Option<Self> {
        let action = request.action.as_str();
        // Made-up data are about nobody: a caller that says so of a patient's record is not believed.
        let made_up = facts.synthetic == Some(true) && request.patient.is_none();
        if made_up || SILENT_ACTIONS.contains(&action) {
            return None;
        }
        let recipient = recipient(request, facts);
        let holder = facts.holder.as_ref().or(facts.patient_organization.as_ref());
        let inside = holder.is_some_and(|holder| recipient.names.contains(&holder));
        let emergency = emergency(request, facts);
        let ordinary = request.purpose.as_deref().is_some_and(|purpose| purpose_in(purpose, TPO));
        let service = facts.service_state.as_deref().or(facts.encounter_state.as_deref());
        Some(Self {
            table,
            request,
            facts,
            record: Record::of(table, facts, &request.resource.kind),
            party: party(request, facts),
            inside,
            ordinary_use: inside && (ordinary || emergency),
            emergency,
            list: action == "search"
                || matches!(request.resource.kind.as_str(), "Bundle" | "DataSet")
                || facts.scope.as_deref() == Some("list"),
            service_states: service
                .map_or_else(|| table.states.iter().map(String::as_str).collect(), |s| vec![s]),
            recipient,
        })
    }

    /// Whether the purpose is stated and one of these, or part of one.
    pub fn purpose_in(&self, list: &[&str]) -> bool {
        self.request.purpose.as_deref().is_some_and(|purpose| purpose_in(purpose, list))
    }

    /// Whether the law of this jurisdiction counts.
    pub fn counts(&self, jurisdiction: &str) -> bool {
        matches!(jurisdiction, "US" | "ORG")
            || self.service_states.contains(&jurisdiction)
            || self.facts.residence.as_deref() == Some(jurisdiction)
    }

    /// Whether a care relationship with the patient holds now.
    pub const fn care(&self) -> bool {
        self.facts.care.is_some()
    }

    /// Whether a licensed professional has decided about this category of care, for this person, and
    /// the decision still holds.
    pub fn decided(&self, category: &str) -> bool {
        let now = self.request.now;
        self.facts.decisions.iter().any(|decision| {
            decision.category == category
                && !decision.licence.trim().is_empty()
                && decision.decided_at <= now
                && decision.expires_at.is_none_or(|end| now < end)
                && decision.recipient.as_ref().is_none_or(|who| *who == self.request.subject)
                && (decision.service.is_empty() || decision.service == self.request.resource.id)
        })
    }

    /// Whether a denial must look like an absent record, because the person asking is no member of
    /// the workforce.
    pub fn portal(&self) -> bool {
        self.request.subject.kind != "Practitioner"
    }
}

fn party(request: &Request, facts: &Facts) -> Party {
    let subject = &request.subject;
    let own_app = subject.kind == "Application"
        && facts.subject_category.as_deref() == Some("patient-directed")
        && facts.app_grant.is_some();
    if own_app || request.patient.as_ref() == Some(subject) {
        Party::Patient
    } else if subject.kind == "RelatedPerson"
        && facts.proxy_verified == Some(true)
        && facts.proxy_revoked != Some(true)
    {
        Party::Representative
    } else {
        Party::Other
    }
}

fn recipient<'a>(request: &'a Request, facts: &'a Facts) -> Recipient<'a> {
    if let Some(destination) = &facts.destination {
        Recipient {
            names: vec![destination],
            category: facts.destination_category.as_deref(),
            state: facts.destination_state.as_deref(),
        }
    } else if SENDING_ACTIONS.contains(&request.action.as_str()) {
        Recipient::default()
    } else {
        Recipient {
            names: [Some(&request.subject), facts.subject_organization.as_ref()]
                .into_iter()
                .flatten()
                .collect(),
            category: facts.subject_organization_category.as_deref(),
            state: facts.subject_organization_state.as_deref(),
        }
    }
}

fn emergency(request: &Request, facts: &Facts) -> bool {
    let declared = facts.break_glass_acknowledged == Some(true)
        && facts.break_glass_reason.as_deref().is_some_and(|reason| !reason.trim().is_empty())
        && !TAKING_ACTIONS.contains(&request.action.as_str());
    request.subject.kind == "Practitioner"
        && match request.purpose.as_deref() {
            Some("ETREAT") => true,
            Some("BTG") => declared,
            _ => false,
        }
}
