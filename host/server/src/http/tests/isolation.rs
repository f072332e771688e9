//! INVARIANT (nobody waits for another organization's plugins), seen from outside; and what becomes
//! of questions whose organization has no thread or place left.

use assent_plugin::{Limits as PluginLimits, limits::FUEL_CEILING};
use serde_json::json;
use tokio::task::yield_now;

use super::recording::Gated;
use super::*;

const HILL: &str = "/hill/access/v1/evaluation";
const HILL_KEY: (&str, &str) = ("authorization", "Bearer hill-key");
/// Never returns.
const LOOP: &str = "(loop $forever (result i32) (br $forever))";

/// The organization `hill` with one plugin of raised limits in every scope.
fn hill(evaluate: &str, limits: PluginLimits) -> Release {
    let spec = BindingSpec { id: "raised".into(), settings: json!(null), grants: [].into(), limits };
    let plugin = Bound { component: bare::component("", evaluate), spec, scope: Scope::default() };
    release_of("hill", [SCHEMA, POLICIES, ENTITIES], vec![plugin])
}

fn raised(deadline_ms: u64) -> PluginLimits {
    PluginLimits { fuel: FUEL_CEILING, deadline_ms, ..PluginLimits::default() }
}

fn world_of(releases: Vec<Release>, recorder: Arc<dyn Recorder>, limits: Limits) -> World {
    let (records, lines) = (Arc::new(MemoryRecorder::new(1)), Arc::new(Lines::default()));
    let log = Arc::clone(&lines) as Arc<dyn RequestLog>;
    let service =
        Arc::new(Service::new(ServiceParts { releases, recorder, limits, log, ..parts() }).unwrap());
    World { app: router(Arc::clone(&service)), service, recorder: records, lines }
}

fn asks_hill() -> axum::http::Request<Body> {
    request("POST", HILL, &[HILL_KEY], question("alice", "read", "record-1").to_string())
}

impl World {
    fn threads_left(&self) -> usize {
        self.service.served(&organization("hill")).unwrap().lane.threads_left()
    }
}

#[test]
fn an_organization_whose_plugin_uses_its_whole_budget_keeps_no_other_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = world_of(
        vec![bay(), hill(LOOP, raised(assent_plugin::limits::DEADLINE_CEILING_MS))],
        Arc::new(MemoryRecorder::new(100)),
        Limits { request_timeout_ms: 60_000, ..Limits::default() },
    );
    runtime.block_on(async {
        // Twice as many as there are threads for them, four times as many as serve everybody.
        let slow: Vec<_> = (0..8).map(|_| tokio::spawn(world.app.clone().oneshot(asks_hill()))).collect();
        while world.threads_left() > 0 {
            assert!(slow.iter().all(|asking| !asking.is_finished()), "judged, but not apart");
            yield_now().await;
        }
        for _ in 0..50 {
            let reply = world.ask(SINGLE, &question("alice", "read", "record-1")).await;
            assert_eq!(reply.body, r#"{"decision":true}"#);
        }
        assert!(slow.iter().all(|asking| !asking.is_finished()));
        assert_eq!(world.threads_left(), 0);
    });
    // What still runs ends at its deadline, and nobody is interested.
    runtime.shutdown_background();
}

#[tokio::test]
async fn questions_judged_apart_are_answered_and_recorded_like_others() {
    let recorder = Arc::new(MemoryRecorder::new(100));
    let quick = hill(bare::NOTHING, raised(10_000));
    assert!(quick.may_run_long() && !bay().may_run_long());
    let world = world_of(vec![quick], Arc::clone(&recorder) as Arc<dyn Recorder>, Limits::default());
    assert_eq!(
        Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await.body,
        r#"{"decision":true}"#
    );
    let mut batch = question("alice", "read", "record-1");
    batch["evaluations"] = json!(vec![json!({}); 20]);
    let path = "/hill/access/v1/evaluations";
    let reply = world.send(request("POST", path, &[HILL_KEY], batch.to_string())).await;
    assert_eq!(reply.json()["evaluations"], json!(vec![json!({"decision": true}); 20]));
    assert_eq!(recorder.records().len(), 21);

    // One that does use its budget is denied, by the name of what ended it.
    world.service.activate(hill(LOOP, raised(30))).unwrap();
    let reply = Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await;
    assert_eq!(reply.body, r#"{"decision":false}"#);
    assert!(world.last_line().contains("indeterminate=1 problem.plugin=1"), "{}", world.last_line());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_gets_no_thread_in_time_is_busy_and_on_record() {
    let recorder = Arc::new(MemoryRecorder::new(100));
    let releases = vec![bay(), hill(bare::NOTHING, raised(10_000))];
    let world = world_of(releases, Arc::clone(&recorder) as Arc<dyn Recorder>, Limits::default());
    let lane = Arc::clone(&world.service.served(&organization("hill")).unwrap().lane);
    let taken = lane.take_all_threads().await;
    let reply = Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"decision":false}"#));
    assert!(world.last_line().contains("indeterminate=1 problem.busy=1"), "{}", world.last_line());
    assert_eq!(recorder.records().len(), 1);
    assert_eq!(world.ask(SINGLE, &question("alice", "read", "record-1")).await.body, r#"{"decision":true}"#);
    drop(taken);
    assert_eq!(
        Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await.body,
        r#"{"decision":true}"#
    );
}

#[tokio::test]
async fn an_organization_takes_its_own_places_and_leaves_the_others() {
    let recorder = Gated::new();
    let limits = Limits { in_flight_max: 3, in_flight_per_organization_max: 1, ..Limits::default() };
    let releases = vec![bay(), release("hill")];
    let world = world_of(releases, Arc::clone(&recorder) as Arc<dyn Recorder>, limits);
    let asking = tokio::spawn(world.app.clone().oneshot(asks_hill()));
    recorder.begun.acquire().await.unwrap().forget();
    assert_eq!(Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await.status, 503);
    recorder.gate.add_permits(2);
    assert_eq!(world.ask(SINGLE, &question("alice", "read", "record-1")).await.status, 200);
    assert_eq!(Reply::of(asking.await.unwrap().unwrap()).await.status, 200);
    // The place is free again.
    recorder.gate.add_permits(1);
    assert_eq!(Reply::of(world.app.clone().oneshot(asks_hill()).await.unwrap()).await.status, 200);
}
