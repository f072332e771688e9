//! The router and the sockets, on a world of two users and four records.
//!
//! Requests go through the whole router; the clock stands still, ids count up, and recorders are
//! made to wait, fail or panic where a test is about that.

mod audit;
mod canaries;
mod isolation;
mod malformed;
mod malformed_state;
mod metrics;
mod openapi;
mod recording;
mod replay;
mod requests;
mod sockets;
mod state;
mod turned_away;
mod uses;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use assent_engine::caller::Obligations;
use assent_engine::{Binding, Caller, MemoryRecorder, Recorder, Release, Right, Scope};
use assent_model::{Instant, OrganizationId};
use assent_plugin::{BindingSpec, HostConfig, PluginHost};
use assent_policy::{Names, SourceFile};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::callers::{Callers, Connection, Credential, RegisteredCaller, key_digest};
use crate::clock::{Clock, Ids};
use crate::http::{CompletedRequest, RequestLog, router};
use crate::limits::Limits;
use crate::service::{Service, ServiceParts};

#[path = "../../../../tests/guests/bare.rs"]
mod bare;

const SCHEMA: &str = include_str!("tests/world.cedarschema");
const POLICIES: &str = include_str!("tests/world.cedar");
const ENTITIES: &str = r#"[
    {"uid": {"type": "User", "id": "alice"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "bob"}, "attrs": {"role": "admin"}, "parents": []},
    {"uid": {"type": "Record", "id": "record-1"}, "attrs": {"status": "active"}, "parents": []},
    {"uid": {"type": "Record", "id": "record-2"}, "attrs": {"status": "archived"}, "parents": []},
    {"uid": {"type": "Record", "id": "locked"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Record", "id": "hidden"}, "attrs": {}, "parents": []}
]"#;

const SINGLE: &str = "/bay/access/v1/evaluation";
const BATCH: &str = "/bay/access/v1/evaluations";
const PORTAL_KEY: &str = "Bearer portal-key";

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).unwrap()
}

fn release(id: &str) -> Release {
    release_of(id, [SCHEMA, POLICIES, ENTITIES], vec![])
}

/// A plugin with a component that is not a file.
struct Bound {
    component: Vec<u8>,
    spec: BindingSpec,
    scope: Scope,
}

/// A release of this schema, these policies, these entities, and plugins.
fn release_of(id: &str, [schema, policies, entities]: [&str; 3], plugins: Vec<Bound>) -> Release {
    let table = |from: &str, to: &str| [(from.to_owned(), to.to_owned())].into();
    let names =
        Names { subjects: table("user", "User"), resources: table("record", "Record"), actions: [].into() };
    let schema = [SourceFile::new("world.cedarschema", schema)];
    let policies = assent_policy::load(&schema, &[SourceFile::new("world.cedar", policies)], names)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let snapshot = policies
        .load_entities(&[SourceFile::new("world.json", entities)])
        .unwrap_or_else(|errors| panic!("{errors}"));
    let host = PluginHost::new(HostConfig::default()).unwrap();
    let slots = host.slots(&organization(id), 8);
    let bind = |Bound { component, spec, scope }| {
        let plugin = host.admit(&spec, &component).unwrap_or_else(|problems| panic!("{problems:?}"));
        Binding { plugin, scope }
    };
    let bindings = plugins.into_iter().map(bind).collect();
    Release::new(organization(id), Arc::new(policies), Arc::new(snapshot), bindings, slots)
}

/// One release for all tests: they need not compile the policies again.
fn bay() -> Release {
    static BAY: std::sync::LazyLock<Release> = std::sync::LazyLock::new(|| release("bay"));
    BAY.clone()
}

fn caller(id: &str, rights: &[Right]) -> Caller {
    Caller {
        id: id.into(),
        organizations: [organization("bay"), organization("planned")].into(),
        rights: rights.iter().copied().collect(),
        obligations: Obligations::All,
        environment: "test".into(),
    }
}

fn callers() -> Callers {
    let keyed = |caller, key| RegisteredCaller { caller, credential: Credential::KeySha256(key_digest(key)) };
    let elsewhere =
        Caller { organizations: [organization("hill")].into(), ..caller("hill", &[Right::Decide]) };
    Callers::new([
        keyed(caller("portal", &[Right::Decide]), "portal-key"),
        keyed(caller("console", &[Right::Decide, Right::Explain]), "console-key"),
        keyed(caller("auditor", &[Right::Audit]), "auditor-key"),
        keyed(caller("watcher", &[Right::Metrics]), "watcher-key"),
        keyed(caller("admin", &[Right::ReadState, Right::WriteState]), "admin-key"),
        keyed(caller("reader", &[Right::ReadState]), "reader-key"),
        keyed(
            caller("clerk", &[Right::ReadState, Right::WriteState, Right::Workflow, Right::Hold]),
            "clerk-key",
        ),
        keyed(elsewhere, "hill-key"),
        RegisteredCaller { caller: caller("here", &[Right::Decide]), credential: Credential::Loopback },
    ])
    .unwrap()
}

/// A clock that stands still.
#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Instant {
        "2026-11-21T18:00:00Z".parse().unwrap()
    }
}

/// Ids that count up from 1 in their high half, so that the digits for items are visible.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Ids for Counting {
    fn bits(&self) -> Option<u128> {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Some((u128::from(count) << 64) | 0xabcd)
    }
}

/// Keeps completion lines.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl RequestLog for Lines {
    fn completed(&self, request: &CompletedRequest) {
        self.0.lock().unwrap().push(request.to_string());
    }
}

struct World {
    service: Arc<Service>,
    app: Router,
    recorder: Arc<MemoryRecorder>,
    lines: Arc<Lines>,
}

fn world() -> World {
    let recorder = Arc::new(MemoryRecorder::new(1_000));
    world_with(Arc::clone(&recorder), recorder, Limits::default())
}

/// A world that records into `records` by way of `recorder`.
fn world_with(records: Arc<MemoryRecorder>, recorder: Arc<dyn Recorder>, limits: Limits) -> World {
    let lines = Arc::new(Lines::default());
    let parts = ServiceParts { limits, recorder, log: Arc::clone(&lines) as Arc<dyn RequestLog>, ..parts() };
    let service = Arc::new(Service::new(parts).unwrap());
    World { app: router(Arc::clone(&service)), service, recorder: records, lines }
}

fn parts() -> ServiceParts {
    ServiceParts {
        releases: vec![bay()],
        states: std::collections::BTreeMap::new(),
        callers: callers(),
        recorder: Arc::new(MemoryRecorder::new(10)),
        audit: None,
        rebuild: None,
        limits: Limits::default(),
        public_url: Some("https://pdp.example.org/".into()),
        allow_remote_peers: false,
        clock: Arc::new(Fixed),
        ids: Arc::new(Counting::default()),
        log: Arc::new(Lines::default()),
        gauges: vec![],
    }
}

/// A request as the portal sends it, with these header fields added or (where empty) left out.
fn request(method: &str, path: &str, fields: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut all = vec![
        ("host", "pdp.example.org"),
        ("authorization", PORTAL_KEY),
        ("content-type", "application/json"),
    ];
    for (name, value) in fields {
        all.retain(|(known, _)| known != name);
        if !value.is_empty() {
            all.push((name, value));
        }
    }
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in all {
        request = request.header(name, value);
    }
    let mut request = request.body(body.into()).unwrap();
    let connection =
        Connection { peer: "192.0.2.1:4000".parse().unwrap(), listener: "192.0.2.9:80".parse().unwrap() };
    request.extensions_mut().insert(connection);
    request
}

fn question(subject: &str, action: &str, resource: &str) -> Value {
    serde_json::json!({
        "subject": {"type": "user", "id": subject},
        "action": {"name": action},
        "resource": {"type": "record", "id": resource},
    })
}

struct Reply {
    status: u16,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Reply {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl World {
    async fn send(&self, request: Request<Body>) -> Reply {
        Reply::of(self.app.clone().oneshot(request).await.unwrap()).await
    }

    async fn ask(&self, path: &str, body: &Value) -> Reply {
        self.send(request("POST", path, &[], body.to_string())).await
    }

    fn last_line(&self) -> String {
        self.lines.0.lock().unwrap().last().unwrap().clone()
    }
}
