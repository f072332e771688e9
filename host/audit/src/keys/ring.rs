//! The data keys a reader needs, unwrapped when first asked for.
//!
//! Holds the last one only: records are read in order, and a key that is not held cannot leak.

use std::sync::Arc;

use super::{Commitment, KeyEncryption, KeyError, SealingKey, WrappedKey};
use crate::log::layout::Layout;

/// Finds and unwraps the data keys of one log.
pub(crate) struct KeyRing {
    layout: Layout,
    origin_hash: [u8; 32],
    kek: Arc<dyn KeyEncryption>,
    held: Option<(u64, SealingKey)>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<keys under {}>", self.kek.id())
    }
}

impl KeyRing {
    /// The keys of a log, openable with `kek`.
    #[must_use]
    pub(crate) const fn new(layout: Layout, origin_hash: [u8; 32], kek: Arc<dyn KeyEncryption>) -> Self {
        Self { layout, origin_hash, kek, held: None }
    }

    /// The key of a segment, which must be the one its header names.
    ///
    /// # Errors
    /// When the key file is missing, damaged, or wrapped with another key.
    pub(crate) fn key(&mut self, segment: u64, commitment: Commitment) -> Result<&SealingKey, KeyError> {
        let held = self.held.take().filter(|(of, key)| *of == segment && key.commitment() == commitment);
        let held = match held {
            Some(held) => held,
            None => (segment, self.unwrap(segment, commitment)?),
        };
        Ok(&self.held.insert(held).1)
    }

    fn unwrap(&self, segment: u64, commitment: Commitment) -> Result<SealingKey, KeyError> {
        let path = self.layout.key(segment);
        let file = WrappedKey::read(&path, segment)?;
        file.expect(&path, commitment)?;
        let key = file.unwrap(&path, &self.origin_hash, self.kek.as_ref())?;
        let unusable = |_| KeyError::Damaged { path, what: "the library refuses the key".to_owned() };
        SealingKey::new(&key, self.origin_hash).map_err(unusable)
    }
}
