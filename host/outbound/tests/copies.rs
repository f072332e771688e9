//! Copies of real logs: into folders, and to a server that speaks S3.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod logs;
mod storage;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant as Monotonic;

use assent_audit::keys::{Keys, MasterKey, Recovery, rewrap};
use assent_audit::log::{Config, Log, verify};
use assent_audit::logs::LogsConfig;
use assent_model::OrganizationId;
use assent_outbound::copies::{Copies, CopyError, Done, Settings, Source, Target};
use logs::PATIENCE;
use storage::{KEY, SECRET, Server};

const YEAR: i32 = 2026;

struct Bench {
    directory: tempfile::TempDir,
    config: LogsConfig,
}

fn clinic() -> OrganizationId {
    OrganizationId::new("clinic").unwrap()
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["logs", "copy", "served/bucket"] {
            std::fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        let config = logs::config(directory.path().join("logs"));
        Self { directory, config }
    }

    fn log(&self) -> PathBuf {
        self.config.directory_of(&clinic(), YEAR)
    }

    /// Opens the log, with small segments.
    fn open(&self) -> Log {
        self.open_of(&clinic())
    }

    fn open_of(&self, organization: &OrganizationId) -> Log {
        let signer = Arc::new(self.config.signer(organization, YEAR).unwrap());
        let directory = self.config.directory_of(organization, YEAR);
        let usual = Config::new(directory, signer, Arc::clone(&self.config.kek));
        Log::open(Config { segment_bytes: 16 << 10, ..usual }).unwrap().0
    }

    /// Appends records, and closes the log in good order.
    async fn write(&self, records: usize) {
        self.write_of(&clinic(), records).await;
    }

    async fn write_of(&self, organization: &OrganizationId, records: usize) {
        let log = self.open_of(organization);
        append(&log, records).await;
        log.close().unwrap();
    }

    fn copies(&self, settings: &Settings) -> Copies {
        let source = Source { config: self.config.clone(), organizations: vec![clinic()] };
        Copies::new(source, Target::new(settings).unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("copy")
    }

    fn to_folder(&self) -> Copies {
        self.copies(&Settings { to: format!("file://{}", self.folder().display()), ..Settings::default() })
    }

    fn bucket(&self) -> PathBuf {
        self.directory.path().join("served/bucket/kept")
    }

    fn to_server(&self, server: &Server) -> Copies {
        self.copies(&settings(&server.url(), SECRET))
    }
}

fn settings(url: &str, secret: &str) -> Settings {
    Settings {
        to: "s3://bucket/kept".to_owned(),
        endpoint: Some(url.to_owned()),
        access_key_id: Some(KEY.to_owned().into()),
        secret_access_key: Some(secret.to_owned().into()),
        ..Settings::default()
    }
}

async fn append(log: &Log, records: usize) {
    for n in 0..records {
        let record = format!("record {n} ").repeat(1 + n % 7).into_bytes();
        logs::append(log, record).await.unwrap();
    }
}

/// How many records of a copy verify under its checkpoint, as an auditor finds it.
fn verified(bench: &Bench, copy: &Path) -> u64 {
    let signer = bench.config.signer(&clinic(), YEAR).unwrap();
    verify(&copy.join("clinic/2026"), signer.verifier(), &mut |_| {}).unwrap().published.size
}

fn well(done: &Done) {
    assert!(done.problems.is_empty(), "{:?}", done.problems);
}

/// The one problem of a round, in full.
fn problem(done: &Done) -> (bool, String) {
    assert_eq!(done.problems.len(), 1, "{done:?}");
    let problem = &done.problems[0];
    (problem.is_alarm(), problem.in_full())
}

#[tokio::test]
async fn a_copy_in_a_folder_is_a_log_that_verifies() {
    let bench = Bench::new();
    bench.write(600).await;
    let mut copies = bench.to_folder();
    assert!(copies.missing(&clinic(), YEAR).await.unwrap().is_some());
    let done = copies.round(false).await;
    well(&done);
    assert!(
        done.segments > 2 && done.tiles == 2 && done.keys == done.segments && done.checkpoints == 1,
        "{done:?}"
    );
    assert_eq!(verified(&bench, &bench.folder()), 600);
    assert_eq!(copies.missing(&clinic(), YEAR).await.unwrap(), None);
    let status = copies.watch().status();
    assert_eq!((status.records_behind, status.segments_waiting), (0, 0));
    assert!(status.complete_at.is_some() && status.alarm.is_none() && status.failure.is_none());

    // Another process finds all of it there; comparing reads it back.
    for compare in [false, true] {
        let again = bench.to_folder().round(compare).await;
        well(&again);
        assert_eq!((again.bytes, again.already), (0, done.segments + done.tiles));
    }
}

#[tokio::test]
async fn a_copy_follows_a_log_that_is_written_and_is_never_ahead_of_itself() {
    let bench = Bench::new();
    let mut copies = bench.to_folder();
    let log = bench.open();
    let mut copied = 0;
    for _ in 0..5 {
        append(&log, 80).await;
        let deadline = Monotonic::now() + PATIENCE;
        while log.status().published != log.status().durable {
            assert!(Monotonic::now() < deadline, "nothing is published");
            tokio::task::yield_now().await;
        }
        well(&copies.round(false).await);
        let status = copies.watch().status();
        copied = verified(&bench, &bench.folder());
        assert_eq!(status.records_behind, log.status().durable.size - copied);
    }
    assert!(copied > 0 && copied < 400, "{copied}: the open segment is not copied");
    log.close().unwrap();
    well(&copies.round(false).await);
    assert_eq!(verified(&bench, &bench.folder()), 400);
}

#[tokio::test]
async fn a_new_sealing_key_replaces_key_files_and_nothing_else() {
    let bench = Bench::new();
    bench.write(200).await;
    let mut copies = bench.to_folder();
    let first = copies.round(false).await;
    let new = Arc::new(MasterKey::from_bytes(&[8; 32]).unwrap());
    let keys = Keys::new(new, vec![Arc::clone(&bench.config.kek)], Recovery::default());
    let signer = bench.config.signer(&clinic(), YEAR).unwrap();
    rewrap(&bench.log(), signer.verifier(), &keys, &mut |_| {}).unwrap();
    for mut copies in [copies, bench.to_folder()] {
        let done = copies.round(false).await;
        well(&done);
        assert_eq!((done.segments, done.tiles, done.checkpoints), (0, 0, 0));
        assert!(done.keys == first.segments || done.keys == 0);
    }
    for name in std::fs::read_dir(bench.log().join("keys")).unwrap().map(|entry| entry.unwrap().file_name()) {
        let [here, there] =
            [bench.log(), bench.folder().join("clinic/2026")].map(|log| log.join("keys").join(&name));
        if there.exists() {
            assert_eq!(std::fs::read(here).unwrap(), std::fs::read(there).unwrap());
        }
    }
}

#[tokio::test]
async fn what_is_damaged_here_is_not_copied() {
    let bench = Bench::new();
    bench.write(200).await;
    let segment = bench.log().join("segments/0000000002.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[9_000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (alarm, said) = problem(&bench.to_folder().round(false).await);
    assert!(!alarm && said.contains("0000000002.seg"), "{said}");
    assert!(!bench.folder().join("clinic/2026/segments/0000000002.seg").exists());
    assert!(!bench.folder().join("clinic/2026/checkpoint").exists());
}

#[tokio::test]
async fn a_log_that_was_put_back_to_an_older_state_is_an_alarm() {
    let bench = Bench::new();
    bench.write(50).await;
    let older = bench.directory.path().join("older");
    copy_tree(&bench.log(), &older);
    bench.write(50).await;
    well(&bench.to_folder().round(false).await);
    std::fs::remove_dir_all(bench.log()).unwrap();
    copy_tree(&older, &bench.log());
    let (alarm, said) = problem(&bench.to_folder().round(false).await);
    assert!(alarm && said.contains("of 100 records") && said.contains("has 50"), "{said}");
    assert_eq!(verified(&bench, &bench.folder()), 100, "the copy stays as it is");

    // And one that went on from there to something else.
    bench.write(70).await;
    let (alarm, said) = problem(&bench.to_folder().round(false).await);
    assert!(alarm, "{said}");
    assert_eq!(verified(&bench, &bench.folder()), 100, "the copy stays as it is");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

#[tokio::test]
async fn alien_content_is_an_alarm_and_stays() {
    for (file, alien) in [
        ("segments/0000000001.seg", b"short".to_vec()),
        ("tile/0/000", vec![0; 8192]),
        ("checkpoint", b"no checkpoint".to_vec()),
    ] {
        let bench = Bench::new();
        bench.write(600).await;
        let path = bench.folder().join("clinic/2026").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &alien).unwrap();
        let mut copies = bench.to_folder();
        let (alarm, said) = problem(&copies.round(true).await);
        assert!(alarm && said.contains(file), "{file}: {said}");
        assert_eq!(std::fs::read(&path).unwrap(), alien);
        assert_eq!(copies.watch().status().alarm, Some(said));
    }
}

#[tokio::test]
async fn places_that_are_none_are_refused_by_what_is_wrong() {
    let bench = Bench::new();
    let folder = |to: &str| Settings { to: to.to_owned(), ..Settings::default() };
    let bucket = || settings("https://s3.example.org", SECRET);
    for (settings, expected) in [
        (folder("/copies"), "expected `file:///folder`"),
        (folder("file://relative"), "expected `file:///folder`"),
        (folder("s3://"), "expected `file:///folder`"),
        (folder("s3://user@bucket"), "expected `file:///folder`"),
        (folder(&format!("file://{}/absent", bench.folder().display())), "made beforehand"),
        (folder("s3://bucket"), "`access_key_id` is missing"),
        (Settings { region: Some("x".into()), ..folder("file:///tmp") }, "`region` is for `s3://"),
        (Settings { endpoint: Some("http://s3.example.org".into()), ..bucket() }, "expected `https`"),
        (Settings { authorities: Some("/absent.pem".into()), ..bucket() }, "/absent.pem"),
    ] {
        let said = Target::new(&settings).unwrap_err().to_string();
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn a_server_gets_what_a_folder_gets_and_only_once() {
    let bench = Bench::new();
    let server = Server::start(&bench.directory.path().join("served"));
    bench.write(600).await;
    let mut copies = bench.to_server(&server);
    let done = copies.round(false).await;
    well(&done);
    assert_eq!(verified(&bench, &bench.bucket()), 600);
    assert_eq!(copies.missing(&clinic(), YEAR).await.unwrap(), None);
    let again = bench.to_server(&server).round(true).await;
    well(&again);
    assert_eq!((again.bytes, again.already), (0, done.segments + done.tiles));
    bench.write(10).await;
    well(&copies.round(false).await);
    assert_eq!(verified(&bench, &bench.bucket()), 610);
}

#[tokio::test]
async fn on_a_server_two_that_create_the_same_do_not_overwrite() {
    let bench = Bench::new();
    let server = Server::start(&bench.directory.path().join("served"));
    bench.write(100).await;
    let mut first = bench.to_server(&server);
    well(&first.round(false).await);
    bench.write(100).await;
    // It has listed already, so it does not know what comes in between: one segment that is the same, and one that is not.
    let segments: Vec<_> =
        std::fs::read_dir(bench.log().join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
    let mut new: Vec<_> = segments
        .iter()
        .filter(|path| !bench.bucket().join("clinic/2026/segments").join(path.file_name().unwrap()).exists())
        .collect();
    new.sort();
    let there = |path: &Path| bench.bucket().join("clinic/2026/segments").join(path.file_name().unwrap());
    std::fs::copy(new[0], there(new[0])).unwrap();
    let mut other = std::fs::read(new[1]).unwrap();
    other[5_000] ^= 1;
    std::fs::write(there(new[1]), &other).unwrap();
    let done = first.round(false).await;
    let (alarm, said) = problem(&done);
    assert!(alarm && said.contains(&new[1].file_name().unwrap().to_string_lossy().into_owned()), "{said}");
    assert_eq!((done.segments, done.already), (0, 1));
    assert_eq!(std::fs::read(there(new[1])).unwrap(), other);
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again_and_an_interrupted_copy_goes_on() {
    let bench = Bench::new();
    let served = bench.directory.path().join("served");
    let mut server = Server::start(&served);
    bench.write(600).await;
    server.answer_only(5);
    let mut copies = bench.to_server(&server);
    let (alarm, said) = problem(&copies.round(false).await);
    assert!(!alarm && said.contains("s3://bucket/kept cannot be used"), "{said}");
    let status = copies.watch().status();
    assert!(status.segments_waiting > 0 && status.records_behind == 600 && status.failure.is_some());
    assert!(
        !bench.bucket().join("clinic/2026/checkpoint").exists(),
        "a copy without its data has no checkpoint"
    );

    server.stop().await;
    assert!(!copies.round(false).await.problems.is_empty());
    server.restart().await;
    let done = copies.round(false).await;
    well(&done);
    assert!(done.segments > 0);
    assert_eq!(verified(&bench, &bench.bucket()), 600);
    let status = copies.watch().status();
    assert_eq!((status.segments_waiting, status.records_behind, status.failure), (0, 0, None));

    // The same for a process that starts anew.
    let bench = Bench::new();
    let server = Server::start(&bench.directory.path().join("served"));
    bench.write(600).await;
    server.answer_only(5);
    assert!(!bench.to_server(&server).round(false).await.problems.is_empty());
    server.answer_only(usize::MAX);
    let done = bench.to_server(&server).round(false).await;
    well(&done);
    assert!(done.already > 0 && done.segments > 0, "{done:?}");
    assert_eq!(verified(&bench, &bench.bucket()), 600);
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_bucket_are_said_in_words() {
    let bench = Bench::new();
    let server = Server::start(&bench.directory.path().join("served"));
    bench.write(10).await;
    let wrong = "another-secret";
    let done = bench.copies(&settings(&server.url(), wrong)).round(false).await;
    let (_, said) = problem(&done);
    assert!(matches!(done.problems[0], CopyError::Denied { .. }), "{said}");
    assert!(
        said.contains("refuses the credentials") && !said.contains(wrong) && !said.contains('\n'),
        "{said}"
    );

    let elsewhere = Settings { to: "s3://absent/kept".to_owned(), ..settings(&server.url(), SECRET) };
    let done = bench.copies(&elsewhere).round(false).await;
    let (_, said) = problem(&done);
    assert!(matches!(done.problems[0], CopyError::NoPlace { .. }), "{said}");
}

#[tokio::test]
async fn an_alarm_is_said_also_while_another_log_fails() {
    let bench = Bench::new();
    bench.write(200).await;
    let hospital = OrganizationId::new("hospital").unwrap();
    bench.write_of(&hospital, 50).await;
    // The first log is damaged for good; the copy of the second is somebody else's.
    std::fs::write(bench.log().join("segments/0000000002.seg"), "damaged").unwrap();
    let alien = bench.folder().join("hospital/2026/checkpoint");
    std::fs::create_dir_all(alien.parent().unwrap()).unwrap();
    std::fs::write(&alien, "no checkpoint").unwrap();
    let source = Source { config: bench.config.clone(), organizations: vec![clinic(), hospital] };
    let to = format!("file://{}", bench.folder().display());
    let target = Target::new(&Settings { to, ..Settings::default() }).unwrap();
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let running = tokio::spawn(Copies::new(source, target).run(move |line| drop(say.send(line.to_owned()))));
    let mut lines = vec![];
    while lines.len() < 2 {
        let line = tokio::time::timeout(PATIENCE, said.recv()).await;
        lines.push(line.unwrap_or_else(|_| panic!("no more is said than {lines:?}")).unwrap());
    }
    assert!(lines.iter().any(|line| line.contains("0000000002.seg")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("ALARM") && line.contains("hospital")), "{lines:?}");
    running.abort();
}

#[tokio::test]
async fn while_it_runs_it_says_once_that_it_fails_and_once_that_all_is_well() {
    let bench = Bench::new();
    let server = Server::start(&bench.directory.path().join("served"));
    bench.write(10).await;
    server.answer_only(0);
    let copies = bench.to_server(&server);
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let watch = copies.watch();
    let running = tokio::spawn(copies.run(move |line| drop(say.send(line.to_owned()))));
    let first = said.recv().await.unwrap();
    assert!(first.starts_with("the audit log is not copied: "), "{first}");
    server.answer_only(usize::MAX);
    assert_eq!(said.recv().await.unwrap(), "the audit log is copied again");
    assert_eq!(watch.status().records_behind, 0);
    running.abort();
}
