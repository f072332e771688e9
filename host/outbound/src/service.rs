//! A client of the service itself, for people who look at its state and change it.
//!
//! INVARIANT (one change): every change carries an `Idempotency-Key`, the same for each attempt, so that a change whose
//! answer was lost is not made twice. INVARIANT (a path means what it says): what names a document becomes one step of
//! a path, whatever is in it; what would climb in the path is refused.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::http::{self, ClientError, address, client};

/// For whom the caller acts.
const PERSON: HeaderName = HeaderName::from_static("assent-person");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest answer: a page of 500 documents, each a tenth of what a request may bring.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long is waited before the second and the third attempt: a connection that broke is there again at once, a
/// service that is full asks for a second, and a person waits for both.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Where a service is, and as whom it is asked.
pub struct Service {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    person: Option<HeaderValue>,
}

/// INVARIANT (no secret in an error): the key is not printed.
impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.base)
    }
}

/// What is done with a document or a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Read it.
    #[default]
    Get,
    /// Make it what the body says.
    Put,
    /// Make something of it.
    Post,
    /// Change a part of it.
    Patch,
    /// Remove it.
    Delete,
}

/// A request.
#[derive(Clone, Default)]
pub struct Ask {
    /// What is done.
    pub method: Method,
    /// The steps of the path, without escapes.
    pub path: Vec<String>,
    /// Parameters.
    pub query: Vec<(&'static str, String)>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The `Idempotency-Key` of a change; left out: a random one.
    pub key: Option<String>,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

/// INVARIANT (no patient in logs): paths and bodies name them.
impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ask({:?})", self.method)
    }
}

/// An answer, whatever it says.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// A header; `None` where it is not there, or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it was done.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address or a certificate cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What goes into a header cannot.
    #[error("{0} cannot be sent: expected text without control characters")]
    Header(&'static str),
    /// A step of a path that would name something else.
    #[error("`{0}` cannot be a part of a path")]
    Step(String),
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// Nobody listens there: nothing was sent.
    #[error("{url} cannot be reached: is the service running, and is `--url` right?")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke, or the answer took too long.
    #[error("{url} did not answer{doubt}")]
    NoAnswer {
        /// Where.
        url: String,
        /// What is not known because of it, to follow.
        doubt: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than anything that the service says.
    #[error("{url} answered more than {ANSWER_BYTES_MAX} bytes: is `--url` right?")]
    TooLarge {
        /// Where.
        url: String,
    },
}

impl ServiceError {
    const fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoAnswer { .. })
    }
}

impl Service {
    /// A service at this address, asked with this key, on behalf of this person. With `authorities`, a file of
    /// certificates in PEM, only these vouch for it. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address, a file or a text cannot be used.
    pub fn new(
        url: &str,
        key: &str,
        person: Option<&str>,
        authorities: Option<&Path>,
    ) -> Result<Self, ServiceError> {
        let base = address(url)?;
        let bearer = Zeroizing::new(format!("Bearer {key}"));
        let mut authorization =
            HeaderValue::from_str(&bearer).map_err(|_| ServiceError::Header("the key"))?;
        authorization.set_sensitive(true);
        let header = |text| HeaderValue::from_str(text).map_err(|_| ServiceError::Header("the person"));
        let person = person.map(header).transpose()?;
        Ok(Self { client: client(authorities)?, base, authorization, person })
    }

    /// Sends a request until it is answered, three times at most: again where nobody answers, and where the answer is
    /// that it cannot be done now.
    ///
    /// # Errors
    /// When the last attempt was not answered, or the request cannot be sent at all.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, ServiceError> {
        let url = self.url(ask)?;
        let headers = self.headers(ask)?;
        let mut pauses = PAUSES.iter();
        loop {
            let tried = self.attempt(ask, url.clone(), headers.clone()).await;
            let again = match &tried {
                // Also of what stands in front of it.
                Ok(answer) => matches!(answer.status, 502..=504),
                Err(error) => error.passes(),
            };
            match pauses.next().filter(|_| again) {
                Some(pause) => sleep(*pause).await,
                None => return tried,
            }
        }
    }

    async fn attempt(&self, ask: &Ask, url: Url, headers: HeaderMap) -> Result<Answer, ServiceError> {
        let changes = ask.method != Method::Get;
        let base = || self.base.to_string();
        let broken = |source: reqwest::Error| {
            if source.is_connect() {
                return ServiceError::Unreachable { url: base(), source: source.without_url() };
            }
            let doubt = if changes { ", so it is not known whether the change was made: look" } else { "" };
            ServiceError::NoAnswer { url: base(), doubt, source: source.without_url() }
        };
        let mut request = self.client.request(ask.method.into(), url).headers(headers);
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await.map_err(broken)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = http::body(answer, ANSWER_BYTES_MAX).await.map_err(broken)?;
        let body = body.ok_or_else(|| ServiceError::TooLarge { url: base() })?;
        Ok(Answer { status, body, headers })
    }

    fn url(&self, ask: &Ask) -> Result<Url, ServiceError> {
        if let Some(step) = ask.path.iter().find(|step| matches!(step.as_str(), "" | "." | "..")) {
            return Err(ServiceError::Step(step.clone()));
        }
        let mut url = self.base.clone();
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        Ok(url)
    }

    fn headers(&self, ask: &Ask) -> Result<HeaderMap, ServiceError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.extend(self.person.clone().map(|person| (PERSON, person)));
        for (name, value) in &ask.headers {
            let value = HeaderValue::from_str(value).map_err(|_| ServiceError::Header(name))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if ask.method == Method::Get {
            return Ok(headers);
        }
        let key = ask.key.clone().map_or_else(random_key, Ok)?;
        let key =
            HeaderValue::from_str(&format!("\"{key}\"")).map_err(|_| ServiceError::Header("the key"))?;
        headers.insert(IDEMPOTENCY_KEY, key);
        let kind =
            if ask.method == Method::Patch { "application/merge-patch+json" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(headers)
    }
}

/// 128 random bits.
fn random_key() -> Result<String, ServiceError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(ServiceError::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Put => Self::PUT,
            Method::Post => Self::POST,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(url: &str) -> Service {
        Service::new(url, "secret", Some("Practitioner/dr-lee"), None).unwrap()
    }

    fn ask(path: &[&str]) -> Ask {
        Ask { path: path.iter().map(|step| (*step).to_owned()).collect(), ..Ask::default() }
    }

    #[test]
    fn what_names_a_document_is_one_step_of_the_path() {
        let url = |base, path: &[&str]| service(base).url(&ask(path)).map(|url| url.to_string());
        for (base, path, expected) in [
            ("http://127.0.0.1:1", &["bay", "x"][..], "http://127.0.0.1:1/bay/x"),
            ("http://127.0.0.1:1/pdp/", &["bay", "x"], "http://127.0.0.1:1/pdp/bay/x"),
            ("http://127.0.0.1:1/pdp", &["a/b", "c d?#ä"], "http://127.0.0.1:1/pdp/a%2Fb/c%20d%3F%23%C3%A4"),
            ("http://127.0.0.1:1", &["a%2Fb", "..."], "http://127.0.0.1:1/a%252Fb/..."),
        ] {
            assert_eq!(url(base, path).unwrap(), expected);
        }
        for step in ["", ".", ".."] {
            assert!(matches!(url("http://127.0.0.1:1", &["bay", step, "x"]), Err(ServiceError::Step(_))));
        }
        let mut asked = ask(&["bay"]);
        asked.query = vec![("after", "a&b=ä".to_owned())];
        let url = service("http://127.0.0.1:1").url(&asked).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/bay?after=a%26b%3D%C3%A4");
    }

    #[test]
    fn each_change_has_a_key_of_its_own_and_reading_has_none() {
        let key = |method| {
            let headers = service("http://127.0.0.1:1").headers(&Ask { method, ..Ask::default() }).unwrap();
            headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap().to_owned())
        };
        assert_eq!(key(Method::Get), None);
        let keys: std::collections::BTreeSet<_> =
            [Method::Put, Method::Post, Method::Patch, Method::Delete, Method::Put].map(key).into();
        assert!(keys.len() == 5 && keys.iter().flatten().all(|key| key.len() == 34), "{keys:?}");
    }

    #[test]
    fn what_is_printed_of_a_service_has_no_key_in_it() {
        assert_eq!(format!("{:?}", service("http://127.0.0.1:1")), "Service(http://127.0.0.1:1/)");
        for (key, person) in [("a\nb", None), ("secret", Some("a\nb"))] {
            let error = Service::new("http://127.0.0.1:1", key, person, None).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("secret"), "{error}");
        }
    }
}
