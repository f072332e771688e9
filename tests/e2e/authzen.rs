//! The public AuthZEN vectors against the real server: the certification scenario's evaluation and
//! evaluations tests, and the todo and gateway interop scenarios as their runners judge them.
//!
//! The vectors lie beside the project and are not part of it; where they are absent these tests
//! say so and pass.

use serde_json::Value;

use crate::support::{AUTHZEN, KEY, Server, shared};

const NOW: &str = "2026-11-21T18:00:00Z";

fn read(path: &str) -> Option<Value> {
    Some(serde_json::from_str(&std::fs::read_to_string(shared(path)?).unwrap()).unwrap())
}

#[test]
fn the_certification_vectors_come_out_as_the_suite_expects() {
    let Some(vectors) = read("authzen/conformance/vectors.json") else { return };
    let server = Server::start_with_key(&AUTHZEN, NOW);
    let (mut passed, mut searches, mut failures) = (0, 0, vec![]);
    for vector in vectors["tests"].as_array().unwrap() {
        let endpoint = vector["endpoint"].as_str().unwrap();
        if endpoint.contains("/search/") {
            searches += 1;
        } else if vector.get("superseded").is_none() {
            match judge(&server, endpoint, vector) {
                Ok(()) => passed += 1,
                Err(problem) => failures.push(format!("{}: {problem}", vector["id"])),
            }
        }
    }
    println!("{passed} certification vectors passed; {searches} are of searches, which are not offered");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(passed >= 55, "only {passed} vectors were found");
}

fn judge(server: &Server, endpoint: &str, vector: &Value) -> Result<(), String> {
    let body = match vector.get("raw_body") {
        Some(raw) => raw.as_str().unwrap().to_owned(),
        None => vector.get("body").map(Value::to_string).unwrap_or_default(),
    };
    let mut headers = vec![];
    if let Some(content_type) = vector["content_type"].as_str() {
        headers.push(("Content-Type", content_type));
    }
    if let Some(id) = vector.get("x_request_id").and_then(Value::as_str) {
        headers.push(("X-Request-ID", id));
    }
    let key = format!("Bearer {KEY}");
    match vector.get("auth").and_then(Value::as_str) {
        None => headers.push(("Authorization", &key)),
        Some("omit credentials") => {}
        Some(_) => headers.push(("Authorization", "Bearer another key")),
    }
    let path = format!("/certification{endpoint}");
    let send = || server.send(vector["method"].as_str().unwrap(), &path, &headers, &body);
    let reply = send();
    if !vector["accept_status"].as_array().unwrap().iter().any(|status| *status == reply.status) {
        return Err(format!(
            "status {} is not among {}: {}",
            reply.status, vector["accept_status"], reply.body
        ));
    }
    if let Some(id) = vector.get("x_request_id").and_then(Value::as_str)
        && reply.headers.get("x-request-id").map(String::as_str) != Some(id)
    {
        return Err("the request id did not come back".to_owned());
    }
    if reply.status != 200 {
        return Ok(());
    }
    if vector["compare"].as_str().unwrap().starts_with("3 calls")
        && (send().body != reply.body || send().body != reply.body)
    {
        return Err("repeated calls differ".to_owned());
    }
    let answer = reply.json();
    match &vector["expect"] {
        Value::Null => Ok(()),
        expect if expect.get("evaluations").is_some() => {
            same_decisions(&expect["evaluations"], &answer["evaluations"])
        }
        expect if answer.get("evaluations").is_none() && answer["decision"] == expect["decision"] => Ok(()),
        expect => Err(format!("expected {expect}, got {answer}")),
    }
}

fn same_decisions(expected: &Value, actual: &Value) -> Result<(), String> {
    let decisions = |items: &Value| -> Vec<Value> {
        items.as_array().into_iter().flatten().map(|item| item["decision"].clone()).collect()
    };
    let (expected, actual) = (decisions(expected), decisions(actual));
    if expected == actual { Ok(()) } else { Err(format!("expected {expected:?}, got {actual:?}")) }
}

/// The interop runners compare the JSON text of the whole `evaluations` array, so that any further
/// member would fail.
fn interop(organization: &str, path: &str, at_least: usize) {
    let Some(vectors) = read(path) else { return };
    let server = Server::start(&AUTHZEN, NOW);
    let (mut passed, mut failures) = (0, vec![]);
    let single = vectors.get("evaluation").and_then(Value::as_array).into_iter().flatten();
    for vector in single {
        let reply = server.ask(&format!("/{organization}/access/v1/evaluation"), &vector["request"]);
        let answer = reply.json();
        if answer["decision"] == vector["expected"] {
            passed += 1;
        } else {
            failures.push(format!("{}: {}", vector["request"], reply.body));
        }
    }
    for vector in vectors.get("evaluations").and_then(Value::as_array).into_iter().flatten() {
        let reply = server.ask(&format!("/{organization}/access/v1/evaluations"), &vector["request"]);
        if reply.json()["evaluations"] == vector["expected"] {
            passed += 1;
        } else {
            failures.push(format!("{}: {}", vector["request"], reply.body));
        }
    }
    println!("{passed} of `{path}` passed");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(passed >= at_least, "only {passed} vectors were found");
}

#[test]
fn the_todo_interop_vectors_come_out_as_expected() {
    interop("todo", "authzen/todo/decisions-authorization-api-1_0-02.json", 43);
}

#[test]
fn the_gateway_interop_vectors_come_out_as_expected() {
    interop("gateway", "authzen/gateway/decisions.json", 25);
}

#[test]
fn metadata_announces_what_is_served_and_no_search() {
    let server = Server::start(&AUTHZEN, NOW);
    let reply = server.send("GET", "/.well-known/authzen-configuration/certification", &[], "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let metadata = reply.json();
    assert_eq!(metadata["policy_decision_point"], "https://pdp.example.org/certification");
    for name in ["access_evaluation_endpoint", "access_evaluations_endpoint"] {
        let path = metadata[name].as_str().unwrap().strip_prefix("https://pdp.example.org").unwrap();
        assert_ne!(server.ask(path, &Value::Null).status, 404, "{path}");
    }
    for name in ["search_subject_endpoint", "search_resource_endpoint", "search_action_endpoint"] {
        assert!(metadata.get(name).is_none(), "{name} is announced");
    }
}
