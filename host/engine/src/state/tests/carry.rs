//! Years of the log go, the database is lost, and what decisions stand on is as it was.

use std::collections::BTreeMap;

use assent_audit::inbox::Inbox;
use assent_audit::retention::Shard;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// In the middle of a year.
fn in_year(year: i32) -> Instant {
    format!("{year}-06-01T12:00:00Z").parse().unwrap()
}

/// What is stored, with the version of each document; and the version of all.
type State = (u64, BTreeMap<String, (u64, String)>);

async fn stored(keeper: &Keeper) -> State {
    let mut documents = BTreeMap::new();
    let keep = |document: assent_store::Document| {
        let name = format!("{} {}", document.key.kind(), document.key.id());
        documents.insert(name, (document.version, document.body.unwrap()));
    };
    let position = keeper.store().load("clinic", 0, keep).await.unwrap();
    (position.version, documents)
}

impl Deployment {
    async fn keeper_in(&self, year: i32) -> Result<(Keeper, AuditRecorder), StateError> {
        let recorder = self.recorder_at(in_year(year));
        let opened = Keeper::open(self.store().await, recorder.clone(), organization()).await;
        match opened {
            Ok(keeper) => Ok((keeper, recorder)),
            Err(error) => {
                recorder.logs().close().unwrap();
                Err(error)
            }
        }
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.config(), organization())
    }

    async fn to_carry(&self, year: i32) -> Result<Vec<assent_audit::record::StateCarried>, CarryError> {
        let store = self.store().await;
        let carried = to_carry(&self.shelf(), year, Some(&store)).await;
        store.close().await;
        carried
    }

    /// Lets a year go, with a crash after so many parts or, once all are written, before it goes; then again.
    async fn let_go(&self, year: i32, stop: usize) {
        let shelf = self.shelf();
        for stop in [stop, usize::MAX] {
            for part in self.to_carry(year).await.unwrap().into_iter().take(stop) {
                let inbox = Inbox::new(shelf.config().clone(), organization());
                let wait = std::time::Duration::from_secs(60);
                inbox.deliver(&Event::StateCarried(part), in_year(2030), wait).await.unwrap();
            }
        }
        assert!(self.to_carry(year).await.unwrap().is_empty(), "once is enough");
        let verifier = shelf.verifier(year).unwrap();
        Shard::take(&shelf.directory(year), &verifier, true, "r1").unwrap().let_go().unwrap();
        assent_audit::known::forget(shelf.config(), shelf.organization(), year).unwrap();
    }
}

/// Whether a record says that a change was overtaken.
pub(super) fn is_overtaken(event: &Event) -> bool {
    super::super::carry::overtaken(event).is_some()
}

/// A change: which patient gets which name, or goes.
type Step = (u8, Option<u8>);

async fn change_all(deployment: &Deployment, year: i32, changes: &[Vec<Step>]) {
    let opened = deployment.keeper_in(year).await.unwrap();
    for steps in changes {
        let steps: BTreeMap<u8, Option<u8>> = steps.iter().copied().collect();
        let items: Vec<StateItem> = steps
            .into_iter()
            .map(|(id, name)| item(&format!("p{id}"), name.map(|name| format!("name {name}")).as_deref()))
            .collect();
        let turn = opened.0.turn(in_year(year)).await.unwrap();
        turn.commit(in_year(year), plan(items)).await.unwrap();
    }
    stop(opened).await;
}

#[test]
fn the_state_outlives_the_years_it_is_said_in() {
    let step = (0..6_u8, prop::option::weighted(0.7, any::<u8>()));
    let years = prop::collection::vec(prop::collection::vec(prop::collection::vec(step, 1..4), 0..6), 3);
    let gone = prop::sample::subsequence(vec![2017, 2018, 2019], 0..4).prop_shuffle();
    let cases = (years, gone, 0..3_usize, any::<bool>());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let tested = runner.run(&cases, |(years, gone, stop_after, is_older)| {
        run(async {
            let deployment = Deployment::new();
            for (year, changes) in (2017..).zip(&years) {
                change_all(&deployment, year, changes).await;
                if year == 2017 {
                    std::fs::copy(deployment.database(), deployment.dir.path().join("older.db")).unwrap();
                }
            }
            let opened = deployment.keeper_in(2030).await.unwrap();
            let held = stored(&opened.0).await;
            stop(opened).await;
            for year in &gone {
                deployment.let_go(*year, stop_after).await;
            }
            for again in ["with its database", "without", "with it again"] {
                if again == "without" {
                    deployment.remove_database();
                    if is_older {
                        std::fs::copy(deployment.dir.path().join("older.db"), deployment.database()).unwrap();
                    }
                }
                let opened = deployment.keeper_in(2030).await.unwrap();
                assert_eq!(stored(&opened.0).await, held, "{again}, without {gone:?}");
                stop(opened).await;
            }
        });
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn what_was_carried_is_carried_on_when_its_own_year_goes() {
    run(async {
        let deployment = Deployment::new();
        change_all(
            &deployment,
            2017,
            &[vec![(1, Some(1)), (2, Some(1))], vec![(2, None)], vec![(3, Some(1))]],
        )
        .await;
        change_all(&deployment, 2018, &[vec![(3, Some(2))]]).await;
        // Carried into 2030, which goes in 2040.
        deployment.let_go(2017, 0).await;
        change_all(&deployment, 2030, &[vec![(1, Some(7))]]).await;
        let opened = deployment.keeper_in(2040).await.unwrap();
        let held = stored(&opened.0).await;
        stop(opened).await;
        let parts = deployment.to_carry(2030).await.unwrap();
        let of: Vec<_> =
            parts.iter().map(|part| (part.year, part.versions(), part.items().count())).collect();
        // Of 2017 only that somebody was removed: what else it said was replaced since.
        assert_eq!(of, [(2017, Some((1, 3)), 1), (2030, Some((5, 5)), 1)]);
        let shelf = deployment.shelf();
        for part in parts {
            let inbox = Inbox::new(shelf.config().clone(), organization());
            let wait = std::time::Duration::from_secs(60);
            inbox.deliver(&Event::StateCarried(part), in_year(2040), wait).await.unwrap();
        }
        let verifier = shelf.verifier(2030).unwrap();
        Shard::take(&shelf.directory(2030), &verifier, true, "r2").unwrap().let_go().unwrap();
        assent_audit::known::forget(shelf.config(), shelf.organization(), 2030).unwrap();
        deployment.remove_database();
        let opened = deployment.keeper_in(2040).await.unwrap();
        assert_eq!(stored(&opened.0).await, held);
        stop(opened).await;
    });
}

#[test]
fn what_was_removed_is_carried_as_nothing_but_that() {
    run(async {
        let deployment = Deployment::new();
        change_all(&deployment, 2017, &[vec![(1, Some(1)), (2, Some(2))], vec![(1, None)]]).await;
        change_all(&deployment, 2018, &[vec![(2, None)]]).await;
        let [part] = deployment.to_carry(2017).await.unwrap().try_into().unwrap();
        let [removed] = part.items().cloned().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((removed.change, &*removed.target.id), (StateVerb::Deleted, "p1"));
        assert!(removed.patient.is_none() && removed.payload.is_null());
        assert_eq!(part.versions(), Some((1, 2)));
    });
}

#[test]
fn a_year_stays_while_the_database_does_not_have_it() {
    run(async {
        let deployment = Deployment::new();
        change_all(&deployment, 2017, &[vec![(1, Some(1))]]).await;
        let older = deployment.dir.path().join("older.db");
        std::fs::copy(deployment.database(), &older).unwrap();
        change_all(&deployment, 2017, &[vec![(1, Some(2))]]).await;
        change_all(&deployment, 2018, &[vec![(1, Some(3))]]).await;
        let newer = deployment.dir.path().join("newer.db");
        std::fs::copy(deployment.database(), &newer).unwrap();
        // Older, lost, edited by hand, not set up any more.
        std::fs::copy(&older, deployment.database()).unwrap();
        let refused = deployment.to_carry(2017).await.unwrap_err();
        assert!(matches!(refused, CarryError::Behind { year: 2017, version: 2 }), "{refused}");
        deployment.remove_database();
        let refused = deployment.to_carry(2017).await.unwrap_err();
        assert!(matches!(refused, CarryError::Behind { year: 2017, version: 1 }), "{refused}");
        std::fs::copy(&newer, deployment.database()).unwrap();
        deployment.to_carry(2017).await.unwrap();
        deployment.meddle("UPDATE assent_documents SET body = '{}'").await;
        let refused = deployment.to_carry(2017).await.unwrap_err();
        assert!(matches!(refused, CarryError::Store(StoreError::Damaged { .. })), "{refused}");
        let refused = to_carry(&deployment.shelf(), 2017, None).await.unwrap_err();
        assert!(matches!(refused, CarryError::NoState { year: 2017 }), "{refused}");
    });
}

#[test]
fn what_another_node_overtook_is_not_carried_and_stays_overtaken() {
    run(async {
        let deployment = Deployment::new();
        let opened = deployment.keeper_in(2017).await.unwrap();
        let turn = opened.0.turn(in_year(2017)).await.unwrap();
        of_another(&opened.0, 1, 7).await;
        turn.commit(in_year(2017), plan(vec![item("p1", Some("Ann"))])).await.unwrap_err();
        stop(opened).await;
        // Its log says so in the year after, which is the first to go.
        change_all(&deployment, 2018, &[vec![(2, Some(2))]]).await;
        let opened = deployment.keeper_in(2030).await.unwrap();
        let held = stored(&opened.0).await;
        stop(opened).await;
        for gone in [2018, 2017] {
            deployment.let_go(gone, 0).await;
            deployment.remove_database();
            let refused = deployment.keeper_in(2030).await.map(drop).unwrap_err();
            assert!(matches!(refused, StateError::Store(StoreError::Behind { version: 2, found: 0, .. })));
            let store = deployment.store().await;
            let recorder = deployment.recorder_at(in_year(2030));
            let shelf = Shelf::new(recorder.logs().config().clone(), organization());
            let standing = Mutex::new(Standing { version: 0, in_doubt: false, overtaken: vec![] });
            let organization = organization();
            let keeper = Keeper { organization, store, recorder: recorder.clone(), shelf, standing };
            of_another(&keeper, 1, 7).await;
            stop((keeper, recorder)).await;
            let opened = deployment.keeper_in(2030).await.unwrap();
            assert_eq!(stored(&opened.0).await, held, "without {gone}");
            stop(opened).await;
        }
    });
}
