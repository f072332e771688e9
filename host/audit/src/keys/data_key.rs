//! What seals the records of one segment, and how the log names it without holding it.
//!
//! AES-GCM does not commit to its key: somebody with two keys could make one ciphertext that opens
//! to two contents. The [`Commitment`] in every envelope and segment header fixes the key, so a
//! record has one content only. A key is wiped when dropped and has no `Debug`.

use std::fmt;

use aws_lc_rs::rand;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::KeyError;

const COMMITMENT_DOMAIN: &[u8] = b"assent dek commitment";

/// The key of one segment: 32 random bytes.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new key from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(key.as_mut_slice()).map_err(|_| KeyError::Random)?;
        Ok(Self(key))
    }

    /// A key that was unwrapped.
    #[must_use]
    pub const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The key itself: only for wrapping and sealing.
    #[must_use]
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of `assent dek commitment` and the key.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        let mut hash = Sha256::new();
        hash.update(COMMITMENT_DOMAIN);
        hash.update(self.reveal());
        Commitment(hash.finalize().into())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<data key>")
    }
}

/// Names a data key and fixes it, without saying anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment(pub [u8; 32]);

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
