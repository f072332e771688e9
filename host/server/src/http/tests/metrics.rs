//! What is measured: who may read it, that each sees its own organizations, and that it counts right.

use super::*;
use crate::metrics::{Family, Gauges, Kind, Sample};

const WATCHER: (&str, &str) = ("authorization", "Bearer watcher-key");

async fn read(world: &World) -> String {
    let reply = world.send(request("GET", "/metrics", &[WATCHER], "")).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    reply.body
}

#[tokio::test]
async fn only_callers_with_the_right_read_them_from_this_machine_too() {
    let world = world();
    for (key, status) in [("", 401), ("Bearer nobody", 401), (PORTAL_KEY, 403), ("Bearer auditor-key", 403)] {
        let reply = world.send(request("GET", "/metrics", &[("authorization", key)], "")).await;
        assert_eq!(reply.status, status, "{key}");
        assert!(!reply.body.contains("assent_") && !reply.body.contains("bay"), "{}", reply.body);
    }
    let mut here = request("GET", "/metrics", &[("authorization", ""), ("host", "localhost")], "");
    here.extensions_mut().insert(Connection {
        peer: "127.0.0.1:4000".parse().unwrap(),
        listener: "127.0.0.1:80".parse().unwrap(),
    });
    // The caller of this machine has another right.
    assert_eq!(world.send(here).await.status, 403);
    assert_eq!(world.last_line().split(' ').nth(2), Some("route=/metrics"));
}

#[tokio::test]
async fn decisions_are_counted_by_organization_effect_and_cause() {
    let world = world();
    for (subject, action) in [("alice", "read"), ("alice", "read"), ("bob", "nonsense")] {
        world.ask(SINGLE, &question(subject, action, "record-1")).await;
    }
    world.ask(BATCH, &serde_json::json!({"evaluations": [question("alice", "read", "record-1"), 7]})).await;
    let text = read(&world).await;
    for line in [
        "assent_decisions_total{organization=\"bay\",effect=\"permit\",cause=\"permit\"} 3",
        "assent_decisions_total{organization=\"bay\",effect=\"deny\",cause=\"forbidden\"} 0",
        "assent_decisions_total{organization=\"bay\",effect=\"deny\",cause=\"indeterminate\"} 1",
        "assent_panics_total 0",
        "assent_requests_in_flight 0",
        "assent_http_request_duration_seconds_count{route=\"/{organization}/access/v1/evaluation\"} 3",
        "assent_http_request_duration_seconds_count{route=\"/{organization}/access/v1/evaluations\"} 1",
        "assent_http_request_duration_seconds_count{route=\"none\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in: {text}");
    }
    assert!(text.contains("assent_build_info{version=\""), "{text}");
}

#[derive(Debug)]
struct Beside;

impl Gauges for Beside {
    fn families(&self) -> Vec<Family> {
        let samples = ["bay", "hill"].map(|id| Sample::of(&organization(id), 7.0).with("exporter", "siem"));
        vec![Family { name: "assent_beside", help: "x.", kind: Kind::Gauge, samples: samples.into() }]
    }
}

#[tokio::test]
async fn what_runs_beside_is_shown_to_those_who_may_see_its_organization() {
    let parts = ServiceParts { gauges: vec![Arc::new(Beside)], ..parts() };
    let service = Arc::new(Service::new(parts).unwrap());
    let reply = router(service).oneshot(request("GET", "/metrics", &[WATCHER], "")).await.unwrap();
    let text = Reply::of(reply).await.body;
    assert!(text.contains("assent_beside{organization=\"bay\",exporter=\"siem\"} 7\n"), "{text}");
    assert!(!text.contains("hill"), "{text}");
}

#[tokio::test]
async fn nothing_of_a_request_becomes_a_label() {
    let world = world();
    world.ask(SINGLE, &question("canary-subject", "canary-action", "canary-record")).await;
    world.send(request("POST", "/canary-path/access/v1/evaluation?canary=1", &[], "{}")).await;
    world.send(request("GET", "/canary/other", &[("x-request-id", "canary-id")], "")).await;
    let text = read(&world).await;
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("duration_seconds_count{route=\"none\"} 1\n"), "{text}");
}
