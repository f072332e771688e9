//! A record as an OCSF 1.8.0 event.
//!
//! Decisions are API Activity (6003) with the profile `security_control`; changes are Entity Management
//! (3004); a run of the service is Application Lifecycle (6002); a caller turned away is Authentication
//! (3002); what has no class is a base event. Attributes and enumerations: OCSF schema 1.8.0.

use assent_model::{Cause, EntityId};
use serde_json::{Value, json};

use super::{Source, compose, event_id, sentence, word};
use crate::record::{Actor, DecisionEvent, Event, KeyChange, Record, RetentionChange, StateVerb};

/// OCSF's version that these events follow.
const SCHEMA_VERSION: &str = "1.8.0";

/// Class, category and activity.
struct Class {
    uid: u32,
    category: u32,
    activity: u32,
}

/// The record as an OCSF event.
pub fn ocsf(source: &Source, position: u64, record: &Record) -> Value {
    let (class, own) = match &record.event {
        Event::Decision(decision) => api_activity(source, decision),
        Event::ServiceStarted(_) => lifecycle(source, 3),
        Event::ServiceStopped(_) => lifecycle(source, 4),
        Event::CallerRefused(event) => {
            let class = Class { uid: 3002, category: 3, activity: 1 };
            let own = json!({
                "user": { "uid": event.caller.as_deref().unwrap_or("unknown"), "type_id": 4 },
                "service": { "name": "assent", "uid": source.node },
                "src_endpoint": endpoint(event.address.as_deref(), event.caller.as_deref()),
                "status_id": 2,
                "status_detail": event.reasons(),
            });
            (class, own)
        }
        Event::TailDiscarded(_)
        | Event::ClockJump { .. }
        | Event::ReleaseArchived(_)
        | Event::StateCarried(_) => {
            (Class { uid: 0, category: 0, activity: 99 }, json!({ "activity_name": record.event.kind() }))
        }
        Event::ReleaseActivated(event) => {
            let release = json!({ "uid": event.release, "type": "Release", "version": event.policies, "name": event.source });
            change(10, release, &event.by, None)
        }
        Event::Key(event) => {
            let activity = match event.change {
                KeyChange::Created => 1,
                KeyChange::Rewrapped => 3,
                KeyChange::Destroyed => 4,
            };
            change(activity, json!({ "uid": event.key, "type": "Key" }), &event.by, None)
        }
        Event::Retention(event) => {
            let (activity, uid) = match &event.change {
                RetentionChange::KeptForDays(days) => (3, format!("{days} days")),
                RetentionChange::HoldPlaced(id) => (1, id.clone()),
                RetentionChange::HoldReleaseAsked(id) => (3, format!("release of {id} asked")),
                RetentionChange::HoldReleased(id) => (4, id.clone()),
                RetentionChange::LetGoAsked { .. } => (3, "let go: asked".to_owned()),
                RetentionChange::LetGoConfirmed => (3, "let go: confirmed".to_owned()),
                RetentionChange::ExpiredBefore(position) => (4, format!("before {position}")),
            };
            change(activity, json!({ "uid": uid, "type": "Retention" }), &event.by, Some(&event.reason))
        }
        Event::AuditRead(event) => {
            let log = json!({ "uid": source.log, "type": "AuditLog", "name": word(&event.what) });
            change(2, log, &event.by, None)
        }
        Event::Administration(event) => {
            let activity = match event.action.rsplit('.').next() {
                Some("create") => 1,
                Some("delete") => 4,
                Some("enable") => 8,
                Some("disable") => 9,
                _ => 3,
            };
            change(activity, entity(&event.target), &event.by, event.reason.as_deref())
        }
        Event::StateChanged(event) => {
            let activity = match event.items.first().map(|item| item.change) {
                Some(StateVerb::Created) => 1,
                Some(StateVerb::Updated | StateVerb::Reviewed) | None => 3,
                Some(StateVerb::Deleted) => 4,
                Some(StateVerb::Activated) => 10,
                Some(StateVerb::Ended) => 11,
            };
            // One event has one entity; the sentence says how many more there are, and the record which.
            let target = event.items.first().map_or(Value::Null, |item| entity(&item.target));
            change(activity, target, &event.by, None)
        }
    };
    let profiles: &[&str] = if record.decision().is_some() { &["security_control"] } else { &[] };
    let common = json!({
        "class_uid": class.uid,
        "category_uid": class.category,
        "activity_id": class.activity,
        "type_uid": class.uid * 100 + class.activity,
        "time": record.at.as_millis(),
        "severity_id": severity(record),
        "message": sentence(record),
        "metadata": {
            "version": SCHEMA_VERSION,
            "uid": event_id(source, position, record),
            "sequence": position,
            "log_name": source.log,
            "tenant_uid": source.organization,
            "original_time": record.at,
            "profiles": profiles,
            "product": { "name": "Assent", "vendor_name": "Assent", "version": source.software },
        },
    });
    compose([common, own])
}

fn api_activity(source: &Source, decision: &DecisionEvent) -> (Class, Value) {
    let activity = match decision.action.as_str() {
        "create" | "schedule" | "replyMessage" => 1,
        "read" | "vread" | "history" | "search" | "readMessage" => 2,
        "update" | "patch" => 3,
        "delete" | "deleteMessage" => 4,
        _ => 99,
    };
    let (action, disposition, status) = match decision.outcome.cause {
        Cause::Permit => (1, 1, 1),
        Cause::Forbidden | Cause::NoPolicy => (2, 2, 1),
        // The control itself failed, and so blocked.
        Cause::Indeterminate => (2, 27, 2),
    };
    let verdict = decision.outcome.verdict.iter();
    let authorizations: Vec<Value> = verdict
        .flat_map(|verdict| &verdict.determining)
        .map(|note| {
            json!({
                "decision": if note.permits { "permit" } else { "forbid" },
                "policy": { "uid": note.id, "name": note.id, "type": "Cedar", "version": decision.release, "is_applied": true },
            })
        })
        .collect();
    let subject = &decision.subject;
    let user = json!({
        "uid": subject.entity.id,
        "type": subject.entity.kind,
        "type_id": 99,
        "groups": subject.roles.iter().map(|role| json!({ "name": role })).collect::<Vec<_>>(),
        "org": subject.organization.as_ref().map(|organization| json!({ "uid": organization.id })),
    });
    let owner = |patient: &EntityId| json!({ "uid": patient.id, "type": patient.kind, "type_id": 99 });
    let resource = json!({
        "uid": decision.resource.entity.id,
        "type": decision.resource.entity.kind,
        "labels": decision.resource.labels,
        "owner": decision.patient.as_ref().map(owner),
    });
    let api = json!({
        "operation": decision.action,
        "service": { "name": "assent", "uid": source.node },
        "request": decision.request_id.as_ref().map(|id| json!({ "uid": id })),
    });
    let purpose = decision.purpose.as_ref();
    let own = json!({
        "activity_name": (activity == 99).then_some(&decision.action),
        "action_id": action,
        "disposition_id": disposition,
        "status_id": status,
        "status_code": decision.outcome.cause.code(),
        "status_detail": decision.outcome.reasons().join(", "),
        "authorizations": authorizations,
        "actor": { "app_uid": decision.caller.id, "user": user },
        "api": api,
        "src_endpoint": endpoint(decision.caller.address.as_deref(), Some(&decision.caller.id)),
        "resources": [resource],
        "enrichments": purpose.map(|purpose| {
            json!([{ "name": "purpose_of_use", "value": purpose, "type": "context", "data": {} }])
        }),
        "unmapped": {
            "facts": decision.facts.snapshot,
            "plugins": decision.outcome.plugins.iter().map(|outcome| {
                json!({ "binding": outcome.binding, "plugin": outcome.plugin, "component": outcome.component,
                        "settings": outcome.settings })
            }).collect::<Vec<_>>(),
            "obligations": decision.outcome.obligations.iter().map(|o| o.code.as_str()).collect::<Vec<_>>(),
            "consents": decision.consents.iter().map(|consent| &consent.id).collect::<Vec<_>>(),
            "latency_us": decision.latency_us,
        },
    });
    (Class { uid: 6003, category: 6, activity }, own)
}

fn lifecycle(source: &Source, activity: u32) -> (Class, Value) {
    let own = json!({ "app": { "name": "Assent", "vendor_name": "Assent", "version": source.software } });
    (Class { uid: 6002, category: 6, activity }, own)
}

fn change(activity: u32, entity: Value, by: &Actor, comment: Option<&str>) -> (Class, Value) {
    let own = json!({
        "entity": entity,
        "actor": {
            "app_uid": by.caller.as_deref().unwrap_or("assent"),
            "user": { "uid": by.entity.id, "type": by.entity.kind, "type_id": 99 },
        },
        "src_endpoint": endpoint(by.address.as_deref(), by.caller.as_deref()),
        "comment": comment,
        "status_id": 1,
    });
    (Class { uid: 3004, category: 3, activity }, own)
}

fn entity(target: &EntityId) -> Value {
    json!({ "uid": target.id, "type": target.kind })
}

/// OCSF wants one of address and name.
fn endpoint(address: Option<&str>, caller: Option<&str>) -> Value {
    match address {
        Some(address) if address.parse::<std::net::IpAddr>().is_ok() => json!({ "ip": address }),
        _ => json!({ "name": address.or(caller).unwrap_or("unknown") }),
    }
}

/// 1 informational, 2 low, 3 medium, 4 high.
fn severity(record: &Record) -> u32 {
    match &record.event {
        Event::Decision(decision) if decision.is_break_glass() => 3,
        Event::Decision(decision) => match decision.outcome.cause {
            Cause::Permit | Cause::Forbidden | Cause::NoPolicy => 1,
            Cause::Indeterminate => 3,
        },
        Event::CallerRefused(_) | Event::ClockJump { .. } => 2,
        Event::TailDiscarded(_) => 4,
        Event::ServiceStarted(_)
        | Event::ServiceStopped(_)
        | Event::ReleaseArchived(_)
        | Event::ReleaseActivated(_)
        | Event::Key(_)
        | Event::Retention(_)
        | Event::AuditRead(_)
        | Event::Administration(_)
        | Event::StateChanged(_)
        | Event::StateCarried(_) => 1,
    }
}
