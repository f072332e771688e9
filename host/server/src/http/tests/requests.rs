//! What is answered and what is refused, in which order, with which bytes.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::tests::any_body;

#[tokio::test]
async fn a_decision_with_nothing_to_say_is_bare() {
    let world = world();
    for (question, body) in [
        (question("alice", "read", "record-1"), r#"{"decision":true}"#),
        (question("alice", "write", "record-1"), r#"{"decision":false}"#),
        (question("bob", "write", "record-1"), r#"{"decision":true}"#),
    ] {
        let reply = world.ask(SINGLE, &question).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{question}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn properties_of_the_request_count_where_the_schema_says_so() {
    let mut question = question("alice", "write", "record-1");
    question["subject"]["properties"] = json!({"role": "admin"});
    assert_eq!(world().ask(SINGLE, &question).await.body, r#"{"decision":true}"#);
}

/// INVARIANT (absent looks like forbidden).
#[tokio::test]
async fn absent_looks_like_forbidden() {
    let world = world();
    let hidden = world.ask(SINGLE, &question("alice", "read", "hidden")).await;
    assert_eq!(hidden.body, r#"{"decision":false}"#);
    let names = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    let mut unlike = vec![
        question("alice", "read", "no-such-record"),
        question("nobody", "read", "hidden"),
        question("alice", "no-such-action", "hidden"),
    ];
    let mut other_type = question("alice", "read", "hidden");
    other_type["resource"]["type"] = json!("no-such-type");
    unlike.push(other_type);
    for question in unlike {
        let reply = world.ask(SINGLE, &question).await;
        assert_eq!((reply.status, &reply.body), (200, &hidden.body), "{question}");
        assert_eq!(names(&reply), names(&hidden), "{question}");
    }
    let items = ["hidden", "no-such-record"].map(|id| json!({"resource": {"type": "record", "id": id}}));
    let mut batch = question("alice", "read", "record-1");
    batch["evaluations"] = json!(items);
    let reply = world.ask(BATCH, &batch).await;
    assert_eq!(reply.body, r#"{"evaluations":[{"decision":false},{"decision":false}]}"#);
}

#[tokio::test]
async fn obligations_and_advice_have_the_profiles_shape() {
    let reply = world().ask(SINGLE, &question("alice", "export", "record-1")).await;
    let act_code = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    assert_eq!(
        reply.json(),
        json!({"decision": true, "context": {
            "obligations": [
                {"id": "redact-1", "type": "custom", "properties": {
                    "code": "redact", "coding": {"system": act_code, "code": "REDACT"},
                    "categories": "substance-use", "parameter.code": "inner"}},
                {"id": "watermark-1", "type": "custom", "properties": {"code": "watermark"}},
                {"id": "step-up-1", "type": "step-up", "properties": {"acr_value": "mfa"}},
            ],
            "advice": [
                {"id": "audit-1", "type": "custom", "properties": {
                    "code": "audit", "coding": {"system": act_code, "code": "AUDIT"}}},
            ],
        }})
    );
}

#[tokio::test]
async fn a_permit_whose_obligations_the_request_does_not_support_is_denied() {
    for (supported, expected) in [
        (json!(["custom", "step-up"]), true),
        (json!(["redact", "watermark", "step-up"]), true),
        (json!(["custom"]), false),
        (json!([]), false),
        (json!("custom step-up"), false),
    ] {
        let mut question = question("alice", "export", "record-1");
        question["context"] = json!({"supported_obligations": supported});
        let reply = world().ask(SINGLE, &question).await;
        assert_eq!(reply.json()["decision"], json!(expected), "{supported}");
    }
}

#[tokio::test]
async fn a_denial_that_may_be_explained_names_reason_and_remedies_in_a_stable_order() {
    let reply = world().ask(SINGLE, &question("alice", "export", "locked")).await;
    assert_eq!(
        reply.body,
        r#"{"decision":false,"context":{"reason_user":{"403":"This record is locked."},"reasons":[{"code":"export.locked","message":"This record is locked."}],"remedies":[{"type":"step-up","acr":"mfa"},{"type":"break-glass"}]}}"#
    );
}

#[tokio::test]
async fn the_full_explanation_is_for_callers_with_the_right() {
    let world = world();
    let path = format!("{SINGLE}?explain=full");
    let body = question("alice", "read", "hidden").to_string();
    let ask = |key: &'static str| world.send(request("POST", &path, &[("authorization", key)], body.clone()));
    let refused = ask(PORTAL_KEY).await;
    assert_eq!(refused.status, 403);
    let explained = ask("Bearer console-key").await;
    assert_eq!(explained.status, 200);
    let context = &explained.json()["context"];
    assert_eq!(context["reason_admin"]["403"], "forbidden: policy `read.hidden`");
    assert_eq!(context["explanation"]["policies"][0]["id"], "read.hidden");
    assert!(context.get("reason_user").is_none());
    assert_eq!(ask("Bearer console-key").await.body, explained.body);
    // Without asking, the same caller gets the same bytes as any other.
    let console = [("authorization", "Bearer console-key")];
    assert_eq!(
        world.send(request("POST", SINGLE, &console, body.clone())).await.body,
        r#"{"decision":false}"#
    );
    for query in ["explain", "explain=", "explain=all", "explain=full&explain=full"] {
        let path = format!("{SINGLE}?{query}");
        assert_eq!(world.send(request("POST", &path, &console, body.clone())).await.status, 400, "{query}");
    }
    let unknown = format!("{SINGLE}?verbose=1&explained");
    assert_eq!(world.send(request("POST", &unknown, &[], body.clone())).await.status, 200);
}

#[tokio::test]
async fn the_full_explanation_names_what_was_sent_and_ignored_without_its_values() {
    let world = world();
    let mut body = question("alice", "read", "record-1");
    body["subject"]["properties"] = json!({ "role": "admin", "rank": "secret" });
    body["resource"]["properties"] = json!({ "labels": ["secret"] });
    body["action"]["properties"] = json!({ "soft": true, "loud": "secret" });
    body["context"] = json!({ "purpose": "secret", "supported_obligations": ["watermark"] });
    let console = [("authorization", "Bearer console-key")];
    let path = format!("{SINGLE}?explain=full");
    let reply = world.send(request("POST", &path, &console, body.to_string())).await;
    assert_eq!(
        reply.json()["context"]["explanation"]["ignored"],
        json!([
            "action.properties.loud",
            "context.purpose",
            "resource.properties.labels",
            "subject.properties.rank"
        ])
    );
    assert!(!reply.body.contains("secret"), "{}", reply.body);
    // Nobody else is told.
    let bare = world.send(request("POST", SINGLE, &console, body.to_string())).await;
    assert_eq!(bare.body, r#"{"decision":true}"#);
}

#[tokio::test]
async fn batches_keep_order_and_stop_where_the_semantic_says() {
    let world = world();
    let item = |action: &str| json!({"action": {"name": action}});
    let cases = [
        (None, vec![item("read"), item("write"), item("read")], "true,false,true"),
        (Some("execute_all"), vec![item("read"), item("write"), item("read")], "true,false,true"),
        (Some("deny_on_first_deny"), vec![item("read"), item("write"), item("read")], "true,false"),
        (Some("deny_on_first_deny"), vec![item("read"), item("read")], "true,true"),
        (Some("deny_on_first_deny"), vec![item("read"), json!({"action": 1}), item("read")], "true,false"),
        (Some("permit_on_first_permit"), vec![item("write"), item("read"), item("write")], "false,true"),
        (Some("permit_on_first_permit"), vec![item("write"), json!(3), item("read")], "false,false,true"),
        (Some("permit_on_first_permit"), vec![item("write"), item("write")], "false,false"),
    ];
    for (semantic, items, expected) in cases {
        let mut batch = question("alice", "read", "record-1");
        batch["evaluations"] = json!(items);
        if let Some(semantic) = semantic {
            batch["options"] = json!({"evaluations_semantic": semantic});
        }
        let reply = world.ask(BATCH, &batch).await;
        assert_eq!(reply.status, 200);
        let decisions: Vec<String> = reply.json()["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["decision"].to_string())
            .collect();
        assert_eq!(decisions.join(","), expected, "{batch}");
        assert_eq!(world.ask(BATCH, &batch).await.body, reply.body, "{batch}");
    }
}

#[tokio::test]
async fn a_batch_without_items_is_answered_as_one_evaluation() {
    let world = world();
    let mut batch = question("alice", "read", "record-1");
    for items in [json!([]), json!(null)] {
        batch["evaluations"] = items;
        assert_eq!(world.ask(BATCH, &batch).await.body, r#"{"decision":true}"#);
    }
    batch["evaluations"] = json!({});
    assert_eq!(world.ask(BATCH, &batch).await.status, 400);
}

#[tokio::test]
async fn the_ids_of_a_batch_follow_from_its_header_and_stand_in_the_records() {
    let world = world();
    let mut batch = question("alice", "read", "record-1");
    batch["evaluations"] = json!([{}, 7, {"action": {"name": "write"}}]);
    let reply = world.ask(BATCH, &batch).await;
    let id = reply.header("x-decision-id").unwrap();
    assert_eq!((id.len(), &id[28..]), (32, "0000"));
    let mut recorded: Vec<_> = world.recorder.records().iter().map(|r| r.id.as_str().to_owned()).collect();
    recorded.sort();
    assert_eq!(recorded, [format!("{}0000", &id[..28]), format!("{}0002", &id[..28])]);
    assert_eq!(reply.header("x-audit-position"), Some("1"));

    let reply = world.ask(SINGLE, &question("alice", "read", "record-1")).await;
    assert_eq!(reply.header("x-decision-id"), Some(world.recorder.records()[2].id.as_str()));
    assert_eq!(reply.header("x-audit-position"), Some("2"));
}

#[tokio::test]
async fn requests_are_refused_in_order() {
    let world = world_with(
        Arc::new(MemoryRecorder::new(1)),
        Arc::new(MemoryRecorder::new(1)),
        Limits { body_max_bytes: 400, ..Limits::default() },
    );
    let good = question("alice", "read", "record-1").to_string();
    let big = format!("{good}{}", " ".repeat(400));
    let exact = format!("{good}{}", " ".repeat(400 - good.len()));
    let none = ("authorization", "");
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, &str, Fields<'_>, &str, u16)] = &[
        ("POST", SINGLE, &[], &good, 200),
        ("POST", SINGLE, &[("content-type", "application/json; charset=utf-8")], &good, 200),
        ("POST", SINGLE, &[("content-encoding", "identity")], &good, 200),
        ("POST", SINGLE, &[], &exact, 200),
        // Who asks comes first, whatever else is wrong.
        ("GET", SINGLE, &[none, ("content-type", "")], "", 401),
        ("POST", "/hill/access/v1/evaluation", &[none], &big, 401),
        ("POST", SINGLE, &[("authorization", "Bearer wrong")], &good, 401),
        // Then the method, before the organization.
        ("GET", "/hill/access/v1/evaluation", &[], "", 405),
        ("PUT", SINGLE, &[], &good, 405),
        ("OPTIONS", BATCH, &[], "", 405),
        // Then the organization, before anything is read.
        ("POST", "/hill/access/v1/evaluation", &[("content-type", "text/plain")], &big, 403),
        ("POST", SINGLE, &[("content-type", "text/plain")], &big, 400),
        ("POST", SINGLE, &[("content-type", "")], &good, 400),
        ("POST", SINGLE, &[("content-encoding", "gzip")], &good, 400),
        ("POST", SINGLE, &[], &big, 413),
        ("POST", SINGLE, &[("content-length", "401")], &good, 413),
        ("POST", SINGLE, &[], "", 400),
        ("POST", SINGLE, &[], "[]", 400),
        ("POST", SINGLE, &[], "{}", 400),
        ("POST", "/bay/access/v1/search/subject", &[], &good, 404),
        ("POST", "/", &[], &good, 404),
        ("POST", "/healthz", &[none], "", 405),
        ("GET", "/healthz", &[none, ("host", "")], "", 400),
    ];
    for (method, path, fields, body, status) in cases {
        let reply = world.send(request(method, path, fields, (*body).to_owned())).await;
        assert_eq!(reply.status, *status, "{method} {path} {fields:?}: {}", reply.body);
        assert!(reply.header("x-request-id").is_some());
        if *status != 200 {
            assert_eq!(reply.json()["error"]["status"], *status, "{method} {path}");
            assert!(!reply.body.contains("\"decision\":true"));
        }
        assert_eq!(reply.header("www-authenticate").is_some(), *status == 401);
        assert_eq!(reply.header("allow").is_some(), *status == 405);
    }
}

#[tokio::test]
async fn organizations_that_do_not_exist_look_like_those_that_are_not_the_callers() {
    let parts = ServiceParts { releases: vec![bay(), release("hill")], ..parts() };
    let app = router(Arc::new(Service::new(parts).unwrap()));
    let mut replies = vec![];
    // Served but not the caller's; neither; the caller's but not served; not even a name.
    for name in ["hill", "no-such", "planned", "B%20ay", "%ff", "bay%2f"] {
        let path = format!("/{name}/access/v1/evaluation");
        let body = question("alice", "read", "record-1").to_string();
        let request = request("POST", &path, &[("x-request-id", "same")], body);
        let reply = Reply::of(app.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(reply.status, 403, "{name}");
        replies.push((reply.headers, reply.body));
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]));
}

#[tokio::test]
async fn request_ids_come_back_byte_for_byte_also_on_errors() {
    let world = world();
    let good = question("alice", "read", "record-1").to_string();
    let longest = "x".repeat(1_024);
    for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "a b=c;\"d\"", "é", longest.as_str()] {
        for (path, body, status) in
            [(SINGLE, &good, 200), (SINGLE, &String::new(), 400), ("/none", &good, 404)]
        {
            let reply = world.send(request("POST", path, &[("x-request-id", id)], body.clone())).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.headers["x-request-id"].as_bytes(), id.as_bytes());
            assert!(!world.last_line().contains("é") && !world.last_line().contains("a b"));
        }
    }
    let too_long = "x".repeat(1_025);
    let reply = world.send(request("POST", SINGLE, &[("x-request-id", &too_long)], good.clone())).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
    let fresh = world.send(request("POST", SINGLE, &[], good)).await;
    assert_eq!(fresh.header("x-request-id").unwrap().len(), 32);
    assert_ne!(fresh.header("x-request-id"), fresh.header("x-decision-id"));
}

#[tokio::test]
async fn completion_lines_name_outcomes_and_no_patient() {
    let world = world();
    let mut batch = question("alice", "read", "record-1");
    batch["subject"]["properties"] = json!({"role": "s3cr3t"});
    batch["evaluations"] =
        json!([{}, {"resource": {"type": "record", "id": "no-such"}}, {"resource": "s3cr3t"}]);
    world.send(request("POST", BATCH, &[("x-request-id", "r1")], batch.to_string())).await;
    let line = world.last_line();
    let start = "request_id=r1 method=POST route=/{organization}/access/v1/evaluations status=200 \
                 caller=\"portal\" organization=bay permit=1 indeterminate=1 problem.question=1 item_errors=1";
    assert!(line.starts_with(start), "{line}");
    world.ask("/alice/access/v1/evaluation", &batch).await;
    world.ask("/alice-in-the-path", &batch).await;
    assert_eq!(world.lines.0.lock().unwrap().len(), 3);
    for line in world.lines.0.lock().unwrap().iter() {
        assert!(!line.contains("alice") && !line.contains("s3cr3t") && !line.contains("no-such"), "{line}");
    }
}

#[tokio::test]
async fn metadata_announces_the_decision_endpoints_only() {
    let world = world();
    let open = [("authorization", ""), ("content-type", "")];
    let path = "/.well-known/authzen-configuration/bay";
    let reply = world.send(request("GET", path, &open, "")).await;
    assert_eq!(
        reply.json(),
        json!({
            "policy_decision_point": "https://pdp.example.org/bay",
            "access_evaluation_endpoint": "https://pdp.example.org/bay/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.example.org/bay/access/v1/evaluations",
            "supported_obligations": ["custom", "step-up", "notification", "session_termination"],
        })
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    // The same document for a name that is not served, but for the name.
    let other = world.send(request("GET", "/.well-known/authzen-configuration/hill", &open, "")).await;
    assert_eq!(other.body.replace("/hill", "/bay"), reply.body);
    for name in ["B", "a%20b", "%ff", ""] {
        let path = format!("/.well-known/authzen-configuration/{name}");
        assert_eq!(world.send(request("GET", &path, &open, "")).await.status, 404, "{name}");
    }
    let parts = ServiceParts { public_url: None, ..parts() };
    let app = router(Arc::new(Service::new(parts).unwrap()));
    assert_eq!(app.oneshot(request("GET", path, &open, "")).await.unwrap().status(), 404);
}

#[tokio::test]
async fn readiness_names_a_log_in_memory_and_lists_organizations_to_their_callers() {
    let world = world();
    let reply = world.send(request("GET", "/readyz", &[("authorization", "")], "")).await;
    let recorder = json!({
        "durability": "memory",
        "warning": "audit log is in memory; records are lost when the process ends",
    });
    assert_eq!((reply.status, reply.json()), (200, json!({"ready": true, "recorder": recorder})));
    let reply = world.send(request("GET", "/readyz", &[], "")).await;
    let organizations = json!([{"id": "bay", "release": bay().digest().to_string()}]);
    assert_eq!(reply.json()["organizations"], organizations);
    let reply = world.send(request("GET", "/readyz", &[("authorization", "Bearer hill-key")], "")).await;
    assert_eq!(reply.json()["organizations"], json!([]));
    world.service.begin_draining();
    let reply = world.send(request("GET", "/readyz", &[], "")).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (503, &json!("stopping")));
    assert_eq!(world.send(request("GET", "/healthz", &[], "")).await.status, 200);
}

#[tokio::test]
async fn a_release_is_swapped_whole_and_only_for_its_organization() {
    let world = world();
    let emptied = {
        let policies = bay();
        let none = policies.policies().load_entities(&[SourceFile::new("none.json", "[]")]).unwrap();
        policies.with_snapshot(Arc::new(none))
    };
    let body = question("alice", "read", "record-1");
    assert_eq!(world.ask(SINGLE, &body).await.body, r#"{"decision":true}"#);
    world.service.activate(emptied).unwrap();
    assert_eq!(world.ask(SINGLE, &body).await.body, r#"{"decision":false}"#);
    assert!(world.service.activate(release("hill")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_body_fails_the_service(body in prop_oneof![
        any_body().prop_map(|body| body.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..300),
    ], batch in any::<bool>()) {
        thread_local! {
            static STATE: (tokio::runtime::Runtime, World) =
                (tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), world());
        }
        STATE.with(|(runtime, world)| {
            let path = if batch { BATCH } else { SINGLE };
            let reply = runtime.block_on(world.send(request("POST", path, &[], body)));
            prop_assert!(reply.status == 200 || reply.status == 400, "{}", reply.status);
            prop_assert_eq!(world.service.panics(), 0);
            // No body here names a known user and a known record.
            prop_assert!(!reply.body.contains("\"decision\":true"));
            Ok(())
        })?;
    }
}
