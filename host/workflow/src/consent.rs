//! A consent on record: the FHIR document as it was given, the entity that was made of it, and whether it is revoked.
//!
//! INVARIANT (a revocation is final): a revoked consent is never replaced, and its entity permits nothing.
//!
//! How a revocation holds from the next decision on: the entity becomes `inactive`. Every plugin that reads
//! consents counts `active` ones only, so that what this one permitted is permitted by it no more, and what it
//! objected to is objected to by it no more. It must not be an active one that denies: where two consents disagree
//! it is deny, so that no later consent of the patient could ever permit anything again; and a revoked objection
//! would become a wider one. Forms, provisions and recipients go as well, and the base is `deny`: a policy that
//! looks at these and forgets the status finds no permission. What then holds is what the organization says of
//! patients without consent. Where that is `permit`, a patient who wants more than an end of this consent needs an
//! objection: a consent of its own, that denies.

use assent_model::{Date, EntityId, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::checks::{self, PATIENT};
use crate::redacted::debug_by_name;
use crate::refused::Refused;
use crate::{Machine, Step, Verb, cedar};

/// The words of the base schema, which are FHIR's.
const STATUSES: [&str; 6] = ["draft", "proposed", ACTIVE, "rejected", "inactive", "entered-in-error"];
const ACTIVE: &str = "active";

/// One version of a consent. How large it may be is for the store to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// Whose: a `Patient`.
    pub patient: EntityId,
    /// The FHIR Consent, as it was given.
    pub resource: Value,
    /// The entity that was made of it, with the same id and patient.
    pub entity: Value,
    /// What of it could not be carried into the entity, which says so too, as `unsupported`.
    pub objections: Vec<Remark>,
    /// What of it was read in a way worth knowing; none of it objects.
    pub notes: Vec<Remark>,
    /// Who recorded it.
    pub recorded_by: EntityId,
}

/// A place of a consent, and what is to be said of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remark {
    /// Where, as a FHIRPath.
    pub path: String,
    /// What: why it could not be carried into the entity, or how it was read.
    pub reason: String,
}

/// Where a consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It counts.
    Active,
    /// It counts, and as an objection, since not all of it could be read: somebody must clear it up.
    Objecting,
    /// It does not count now: the document is no active one, or not yet or no more in its period.
    Inactive,
    /// It was revoked.
    Revoked,
}

impl Status {
    /// The status, as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Objecting => "objecting",
            Self::Inactive => "inactive",
            Self::Revoked => "revoked",
        }
    }
}

/// A consent on record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document")]
pub struct Consent(Document);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    id: String,
    version: u32,
    patient: EntityId,
    resource: Value,
    entity: Value,
    objections: Vec<Remark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Remark>,
    recorded_at: Instant,
    recorded_by: EntityId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<Revoked>,
}

/// Who revoked a consent, and why.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revoked {
    /// Who.
    pub by: EntityId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Instant,
}

debug_by_name!(Version, Remark, Consent, Revoked);

impl Consent {
    /// Records a consent.
    ///
    /// # Errors
    /// When document, entity and patient do not go together.
    pub fn record(id: &str, content: Version, now: Instant) -> Result<Step<Self>, Refused> {
        checks::id("id", id)?;
        content.check(id)?;
        let Version { patient, resource, entity, objections, notes, recorded_by } = content;
        let document = Document {
            id: id.to_owned(),
            version: 1,
            patient,
            resource,
            entity,
            objections,
            notes,
            recorded_at: now,
            recorded_by,
            revoked: None,
        };
        Ok(Step { to: Self(document), verb: Verb::Created })
    }

    /// Records a new version, which counts instead of this one.
    ///
    /// # Errors
    /// When this one is revoked, the new one is another patient's, or it does not go together.
    pub fn replace(&self, content: Version, now: Instant) -> Result<Step<Self>, Refused> {
        self.require_not_revoked("replaced")?;
        let mut to = Self::record(&self.0.id, content, self.moment(now))?.to;
        if to.0.patient != self.0.patient {
            return Err(Refused::OtherPatient);
        }
        to.0.version = self.0.version.saturating_add(1);
        Ok(Step { to, verb: Verb::Updated })
    }

    /// Revokes it, for ever; also where it does not count now, so that it never will.
    ///
    /// # Errors
    /// When it is revoked, or it is not said why.
    pub fn revoke(&self, by: EntityId, reason: String, now: Instant) -> Result<Step<Self>, Refused> {
        self.require_not_revoked("revoked")?;
        checks::someone("by", &by)?;
        checks::words("reason", &reason)?;
        let mut to = self.clone();
        to.0.revoked = Some(Revoked { by, reason, at: self.moment(now) });
        Ok(Step { to, verb: Verb::Ended })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let now = self.moment(now);
        if self.0.revoked.is_some() {
            Status::Revoked
        } else if !counts(&self.0.entity, now) {
            Status::Inactive
        } else if self.0.objections.is_empty() {
            Status::Active
        } else {
            Status::Objecting
        }
    }

    /// The version, from 1 on.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.0.version
    }

    /// The FHIR Consent, as it was given.
    #[must_use]
    pub const fn resource(&self) -> &Value {
        &self.0.resource
    }

    /// What of it could not be carried into the entity.
    #[must_use]
    pub fn objections(&self) -> &[Remark] {
        &self.0.objections
    }

    /// Who recorded this version.
    #[must_use]
    pub const fn recorded_by(&self) -> &EntityId {
        &self.0.recorded_by
    }

    /// When this version was recorded.
    #[must_use]
    pub const fn recorded_at(&self) -> Instant {
        self.0.recorded_at
    }

    /// Who revoked it.
    #[must_use]
    pub const fn revoked(&self) -> Option<&Revoked> {
        self.0.revoked.as_ref()
    }

    fn require_not_revoked(&self, wanted: &'static str) -> Result<(), Refused> {
        if self.0.revoked.is_none() {
            return Ok(());
        }
        let remedy = "record another consent, under another id, where the patient gave one";
        Err(Refused::State { is: Status::Revoked.code(), wanted, remedy })
    }

    /// `now`, or the moment of the last step where a clock is behind it.
    fn moment(&self, now: Instant) -> Instant {
        let revoked = self.0.revoked.as_ref().map(|revoked| revoked.at);
        [Some(self.0.recorded_at), revoked].into_iter().flatten().fold(now, Instant::max)
    }
}

impl Version {
    fn check(&self, id: &str) -> Result<(), Refused> {
        let entity = |expected| Refused::Invalid { field: "entity", expected };
        checks::of_type("patient", &self.patient, PATIENT, "a `Patient` with an id")?;
        checks::someone("recordedBy", &self.recorded_by)?;
        if self.resource.get("resourceType").and_then(Value::as_str) != Some(Consent::TYPE) {
            return Err(Refused::Invalid { field: "resource", expected: "a FHIR Consent" });
        }
        let uid = self.entity.get("uid").and_then(cedar::read_reference);
        if uid != Some(EntityId::new(Consent::TYPE, id)) {
            return Err(entity("a `Consent` with the id of the document"));
        }
        if attribute(&self.entity, "patient").and_then(cedar::read_reference).as_ref() != Some(&self.patient)
        {
            return Err(entity("of the same patient"));
        }
        let status = attribute(&self.entity, "status").and_then(Value::as_str);
        if !status.is_some_and(|status| STATUSES.contains(&status)) {
            return Err(entity("with a `status` of the base schema"));
        }
        let given = |name| attribute(&self.entity, name);
        let readable = |name| given(name).is_none_or(|value| moment_of(value).is_some());
        if given("givenAt").is_none() || !["givenAt", "start", "end"].into_iter().all(readable) {
            return Err(entity(
                "with moments in `givenAt`, `start` and `end`, of which the first is required",
            ));
        }
        let unsupported = given("unsupported").map(|value| value.as_array().map_or(0, Vec::len));
        if (unsupported.unwrap_or(0) == 0) != self.objections.is_empty() {
            return Err(entity("with `unsupported` where there are objections, and nowhere else"));
        }
        for remark in self.objections.iter().chain(&self.notes) {
            checks::words("path", &remark.path)?;
            checks::words("reason", &remark.reason)?;
        }
        Ok(())
    }
}

fn attribute<'a>(entity: &'a Value, name: &str) -> Option<&'a Value> {
    entity.get("attrs")?.get(name)
}

/// Whether the document is active, given and in its period. The end is the first moment outside.
fn counts(entity: &Value, now: Instant) -> bool {
    let moment = |name| attribute(entity, name).and_then(moment_of);
    attribute(entity, "status").and_then(Value::as_str) == Some(ACTIVE)
        && moment("givenAt").is_some_and(|given| given <= now)
        && moment("start").is_none_or(|start| start <= now)
        && moment("end").is_none_or(|end| now < end)
}

/// A moment, or a date, which is its midnight in UTC: as entity files are read.
fn moment_of(value: &Value) -> Option<Instant> {
    let text = cedar::read_datetime(value)?;
    match text.parse::<Date>() {
        Ok(date) => format!("{date}T00:00:00Z").parse().ok(),
        Err(_) => text.parse().ok(),
    }
}

/// INVARIANT (only what steps make): what is read is made again from its steps, and must come out the same. Earlier
/// versions are in the audit log; here they are a number.
impl TryFrom<Document> for Consent {
    type Error = Refused;

    fn try_from(read: Document) -> Result<Self, Refused> {
        let Document { id, patient, resource, entity, objections, notes, recorded_by, .. } = read.clone();
        let content = Version { patient, resource, entity, objections, notes, recorded_by };
        let mut made = Self::record(&id, content, read.recorded_at)?.to;
        if read.version == 0 {
            return Err(Refused::Invalid { field: "version", expected: "1 or more" });
        }
        made.0.version = read.version;
        if let Some(Revoked { by, reason, at }) = read.revoked.clone() {
            made = made.revoke(by, reason, at)?.to;
        }
        let expected = "in the order in which things happened";
        if made.0 == read { Ok(made) } else { Err(Refused::Invalid { field: "at", expected }) }
    }
}

impl Machine for Consent {
    const SECTION: &'static str = "consent";
    const TYPE: &'static str = "Consent";

    fn id(&self) -> &str {
        &self.0.id
    }

    fn patient(&self) -> Option<&EntityId> {
        Some(&self.0.patient)
    }

    /// The entity as it was given; once revoked, one that permits nothing and objects to nothing.
    fn entity(&self) -> Option<Value> {
        if self.0.revoked.is_none() {
            return Some(self.0.entity.clone());
        }
        let attributes: Map<String, Value> = cedar::attributes([
            ("patient", Some(cedar::reference(&self.0.patient))),
            ("status", Some(json!("inactive"))),
            ("givenAt", attribute(&self.0.entity, "givenAt").cloned()),
            ("forms", Some(json!([]))),
            ("base", Some(json!("deny"))),
        ]);
        Some(cedar::entity(Self::TYPE, &self.0.id, attributes))
    }
}

#[cfg(test)]
mod tests;
