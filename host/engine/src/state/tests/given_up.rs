//! Two nodes, each with its own logs, on one database that is put back to an older copy while both are stopped.

use super::*;

/// The logs of another node beside those of the first.
struct Nodes {
    first: Deployment,
    logs: tempfile::TempDir,
}

impl Nodes {
    /// Two that made three versions in turn, the first of them the first and the third, of which the database has the
    /// first alone.
    async fn put_back_to_the_first() -> Self {
        let nodes = Self::new();
        nodes.change(0, "p0").await;
        let older = nodes.copy();
        nodes.change(1, "p1").await;
        nodes.change(0, "p2").await;
        nodes.put_back(&older);
        nodes
    }

    fn new() -> Self {
        Self { first: Deployment::new(), logs: tempfile::tempdir().unwrap() }
    }

    fn config(&self, node: usize) -> LogsConfig {
        let config = self.first.config();
        match node {
            0 => config,
            _ => LogsConfig {
                directory: self.logs.path().join("audit"),
                name: "other.example.org".into(),
                ..config
            },
        }
    }

    async fn try_start(&self, node: usize) -> Result<(Keeper, AuditRecorder), StateError> {
        let logs = Logs::open_briefly(self.config(node), [organization()], now()).unwrap().0;
        let recorder = AuditRecorder::new(Arc::new(logs));
        match Keeper::open(self.first.store().await, recorder.clone(), organization()).await {
            Ok(keeper) => Ok((keeper, recorder)),
            Err(error) => {
                recorder.logs().close().unwrap();
                Err(error)
            }
        }
    }

    /// Makes a change on a node that runs for no longer than that.
    async fn change(&self, node: usize, id: &str) {
        let opened = self.try_start(node).await.unwrap();
        change(&opened.0, id, "Ann").await.unwrap();
        stop(opened).await;
    }

    fn copy(&self) -> PathBuf {
        let older = self.logs.path().join("older.db");
        std::fs::copy(self.first.database(), &older).unwrap();
        older
    }

    fn put_back(&self, older: &Path) {
        self.first.remove_database();
        std::fs::copy(older, self.first.database()).unwrap();
    }

    /// Has these persons say that versions are given up: one asks, and another one, if any, agrees.
    async fn give_up(&self, node: usize, after: u64, persons: &[&str]) {
        let logs = Logs::open_briefly(self.config(node), [organization()], now()).unwrap().0;
        let recorder = AuditRecorder::new(Arc::new(logs));
        for (person, action) in persons.iter().zip([GIVE_UP_ASKED, GIVEN_UP, GIVEN_UP]) {
            let by = Actor { entity: EntityId::new("Person", *person), ..Actor::service() };
            let said = GiveUp { request: "r1".into(), after, by, reason: "it burnt".into() };
            recorder.note(&organization(), now(), said.event(action)).await.unwrap();
        }
        recorder.logs().close().unwrap();
    }
}

/// How a start ends: the version, or what is missing.
async fn started(nodes: &Nodes, node: usize) -> Result<u64, (u64, u64)> {
    match nodes.try_start(node).await {
        Ok(opened) => {
            let version = opened.0.turn(now()).await.unwrap().version();
            stop(opened).await;
            Ok(version)
        }
        Err(error) => {
            assert!(error.waits_for_others(), "{error}");
            match error {
                StateError::Lacks { found, seen } => Err((found, seen)),
                StateError::Store(StoreError::Behind { found, version, .. }) => Err((found, version)),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn nodes_whose_changes_took_turns_bring_each_other_on() {
    run(async {
        let nodes = Nodes::new();
        nodes.change(0, "p0").await;
        let older = nodes.copy();
        for (node, id) in [(0, "p1"), (1, "p2"), (0, "p3"), (1, "p4")] {
            nodes.change(node, id).await;
        }
        let opened = nodes.try_start(0).await.unwrap();
        let held = sum(&opened.0).await;
        stop(opened).await;
        // Of the logs 0 has versions 1, 2 and 4, and 1 has 3 and 5. Whoever starts applies what it can, and goes on no
        // further than the other must bring what is between.
        nodes.put_back(&older);
        assert_eq!(started(&nodes, 1).await, Err((1, 3)));
        assert_eq!(started(&nodes, 0).await, Err((2, 4)));
        assert_eq!(started(&nodes, 0).await, Err((2, 4)));
        assert_eq!(started(&nodes, 1).await, Err((3, 5)));
        // It has seen no version after its own.
        assert_eq!(started(&nodes, 0).await, Ok(4));
        assert_eq!(started(&nodes, 1).await, Ok(5));
        let opened = nodes.try_start(0).await.unwrap();
        assert_eq!((opened.0.turn(now()).await.unwrap().version(), sum(&opened.0).await), (5, held));
        stop(opened).await;
    });
}

#[test]
fn what_a_node_has_seen_it_does_not_go_on_without() {
    run(async {
        let nodes = Nodes::new();
        nodes.change(0, "p0").await;
        let older = nodes.copy();
        nodes.change(1, "p1").await;
        // The first node saw it: here by what it says of the version, elsewhere by decisions.
        let opened = nodes.try_start(0).await.unwrap();
        opened.0.note_reached(now()).await.unwrap();
        stop(opened).await;
        nodes.put_back(&older);
        assert_eq!(started(&nodes, 0).await, Err((1, 2)));
        let error = nodes.try_start(0).await.unwrap_err().to_string();
        for part in ["version 1", "version 2", "Start every other node", "give-up DIR --after 1"] {
            assert!(error.contains(part), "`{part}` is not in {error}");
        }
        assert_eq!(started(&nodes, 1).await, Ok(2));
        assert_eq!(started(&nodes, 0).await, Ok(2));
    });
}

#[test]
fn versions_that_two_gave_up_never_were_and_the_node_that_comes_back_is_told() {
    run(async {
        let nodes = Nodes::put_back_to_the_first().await;
        // The first has version 3, which nothing can follow: it was made on version 2.
        assert_eq!(started(&nodes, 0).await, Err((1, 3)));
        nodes.give_up(0, 1, &["ann"]).await;
        assert_eq!(started(&nodes, 0).await, Err((1, 3)));
        nodes.give_up(0, 1, &["ann", " Ann"]).await;
        assert_eq!(started(&nodes, 0).await, Err((1, 3)), "one person alone");
        nodes.give_up(0, 1, &["ann", "bob"]).await;
        assert_eq!(started(&nodes, 0).await, Ok(1));
        nodes.change(0, "p9").await;
        nodes.change(0, "p8").await;
        let opened = nodes.try_start(0).await.unwrap();
        let held = sum(&opened.0).await;
        assert_eq!(opened.0.store().page("clinic", ENTITIES, None, 10).await.unwrap().len(), 3);
        stop(opened).await;
        // Whenever the database is lost again, the same comes of it.
        nodes.first.remove_database();
        let opened = nodes.try_start(0).await.unwrap();
        assert_eq!((opened.0.turn(now()).await.unwrap().version(), sum(&opened.0).await), (3, held));
        let shelf = Shelf::new(opened.1.logs().config().clone(), organization());
        let overtaken = |found: &assent_audit::shelf::Found| carry::is_overtaken(&found.1.event);
        let said = shelf.records().unwrap().map(Result::unwrap).filter(overtaken).count();
        assert_eq!(said, 1, "its log says of the change that it never was");
        stop(opened).await;
        // The other one comes back after all.
        assert_eq!(started(&nodes, 1).await, Ok(3));
    });
}

#[test]
fn what_was_given_up_does_not_come_back_on_a_version_that_another_node_made_meanwhile() {
    run(async {
        let nodes = Nodes::put_back_to_the_first().await;
        assert_eq!(started(&nodes, 0).await, Err((1, 3)));
        nodes.give_up(0, 1, &["ann", "bob"]).await;
        // Version 2 is there again when the node starts, and is not the one on which its version 3 was made.
        let other = nodes.first.store().await;
        let place =
            Place { log: "third.example.org/audit/clinic/2026".into(), seq: 0, record: "0".repeat(64) };
        let edits = vec![edit(&item("p7", Some("Zoe"))).unwrap()];
        other.apply("clinic", &Change { version: 2, place, edits }).await.unwrap();
        other.close().await;
        assert_eq!(started(&nodes, 0).await, Ok(2));
        let opened = nodes.try_start(0).await.unwrap();
        let found = opened.0.store().page("clinic", ENTITIES, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|document| document.key.id()).collect();
        assert_eq!(ids, ["Patient/p0", "Patient/p7"]);
        stop(opened).await;
    });
}

#[test]
fn a_record_of_giving_up_that_came_twice_takes_back_nothing_that_was_made_between() {
    run(async {
        let nodes = Nodes::put_back_to_the_first().await;
        nodes.give_up(0, 1, &["ann", "bob"]).await;
        nodes.change(0, "p9").await;
        nodes.give_up(0, 1, &["ann", "bob", "bob"]).await;
        assert_eq!(started(&nodes, 0).await, Ok(2));
        nodes.first.remove_database();
        assert_eq!(started(&nodes, 0).await, Ok(2));
    });
}
