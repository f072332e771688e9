//! The same random changes, restarts and repetitions on SQLite, PostgreSQL and a map in memory leave the same
//! documents, versions and sums.

use std::collections::BTreeMap;

use assent_store::{Applied, Store, Sum, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::server::Server;
use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Change(Vec<(u8, Option<String>)>),
    /// The last change once more, as after a crash.
    Again,
    Reopen,
}

/// The naive model: what should be there.
#[derive(Default)]
struct Model {
    version: u64,
    documents: BTreeMap<String, (u64, String)>,
}

impl Model {
    fn apply(&mut self, edits: &[Edit]) {
        self.version += 1;
        for Edit { key, body } in edits {
            match body {
                Some(body) => drop(self.documents.insert(key.id().to_owned(), (self.version, body.clone()))),
                None => drop(self.documents.remove(key.id())),
            }
        }
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        self.documents.iter().for_each(|(id, (_, body))| sum.add(&key(id), body));
        sum
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (0..12_u8, proptest::option::weighted(0.7, "[a-z\"\\\\'🩺]{0,6}"));
    let change = proptest::collection::btree_map(0..12_u8, edit.prop_map(|(_, body)| body), 0..6);
    let change = change.prop_map(|edits| Step::Change(edits.into_iter().collect()));
    proptest::collection::vec(
        prop_oneof![6 => change, 1 => Just(Step::Again), 1 => Just(Step::Reopen)],
        1..25,
    )
}

async fn play(target: &Target, steps: &[Step]) -> Model {
    let mut model = Model::default();
    let mut store = Store::open(target.clone(), DEPLOYMENT).await.unwrap();
    let mut last: Option<Change> = None;
    for step in steps {
        match step {
            Step::Change(edits) => {
                let edit = |(id, body): &(u8, Option<String>)| match body {
                    Some(body) => put(&id.to_string(), body),
                    None => Edit::remove(key(&id.to_string())),
                };
                let next = change(model.version + 1, edits.iter().map(edit).collect());
                let applied = store.apply(ORGANIZATION, &next).await.unwrap();
                model.apply(&next.edits);
                assert_eq!(applied, Applied::Now(model.sum()));
                last = Some(next);
            }
            Step::Again => {
                if let Some(last) = &last {
                    assert_eq!(store.apply(ORGANIZATION, last).await.unwrap(), Applied::Before);
                }
            }
            Step::Reopen => {
                store.close().await;
                store = Store::open(target.clone(), DEPLOYMENT).await.unwrap();
            }
        }
        let mut found = BTreeMap::new();
        let position = store
            .load(ORGANIZATION, 0, |document| {
                found.insert(document.key.id().to_owned(), (document.version, document.body.unwrap()));
            })
            .await
            .unwrap();
        assert_eq!((position.version, position.sum), (model.version, model.sum()));
        assert_eq!(found, model.documents);
    }
    store.close().await;
    model
}

#[test]
fn both_databases_agree_with_the_model() {
    let server = Server::start();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let databases = std::cell::Cell::new(0);
    let outcome = runner.run(&steps(), |steps| {
        let dir = tempfile::tempdir().unwrap();
        block_on(async {
            play(&sqlite(dir.path()).target, &steps).await;
            if let Some(server) = &server {
                databases.set(databases.get() + 1);
                play(&Target::Postgres(server.database(&format!("case{}", databases.get()))), &steps).await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
