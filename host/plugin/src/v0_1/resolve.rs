//! The facts of a decision as the request that one plugin gets: its needs met, in their order.
//!
//! INVARIANT (needs are capabilities): only what the needs name is read here. Everything is
//! borrowed from the facts; the lists around it are the only allocations.

use assent_model::{DecisionFacts, Entity, EntityId as Id, OrganizationId, Paths, Value};

use crate::needs::{Needs, RelationNeed};
use crate::v0_1::clinical;
use crate::v0_1::request::{
    Absence, Coding, Date, EntityId, Relation, Request, Scalar, Value as Sent, ValueSet,
};

/// What one plugin is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) facts: &'a DecisionFacts,
    /// Of the approvals that it asks for, those that it is to know this time.
    pub(crate) approvals: &'a [&'a Entity],
}

/// The request for a plugin with these needs; `paths` are those of the attributes among them.
pub(crate) fn resolve<'a>(needs: &'a Needs, paths: &Paths, asked: Asked<'a>) -> Request<'a> {
    let Asked { organization, facts, approvals } = asked;
    let patient = facts.patient.as_deref();
    let of_patient = |wanted: bool| patient.filter(|_| wanted);
    Request {
        organization: organization.as_str(),
        now: facts.now.as_millis(),
        today: facts.today.map(date),
        subject: entity(&facts.subject.id),
        action: &facts.action,
        resource: entity(&facts.resource.id),
        patient: patient.map(|patient| entity(&patient.id)),
        purpose: facts.purpose.as_deref(),
        attributes: paths.values(facts).into_iter().map(attribute).collect(),
        memberships: needs.memberships.iter().map(|group| facts.subject.ancestors.contains(group)).collect(),
        relations: needs.relations.iter().flat_map(|need| relations(facts, patient, need)).collect(),
        approvals: approvals.iter().copied().filter_map(clinical::approval).collect(),
        consents: of_patient(needs.consents)
            .map_or_else(Vec::new, |patient| clinical::consents(facts, patient)),
        disclosure_decisions: of_patient(needs.disclosure_decisions)
            .map_or_else(Vec::new, |patient| clinical::disclosure_decisions(facts, patient)),
        value_sets: needs.value_sets.iter().map(|name| value_set(facts, name)).collect(),
    }
}

pub(super) fn entity(id: &Id) -> EntityId<&str> {
    EntityId { kind: &id.kind, id: &id.id }
}

/// `system|code`, as codings are written in entity data.
pub(super) fn coding(text: &str) -> Option<Coding<'_>> {
    let (system, code) = text.split_once('|')?;
    (!code.is_empty()).then_some(Coding { system, code })
}

fn attribute(found: Result<&Value, assent_model::Absence>) -> Sent<&str> {
    match found {
        Ok(value) => sent(value),
        Err(assent_model::Absence::NotRecorded) => Sent::Absent(Absence::NotRecorded),
        Err(assent_model::Absence::NoPatient) => Sent::Absent(Absence::NoPatient),
        Err(assent_model::Absence::UnknownEntity) => Sent::Absent(Absence::UnknownEntity),
        Err(assent_model::Absence::NotARecord) => Sent::Absent(Absence::NotARecord),
    }
}

fn sent(value: &Value) -> Sent<&str> {
    match value {
        Value::Set(values) => values
            .iter()
            .map(scalar)
            .collect::<Option<_>>()
            .map_or(Sent::Absent(Absence::NotAValue), Sent::Set),
        single => scalar(single).map_or(Sent::Absent(Absence::NotAValue), Sent::Scalar),
    }
}

/// The value, where it is a single one; sets and records have no place inside another value.
fn scalar(value: &Value) -> Option<Scalar<&str>> {
    Some(match value {
        Value::Text(text) => Scalar::Text(text),
        Value::Integer(integer) => Scalar::Integer(*integer),
        Value::Decimal(decimal) => Scalar::Decimal(decimal.ten_thousandths()),
        Value::Boolean(boolean) => Scalar::Boolean(*boolean),
        Value::Instant(instant) => Scalar::Instant(instant.as_millis()),
        Value::Date(day) => Scalar::Date(date(*day)),
        Value::Duration(millis) => Scalar::Duration(*millis),
        Value::Ip(text) => Scalar::Ip(text),
        Value::Entity(id) => Scalar::Entity(entity(id)),
        Value::Set(_) | Value::Record(_) => return None,
    })
}

fn date(date: assent_model::Date) -> Date {
    // A date of the model is within the years 0 to 9999.
    Date { year: u16::try_from(date.year()).unwrap_or_default(), month: date.month(), day: date.day() }
}

fn relations<'a>(
    facts: &'a DecisionFacts,
    patient: Option<&'a Entity>,
    need: &'a RelationNeed,
) -> impl Iterator<Item = Relation<'a>> {
    patient
        .into_iter()
        .flat_map(|patient| facts.facts.relations(&need.kind, &facts.subject.id, &patient.id))
        .map(|relation| Relation {
            kind: &need.kind,
            id: &relation.id.id,
            attributes: need
                .attributes
                .iter()
                .map(|name| relation.attributes.get(name).map_or(Sent::Absent(Absence::NotRecorded), sent))
                .collect(),
        })
}

/// The value set. One that cannot be read whole is sent as unknown: a set of sensitive codes with
/// a code left out would say of that code that it is not sensitive.
fn value_set<'a>(facts: &'a DecisionFacts, name: &'a str) -> ValueSet<'a> {
    let known = facts.facts.value_set(name).and_then(|set| {
        let Some(Value::Set(codes)) = set.attributes.get("codes") else { return None };
        let codes = codes.iter().map(|code| coding(code.as_text()?)).collect::<Option<Vec<_>>>()?;
        let version = set.attributes.get("version").map_or(Some(""), Value::as_text)?;
        Some(ValueSet { name, version, codes, known: true })
    });
    known.unwrap_or(ValueSet { name, version: "", codes: Vec::new(), known: false })
}

#[cfg(test)]
mod tests;
