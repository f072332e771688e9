//! Real logs and a real store, with everything that can go wrong between the record and its application.

mod carry;
mod given_up;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::logs::Logs;
use assent_audit::record::StateVerb;
use assent_model::EntityId;
use assent_store::{Change, StoreError, Sum, Target};
use serde_json::json;
use sqlx::Connection;
use zeroize::Zeroizing;

use super::*;

const NAME: &str = "pdp.example.org";

fn organization() -> OrganizationId {
    OrganizationId::new("clinic").unwrap()
}

fn now() -> Instant {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

/// A deployment's directory.
struct Deployment {
    dir: tempfile::TempDir,
}

impl Deployment {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn recorder(&self) -> AuditRecorder {
        self.recorder_at(now())
    }

    fn config(&self) -> LogsConfig {
        let kek: Arc<dyn KeyEncryption> = Arc::new(MasterKey::from_bytes(&[2; 32]).unwrap());
        let signing_seed = Zeroizing::new([1; 32]);
        LogsConfig { directory: self.logs(), name: NAME.into(), signing_seed, kek }
    }

    fn recorder_at(&self, now: Instant) -> AuditRecorder {
        let config = self.config();
        AuditRecorder::new(Arc::new(Logs::open_briefly(config, [organization()], now).unwrap().0))
    }

    async fn store(&self) -> Store {
        Store::open(Target::Sqlite(self.database()), NAME).await.unwrap()
    }

    async fn try_keeper(&self) -> Result<(Keeper, AuditRecorder), StateError> {
        let recorder = self.recorder();
        let opened = Keeper::open(self.store().await, recorder.clone(), organization()).await;
        match opened {
            Ok(keeper) => Ok((keeper, recorder)),
            Err(error) => {
                recorder.logs().close().unwrap();
                Err(error)
            }
        }
    }

    async fn keeper(&self) -> (Keeper, AuditRecorder) {
        self.try_keeper().await.unwrap()
    }

    async fn meddle(&self, statement: &'static str) {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", self.database().display());
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    fn remove_database(&self) {
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{suffix}", self.database().display())));
        }
    }
}

async fn stop((keeper, recorder): (Keeper, AuditRecorder)) {
    keeper.store().close().await;
    recorder.logs().close().unwrap();
}

fn item(id: &str, name: Option<&str>) -> StateItem {
    StateItem {
        change: if name.is_some() { StateVerb::Created } else { StateVerb::Deleted },
        section: ENTITIES.into(),
        target: EntityId::new("Patient", id),
        patient: Some(EntityId::new("Patient", id)),
        // Not in the order in which the log writes members.
        payload: name
            .map_or(serde_json::Value::Null, |name| json!({ "name": name, "born": { "on": 1, "at": 2 } })),
    }
}

fn plan(items: Vec<StateItem>) -> Plan {
    Plan { by: Actor::service(), decision: None, items }
}

async fn change(keeper: &Keeper, id: &str, name: &str) -> Result<Committed, StateError> {
    let (_turn, committed) =
        keeper.turn(now()).await?.commit(now(), plan(vec![item(id, Some(name))])).await?;
    Ok(committed)
}

async fn sum(keeper: &Keeper) -> Sum {
    keeper.store().load("clinic", 0, |_| {}).await.unwrap().sum
}

fn run(scene: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(scene);
}

#[test]
fn a_change_is_recorded_and_applied() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        let first = change(&keeper, "p1", "Ann").await.unwrap();
        let second = change(&keeper, "p2", "Ben").await.unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        let turn = keeper.turn(now()).await.unwrap();
        assert_eq!(turn.version(), 2);
        drop(turn);
        let key = Key::new(ENTITIES, "Patient/p1").unwrap();
        let stored = keeper.store().get("clinic", &key).await.unwrap().unwrap();
        assert_eq!(stored.body.as_deref(), Some(r#"{"born":{"at":2,"on":1},"name":"Ann"}"#));
        stop((keeper, recorder)).await;
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!(keeper.turn(now()).await.unwrap().version(), 2);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn what_was_recorded_and_not_applied_is_applied_at_the_next_start() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        // As if the process had ended between the two.
        keeper.record(2, now(), plan(vec![item("p2", Some("Ben")), item("p1", None)])).await.unwrap();
        stop((keeper, recorder)).await;
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!(keeper.turn(now()).await.unwrap().version(), 2);
        let mut expected = Sum::default();
        expected.add(&Key::new(ENTITIES, "Patient/p2").unwrap(), r#"{"born":{"at":2,"on":1},"name":"Ben"}"#);
        assert_eq!(sum(&keeper).await, expected);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_database_that_fails_leaves_the_change_in_doubt_and_the_next_turn_clears_it_up() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        deployment.meddle("ALTER TABLE assent_documents RENAME TO elsewhere").await;
        let failed = change(&keeper, "p2", "Ben").await.unwrap_err();
        assert!(matches!(failed, StateError::InDoubt { .. }), "{failed:?}");
        // No change passes one that is in doubt.
        assert!(keeper.turn(now()).await.is_err());
        deployment.meddle("ALTER TABLE elsewhere RENAME TO assent_documents").await;
        let third = change(&keeper, "p3", "Cleo").await.unwrap();
        assert_eq!(third.version, 3);
        assert_eq!(keeper.store().page("clinic", ENTITIES, None, 10).await.unwrap().len(), 3);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_caller_that_stops_waiting_leaves_nothing_half_done() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        for round in 0..20_u32 {
            let turn = keeper.turn(now()).await.unwrap();
            let mut commit =
                Box::pin(turn.commit(now(), plan(vec![item(&format!("p{round}"), Some("Ann"))])));
            // Polled a few times and dropped, so in some rounds before the record, in some after it.
            for _ in 0..round % 5 {
                let waker = std::task::Waker::noop();
                let polled = commit.as_mut().poll(&mut std::task::Context::from_waker(waker));
                if polled.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let version = keeper.turn(now()).await.unwrap().version();
        let held = sum(&keeper).await;
        stop((keeper, recorder)).await;
        // The log alone gives the same state.
        deployment.remove_database();
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!((keeper.turn(now()).await.unwrap().version(), sum(&keeper).await), (version, held));
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_store_that_is_lost_is_made_again_from_the_log() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        for round in 0..10 {
            change(&keeper, &format!("p{}", round % 4), &format!("Ann {round}")).await.unwrap();
        }
        keeper.note_reached(now()).await.unwrap();
        let held = sum(&keeper).await;
        stop((keeper, recorder)).await;
        deployment.remove_database();
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!((keeper.turn(now()).await.unwrap().version(), sum(&keeper).await), (10, held));
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_year_that_is_gone_is_not_passed_over_where_it_may_have_changes() {
    run(async {
        let deployment = Deployment::new();
        let earlier: Instant = "2025-06-01T12:00:00Z".parse().unwrap();
        let recorder = deployment.recorder_at(earlier);
        let keeper = Keeper::open(deployment.store().await, recorder.clone(), organization()).await.unwrap();
        let turn = keeper.turn(earlier).await.unwrap();
        turn.commit(earlier, plan(vec![item("p1", Some("Ann"))])).await.unwrap();
        stop((keeper, recorder)).await;
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p2", "Ben").await.unwrap();
        let held = sum(&keeper).await;
        stop((keeper, recorder)).await;
        let year = deployment.logs().join("clinic/2025");
        let aside = deployment.dir.path().join("aside");
        std::fs::rename(&year, &aside).unwrap();
        // The store has what was in it.
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!(sum(&keeper).await, held);
        stop((keeper, recorder)).await;
        deployment.remove_database();
        let refused = deployment.try_keeper().await.map(drop).unwrap_err();
        assert!(matches!(refused, StateError::Log(_)), "{refused:?}");
        std::fs::rename(&aside, &year).unwrap();
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!(sum(&keeper).await, held);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_store_ahead_of_its_log_is_refused() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        stop((keeper, recorder)).await;
        let older = deployment.dir.path().join("older");
        copy(&deployment.logs(), &older);
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Bea").await.unwrap();
        stop((keeper, recorder)).await;
        std::fs::remove_dir_all(deployment.logs()).unwrap();
        std::fs::rename(&older, deployment.logs()).unwrap();
        // What remembers logs would refuse it first.
        std::fs::remove_dir_all(deployment.dir.path().join("audit.known")).unwrap();
        let refused = deployment.try_keeper().await.map(drop).unwrap_err();
        assert!(matches!(refused, StateError::Ahead { .. }), "{refused:?}");
        // Another history of the same length is no better.
        let recorder = deployment.recorder();
        for _ in 0..5 {
            let event = Event::ClockJump { before: now(), after: now() };
            recorder.note(&organization(), now(), event).await.unwrap();
        }
        recorder.logs().close().unwrap();
        let refused = deployment.try_keeper().await.map(drop).unwrap_err();
        assert!(matches!(refused, StateError::Ahead { found: "is another one there", .. }), "{refused:?}");
    });
}

#[test]
fn a_store_that_was_put_back_is_brought_up_to_the_log() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        stop((keeper, recorder)).await;
        let older = deployment.dir.path().join("older.db");
        std::fs::copy(deployment.database(), &older).unwrap();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Bea").await.unwrap();
        let held = sum(&keeper).await;
        stop((keeper, recorder)).await;
        deployment.remove_database();
        std::fs::rename(&older, deployment.database()).unwrap();
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!((keeper.turn(now()).await.unwrap().version(), sum(&keeper).await), (2, held));
        stop((keeper, recorder)).await;
    });
}

#[test]
fn what_cannot_be_stored_is_refused_before_it_is_recorded() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        let mut wrong = item("p1", Some("Ann"));
        wrong.section = "No Section".into();
        let refused = keeper.turn(now()).await.unwrap().commit(now(), plan(vec![wrong])).await.unwrap_err();
        assert!(matches!(refused, StateError::Edit(_)), "{refused:?}");
        let twice = plan(vec![item("p1", Some("Ann")), item("p1", Some("Bea"))]);
        let refused = keeper.turn(now()).await.unwrap().commit(now(), twice).await.unwrap_err();
        assert!(matches!(refused, StateError::Edit(_)), "{refused:?}");
        assert_eq!(change(&keeper, "p1", "Ann").await.unwrap().version, 1);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_log_that_takes_nothing_changes_nothing() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        recorder.logs().close().unwrap();
        let refused = change(&keeper, "p1", "Bea").await.unwrap_err();
        assert!(matches!(refused, StateError::Record(_)), "{refused:?}");
        assert_eq!(keeper.store().load("clinic", 0, |_| {}).await.unwrap().version, 1);
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_database_that_was_put_back_while_it_is_used_takes_no_change() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        change(&keeper, "p2", "Ben").await.unwrap();
        deployment.meddle("UPDATE assent_organizations SET version = 1").await;
        for _ in 0..2 {
            let refused = change(&keeper, "p3", "Cleo").await.unwrap_err();
            assert!(matches!(refused, StateError::PutBack { found: 1, known: 2 }), "{refused:?}");
        }
        stop((keeper, recorder)).await;
    });
}

#[test]
fn a_database_that_is_away_makes_no_record_of_each_attempt() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        change(&keeper, "p1", "Ann").await.unwrap();
        let turn = keeper.turn(now()).await.unwrap();
        deployment.meddle("ALTER TABLE assent_organizations RENAME TO elsewhere").await;
        let failed = turn.commit(now(), plan(vec![item("p2", Some("Ben"))])).await.unwrap_err();
        assert!(matches!(failed, StateError::InDoubt { .. }), "{failed:?}");
        for _ in 0..5 {
            assert!(keeper.turn(now()).await.is_err());
        }
        let shelf = Shelf::new(recorder.logs().config().clone(), organization());
        assert_eq!(shelf.records().unwrap().count(), 2);
        deployment.meddle("ALTER TABLE elsewhere RENAME TO assent_organizations").await;
        assert_eq!(keeper.turn(now()).await.unwrap().version(), 2);
        stop((keeper, recorder)).await;
    });
}

/// A change of another node.
async fn of_another(keeper: &Keeper, version: u64, seq: u64) {
    let place = Place { log: "other.example.org/audit/clinic/2026".into(), seq, record: "0".repeat(64) };
    let edits = vec![edit(&item("p9", Some("Zoe"))).unwrap()];
    let applied = keeper.store().apply("clinic", &Change { version, place, edits }).await.unwrap();
    assert!(matches!(applied, Applied::Now(_)), "{applied:?}");
}

#[test]
fn what_another_node_overtook_never_happens_even_where_the_database_forgot_it() {
    run(async {
        let deployment = Deployment::new();
        let (keeper, recorder) = deployment.keeper().await;
        let turn = keeper.turn(now()).await.unwrap();
        of_another(&keeper, 1, 7).await;
        let failed = turn.commit(now(), plan(vec![item("p1", Some("Ann"))])).await.unwrap_err();
        assert!(matches!(failed, StateError::Overtaken), "{failed:?}");
        // As if the process had ended before its log said so: the next start finds it again, and its first turn says it.
        stop((keeper, recorder)).await;
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!(change(&keeper, "p2", "Ben").await.unwrap().version, 2);
        let held = sum(&keeper).await;
        stop((keeper, recorder)).await;

        deployment.remove_database();
        let refused = deployment.try_keeper().await.map(drop).unwrap_err();
        let StateError::Store(StoreError::Behind { version: 2, found: 0, .. }) = refused else {
            panic!("{refused:?}")
        };
        // Once the other node has applied what is its own, all is as it was.
        let store = deployment.store().await;
        let (recorder, organization) = (deployment.recorder(), organization());
        let shelf = Shelf::new(recorder.logs().config().clone(), organization.clone());
        let standing = Mutex::new(Standing { version: 0, in_doubt: false, overtaken: vec![] });
        of_another(&Keeper { organization, store, recorder: recorder.clone(), shelf, standing }, 1, 7).await;
        recorder.logs().close().unwrap();
        let (keeper, recorder) = deployment.keeper().await;
        assert_eq!((keeper.turn(now()).await.unwrap().version(), sum(&keeper).await), (2, held));
        stop((keeper, recorder)).await;
    });
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
