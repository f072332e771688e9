//! The state over HTTP, on a real log and a real database: what is changed is seen by the next decision, is on the
//! log, and is there after a restart; and what must not happen does not.

use std::collections::BTreeMap;

use assent_audit::record::{Actor, Event, StateVerb};
use assent_engine::replay::{Releases, Replayed, replay, replay_with};
use assent_engine::state::{Keeper, LiveState, Plan, Sharing, StateError, Store, Target, entity_item};
use proptest::prelude::*;
use serde_json::json;

use super::audit::{AUDITOR, Audited, recorder};
use super::replay::{FILES, Rebuilder, archived};
use super::*;

const ADMIN: (&str, &str) = ("authorization", "Bearer admin-key");
const READER: (&str, &str) = ("authorization", "Bearer reader-key");
const ENTITIES: &str = "/bay/state/v1/entities";

/// A service that keeps a state.
pub(super) struct Stateful {
    pub(super) audited: Audited,
    pub(super) state: Arc<LiveState>,
}

impl Stateful {
    pub(super) async fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap()).await
    }

    async fn in_directory(directory: tempfile::TempDir) -> Self {
        Self::on(directory, bay(), Sharing::default()).await.unwrap()
    }

    pub(super) async fn on(
        directory: tempfile::TempDir,
        release: Release,
        sharing: Sharing,
    ) -> Result<Self, StateError> {
        let recorder = recorder(directory.path(), Fixed.now());
        let target = Target::Sqlite(directory.path().join("state.db"));
        let store = Store::open(target, "pdp.example.org").await.unwrap();
        let keeper = Keeper::open(store, recorder.clone(), organization("bay")).await.unwrap();
        let state = Arc::new(LiveState::open(keeper, release, (Default::default(), sharing)).await?);
        let states = BTreeMap::from([(organization("bay"), Arc::clone(&state))]);
        let audited = Audited::on(directory, recorder, ServiceParts { states, ..parts() });
        Ok(Self { audited, state })
    }

    /// The same deployment, after its service ended in good order.
    async fn restarted(self) -> Self {
        Self::in_directory(self.ended().await).await
    }

    /// Its directory, after its service ended in good order.
    async fn ended(self) -> tempfile::TempDir {
        self.state.keeper().store().close().await;
        let Audited { world, logs, directory } = self.audited;
        logs.close().unwrap();
        drop((world, logs, self.state));
        directory
    }

    async fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &Value) -> Reply {
        let fields: Vec<_> = [ADMIN].iter().chain(fields).copied().collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply =
            self.audited.world.send(request(method, &format!("{ENTITIES}{path}"), &fields, body)).await;
        let route = if path.starts_with('/') { "entities/{type}/{id}" } else { "entities" };
        documented(method, route, &reply);
        reply
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, &[], body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], &Value::Null).await
    }

    async fn permits(&self, subject: &str, action: &str, resource: &str) -> bool {
        let reply = self.audited.world.ask(SINGLE, &question(subject, action, resource)).await;
        reply.json()["decision"].as_bool().unwrap()
    }

    /// The items of all changes on the log, by version.
    pub(super) fn changes(&self) -> Vec<(u64, usize)> {
        let events = self.audited.written().into_iter().map(|record| record.event);
        events
            .filter_map(|event| match event {
                Event::StateChanged(change) => Some((change.version, change.items.len())),
                _ => None,
            })
            .collect()
    }
}

/// Holds an answer against the document.
pub(super) fn documented(method: &str, route: &str, reply: &Reply) {
    let document = openapi::document();
    let route = format!("/{{organization}}/state/v1/{route}");
    let mut response =
        &document["paths"][route][method.to_lowercase()]["responses"][reply.status.to_string()];
    if let Some(named) = response["$ref"].as_str() {
        response = document.pointer(named.trim_start_matches('#')).unwrap();
    }
    let content = reply.header("content-type").unwrap();
    let schema = &response["content"][content]["schema"];
    assert!(schema.is_object(), "{method} {} {content}: {}", reply.status, reply.body);
    openapi::check(&document, schema, &reply.json())
        .unwrap_or_else(|error| panic!("{error}: {}", reply.body));
}

fn role(role: &str) -> Value {
    json!({ "attrs": { "role": role } })
}

/// What a problem says: its status, its code, the places.
fn problem(reply: &Reply) -> (u16, String, Vec<String>) {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.body);
    let body = reply.json();
    assert_eq!(body["status"], reply.status);
    assert!(!body["detail"].as_str().unwrap().is_empty() && !body["title"].as_str().unwrap().is_empty());
    let code = body["type"].as_str().unwrap().strip_prefix("urn:assent:problem:").unwrap().to_owned();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    (reply.status, code, errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect())
}

fn refused(status: u16, code: &str, places: &[&str]) -> (u16, String, Vec<String>) {
    (status, code.to_owned(), places.iter().map(|place| (*place).to_owned()).collect())
}

#[tokio::test]
async fn a_change_is_seen_by_the_next_decision_is_on_the_log_and_is_there_after_a_restart() {
    let stateful = Stateful::new().await;
    assert!(!stateful.permits("carol", "write", "record-1").await);
    let created = stateful.put("/User/carol", &role("admin")).await;
    assert_eq!((created.status, created.header("etag")), (201, Some("\"1\"")), "{}", created.body);
    assert!(stateful.permits("carol", "write", "record-1").await);
    let changed = stateful.send("PATCH", "/User/carol", &[], &role("guest")).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    assert!(!stateful.permits("carol", "write", "record-1").await);
    // One of the release's files, with other attributes from now on.
    assert_eq!(stateful.put("/User/alice", &role("admin")).await.status, 200);
    assert!(stateful.permits("alice", "write", "record-1").await);
    assert_eq!(stateful.changes(), [(1, 1), (2, 1), (3, 1)]);
    let position = changed.header("x-audit-position").unwrap().to_owned();

    let stateful = stateful.restarted().await;
    assert!(stateful.permits("alice", "write", "record-1").await);
    assert!(!stateful.permits("carol", "write", "record-1").await);
    let record = stateful.audited.get(&format!("/bay/audit/v1/records/2026-{position}")).await.json();
    assert_eq!(record["record"]["event"]["version"], 2);
    assert_eq!(record["record"]["event"]["items"][0]["payload"]["attrs"]["role"], "guest");
    let removed = stateful.send("DELETE", "/User/carol", &[("if-match", "\"2\"")], &Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(stateful.get("/User/carol").await.status, 404);
    assert!(!stateful.permits("carol", "read", "record-1").await);
}

#[tokio::test]
async fn a_decision_says_which_version_of_the_state_it_saw_and_replays_on_it() {
    let stateful = Stateful::new().await;
    for event in archived(&bay(), &FILES) {
        let recorder = assent_engine::AuditRecorder::new(Arc::clone(&stateful.audited.logs));
        recorder.note(&organization("bay"), Fixed.now(), event).await.unwrap();
    }
    let before = stateful.audited.decide("alice", "write").await;
    stateful.put("/User/alice", &role("admin")).await;
    let after = stateful.audited.decide("alice", "write").await;
    stateful.put("/User/alice", &role("guest")).await;
    let now = stateful.audited.decide("alice", "write").await;
    let base = bay().snapshot().digest().to_string();
    let mut releases = Releases::new(1);
    let shelf = stateful.audited.shelf();
    // The last one first: what was made of more changes is no beginning for what saw fewer.
    for (id, version, effect) in [(now, 2, "deny"), (before, 0, "deny"), (after, 1, "permit")] {
        let record = stateful.audited.get(&format!("/bay/audit/v1/records/{id}")).await.json();
        let event = &record["record"]["event"];
        assert_eq!(event["facts"]["state"], json!({ "version": version, "base": base }));
        assert_eq!(event["outcome"]["effect"], effect);
        let (place, record) = shelf.by_id(&id).unwrap().unwrap();
        let decision = (place, record.at, record.decision().unwrap());
        let again = replay(&shelf, &Rebuilder::default(), &mut releases, decision).unwrap();
        assert!(matches!(again, Replayed::Same), "{version}: {again:?}");
        // On another state it comes out otherwise, or is not tried.
        assert!(replay_with(&bay(), &record).is_none());
    }
}

#[tokio::test]
async fn what_was_changed_of_a_files_entity_can_be_given_back_to_the_files() {
    let stateful = Stateful::new().await;
    let delete = || stateful.send("DELETE", "/User/bob", &[], &Value::Null);
    assert_eq!(problem(&delete().await), refused(409, "in-files", &[]));
    assert_eq!(stateful.put("/User/bob", &role("guest")).await.status, 200);
    assert!(!stateful.permits("bob", "write", "record-1").await);
    let given_back = delete().await;
    assert_eq!((given_back.status, given_back.json()), (200, json!({ "version": 2, "source": "files" })));
    assert!(stateful.permits("bob", "write", "record-1").await);
    assert_eq!(stateful.get("/User/bob").await.json()["source"], "files");
    assert_eq!(problem(&delete().await), refused(409, "in-files", &[]));
    let stateful = stateful.restarted().await;
    assert!(stateful.permits("bob", "write", "record-1").await);
}

#[tokio::test]
async fn a_fact_counts_no_longer_than_the_schema_says_and_is_confirmed_without_changing_it() {
    let schema = SCHEMA.replace("role?: String,", "role?: String, @fresh(\"30d\") licensed?: Bool,");
    let release = release_of("bay", [&schema, POLICIES, super::ENTITIES], vec![]);
    let stateful = Stateful::on(tempfile::tempdir().unwrap(), release, Sharing::default()).await.unwrap();
    let licensed = |moment: &str| {
        let provenance = json!({ "licensed": { "at": moment } });
        json!({ "attrs": { "role": "admin", "licensed": true }, "provenance": provenance })
    };
    // It is 18:00 on the 21st of November.
    let reply = stateful.put("/User/carol", &licensed("2026-11-21T18:00:00.001Z")).await;
    assert_eq!(problem(&reply), refused(422, "not-yet", &[]));
    let reply = stateful.put("/User/carol", &licensed("last week")).await;
    assert_eq!(problem(&reply), refused(400, "malformed", &[""]));
    assert_eq!(stateful.put("/User/carol", &licensed("2026-10-22T18:00:00.001Z")).await.status, 201);
    assert!(stateful.permits("carol", "write", "record-1").await);
    assert_eq!(stateful.put("/User/carol", &licensed("2026-10-22T18:00:00Z")).await.status, 200);
    assert!(!stateful.permits("carol", "write", "record-1").await);
    // Nor does she take part in anything that people decide.
    let hold = || async {
        let clerk = ("authorization", "Bearer clerk-key");
        let fields = [clerk, ("assent-person", "User/carol"), ("content-type", "application/json")];
        let body = r#"{"target":{"caller":"portal"},"reason":"keys were seen elsewhere"}"#;
        stateful.audited.world.send(request("POST", "/bay/state/v1/holds", &fields, body)).await
    };
    assert_eq!(problem(&hold().await), refused(403, "person-unfit", &[]));
    let id = stateful.audited.decide("carol", "write").await;
    let record = stateful.audited.get(&format!("/bay/audit/v1/records/{id}")).await.json();
    let problems = &record["record"]["event"]["outcome"]["problems"];
    assert!(problems[0]["detail"].as_str().unwrap().contains("`User.licensed` is older"), "{problems}");

    // Another attribute changes, and says nothing of this one.
    let moment = |reply: &Reply| reply.json()["provenance"]["licensed"]["at"].as_str().unwrap().to_owned();
    let changed = stateful.send("PATCH", "/User/carol", &[], &role("admin")).await;
    assert_eq!(moment(&changed), "2026-10-22T18:00:00Z");
    assert!(!stateful.permits("carol", "write", "record-1").await);
    let confirmed = json!({ "provenance": { "licensed": { "at": "2026-11-20T08:00:00Z" } } });
    let changed = stateful.send("PATCH", "/User/carol", &[], &confirmed).await;
    assert_eq!((changed.status, moment(&changed).as_str()), (200, "2026-11-20T08:00:00Z"));
    assert!(stateful.permits("carol", "write", "record-1").await);
    let confirmed = json!({ "provenance": { "licensed": {} } });
    let changed = stateful.send("PATCH", "/User/carol", &[], &confirmed).await;
    assert_eq!((changed.status, moment(&changed).as_str()), (200, "2026-11-21T18:00:00Z"));
    // Without a word it is of now.
    let now = json!({ "attrs": { "licensed": true, "role": "admin" } });
    assert_eq!(stateful.put("/User/carol", &now).await.status, 200);
    assert!(stateful.permits("carol", "write", "record-1").await);
    let unknown = json!({ "provenance": { "license": { "at": "2026-11-20T08:00:00Z" } } });
    let reply = stateful.send("PATCH", "/User/carol", &[], &unknown).await;
    assert_eq!((reply.status, reply.body.contains("provenance.license is no attribute")), (422, true));
    let claimed = json!({ "attrs": {}, "provenance": { "*": { "at": "2026-11-20T08:00:00Z", "by": {} } } });
    assert_eq!(problem(&stateful.put("/User/dora", &claimed).await), refused(400, "malformed", &[""]));
    assert_eq!(hold().await.status, 201);
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made() {
    let stateful = Stateful::new().await;
    let anew = [("if-none-match", "*")];
    assert_eq!(stateful.send("PUT", "/User/carol", &anew, &role("a")).await.status, 201);
    let again = stateful.send("PUT", "/User/carol", &anew, &role("b")).await;
    assert_eq!(problem(&again), refused(412, "changed-meanwhile", &[]));
    let read = stateful.get("/User/carol").await;
    let fields = [("if-match", read.header("etag").unwrap())];
    let (c, d) = (role("c"), role("d"));
    let (one, other) = tokio::join!(
        stateful.send("PATCH", "/User/carol", &fields, &c),
        stateful.send("PATCH", "/User/carol", &fields, &d)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    // What stands in the files was never changed, and is of version 0.
    assert_eq!(stateful.send("PUT", "/User/bob", &[("if-match", "\"0\"")], &role("x")).await.status, 200);
    assert_eq!(stateful.send("PUT", "/User/bob", &[("if-match", "\"0\"")], &role("x")).await.status, 412);
    assert_eq!(stateful.send("PATCH", "/User/nobody", &[("if-match", "*")], &role("x")).await.status, 412);
    assert_eq!(stateful.changes().len(), 3);
}

#[tokio::test]
async fn a_request_that_comes_again_is_answered_as_before_and_does_nothing() {
    let stateful = Stateful::new().await;
    let key = [("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""), ("if-none-match", "*")];
    let first = stateful.send("PUT", "/User/carol", &key, &role("admin")).await;
    let stateful = stateful.restarted().await;
    let again = stateful.send("PUT", "/User/carol", &key, &role("admin")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!((first.header("etag"), first.json()), (again.header("etag"), again.json()));
    let other = stateful.send("PUT", "/User/carol", &key, &role("guest")).await;
    assert_eq!(problem(&other), refused(422, "key-reused", &[]));
    assert_eq!(stateful.changes(), [(1, 2)]);
    for key in ["\"\"", "\"", "a b", &"k".repeat(129)] {
        let fields = [("idempotency-key", key)];
        let reply = stateful.send("PUT", "/User/dora", &fields, &role("x")).await;
        assert_eq!(problem(&reply), refused(400, "malformed", &[]), "{key}");
    }
}

#[tokio::test]
async fn several_entities_change_together_or_not_at_all_and_every_problem_is_told() {
    let stateful = Stateful::new().await;
    let put = |kind: &str, id: &str, attrs: Value| json!({ "put": { "uid": { "type": kind, "id": id }, "attrs": attrs } });
    let good = json!({ "changes": [
        put("User", "carol", json!({ "role": "admin" })),
        put("Record", "record-9", json!({ "status": "active" })),
        { "patch": { "uid": { "type": "User", "id": "bob" }, "attrs": { "role": null } } },
    ] });
    let reply = stateful.send("POST", "", &[], &good).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "version": 1, "changed": 3 })));
    assert!(stateful.permits("carol", "write", "record-9").await);
    assert!(!stateful.permits("bob", "write", "record-9").await);

    let bad = json!({ "changes": [
        put("User", "dora", json!({ "role": "admin" })),
        put("User", "erin", json!({ "rule": "admin" })),
        put("Usre", "fred", json!({})),
        put("User", "gina", json!({ "role": 1 })),
    ] });
    let reply = stateful.send("POST", "", &[], &bad).await;
    assert_eq!(problem(&reply), refused(422, "invalid-facts", &["/changes/1", "/changes/2", "/changes/3"]));
    assert!(reply.body.contains("did you mean `role`?"), "{}", reply.body);
    let bad = json!({ "changes": [
        put("User", "dora", json!({})),
        { "delete": { "type": "User", "id": "nobody" } },
        { "delete": { "type": "User", "id": "alice" } },
    ] });
    let reply = stateful.send("POST", "", &[], &bad).await;
    assert_eq!(problem(&reply), refused(422, "refused", &["/changes/1", "/changes/2"]));
    assert_eq!(stateful.get("/User/dora").await.status, 404);
    let twice = json!({ "changes": [put("User", "dora", json!({})), put("User", "dora", json!({}))] });
    assert_eq!(stateful.send("POST", "", &[], &twice).await.status, 422);
    assert_eq!(stateful.changes().len(), 1);
}

#[tokio::test]
async fn a_change_too_large_for_a_record_is_refused_whole() {
    let stateful = Stateful::new().await;
    // Random enough not to become smaller.
    let mut seed = 1_u64;
    let mut noise = || {
        let mut text = String::new();
        while text.len() < 100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!("{:x}", seed >> 8));
        }
        text
    };
    let reply = stateful.put("/User/carol", &role(&noise())).await;
    assert_eq!(problem(&reply), refused(413, "too-large", &[]));
    assert_eq!((stateful.changes(), stateful.get("/User/carol").await.status), (vec![], 404));
    assert_eq!(stateful.put("/User/carol", &role("admin")).await.status, 201);
}

#[tokio::test]
async fn nobody_without_the_right_reads_or_changes_anything() {
    let stateful = Stateful::new().await;
    let body = role("admin").to_string();
    let path = format!("{ENTITIES}/User/alice");
    for (who, method, status) in [
        (AUDITOR, "GET", 403),
        (AUDITOR, "PUT", 403),
        (("authorization", PORTAL_KEY), "PUT", 403),
        (("authorization", "Bearer nobody"), "PUT", 401),
        (READER, "GET", 200),
        (READER, "PUT", 403),
        (ADMIN, "POST", 405),
    ] {
        let reply = stateful.audited.world.send(request(method, &path, &[who], body.clone())).await;
        assert_eq!(reply.status, status, "{who:?} {method}: {}", reply.body);
        if status != 200 {
            problem(&reply);
        }
    }
    let hill =
        stateful.audited.world.send(request("PUT", "/hill/state/v1/entities/User/x", &[ADMIN], body)).await;
    assert_eq!(problem(&hill), refused(403, "no-right", &[]));
    assert_eq!(stateful.changes(), []);
    // Without a state there is nothing, which only those are told that may know.
    let without = Audited::new();
    let reply = without.world.send(request("GET", &path, &[ADMIN], "")).await;
    assert_eq!(problem(&reply), refused(404, "no-state", &[]));
}

#[tokio::test]
async fn each_reading_is_a_record_of_who_read_what() {
    let stateful = Stateful::new().await;
    let fields = [READER, ("assent-person", "User/bob")];
    for path in ["/User/alice", "/User/nobody", "?type=User&limit=1"] {
        stateful.audited.world.send(request("GET", &format!("{ENTITIES}{path}"), &fields, "")).await;
    }
    let events = stateful.audited.written().into_iter().map(|record| record.event);
    let read: Vec<(String, String)> = events
        .filter_map(|event| match event {
            Event::Administration(read) if read.action == "state.read" => {
                Some((read.by.entity.to_string(), read.target.to_string()))
            }
            _ => None,
        })
        .collect();
    let expected = ["User::\"alice\"", "User::\"nobody\"", "State::\"entities\""];
    assert_eq!(read, expected.map(|target| ("User::\"bob\"".to_owned(), target.to_owned())));
}

#[tokio::test]
async fn pages_lead_through_all_of_one_type_and_nothing_else() {
    let stateful = Stateful::new().await;
    for index in 0..7 {
        stateful.put(&format!("/User/u{index}"), &role("x")).await;
        stateful.put(&format!("/Record/r{index}"), &json!({})).await;
    }
    let (mut seen, mut after) = (vec![], String::new());
    loop {
        let page = stateful.get(&format!("?type=User&limit=3{after}")).await.json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["uid"]["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    // Those of the release's files among them.
    assert_eq!(seen, ["alice", "bob", "u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    let first = stateful.get("?type=User&limit=1").await.json();
    assert_eq!((&first["items"][0]["source"], &first["items"][0]["version"]), (&json!("files"), &json!(0)));
    for query in ["", "?type=User&limit=0", "?type=User&limit=501", "?tipe=User", "?type=User&type=User"] {
        assert_eq!(problem(&stateful.get(query).await), refused(400, "parameter", &[]), "{query}");
    }
}

#[tokio::test]
async fn a_key_is_of_one_person_and_is_forgotten_after_a_day() {
    let stateful = Stateful::new().await;
    let with = |person| [("idempotency-key", "k-1"), ("assent-person", person)];
    assert_eq!(stateful.send("PUT", "/User/carol", &with("User/alice"), &role("a")).await.status, 201);
    let other = stateful.send("PUT", "/User/carol", &with("User/bob"), &role("a")).await;
    assert_eq!(problem(&other), refused(422, "key-reused", &[]));

    let at = |ms: i64| Instant::from_millis(Fixed.now().as_millis() + ms).unwrap();
    assert!(!stateful.state.forget(at(86_399_999)).await.unwrap());
    let again = stateful.send("PUT", "/User/carol", &with("User/alice"), &role("a")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    for index in 0..150 {
        let key = format!("k-{}-{index}", "x".repeat(120));
        let fields = [("idempotency-key", key.as_str())];
        assert!(stateful.send("PUT", "/User/dora", &fields, &role("d")).await.status < 300);
    }
    // In several changes, each on the log, until none is left.
    let before = stateful.changes();
    assert!(stateful.state.forget(at(86_400_000)).await.unwrap());
    assert!(stateful.state.forget(at(86_400_000)).await.unwrap());
    assert!(!stateful.state.forget(at(86_400_000)).await.unwrap());
    assert_eq!(stateful.changes()[before.len()..], [(152, 100), (153, 51)]);
    let store = stateful.state.keeper().store();
    let mut left = vec![];
    store.load("bay", 1, |document| left.push(document.key.kind().to_owned())).await.unwrap();
    assert_eq!(left, ["entity"], "no traces of what was removed");
    let stateful = stateful.restarted().await;
    let anew = stateful.send("PUT", "/User/carol", &with("User/alice"), &role("a")).await;
    assert_eq!((anew.status, anew.header("idempotent-replayed")), (200, None));
}

#[tokio::test]
async fn while_a_change_is_in_doubt_nothing_is_permitted_for_longer_than_facts_may_be_old() {
    let patient = Sharing::default();
    let strict = Sharing { staleness: std::time::Duration::ZERO };
    for (sharing, permits) in [(patient, true), (strict, false)] {
        let directory = tempfile::tempdir().unwrap();
        let stateful = Stateful::on(directory, bay(), sharing).await.unwrap();
        assert!(stateful.permits("bob", "write", "record-1").await);
        let turn = stateful.state.turn(Fixed.now()).await.unwrap();
        // It is recorded, and cannot be applied.
        stateful.state.keeper().store().close().await;
        let bob =
            json!({ "uid": { "type": "User", "id": "bob" }, "attrs": { "role": "guest" }, "parents": [] });
        let items = entity_item(StateVerb::Updated, bob).into_iter().collect();
        let plan = Plan { by: Actor::service(), decision: None, items };
        let failed = turn.commit(Fixed.now(), plan).await.unwrap_err();
        assert!(matches!(failed, StateError::InDoubt { .. }), "{failed:?}");
        assert_eq!(stateful.permits("bob", "write", "record-1").await, permits);
        let ready = stateful.audited.world.send(request("GET", "/readyz", &[], "")).await;
        assert_eq!(ready.status, if permits { 200 } else { 503 });
        let stateful = Stateful::on(stateful.ended().await, bay(), sharing).await.unwrap();
        assert!(!stateful.permits("bob", "write", "record-1").await);
        assert!(stateful.permits("bob", "read", "record-1").await);
    }
}

#[tokio::test]
async fn what_is_stored_and_does_not_fit_a_new_schema_stops_the_start_and_is_named() {
    let stateful = Stateful::new().await;
    for id in ["carol", "dora"] {
        stateful.put(&format!("/User/{id}"), &json!({ "attrs": { "role": "admin" } })).await;
    }
    stateful.put("/User/erin", &json!({})).await;
    let stricter = SCHEMA.replace("role?: String", "role?: Long");
    let entities = super::ENTITIES.replace("\"admin\"", "7");
    let stricter = release_of("bay", [&stricter, "", &entities], vec![]);
    let directory = stateful.ended().await;
    let error = Stateful::on(directory, stricter, Sharing::default()).await.err().unwrap();
    let StateError::Misfit(errors) = &error else { panic!("{error:?}") };
    let said = errors.to_string();
    assert!(said.contains("carol") && said.contains("dora") && said.contains("attrs.role"), "{said}");
    assert!(!said.contains("erin"), "{said}");
    assert!(error.to_string().contains("go on with the release before"), "{error}");
    assert!(!format!("{error} {error:?}").contains("carol"));
}

#[tokio::test]
async fn entities_of_the_files_that_the_state_has_otherwise_are_counted() {
    let stateful = Stateful::new().await;
    stateful.put("/User/alice", &role("admin")).await;
    stateful.put("/User/bob", &json!({ "attrs": { "role": "admin" } })).await;
    stateful.put("/User/carol", &role("admin")).await;
    // Bob is as the files say, and carol in none.
    assert_eq!(stateful.restarted().await.state.other_than_files(), 1);
}

#[tokio::test]
async fn nothing_is_read_under_a_name_that_nobody_has() {
    let stateful = Stateful::new().await;
    assert_eq!(stateful.put("/User/a%2Fb", &role("x")).await.status, 201);
    assert_eq!(stateful.get("/User/a%2Fb").await.status, 200);
    assert_eq!(problem(&stateful.get("/User%2Fa/b").await), refused(404, "not-found", &[]));
    assert_eq!(problem(&stateful.get("?type=User%2Fa").await), refused(400, "parameter", &[]));
    for path in ["/bay/state/v1/nothing", "/bay/state/v1/entities/User", "/bay/state/v1/approvals/a/b/c"] {
        let reply = stateful.audited.world.send(request("GET", path, &[ADMIN], "")).await;
        assert_eq!(problem(&reply), refused(404, "not-found", &[]), "{path}");
    }
    // What is no name is that of nobody.
    assert_eq!(problem(&stateful.get("/User/a%00b").await), refused(404, "not-found", &[]));
    for query in ["?after=x", "?limit=1", "?within=P0D", "?within=P1D&within=P1D"] {
        let reply = request("GET", &format!("/bay/state/v1/lapses{query}"), &[ADMIN], "");
        let reply = stateful.audited.world.send(reply).await;
        assert_eq!(problem(&reply), refused(400, "parameter", &[]), "{query}");
    }
}

/// One thing to do with one of a few entities.
#[derive(Clone, Debug)]
enum Operation {
    Put(u8, Option<u8>),
    Patch(u8, Option<u8>),
    Delete(u8),
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let value = || prop::option::of(0..3_u8);
    prop_oneof![
        4 => (0..4_u8, value()).prop_map(|(id, value)| Operation::Put(id, value)),
        4 => (0..4_u8, value()).prop_map(|(id, value)| Operation::Patch(id, value)),
        2 => (0..4_u8).prop_map(Operation::Delete),
        1 => Just(Operation::Restart),
    ]
}

/// The world in which alice has no role, and three others are not there.
async fn compare(operations: Vec<Operation>) {
    let name = |id: u8| ["alice", "x", "y", "z"][usize::from(id)];
    let attrs = |value: Option<u8>| value.map_or(json!({}), |value| json!({ "role": format!("r{value}") }));
    let mut model: BTreeMap<u8, Option<u8>> = BTreeMap::from([(0, None)]);
    let mut alice_changed = false;
    let mut stateful = Stateful::new().await;
    for operation in operations {
        let (status, expected) = match &operation {
            Operation::Restart => {
                stateful = stateful.restarted().await;
                continue;
            }
            Operation::Put(id, value) => {
                let body = json!({ "attrs": attrs(*value) });
                let status = stateful.put(&format!("/User/{}", name(*id)), &body).await.status;
                (status, if model.insert(*id, *value).is_some() { 200 } else { 201 })
            }
            Operation::Patch(id, value) => {
                let attrs = value.map_or(json!({ "role": null }), |_| attrs(*value));
                let path = format!("/User/{}", name(*id));
                let reply = stateful.send("PATCH", &path, &[], &json!({ "attrs": attrs })).await;
                let known = model.get_mut(id).map(|old| *old = *value);
                (reply.status, if known.is_some() { 200 } else { 404 })
            }
            Operation::Delete(id) => {
                let path = format!("/User/{}", name(*id));
                let status = stateful.send("DELETE", &path, &[], &Value::Null).await.status;
                let expected = match id {
                    // What the files say of alice counts again, or did all the time.
                    0 if std::mem::take(&mut alice_changed) => {
                        model.insert(0, None);
                        200
                    }
                    0 => 409,
                    id if model.remove(id).is_some() => 200,
                    _ => 404,
                };
                (status, expected)
            }
        };
        alice_changed |= matches!(operation, Operation::Put(0, _) | Operation::Patch(0, _));
        assert_eq!(status, expected, "{operation:?}");
    }
    for round in 0..2 {
        for id in 0..4 {
            let reply = stateful.get(&format!("/User/{}", name(id))).await;
            let found = (reply.status == 200).then(|| reply.json()["attrs"].clone());
            assert_eq!(found, model.get(&id).map(|value| attrs(*value)), "{id}");
            let known = stateful.permits(name(id), "read", "record-1").await;
            assert_eq!(known, model.contains_key(&id));
        }
        if round == 0 {
            stateful = stateful.restarted().await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_changes_leaves_what_a_map_would_hold(operations in prop::collection::vec(operation(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(operations));
    }
}
