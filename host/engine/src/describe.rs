//! A decision as the audit log describes it: who asked for whom, what, why, from where; what decided;
//! what came out; what was read.
//!
//! INVARIANT (a decision replays): the question, the caller's obligations and environment, the clock,
//! and the digests of release and facts are in it, which is all that [`crate::judge`] depends on.

use std::collections::BTreeMap;

use assent_audit::record::{
    CallerSeen, DecisionEvent, FactRead, FactsSeen, Outcome, Problem, Registered, Resource, Subject,
};
use assent_model::{DecisionFacts, Entity, EntityId, EntityKind, Request, Value};

use crate::caller::{Caller, Obligations};
use crate::combine::Decision;
use crate::decide::{Judged, Question, host_context};
use crate::explain::paths_read;
use crate::release::Release;

/// Where a question came from, and what it took: known to the service alone.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The id that the caller gave its request.
    pub request_id: Option<String>,
    /// The network address it called from.
    pub address: Option<String>,
    /// From the question to the decision, in microseconds.
    pub latency_us: u64,
}

/// The decision as it is recorded.
pub fn describe(
    release: &Release,
    caller: &Caller,
    question: &Question,
    Judged { decision, facts, .. }: &Judged,
    provenance: Provenance,
) -> DecisionEvent {
    // A decision that never came to its facts is still about somebody.
    let again = facts.is_none().then(|| {
        let host = host_context(caller, question.at);
        release.policies().prepare(release.snapshot(), &question.request, &host).ok()
    });
    let again = again.flatten().map(|prepared| prepared.facts);
    let facts = facts.as_ref().or(again.as_ref());
    let Question { id, request, explain, .. } = question;
    let asked = |name: &str| request.context.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    DecisionEvent {
        id: id.clone(),
        organization: release.organization().clone(),
        caller: caller_seen(caller, provenance.address),
        request_id: provenance.request_id,
        subject: subject(request, facts),
        action: facts.map_or_else(|| request.action.name.clone(), |facts| facts.action.clone()),
        resource: resource(request, facts),
        patient: facts.and_then(|facts| facts.patient.as_ref()).map(|patient| patient.id.clone()),
        recipient: facts.and_then(recipient),
        purpose: facts.map_or_else(|| asked("purpose"), |facts| facts.purpose.clone()),
        justification: facts.map_or_else(|| asked("justification"), justification),
        relations: facts.map(relations).unwrap_or_default(),
        consents: facts.map(consents).unwrap_or_default(),
        release: release.digest(),
        facts: FactsSeen {
            snapshot: release.snapshot().digest(),
            state: release.state().map(|state| state.seen),
            read: facts.map(|facts| facts_read(release, decision, facts)).unwrap_or_default(),
            entities: vec![],
        },
        request: request.clone(),
        explained: *explain,
        outcome: outcome(decision),
        latency_us: provenance.latency_us,
    }
}

/// The answer as it is recorded; what a replay compares.
pub fn outcome(decision: &Decision) -> Outcome {
    let problem = |problem: &crate::Problem| Problem {
        code: problem.code.code().to_owned(),
        detail: problem.detail.clone(),
    };
    Outcome {
        effect: decision.effect(),
        cause: decision.cause(),
        verdict: decision.verdict().cloned(),
        plugins: decision.outcomes().to_vec(),
        obligations: decision.obligations().to_vec(),
        advice: decision.advice().to_vec(),
        problems: decision.problems().iter().map(problem).collect(),
    }
}

fn caller_seen(caller: &Caller, address: Option<String>) -> CallerSeen {
    CallerSeen {
        id: caller.id.clone(),
        environment: caller.environment.clone(),
        rights: caller.rights.iter().map(|right| right.code().to_owned()).collect(),
        obligations: match &caller.obligations {
            Obligations::All => Registered::All,
            Obligations::Only(codes) => Registered::Only(codes.clone()),
        },
        address,
    }
}

/// The caller as it was when it asked, to make the decision again.
pub fn caller_again(event: &DecisionEvent) -> Caller {
    Caller {
        id: event.caller.id.clone(),
        organizations: [event.organization.clone()].into(),
        // What a caller may ask for is settled before a decision; none of it enters one.
        rights: [].into(),
        obligations: match &event.caller.obligations {
            Registered::All => Obligations::All,
            Registered::Only(codes) => Obligations::Only(codes.clone()),
        },
        environment: event.caller.environment.clone(),
    }
}

fn subject(request: &Request, facts: Option<&DecisionFacts>) -> Subject {
    let Some(facts) = facts else {
        let entity = EntityId::new(&*request.subject.kind, &request.subject.id);
        return Subject { entity, roles: vec![], organization: None };
    };
    let roles = facts.subject.ancestors.iter().filter(|group| group.kind == "Role");
    Subject {
        entity: facts.subject.id.clone(),
        roles: roles.map(|role| role.id.to_string()).collect(),
        organization: reference(&facts.subject, "organization"),
    }
}

fn resource(request: &Request, facts: Option<&DecisionFacts>) -> Resource {
    let Some(facts) = facts else {
        let entity = EntityId::new(&*request.resource.kind, &request.resource.id);
        return Resource { entity, labels: vec![], part2: false };
    };
    let labels = match facts.resource.attributes.get("labels") {
        Some(Value::Set(labels)) => labels.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
        _ => vec![],
    };
    Resource {
        entity: facts.resource.id.clone(),
        labels,
        part2: facts.resource.attributes.get("part2").and_then(Value::as_boolean).unwrap_or_default(),
    }
}

fn reference(entity: &Entity, attribute: &str) -> Option<EntityId> {
    entity.attributes.get(attribute).and_then(Value::as_entity).cloned()
}

/// The organization at the other end of an export or share.
fn recipient(facts: &DecisionFacts) -> Option<EntityId> {
    facts.attribute("context.destination.organization").ok().and_then(Value::as_entity).cloned()
}

/// The reason in words; of an emergency, its own.
fn justification(facts: &DecisionFacts) -> Option<String> {
    let text = |path| facts.attribute(path).ok().and_then(Value::as_text).map(str::to_owned);
    text("context.breakGlass.justification").or_else(|| text("context.justification"))
}

/// The relations from subject to patient that the policies saw.
fn relations(facts: &DecisionFacts) -> Vec<EntityId> {
    let is_relation =
        |id: &&EntityId| matches!(facts.facts.kind(&id.kind), Some(EntityKind::Relation { .. }));
    facts.context.values().filter_map(Value::as_entity).filter(is_relation).cloned().collect()
}

/// The patient's active consents.
fn consents(facts: &DecisionFacts) -> Vec<EntityId> {
    let stored = facts.patient.iter().flat_map(|patient| facts.facts.consents(&patient.id));
    let active = |consent: &&std::sync::Arc<Entity>| {
        consent.attributes.get("status").and_then(Value::as_text) == Some("active")
    };
    stored.filter(active).map(|consent| consent.id.clone()).collect()
}

fn facts_read(release: &Release, decision: &Decision, facts: &DecisionFacts) -> BTreeMap<String, FactRead> {
    paths_read(release, decision)
        .map(|path| {
            let read = match facts.attribute(path) {
                Ok(value) => FactRead::Value(value.clone()),
                Err(absence) => FactRead::Absent(absence),
            };
            (path.to_owned(), read)
        })
        .collect()
}
