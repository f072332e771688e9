//! One digest for a set of things, kept up with each change without a look at the rest of the set.
//!
//! This is LtHash (Bellare and Micciancio 1997, "A new paradigm for collision-free hashing"; Lewi, Kim, Maykov and
//! Weis 2019, "Securing update propagation with homomorphic hashing"): each element is expanded to 1,024 numbers of
//! 16 bits, and these are added lane by lane. To find two sets with one hash is then to solve a lattice problem,
//! some 2^200 steps at this width. A plain sum of digests would not do: the generalised birthday attack (Wagner
//! 2002) finds two sets with one sum in practice. The expansion is SHA-256 in counter mode, since that is the hash we
//! have everywhere: 6 µs for an element, and 33 µs where a processor has no instructions for it.
//!
//! INVARIANT (a decision replays): records keep such digests for as long as their log is kept, so how they are
//! counted is written down here and pinned by a test.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// Numbers of 16 bits in the state.
const LANES: usize = 1_024;
/// Lanes that one SHA-256 fills.
const LANES_OF_BLOCK: usize = 16;

/// What every input begins with. Whoever changes how sets are hashed changes its number. With it, an element and the
/// number of a block the input is 48 bytes, which SHA-256 takes as one block of its own.
const FORM: &[u8] = b"assent-set-1";

/// The hash of a set of elements that are digests: the same in whatever order they came, and whatever came and went
/// meanwhile. Each element must be in it once at most: 65,536 times the same is nothing.
///
/// Lanes 16 n to 16 n + 15 of an element are the 32 bytes of the SHA-256 of [`FORM`], the element, and n in four
/// bytes, most significant first; each lane is two of them, least significant first.
#[derive(Clone, PartialEq, Eq)]
pub struct SetHash(Box<[u16; LANES]>);

impl SetHash {
    /// Adds an element, which is not in the set.
    pub fn insert(&mut self, element: Digest) {
        self.combine(element, u16::wrapping_add);
    }

    /// Takes an element away, which is in the set.
    pub fn remove(&mut self, element: Digest) {
        self.combine(element, u16::wrapping_sub);
    }

    fn combine(&mut self, element: Digest, with: impl Fn(u16, u16) -> u16) {
        let (blocks, _) = self.0.as_chunks_mut::<LANES_OF_BLOCK>();
        for (lanes, number) in blocks.iter_mut().zip(0_u32..) {
            let hash = Sha256::new().chain_update(FORM).chain_update(element.as_bytes());
            let block: [u8; 32] = hash.chain_update(number.to_be_bytes()).finalize().into();
            for (lane, bytes) in lanes.iter_mut().zip(block.as_chunks::<2>().0) {
                *lane = with(*lane, u16::from_le_bytes(*bytes));
            }
        }
    }

    /// The digest of the set: of [`FORM`] and the state as [`Self::to_bytes`] gives it, each with its length before
    /// it.
    pub fn digest(&self) -> Digest {
        Digest::of_parts([FORM, &self.to_bytes()])
    }

    /// The state, to go on from later: 2,048 bytes, each lane as two, least significant first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// The state that [`Self::to_bytes`] gave; `None` where these are not as many bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let lanes: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let lanes = lanes.into_boxed_slice().try_into().ok()?;
        rest.is_empty().then_some(Self(lanes))
    }
}

/// The hash of the empty set.
impl Default for SetHash {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl fmt::Debug for SetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetHash({:?})", self.digest())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(elements: impl IntoIterator<Item = u16>) -> SetHash {
        let mut hash = SetHash::default();
        elements.into_iter().for_each(|element| hash.insert(element_of(element)));
        hash
    }

    fn element_of(number: u16) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    /// Counted apart from this code, from the form as it is described. Whoever sees this fail has changed what
    /// recorded facts are called.
    #[test]
    fn the_digest_of_a_set_stays_what_it_is() {
        let digests = [of([]), of([0]), of([0, 1, 2])].map(|hash| hash.digest().to_string());
        assert_eq!(
            digests,
            [
                "b30081f393f59622b4b7576958bb7f07375c74bc661a08d94769054cec8ee32f",
                "762da35fbab2f39dc8b57adeb05b98fb0d17c8579a0dfdc4301b329ee6bee5cf",
                "e1728ef966944ecf9ba1e57fa20f0cd1de0ed1b5528bfca1ad262d9c526bbb1a",
            ]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes and goes, in whatever order: the hash is that of the set there is, and of no other.
        #[test]
        fn a_hash_is_that_of_the_set_however_it_came_about(
            steps in proptest::collection::vec((any::<bool>(), 0_u16..12), 0..40),
        ) {
            let (mut hash, mut set) = (SetHash::default(), BTreeSet::new());
            let mut seen = BTreeSet::from([(hash.digest(), set.clone())]);
            for (comes, element) in steps {
                if comes && set.insert(element) {
                    hash.insert(element_of(element));
                } else if !comes && set.remove(&element) {
                    hash.remove(element_of(element));
                }
                prop_assert_eq!(&hash, &of(set.iter().rev().copied()));
                prop_assert_eq!(SetHash::from_bytes(&hash.to_bytes()), Some(hash.clone()));
                seen.insert((hash.digest(), set.clone()));
            }
            let digests: BTreeSet<_> = seen.iter().map(|(digest, _)| digest).collect();
            let sets: BTreeSet<_> = seen.iter().map(|(_, set)| set).collect();
            prop_assert_eq!((digests.len(), sets.len()), (seen.len(), seen.len()));
        }
    }

    #[test]
    fn a_state_of_another_length_is_none() {
        let bytes = of([7]).to_bytes();
        assert_eq!(bytes.len(), 2_048);
        let longer = [&bytes[..], &[0]].concat();
        for wrong in [&bytes[..2_047], &bytes[..2_046], &longer, &[]] {
            assert_eq!(SetHash::from_bytes(wrong), None, "{}", wrong.len());
        }
    }
}
