//! One line for each completed request: names, counts, codes and durations.
//!
//! INVARIANT (no patient in logs): nothing of a body, a path or an id is here. The only text that
//! comes from outside is the request id, which is escaped and cut.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assent_engine::ProblemCode;
use assent_model::{Cause, OrganizationId};

/// Characters of a request id that are logged: a UUID has 36, a trace context 55.
const REQUEST_ID_LOGGED: usize = 64;

/// Lines that wait to be written: a second's at the highest rates measured.
const LINES_WAITING: usize = 16_384;
/// How long the end of the service waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Notes completed requests.
pub trait RequestLog: Send + Sync + fmt::Debug {
    /// Notes one.
    fn completed(&self, request: &CompletedRequest);
}

/// What is noted of a request. `Display` is the line, in `name=value` pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedRequest {
    /// The request id, escaped to printable ASCII without quotes or blanks, and cut.
    pub request_id: String,
    /// The method; `other` where it is none of HTTP's own.
    pub method: &'static str,
    /// The route as registered, such as `/{organization}/access/v1/evaluation`; `none`.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
    /// The caller, once authenticated.
    pub caller: Option<String>,
    /// The organization, once the caller is known to be allowed to ask about it.
    pub organization: Option<OrganizationId>,
    /// What was decided.
    pub tally: Tally,
    /// Whether the request ended in a panic.
    pub panicked: bool,
    /// Why the audit log could not be read: files and numbers, for the operator.
    pub unreadable: Option<String>,
    /// From the end of the request's head to the beginning of the answer.
    pub duration: Duration,
}

/// Decisions counted by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Decisions by cause.
    pub causes: BTreeMap<Cause, u32>,
    /// Problems by kind.
    pub problems: BTreeMap<ProblemCode, u32>,
    /// Items of a batch that were malformed or failed.
    pub item_errors: u32,
}

/// The request id as it may be logged.
pub(super) fn loggable(request_id: &[u8]) -> String {
    let escaped = request_id.iter().flat_map(|byte| match byte {
        b' ' | b'=' => format!("\\x{byte:02x}").into_bytes(),
        _ => std::ascii::escape_default(*byte).collect(),
    });
    escaped.take(REQUEST_ID_LOGGED).map(char::from).collect()
}

impl fmt::Display for CompletedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "request_id={} method={} route={} status={}",
            self.request_id, self.method, self.route, self.status
        )?;
        if let Some(caller) = &self.caller {
            write!(f, " caller={caller:?}")?;
        }
        if let Some(organization) = &self.organization {
            write!(f, " organization={organization}")?;
        }
        for (cause, count) in &self.tally.causes {
            write!(f, " {}={count}", cause.code())?;
        }
        for (problem, count) in &self.tally.problems {
            write!(f, " problem.{}={count}", problem.code())?;
        }
        if self.tally.item_errors > 0 {
            write!(f, " item_errors={}", self.tally.item_errors)?;
        }
        if self.panicked {
            f.write_str(" panicked=true")?;
        }
        if let Some(unreadable) = &self.unreadable {
            write!(f, " unreadable={unreadable:?}")?;
        }
        write!(f, " duration_us={}", self.duration.as_micros())
    }
}

/// Writes lines to standard error, from a thread of its own: whoever reads them may be slow or stuck, and no request
/// waits for that. What has no room is left out and counted.
#[derive(Debug)]
pub struct StderrLog {
    /// Gone once it is dropped.
    lines: Option<SyncSender<String>>,
    /// Says that the thread has ended.
    ended: Mutex<Receiver<Infallible>>,
    left_out: AtomicU64,
}

impl StderrLog {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn start() -> std::io::Result<Self> {
        Self::writing_to(std::io::stderr())
    }

    fn writing_to(mut out: impl std::io::Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, written) = sync_channel::<String>(LINES_WAITING);
        let (alive, ended) = sync_channel(0);
        std::thread::Builder::new().name("request-log".to_owned()).spawn(move || {
            let _alive = alive;
            for line in written {
                // One write for the whole line, so that lines of two requests never mix. A standard error that
                // is closed must not fail a request.
                drop(out.write_all(line.as_bytes()));
            }
        })?;
        Ok(Self { lines: Some(lines), ended: Mutex::new(ended), left_out: AtomicU64::new(0) })
    }

    fn write(&self, line: String) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok())
    }
}

impl RequestLog for StderrLog {
    fn completed(&self, request: &CompletedRequest) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 && !self.write(format!("lines_left_out={left_out}\n")) {
            self.left_out.fetch_add(left_out, Ordering::Relaxed);
        }
        let mut line = String::new();
        if writeln!(line, "{request}").is_err() || !self.write(line) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Waits for the last lines, but not for a reader that is stuck.
impl Drop for StderrLog {
    fn drop(&mut self) {
        self.lines = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _it_ended_or_is_stuck = ended.recv_timeout(LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_cannot_forge_a_line_or_a_field() {
        assert_eq!(loggable(b"6f9c-41"), "6f9c-41");
        assert_eq!(loggable(b"a status=200"), "a\\x20status\\x3d200");
        assert_eq!(loggable("é\u{2028}\x1b[2J\"\n".as_bytes()), r#"\xc3\xa9\xe2\x80\xa8\x1b[2J\"\n"#);
        assert_eq!(loggable(&[b'a'; 1_000]).len(), REQUEST_ID_LOGGED);
    }

    /// A pipe that nobody reads until it is told to.
    struct Stuck(Receiver<()>, SyncSender<String>);

    impl std::io::Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.recv().map_err(std::io::Error::other)?;
            self.1.send(String::from_utf8_lossy(bytes).into_owned()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_holds_up_no_request_and_learns_what_it_missed() {
        let (go_on, wait) = sync_channel(2 * LINES_WAITING);
        let (seen, lines) = sync_channel(2 * LINES_WAITING);
        let log = StderrLog::writing_to(Stuck(wait, seen)).unwrap();
        let request = CompletedRequest {
            request_id: "r".into(),
            method: "GET",
            route: "none".into(),
            status: 404,
            caller: None,
            organization: None,
            tally: Tally::default(),
            panicked: false,
            unreadable: Some("disk".into()),
            duration: Duration::ZERO,
        };
        for _ in 0..LINES_WAITING + 100 {
            log.completed(&request);
        }
        let left_out = log.left_out.load(Ordering::Relaxed);
        // One more may be in the thread's hands.
        assert!((99..=100).contains(&left_out), "{left_out}");
        for _ in 0..LINES_WAITING {
            go_on.send(()).unwrap();
        }
        for _ in 0..LINES_WAITING {
            assert!(lines.recv().unwrap().ends_with(" unreadable=\"disk\" duration_us=0\n"));
        }
        for _ in 0..100 {
            go_on.send(()).unwrap();
        }
        log.completed(&request);
        let said = std::iter::from_fn(|| lines.recv_timeout(Duration::from_secs(60)).ok());
        assert_eq!(said.take(2).filter(|line| *line == format!("lines_left_out={left_out}\n")).count(), 1);
    }

    #[test]
    fn the_line_names_outcomes_and_nothing_else() {
        let line = CompletedRequest {
            request_id: "r1".into(),
            method: "POST",
            route: "/{organization}/access/v1/evaluations".into(),
            status: 200,
            caller: Some("portal".into()),
            organization: Some(OrganizationId::new("bay").unwrap()),
            tally: Tally {
                causes: [(Cause::Permit, 2), (Cause::Indeterminate, 1)].into(),
                problems: [(ProblemCode::Plugin, 1)].into(),
                item_errors: 1,
            },
            panicked: false,
            unreadable: None,
            duration: Duration::from_micros(140),
        };
        assert_eq!(
            line.to_string(),
            "request_id=r1 method=POST route=/{organization}/access/v1/evaluations status=200 \
             caller=\"portal\" organization=bay permit=2 indeterminate=1 problem.plugin=1 item_errors=1 \
             duration_us=140"
        );
    }
}
