//! One number for all documents of an organization, kept up with each change without a look at the others.
//!
//! It tells a store that was damaged or edited by hand from one that was not, and two nodes whether they hold the
//! same. It is no proof against somebody who can choose documents to make sums collide: what is proved is the
//! audit log, from which a store can be made again.

use assent_model::{Digest, DigestSum};

use crate::document::Key;

/// The sum, modulo 2^256, of the digests of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(DigestSum);

impl Sum {
    /// Adds a document.
    pub fn add(&mut self, key: &Key, body: &str) {
        self.0.add(digest(key, body));
    }

    /// Takes a document away.
    pub fn subtract(&mut self, key: &Key, body: &str) {
        self.0.subtract(digest(key, body));
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.digest().to_string()
    }

    /// Reads what [`Self::to_hex`] wrote.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        let mut sum = DigestSum::default();
        sum.add(Digest::from_bytes(bytes));
        Some(Self(sum))
    }
}

fn digest(key: &Key, body: &str) -> Digest {
    Digest::of_parts([key.kind(), key.id(), body].map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_of_what_was_added_and_not_taken_away_and_reads_what_it_writes() {
        let key = |id: &str| Key::new("entity", id).unwrap();
        let (mut sum, mut other) = (Sum::default(), Sum::default());
        sum.add(&key("a"), "1");
        sum.add(&key("b"), "2");
        other.add(&key("b"), "2");
        assert_ne!(sum, other);
        sum.subtract(&key("a"), "1");
        assert_eq!(sum, other);
        assert_eq!(Sum::from_hex(&sum.to_hex()), Some(sum));
        assert_eq!(Sum::from_hex("no sum"), None);
    }

    #[test]
    fn a_byte_that_moves_from_id_to_body_is_another_document() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        one.add(&Key::new("entity", "ab").unwrap(), "c");
        other.add(&Key::new("entity", "a").unwrap(), "bc");
        assert_ne!(one, other);
    }
}
