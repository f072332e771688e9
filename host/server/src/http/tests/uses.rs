//! INVARIANT (an approval is used as often as it says), under a plugin that agrees to whatever approval it is handed:
//! one node, and one that another overtakes again and again.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::{Actor, Event, StateVerb};
use assent_engine::AuditRecorder;
use assent_engine::state::{Keeper, LiveState, Plan, Sharing, Store, Target, entity_item};
use assent_model::EntityId;
use serde_json::json;
use tokio::task::yield_now;

use super::state::Stateful;
use super::*;

const APPROVAL: &str = r#"
@kind("approval")
entity Approval = {
    requester: User, kind: String, status: String, requestedAt: datetime, usesLeft: Long,
    expiresAt?: datetime, dataSet?: String, action?: String, maxRecords?: Long,
};"#;

/// An approval of Alice's that can be used so often, but for these attributes.
fn approval(id: &str, uses: u32, others: &Value) -> Value {
    let mut approval = json!({
        "uid": { "type": "Approval", "id": id },
        "attrs": {
            "requester": { "type": "User", "id": "alice" }, "kind": "export", "status": "approved",
            "requestedAt": "2026-11-20T00:00:00Z", "usesLeft": uses,
        },
        "parents": [],
    });
    let attributes = approval["attrs"].as_object_mut().unwrap();
    attributes
        .extend(others.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    approval
}

/// A release of which the plugin agrees to whatever approval it is handed.
fn guarded(approvals: &[Value]) -> Release {
    let mut entities: Vec<Value> = serde_json::from_str(ENTITIES).unwrap();
    entities.extend(approvals.iter().cloned());
    let spec = BindingSpec {
        id: "any".into(),
        settings: json!(null),
        grants: ["approvals:export".to_owned()].into(),
        // Judged on threads of the organization's own, which a test can take.
        limits: assent_plugin::Limits { fuel: assent_plugin::limits::FUEL_CEILING, ..Default::default() },
    };
    let component = bare::component(bare::ASKS_FOR_APPROVALS, bare::ANY_APPROVAL);
    let plugin = Bound { component, spec, scope: Scope::default() };
    let schema = format!("{SCHEMA}{APPROVAL}");
    release_of("bay", [&schema, POLICIES, &json!(entities).to_string()], vec![plugin])
}

impl Stateful {
    async fn guarded(approvals: &[Value]) -> Self {
        Self::on(tempfile::tempdir().unwrap(), guarded(approvals), Sharing::default()).await.unwrap()
    }

    /// Alice asks; whether she is let through, and the decision's id.
    async fn asks(&self) -> (bool, String) {
        let reply = self.audited.world.ask(SINGLE, &question("alice", "read", "record-1")).await;
        let id = reply.header("x-decision-id").unwrap().to_owned();
        (reply.json()["decision"].as_bool().unwrap(), id)
    }

    fn uses_left(&self, id: &str) -> i64 {
        let release = self.state.release();
        let stored = release.snapshot().facts().get(&EntityId::new("Approval", id)).unwrap();
        stored.attributes.get("usesLeft").unwrap().as_integer().unwrap()
    }

    /// How often each decision counted a use on the log, whether or not that came about.
    fn counted(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for record in self.audited.written() {
            if let Event::StateChanged(change) = record.event
                && let Some(decision) = change.decision
            {
                *counted.entry(decision.to_string()).or_default() += 1;
            }
        }
        counted
    }
}

#[tokio::test]
async fn a_plugin_that_agrees_to_any_approval_permits_nothing_that_is_not_counted() {
    let flawed = [
        json!({ "status": "pending" }),
        json!({ "status": "spent" }),
        json!({ "usesLeft": 0 }),
        json!({ "expiresAt": "2026-11-21T18:00:00Z" }),
        json!({ "dataSet": "record-2" }),
        json!({ "action": "write" }),
        json!({ "kind": "access" }),
        json!({ "requester": { "type": "User", "id": "bob" } }),
    ];
    let mut approvals: Vec<_> = flawed
        .iter()
        .enumerate()
        .map(|(number, flaw)| approval(&format!("flawed-{number}"), 5, flaw))
        .collect();
    let stateful = Stateful::guarded(&approvals).await;
    for _ in 0..3 {
        assert!(!stateful.asks().await.0);
    }
    assert_eq!(stateful.counted(), BTreeMap::new());

    approvals.push(approval("good", 2, &json!({ "dataSet": "record-1" })));
    let stateful = Stateful::guarded(&approvals).await;
    let mut permitted = BTreeMap::new();
    for number in 0..5 {
        let (permits, id) = stateful.asks().await;
        assert_eq!(permits, number < 2);
        permitted.extend(permits.then_some((id, 1)));
    }
    assert_eq!(stateful.counted(), permitted);
    assert_eq!(stateful.uses_left("good"), 0);
    let untouched = (0..flawed.len()).filter(|number| *number != 2);
    assert!(untouched.map(|number| stateful.uses_left(&format!("flawed-{number}"))).all(|left| left == 5));
}

/// Another node on the same database.
async fn beside(stateful: &Stateful, release: Release) -> LiveState {
    let directory = stateful.audited.directory.path();
    let config = LogsConfig {
        directory: directory.join("beside"),
        name: "beside.example.org".into(),
        signing_seed: [5; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[6; 32]).unwrap()),
    };
    let logs = Logs::open(config, [organization("bay")], Fixed.now()).unwrap().0;
    let store = Store::open(Target::Sqlite(directory.join("state.db")), "pdp.example.org").await.unwrap();
    let keeper = Keeper::open(store, AuditRecorder::new(Arc::new(logs)), organization("bay")).await.unwrap();
    LiveState::open(keeper, release, (Default::default(), Sharing::default())).await.unwrap()
}

/// Changes the state.
async fn change(state: &LiveState) {
    let entity = json!({ "uid": { "type": "User", "id": "zoe" }, "attrs": {}, "parents": [] });
    let items = vec![entity_item(StateVerb::Created, entity).unwrap()];
    let turn = state.turn(Fixed.now()).await.unwrap();
    turn.commit(Fixed.now(), Plan { by: Actor::service(), decision: None, items }).await.unwrap();
}

impl Stateful {
    /// Alice asks, and the other node changes the state so many times while her question has the right to change it
    /// here. Whoever waits for a thread gets it in turn: her question for its first judgement, then this, then her
    /// question again, and so on.
    async fn asks_and_is_overtaken(self: &Arc<Self>, times: u32, other: &LiveState) -> (bool, String) {
        let lane = Arc::clone(&self.audited.world.service.served(&organization("bay")).unwrap().lane);
        let mut taken = lane.take_all_threads().await;
        let stateful = Arc::clone(self);
        let asking = tokio::spawn(async move { stateful.asks().await });
        for judgement in 0..=times {
            while lane.at_threads() < 2 && !asking.is_finished() {
                yield_now().await;
            }
            if judgement > 0 {
                change(other).await;
            }
            if judgement < times {
                let mut next = pin!(lane.take_all_threads());
                assert!(poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await);
                drop(taken);
                taken = next.await;
            }
        }
        drop(taken);
        asking.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_that_another_node_overtook_is_counted_anew_and_once_a_few_times_and_no_more() {
    const USES: u32 = 1_000;
    let approvals = [approval("good", USES, &json!({}))];
    let stateful = Arc::new(Stateful::guarded(&approvals).await);
    let other = beside(&stateful, guarded(&approvals)).await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let mut permits = 0;
    for (overtaken, permitted) in [(1, true), (4, true), (5, false)] {
        loop {
            assert!(
                std::time::Instant::now() < end,
                "no use that was overtaken {overtaken} times came out right"
            );
            let (permits_it, id) = stateful.asks_and_is_overtaken(overtaken, &other).await;
            permits += i64::from(permits_it);
            let tried = stateful.counted().get(&id).copied().unwrap_or_default();
            // On a busy machine the question may come to the threads too late, or not get one in time.
            if (tried, permits_it) == (5.min(overtaken as usize + 1), permitted) {
                break;
            }
        }
        // The newest state there is: each permit is one use of it, however often the log says that it was tried.
        drop(stateful.state.turn(Fixed.now()).await.unwrap());
        assert_eq!(stateful.uses_left("good"), i64::from(USES) - permits);
    }
    other.keeper().store().close().await;
}
