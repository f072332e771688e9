//! Two nodes on one PostgreSQL: each hears of the other's changes, also after the server was gone.

use std::time::Duration;

use assent_store::{Applied, Target};

use super::server::Server;
use super::*;

/// So long that only a notification can have been the reason.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_change_of_one_node_wakes_the_other() {
    let Some(server) = Server::start() else { return };
    let url = server.database("two");
    let stage = Stage { target: Target::Postgres(url.clone()), url, dir: Path::new("") };
    block_on(async {
        let (one, two) = (stage.open().await, stage.open().await);
        let mut watch = two.watch(LONG);
        assert_eq!(watch.next().await.unwrap(), []);
        for version in 1..=20 {
            one.apply(ORGANIZATION, &change(version, vec![put("a", &version.to_string())])).await.unwrap();
            // Each change is one notification; the versions seen may be ahead of it, never behind.
            let versions = watch.next().await.unwrap();
            assert_eq!(versions, [(ORGANIZATION.to_owned(), version)]);
        }
    });
}

#[test]
fn what_happened_while_the_server_was_gone_is_heard_of() {
    let Some(mut server) = Server::start() else { return };
    let url = server.database("two");
    let stage = Stage { target: Target::Postgres(url.clone()), url, dir: Path::new("") };
    block_on(async {
        let (one, two) = (stage.open().await, stage.open().await);
        let mut watch = two.watch(Duration::from_millis(50));
        watch.next().await.unwrap();
        one.apply(ORGANIZATION, &change(1, vec![put("a", "1")])).await.unwrap();
        server.stop();
        while watch.next().await.is_ok() {}
        assert!(one.apply(ORGANIZATION, &change(2, vec![put("a", "2")])).await.is_err());
        server.resume();
        // What failed may be tried again: the database says whether it was applied.
        while one.apply(ORGANIZATION, &change(2, vec![put("a", "2")])).await.is_err() {}
        loop {
            if watch.next().await.is_ok_and(|versions| versions == [(ORGANIZATION.to_owned(), 2)]) {
                break;
            }
        }
    });
}

#[test]
fn of_two_nodes_with_the_same_version_one_is_overtaken() {
    let Some(server) = Server::start() else { return };
    let url = server.database("race");
    let stage = Stage { target: Target::Postgres(url.clone()), url, dir: Path::new("") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let stores = [stage.open().await, stage.open().await];
        for version in 1..=30 {
            let applied = stores.iter().enumerate().map(|(node, store)| {
                let mut change = change(version, vec![put("a", &format!("{version} by {node}"))]);
                change.place.log = format!("node{node}.example.org/audit/clinic/2026");
                let store = store.clone();
                tokio::spawn(async move { store.apply(ORGANIZATION, &change).await.unwrap() })
            });
            let mut results = vec![];
            for applied in applied.collect::<Vec<_>>() {
                results.push(applied.await.unwrap());
            }
            let won = results.iter().filter(|applied| matches!(applied, Applied::Now(_))).count();
            let lost = results.iter().filter(|applied| **applied == Applied::Overtaken { version }).count();
            assert_eq!((won, lost), (1, 1), "{results:?}");
            let winner = results.iter().position(|applied| matches!(applied, Applied::Now(_))).unwrap();
            let stored = stores[0].get(ORGANIZATION, &key("a")).await.unwrap().unwrap();
            assert_eq!(stored.body, Some(format!("{version} by {winner}")));
        }
    });
}
