//! Who may ask: the registry of callers and how each proves who it is.
//!
//! A caller proves itself by a bearer key, kept here only as its SHA-256; or, for one caller at
//! most, by asking from this machine itself. The second holds only while nothing but this machine
//! can reach the service: the listener and the peer are loopback addresses, no proxy has touched
//! the request, and its `Host` is this machine (a web page that rebinds its name to 127.0.0.1
//! still sends its own name). Whatever cannot be told is not a caller.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use assent_engine::Caller;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, VIA};
use sha2::{Digest, Sha256};

/// A caller with what proves that it is the caller.
#[derive(Clone, Debug)]
pub struct RegisteredCaller {
    /// The caller.
    pub caller: Caller,
    /// Its proof.
    pub credential: Credential,
}

/// What proves who a caller is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// That it asks from this machine, without any credential.
    Loopback,
    /// A bearer key with this SHA-256; see [`key_digest`].
    KeySha256([u8; 32]),
}

/// The digest of a key is no secret to speak of, but has no business in a log either.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loopback => f.write_str("Loopback"),
            Self::KeySha256(_) => f.write_str("KeySha256(<redacted>)"),
        }
    }
}

/// The two ends of the connection that a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The address of the peer.
    pub peer: SocketAddr,
    /// The address that the service listens on.
    pub listener: SocketAddr,
}

/// All registered callers.
#[derive(Default)]
pub struct Callers {
    keyed: Vec<([u8; 32], Arc<Caller>)>,
    loopback: Option<Arc<Caller>>,
}

/// Callers are named; the digests of their keys have no business in a log.
impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|caller| &caller.id)).finish()
    }
}

/// Why callers cannot be registered together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallersError {
    /// Two callers have the same id.
    #[error("two callers have the id `{0}`")]
    DuplicateId(String),
    /// Two callers have the same key.
    #[error("callers `{0}` and `{1}` have the same key")]
    DuplicateKey(String, String),
    /// Two callers claim the loopback interface.
    #[error("callers `{0}` and `{1}` both claim requests without a key: expected at most one")]
    DuplicateLoopback(String, String),
    /// A key is empty.
    #[error("caller `{0}` has an empty key")]
    EmptyKey(String),
}

/// Why a request comes from no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential was sent, and none could be done without.
    Missing,
    /// The credential is malformed or belongs to no caller.
    Invalid,
}

/// The SHA-256 of a bearer key, as configuration stores it.
pub fn key_digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

impl Callers {
    /// The registry of these callers.
    ///
    /// # Errors
    /// When two of them could be taken for each other, or a key is empty.
    pub fn new(registered: impl IntoIterator<Item = RegisteredCaller>) -> Result<Self, CallersError> {
        let mut callers = Self::default();
        for RegisteredCaller { caller, credential } in registered {
            if callers.iter().any(|other| other.id == caller.id) {
                return Err(CallersError::DuplicateId(caller.id));
            }
            match credential {
                Credential::Loopback => {
                    if let Some(other) = &callers.loopback {
                        return Err(CallersError::DuplicateLoopback(other.id.clone(), caller.id));
                    }
                    callers.loopback = Some(Arc::new(caller));
                }
                Credential::KeySha256(digest) => {
                    if digest == key_digest("") {
                        return Err(CallersError::EmptyKey(caller.id));
                    }
                    if let Some((_, other)) = callers.keyed.iter().find(|(key, _)| *key == digest) {
                        return Err(CallersError::DuplicateKey(other.id.clone(), caller.id));
                    }
                    callers.keyed.push((digest, Arc::new(caller)));
                }
            }
        }
        Ok(callers)
    }

    /// All callers.
    pub fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.keyed.iter().map(|(_, caller)| caller).chain(&self.loopback).map(Arc::as_ref)
    }

    /// The caller that this request comes from. A credential that is sent must be right, even
    /// where none is needed.
    ///
    /// # Errors
    /// When it comes from none.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        connection: Option<&Connection>,
    ) -> Result<&Arc<Caller>, Unauthenticated> {
        let mut credentials = headers.get_all(AUTHORIZATION).iter();
        match (credentials.next(), credentials.next()) {
            (None, _) => self
                .loopback
                .as_ref()
                .filter(|_| connection.is_some_and(Connection::is_within_this_machine) && is_direct(headers))
                .ok_or(Unauthenticated::Missing),
            (Some(credential), None) => {
                let key = credential.to_str().ok().and_then(bearer_key).ok_or(Unauthenticated::Invalid)?;
                self.by_key(key).ok_or(Unauthenticated::Invalid)
            }
            (Some(_), Some(_)) => Err(Unauthenticated::Invalid),
        }
    }

    /// Compares with every key, and each in full, so that the time taken says nothing about them.
    fn by_key(&self, key: &str) -> Option<&Arc<Caller>> {
        let digest = key_digest(key);
        let mut found = None;
        for (known, caller) in &self.keyed {
            let difference = known.iter().zip(&digest).fold(0, |difference, (a, b)| difference | (a ^ b));
            if std::hint::black_box(difference) == 0 {
                found = Some(caller);
            }
        }
        found
    }
}

/// The key in `Bearer <key>` (RFC 6750, section 2.1). The scheme's case does not matter.
fn bearer_key(credential: &str) -> Option<&str> {
    let (scheme, key) = credential.split_once(' ')?;
    let key = key.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

impl Connection {
    fn is_within_this_machine(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback() && self.listener.ip().to_canonical().is_loopback()
    }
}

/// Whether the request was sent to this machine by name and passed on by no proxy that says so.
fn is_direct(headers: &HeaderMap) -> bool {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
    let proxied = [FORWARDED, VIA, X_FORWARDED_FOR, X_REAL_IP].iter().any(|name| headers.contains_key(name));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    !proxied && host.is_some_and(names_this_machine)
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
