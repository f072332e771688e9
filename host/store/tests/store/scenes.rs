//! What holds on either database.

use std::pin::Pin;

use assent_store::{Applied, Store, StoreError, Sum, Target};

use super::server::Server;
use super::*;

type Scene = for<'a> fn(&'a Stage<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

const SCENES: [(&str, Scene); 10] = [
    ("a_change_is_applied_once_and_in_order", |stage| Box::pin(once_and_in_order(stage))),
    ("a_change_fails_whole", |stage| Box::pin(fails_whole(stage))),
    ("what_is_written_is_read", |stage| Box::pin(written_is_read(stage))),
    ("ids_are_in_the_order_of_their_bytes", |stage| Box::pin(order_of_bytes(stage))),
    ("what_changed_since_a_version_is_told_with_what_was_removed", |stage| Box::pin(since(stage))),
    ("organizations_do_not_see_each_other", |stage| Box::pin(organizations(stage))),
    ("damage_and_edits_by_hand_are_seen", |stage| Box::pin(damage(stage))),
    ("stores_of_others_and_of_later_versions_are_refused", |stage| Box::pin(others(stage))),
    ("the_oldest_come_first_and_what_is_removed_can_be_forgotten", |stage| Box::pin(oldest_first(stage))),
    ("many_documents_in_one_change", |stage| Box::pin(many(stage))),
];

#[test]
fn sqlite_keeps_what_it_promises() {
    for (name, scene) in SCENES {
        eprintln!("{name}");
        let dir = tempfile::tempdir().unwrap();
        block_on(scene(&sqlite(dir.path())));
    }
}

#[test]
fn postgresql_keeps_what_it_promises() {
    let Some(server) = Server::start() else { return };
    for (number, (name, scene)) in SCENES.into_iter().enumerate() {
        eprintln!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let url = server.database(&format!("scene{number}"));
        block_on(scene(&Stage { target: Target::Postgres(url.clone()), url, dir: dir.path() }));
    }
}

async fn once_and_in_order(stage: &Stage<'_>) {
    let store = stage.open().await;
    let first = change(1, vec![put("a", "1")]);
    assert!(matches!(store.apply(ORGANIZATION, &first).await, Ok(Applied::Now(_))));
    assert!(matches!(store.apply(ORGANIZATION, &first).await, Ok(Applied::Before)));
    let missing = store.apply(ORGANIZATION, &change(3, vec![])).await;
    assert!(matches!(missing, Err(StoreError::Behind { version: 3, found: 1, .. })), "{missing:?}");
    let second = change(2, vec![put("a", "2")]);
    assert!(matches!(store.apply(ORGANIZATION, &second).await, Ok(Applied::Now(_))));
    let earlier = Change { version: 3, place: place(10), edits: vec![] };
    let earlier = store.apply(ORGANIZATION, &earlier).await;
    assert!(matches!(earlier, Err(StoreError::Order { seq: 10, applied: 20, .. })), "{earlier:?}");

    // Another node that recorded its own second change, in its own log.
    let mut other = change(2, vec![put("a", "other")]);
    other.place.log = "other.example.org/audit/clinic/2026".to_owned();
    let overtaken = store.apply(ORGANIZATION, &other).await;
    assert!(matches!(overtaken, Ok(Applied::Overtaken { version: 2 })), "{overtaken:?}");
    assert_eq!(store.get(ORGANIZATION, &key("a")).await.unwrap().unwrap().body.as_deref(), Some("2"));

    store.reached(ORGANIZATION, &place(99)).await.unwrap();
    assert!(store.reached(ORGANIZATION, &place(98)).await.is_err());
    assert_eq!(store.logs(ORGANIZATION).await.unwrap(), [place(99)]);
    assert_eq!(store.versions().await.unwrap(), [(ORGANIZATION.to_owned(), 2)]);
}

async fn fails_whole(stage: &Stage<'_>) {
    let store = stage.open().await;
    store.apply(ORGANIZATION, &change(1, vec![put("a", "1")])).await.unwrap();
    let twice =
        store.apply(ORGANIZATION, &change(2, vec![put("b", "1"), put("a", "2"), put("b", "2")])).await;
    assert!(matches!(twice, Err(StoreError::Edit(_))), "{twice:?}");
    stage.meddle("ALTER TABLE assent_logs RENAME TO elsewhere").await;
    assert!(store.apply(ORGANIZATION, &change(2, vec![put("a", "2"), put("b", "2")])).await.is_err());
    stage.meddle("ALTER TABLE elsewhere RENAME TO assent_logs").await;
    let mut documents = vec![];
    let position = store.load(ORGANIZATION, 0, |document| documents.push(document)).await.unwrap();
    assert_eq!((position.version, documents.len()), (1, 1));
    assert_eq!(documents[0].body.as_deref(), Some("1"));
}

async fn written_is_read(stage: &Stage<'_>) {
    let store = stage.open().await;
    let bodies =
        ["{\"a\":\"\\u0000 \\\" ' 🩺\"}", "", "null", "\u{1}\u{7f}", "'; DROP TABLE assent_documents; --"];
    let edits = bodies.iter().enumerate().map(|(n, body)| put(&format!("d{n} \"'\\ü🩺"), body)).collect();
    store.apply(ORGANIZATION, &change(1, edits)).await.unwrap();
    store.close().await;
    let store = stage.open().await;
    for (n, body) in bodies.iter().enumerate() {
        let found = store.get(ORGANIZATION, &key(&format!("d{n} \"'\\ü🩺"))).await.unwrap().unwrap();
        assert_eq!((found.body.as_deref(), found.version), (Some(*body), 1));
    }
    assert_eq!(store.get(ORGANIZATION, &key("none")).await.unwrap(), None);
}

async fn order_of_bytes(stage: &Stage<'_>) {
    let store = stage.open().await;
    let mut ids = ["b", "B", "a-1", "a1", "a 1", "A", "ä", "z", "~", "aa", "a"];
    store.apply(ORGANIZATION, &change(1, ids.iter().map(|id| put(id, "x")).collect())).await.unwrap();
    store.apply(ORGANIZATION, &change(2, vec![Edit::remove(key("aa"))])).await.unwrap();
    ids.sort_unstable();
    let expected: Vec<&str> = ids.into_iter().filter(|id| *id != "aa").collect();
    let (mut found, mut after) = (vec![], None::<String>);
    loop {
        let page = store.page(ORGANIZATION, "entity", after.as_deref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.id().to_owned());
        found.extend(page.into_iter().map(|document| document.key.id().to_owned()));
    }
    assert_eq!(found, expected);
    let mut loaded = vec![];
    store.load(ORGANIZATION, 0, |document| loaded.push(document.key.id().to_owned())).await.unwrap();
    assert_eq!(loaded, expected);
}

async fn since(stage: &Stage<'_>) {
    let store = stage.open().await;
    store.apply(ORGANIZATION, &change(1, vec![put("a", "1"), put("b", "1"), put("c", "1")])).await.unwrap();
    store.apply(ORGANIZATION, &change(2, vec![put("b", "2")])).await.unwrap();
    store
        .apply(ORGANIZATION, &change(3, vec![Edit::remove(key("c")), Edit::remove(key("never"))]))
        .await
        .unwrap();
    let mut news = vec![];
    let position = store.load(ORGANIZATION, 1, |document| news.push(document)).await.unwrap();
    let news: Vec<_> = news.iter().map(|d| (d.key.id(), d.version, d.body.as_deref())).collect();
    assert_eq!(news, [("b", 2, Some("2")), ("c", 3, None), ("never", 3, None)]);
    let mut sum = Sum::default();
    sum.add(&key("a"), "1");
    sum.add(&key("b"), "2");
    assert_eq!((position.version, position.sum), (3, sum));
}

async fn oldest_first(stage: &Stage<'_>) {
    let store = stage.open().await;
    store.apply(ORGANIZATION, &change(1, vec![put("b", "1"), put("c", "1"), put("d", "1")])).await.unwrap();
    let other = Edit::put(Key::new("other", "x").unwrap(), "1").unwrap();
    store.apply(ORGANIZATION, &change(2, vec![put("a", "1"), other])).await.unwrap();
    store.apply(ORGANIZATION, &change(3, vec![put("b", "2"), Edit::remove(key("d"))])).await.unwrap();
    let oldest = store.oldest(ORGANIZATION, "entity", 2).await.unwrap();
    assert_eq!(oldest.iter().map(|d| (d.key.id(), d.version)).collect::<Vec<_>>(), [("c", 1), ("a", 2)]);

    // What was removed of another kind is still told.
    store.forget_removed(ORGANIZATION, "other").await.unwrap();
    assert!(store.get(ORGANIZATION, &key("d")).await.unwrap().is_some());
    store.forget_removed(ORGANIZATION, "entity").await.unwrap();
    assert_eq!(store.get(ORGANIZATION, &key("d")).await.unwrap(), None);
    let mut left = 0;
    // The sum is checked.
    store.load(ORGANIZATION, 0, |_| left += 1).await.unwrap();
    assert_eq!(left, 4);
    store.apply(ORGANIZATION, &change(4, vec![put("d", "anew")])).await.unwrap();
    assert_eq!(store.get(ORGANIZATION, &key("d")).await.unwrap().unwrap().version, 4);
}

async fn organizations(stage: &Stage<'_>) {
    let store = stage.open().await;
    store.apply(ORGANIZATION, &change(1, vec![put("a", "ours")])).await.unwrap();
    let mut theirs = change(1, vec![put("a", "theirs")]);
    theirs.place.log = "pdp.example.org/audit/hospital/2026".to_owned();
    store.apply("hospital", &theirs).await.unwrap();
    assert_eq!(store.get(ORGANIZATION, &key("a")).await.unwrap().unwrap().body.as_deref(), Some("ours"));
    assert_eq!(store.page("hospital", "entity", None, 10).await.unwrap().len(), 1);
    assert_eq!(store.load("nobody", 0, |_| panic!("nothing is there")).await.unwrap().version, 0);
}

async fn damage(stage: &Stage<'_>) {
    for (statement, repair) in [
        ("UPDATE assent_documents SET body = '2'", "UPDATE assent_documents SET body = '1'"),
        ("UPDATE assent_documents SET id = 'b'", "UPDATE assent_documents SET id = 'a'"),
        ("DELETE FROM assent_documents", "SELECT 1"),
    ] {
        let store = stage.open().await;
        store.apply(ORGANIZATION, &change(1, vec![put("a", "1")])).await.unwrap();
        store.load(ORGANIZATION, 0, |_| {}).await.unwrap();
        stage.meddle(statement).await;
        let refused = store.load(ORGANIZATION, 0, |_| {}).await.unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("\"a\""));
        stage.meddle(repair).await;
        store.close().await;
    }
}

async fn others(stage: &Stage<'_>) {
    stage.open().await.close().await;
    let refused = Store::open(stage.target.clone(), "elsewhere.example.org").await.unwrap_err();
    assert!(matches!(&refused, StoreError::Deployment { found, .. } if found == DEPLOYMENT), "{refused}");
    assert!(refused.to_string().contains("`[state]`"), "{refused}");
    stage.meddle("UPDATE assent_store SET format = 3").await;
    let refused = Store::open(stage.target.clone(), DEPLOYMENT).await.unwrap_err();
    assert!(matches!(refused, StoreError::Format { found: 3, known: 2 }), "{refused}");
}

async fn many(stage: &Stage<'_>) {
    let store = stage.open().await;
    let body = "x".repeat(300);
    let edits = |count: usize, body: &str| (0..count).map(|n| put(&n.to_string(), body)).collect::<Vec<_>>();
    store.apply(ORGANIZATION, &change(1, edits(3000, &body))).await.unwrap();
    store.apply(ORGANIZATION, &change(2, edits(1500, "new"))).await.unwrap();
    let mut counts = (0, 0);
    store
        .load(ORGANIZATION, 0, |document| match document.version {
            1 => counts.0 += 1,
            _ => counts.1 += 1,
        })
        .await
        .unwrap();
    assert_eq!(counts, (1500, 1500));
}

#[test]
fn a_file_is_private_and_durable() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let stage = sqlite(dir.path());
    block_on(async {
        let store = stage.open().await;
        store.apply(ORGANIZATION, &change(1, vec![put("a", "1")])).await.unwrap();
        for file in std::fs::read_dir(stage.dir.join("a folder")).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!format!("{store:?}").is_empty());
    });
}

#[test]
fn a_database_that_forgets_is_refused() {
    let Some(server) = Server::start() else { return };
    let url = server.database("careless");
    let stage =
        Stage { target: Target::Postgres(url.clone()), url: url.clone(), dir: std::path::Path::new("") };
    block_on(async {
        stage.meddle("ALTER DATABASE careless SET synchronous_commit = off").await;
        let refused = Store::open(Target::Postgres(url), DEPLOYMENT).await.unwrap_err();
        assert!(matches!(refused, StoreError::Setting { setting: "synchronous_commit", .. }), "{refused}");
    });
}
