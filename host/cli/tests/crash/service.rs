//! The process that is killed, and a client that tells an answer from none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

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
    pub(super) fn while_it_stands<T>(&mut self, take: impl FnOnce() -> T) -> T {
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
