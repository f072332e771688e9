//! The limits of the service: everything that a peer could make grow has one here.
//!
//! Each default says why it has that value. A limit that would switch a protection off (zero, or
//! beyond what the parser survives) is refused when the service is built, not discovered later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits on what peers send and on how long things take. Unknown names are errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a request body. 1 MiB: a full batch of 100 items with 10 KB each.
    pub body_max_bytes: usize,
    /// Levels of nesting in a body. 32: requests need about six, and the JSON parser's own limit,
    /// which protects the stack, is 128.
    pub json_depth_max: usize,
    /// JSON values in a body. 20,000: a value of two bytes (`1,`) takes some 70 bytes in memory,
    /// so this bounds a body to about 3 MB of memory where its size alone would allow 70 MB.
    pub json_values_max: usize,
    /// Items of a batch. 100: at about 100 µs each, 10 ms of work for one request.
    pub batch_max: usize,
    /// Milliseconds until a body must have arrived. 5,000: the largest body at 200 KB/s.
    pub body_timeout_ms: u64,
    /// Milliseconds until a decision, or a batch of them, must have been made and recorded.
    /// 10,000: a hundred times what a slow disk needs. The work itself goes on, and is recorded.
    pub request_timeout_ms: u64,
    /// Milliseconds until the head of a request must have arrived; also how long an idle
    /// connection is kept. 15,000: longer than the pauses of a busy client's pool.
    pub header_timeout_ms: u64,
    /// Bytes of a request's head. 32 KiB: four times what common proxies let through.
    pub header_max_bytes: usize,
    /// Header fields of a request. 64: browsers send about 20.
    pub headers_max: usize,
    /// Connections open at once. 1,024: the usual limit on open files is the next to be reached.
    /// Further ones wait in the backlog.
    pub connections_max: usize,
    /// Requests for decisions under way at once; further ones are answered 503. 256: at 10,000
    /// requests a second and 10 ms each, 100 are under way.
    pub in_flight_max: usize,
    /// The same for one organization. 128: half, so that one organization whose callers or plugins
    /// are slow leaves the other half to the others.
    pub in_flight_per_organization_max: usize,
    /// Milliseconds until a connection is closed after its current request. 600,000: ten minutes,
    /// so that clients spread over new processes.
    pub connection_lifetime_ms: u64,
    /// Milliseconds that a stopping service waits for what is under way. 30,000: the grace that
    /// orchestrators give before they kill.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_max_bytes: 1 << 20,
            json_depth_max: 32,
            json_values_max: 20_000,
            batch_max: 100,
            body_timeout_ms: 5_000,
            request_timeout_ms: 10_000,
            header_timeout_ms: 15_000,
            header_max_bytes: 32 << 10,
            headers_max: 64,
            connections_max: 1_024,
            in_flight_max: 256,
            in_flight_per_organization_max: 128,
            connection_lifetime_ms: 600_000,
            drain_timeout_ms: 30_000,
        }
    }
}

/// A limit that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is {value}: expected {least} to {most}")]
pub struct LimitError {
    name: &'static str,
    value: u64,
    least: u64,
    most: u64,
}

impl LimitError {
    /// The limit's key.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A day in milliseconds: no wait of this service is longer.
const DAY_MS: u64 = 86_400_000;
/// Bytes that no single body or buffer may exceed.
const BYTES_MOST: u64 = 256 << 20;
/// Counts stay within what a semaphore of the runtime holds.
const COUNT_MOST: u64 = 1 << 20;

impl Limits {
    /// Whether every limit limits, and none is beyond what the service can hold.
    ///
    /// # Errors
    /// The first limit that cannot be used.
    pub fn check(&self) -> Result<(), LimitError> {
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ranges = [
            ("body_max_bytes", size(self.body_max_bytes), 1, BYTES_MOST),
            // Five levels are what a batch with properties needs; 128 is the parser's own end.
            ("json_depth_max", size(self.json_depth_max), 5, 120),
            ("json_values_max", size(self.json_values_max), 16, 10_000_000),
            // The last four digits of a decision id count the items of a batch.
            ("batch_max", size(self.batch_max), 1, crate::http::BATCH_ITEMS_MOST),
            ("body_timeout_ms", self.body_timeout_ms, 1, DAY_MS),
            ("request_timeout_ms", self.request_timeout_ms, 1, DAY_MS),
            ("header_timeout_ms", self.header_timeout_ms, 1, DAY_MS),
            // hyper refuses smaller buffers.
            ("header_max_bytes", size(self.header_max_bytes), 8 << 10, BYTES_MOST),
            ("headers_max", size(self.headers_max), 8, 1_000),
            ("connections_max", size(self.connections_max), 1, COUNT_MOST),
            ("in_flight_max", size(self.in_flight_max), 1, COUNT_MOST),
            ("in_flight_per_organization_max", size(self.in_flight_per_organization_max), 1, COUNT_MOST),
            ("connection_lifetime_ms", self.connection_lifetime_ms, 1, DAY_MS),
            ("drain_timeout_ms", self.drain_timeout_ms, 1, DAY_MS),
        ];
        ranges
            .into_iter()
            .find(|(_, value, least, most)| !(least..=most).contains(&value))
            .map_or(Ok(()), |(name, value, least, most)| Err(LimitError { name, value, least, most }))
    }

    pub(crate) const fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a question waits for a thread to be judged on: half of the time it has, so that a
    /// decision or a denial can still be recorded and answered.
    pub(crate) fn thread_patience(&self) -> Duration {
        self.request_timeout() / 2
    }

    pub(crate) const fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(crate) const fn connection_lifetime(&self) -> Duration {
        Duration::from_millis(self.connection_lifetime_ms)
    }

    pub(crate) const fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn a_limit_that_does_not_limit_is_refused_by_name() {
        let with = |text: &str| serde_json::from_str::<Limits>(text).unwrap().check().map_err(|e| e.name);
        assert_eq!(with(r#"{"in_flight_max":0}"#), Err("in_flight_max"));
        assert_eq!(with(r#"{"in_flight_max":1}"#), Ok(()));
        assert_eq!(with(r#"{"json_depth_max":121}"#), Err("json_depth_max"));
        assert_eq!(with(r#"{"json_depth_max":120}"#), Ok(()));
        assert_eq!(with(r#"{"batch_max":65536}"#), Ok(()));
        assert_eq!(with(r#"{"batch_max":65537}"#), Err("batch_max"));
    }

    #[test]
    fn an_unknown_limit_is_an_error() {
        let error = serde_json::from_str::<Limits>(r#"{"bodymax":3}"#).unwrap_err().to_string();
        assert!(error.contains("bodymax") && error.contains("body_max_bytes"), "{error}");
    }
}
