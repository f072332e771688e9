//! An HTTP collector: a batch is one `POST`, and delivered when the answer is 2xx.
//!
//! JSON lines and OCSF go as one object a line. FHIR goes as IHE ITI-20 has it (ATX: FHIR Feed): to an address
//! that ends in `/AuditEvent` each resource by itself, to any other, a server's base, as a `batch` Bundle whose
//! answer says for each entry what became of it.
//! INVARIANT (no patient in logs): of an answer only statuses are kept; a body may echo what was sent.

use std::time::Duration;

use assent_audit::export::Format;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::definition::Exporter;
use super::error::{DefinitionError, Failure};
use super::feed::Item;
use super::pace::Pace;
use crate::http;

/// An answer to a Bundle has some hundred bytes for each entry; servers that send the resources back send a
/// few times what they got.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// What is read of an answer that nobody looks at, so that its connection can be used again.
const IGNORED_BYTES_MAX: usize = 64 << 10;

/// The receiving end.
pub(super) struct Collector {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    /// One resource for each request.
    Resource,
    /// A Bundle of resources.
    Bundle,
}

/// What a collector answered for.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// How many, from the first on, it took or refused.
    pub(super) count: usize,
    /// Which of these it refused, while it took others.
    pub(super) refused: Vec<usize>,
    /// Why it did not answer for the next.
    pub(super) failure: Option<Failure>,
}

impl Collector {
    /// A collector at this address, spoken to as the exporter's certificates and token say.
    pub(super) fn new(exporter: &Exporter, url: &Url) -> Result<Self, DefinitionError> {
        let client = http::client_as(exporter.authorities.as_deref(), exporter.identity.as_ref())?;
        let authorization = match &exporter.token {
            None => None,
            Some(token) if token.is_empty() => return Err(DefinitionError::Token),
            Some(token) => {
                let header = HeaderValue::from_str(&format!("Bearer {}", token.as_str()));
                let mut header = header.map_err(|_| DefinitionError::Token)?;
                header.set_sensitive(true);
                Some(header)
            }
        };
        let resource = url.path().trim_end_matches('/').ends_with("/AuditEvent");
        let form = match exporter.format {
            Format::Fhir if resource => Form::Resource,
            Format::Fhir => Form::Bundle,
            Format::JsonLines | Format::Ocsf | Format::Syslog => Form::Lines,
        };
        Ok(Self { client, url: url.clone(), authorization, form })
    }

    /// Sends these.
    pub(super) async fn send(&self, items: &[Item], pace: &Pace) -> Answered {
        match self.form {
            Form::Lines => self.lines(items, pace).await,
            Form::Bundle => self.bundle(items, pace).await,
            Form::Resource => {
                let mut answered = Answered::default();
                for item in items {
                    let sent = self.post(item.text.clone(), FHIR, pace).await;
                    match sent {
                        Ok(answer) => drop(ignored(answer, pace).await),
                        Err(failure) => {
                            answered.failure = Some(failure);
                            break;
                        }
                    }
                    answered.count += 1;
                }
                answered
            }
        }
    }

    async fn lines(&self, items: &[Item], pace: &Pace) -> Answered {
        let mut body = String::with_capacity(items.iter().map(|item| item.text.len() + 1).sum());
        for item in items {
            body.push_str(&item.text);
            body.push('\n');
        }
        match self.post(body, "application/x-ndjson", pace).await {
            Ok(answer) => {
                drop(ignored(answer, pace).await);
                Answered { count: items.len(), ..Answered::default() }
            }
            Err(failure) => Answered { failure: Some(failure), ..Answered::default() },
        }
    }

    async fn bundle(&self, items: &[Item], pace: &Pace) -> Answered {
        let entries: Vec<String> = items
            .iter()
            .map(|item| {
                format!(r#"{{"resource":{},"request":{{"method":"POST","url":"AuditEvent"}}}}"#, item.text)
            })
            .collect();
        let body = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#, entries.join(","));
        let fail = |failure| Answered { failure: Some(failure), ..Answered::default() };
        let answer = match self.post(body, FHIR, pace).await {
            Ok(answer) => answer,
            Err(failure) => return fail(failure),
        };
        let bytes = match http::body(answer, ANSWER_BYTES_MAX).await {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return fail(failed(error)),
        };
        let Some(statuses) = statuses(&bytes).filter(|statuses| statuses.len() == items.len()) else {
            return fail(Failure::Garbage { expected: "a Bundle with an answer for each entry" });
        };
        judge(&statuses)
    }

    async fn post(&self, body: String, content_type: &'static str, pace: &Pace) -> Result<Response, Failure> {
        let mut request = self.client.post(self.url.clone()).timeout(pace.exchange);
        request = request.header(CONTENT_TYPE, content_type).header(ACCEPT, "application/json").body(body);
        if content_type == FHIR {
            request = request.header(ACCEPT, FHIR).header("prefer", "return=minimal");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        Err(status_failure(status.as_u16(), retry_after(&answer)))
    }
}

const FHIR: &str = "application/fhir+json";

/// Reads an answer that nobody looks at.
async fn ignored(answer: Response, pace: &Pace) -> Option<Vec<u8>> {
    let read = http::body(answer, IGNORED_BYTES_MAX);
    tokio::time::timeout(pace.exchange, read).await.ok()?.ok()?
}

/// Seconds; a date is not read, and counts as not given.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// 400, 413 and 422 are about what was sent; everything else about the receiver, or about who we are to it.
fn status_failure(status: u16, retry_after: Option<Duration>) -> Failure {
    match status {
        400 | 413 | 422 => Failure::Refused { status },
        _ => Failure::Status { status, retry_after },
    }
}

fn failed(error: reqwest::Error) -> Failure {
    if error.is_timeout() { Failure::Timeout { what: "answer" } } else { Failure::Http(error.without_url()) }
}

/// The status of each entry of a `batch-response` (FHIR R4, Bundle.entry.response.status: `201 Created`).
fn statuses(bytes: &[u8]) -> Option<Vec<u16>> {
    let bundle: Value = serde_json::from_slice(bytes).ok()?;
    let entries = bundle.get("entry")?.as_array()?;
    let status = |entry: &Value| {
        let status = entry.get("response")?.get("status")?.as_str()?;
        status.split(' ').next()?.parse().ok()
    };
    entries.iter().map(status).collect()
}

/// What an answer for each says. Where a server had other reasons than the record, all after it are sent again.
fn judge(statuses: &[u16]) -> Answered {
    let mut answered = Answered::default();
    for (index, status) in statuses.iter().enumerate() {
        match status {
            200..=299 => {}
            status => match status_failure(*status, None) {
                Failure::Refused { .. } => answered.refused.push(index),
                failure => {
                    answered.failure = Some(failure);
                    break;
                }
            },
        }
        answered.count = index + 1;
    }
    // One that takes nothing has something against us, not against a record.
    if answered.count > 0
        && answered.refused.len() == answered.count
        && let Some(status) = statuses.first()
    {
        return Answered { failure: Some(Failure::Refused { status: *status }), ..Answered::default() };
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_of_a_bundle_is_answered_for() {
        let bundle = |statuses: &[&str]| {
            let entries: Vec<_> = statuses
                .iter()
                .map(|status| serde_json::json!({ "response": { "status": status } }))
                .collect();
            serde_json::json!({ "resourceType": "Bundle", "entry": entries }).to_string()
        };
        assert_eq!(statuses(bundle(&["201 Created", "422"]).as_bytes()), Some(vec![201, 422]));
        for garbage in ["", "[]", "{}", r#"{"entry":[{}]}"#, r#"{"entry":[{"response":{"status":"ok"}}]}"#] {
            assert_eq!(statuses(garbage.as_bytes()), None, "{garbage}");
        }
        let told = |statuses: &[u16]| {
            let Answered { count, refused, failure } = judge(statuses);
            (count, refused, failure.map(|failure| failure.to_string()))
        };
        assert_eq!(told(&[201, 200]), (2, vec![], None));
        assert_eq!(told(&[201, 422, 201]), (3, vec![1], None));
        let (count, refused, failure) = told(&[201, 400, 503, 201]);
        assert_eq!((count, refused), (2, vec![1]));
        assert!(failure.unwrap().contains("503"));
        let (count, refused, failure) = told(&[422, 400]);
        assert_eq!((count, refused), (0, vec![]));
        assert!(failure.unwrap().contains("refuses"));
    }
}
