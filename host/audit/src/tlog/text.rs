//! The atoms of the C2SP texts: decimal numbers, base64, hashes.
//!
//! Each has exactly one spelling here, because a signature covers the spelling: numbers have no sign and no leading
//! zero, base64 is the standard one of RFC 4648 section 4 with padding and without stray bits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;

/// The most hashes a proof can have: one for each level of a tree whose size fits in 64 bits.
pub(super) const PROOF_HASHES_MAX: usize = 64;

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(super) fn decode_hash(text: &str) -> Option<Hash> {
    decode(text)?.try_into().ok()
}

/// An ASCII decimal without sign or leading zeros, at most `u64::MAX`.
pub(super) fn decode_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits { text.parse().ok() } else { None }
}
