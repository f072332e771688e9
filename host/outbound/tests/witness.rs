//! Real logs before real witnesses on loopback: what is cosigned and kept, and what happens to a log that was
//! cut, put back or written again by somebody with the disk and every key.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test: a panic is its failure"
)]

mod logs;
mod server;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_audit::log::{AppendError, Failure, Reader, cosigned, verify};
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::note::{Cosigner, Verifier};
use assent_model::{Instant, OrganizationId};
use assent_outbound::witness::{
    Contradiction, Log, Refused, Said, State, Witness, WitnessError, Witnessing, each_once, round,
};
use server::Server;

const DAY: &str = "2026-05-01T00:00:00Z";
const TIME: u64 = 1_790_000_000;

fn organization() -> OrganizationId {
    OrganizationId::new("riverside").unwrap()
}

/// A deployment with one log.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> LogsConfig {
        logs::config(self.directory.path().join("audit"))
    }

    fn open(&self, day: &str) -> Arc<Logs> {
        let day: Instant = day.parse().unwrap();
        Arc::new(Logs::open(self.config(), [organization()], day).unwrap().0)
    }

    /// Starts, appends these records, stops.
    async fn write(&self, records: std::ops::Range<u32>) {
        let logs = self.open(DAY);
        append(&logs, DAY, records).await.unwrap();
        logs.close().unwrap();
    }

    fn verifier(&self) -> Verifier {
        self.config().signer(&organization(), 2026).unwrap().verifier().clone()
    }

    fn log(&self) -> Log {
        Log { directory: self.config().directory_of(&organization(), 2026), verifier: self.verifier() }
    }

    fn reader(&self) -> Reader {
        Reader::new(&self.log().directory, &self.verifier(), None)
    }

    /// All of it, as somebody copies it who holds the disk.
    fn copy(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut files, mut directories) = (BTreeMap::new(), vec![self.directory.path().to_owned()]);
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    fn put_back(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in self.copy().keys().filter(|path| !files.contains_key(*path)) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            std::fs::write(path, bytes).unwrap();
        }
    }
}

async fn append(logs: &Logs, day: &str, records: std::ops::Range<u32>) -> Result<(), AppendError> {
    let log = logs.log(&organization(), day.parse().unwrap()).unwrap();
    for record in records {
        logs::append(&log, record.to_be_bytes().to_vec()).await?;
    }
    Ok(())
}

fn cosigner(number: u8) -> Cosigner {
    Cosigner::from_seed(&format!("witness.example/w{number}"), &[number; 32]).unwrap()
}

fn serve(number: u8, memory: &Path, logs: &[Verifier]) -> Server {
    Server::start("127.0.0.1:0", cosigner(number), memory, logs, || TIME).unwrap()
}

fn witness(server: &Server) -> Witness {
    Witness::new(&server.url(), &server.key, None).unwrap()
}

async fn one(log: &Log, witness: &Witness) -> Said {
    round(log, std::slice::from_ref(witness)).await.remove(0).1
}

fn size(said: &Said) -> u64 {
    match said {
        Said::Cosigned { tree, time: TIME, .. } => tree.size,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_grows_is_cosigned_and_kept_for_any_reader_of_the_format() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir().unwrap());
    let server = serve(1, memory.path(), &[bench.verifier()]);
    let witness = witness(&server);
    // Sizes on both sides of a full tile, of two levels of tiles, and none.
    let mut end = 0;
    for more in [1, 4, 0, 250, 1, 1, 300] {
        bench.write(end..end + more).await;
        end += more;
        assert_eq!(size(&one(&bench.log(), &witness).await), u64::from(end));
        let kept = bench.reader().witnessed_by(witness.verifier()).unwrap().unwrap();
        let keys = [witness.verifier().clone()];
        let (checkpoint, opened) = Checkpoint::open(&kept.note, &bench.verifier(), &keys).unwrap();
        assert_eq!((checkpoint.tree().size, opened.signatures().len()), (u64::from(end), 2));
        verify(&bench.log().directory, &bench.verifier(), &mut |_| {}).unwrap();
    }
    // Who lost what is known of the witness is told by it.
    std::fs::remove_dir_all(bench.log().directory.join("witnessed")).unwrap();
    bench.write(end..end + 9).await;
    assert_eq!(size(&one(&bench.log(), &witness).await), u64::from(end) + 9);
}

#[tokio::test]
async fn a_log_that_is_put_back_or_written_again_is_refused_also_by_a_witness_that_restarted() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir().unwrap());
    bench.write(0..5).await;
    let old = bench.copy();
    bench.write(5..9).await;
    let mut server = serve(1, memory.path(), &[bench.verifier()]);
    assert_eq!(size(&one(&bench.log(), &witness(&server)).await), 9);
    let honest = bench.copy();
    for restart in [false, true] {
        if restart {
            drop(server);
            server = serve(1, memory.path(), &[bench.verifier()]);
        }
        let witness = witness(&server);
        let contradicted = async || match one(&bench.log(), &witness).await {
            Said::Contradicted(how) => how,
            other => panic!("{other:?}"),
        };
        // With every key, and with everything on this disk, what witnesses said and the memory included.
        bench.put_back(&old);
        assert_eq!(contradicted().await, Contradiction::RolledBack { witness: 9, ours: 5 });
        bench.write(20..24).await;
        assert_eq!(contradicted().await, Contradiction::Forked { size: 9 });
        bench.write(24..30).await;
        assert_eq!(contradicted().await, Contradiction::NotContinued { size: 9 });
        assert_eq!(bench.reader().witnessed_by(witness.verifier()).unwrap(), None);

        // What was cosigned is put back as well, to hide it: the log says so by itself.
        let kept = honest.keys().find(|path| path.parent().unwrap().ends_with("witnessed")).unwrap();
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(kept, &honest[kept]).unwrap();
        assert!(verify(&bench.log().directory, &bench.verifier(), &mut |_| {}).is_err());
        assert_eq!(contradicted().await, Contradiction::NotContinued { size: 9 });

        bench.put_back(&honest);
        assert_eq!(size(&one(&bench.log(), &witness).await), 9);
    }
}

#[tokio::test]
async fn cosignatures_of_one_checkpoint_stand_together_and_one_that_is_away_keeps_its_last() {
    let bench = Bench::new();
    let memories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    bench.write(0..3).await;
    let mut servers: Vec<_> =
        (1..).zip(&memories).map(|(n, memory)| serve(n, memory.path(), &[bench.verifier()])).collect();
    let witnesses: Vec<_> = servers.iter().map(witness).collect();
    let said = round(&bench.log(), &witnesses).await;
    assert_eq!(said.iter().map(|(_, said)| size(said)).collect::<Vec<_>>(), [3, 3]);
    let by = |note: &str, at: usize| cosigned(note, &bench.verifier(), witnesses[at].verifier());
    for kept in bench.reader().witnessed().unwrap() {
        assert_eq!(
            (by(&kept.note, 0), by(&kept.note, 1)),
            (Some(TIME), Some(TIME)),
            "{}",
            kept.file.display()
        );
    }
    drop(servers.remove(0));
    bench.write(3..4).await;
    let said = round(&bench.log(), &witnesses).await;
    assert!(matches!(said[0].1, Said::Refused(Refused::Unreachable(_))), "{said:?}");
    assert_eq!(size(&said[1].1), 4);
    let [newest, older] = &bench.reader().witnessed().unwrap()[..] else { panic!() };
    assert_eq!((newest.tree.size, by(&newest.note, 0), by(&newest.note, 1)), (4, None, Some(TIME)));
    assert_eq!((older.tree.size, by(&older.note, 0), by(&older.note, 1)), (3, Some(TIME), Some(TIME)));
}

#[tokio::test]
async fn what_a_witness_was_not_told_it_does_not_cosign() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir().unwrap());
    bench.write(0..3).await;
    let stranger = serve(1, memory.path(), &[]);
    assert_eq!(one(&bench.log(), &witness(&stranger)).await, Said::Refused(Refused::UnknownLog));
    let origin = bench.verifier().name().to_owned();
    let other_key = assent_audit::tlog::note::Signer::from_seed(&origin, &[8; 32]).unwrap();
    let mistaken = serve(2, memory.path(), &[other_key.verifier().clone()]);
    assert_eq!(one(&bench.log(), &witness(&mistaken)).await, Said::Refused(Refused::OtherKey));
    // The key that is configured is not the one that cosigns.
    let server = serve(3, memory.path(), &[bench.verifier()]);
    let expected = Witness::new(&server.url(), &cosigner(4).verifier().to_string(), None).unwrap();
    assert_eq!(one(&bench.log(), &expected).await, Said::Refused(Refused::NoCosignature));
    assert!(bench.reader().witnessed().unwrap().is_empty());
    let nothing = Bench::new();
    nothing.open(DAY).close().unwrap();
    assert_eq!(one(&nothing.log(), &witness(&server)).await, Said::Nothing);
}

/// A witness that answers as it is told, once for each request, and then not at all.
fn scripted(answers: Vec<(&'static str, String)>) -> (Witness, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut firsts = vec![];
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            // A request ends with the signature of its checkpoint.
            while !(asked.contains("\n— ") && asked.ends_with('\n')) {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap();
                assert!(read > 0, "{asked}");
                asked.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
            firsts.push(asked.lines().find(|line| line.starts_with("old ")).unwrap().to_owned());
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
        firsts
    });
    (Witness::new(&url, &cosigner(1).verifier().to_string(), None).unwrap(), thread)
}

#[tokio::test]
async fn odd_answers_are_refused_and_only_what_cannot_be_otherwise_is_a_contradiction() {
    let bench = Bench::new();
    bench.write(0..5).await;
    let conflict = |body: &str| ("409 Conflict", body.to_owned());
    let unsteady = Refused::Unsteady { size: 3 };
    let status = |status, text: &str| Said::Refused(Refused::Status { status, text: text.to_owned() });
    type Case = (Vec<(&'static str, String)>, Said, Vec<&'static str>);
    let cases: Vec<Case> = vec![
        (
            vec![("503 Busy", "come\x1b[31m again".into())],
            status(503, "come\u{fffd}[31m again"),
            vec!["old 0"],
        ),
        (vec![("302 Found", String::new())], status(302, ""), vec!["old 0"]),
        (vec![("200 OK", "hello\n".into())], Said::Refused(Refused::NoCosignature), vec!["old 0"]),
        (vec![conflict("many\n")], status(409, "many"), vec!["old 0"]),
        (vec![("422 No", String::new())], status(422, ""), vec!["old 0"]),
        (vec![conflict("3\n"), conflict("3\n")], Said::Refused(unsteady), vec!["old 0", "old 3"]),
        (
            // The specification has no size in a 409 about roots.
            vec![conflict("5\n"), conflict(""), conflict("5\n")],
            Said::Contradicted(Contradiction::Forked { size: 5 }),
            vec!["old 0", "old 5", "old 0"],
        ),
        (
            vec![conflict("3\n"), ("422 No", String::new())],
            Said::Contradicted(Contradiction::NotContinued { size: 3 }),
            vec!["old 0", "old 3"],
        ),
        (
            vec![conflict("6\n")],
            Said::Contradicted(Contradiction::RolledBack { witness: 6, ours: 5 }),
            vec!["old 0"],
        ),
    ];
    for (answers, expected, asked) in cases {
        let (witness, thread) = scripted(answers);
        assert_eq!(one(&bench.log(), &witness).await, expected);
        assert_eq!(thread.join().unwrap(), asked, "{expected:?}");
    }
    let (witness, thread) = scripted((0..6).map(|n| conflict(&format!("{}\n", 1 + n % 2))).collect());
    assert!(matches!(one(&bench.log(), &witness).await, Said::Refused(Refused::Unsteady { .. })));
    assert_eq!(thread.join().unwrap().len(), 6);
}

#[tokio::test]
async fn a_contradiction_stops_the_log_and_a_witness_that_is_away_does_not() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir().unwrap());
    bench.write(0..5).await;
    let old = bench.copy();
    bench.write(5..9).await;
    let server = serve(1, memory.path(), &[bench.verifier()]);
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Witness::new(&format!("http://{away}"), &cosigner(2).verifier().to_string(), None).unwrap();
    let witnesses = vec![witness(&server), away];

    let logs = bench.open(DAY);
    let witnessing = Witnessing::new(Arc::clone(&logs), witnesses.clone());
    assert!(witnessing.status().is_empty());
    let changes = witnessing.round().await;
    assert!(matches!(&changes[..], [change] if change.witness == "witness.example/w2"), "{changes:?}");
    assert!(witnessing.round().await.is_empty(), "said once");
    let status = witnessing.status();
    assert_eq!((&status[0].state, status[0].cosigned), (&State::Seen, Some((9, TIME))));
    assert!(matches!(status[1].state, State::Behind(Refused::Unreachable(_))));
    assert_eq!(status[1].cosigned, None);
    append(&logs, DAY, 9..12).await.unwrap();
    logs.close().unwrap();

    bench.put_back(&old);
    let logs = bench.open(DAY);
    append(&logs, DAY, 20..21).await.unwrap();
    let witnessing = Witnessing::new(Arc::clone(&logs), witnesses);
    let changes = witnessing.round().await;
    assert!(changes.iter().any(|change| matches!(change.state, State::Contradicted(_))), "{changes:?}");
    let Err(AppendError::Failed(failure)) = append(&logs, DAY, 21..22).await else { panic!() };
    assert!(matches!(&*failure, Failure::Contradicted { witness, .. } if witness == "witness.example/w1"));
    assert!(logs.close().is_err());
}

#[tokio::test]
async fn a_finished_year_is_seen_to_its_end_and_then_left_alone() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir().unwrap());
    let logs = bench.open(DAY);
    append(&logs, DAY, 0..3).await.unwrap();
    let next = "2027-01-01T00:00:00Z";
    let of_2027 = bench.config().signer(&organization(), 2027).unwrap().verifier().clone();
    let server = serve(1, memory.path(), &[bench.verifier(), of_2027]);
    let witnessing = Witnessing::new(Arc::clone(&logs), vec![witness(&server)]);
    // Published or not yet: what matters is the end.
    witnessing.round().await;
    append(&logs, DAY, 3..7).await.unwrap();
    append(&logs, next, 0..2).await.unwrap();
    logs.close().unwrap();
    witnessing.round().await;
    let sizes = || witnessing.status().iter().map(|s| (s.year, s.cosigned.unwrap().0)).collect::<Vec<_>>();
    assert_eq!(sizes(), [(2026, 7), (2027, 2)]);
    drop(server);
    let changes = witnessing.round().await;
    assert!(matches!(&changes[..], [change] if change.year == 2027), "{changes:?}");
}

#[test]
fn a_witness_that_cannot_be_one_is_refused_with_what_was_expected() {
    let (key, log) = (cosigner(1).verifier().to_string(), Bench::new().verifier().to_string());
    let wrong = |url: &str, key: &str| Witness::new(url, key, None).unwrap_err().to_string();
    assert!(wrong("https://w.example", "nonsense").contains("not a witness's key"));
    assert!(wrong("https://w.example", &log).contains("the key of a log"));
    assert!(wrong("http://w.example", &key).contains("expected `https`"));
    let witness = Witness::new("https://w.example/a/", &key, None).unwrap();
    let other = Witness::new("https://w.example/b", &cosigner(2).verifier().to_string(), None).unwrap();
    assert!(each_once(&[witness.clone(), other]).is_ok());
    assert!(matches!(each_once(&[witness.clone(), witness.clone()]), Err(WitnessError::Twice { .. })));
    let same_name = Cosigner::from_seed(witness.name(), &[2; 32]).unwrap().verifier().to_string();
    let same_name = Witness::new("https://w.example/b", &same_name, None).unwrap();
    assert!(matches!(each_once(&[witness, same_name]), Err(WitnessError::Twice { .. })));
}
