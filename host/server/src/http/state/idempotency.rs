//! A request that is sent again does nothing again: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! The key is remembered in the same change that the request made, so a crash leaves both or neither. It is the
//! caller's own: nobody learns of another's. The same key with another request is refused.

use assent_audit::record::{StateItem, StateVerb};
use assent_engine::state::IDEMPOTENCY;
use assent_model::{Digest, EntityId, Instant};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::{Problem, Stop};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Bytes of a key: four times what a UUID takes.
const KEY_MAX: usize = 128;

/// A request that can be told when it comes again.
#[derive(Clone)]
pub(super) struct Again {
    id: String,
    fingerprint: Digest,
}

/// What a request was answered, for when it comes again.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    fingerprint: Digest,
    /// When; what is older than a day is forgotten ([`assent_engine::state::LiveState::forget`]).
    pub(super) at: Instant,
    pub(super) status: u16,
    pub(super) body: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    pub(super) version: u64,
}

impl Again {
    /// Of a request with a key; `None` without one.
    pub(super) fn of(
        headers: &HeaderMap,
        (caller, person): (&str, Option<&EntityId>),
        (method, path, body): (&Method, &str, &[u8]),
    ) -> Result<Option<Self>, Stop> {
        let mut values = headers.get_all(HEADER).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().ok(),
            (Some(_), Some(_)) => None,
        };
        let key = value
            .map(str::trim)
            .map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
        let fits = |key: &&str| {
            (1..=KEY_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        };
        let Some(key) = key.filter(fits) else {
            let detail =
                format!("`Idempotency-Key`: expected one, of 1 to {KEY_MAX} letters, digits and signs");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail).into());
        };
        // The person too: what one approved with this key another did not approve.
        let [kind, name] = person.map_or(["", ""], |person| [&*person.kind, &*person.id]);
        let parts = [method.as_str(), path, kind, name].map(str::as_bytes).into_iter().chain([body]);
        Ok(Some(Self { id: format!("{caller} {key}"), fingerprint: Digest::of_parts(parts) }))
    }

    /// The document that remembers it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The answer that it had, if this is the same request.
    pub(super) fn answered(&self, document: &str) -> Result<Answered, Stop> {
        let answered: Option<Answered> = serde_json::from_str(document).ok();
        match answered {
            Some(answered) if answered.fingerprint == self.fingerprint => Ok(answered),
            _ => {
                let detail = "this `Idempotency-Key` was used for another request: use a new one";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", detail).into())
            }
        }
    }

    /// What is remembered, as a part of the change.
    pub(super) fn item(
        &self,
        at: Instant,
        (status, body, location): (StatusCode, &Value, Option<&str>),
        version: u64,
    ) -> Option<StateItem> {
        let answered = Answered {
            fingerprint: self.fingerprint,
            at,
            status: status.as_u16(),
            body: body.clone(),
            location: location.map(str::to_owned),
            version,
        };
        Some(StateItem {
            change: StateVerb::Created,
            section: IDEMPOTENCY.to_owned(),
            target: EntityId::new("Request", self.id.as_str()),
            patient: None,
            payload: serde_json::to_value(answered).ok()?,
        })
    }
}
