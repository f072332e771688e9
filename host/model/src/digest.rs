//! A SHA-256 digest: the name of everything content-addressed (components, settings, releases).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// 32 bytes of SHA-256. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of several parts. Each part is preceded by its length, so that moving bytes
    /// from one part to the next changes the digest.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The digest that these 32 bytes are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A sum of digests modulo 2^256: one number for a set, the same in whatever order and by whatever changes
/// it came about, and kept up with each change without a look at the rest.
///
/// It is an identity against accident. Who can choose what is summed can make two sets with the same sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestSum([u64; 4]);

impl DigestSum {
    /// Adds a digest.
    pub fn add(&mut self, digest: Digest) {
        let mut carry = false;
        for (part, other) in self.0.iter_mut().zip(parts(digest)) {
            let (sum, first) = part.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(carry.into());
            (*part, carry) = (sum, first || second);
        }
    }

    /// Takes a digest away that was added.
    pub fn subtract(&mut self, digest: Digest) {
        let mut borrow = false;
        for (part, other) in self.0.iter_mut().zip(parts(digest)) {
            let (difference, first) = part.overflowing_sub(other);
            let (difference, second) = difference.overflowing_sub(borrow.into());
            (*part, borrow) = (difference, first || second);
        }
    }

    /// The sum as 32 bytes, least significant first.
    pub fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        for (chunk, part) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = part.to_le_bytes();
        }
        Digest(bytes)
    }
}

/// The 256 bits of a digest, least significant part first.
fn parts(digest: Digest) -> [u64; 4] {
    let mut parts = [0; 4];
    for (part, chunk) in parts.iter_mut().zip(digest.0.as_chunks::<8>().0) {
        *part = u64::from_le_bytes(*chunk);
    }
    parts
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| serde::de::Error::custom("expected 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_carries_and_borrows_and_does_not_depend_on_order() {
        let [low, high] = [[0xff; 32], [1; 32]].map(Digest::from_bytes);
        let one = Digest::from_bytes(std::array::from_fn(|place| u8::from(place == 0)));
        let mut sum = DigestSum::default();
        // 2^256 - 1 and one more is nothing.
        sum.add(low);
        sum.add(one);
        assert_eq!(sum, DigestSum::default());
        sum.add(high);
        assert_eq!(sum.digest(), high);
        sum.subtract(one);
        sum.subtract(high);
        assert_eq!(sum.digest(), low);
        let digests: Vec<Digest> = (0..50_u8).map(|byte| Digest::of(&[byte])).collect();
        let (mut forward, mut backward) = (DigestSum::default(), DigestSum::default());
        digests.iter().for_each(|digest| forward.add(*digest));
        digests.iter().rev().for_each(|digest| backward.add(*digest));
        assert_eq!(forward, backward);
        digests.iter().for_each(|digest| forward.subtract(*digest));
        assert_eq!(forward, DigestSum::default());
    }
}
