//! Pairs of numbers, as a set that shares what is equal with the sets it was made from.
//!
//! A pair is one 64-bit number in a B-tree, 18 to 27 bytes with everything; that is what makes indexes
//! over millions of references affordable, where a map from names to lists of names would take ten
//! times as much.

use imbl::OrdSet;

/// A set of pairs, looked up by their first number. Cloning shares it; a change costs a path of the tree.
#[derive(Clone, Default)]
pub struct Pairs(OrdSet<u64>);

impl Pairs {
    /// Adds a pair.
    pub fn insert(&mut self, first: u32, second: u32) {
        self.0.insert(join(first, second));
    }

    /// Takes a pair away.
    pub fn remove(&mut self, first: u32, second: u32) {
        self.0.remove(&join(first, second));
    }

    /// Whether the pair is there.
    pub fn contains(&self, first: u32, second: u32) -> bool {
        self.0.contains(&join(first, second))
    }

    /// The second numbers of all pairs with this first one, ascending.
    pub fn seconds(&self, first: u32) -> impl Iterator<Item = u32> {
        let range = join(first, 0)..=join(first, u32::MAX);
        self.0.range(range).map(|pair| (pair & u64::from(u32::MAX)) as u32)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn join(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pairs({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        /// Enough pairs for a tree of several levels, with copies taken on the way that stay as they were.
        #[test]
        fn pairs_are_a_set_and_copies_stay_as_they_were(
            changes in proptest::collection::vec((0_u32..40, 0_u32..100, 0_u8..3), 0..6_000),
        ) {
            let (mut pairs, mut naive) = (Pairs::default(), BTreeSet::new());
            let mut copies = vec![];
            for (count, (first, second, remove)) in changes.into_iter().enumerate() {
                if count % 500 == 0 {
                    copies.push((pairs.clone(), naive.clone()));
                }
                if remove == 0 {
                    pairs.remove(first, second);
                    naive.remove(&(first, second));
                } else {
                    pairs.insert(first, second);
                    naive.insert((first, second));
                }
                prop_assert_eq!(pairs.contains(first, second), remove != 0);
            }
            copies.push((pairs, naive));
            for (pairs, naive) in copies {
                prop_assert_eq!((pairs.len(), pairs.is_empty()), (naive.len(), naive.is_empty()));
                for first in 0..41 {
                    let expected: Vec<u32> =
                        naive.range((first, 0)..=(first, u32::MAX)).map(|(_, second)| *second).collect();
                    prop_assert_eq!(pairs.seconds(first).collect::<Vec<_>>(), expected);
                }
            }
        }
    }

    #[test]
    fn the_largest_numbers_are_numbers_as_others_are() {
        let mut pairs = Pairs::default();
        for (first, second) in [(0, u32::MAX), (1, 0), (u32::MAX, u32::MAX), (u32::MAX, 0)] {
            pairs.insert(first, second);
        }
        assert_eq!(pairs.seconds(0).collect::<Vec<_>>(), [u32::MAX]);
        assert_eq!(pairs.seconds(u32::MAX).collect::<Vec<_>>(), [0, u32::MAX]);
    }
}
