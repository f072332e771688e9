//! Approvals, consents and disclosure decisions, read from entities with the attributes of the
//! base schema.
//!
//! INVARIANT (what cannot be read does not widen access): an approval that cannot be read is as
//! good as none; a consent says what could not be read in it, which plugins treat as an objection;
//! a disclosure decision that cannot be read withholds all that it could be about.

use std::collections::HashMap;

use assent_model::{DecisionFacts, Entity, Record, Value};

use crate::v0_1::request::{
    Approval, ApprovalStatus, Approver, Coding, Consent, ConsentActor, ConsentStatus, Disclosure,
    DisclosureDecision, EntityId, Period, Provision, ProvisionEffect,
};
use crate::v0_1::resolve::{coding, entity};

/// The subject's approvals of these kinds that can be read; by id.
pub(crate) fn approvals<'a>(facts: &'a DecisionFacts, kinds: &[String]) -> Vec<&'a Entity> {
    if kinds.is_empty() {
        return Vec::new();
    }
    let of_kind = |approval: &&Entity| {
        let kind = approval.attributes.get("kind").and_then(Value::as_text);
        kind.is_some_and(|kind| kinds.iter().any(|wanted| wanted == kind))
            && self::approval(approval).is_some()
    };
    facts.facts.approvals(&facts.subject.id).map(AsRef::as_ref).filter(of_kind).collect()
}

/// The patient's consents; by id.
pub(super) fn consents<'a>(facts: &'a DecisionFacts, patient: &'a Entity) -> Vec<Consent<'a>> {
    let consents = facts.facts.consents(&patient.id);
    consents.map(|entity| consent(facts, patient, entity)).collect()
}

/// The professional decisions about the patient; by id.
pub(super) fn disclosure_decisions<'a>(
    facts: &'a DecisionFacts,
    patient: &Entity,
) -> Vec<DisclosureDecision<'a>> {
    let decisions = facts.facts.disclosure_decisions(&patient.id);
    decisions.map(|entity| disclosure_decision(entity).unwrap_or_else(|| withheld(facts, entity))).collect()
}

/// The attributes of an entity or record. `None` of a method: there, but not of that kind.
#[derive(Clone, Copy)]
struct Attributes<'a>(&'a Record);

impl<'a> Attributes<'a> {
    fn optional<T>(self, name: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<Option<T>> {
        match self.0.get(name) {
            None => Some(None),
            Some(value) => read(value).map(Some),
        }
    }

    fn required<T>(self, name: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        self.0.get(name).and_then(read)
    }

    /// Text that means "any" to the guest where it is empty. Stored empty text is malformed,
    /// since it was hardly meant as the widest.
    fn text_or_any(self, name: &str) -> Option<&'a str> {
        let text = self.optional(name, Value::as_text)?;
        if text == Some("") { None } else { Some(text.unwrap_or_default()) }
    }

    fn instant(self, name: &str) -> Option<i64> {
        self.required(name, millis)
    }

    fn optional_instant(self, name: &str) -> Option<Option<i64>> {
        self.optional(name, millis)
    }

    /// The members of a set; none where it is absent.
    fn set<T>(self, name: &str, read: impl FnMut(&'a Value) -> Option<T>) -> Option<Vec<T>> {
        match self.0.get(name) {
            None => Some(Vec::new()),
            Some(Value::Set(members)) => members.iter().map(read).collect(),
            Some(_) => None,
        }
    }
}

fn millis(value: &Value) -> Option<i64> {
    value.as_instant().map(assent_model::Instant::as_millis)
}

fn reference(value: &Value) -> Option<EntityId<&str>> {
    value.as_entity().map(entity)
}

fn record(value: &Value) -> Option<Attributes<'_>> {
    if let Value::Record(record) = value { Some(Attributes(record)) } else { None }
}

/// An approval as it is sent.
pub(super) fn approval(stored: &Entity) -> Option<Approval<'_>> {
    let attributes = Attributes(&stored.attributes);
    let approver = |value| {
        let approver = record(value)?;
        Some(Approver {
            who: approver.required("who", reference)?,
            role: approver.text_or_any("role")?,
            at: approver.instant("at")?,
        })
    };
    let status = match attributes.required("status", Value::as_text)? {
        "pending" => ApprovalStatus::Pending,
        "approved" => ApprovalStatus::Approved,
        "refused" => ApprovalStatus::Refused,
        "withdrawn" => ApprovalStatus::Withdrawn,
        "spent" => ApprovalStatus::Spent,
        _ => return None,
    };
    Some(Approval {
        id: &stored.id.id,
        kind: attributes.required("kind", Value::as_text)?,
        status,
        requester: attributes.required("requester", reference)?,
        approvers: attributes.set("approvers", approver)?,
        data_set: attributes.text_or_any("dataSet")?,
        action: attributes.text_or_any("action")?,
        purpose: attributes.text_or_any("purpose")?,
        max_records: attributes.optional("maxRecords", |value| value.as_integer()?.try_into().ok())?,
        requested_at: attributes.instant("requestedAt")?,
        expires_at: attributes.optional_instant("expiresAt")?,
        uses_left: attributes.required("usesLeft", |value| value.as_integer()?.try_into().ok())?,
    })
}

fn disclosure_decision(stored: &Entity) -> Option<DisclosureDecision<'_>> {
    let attributes = Attributes(&stored.attributes);
    let disclosure = match attributes.required("disclosure", Value::as_text)? {
        "disclose" => Disclosure::Disclose,
        "withhold" => Disclosure::Withhold,
        _ => return None,
    };
    Some(DisclosureDecision {
        id: &stored.id.id,
        category: attributes.required("category", Value::as_text)?,
        service: attributes.text_or_any("service")?,
        recipient: attributes.optional("recipient", reference)?,
        disclosure,
        author: attributes.required("author", reference)?,
        licence: attributes.required("licence", Value::as_text)?,
        reason: attributes.required("reason", Value::as_text)?,
        decided_at: attributes.instant("decidedAt")?,
        expires_at: attributes.optional_instant("expiresAt")?,
    })
}

/// What a decision that cannot be read says: withhold, from everyone, without end.
fn withheld<'a>(facts: &DecisionFacts, stored: &'a Entity) -> DisclosureDecision<'a> {
    let attributes = Attributes(&stored.attributes);
    DisclosureDecision {
        id: &stored.id.id,
        category: attributes.required("category", Value::as_text).unwrap_or_default(),
        service: "",
        recipient: None,
        disclosure: Disclosure::Withhold,
        author: attributes.required("author", reference).unwrap_or(EntityId { kind: "", id: "" }),
        licence: "",
        reason: "unreadable",
        decided_at: facts.now.as_millis(),
        expires_at: None,
    }
}

/// A consent, with the names of the attributes that could not be read. Where the status cannot,
/// it is `active`, so that no plugin passes over the objection.
fn consent<'a>(facts: &DecisionFacts, patient: &'a Entity, stored: &'a Entity) -> Consent<'a> {
    let attributes = Attributes(&stored.attributes);
    let mut unsupported = Vec::new();
    let mut note = |name: &'static str| unsupported.push(name);
    let status = match attributes.required("status", Value::as_text) {
        Some("draft") => ConsentStatus::Draft,
        Some("proposed") => ConsentStatus::Proposed,
        Some("active") => ConsentStatus::Active,
        Some("rejected") => ConsentStatus::Rejected,
        Some("inactive") => ConsentStatus::Inactive,
        Some("entered-in-error") => ConsentStatus::EnteredInError,
        Some(_) | None => {
            note("status");
            ConsentStatus::Active
        }
    };
    let given_at = attributes.instant("givenAt").unwrap_or_else(|| {
        note("givenAt");
        facts.now.as_millis()
    });
    let mut texts = |name: &'static str| {
        attributes.set(name, Value::as_text).unwrap_or_else(|| {
            note(name);
            Vec::new()
        })
    };
    let (forms, categories) = (texts("forms"), texts("categories"));
    let stored_unsupported = texts("unsupported");
    let mut signed_by = Vec::new();
    match attributes.optional("signedByPatient", Value::as_boolean) {
        Some(Some(true)) => signed_by.push(entity(&patient.id)),
        Some(Some(false) | None) => {}
        None => note("signedByPatient"),
    }
    let mut references =
        |name: &'static str, into: &mut Vec<EntityId<&'a str>>| match attributes.set(name, reference) {
            Some(ids) => into.extend(ids),
            None => note(name),
        };
    references("signedByProxies", &mut signed_by);
    let mut recipients = Vec::new();
    for name in ["recipientOrganizations", "recipientPractitioners", "recipientPersons"] {
        references(name, &mut recipients);
    }
    let period = period(attributes, "start", "end").unwrap_or_else(|| {
        note("period");
        Period { start: None, end: None }
    });
    let base = attributes.optional("base", effect).unwrap_or_else(|| {
        note("base");
        None
    });
    let provisions = provisions(attributes).unwrap_or_else(|| {
        note("provisions");
        Vec::new()
    });
    unsupported.extend(stored_unsupported);
    let id = &stored.id.id;
    Consent {
        id,
        status,
        given_at,
        forms,
        signed_by,
        categories,
        recipients,
        period,
        base,
        provisions,
        unsupported,
    }
}

fn effect(value: &Value) -> Option<ProvisionEffect> {
    match value.as_text()? {
        "permit" => Some(ProvisionEffect::Permit),
        "deny" => Some(ProvisionEffect::Deny),
        _ => None,
    }
}

fn period(attributes: Attributes<'_>, start: &str, end: &str) -> Option<Period> {
    Some(Period { start: attributes.optional_instant(start)?, end: attributes.optional_instant(end)? })
}

/// The provisions in the order of the set; `None` where one cannot be read, a key is used twice,
/// a parent is not there, or provisions are exceptions to each other in a circle.
fn provisions(consent: Attributes<'_>) -> Option<Vec<Provision<'_>>> {
    let stored = consent.set("provisions", record)?;
    let mut key_to_position = HashMap::with_capacity(stored.len());
    for (position, provision) in stored.iter().enumerate() {
        let key = provision.required("key", Value::as_text)?;
        if key_to_position.insert(key, u32::try_from(position).ok()?).is_some() {
            return None;
        }
    }
    let parent_of = |provision: &Attributes<'_>| match provision.optional("parent", Value::as_text)? {
        None => Some(None),
        Some(key) => key_to_position.get(key).copied().map(Some),
    };
    let parents = stored.iter().map(parent_of).collect::<Option<Vec<Option<u32>>>>()?;
    if !parents.iter().all(|parent| reaches_the_root(*parent, &parents)) {
        return None;
    }
    stored.iter().zip(parents).map(|(provision, parent)| read_provision(*provision, parent)).collect()
}

fn reaches_the_root(mut parent: Option<u32>, parents: &[Option<u32>]) -> bool {
    for _ in 0..=parents.len() {
        match parent.and_then(|position| parents.get(position as usize)) {
            None => return true,
            Some(next) => parent = *next,
        }
    }
    false
}

fn read_provision(stored: Attributes<'_>, parent: Option<u32>) -> Option<Provision<'_>> {
    let codings = |name| stored.set(name, |value| coding(value.as_text()?));
    Some(Provision {
        parent,
        effect: stored.required("effect", effect)?,
        period: period(stored, "start", "end")?,
        data_period: period(stored, "dataStart", "dataEnd")?,
        actors: stored.set("actors", actor)?,
        actions: codings("actions")?,
        purposes: codings("purposes")?,
        classes: codings("classes")?,
        codes: codings("codes")?,
        security_labels: codings("labels")?,
        data: Vec::new(),
    })
}

/// An actor; `None` unless it names exactly one.
fn actor(value: &Value) -> Option<ConsentActor<'_>> {
    let stored = record(value)?;
    let mut named = Vec::new();
    for name in ["organization", "practitioner", "person"] {
        named.extend(stored.optional(name, reference)?);
    }
    let role = stored.optional("role", |value| coding(value.as_text()?))?;
    let who = named.pop().filter(|_| named.is_empty())?;
    Some(ConsentActor { role: role.unwrap_or(Coding { system: "", code: "" }), who })
}

#[cfg(test)]
mod tests;
