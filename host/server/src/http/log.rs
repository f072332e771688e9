//! One line for each completed request: names, counts, codes and durations.
//!
//! INVARIANT (no patient in logs): nothing of a body, a path or an id is here. The only text that
//! comes from outside is the request id, which is escaped and cut.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Duration;

use assent_engine::ProblemCode;
use assent_model::{Cause, OrganizationId};

/// Characters of a request id that are logged: a UUID has 36, a trace context 55.
const REQUEST_ID_LOGGED: usize = 64;

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
        write!(f, " duration_us={}", self.duration.as_micros())
    }
}

/// Writes lines to standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct StderrLog;

impl RequestLog for StderrLog {
    fn completed(&self, request: &CompletedRequest) {
        let mut line = String::new();
        // One write for the whole line, so that lines of two requests never mix. A standard error
        // that is closed must not fail a request.
        let written = writeln!(line, "{request}").is_ok();
        drop(written.then(|| std::io::stderr().lock().write_all(line.as_bytes())));
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
