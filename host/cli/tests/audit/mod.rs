//! The life of an audit log through the real command and a real service on loopback: what was
//! answered is found, shown, exported, made again and verified; misuse and tampering are refused with
//! what is wrong, where, and what to do.

mod exporters;
mod gauges;
mod keeping;
mod keys;
mod releases;
mod replay;
mod stop;
mod witness;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ExitStatus};
use std::time::{Duration, Instant};

use assent_audit::tlog::note::{Algorithm, Verifier};
use rustix::process::{Pid, Signal, kill_process};

use super::*;

const DAY: &str = "2026-11-21T18:00:00Z";
const SEGMENT: &str = ".assent/audit/clinic/2026/segments/0000000001.seg";

/// An `assent.toml` that keeps a log, with this after the table `[audit]`; its caller may read metrics.
fn keeping_a_log(tables: &str) -> String {
    let config = ASSENT.replace("[\"decide\"]", "[\"decide\", \"metrics\"]");
    format!("{config}[audit]\nname = \"pdp.example.org\"\n{tables}")
}

/// A deployment that keeps its log.
fn logged() -> Deployment {
    let deployment =
        Deployment::new(&[("assent.toml", &format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\n"))]);
    well(&["init", deployment.path()]);
    deployment
}

fn audit(arguments: &[&str]) -> Output {
    assent(&[&["audit"], arguments].concat())
}

/// What a command prints that must succeed.
fn well(arguments: &[&str]) -> String {
    let output = audit(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// What a command says that must fail: the exit code is that of an error, on few lines.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", stdout(output));
    let said = stderr(output);
    assert!(!said.contains("panicked") && said.lines().count() <= 7, "{said}");
    said
}

/// A service; killed when it goes.
pub(crate) struct Running {
    child: Child,
    address: String,
    /// What it said before it served.
    earlier: String,
    /// Held open: a service that cannot say anything is another test.
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(deployment: &Deployment) -> Self {
        Self::start_at(deployment, DAY)
    }

    pub(crate) fn start_at(deployment: &Deployment, clock: &str) -> Self {
        Self::start_with(deployment, clock, &[])
    }

    fn start_with(deployment: &Deployment, clock: &str, environment: &[(&str, &Path)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_assent"))
            .args(["serve", deployment.path(), "--listen", "127.0.0.1:0", "--stopped-clock", clock])
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Made first, so that a service that does not start is ended too.
        let mut service = Self { child, address: String::new(), earlier: String::new(), stderr };
        let mut line = String::new();
        // What runs beside it may have something to say first.
        while !line.starts_with("serving ") {
            service.earlier.push_str(&line);
            line.clear();
            service.stderr.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "did not start: {}", service.earlier);
        }
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
        service.address = address.unwrap_or_else(|| panic!("no address: {line}")).0.to_owned();
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether this was permitted, and the decision's id.
    pub(crate) fn ask(&self, request: &str) -> (bool, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /clinic/access/v1/evaluation HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{request}",
            self.address,
            request.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let id = answer.lines().find_map(|line| line.strip_prefix("x-decision-id: "));
        let id = id.unwrap_or_else(|| panic!("no decision: {answer}")).to_owned();
        (answer.contains("\"decision\":true"), id)
    }

    /// Waits for a line that it says to whoever runs it.
    fn says(&mut self, expected: &str) {
        let mut line = std::mem::take(&mut self.earlier);
        while !line.contains(expected) {
            line.clear();
            self.stderr.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "the service ended without saying `{expected}`");
        }
    }

    /// Its numbers, as a caller with the right to read them gets them.
    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The number that follows this, if there is one.
    fn gauge(&self, name: &str) -> Option<f64> {
        let metrics = self.metrics();
        assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|number| number.parse().unwrap())
    }

    /// Ends it in good order, or at once and without warning; what else it said.
    pub(crate) fn end(self, signal: &str) -> String {
        let (status, said) = self.ended_by(if signal == "KILL" { Signal::KILL } else { Signal::TERM });
        // What was killed has no code.
        assert_eq!(status.code(), (signal != "KILL").then_some(0), "{said}");
        said
    }

    /// How it ends by this signal, and what else it says.
    fn ended_by(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until something holds. Asks seldom enough for the lines of all requests to fit a pipe that nobody reads.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "this did not come about: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A deployment with the log of one permit and one denial, closed in good order; and their ids.
fn with_two_decisions() -> (Deployment, String, String) {
    let deployment = logged();
    let service = Running::start(&deployment);
    let (permitted, ann) = service.ask(ANN);
    let (denied, bob) = service.ask(&ANN.replace("ann", "bob"));
    assert!(permitted && !denied);
    service.end("TERM");
    (deployment, ann, bob)
}

#[test]
fn what_was_answered_is_found_shown_exported_made_again_and_verified() {
    let (deployment, ann, bob) = with_two_decisions();
    let path = deployment.path();

    let found = well(&["search", path, "--oldest-first", "--kind", "decision"]);
    let lines: Vec<_> = found.lines().collect();
    assert_eq!(lines.len(), 3, "{found}");
    let column = lines[0].find("WHO").unwrap();
    assert!(lines[1][column..].starts_with("User::ann ") && lines[2][column..].starts_with("User::bob "));
    assert!(lines[1].contains("permit") && lines[1].ends_with("owner.read"), "{found}");
    let place_of = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let (ann_place, bob_place) = (place_of(lines[1]), place_of(lines[2]));
    let denied = well(&["search", path, "--decision", "deny", "--subject", "User::bob"]);
    assert!(denied.contains(&bob_place) && denied.lines().count() == 2, "{denied}");
    let page = well(&["search", path, "--limit", "2", "--json"]);
    assert!(page.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{page}");

    for named in [&ann, &ann_place] {
        let shown = well(&["show", path, "--id", named]);
        let headline = format!("PERMIT (permit), record {ann_place}");
        for part in [&*headline, &ann, "User::ann", "owner.read permits: owners read", "leaf "] {
            assert!(shown.contains(part), "`{part}` is not in: {shown}");
        }
    }
    let raw: serde_json::Value =
        serde_json::from_str(&well(&["show", path, "--id", &bob, "--json"])).unwrap();
    assert_eq!(
        (&raw["place"], &raw["record"]["event"]["outcome"]["effect"]),
        (&bob_place.as_str().into(), &"deny".into())
    );

    let records = well(&["export", path, "--format", "json-lines"]).lines().count();
    assert!(records > 2);
    assert!(well(&["export", path, "--format", "ocsf"]).contains("\"class_uid\":6003"));
    assert!(well(&["export", path, "--format", "fhir"]).contains("AuditEvent"));
    assert!(well(&["export", path, "--format", "syslog"]).contains("cause=\"no_policy\""));
    let cursor = deployment.0.path().join("cursor");
    let follow =
        ["export", path, "--format", "json-lines", "--year", "2026", "--cursor", cursor.to_str().unwrap()];
    assert_eq!((well(&follow).lines().count(), well(&follow).lines().count()), (records, 0));

    assert!(well(&["replay", path]).ends_with("\n2 came out the same, 0 differ, 0 not tried\n"));
    let one = well(&["replay", path, "--id", &bob_place]);
    assert!(one.ends_with("\n1 came out the same, 0 differ, 0 not tried\n"), "{one}");

    // Somebody who has only the log and the public key.
    let key = well(&["keys", path]);
    assert!(key.starts_with("pdp.example.org/audit/clinic/2026+"), "{key}");
    let log = format!("{path}/.assent/audit/clinic/2026");
    for whole in [well(&["verify", path]), well(&["verify", "--log", &log, "--key", &key])] {
        let expected = format!("whole: pdp.example.org/audit/clinic/2026\n  {records} records under");
        assert!(whole.starts_with(&expected), "{whole}");
    }
}

#[test]
fn nothing_answered_is_missing_after_a_service_was_killed() {
    let deployment = logged();
    let service = Running::start(&deployment);
    let mut answered: Vec<_> = (0..20).map(|_| service.ask(ANN).1).collect();
    service.end("KILL");
    let service = Running::start(&deployment);
    answered.extend((0..20).map(|_| service.ask(ANN).1));
    let exported = well(&["export", deployment.path(), "--format", "json-lines"]);
    for id in &answered {
        assert_eq!(exported.matches(&format!("\"id\":\"{id}\"")).count(), 1, "{id}");
    }
    service.end("TERM");
    well(&["verify", deployment.path()]);
}

#[test]
fn a_flipped_byte_stops_verify_and_serve_with_file_and_offset() {
    let (deployment, ..) = with_two_decisions();
    let segment = deployment.0.path().join(SEGMENT);
    let mut bytes = std::fs::read(&segment).unwrap();
    let flipped = bytes.len() * 3 / 4;
    bytes[flipped] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let verified = audit(&["verify", deployment.path()]);
    assert_eq!(verified.status.code(), Some(1));
    let served = refused(&assent(&["serve", deployment.path(), "--listen", "127.0.0.1:0"]));
    for said in [stdout(&verified), served] {
        let (_, after) = said.split_once("0000000001.seg at byte ").unwrap_or_else(|| panic!("{said}"));
        let offset: usize = after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        assert!((1..=flipped).contains(&offset), "{said}");
        assert!(said.contains("keep the log as it is") && said.contains("from a copy"), "{said}");
    }
}

#[test]
fn a_removed_segment_or_checkpoint_is_missed_by_every_reader() {
    for (file, expected) in [
        (SEGMENT, "segment 1 is missing"),
        (".assent/audit/clinic/2026/checkpoint", "there is no checkpoint"),
    ] {
        let (deployment, ..) = with_two_decisions();
        let path = deployment.path();
        // A second segment, so that one is left.
        Running::start(&deployment).end("TERM");
        std::fs::remove_file(deployment.0.path().join(file)).unwrap();
        let commands: [&[&str]; 5] = [
            &["export", path, "--format", "json-lines"],
            &["disclosures", path, "--patient", "Patient::x"],
            &["search", path],
            &["replay", path],
            &["report", path, "--name", "exports"],
        ];
        for command in commands {
            let output = audit(command);
            assert!(refused(&output).contains(expected), "{command:?}: {}", stderr(&output));
            assert_eq!(stdout(&output), "", "{command:?}");
        }
        let verified = audit(&["verify", path]);
        assert!(verified.status.code() == Some(1) && stdout(&verified).contains(expected));
        assert!(refused(&assent(&["serve", path, "--listen", "127.0.0.1:0"])).contains(expected));
    }
}

#[test]
fn other_settings_are_a_record_with_what_they_were_before() {
    let (deployment, ..) = with_two_decisions();
    let path = deployment.path();
    let changes = || well(&["search", path, "--kind", "administration", "--json"]);
    assert_eq!(changes().lines().count(), 1);
    Running::start(&deployment).end("TERM");
    assert_eq!(changes().lines().count(), 1, "the same settings");
    let file = deployment.0.path().join("assent.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        settings.replace("pdp.example.org\"\n", "pdp.example.org\"\n[plugins]\nslots = 32\n"),
    )
    .unwrap();
    Running::start(&deployment).end("TERM");
    let newest: serde_json::Value = serde_json::from_str(changes().lines().next().unwrap()).unwrap();
    let event = &newest["record"]["event"];
    assert!(event["before"]["plugins"].is_null() && event["after"]["plugins"]["slots"] == 32, "{event}");
}

#[test]
fn a_clock_that_went_back_while_the_service_was_down_is_a_record_and_said() {
    let (deployment, ..) = with_two_decisions();
    let earlier = "2026-11-21T17:00:00Z";
    let mut child = Command::new(env!("CARGO_BIN_EXE_assent"))
        .args(["serve", deployment.path(), "--listen", "127.0.0.1:0", "--stopped-clock", earlier])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("the clock moved from 2026-11-21T18:00:00Z to 2026-11-21T17:00:00Z"), "{line}");
    let found = well(&["search", deployment.path(), "--kind", "clock-jump"]);
    assert!(found.contains("from 2026-11-21T18:00:00Z to 2026-11-21T17:00:00Z"), "{found}");
}

#[test]
fn a_log_has_one_writer() {
    let deployment = logged();
    let service = Running::start(&deployment);
    let said = refused(&assent(&["serve", deployment.path(), "--listen", "127.0.0.1:0"]));
    assert!(said.contains("another service writes this log already"), "{said}");
    service.end("TERM");
}

#[test]
fn keys_are_made_once_and_never_beside_a_log_that_needs_others() {
    let unkeyed =
        Deployment::new(&[("assent.toml", &format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\n"))]);
    let said = refused(&assent(&["serve", unkeyed.path(), "--listen", "127.0.0.1:0"]));
    assert!(said.contains("sealing.key does not exist; `assent audit init"), "{said}");
    let no_log = refused(&audit(&["search", Deployment::new(&[]).path()]));
    assert!(no_log.contains("assent.toml has no table `[audit]`"), "{no_log}");

    let (deployment, ..) = with_two_decisions();
    let keys = deployment.0.path().join(".assent/keys");
    let before = std::fs::read(keys.join("signing.key")).unwrap();
    assert!(well(&["init", deployment.path()]).contains("is there already and was left as it is"));
    assert_eq!(std::fs::read(keys.join("signing.key")).unwrap(), before);

    let open = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    std::fs::set_permissions(keys.join("signing.key"), open).unwrap();
    let said = refused(&audit(&["verify", deployment.path()]));
    assert!(said.contains("audit.signing_key") && said.contains("chmod 400"), "{said}");

    std::fs::remove_file(keys.join("signing.key")).unwrap();
    for output in [audit(&["init", deployment.path()]), audit(&["verify", deployment.path()])] {
        let said = refused(&output);
        assert!(
            said.contains("signing.key does not exist") && said.contains("restore it from a copy"),
            "{said}"
        );
    }
    assert!(!keys.join("signing.key").exists());
}

#[test]
fn the_keys_of_another_deployment_neither_verify_nor_open_a_log() {
    let ((deployment, ..), (other, ..)) = (with_two_decisions(), with_two_decisions());
    let log = format!("{}/.assent/audit/clinic/2026", deployment.path());
    let verified = audit(&["verify", "--log", &log, "--key", &well(&["keys", other.path()])]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(stdout(&verified).contains("another key is expected"), "{}", stdout(&verified));

    let key = |deployment: &Deployment| deployment.0.path().join(".assent/keys/sealing.key");
    std::fs::remove_file(key(&deployment)).unwrap();
    std::fs::copy(key(&other), key(&deployment)).unwrap();
    // Who has only the wrong key to open it can still verify it.
    well(&["verify", deployment.path()]);
    for output in [
        audit(&["export", deployment.path(), "--format", "json-lines"]),
        assent(&["serve", deployment.path(), "--listen", "127.0.0.1:0"]),
    ] {
        assert!(refused(&output).contains("give the key it was wrapped with"), "{}", stderr(&output));
    }
}

#[test]
fn what_is_asked_wrongly_is_refused_with_what_was_expected() {
    let (deployment, ..) = with_two_decisions();
    let path = deployment.path();
    let log = format!("{path}/.assent/audit/clinic");
    let (year, settings) = (format!("{log}/2026"), format!("{path}/assent.toml"));
    let key = well(&["keys", path]);
    let other = Verifier::new("pdp.example.org/audit/elsewhere/2026", Algorithm::Ed25519, [7; 32]);
    let other_key = other.unwrap().to_string();
    let mistakes: &[(&[&str], &str)] = &[
        (&["search", path, "-o", "clinik"], "there is no organization `clinik`: expected one of `clinic`"),
        (&["search", path, "--year", "2025"], "`clinic` has no log of 2025: it has 2026"),
        (&["search", path, "--kind", "decisions"], "decision"),
        (&["search", path, "--patient", "jun"], "such as `Patient::jun-park`"),
        (&["search", path, "--after", "7"], "such as `2026-17`"),
        (&["search", path, "--limit", "0"], "expected 1 to"),
        (&["show", path, "--id", "2026-99"], "the log of 2026 has no record 99"),
        (&["show", path, "--id", "2025-1"], "`clinic` has no log of 2025: it has 2026"),
        (&["show", path, "--id", "abc"], "X-Decision-ID"),
        (&["replay", path, "--id", "2026-0"], "record 2026-0 is not a decision"),
        (&["disclosures", path, "--patient", "Patient::x", "--time-zone", "Mars"], "America/Chicago"),
        (
            &["disclosures", path, "--patient", "Patient::x", "--year", "2026"],
            "an accounting is of all years",
        ),
        (
            &["disclosures", path, "--patient", "Patient::x", "--from", "2999-01-01T00:00:00Z"],
            "must be the earlier",
        ),
        (
            &["search", path, "--from", DAY, "--until", DAY],
            "`--from`, `--until`: the first must be the earlier",
        ),
        (&["replay", path, "--from", DAY, "--until", "2020-01-01T00:00:00Z"], "must be the earlier"),
        (
            &["export", path, "--format", "ocsf", "--year", "2026", "--cursor", "/absent/cursor"],
            "`--cursor`: the folder /absent does not exist",
        ),
        (
            &["export", path, "--format", "ocsf", "--year", "2026", "--cursor", &settings],
            "is not a cursor, or not a whole one",
        ),
        (
            &["verify", "--log", &year, "--key", &other_key],
            "clinic/2026`, and `--key` is of `pdp.example.org/audit/elsewhere/2026`: give the key of the log",
        ),
        (&["verify", "--log", &log, "--key", &key], "holds no log: expected a directory with `checkpoint`"),
        (&["verify", "--log", &log, "--key", "nonsense"], "as `assent audit keys` prints it"),
        (&["verify", "--log", &log], "--key"),
        (&["verify", path, "--key", &key], "--key"),
        (&["verify", path, "--log", &log, "--key", &key], "--log"),
    ];
    for (arguments, expected) in mistakes {
        let said = refused(&audit(arguments));
        assert!(said.contains(expected), "{arguments:?}: `{expected}` is not in: {said}");
    }
    let none = audit(&["replay", path, "--from", "2999-01-01T00:00:00Z"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        stdout(&none).ends_with("there is no decision in this time to make again\n"),
        "{}",
        stdout(&none)
    );
    let empty = audit(&["disclosures", path, "--patient", "Patient::mistyped"]);
    assert!(stderr(&empty).contains("no record names `Patient::mistyped`"), "{}", stderr(&empty));
}

#[test]
fn a_spoiled_index_is_made_again() {
    let (deployment, ..) = with_two_decisions();
    let before = well(&["search", deployment.path()]);
    for ending in ["", "-wal", "-shm"] {
        let index = deployment.0.path().join(format!(".assent/audit/clinic/2026.index{ending}"));
        std::fs::write(index, "no database at all, whatever its name says").unwrap();
    }
    assert_eq!(well(&["search", deployment.path()]), before);
}

#[test]
fn an_output_that_is_closed_ends_the_command_quietly_and_one_that_is_full_does_not() {
    let (deployment, ..) = with_two_decisions();
    let export = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
        command.args(["audit", "export", deployment.path(), "--format", "json-lines"]);
        command.stdout(out).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = export(Stdio::piped());
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(141), String::new()));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = export(full.into()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("the output cannot be written: "), "{}", stderr(&output));
}
