//! A recorded decision made again over HTTP: by whom, from what, what is answered and what never is; and that
//! nobody waits for it, also not at the turn of a year.

use std::sync::mpsc;

use assent_audit::archive::{self, About, File};
use assent_audit::record::{AuditUse, Event};
use assent_engine::replay::{NotTried, replay_with};
use assent_engine::{Rebuild, RebuildError, Replayed};
use assent_model::{BindingOutcome, Digest, FailureKind, PluginFailure};

use super::audit::{AUDITOR, Audited, RECORDS};
use super::*;

/// Another version of the policies, by its text alone.
const LATER: &str = "\n// later\n";

/// Builds what [`archived`] archives; where a gate is set, once that opens.
#[derive(Debug, Default)]
pub(super) struct Rebuilder {
    gate: Option<Mutex<mpsc::Receiver<()>>>,
    builds: AtomicU64,
}

impl Rebuild for Rebuilder {
    fn rebuild(&self, files: Vec<File>) -> Result<Release, RebuildError> {
        if let Some(gate) = &self.gate {
            gate.lock().unwrap().recv().unwrap();
        }
        self.builds.fetch_add(1, Ordering::Relaxed);
        let texts: Vec<_> = files.into_iter().map(|file| String::from_utf8(file.bytes).unwrap()).collect();
        let [schema, policies, entities] = &texts[..] else {
            return Err(RebuildError("alice's file is missing".to_owned()));
        };
        Ok(release_of("bay", [schema, policies, entities], vec![]))
    }
}

fn later(times: usize) -> Release {
    release_of("bay", [SCHEMA, &format!("{POLICIES}{}", LATER.repeat(times)), ENTITIES], vec![])
}

/// The archive of a release, of these files.
pub(super) fn archived(release: &Release, files: &[(&str, &str)]) -> Vec<Event> {
    let about = About {
        organization: organization("bay"),
        release: release.digest(),
        facts: release.snapshot().digest(),
        software: "0.1.0".into(),
    };
    let parts = archive::parts(&about, files.iter().map(|(name, text)| (*name, text.as_bytes()))).unwrap();
    parts.into_iter().map(Event::ReleaseArchived).collect()
}

pub(super) const FILES: [(&str, &str); 3] = [("a", SCHEMA), ("b", POLICIES), ("c", ENTITIES)];

struct Replaying {
    audited: Audited,
    rebuilder: Arc<Rebuilder>,
}

impl Replaying {
    fn new() -> Self {
        Self::with(Rebuilder::default(), Arc::new(Fixed))
    }

    fn with(rebuilder: Rebuilder, clock: Arc<dyn Clock>) -> Self {
        let rebuilder = Arc::new(rebuilder);
        let rebuild = Arc::clone(&rebuilder) as Arc<dyn Rebuild>;
        let audited = Audited::with(ServiceParts { rebuild: Some(rebuild), clock, ..parts() });
        Self { audited, rebuilder }
    }

    async fn write(&self, events: Vec<Event>) {
        let recorder = assent_engine::AuditRecorder::new(Arc::clone(&self.audited.logs));
        for event in events {
            recorder.note(&organization("bay"), Fixed.now(), event).await.unwrap();
        }
    }

    async fn replay(&self, id: &str) -> Reply {
        let path = format!("{RECORDS}/{id}/replay");
        self.audited.world.send(request("POST", &path, &[AUDITOR], "")).await
    }

    /// What came of it, in the words of the answer.
    async fn outcome(&self, id: &str) -> (String, String, String) {
        let reply = self.replay(id).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{}", reply.body);
        let document = openapi::document();
        openapi::check(&document, &document["components"]["schemas"]["Replay"], &reply.json()).unwrap();
        assert!(!reply.body.contains("alice") && !reply.body.contains("record-1"), "{}", reply.body);
        let word = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
        (word("replay"), word("built_from"), word("code"))
    }
}

fn words(replay: &str, from: &str, code: &str) -> (String, String, String) {
    (replay.to_owned(), from.to_owned(), code.to_owned())
}

#[tokio::test]
async fn a_decision_comes_out_the_same_from_the_log_and_from_the_release_that_decides_now() {
    let replaying = Replaying::new();
    replaying.write(archived(&bay(), &FILES)).await;
    let (permitted, denied) =
        (replaying.audited.decide("alice", "read").await, replaying.audited.decide("nobody", "read").await);
    assert_eq!(replaying.outcome(&permitted).await, words("same", "service", ""));
    replaying.audited.world.service.activate(later(1)).unwrap();
    for id in [&permitted, &denied, "2026-1"] {
        assert_eq!(replaying.outcome(id).await, words("same", "log", ""));
    }
    assert_eq!(replaying.rebuilder.builds.load(Ordering::Relaxed), 1, "what was built is kept");
    // Each time is a record, of who did it and to what.
    let readings = replaying.audited.readings();
    assert_eq!(readings.len(), 4);
    assert!(readings.iter().all(|read| (read.what, read.records) == (AuditUse::Replay, 1)));
    assert_eq!(readings[0].query.as_ref().unwrap()["id"], permitted.as_str());
    let line = replaying.audited.world.last_line();
    assert!(line.contains("route=/{organization}/audit/v1/records/{id}/replay status=200"), "{line}");
}

#[tokio::test]
async fn what_is_not_archived_is_not_tried_and_what_was_forged_is_an_alarm() {
    let replaying = Replaying::new();
    let service = &replaying.audited.world.service;
    let first = replaying.audited.decide("alice", "read").await;
    service.activate(later(1)).unwrap();
    assert_eq!(replaying.outcome(&first).await, words("not-tried", "log", "no-archive"));

    for (times, files, code) in [
        (1, [("a", SCHEMA), ("b", POLICIES), ("c", ENTITIES)].to_vec(), "release"),
        (2, [("a", SCHEMA)].to_vec(), "unbuildable"),
    ] {
        let release = later(times);
        replaying.write(archived(&release, &files)).await;
        service.activate(release).unwrap();
        let id = replaying.audited.decide("alice", "read").await;
        service.activate(later(9)).unwrap();
        assert_eq!(replaying.outcome(&id).await, words("alarm", "log", code));
    }
    let other = ENTITIES.replace("record-2", "record-3");
    let release = later(3);
    let policies = format!("{POLICIES}{}", LATER.repeat(3));
    replaying.write(archived(&release, &[("a", SCHEMA), ("b", &policies), ("c", &other)])).await;
    service.activate(release).unwrap();
    let id = replaying.audited.decide("alice", "read").await;
    service.activate(later(9)).unwrap();
    assert_eq!(replaying.outcome(&id).await, words("alarm", "log", "facts"));
    let reply = replaying.replay(&id).await.json();
    assert_ne!(reply["recorded"], reply["again"]);
    assert_eq!(reply["recorded"], reply["facts"]);
}

#[tokio::test]
async fn only_decisions_are_made_again_and_to_have_tried_is_a_record() {
    let replaying = Replaying::new();
    replaying.audited.decide("alice", "read").await;
    replaying.audited.get(&format!("{RECORDS}/2026-0")).await;
    let audit_read = replaying.replay("2026-1").await;
    assert_eq!(audit_read.status, 400);
    assert!(audit_read.body.contains("only decisions can be made again"), "{}", audit_read.body);
    assert_eq!(replaying.replay("2026-9").await.status, 404);
    assert_eq!(replaying.audited.written().len(), 4);
    assert_eq!(replaying.replay("alice").await.status, 400);
    let path = format!("{RECORDS}/2026-0/replay?limit=1");
    assert_eq!(replaying.audited.world.send(request("POST", &path, &[AUDITOR], "")).await.status, 400);
    assert_eq!(replaying.audited.written().len(), 4);
    replaying.audited.logs.close().unwrap();
    for id in ["2026-0", "2026-1", "2026-9"] {
        let reply = replaying.replay(id).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{id}");
    }
}

#[tokio::test]
async fn who_lacks_the_right_cannot_have_a_decision_made_again() {
    let replaying = Replaying::new();
    replaying.audited.decide("alice", "read").await;
    let ask = async |organization: &str, key: &str| {
        let path = format!("/{organization}/audit/v1/records/2026-0/replay");
        replaying.audited.world.send(request("POST", &path, &[("authorization", key)], "")).await
    };
    let absent = ask("nowhere", AUDITOR.1).await;
    for (organization, key) in [("bay", PORTAL_KEY), ("hill", AUDITOR.1), ("planned", AUDITOR.1)] {
        let reply = ask(organization, key).await;
        assert_eq!((reply.status, &reply.body), (403, &absent.body), "{organization}");
    }
    assert_eq!(ask("bay", "Bearer wrong").await.status, 401);
    assert_eq!(replaying.audited.written().len(), 1);
}

#[tokio::test]
async fn nobody_waits_while_a_release_is_built_again() {
    // One thread serves everybody here, so a rebuild on it would stop everything for good.
    let (open, gate) = mpsc::channel();
    let rebuilder = Rebuilder { gate: Some(Mutex::new(gate)), ..Rebuilder::default() };
    let replaying = Arc::new(Replaying::with(rebuilder, Arc::new(Fixed)));
    replaying.write(archived(&bay(), &FILES)).await;
    let id = replaying.audited.decide("alice", "read").await;
    replaying.audited.world.service.activate(later(1)).unwrap();
    let (asking, wanted) = (Arc::clone(&replaying), id.clone());
    let asked = tokio::spawn(async move { asking.outcome(&wanted).await });
    for _ in 0..3 {
        replaying.audited.decide("alice", "read").await;
        assert_eq!(replaying.audited.get(&format!("{RECORDS}/{id}")).await.status, 200);
    }
    assert!(!asked.is_finished());
    open.send(()).unwrap();
    assert_eq!(asked.await.unwrap(), words("same", "log", ""));
}

/// Fails as nothing should.
#[derive(Debug)]
struct Panics;

impl Rebuild for Panics {
    fn rebuild(&self, _: Vec<File>) -> Result<Release, RebuildError> {
        panic!("alice")
    }
}

#[tokio::test]
async fn a_reading_that_panics_is_counted_and_keeps_no_place_from_the_next() {
    let rebuild = Some(Arc::new(Panics) as Arc<dyn Rebuild>);
    let (rebuilder, audited) = (Arc::default(), Audited::with(ServiceParts { rebuild, ..parts() }));
    let replaying = Replaying { audited, rebuilder };
    replaying.write(archived(&bay(), &FILES)).await;
    let id = replaying.audited.decide("alice", "read").await;
    replaying.audited.world.service.activate(later(1)).unwrap();
    // More often than readings have places.
    for times in 1..=5 {
        let reply = replaying.replay(&id).await;
        assert_eq!((reply.status, reply.body.contains("alice")), (500, false));
        assert_eq!(replaying.audited.world.service.panics(), times);
    }
    assert!(replaying.audited.world.last_line().contains(" panicked=true "));
    assert_eq!(replaying.audited.get(&format!("{RECORDS}/{id}")).await.status, 200);
}

/// A clock that is set.
#[derive(Debug)]
struct Moving(Mutex<Instant>);

impl Moving {
    fn set(&self, text: &str) {
        *self.0.lock().unwrap() = text.parse().unwrap();
    }
}

impl Clock for Moving {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_year_that_begins_while_serving_begins_with_its_archive_and_replays_from_it() {
    let clock = Arc::new(Moving(Mutex::new("2026-12-31T23:59:59Z".parse().unwrap())));
    let replaying = Replaying::with(Rebuilder::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    replaying.audited.logs.begin_years_with(&organization("bay"), archived(&bay(), &FILES)).unwrap();
    let old = replaying.audited.decide("alice", "read").await;
    clock.set("2027-01-01T00:00:00Z");
    let new = replaying.audited.decide("alice", "read").await;
    let shown = replaying.audited.get(&format!("{RECORDS}/2027-0")).await.json();
    assert_eq!(shown["record"]["event"]["kind"], "release-archived");
    assert_eq!(shown["record"]["event"]["pieces"][2]["content"], Value::Null, "nobody reads entities there");
    assert_eq!(replaying.audited.get(&format!("{RECORDS}/{new}")).await.json()["place"], "2027-1");
    replaying.audited.world.service.activate(later(1)).unwrap();
    assert_eq!(replaying.outcome(&new).await, words("same", "log", ""));
    // The old year's log was never given an archive here, and another year's is none of its.
    assert_eq!(replaying.outcome(&old).await, words("not-tried", "log", "no-archive"));
}

#[tokio::test]
async fn an_answer_that_depended_on_the_machine_is_never_taken_for_the_same_nor_for_an_alarm() {
    let replaying = Replaying::new();
    replaying.audited.decide("alice", "read").await;
    let record = replaying.audited.written().remove(0);
    assert!(matches!(replay_with(&bay(), &record), Some(Replayed::Same)));
    let with = |kind| {
        let mut record = record.clone();
        let Event::Decision(decision) = &mut record.event else { panic!() };
        decision.outcome.plugins.push(BindingOutcome {
            binding: "rule".into(),
            plugin: "rule 0.1.0".into(),
            component: Digest::of(b"c"),
            settings: Digest::of(b"s"),
            result: Err(PluginFailure::new(kind, "then")),
            fuel_used: 0,
        });
        replay_with(&bay(), &record).unwrap()
    };
    for kind in FailureKind::ALL {
        let circumstances = matches!(kind, FailureKind::Deadline | FailureKind::Busy | FailureKind::Host);
        match with(*kind) {
            Replayed::NotTried(NotTried::Circumstances) => assert!(circumstances, "{kind:?}"),
            Replayed::Alarm(_) => assert!(!circumstances, "{kind:?}"),
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    assert!(replay_with(&later(1), &record).is_none(), "another release says nothing");
}
