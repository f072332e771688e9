//! One hash for all documents of an organization, kept up with each change without a look at the others.
//!
//! It tells a store that was damaged or edited by hand from one that was not, and two nodes whether they hold the
//! same. Nobody can choose documents such that others have the same hash; but whoever writes to the database can write
//! another hash as well. What is proved is the audit log, from which a store can be made again. Stored are all lanes of
//! the hash, since their digest could not be kept up with a change.

use assent_model::{Digest, SetHash};

use crate::document::Key;

/// The hash of a set of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum(SetHash);

impl Sum {
    /// Adds a document.
    pub fn add(&mut self, key: &Key, body: &str) {
        self.0.insert(digest(key, body));
    }

    /// Takes a document away.
    pub fn subtract(&mut self, key: &Key, body: &str) {
        self.0.remove(digest(key, body));
    }

    /// The state of the hash, from which the next change goes on: 4,096 lower-case hexadecimal digits.
    pub(crate) fn to_hex(&self) -> String {
        hex::encode(self.0.to_bytes())
    }

    /// Reads what [`Self::to_hex`] wrote.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        SetHash::from_bytes(&hex::decode(text).ok()?).map(Self)
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
        assert_eq!(Sum::from_hex("00"), None);
    }

    #[test]
    fn a_byte_that_moves_from_id_to_body_is_another_document() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        one.add(&Key::new("entity", "ab").unwrap(), "c");
        other.add(&Key::new("entity", "a").unwrap(), "bc");
        assert_ne!(one, other);
    }
}
