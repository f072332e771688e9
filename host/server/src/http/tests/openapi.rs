//! The OpenAPI document is of exactly what is served: every route and method, every status that a
//! refusal has, and examples that hold against their schemas and against the service.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::http::ROUTES;
use crate::wire;

pub(super) fn document() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

#[tokio::test]
async fn the_document_is_served() {
    let open = [("authorization", ""), ("content-type", "")];
    let reply = world().send(request("GET", "/openapi.json", &open, "")).await;
    assert_eq!((reply.status, reply.json()), (200, document()));
}

#[tokio::test]
async fn every_route_is_in_the_document_and_served_with_its_methods() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let listed: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    // A rest of a path is `{*name}` to the router, and has no notation of its own in OpenAPI.
    let routes: Vec<String> = ROUTES.iter().map(|route| route.path.replace("{*", "{")).collect();
    assert_eq!(listed, routes.iter().map(String::as_str).collect());
    let world = world();
    for (route, path) in ROUTES.iter().zip(&routes) {
        let methods = ["get", "post", "put", "patch", "delete"];
        let documented = methods.iter().filter(|method| paths[path].get(**method).is_some());
        let mut documented: Vec<String> = documented.map(|method| method.to_uppercase()).collect();
        // HEAD comes with GET and is not listed apart.
        if documented.first().is_some_and(|first| first == "GET") {
            documented.insert(1, "HEAD".to_owned());
        }
        assert_eq!(documented.join(", "), route.methods, "{}", route.path);
        let reply = world
            .send(request(
                "OPTIONS",
                &path
                    .replace("{organization}", "bay")
                    .replace("{id}", "2026-1")
                    .replace("{name}", "exports")
                    .replace("{year}", "2026")
                    .replace("{tile}", "0/000")
                    .replace("{type}", "User")
                    .replace("{step}", "answer"),
                &[],
                "",
            ))
            .await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(route.methods)), "{}", route.path);
    }
}

#[test]
fn every_status_of_a_refusal_is_documented_for_decisions() {
    let document = document();
    for path in [ROUTES[0].path, ROUTES[1].path] {
        let responses = document["paths"][path]["post"]["responses"].as_object().unwrap();
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "400", "401", "403", "405", "408", "413", "500", "503"], "{path}");
    }
}

#[test]
fn every_status_of_a_refusal_is_documented_for_the_audit_log() {
    let document = document();
    let routes = ROUTES.iter().filter(|route| route.path.contains("/audit/"));
    let mut count = 0;
    for route in routes {
        let method = if route.methods == "POST" { "post" } else { "get" };
        let path = route.path.replace("{*", "{");
        let responses = document["paths"][path][method]["responses"].as_object().unwrap();
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "400", "401", "403", "404", "405", "500", "503"], "{}", route.path);
        count += 1;
    }
    assert_eq!(count, 11);
}

#[test]
fn every_status_of_a_problem_is_documented_for_the_state() {
    let document = document();
    let read = ["200", "400", "401", "403", "404", "405", "500", "503"];
    let changed = ["400", "401", "403", "404", "405", "408", "409", "412", "413", "422", "500", "503"];
    let mut count = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains("/state/")) {
        let methods = document["paths"][route.path].as_object().unwrap();
        for (method, operation) in methods.iter().filter(|(name, _)| *name != "parameters") {
            let responses = operation["responses"].as_object().unwrap();
            let statuses = responses.keys().map(String::as_str);
            let statuses: Vec<&str> =
                statuses.filter(|status| method == "get" || !status.starts_with('2')).collect();
            let expected = if method == "get" { &read[..] } else { &changed[..] };
            assert_eq!(statuses, expected, "{method} {}", route.path);
            count += 1;
        }
    }
    assert_eq!(count, 27);
}

#[test]
fn the_parameters_of_readings_are_those_that_are_read() {
    let document = document();
    for (path, read) in [
        ("records", crate::http::audit::PARAMETERS),
        ("disclosures", crate::http::audit::ACCOUNTING_PARAMETERS),
        ("export", crate::http::audit::EXPORT_PARAMETERS),
    ] {
        let path = format!("/{{organization}}/audit/v1/{path}");
        let parameters = document["paths"][path]["parameters"].as_array().unwrap();
        let resolved = parameters.iter().map(|parameter| {
            document.pointer(parameter["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap()
        });
        let in_query = resolved.filter(|parameter| parameter["in"] == "query");
        let names: Vec<&str> = in_query.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, read);
    }
}

/// Whether the value holds against the schema, for the keywords that the document uses.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "$ref",
        "type",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "description",
        "pattern",
        "maxLength",
    ];
    let unknown = schema.as_object().unwrap().keys().find(|key| !KNOWN.contains(&key.as_str()));
    assert_eq!(unknown, None, "the document uses a keyword that this test does not check");
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target =
            document.pointer(target.trim_start_matches('#')).ok_or(format!("{target} is nowhere"))?;
        return check(document, target, value);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        return any
            .iter()
            .map(|one| check(document, one, value))
            .find(Result::is_ok)
            .unwrap_or(Err("no anyOf".into()));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match schema.get("type") {
        Some(Value::String(expected)) if expected != kind => return Err(format!("{kind} is not {expected}")),
        Some(Value::Array(expected)) if !expected.contains(&json!(kind)) => {
            return Err(format!("{kind} is none of the types"));
        }
        _ => {}
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|known| !known.contains(value))
        || schema.get("const").is_some_and(|known| known != value)
    {
        return Err(format!("{value} is not among those listed"));
    }
    let empty = serde_json::Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    for (name, member) in value.as_object().unwrap_or(&empty) {
        match properties.get(name) {
            Some(schema) => check(document, schema, member).map_err(|error| format!("{name}: {error}"))?,
            None if schema.get("additionalProperties") == Some(&json!(false)) => {
                return Err(format!("{name} is unknown"));
            }
            None => {}
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        value.get(name.as_str().unwrap()).ok_or(format!("{name} is missing"))?;
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().try_for_each(|value| check(document, items, value))?;
    }
    Ok(())
}

/// Every `schema` with its `examples`, wherever they are.
fn contents<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    if value.get("schema").is_some() && value.get("examples").is_some() {
        found.push(value);
    }
    match value {
        Value::Object(members) => members.values().for_each(|member| contents(member, found)),
        Value::Array(items) => items.iter().for_each(|item| contents(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_example_holds_against_its_schema() {
    let document = document();
    let mut found = vec![];
    contents(&document, &mut found);
    let mut examples = 0;
    for content in found {
        for (name, example) in content["examples"].as_object().unwrap() {
            check(&document, &content["schema"], &example["value"]).unwrap_or_else(|e| panic!("{name}: {e}"));
            examples += 1;
        }
    }
    assert_eq!(examples, 25);
}

#[test]
fn the_schemas_of_requests_agree_with_the_cases() {
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        body: Option<Value>,
        error: Option<String>,
    }
    let document = document();
    let schema = &document["components"]["schemas"]["EvaluationRequest"];
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../cases/evaluation.json")).unwrap();
    for Case { name, body, error } in cases {
        if let Some(body) = body {
            let got = check(&document, schema, &body);
            assert_eq!(got.is_err(), error.is_some(), "{name}: {got:?}");
        }
    }
}

#[tokio::test]
async fn what_is_answered_holds_against_the_schemas_and_the_examples_are_read() {
    let document = document();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let world = world();
    for (action, resource) in [
        ("read", "record-1"),
        ("read", "hidden"),
        ("export", "record-1"),
        ("export", "locked"),
        ("delete", "x"),
    ] {
        let path = format!("{SINGLE}?explain=full");
        let body = question("alice", action, resource).to_string();
        let console = [("authorization", "Bearer console-key")];
        let reply = world.send(request("POST", &path, &console, body.clone())).await;
        check(&document, &schema("Decision"), &reply.json()).unwrap();
        let batch = json!({"evaluations": [question("alice", action, resource), 7]});
        check(&document, &schema("Decisions"), &world.ask(BATCH, &batch).await.json()).unwrap();
    }
    check(&document, &schema("Error"), &world.ask("/none", &json!({})).await.json()).unwrap();
    check(&document, &schema("Readiness"), &world.send(request("GET", "/readyz", &[], "")).await.json())
        .unwrap();
    for (path, batch) in [(ROUTES[0].path, false), (ROUTES[1].path, true)] {
        let content = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        for example in content["examples"].as_object().unwrap().values() {
            let read = if batch {
                wire::evaluations(&example["value"], 100).map(drop)
            } else {
                wire::evaluation(&example["value"]).map(drop)
            };
            read.unwrap();
        }
    }
}
