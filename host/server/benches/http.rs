//! Decisions over HTTP beside a bare axum JSON echo: requests a second, p50 and p99 at 1, 16 and
//! 64 kept-alive connections, and the ratio between the two.
//!
//! Both servers run in this process on the same runtime and the same kind of connection, and are
//! measured in turns, so that what else the machine does falls on both. The clients share the
//! machine too: the ratio says what a decision costs over HTTP, not what the machine can do.
//! `cargo bench -p assent-server --bench http [-- SECONDS]`.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assent_engine::caller::Obligations;
use assent_engine::{Caller, MemoryRecorder, Release, Right};
use assent_model::OrganizationId;
use assent_plugin::{HostConfig, PluginHost};
use assent_policy::{Names, SourceFile};
use assent_server::http::{CompletedRequest, RequestLog};
use assent_server::{
    Callers, Credential, Limits, RandomIds, RegisteredCaller, Service, ServiceParts, SystemClock, runtime,
    serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: &[usize] = &[1, 16, 64];
/// Turns for each number of connections; both servers are measured in each.
const TURNS: u32 = 3;
const PATH: &str = "/bench/access/v1/evaluation";
const BODY: &str = r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}"#;

/// Takes lines and drops them: what standard error costs is not what is measured.
#[derive(Debug)]
struct NoLog;

impl RequestLog for NoLog {
    fn completed(&self, _: &CompletedRequest) {}
}

/// A service of two entities, one policy and no plugin: what HTTP itself costs.
fn service() -> Service {
    let organization = OrganizationId::new("bench").expect("a name");
    let schema =
        "entity User; entity Record; action read appliesTo { principal: [User], resource: [Record] };";
    let policy =
        r#"@id("read") @intent("users read") permit (principal, action == Action::"read", resource);"#;
    let entities = r#"[{"uid":{"type":"User","id":"alice"},"attrs":{},"parents":[]},
        {"uid":{"type":"Record","id":"record-1"},"attrs":{},"parents":[]}]"#;
    let table = |from: &str, to: &str| [(from.to_owned(), to.to_owned())].into();
    let names =
        Names { subjects: table("user", "User"), resources: table("record", "Record"), actions: [].into() };
    let policies = assent_policy::load(
        &[SourceFile::new("bench.cedarschema", schema)],
        &[SourceFile::new("bench.cedar", policy)],
        names,
    )
    .expect("policies");
    let snapshot = policies.load_entities(&[SourceFile::new("bench.json", entities)]).expect("entities");
    let slots = PluginHost::new(HostConfig::default()).expect("a plugin host").slots(&organization, 8);
    let caller = Caller {
        id: "bench".into(),
        organizations: [organization.clone()].into(),
        rights: [Right::Decide].into(),
        obligations: Obligations::All,
        environment: "test".into(),
    };
    let callers = Callers::new([RegisteredCaller { caller, credential: Credential::Loopback }]);
    let parts = ServiceParts {
        releases: vec![Release::new(organization, Arc::new(policies), Arc::new(snapshot), vec![], slots)],
        states: std::collections::BTreeMap::new(),
        callers: callers.expect("callers"),
        recorder: Arc::new(MemoryRecorder::new(1_000)),
        audit: None,
        rebuild: None,
        limits: Limits::default(),
        public_url: None,
        allow_remote_peers: false,
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        log: Arc::new(NoLog),
        gauges: vec![],
    };
    Service::new(parts).expect("a service")
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn echo(axum::Json(body): axum::Json<serde_json::Value>) -> axum::Json<serde_json::Value> {
    axum::Json(body)
}

/// What one turn measured.
struct Measured {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

/// Keeps that many connections busy for that long, one request at a time on each.
async fn load(address: SocketAddr, connections: usize, length: Duration, expected: &'static str) -> Measured {
    let begun = Instant::now();
    let clients: Vec<_> =
        (0..connections).map(|_| tokio::spawn(client(address, begun + length, expected))).collect();
    let mut latencies = vec![];
    for client in clients {
        latencies.extend(client.await.expect("a client"));
    }
    Measured { latencies, elapsed: begun.elapsed() }
}

async fn client(address: SocketAddr, end: Instant, expected: &'static str) -> Vec<Duration> {
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 4_096];
    let mut latencies = vec![];
    while Instant::now() < end {
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("a request is taken");
        let mut filled = 0;
        // Both answers end with the body that is expected, and it stands nowhere in the head.
        while !buffer.get(..filled).expect("in the buffer").ends_with(expected.as_bytes()) {
            let read =
                stream.read(buffer.get_mut(filled..).expect("an answer fits")).await.expect("an answer");
            assert_ne!(read, 0, "the server hung up");
            filled += read;
        }
        latencies.push(sent.elapsed());
    }
    latencies
}

/// Requests a second, p50 and p99.
fn summary(turns: Vec<Measured>) -> (f64, Duration, Duration) {
    let elapsed: Duration = turns.iter().map(|turn| turn.elapsed).sum();
    let mut all: Vec<Duration> = turns.into_iter().flat_map(|turn| turn.latencies).collect();
    all.sort_unstable();
    let at = |percent: usize| all.get(all.len() * percent / 100).copied().unwrap_or_default();
    (all.len() as f64 / elapsed.as_secs_f64(), at(50), at(99))
}

fn main() {
    let seconds = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(1.0);
    let length = Duration::from_secs_f64(seconds);
    let runtime = runtime().expect("a runtime");
    runtime.block_on(async {
        let (decisions, decisions_at) = listen().await;
        let (echoes, echoes_at) = listen().await;
        let service = Arc::new(service());
        tokio::spawn(async move { serve(service, decisions, std::future::pending()).await });
        let app = axum::Router::new().fallback(echo);
        tokio::spawn(async move { axum::serve(echoes, app).await });

        println!("connections  server    requests/s       p50 µs    p99 µs   of echo");
        for &connections in CONNECTIONS {
            // Warms connections, allocator and caches; not counted.
            load(decisions_at, connections, length / 10, r#"{"decision":true}"#).await;
            load(echoes_at, connections, length / 10, BODY).await;
            let (mut decided, mut echoed) = (vec![], vec![]);
            for _ in 0..TURNS {
                echoed.push(load(echoes_at, connections, length, BODY).await);
                decided.push(load(decisions_at, connections, length, r#"{"decision":true}"#).await);
            }
            let (echo, decision) = (summary(echoed), summary(decided));
            for (name, (rate, p50, p99)) in [("echo", echo), ("decision", decision)] {
                println!(
                    "{connections:>11}  {name:<8}  {rate:>10.0}  {:>11}  {:>8}  {:>7.2}",
                    p50.as_micros(),
                    p99.as_micros(),
                    rate / echo.0
                );
            }
        }
    });
}
