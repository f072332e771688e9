//! INVARIANT (receipt before permit), seen from outside: clients that hang up, logs that wait, fail
//! or panic, and what is shed meanwhile. Time is tokio's own and stands still unless all wait.

use std::pin::Pin;
use std::task::{Context, Poll};

use assent_audit::record::DecisionEvent;
use assent_engine::RecordError;
use assent_engine::record::{Durability, Recording};
use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;

/// Records once it is let: each record takes a permit of `gate`, after saying that it has `begun`.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) begun: Semaphore,
    pub(super) gate: Semaphore,
    pub(super) done: Semaphore,
    pub(super) log: Arc<MemoryRecorder>,
}

impl Gated {
    pub(super) fn new() -> Arc<Self> {
        let closed = || Semaphore::new(0);
        let log = Arc::new(MemoryRecorder::new(100));
        Arc::new(Self { begun: closed(), gate: closed(), done: closed(), log })
    }
}

impl Recorder for Gated {
    fn record(&self, at: Instant, record: DecisionEvent) -> Recording<'_> {
        Box::pin(async move {
            self.begun.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
            let receipt = self.log.record(at, record).await;
            self.done.add_permits(1);
            receipt
        })
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn ready(&self) -> Result<(), RecordError> {
        Ok(())
    }
}

/// What a broken log does.
#[derive(Debug)]
enum Broken {
    Fails,
    Panics,
}

impl Recorder for Broken {
    fn record(&self, _: Instant, _: DecisionEvent) -> Recording<'_> {
        match self {
            Self::Fails => Box::pin(async { Err(RecordError::refused("disk full")) }),
            Self::Panics => Box::pin(async { panic!("alice's record") }),
        }
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn ready(&self) -> Result<(), RecordError> {
        Err(RecordError::refused("disk full"))
    }
}

fn broken(recorder: Broken) -> World {
    world_with(Arc::new(MemoryRecorder::new(1)), Arc::new(recorder), Limits::default())
}

fn gated(recorder: &Arc<Gated>, limits: Limits) -> World {
    world_with(Arc::clone(&recorder.log), Arc::clone(recorder) as Arc<dyn Recorder>, limits)
}

fn permitted() -> String {
    question("alice", "read", "record-1").to_string()
}

#[tokio::test]
async fn a_client_that_hangs_up_loses_no_record() {
    let recorder = Gated::new();
    let world = gated(&recorder, Limits::default());
    let mut batch = question("alice", "read", "record-1");
    batch["evaluations"] = json!([{}, {}]);
    for (path, body, records) in [(SINGLE, permitted(), 1), (BATCH, batch.to_string(), 2)] {
        let asking = tokio::spawn(world.app.clone().oneshot(request("POST", path, &[], body)));
        recorder.begun.acquire_many(records).await.unwrap().forget();
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        let before = recorder.log.records().len();
        recorder.gate.add_permits(records as usize);
        recorder.done.acquire_many(records).await.unwrap().forget();
        assert_eq!(recorder.log.records().len() - before, records as usize, "{path}");
    }
}

#[tokio::test]
async fn no_answer_leaves_before_its_receipt() {
    let recorder = Gated::new();
    let world = gated(&recorder, Limits::default());
    let mut asking = Box::pin(world.app.clone().oneshot(request("POST", SINGLE, &[], permitted())));
    tokio::select! {
        biased;
        _ = &mut asking => panic!("answered before the receipt"),
        _ = recorder.begun.acquire() => {}
    }
    recorder.gate.add_permits(1);
    assert_eq!(Reply::of(asking.await.unwrap()).await.body, r#"{"decision":true}"#);
}

#[tokio::test]
async fn a_decision_that_cannot_be_recorded_is_denied_and_readiness_says_so() {
    let world = broken(Broken::Fails);
    let reply = world.send(request("POST", SINGLE, &[], permitted())).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"decision":false}"#));
    assert_eq!(reply.header("x-audit-position"), None);
    assert!(world.last_line().contains("indeterminate=1 problem.record=1"), "{}", world.last_line());
    let reply = world.send(request("GET", "/readyz", &[], "")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["reason"], "the audit log takes no records");
    assert!(!reply.body.contains("disk full"));
}

#[tokio::test]
async fn a_panic_is_answered_500_counted_and_never_a_permit() {
    let world = broken(Broken::Panics);
    let reply = world.send(request("POST", SINGLE, &[("x-request-id", "r9")], permitted())).await;
    assert_eq!(reply.status, 500);
    assert_eq!(reply.json(), json!({"error": {"status": 500, "message": "the service failed"}}));
    assert_eq!(reply.header("x-request-id"), Some("r9"));
    assert_eq!(world.service.panics(), 1);
    assert!(world.last_line().contains("status=500 caller=\"portal\" organization=bay panicked=true"));
    let failed =
        json!({"decision": false, "context": {"error": {"status": 500, "message": "the service failed"}}});
    for semantic in ["execute_all", "permit_on_first_permit"] {
        let mut batch = question("alice", "read", "record-1");
        batch["evaluations"] = json!([{}, {}]);
        batch["options"] = json!({"evaluations_semantic": semantic});
        let reply = world.ask(BATCH, &batch).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"evaluations": [failed, failed]})));
    }
    assert_eq!(world.service.panics(), 3);
    // The places of the requests that panicked are free again.
    assert_eq!(world.service.in_flight.available_permits(), world.service.limits.in_flight_max);
}

#[tokio::test]
async fn a_panic_outside_the_deciding_task_is_caught_too() {
    #[derive(Debug)]
    struct Stopped;
    impl Clock for Stopped {
        fn now(&self) -> Instant {
            panic!("no time")
        }
    }
    let service = Arc::new(Service::new(ServiceParts { clock: Arc::new(Stopped), ..parts() }).unwrap());
    let reply =
        router(Arc::clone(&service)).oneshot(request("POST", SINGLE, &[], permitted())).await.unwrap();
    assert_eq!(reply.status(), 500);
    assert_eq!(service.panics(), 1);
}

#[tokio::test]
async fn nothing_is_decided_without_an_id() {
    #[derive(Debug)]
    struct Exhausted;
    impl Ids for Exhausted {
        fn bits(&self) -> Option<u128> {
            None
        }
    }
    let service = Arc::new(Service::new(ServiceParts { ids: Arc::new(Exhausted), ..parts() }).unwrap());
    let reply = router(service).oneshot(request("POST", SINGLE, &[], permitted())).await.unwrap();
    assert_eq!(reply.status(), 500);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_shed_one_under_it_is_served() {
    let recorder = Gated::new();
    let world = gated(&recorder, Limits { in_flight_max: 2, ..Limits::default() });
    let ask = || tokio::spawn(world.app.clone().oneshot(request("POST", SINGLE, &[], permitted())));
    let (first, second) = (ask(), ask());
    recorder.begun.acquire_many(2).await.unwrap().forget();
    let shed = world.send(request("POST", SINGLE, &[], permitted())).await;
    assert_eq!((shed.status, shed.header("retry-after")), (503, Some("1")));
    // Health is told all the same, and a client that hangs up frees no place.
    assert_eq!(world.send(request("GET", "/healthz", &[], "")).await.status, 200);
    second.abort();
    assert!(second.await.is_err());
    assert_eq!(world.send(request("POST", SINGLE, &[], permitted())).await.status, 503);
    recorder.gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    recorder.done.acquire_many(2).await.unwrap().forget();
    drop(world.service.in_flight.acquire_many(2).await.unwrap());
    recorder.gate.add_permits(1);
    assert_eq!(world.send(request("POST", SINGLE, &[], permitted())).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_takes_too_long_is_answered_503_and_recorded_later() {
    let recorder = Gated::new();
    let world = gated(&recorder, Limits { request_timeout_ms: 300, ..Limits::default() });
    let begun = tokio::time::Instant::now();
    let reply = world.send(request("POST", SINGLE, &[], permitted())).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(begun.elapsed().as_millis(), 300);
    recorder.gate.add_permits(1);
    recorder.done.acquire().await.unwrap().forget();
    assert_eq!(recorder.log.records().len(), 1);
}

/// A body of which the first part arrives and the rest never does.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_in_time_is_answered_408() {
    let recorder = Arc::new(MemoryRecorder::new(1));
    let limits = Limits { body_timeout_ms: 200, ..Limits::default() };
    let world = world_with(Arc::clone(&recorder), recorder, limits);
    let begun = tokio::time::Instant::now();
    let stalled = Body::new(Stalled(Some(Bytes::from_static(b"{\"subject\":"))));
    let reply = world.send(request("POST", SINGLE, &[], stalled)).await;
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    assert_eq!(begun.elapsed().as_millis(), 200);
    assert_eq!(world.recorder.records().len(), 0);
}
