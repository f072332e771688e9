//! INVARIANT (no patient in logs), with values planted wherever a decision could pick one up: ids,
//! properties and context of the request, stored attributes, settings, and what plugins say. None
//! may be in a line that the service logs, or in the `Debug` of anything that a decision is made of.

use std::fmt::Debug;

use assent_engine::{Provenance, Question, caller_view, full_view, judge, record_decision};
use assent_model::{DecisionId, Value as Fact};
use assent_plugin::Limits as PluginLimits;
use assent_policy::HostContext;
use serde_json::json;

use super::*;
use crate::wire;

const SCHEMA: &str = r#"
entity User = { note?: String };
entity Record = {
    note?: String,
    @supplied("caller") status?: String,
    @supplied("caller") size?: Long,
};
type Circumstances = {
    @supplied("host") callerEnvironment?: String,
    @supplied("caller") purpose?: String,
    @supplied("caller") session?: { device?: String },
};
action "read", "give-up", "find", "grow" appliesTo {
    principal: [User], resource: [Record], context: Circumstances,
};
"#;
const POLICIES: &str = r#"
@id("all") @intent("everybody does everything")
permit (principal, action, resource);
@id("grow.size") @intent("fails, and Cedar's message quotes the number")
forbid (principal, action == Action::"grow", resource) when { resource has size && resource.size * 2 > 5 };
"#;
const ENTITIES: &str = r#"[
    {"uid": {"type": "User", "id": "canary-user"}, "attrs": {"note": "canary-user-note"}},
    {"uid": {"type": "Record", "id": "canary-record"}, "attrs": {"note": "canary-note", "status": "canary-stored"}}
]"#;
/// Twice this is more than 64 bits hold.
const CANARY_NUMBER: i64 = 5_534_023_222_112_865_485;

/// Fails with the subject's id as its reason.
const GIVES_UP: &str = "
    (i32.store8 (i32.const 2048) (i32.const 1))
    (i32.store (i32.const 2052) (i32.load offset=32 (local.get $request)))
    (i32.store (i32.const 2056) (i32.load offset=36 (local.get $request)))
    (i32.const 2048)";
/// Denies: the code is the subject's id, the message the settings. A note is the resource's id.
const FINDS: &str = "
    (i32.store (i32.const 3000) (i32.load offset=32 (local.get $request)))
    (i32.store (i32.const 3004) (i32.load offset=36 (local.get $request)))
    (i32.store (i32.const 3008) (global.get $settings))
    (i32.store (i32.const 3012) (global.get $settings_bytes))
    (i32.store (i32.const 3100) (i32.load offset=56 (local.get $request)))
    (i32.store (i32.const 3104) (i32.load offset=60 (local.get $request)))
    (i32.store (i32.const 2068) (i32.const 3000)) (i32.store (i32.const 2072) (i32.const 1))
    (i32.store (i32.const 2084) (i32.const 3100)) (i32.store (i32.const 2088) (i32.const 1))
    (i32.const 2048)";

fn canary_release() -> Release {
    let bound = |action: &str, evaluate: &str| Bound {
        component: bare::component("", evaluate),
        spec: BindingSpec {
            id: action.to_owned(),
            settings: json!("canary-settings"),
            grants: [].into(),
            limits: PluginLimits::default(),
        },
        scope: Scope { actions: [action.to_owned()].into(), ..Scope::default() },
    };
    release_of("bay", [SCHEMA, POLICIES, ENTITIES], vec![bound("give-up", GIVES_UP), bound("find", FINDS)])
}

/// The question with canaries in all its parts, about this action.
fn canary_question(action: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": "canary-user", "properties": {"canary-name": "canary-ignored"}},
        "action": {"name": action, "properties": {"canary-name": "canary-parameter"}},
        "resource": {"type": "record", "id": "canary-record", "properties": {"size": CANARY_NUMBER}},
        "context": {
            "purpose": "canary-purpose",
            "session": {"device": "canary-device"},
            "supported_obligations": ["canary-obligation"],
            "canary-name": "canary-unknown",
        },
    })
}

/// The bodies that are asked, and what each should show that it does: the cause in the log.
fn bodies() -> Vec<(Value, &'static str)> {
    let with = |path: &str, value: Value| {
        let mut question = canary_question("read");
        *question.pointer_mut(path).unwrap() = value;
        question
    };
    vec![
        (canary_question("read"), " permit=1 "),
        (canary_question("give-up"), " indeterminate=1 problem.plugin=1 "),
        (canary_question("find"), " forbidden=1 "),
        (canary_question("grow"), " indeterminate=1 problem.policy=1 "),
        (with("/resource/properties", json!({"status": "canary-other"})), " problem.question=1 "),
        (with("/resource/properties", json!({"size": "canary-size"})), " problem.question=1 "),
        (with("/context/session", json!("canary-session")), " problem.question=1 "),
        (with("/subject/id", json!("canary-nobody")), " problem.question=1 "),
        (with("/subject/type", json!("canary-type")), " problem.question=1 "),
        (with("/action/name", json!("canary-action")), " problem.question=1 "),
        (with("/subject", json!("canary-subject")), " status=400 "),
    ]
}

fn is_clean(text: &str) -> bool {
    !text.contains("canary") && !text.contains(&CANARY_NUMBER.to_string())
}

#[track_caller]
fn assert_clean(what: &impl Debug) {
    let text = format!("{what:?}");
    assert!(is_clean(&text), "{text}");
}

#[tokio::test]
async fn nothing_that_is_logged_names_a_patient() {
    let service = ServiceParts { releases: vec![canary_release()], ..parts() };
    let lines = Arc::new(Lines::default());
    let log = Arc::clone(&lines) as Arc<dyn RequestLog>;
    let service = Arc::new(Service::new(ServiceParts { log, ..service }).unwrap());
    let app = router(Arc::clone(&service));
    let mut told = String::new();
    for (body, shows) in bodies() {
        let mut batch = body.clone();
        batch["evaluations"] = json!([{}]);
        for (path, fields, body) in [
            (SINGLE, [("authorization", PORTAL_KEY)], &body),
            ("/bay/access/v1/evaluation?explain=full", [("authorization", "Bearer console-key")], &body),
            (BATCH, [("authorization", PORTAL_KEY)], &batch),
        ] {
            let reply = Reply::of(
                app.clone().oneshot(request("POST", path, &fields, body.to_string())).await.unwrap(),
            )
            .await;
            told += &reply.body;
            let line = lines.0.lock().unwrap().last().unwrap().clone();
            // An item of a batch that is malformed is false in its place.
            assert!(line.contains(shows) || line.contains(" item_errors=1 "), "{body}: {line}");
        }
    }
    let cut = canary_question("read").to_string();
    app.clone().oneshot(request("POST", SINGLE, &[], cut[..cut.len() - 3].to_owned())).await.unwrap();
    app.clone().oneshot(request("POST", "/canary/access/v1/evaluation", &[], cut)).await.unwrap();
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 3 * bodies().len() + 2);
    for line in lines.iter() {
        assert!(is_clean(line), "{line}");
    }
    // The values were there to be logged: explanations tell them to who may see them.
    for value in ["canary-user", "canary-record", "canary-settings", &CANARY_NUMBER.to_string()] {
        assert!(told.contains(value), "{value}");
    }
    assert_clean(&service);
}

#[test]
fn nothing_that_a_decision_is_made_of_prints_a_patient() {
    let release = canary_release();
    let caller = caller("console", &[Right::Decide, Right::Explain]);
    assert_clean(&(&release, release.snapshot().facts()));
    let mut written = String::new();
    for (body, _) in bodies() {
        assert_clean(&wire::evaluation(&body));
        assert_clean(&wire::evaluations(&body, 10));
        let Ok(request) = wire::evaluation(&body) else { continue };
        let question = Question {
            id: DecisionId::from_bits(1),
            at: "2026-11-21T18:00:00Z".parse().unwrap(),
            request,
            explain: true,
        };
        assert_clean(&question);
        let host = HostContext {
            now: question.at,
            values: [("callerEnvironment".to_owned(), Fact::Text("canary-environment".into()))].into(),
        };
        assert_clean(&host);
        match release.policies().prepare(release.snapshot(), &question.request, &host) {
            Ok(prepared) => {
                let facts = &prepared.facts;
                assert_clean(&(&prepared, facts, &facts.subject, &facts.resource, &facts.context));
                assert_clean(&release.policies().evaluate(&prepared));
            }
            Err(unprepared) => {
                assert_clean(&unprepared);
                assert!(is_clean(&unprepared.to_string()));
            }
        }
        let judged = judge(&release, &caller, &question);
        assert_clean(&judged);
        let decision = &judged.decision;
        for outcome in decision.outcomes() {
            assert_clean(outcome);
            assert!(outcome.result.as_ref().err().is_none_or(|failure| is_clean(&failure.to_string())));
        }
        let (view, full) = (caller_view(decision), full_view(&release, &caller, &question, decision));
        let response = wire::Response::of(decision, &view, Some(&full));
        assert_clean(&(&view, &full, &response));
        let recorder = MemoryRecorder::new(1);
        let recording =
            record_decision(&release, &caller, question, judged, Provenance::default(), &recorder);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_clean(&runtime.block_on(recording));
        assert_clean(&(&recorder, recorder.records()));
        written += &serde_json::to_string(&recorder.records()).unwrap();
        written += &serde_json::to_string(&full).unwrap();
    }
    // The values were there to be printed.
    for value in [
        "canary-user",
        "canary-name",
        "canary-ignored",
        "canary-parameter",
        "canary-record",
        "canary-purpose",
        "canary-device",
        "canary-obligation",
        "canary-unknown",
        "canary-settings",
        "canary-other",
        "canary-size",
        "canary-session",
        "canary-nobody",
        "canary-type",
        "canary-action",
        &CANARY_NUMBER.to_string(),
    ] {
        assert!(written.contains(value), "{value}");
    }
}
