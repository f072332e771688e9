//! The audit log over HTTP, with a real log in a directory: who may read, what is answered, and that each
//! reading is a record before its answer leaves.

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::{AuditRead, AuditUse, Event, Record};
use assent_audit::shelf::Shelf;
use assent_audit::tlog::proof::Proof;
use assent_engine::AuditRecorder;

use super::*;

pub(super) const AUDITOR: (&str, &str) = ("authorization", "Bearer auditor-key");
pub(super) const RECORDS: &str = "/bay/audit/v1/records";
/// A path of each kind of reading.
const READINGS: [&str; 10] = [
    "records",
    "records/2026-0",
    "proofs/2026-0",
    "entries/2026-0",
    "checkpoint",
    "disclosures?patient=Patient::x",
    "reports/exports",
    "export",
    "log/2026/checkpoint",
    "log/2026/tile/0/000.p/1",
];

pub(super) struct Audited {
    pub(super) world: World,
    pub(super) logs: Arc<Logs>,
    /// Removed when the test ends.
    pub(super) directory: tempfile::TempDir,
}

/// The log of a deployment in this directory.
pub(super) fn recorder(directory: &std::path::Path, now: Instant) -> AuditRecorder {
    let config = LogsConfig {
        directory: directory.join("audit"),
        name: "pdp.example.org".into(),
        signing_seed: [3; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[4; 32]).unwrap()),
    };
    AuditRecorder::new(Arc::new(Logs::open(config, [organization("bay")], now).unwrap().0))
}

impl Audited {
    pub(super) fn new() -> Self {
        Self::with(parts())
    }

    /// With these parts but for log and recorder.
    pub(super) fn with(parts: ServiceParts) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let recorder = recorder(directory.path(), parts.clock.now());
        Self::on(directory, recorder, parts)
    }

    /// The same with a log that is open already.
    pub(super) fn on(directory: tempfile::TempDir, recorder: AuditRecorder, parts: ServiceParts) -> Self {
        let logs = Arc::clone(recorder.logs());
        let lines = Arc::new(Lines::default());
        let parts = ServiceParts {
            recorder: Arc::new(recorder.clone()),
            audit: Some(recorder),
            log: Arc::clone(&lines) as Arc<dyn RequestLog>,
            ..parts
        };
        let service = Arc::new(Service::new(parts).unwrap());
        let app = router(Arc::clone(&service));
        let world = World { app, service, recorder: Arc::new(MemoryRecorder::new(1)), lines };
        Self { world, logs, directory }
    }

    /// Asks for a decision; its id.
    pub(super) async fn decide(&self, subject: &str, action: &str) -> String {
        let reply = self.world.ask(SINGLE, &question(subject, action, "record-1")).await;
        assert_eq!(reply.status, 200);
        reply.header("x-decision-id").unwrap().to_owned()
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.world.send(request("GET", path, &[AUDITOR], "")).await
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let reply = self.world.app.clone().oneshot(request("GET", path, &[AUDITOR], "")).await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    pub(super) fn shelf(&self) -> Shelf {
        Shelf::new(self.logs.config().clone(), organization("bay"))
    }

    pub(super) fn written(&self) -> Vec<Record> {
        self.shelf().records().unwrap().map(|found| found.unwrap().1).collect()
    }

    /// The records of readings.
    pub(super) fn readings(&self) -> Vec<AuditRead> {
        let events = self.written().into_iter().map(|record| record.event);
        events
            .filter_map(|event| if let Event::AuditRead(read) = event { Some(read) } else { None })
            .collect()
    }

    /// Waits until a checkpoint covers so many records.
    pub(super) async fn published(&self, size: u64) {
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while self.shelf().reader(2026).unwrap().checkpoint().unwrap().size < size {
            assert!(std::time::Instant::now() < patience, "no checkpoint of {size}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
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
    assert_eq!(audited.written().len(), 4);
    let readings: Vec<_> = audited.readings().iter().map(|read| (read.what, read.records)).collect();
    assert_eq!(readings, [(AuditUse::Show, 1); 3]);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_to_have_looked_is_a_record() {
    let audited = Audited::new();
    for id in ["2026-9", "2024-0", "00000000000000000000000000000000"] {
        assert_eq!(audited.get(&format!("{RECORDS}/{id}")).await.status, 404, "{id}");
    }
    assert_eq!(audited.written().len(), 3);
    let found: Vec<u64> = audited.readings().iter().map(|read| read.records).collect();
    assert_eq!(found, [0; 3]);
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
    for path in READINGS {
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
    let others = audited.written().into_iter().filter(|r| !matches!(r.event, Event::CallerRefused(_)));
    assert_eq!(others.count(), 1, "only the decision {id}");
    // Whoever may read may not therefore ask.
    let body = question("alice", "read", "record-1").to_string();
    assert_eq!(audited.world.send(request("POST", SINGLE, &[AUDITOR], body)).await.status, 403);
}

#[tokio::test]
async fn without_a_durable_log_there_is_nothing_to_read() {
    let world = world();
    for path in READINGS {
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
async fn an_accounting_a_report_and_an_export_are_given_and_are_records() {
    let audited = Audited::new();
    audited.decide("alice", "read").await;
    audited.decide("bob", "export").await;

    let path = "/bay/audit/v1/disclosures?patient=Patient::nobody";
    let accounting = audited.get(path).await;
    assert_eq!((accounting.status, &accounting.json()["known"]), (200, &false.into()));
    let page = audited.get(&format!("{path}&format=html")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(audited.get("/bay/audit/v1/disclosures").await.status, 400);

    for report in assent_audit::reports::Report::ALL {
        let report = audited.get(&format!("/bay/audit/v1/reports/{}", report.as_str())).await;
        assert_eq!(report.status, 200);
        assert!(report.json()["findings"].is_array());
    }
    let unknown = audited.get("/bay/audit/v1/reports/everything").await;
    assert!(unknown.status == 404 && unknown.body.contains("`denial-bursts`"), "{}", unknown.body);

    let (mut after, mut places) = (String::new(), vec![]);
    loop {
        let page = audited.get(&format!("/bay/audit/v1/export?limit=3{after}")).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("application/x-ndjson")));
        let lines: Vec<Value> = page.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        places.extend(lines.iter().map(|line| line["position"].as_u64().unwrap()));
        if lines.len() < 3 {
            break;
        }
        after = format!("&after={}", page.header("x-audit-next").unwrap());
    }
    assert!(places.len() > 8 && places.iter().copied().eq(0..places.len() as u64), "{places:?}");

    let uses: Vec<AuditUse> = audited.readings().iter().map(|read| read.what).collect();
    for (what, times) in [(AuditUse::Disclosures, 2), (AuditUse::Report, 5)] {
        assert_eq!(uses.iter().filter(|used| **used == what).count(), times);
    }
    assert!(uses.contains(&AuditUse::Export));
}

#[tokio::test]
async fn a_client_of_tiles_proves_that_the_log_only_grew() {
    use assent_audit::tlog::checkpoint::Checkpoint;
    use assent_audit::tlog::merkle::{Tree, consistency, verify_consistency};
    use assent_audit::tlog::tile::{TileError, TileReader};

    let audited = Audited::new();
    let key = audited.shelf().verifier(2026).unwrap();
    let newest = async || -> Tree {
        let reply = audited.get("/bay/audit/v1/log/2026/checkpoint").await;
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        Checkpoint::open(&reply.body, &key, &[]).unwrap().0.tree()
    };
    for _ in 0..3 {
        audited.decide("alice", "read").await;
    }
    audited.published(3).await;
    let old = newest().await;
    for _ in 0..260 {
        audited.decide("bob", "read").await;
    }
    audited.published(263).await;
    let new = newest().await;
    // First the tiles that are needed, by asking for them and finding them missing; then those.
    let mut fetched: std::collections::BTreeMap<String, Vec<u8>> = std::collections::BTreeMap::new();
    let proof = loop {
        let missing = std::cell::RefCell::new(None);
        let mut reader = TileReader::new(new.size, |tile| {
            let path = tile.to_string();
            fetched.get(&path).cloned().ok_or_else(|| {
                *missing.borrow_mut() = Some(path.clone());
                TileError::Path { path }
            })
        });
        let proof = consistency(&mut reader, old.size, new.size);
        let Some(path) = missing.borrow_mut().take() else { break proof.unwrap() };
        let bytes = audited.bytes(&format!("/bay/audit/v1/log/2026/{path}")).await;
        fetched.insert(path, bytes);
    };
    verify_consistency(&old, &new, &proof).unwrap();
    assert_eq!(audited.written().len(), 263, "hashes are nobody's record");
    // A partial tile of a size that was passed is the beginning of the full one.
    let full = audited.bytes("/bay/audit/v1/log/2026/tile/0/000").await;
    let part = audited.bytes("/bay/audit/v1/log/2026/tile/0/000.p/17").await;
    assert_eq!((full.len(), &full[..17 * 32]), (256 * 32, &part[..]));

    for (path, status) in [
        ("log/2026/tile/0/001", 404),
        ("log/2026/tile/9/000", 404),
        ("log/2026/tile/0/0", 404),
        ("log/2026/tile/entries/000", 404),
        ("log/2026/tile/0/x18446744073709551615/000", 404),
        ("log/2025/tile/0/000", 404),
        ("log/2025/checkpoint", 404),
        ("log/26/checkpoint", 404),
        ("log/2026/checkpoint?witnessed=yes", 400),
        ("log/2026/checkpoint?witnessed=true", 404),
        ("checkpoint?witnessed=true", 404),
        ("log/2026/tile/0/000?a=b", 400),
    ] {
        assert_eq!(audited.get(&format!("/bay/audit/v1/{path}")).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_checkpoint_that_witnesses_cosigned_is_given_where_there_is_one() {
    use assent_audit::tlog::note::{Cosigner, Unverified, append};

    let audited = Audited::new();
    audited.decide("alice", "read").await;
    audited.logs.close().unwrap();
    let (key, reader) = (audited.shelf().verifier(2026).unwrap(), audited.shelf().reader(2026).unwrap());
    let cosigner = Cosigner::from_seed("witness.example/w1", &[5; 32]).unwrap();
    let note = reader.signed_checkpoint().unwrap().unwrap();
    let cosigned = cosigner.cosign(&Unverified::parse(&note).unwrap().text, 1_790_000_000);
    let cosigned = append(&note, &[cosigned]).unwrap();
    reader.keep_witnessed(cosigner.verifier(), &cosigned).unwrap();
    for path in ["checkpoint", "log/2026/checkpoint"] {
        assert_eq!(audited.get(&format!("/bay/audit/v1/{path}")).await.body, note);
        let given = audited.get(&format!("/bay/audit/v1/{path}?witnessed=true")).await;
        assert_eq!((given.status, &given.body), (200, &cosigned));
        assert!(assent_audit::log::cosigned(&given.body, &key, cosigner.verifier()).is_some());
    }
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
