//! The deployment that is killed, its process, and a client that tells an answer from none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const CALLERS: &str = r#"organizations = ["org"]
[audit]
name = "crash.example.org"
[state]
[[caller]]
id = "portal"
organizations = ["clinic"]
environment = "production"
rights = ["decide"]
obligations = ["*"]
loopback = true
[[caller]]
id = "admin"
organizations = ["clinic"]
environment = "production"
rights = ["read-state", "write-state", "workflow", "hold"]
obligations = []
key_sha256 = "KEY"
"#;

const SETTINGS: &str = r#"id = "clinic"
name = "Clinic"
schema = ["../policies/base/health.cedarschema"]
policies = ["clinic.cedar"]
entities = ["clinic.json"]
cases = ["clinic.toml"]
[subjects]
practitioner = "Practitioner"
[resources]
observation = "Observation"
data-set = "DataSet"
[[approval]]
kind = "export"
records_over = 100
quorum = 2
roles = ["privacy-officer"]
uses = 3
[break_glass]
reasons = ["medical-emergency"]
lasts_hours = 24
review_within_hours = 72
declarers = ["physician"]
reviewers = ["privacy-officer"]
[disclosure_decisions]
expires_within_days = 90
"#;

const PERMITS: &str = r#"@id("emergency.read")
@intent("in a declared emergency physicians read")
permit (principal is Practitioner, action == Action::"read", resource is Observation) when { context has emergency };
@id("export")
@intent("the workforce exports, as far as plugins agree")
permit (principal is Practitioner, action == Action::"export", resource is DataSet);
"#;

const CASES: &str = r#"[[case]]
name = "without an emergency nobody reads"
now = "2026-11-21T18:00:00Z"
action = { name = "read" }
resource = { type = "observation", id = "o-0" }
subject = { type = "practitioner", id = "dr-0" }
expect = { decision = "deny", cause = "no_policy" }
"#;

/// A deployment of its own.
pub(super) struct Site(tempfile::TempDir);

impl Site {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// With these tables in the organization's settings.
    pub(super) fn with(tables: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for name in ["policies", "plugins"] {
            symlink(root().join(name), site.file(name)).unwrap();
        }
        std::fs::create_dir(site.file("org")).unwrap();
        let key: String =
            assent_server::key_digest("admin-key").iter().map(|byte| format!("{byte:02x}")).collect();
        let files = [
            ("assent.toml", CALLERS.replace("KEY", &key)),
            ("org/organization.toml", format!("{SETTINGS}{tables}")),
            ("org/clinic.cedar", PERMITS.to_owned()),
            ("org/clinic.json", entities().to_string()),
            ("org/clinic.toml", CASES.to_owned()),
        ];
        for (name, text) in files {
            std::fs::write(site.file(name), text).unwrap();
        }
        let made = assent(&["audit", "init", site.path()]);
        assert!(made.status.success(), "{}", stderr(&made));
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// The files of the database that are there.
    fn database(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.file(".assent")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("state.db")).collect()
    }

    /// The database as it is while the service stands still.
    pub(super) fn copy_of_database(&self, service: &mut Service) -> BTreeMap<PathBuf, Vec<u8>> {
        service.while_it_stands(|| {
            let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
            self.database().into_iter().map(read).collect()
        })
    }

    pub(super) fn forget_database(&self) {
        let files = self.database();
        assert!(!files.is_empty());
        files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }

    pub(super) fn put_back(&self, copy: &BTreeMap<PathBuf, Vec<u8>>) {
        self.forget_database();
        copy.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}

/// Who is there: for each worker a physician, a requester, a patient with a record; two privacy officers.
fn entities() -> Value {
    let entity = |kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]| {
        let parents: Vec<Value> = parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
        json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": parents })
    };
    let clinic = json!({ "type": "Organization", "id": "clinic" });
    let person = |id: &str, role: &str| {
        let attrs = json!({ "organization": clinic, "accountType": "individual", "active": true, "licence": format!("CA-{id}") });
        entity("Practitioner", id, attrs, &[("Role", role)])
    };
    let mut all = vec![
        entity("Organization", "clinic", json!({ "category": "provider", "country": "US" }), &[]),
        entity("Organization", "other", json!({ "category": "provider", "country": "US" }), &[]),
        entity("RelatedPerson", "rp", json!({ "active": true }), &[]),
        entity("Patient", "shared", patient(), &[]),
        person("po-1", "privacy-officer"),
        person("po-2", "privacy-officer"),
    ];
    all.extend(["physician", "privacy-officer", "clerk"].map(|role| entity("Role", role, json!({}), &[])));
    for number in 0..WORKERS {
        let id = |prefix: &str| format!("{prefix}-{number}");
        let record = json!({ "patient": { "type": "Patient", "id": id("p") }, "organization": clinic,
            "labels": ["N"], "categories": ["general"], "function": "clinical" });
        all.extend([
            person(&id("dr"), "physician"),
            person(&id("him"), "clerk"),
            entity("Patient", &id("p"), patient(), &[]),
            entity("Observation", &id("o"), record, &[]),
        ]);
    }
    Value::Array(all)
}

/// The attributes of a patient.
pub(super) fn patient() -> Value {
    json!({ "organization": { "type": "Organization", "id": "clinic" }, "birthDate": "2012-06-30",
        "timeZone": "America/Chicago", "state": "TX", "active": true })
}

/// A running service; killed when it goes.
pub(super) struct Service {
    child: Child,
    pub(super) address: String,
    /// What version it said that the state has.
    pub(super) version: u64,
    began: Instant,
    started_in: Duration,
}

impl Service {
    /// A service that may not serve yet.
    pub(super) fn spawn(site: &Site) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_assent"))
            .args(["serve", site.path(), "--listen", "127.0.0.1:0"])
            .stderr(File::create(site.file("said")).unwrap())
            .spawn()
            .unwrap();
        let (began, started_in) = (Instant::now(), Duration::ZERO);
        Self { child, address: String::new(), version: 0, began, started_in }
    }

    pub(super) fn start(site: &Site) -> Self {
        let mut service = Self::spawn(site);
        while service.address.is_empty() {
            let text = std::fs::read_to_string(site.file("said")).unwrap();
            if let Some((_, rest)) = text.split_once(" at http://") {
                service.address = rest.split_once('/').unwrap().0.to_owned();
                let (_, version) = text.split_once("the state of `clinic` is of version ").unwrap();
                service.version = version.lines().next().unwrap().parse().unwrap();
            }
            let ended = service.child.try_wait().unwrap();
            let in_time = service.began.elapsed() < Duration::from_secs(60);
            assert!(in_time && ended.is_none(), "it does not start: {text}");
            std::thread::sleep(Duration::from_millis(5));
        }
        service.started_in = service.began.elapsed();
        service
    }

    /// How long a start takes, as far as another one tells.
    pub(super) fn usual_start_us(&self, other: &Self) -> u64 {
        u64::try_from(other.started_in.as_micros()).unwrap().max(1)
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the process for as long as this takes.
    fn while_it_stands<T>(&mut self, take: impl FnOnce() -> T) -> T {
        use rustix::process::{Pid, Signal, kill_process};
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::STOP).unwrap();
        let taken = take();
        kill_process(process, Signal::CONT).unwrap();
        taken
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A request.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: &'static str,
    /// Below `/clinic/`.
    pub(super) path: String,
    /// The person who acts, without the type; none: nobody is named.
    pub(super) person: String,
    /// `Idempotency-Key`.
    pub(super) key: Option<String>,
    pub(super) if_match: Option<u64>,
    pub(super) body: Value,
}

/// An answer that came whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

impl Answer {
    /// The version that the answer's `ETag` names.
    pub(super) fn version(&self) -> u64 {
        self.headers["etag"].trim_matches('"').parse().unwrap()
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }
}

/// A connection that is kept.
pub(super) struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// The answer; `None` where none came, or not all of it: then nobody was told anything.
    pub(super) fn send(&mut self, request: &Request) -> Option<Answer> {
        let answer = self.attempt(request).ok();
        if answer.is_none() {
            self.stream = None;
        }
        answer
    }

    /// The answer of a service that nobody kills.
    pub(super) fn ask(&mut self, request: &Request) -> Answer {
        self.send(request).unwrap_or_else(|| panic!("no answer to {request:?}"))
    }

    fn attempt(&mut self, request: &Request) -> std::io::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                none.insert(BufReader::new(stream))
            }
        };
        let Request { method, path, person, key, if_match, body } = request;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut text = format!("{method} /clinic/{path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if path.starts_with("state/") {
            text.push_str("Authorization: Bearer admin-key\r\n");
        }
        if !person.is_empty() {
            text.push_str(&format!("Assent-Person: Practitioner/{person}\r\n"));
        }
        text.extend(key.iter().map(|key| format!("Idempotency-Key: \"{key}\"\r\n")));
        text.extend(if_match.iter().map(|version| format!("If-Match: \"{version}\"\r\n")));
        if *method != "GET" && *method != "DELETE" {
            text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        stream.get_mut().write_all(format!("{text}\r\n{body}").as_bytes())?;
        read(stream)
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    let mut lines = vec![];
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap();
    Ok(Answer { status, headers, body })
}
