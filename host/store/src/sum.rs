//! One number for all documents of an organization, kept up with each change without a look at the others.
//!
//! The sum, modulo 2^256, of the SHA-256 of every document. It tells a store that was damaged or edited by hand
//! from one that was not, and two nodes whether they hold the same. It is no proof against somebody who can choose
//! documents to make sums collide: what is proved is the audit log, from which a store can be made again.

use sha2::{Digest, Sha256};

use crate::document::Key;

/// 256 bits, least significant part first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum([u64; 4]);

impl Sum {
    /// Adds a document.
    pub fn add(&mut self, key: &Key, body: &str) {
        let mut carry = false;
        for (part, other) in self.0.iter_mut().zip(hash(key, body).0) {
            let (sum, first) = part.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(carry.into());
            (*part, carry) = (sum, first || second);
        }
    }

    /// Takes a document away.
    pub fn subtract(&mut self, key: &Key, body: &str) {
        let mut borrow = false;
        for (part, other) in self.0.iter_mut().zip(hash(key, body).0) {
            let (difference, first) = part.overflowing_sub(other);
            let (difference, second) = difference.overflowing_sub(borrow.into());
            (*part, borrow) = (difference, first || second);
        }
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|part| part.to_le_bytes()).collect();
        hex::encode(bytes)
    }

    /// Reads what [`Self::to_hex`] wrote.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut parts = [0; 4];
        for (part, chunk) in parts.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *part = u64::from_le_bytes(*chunk);
        }
        Self(parts)
    }
}

fn hash(key: &Key, body: &str) -> Sum {
    let mut hasher = Sha256::new();
    for part in [key.kind(), key.id(), body] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    Sum::from_bytes(&hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: u8) -> Key {
        Key::new("entity", format!("e{id}")).unwrap()
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_what_is_taken_away_is_gone(
            documents in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..20),
            gone in any::<u8>(),
        ) {
            let mut forward = Sum::default();
            documents.iter().for_each(|(id, body)| forward.add(&key(*id), &body.to_string()));
            let mut backward = Sum::default();
            backward.add(&key(gone), "gone");
            documents.iter().rev().for_each(|(id, body)| backward.add(&key(*id), &body.to_string()));
            prop_assert!(forward != backward);
            backward.subtract(&key(gone), "gone");
            prop_assert_eq!(forward, backward);
            prop_assert_eq!(Sum::from_hex(&forward.to_hex()), Some(forward));
        }
    }

    #[test]
    fn a_byte_that_moves_from_id_to_body_is_another_document() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        one.add(&Key::new("entity", "ab").unwrap(), "c");
        other.add(&Key::new("entity", "a").unwrap(), "bc");
        assert_ne!(one, other);
    }
}
