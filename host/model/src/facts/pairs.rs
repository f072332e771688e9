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
