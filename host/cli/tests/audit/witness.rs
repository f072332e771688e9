//! Somebody with the disk and every key, against a witness and a kept checkpoint, through the real command.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::channel;

use assent_audit::tlog::note::{Cosigner, Verifier};

use super::*;
use server::Server;

#[path = "../../../outbound/tests/server/mod.rs"]
mod server;

const CHECKPOINT: &str = ".assent/audit/clinic/2026/checkpoint";
/// Far beyond any start.
const FOREVER: Duration = Duration::from_secs(120);

/// A deployment whose log a witness sees, with one permit in it.
pub(super) struct Witnessed {
    pub(super) deployment: Deployment,
    key: String,
    pub(super) server: Server,
    memory: tempfile::TempDir,
}

fn cosigner(number: u8) -> Cosigner {
    Cosigner::from_seed(&format!("witness.example/w{number}"), &[number; 32]).unwrap()
}

fn serve(key: &str, memory: &tempfile::TempDir) -> Server {
    let log = Verifier::parse(key.trim()).unwrap();
    Server::start("127.0.0.1:0", cosigner(1), memory.path(), &[log], || 1_790_000_000).unwrap()
}

fn configure(deployment: &Deployment, witnesses: &[(&str, &str)]) {
    let mut text = format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\nwitness_interval_s = 5\n");
    for (url, key) in witnesses {
        text.push_str(&format!("[[audit.witness]]\nurl = \"{url}\"\nkey = \"{key}\"\n"));
    }
    std::fs::write(deployment.0.path().join("assent.toml"), text).unwrap();
}

pub(super) fn witnessed() -> Witnessed {
    let deployment = logged();
    let service = Running::start(&deployment);
    assert!(service.ask(ANN).0);
    service.end("TERM");
    let (key, memory) = (well(&["keys", deployment.path()]), tempfile::tempdir().unwrap());
    let server = serve(&key, &memory);
    configure(&deployment, &[(&server.url(), &server.key)]);
    Witnessed { deployment, key, server, memory }
}

/// All files below `.assent`.
pub(super) fn copy(deployment: &Deployment) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut directories) = (BTreeMap::new(), vec![deployment.0.path().join(".assent")]);
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

/// Puts back those files whose path has this in it.
pub(super) fn put_back(deployment: &Deployment, files: &BTreeMap<PathBuf, Vec<u8>>, part: &str) {
    let of = |path: &&PathBuf| path.to_str().unwrap().contains(part);
    for path in copy(deployment).keys().filter(of) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in files.iter().filter(|(path, _)| of(path)) {
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_witness_sees_what_was_decided_and_verify_says_how_far() {
    let Witnessed { deployment, key, server, memory: _memory } = witnessed();
    let path = deployment.path();
    let shown = well(&["witness", path]);
    assert!(
        shown.contains("2026\n  witness.example/w1: saw ") && shown.contains(" records, and cosigned\n"),
        "{shown}"
    );
    // A good stop shows it the end.
    let service = Running::start(&deployment);
    assert!(service.ask(ANN).0);
    service.end("TERM");
    let log = format!("{path}/.assent/audit/clinic/2026");
    let seen = "witness witness.example/w1: saw ";
    for arguments in [
        vec!["verify", path],
        vec!["verify", path, "--witness", &server.key],
        vec!["verify", "--log", &log, "--key", &key, "--witness", &server.key],
    ] {
        let said = well(&arguments);
        assert!(said.contains(seen) && said.contains("0 after that not yet"), "{arguments:?}: {said}");
    }
    // Another one did not.
    let stranger = cosigner(2).verifier().to_string();
    let output = audit(&["verify", path, "--witness", &stranger]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("NOT WITNESSED: witness witness.example/w2"), "{}", stdout(&output));
    // A copy of what was cosigned, as an auditor keeps it, and the log has grown since.
    let kept = deployment.0.path().join("kept");
    let cosigned = std::fs::read_dir(format!("{log}/witnessed")).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(cosigned, &kept).unwrap();
    std::fs::remove_dir_all(format!("{log}/witnessed")).unwrap();
    drop(server);
    let service = Running::start(&deployment);
    assert!(service.ask(ANN).0, "a witness that is away stops nothing");
    service.end("TERM");
    let kept = kept.to_str().unwrap();
    let said = well(&["verify", path, "--checkpoint", kept]);
    assert!(said.contains(" records, ") && said.contains(" more since"), "{said}");
    let output = audit(&["witness", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("did not cosign: not reached"), "{}", stdout(&output));
}

#[test]
fn a_log_put_back_with_every_key_is_refused_by_the_memory_and_stopped_by_the_witness() {
    let Witnessed { deployment, key, server, memory } = witnessed();
    let path = deployment.path();
    let old = copy(&deployment);
    let service = Running::start(&deployment);
    assert!(service.ask(ANN).0);
    service.end("TERM");
    let kept = deployment.0.path().join("kept");
    std::fs::copy(deployment.0.path().join(CHECKPOINT), &kept).unwrap();
    // The witness restarts in between: what it saw is on its disk.
    drop(server);
    let server = serve(&key, &memory);
    configure(&deployment, &[(&server.url(), &server.key)]);

    put_back(&deployment, &old, "/audit/");
    let said = refused(&assent(&["serve", path, "--listen", "127.0.0.1:0"]));
    assert!(said.contains("is not the log that it was") && said.contains("audit.known"), "{said}");
    let verified = audit(&["verify", path]);
    assert!(
        verified.status.code() == Some(1) && stdout(&verified).contains("put back"),
        "{}",
        stdout(&verified)
    );

    put_back(&deployment, &old, "/.assent/audit");
    well(&["verify", path]);
    let output = audit(&["verify", path, "--checkpoint", kept.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(said.contains(" entries, but the log has only "), "{said}");
    let output = audit(&["witness", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("ALARM: it saw "), "{}", stdout(&output));

    let mut service = Running::start(&deployment);
    let (lines, told) = channel();
    let mut stderr = std::mem::replace(&mut service.stderr, BufReader::new(empty()));
    std::thread::spawn(move || {
        let mut line = String::new();
        while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
            // The test has ended.
            if lines.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    let alarm =
        std::iter::from_fn(|| told.recv_timeout(FOREVER).ok()).find(|line| line.starts_with("ALARM: "));
    let alarm = alarm.unwrap();
    assert!(
        alarm.contains("witness `witness.example/w1` knows another log of `clinic`, year 2026"),
        "{alarm}"
    );
    assert!(!service.ask(ANN).0, "nothing is permitted any more");
}

/// A closed pipe, in the place of one that is read elsewhere.
fn empty() -> ChildStderr {
    let mut child = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stderr.take().unwrap()
}

#[test]
fn a_log_that_is_gone_is_not_begun_anew_and_says_what_to_do() {
    let (deployment, ..) = with_two_decisions();
    let path = deployment.path();
    std::fs::remove_dir_all(deployment.0.path().join(".assent/audit/clinic")).unwrap();
    let said = refused(&assent(&["serve", path, "--listen", "127.0.0.1:0"]));
    assert!(said.contains("is gone, but") && said.contains("mount or restore it"), "{said}");
    for command in [&["verify", path][..], &["search", path], &["verify", path, "--year", "2026"]] {
        let said = refused(&audit(command));
        assert!(said.contains(".known/clinic/2026 says that it was there"), "{command:?}: {said}");
    }
    // Let go on purpose.
    std::fs::remove_file(deployment.0.path().join(".assent/audit.known/clinic/2026")).unwrap();
    Running::start(&deployment).end("TERM");
    well(&["verify", path]);
    // An older year that is gone is said by `verify`, and does not stop the start.
    let known = deployment.0.path().join(".assent/audit.known/clinic");
    std::fs::copy(known.join("2026"), known.join("2024")).unwrap();
    let output = audit(&["verify", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("GONE: pdp.example.org/audit/clinic/2024"), "{}", stdout(&output));
    Running::start(&deployment).end("TERM");
}

#[test]
fn checkpoints_of_others_and_files_that_are_none_are_refused_by_name() {
    let ((deployment, ..), (other, ..)) = (with_two_decisions(), with_two_decisions());
    let (path, log) = (deployment.path(), format!("{}/.assent/audit/clinic/2026", deployment.path()));
    let key = well(&["keys", path]);
    let kept = |text: &str| {
        let file = deployment.0.path().join("kept");
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let own = std::fs::read_to_string(deployment.0.path().join(CHECKPOINT)).unwrap();
    let theirs = std::fs::read_to_string(other.0.path().join(CHECKPOINT)).unwrap();
    for (text, expected) in [
        (theirs, "is not signed by the key of"),
        (own.replace("/2026", "/2031"), "FOREIGN"),
        (own.replacen(own.lines().nth(1).unwrap(), "1", 1), "is not signed by the key of"),
    ] {
        let file = kept(&text);
        for mode in [vec!["verify", path], vec!["verify", "--log", &log, "--key", &key]] {
            let output = audit(&[&mode[..], &["--checkpoint", &file]].concat());
            assert_eq!(output.status.code(), Some(1));
            assert!(stdout(&output).contains(expected), "{expected}: {}", stdout(&output));
        }
    }
    let said = refused(&audit(&["verify", path, "--checkpoint", &kept("nonsense")]));
    assert!(said.contains("is not a checkpoint: expected the file as the log gave it"), "{said}");
    let said = refused(&audit(&["verify", path, "--checkpoint", "nowhere"]));
    assert!(said.contains("nowhere cannot be read"), "{said}");
    for wrong in ["nonsense", &key] {
        assert!(refused(&audit(&["verify", path, "--witness", wrong])).contains("--witness"));
    }
    assert!(
        refused(&audit(&["witness", path])).contains("names no witness: add a table `[[audit.witness]]`")
    );
}

#[test]
fn a_witness_that_cannot_be_one_is_refused_at_its_line() {
    let deployment = logged();
    let (key, path) = (cosigner(1).verifier().to_string(), deployment.path());
    let url = "https://witness.example.org/";
    let of_a_log = Verifier::new("a.log", assent_audit::tlog::note::Algorithm::Ed25519, [7; 32]).unwrap();
    for (witnesses, expected) in [
        (
            vec![("http://witness.example.org/", &*key)],
            "assent.toml:13:1: `http://witness.example.org/` is refused",
        ),
        (vec![(url, "nonsense")], "assent.toml:14:1: `nonsense` is not a witness's key"),
        (vec![(url, &of_a_log.to_string())], "is the key of a log"),
        (vec![(url, &key), (url, &key)], "assent.toml:17:1: `witness.example/w1` is named twice"),
    ] {
        configure(&deployment, &witnesses);
        let said = stderr(&assent(&["check", path]));
        assert!(said.contains(expected), "`{expected}` is not in: {said}");
    }
    configure(&deployment, &[(url, &key)]);
    assert!(assent(&["check", path]).status.success());
}
