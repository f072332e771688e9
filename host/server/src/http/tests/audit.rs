//! The audit log over HTTP, with a real log in a directory: who may read, what is answered, and that each
//! reading is a record before its answer leaves.

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::{AuditUse, Event, Record};
use assent_audit::shelf::Shelf;
use assent_audit::tlog::proof::Proof;
use assent_engine::AuditRecorder;

use super::*;

const AUDITOR: (&str, &str) = ("authorization", "Bearer auditor-key");
const RECORDS: &str = "/bay/audit/v1/records";

struct Audited {
    world: World,
    logs: Arc<Logs>,
    /// Removed when the test ends.
    _directory: tempfile::TempDir,
}

impl Audited {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = LogsConfig {
            directory: directory.path().to_owned(),
            name: "pdp.example.org".into(),
            signing_seed: [3; 32].into(),
            kek: Arc::new(MasterKey::from_bytes(&[4; 32]).unwrap()),
        };
        let (logs, _) = Logs::open(config, [organization("bay")], Fixed.now()).unwrap();
        let logs = Arc::new(logs);
        let recorder = AuditRecorder::new(Arc::clone(&logs));
        let lines = Arc::new(Lines::default());
        let parts = ServiceParts {
            recorder: Arc::new(recorder.clone()),
            audit: Some(recorder),
            log: Arc::clone(&lines) as Arc<dyn RequestLog>,
            ..parts()
        };
        let service = Arc::new(Service::new(parts).unwrap());
        let app = router(Arc::clone(&service));
        let world = World { app, service, recorder: Arc::new(MemoryRecorder::new(1)), lines };
        Self { world, logs, _directory: directory }
    }

    /// Asks for a decision; its id.
    async fn decide(&self, subject: &str, action: &str) -> String {
        let reply = self.world.ask(SINGLE, &question(subject, action, "record-1")).await;
        assert_eq!(reply.status, 200);
        reply.header("x-decision-id").unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Reply {
        self.world.send(request("GET", path, &[AUDITOR], "")).await
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let reply = self.world.app.clone().oneshot(request("GET", path, &[AUDITOR], "")).await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.logs.config().clone(), organization("bay"))
    }

    fn written(&self) -> Vec<Record> {
        self.shelf().records().unwrap().map(|found| found.unwrap().1).collect()
    }
}

fn places(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    body["records"].as_array().unwrap().iter().map(|r| r["place"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_record_is_given_by_id_and_by_place_and_each_reading_is_a_record() {
    let audited = Audited::new();
    let id = audited.decide("alice", "read").await;
    let by_id = audited.get(&format!("{RECORDS}/{id}")).await;
    assert_eq!((by_id.status, by_id.header("cache-control")), (200, Some("no-store")));
    let body = by_id.json();
    assert_eq!((&body["place"], &body["position"]), (&"2026-0".into(), &0.into()));
    assert_eq!(body["log"], "pdp.example.org/audit/bay/2026");
    assert_eq!(body["record"]["event"]["id"], id.as_str());
    assert_eq!(audited.get(&format!("{RECORDS}/2026-0")).await.json(), body);

    let reading = audited.get(&format!("{RECORDS}/2026-1")).await.json();
    assert_eq!(reading["record"]["event"]["kind"], "audit-read");
    assert_eq!(reading["record"]["event"]["query"]["id"], id.as_str());
    assert_eq!(reading["record"]["event"]["by"]["caller"], "auditor");
    assert_eq!(reading["record"]["event"]["by"]["address"], "192.0.2.1");
    let records: Vec<Record> = audited.written();
    assert_eq!(records.len(), 4);
    for record in &records[1..] {
        let Event::AuditRead(read) = &record.event else { panic!("{record:?}") };
        assert_eq!((read.what, read.records), (AuditUse::Show, 1));
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_to_have_looked_is_a_record() {
    let audited = Audited::new();
    for id in ["2026-9", "2024-0", "00000000000000000000000000000000"] {
        assert_eq!(audited.get(&format!("{RECORDS}/{id}")).await.status, 404, "{id}");
    }
    let records = audited.written();
    assert_eq!(records.len(), 3);
    for record in records {
        let Event::AuditRead(read) = &record.event else { panic!("{record:?}") };
        assert_eq!(read.records, 0);
    }
    for id in ["jun-park", "2031-", "2031-01", "0000000000000000000000000000000G"] {
        let reply = audited.get(&format!("{RECORDS}/{id}")).await;
        assert_eq!(reply.status, 400, "{id}");
        assert!(!reply.body.contains(id), "{id}");
    }
    assert_eq!(audited.written().len(), 3);
}

#[tokio::test]
async fn pages_are_newest_first_and_go_on_at_their_cursor() {
    let audited = Audited::new();
    for _ in 0..3 {
        audited.decide("alice", "read").await;
    }
    audited.decide("nobody", "read").await;
    let first = audited.get(&format!("{RECORDS}?kind=decision&limit=3")).await;
    assert_eq!(places(&first), ["2026-3", "2026-2", "2026-1"]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = audited.get(&format!("{RECORDS}?kind=decision&limit=3&after={next}")).await;
    assert_eq!((places(&second), &second.json()["next"]), (vec!["2026-0".to_owned()], &Value::Null));
    let denied = audited.get(&format!("{RECORDS}?decision=deny")).await;
    assert_eq!(places(&denied), ["2026-3"]);
    let of_alice = audited.get(&format!("{RECORDS}?subject=User::alice&order=oldest-first")).await;
    assert_eq!(places(&of_alice), ["2026-0", "2026-1", "2026-2"]);
    let readings = audited.get(&format!("{RECORDS}?kind=audit-read&caller=auditor&order=oldest-first")).await;
    assert_eq!(places(&readings), ["2026-4", "2026-5", "2026-6", "2026-7"]);
    let last = &readings.json()["records"][3]["record"]["event"];
    assert_eq!(
        (&last["what"], &last["records"], &last["query"]["subject"]["id"]),
        (&"search".into(), &3.into(), &"alice".into())
    );
}

#[tokio::test]
async fn an_unknown_or_repeated_parameter_is_refused_by_name_and_reads_nothing() {
    let audited = Audited::new();
    let unknown = audited.get(&format!("{RECORDS}?patiant=Patient::jun")).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.contains("`patiant`") && unknown.body.contains("`patient`"), "{}", unknown.body);
    assert!(!unknown.body.contains("jun"));
    assert_eq!(audited.get(&format!("{RECORDS}?limit=1&limit=2")).await.status, 400);
    assert_eq!(audited.get(&format!("{RECORDS}/2026-0?limit=2")).await.status, 400);
    assert_eq!(audited.written().len(), 0);
}

#[tokio::test]
async fn who_lacks_the_right_cannot_tell_a_log_from_none() {
    let audited = Audited::new();
    let id = audited.decide("alice", "read").await;
    for path in ["records", "records/2026-0", "proofs/2026-0", "entries/2026-0", "checkpoint"] {
        let ask = async |organization: &str, key: &str| {
            let path = format!("/{organization}/audit/v1/{path}");
            audited.world.send(request("GET", &path, &[("authorization", key)], "")).await
        };
        let absent = ask("nowhere", AUDITOR.1).await;
        assert_eq!(absent.status, 403);
        // Without the right; without the organization; without a log of that name.
        for (organization, key) in [("bay", PORTAL_KEY), ("hill", AUDITOR.1), ("planned", AUDITOR.1)] {
            let reply = ask(organization, key).await;
            assert_eq!((reply.status, &reply.body), (403, &absent.body), "{path} {organization}");
        }
        assert_eq!(ask("bay", "").await.status, 401);
        assert_eq!(ask("bay", "Bearer wrong").await.status, 401);
    }
    assert_eq!(audited.written().len(), 1, "only the decision {id}");
    // Whoever may read may not therefore ask.
    let body = question("alice", "read", "record-1").to_string();
    assert_eq!(audited.world.send(request("POST", SINGLE, &[AUDITOR], body)).await.status, 403);
}

#[tokio::test]
async fn without_a_durable_log_there_is_nothing_to_read() {
    let world = world();
    for path in ["records", "records/2026-0", "proofs/2026-0", "entries/2026-0", "checkpoint"] {
        let reply = world.send(request("GET", &format!("/bay/audit/v1/{path}"), &[AUDITOR], "")).await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_proof_holds_with_the_public_key_and_the_entry_and_not_with_another() {
    let audited = Audited::new();
    let id = audited.decide("alice", "read").await;
    audited.decide("bob", "read").await;
    // What an auditor was given beforehand, and nothing else of ours.
    let key = audited.shelf().verifier(2026).unwrap();
    let proof = audited.get(&format!("/bay/audit/v1/proofs/{id}")).await;
    assert_eq!((proof.status, proof.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let proof = Proof::parse(&proof.body).unwrap();
    let mut entry = audited.bytes(&format!("/bay/audit/v1/entries/{id}")).await;
    let (checkpoint, _) = proof.verify(&key, &[], &entry).unwrap();
    assert_eq!((proof.index, checkpoint.origin()), (0, "pdp.example.org/audit/bay/2026"));
    let other = audited.bytes("/bay/audit/v1/entries/2026-1").await;
    assert!(proof.verify(&key, &[], &other).is_err());
    entry[40] ^= 1;
    assert!(proof.verify(&key, &[], &entry).is_err());

    let newest = audited.get("/bay/audit/v1/checkpoint").await;
    let (newest, _) = assent_audit::tlog::checkpoint::Checkpoint::open(&newest.body, &key, &[]).unwrap();
    assert!(newest.tree().size >= checkpoint.tree().size);
}

#[tokio::test]
async fn what_cannot_be_recorded_cannot_be_read() {
    let audited = Audited::new();
    let id = audited.decide("alice", "read").await;
    audited.logs.close().unwrap();
    for path in ["records".into(), format!("records/{id}"), format!("entries/{id}"), format!("proofs/{id}")] {
        let reply = audited.get(&format!("/bay/audit/v1/{path}")).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{path}");
        assert!(!reply.body.contains("alice"), "{path}");
    }
    assert_eq!(
        audited.get(&format!("{RECORDS}/2026-9")).await.status,
        503,
        "that there is none says something"
    );
    assert_eq!(audited.written().len(), 1);
}

#[tokio::test]
async fn the_completion_line_names_the_route_and_no_id() {
    let audited = Audited::new();
    let id = audited.decide("alice", "read").await;
    audited.get(&format!("{RECORDS}/{id}")).await;
    let line = audited.world.last_line();
    assert!(
        line.contains("route=/{organization}/audit/v1/records/{id} status=200 caller=\"auditor\""),
        "{line}"
    );
    assert!(!line.contains(&id), "{line}");
    audited.get(&format!("{RECORDS}?subject=User::alice")).await;
    assert!(!audited.world.last_line().contains("alice"));
}

#[tokio::test]
async fn the_state_of_the_log_is_measured() {
    let audited = Audited::new();
    audited.decide("alice", "read").await;
    let watcher = [("authorization", "Bearer watcher-key")];
    let text = audited.world.send(request("GET", "/metrics", &watcher, "")).await.body;
    for line in [
        "assent_audit_durable_records{organization=\"bay\"} 1",
        "assent_audit_queued_records{organization=\"bay\"} 0",
        "assent_audit_log_failed{organization=\"bay\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in: {text}");
    }
    assert!(text.contains("assent_audit_checkpoint_age_seconds{organization=\"bay\"} "), "{text}");
}
