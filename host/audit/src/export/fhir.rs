//! A record as a FHIR R4 AuditEvent.
//!
//! A decision that rests on a consent, about a known patient, from a caller with a network address is an
//! event of IHE BALP's profile `IHE.BasicAudit.AuthZconsent`, and says so. The profile is closed: it takes
//! patient, consents and token as entities and nothing else, so there the rest goes to `outcomeDesc`. Any
//! other record has the same shape with more entities, and claims no profile.
//! Sources: FHIR R4 AuditEvent; IHE ITI BALP 1.1; codes of DICOM PS3.16 (DCM).

use assent_model::{Cause, EntityId};
use serde_json::{Value, json};

use super::{Source, compose, event_id, name, sentence};
use crate::record::{Actor, DecisionEvent, Event, Record};
use crate::text::printable;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const AUTHZ: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
const BALP_CONSENT: &str =
    "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent";
const PURPOSES: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// The record as an AuditEvent.
pub fn fhir(source: &Source, position: u64, record: &Record) -> Value {
    let own = match &record.event {
        Event::Decision(decision) => authorization(source, position, record, decision),
        other => {
            let (kind, subtype, action, outcome) = coded(other);
            let actor = other.actor();
            let mut agents: Vec<Value> = actor.map(person).into_iter().collect();
            if let Event::CallerRefused(refused) = other {
                agents.push(client(refused.caller.as_deref(), refused.address.as_deref()));
            }
            agents.push(authorizer(source));
            json!({
                "type": { "system": DCM, "code": kind },
                "subtype": [{ "system": DCM, "code": subtype }],
                "action": action,
                "outcome": outcome,
                "outcomeDesc": sentence(record),
                "agent": agents,
                "entity": targets(other, &place(source, position)),
            })
        }
    };
    let common = json!({
        "resourceType": "AuditEvent",
        "id": event_id(source, position, record),
        "recorded": record.at,
        "source": {
            "site": text(&source.organization),
            "observer": device(source),
            "type": [{ "system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "6" }],
        },
    });
    compose([common, own])
}

fn authorization(source: &Source, position: u64, record: &Record, decision: &DecisionEvent) -> Value {
    let by_consent =
        decision.patient.is_some() && !decision.consents.is_empty() && decision.caller.address.is_some();
    let purpose: Option<Value> = decision
        .purpose
        .as_ref()
        .map(|code| json!([{ "coding": [{ "system": PURPOSES, "code": text(code) }] }]));
    let mut subtype = vec![
        json!({ "system": AUTHZ, "code": if decision.consents.is_empty() { "AuthZ-Role" } else { "AuthZ-Consent" } }),
    ];
    if decision.is_break_glass() {
        subtype.push(json!({ "system": DCM, "code": "110127", "display": "Emergency Override Started" }));
    }
    let user = json!({
        "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP" }] },
        "who": reference(&decision.subject.entity),
        "requestor": true,
        "purposeOfUse": purpose,
    });
    let mut agents = vec![client(Some(&decision.caller.id), decision.caller.address.as_deref()), user];
    if let Some(organization) = &decision.subject.organization {
        agents.push(json!({
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "PROV" }] },
            "who": reference(organization),
            "requestor": false,
        }));
    }
    agents.push(authorizer(source));
    let patient = decision.patient.as_ref().map(|patient| {
        json!({
            "what": reference(patient),
            "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "1" },
            "role": { "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1" },
        })
    });
    let consents = decision.consents.iter().map(|consent| {
        json!({ "what": reference(consent), "type": { "system": "http://hl7.org/fhir/resource-types", "code": "Consent" } })
    });
    let mut entities: Vec<Value> = patient.into_iter().chain(consents).collect();
    if !by_consent {
        entities.push(json!({
            "what": reference(&decision.resource.entity),
            "detail": [detail("release", &decision.release.to_string()), place(source, position)],
        }));
    }
    let description = if by_consent {
        format!("{}; release {}; {}#{position}", sentence(record), decision.release, source.log)
    } else {
        sentence(record)
    };
    json!({
        "meta": by_consent.then(|| json!({ "profile": [BALP_CONSENT] })),
        "type": { "system": DCM, "code": "110113", "display": "Security Alert" },
        "subtype": subtype,
        "action": "E",
        "outcome": match decision.outcome.cause {
            Cause::Permit => "0",
            Cause::Forbidden | Cause::NoPolicy | Cause::Indeterminate => "8",
        },
        "outcomeDesc": description,
        "agent": agents,
        "purposeOfEvent": purpose,
        "entity": entities,
    })
}

/// DCM type and subtype, action (C, R, U, D, E) and outcome (0 success, 4 minor, 8 serious failure).
const fn coded(event: &Event) -> (&'static str, &'static str, &'static str, &'static str) {
    match event {
        // Application activity: start, stop.
        Event::ServiceStarted(_) => ("110100", "110120", "E", "0"),
        Event::ServiceStopped(_) => ("110100", "110121", "E", "0"),
        // Audit log used.
        Event::AuditRead(_) => ("110101", "110101", "R", "0"),
        // User authentication: node authentication.
        Event::CallerRefused(_) => ("110114", "110126", "E", "8"),
        // Security alert: audit recording stopped, software configuration, security configuration,
        // user security attributes changed, object security attributes changed.
        Event::TailDiscarded(_) => ("110113", "110133", "E", "4"),
        Event::ClockJump { .. } => ("110113", "110129", "E", "4"),
        Event::ReleaseArchived(_) => ("110113", "110131", "C", "0"),
        Event::StateCarried(_) => ("110113", "110135", "C", "0"),
        Event::ReleaseActivated(_) => ("110113", "110131", "U", "0"),
        Event::Key(_) | Event::Retention(_) => ("110113", "110129", "U", "0"),
        Event::Administration(_) => ("110113", "110137", "U", "0"),
        Event::Decision(_) | Event::StateChanged(_) => ("110113", "110135", "U", "0"),
    }
}

fn targets(event: &Event, place: &Value) -> Vec<Value> {
    let found: Vec<&EntityId> = match event {
        Event::Administration(event) => vec![&event.target],
        Event::StateChanged(event) => {
            event.items.iter().flat_map(|item| std::iter::once(&item.target).chain(&item.patient)).collect()
        }
        Event::AuditRead(event) => event.patient.iter().collect(),
        _ => vec![],
    };
    let targets = found.into_iter().map(|entity| json!({ "what": reference(entity) }));
    targets.chain([json!({ "detail": [place] })]).collect()
}

fn person(actor: &Actor) -> Value {
    json!({ "who": reference(&actor.entity), "requestor": true, "network": network(actor.address.as_deref()) })
}

fn client(caller: Option<&str>, address: Option<&str>) -> Value {
    json!({
        "type": { "coding": [{ "system": DCM, "code": "110150" }] },
        "who": { "identifier": { "value": text(caller.unwrap_or("unknown")) } },
        "requestor": false,
        "network": network(address),
    })
}

/// Type 2: an IP address.
fn network(address: Option<&str>) -> Option<Value> {
    address.map(|address| json!({ "address": text(address), "type": "2" }))
}

fn authorizer(source: &Source) -> Value {
    json!({
        "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "code": "authserver" }] },
        "who": device(source),
        "requestor": false,
    })
}

fn device(source: &Source) -> Value {
    json!({ "identifier": { "value": text(&source.node) } })
}

fn place(source: &Source, position: u64) -> Value {
    detail("log", &format!("{}#{position}", source.log))
}

fn detail(kind: &str, value: &str) -> Value {
    json!({ "type": kind, "valueString": text(value) })
}

/// `Type/id` where both have FHIR's form (an id: 1 to 64 of `A-Z a-z 0-9 - .`); else a logical reference.
fn reference(entity: &EntityId) -> Value {
    let is_id = (1..=64).contains(&entity.id.len())
        && entity.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if is_id && RESOURCES.contains(&entity.kind.as_str()) {
        json!({ "reference": name(entity) })
    } else {
        json!({ "identifier": { "value": text(&entity.id) }, "display": text(&entity.kind) })
    }
}

/// Our entity types that are FHIR R4 resources.
const RESOURCES: &[&str] = &[
    "AllergyIntolerance",
    "Appointment",
    "Bundle",
    "CarePlan",
    "CareTeam",
    "Communication",
    "Condition",
    "Consent",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Procedure",
    "QuestionnaireResponse",
    "RelatedPerson",
    "ServiceRequest",
];

/// FHIR strings are not empty and hold no control characters.
fn text(text: &str) -> String {
    let printed = printable(text);
    if printed.trim().is_empty() { "unknown".to_owned() } else { printed }
}
