//! The hash tree: which root a list of entries has, and what proves that an entry or an older tree is part of it.
//!
//! The tree is that of RFC 6962 section 2.1, restated in RFC 9162 section 2.1, over SHA-256: a leaf is
//! hashed behind 0x00, an inner node behind 0x01, so that neither can pass for the other. [`Frontier`]
//! grows a tree in O(log n) memory, [`inclusion`] and [`consistency`] make proofs from stored hashes, and
//! the two `verify` functions are the verification algorithms of RFC 9162 word for word.
//! INVARIANT (a proof proves one thing): a proof that verifies has exactly the length that its sizes
//! require, and no other root, index or leaf verifies with it. (A size is only bound as far as it shapes the
//! path; it is the signed checkpoint that binds size and root to each other.)

use sha2::{Digest as _, Sha256};

/// A SHA-256 value: of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

/// The root of a tree without entries: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The largest tree that can be grown. The Go tools hold sizes in an `int64`, so larger ones could not be audited
/// with them; and no log gets there, which is why [`Frontier::push`] cannot overflow.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// A tree as others know it: how many entries it has, and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The number of entries.
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
}

impl Tree {
    /// The tree without entries.
    pub const EMPTY: Tree = Tree { size: 0, root: EMPTY_ROOT };
}

/// Why a proof does not hold, or cannot exist.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// There is no such entry.
    #[error("entry {index} is not in a tree of {size} entries")]
    NoSuchEntry {
        /// The entry that was asked for, counted from 0.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A tree cannot shrink.
    #[error("a tree of {new} entries cannot contain an older one of {old}")]
    Shrinks {
        /// The size of the older tree.
        old: u64,
        /// The size of the newer tree.
        new: u64,
    },
    /// The proof is too long or too short for its sizes.
    #[error("the proof has {found} hashes, which is not the number these sizes require")]
    WrongLength {
        /// The number of hashes in the proof.
        found: usize,
    },
    /// The proof leads elsewhere: something was changed.
    #[error("the proof leads to another root than the one given")]
    WrongRoot,
    /// A stored tree is not one that can be grown.
    #[error("{found} hashes do not make a tree of {size} entries")]
    BadFrontier {
        /// The size given.
        size: u64,
        /// The number of hashes given.
        found: usize,
    },
}

/// The hash of an entry: SHA-256 of 0x00 and the entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into()
}

/// The hash of an inner node: SHA-256 of 0x01, the left and the right child.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// A growing tree, of which only the right edge is kept: at most 63 hashes, whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees that the tree consists of, the largest (leftmost) first:
    /// one for each bit that is set in `size`.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// Adds an entry at the end, by its [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Adding one to `size` carries over its trailing ones; each is a subtree that the new one completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all entries; [`EMPTY_ROOT`] if there are none.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
    }

    /// Size and root together.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree { size: self.size, root: self.root() }
    }

    /// What must be stored to go on later: the size, and one hash for each bit that is set in it.
    #[must_use]
    pub fn parts(&self) -> (u64, &[Hash]) {
        (self.size, &self.hashes)
    }

    /// The tree that gave these [`parts`](Self::parts).
    ///
    /// # Errors
    /// [`MerkleError::BadFrontier`] if the number of hashes does not fit the size, or the size is above [`SIZE_MAX`].
    /// Whether the hashes are the right ones can only be seen by comparing the [`root`](Self::root).
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, MerkleError> {
        if size > SIZE_MAX || hashes.len() != size.count_ones() as usize {
            return Err(MerkleError::BadFrontier { size, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }
}

/// Stored hashes of a tree.
pub trait HashReader {
    /// Why a hash could not be read.
    type Error;

    /// The root of the perfect subtree over the entries from `index << level` (inclusive) to `(index + 1) << level`
    /// (exclusive); level 0 are the leaves. Asked only for subtrees that are whole in the tree proved.
    ///
    /// # Errors
    /// Whatever the storage says; the proof is then not made.
    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The tree has no such proof.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// A hash that the proof needs could not be read.
    #[error("a stored hash could not be read")]
    Read(#[source] E),
}

/// The root of the first `size` entries.
///
/// # Errors
/// What the reader says.
pub fn root<R: HashReader>(hashes: &mut R, size: u64) -> Result<Hash, R::Error> {
    range_root(hashes, 0, size)
}

/// Proves that entry `index` is in the tree of the first `size` entries (RFC 9162, section 2.1.3.1).
///
/// # Errors
/// [`MerkleError::NoSuchEntry`] if it is not, and what the reader says.
pub fn inclusion<R: HashReader>(
    hashes: &mut R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if index >= size {
        return Err(MerkleError::NoSuchEntry { index, size }.into());
    }
    let (mut low, mut high, mut proof) = (0, size, vec![]);
    while high - low > 1 {
        let middle = low + split(high - low);
        let (from, to) = if index < middle { (middle, high) } else { (low, middle) };
        proof.push(range_root(hashes, from, to).map_err(ProveError::Read)?);
        if index < middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the first `old` of `new` entries are an older state of the same tree (RFC 9162, section 2.1.4.1).
/// Every tree continues the empty one, and itself: these proofs are empty.
///
/// # Errors
/// [`MerkleError::Shrinks`] if `old` is the larger, and what the reader says.
pub fn consistency<R: HashReader>(
    hashes: &mut R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if old > new {
        return Err(MerkleError::Shrinks { old, new }.into());
    }
    if old == 0 {
        return Ok(vec![]);
    }
    let (mut low, mut high, mut proof) = (0, new, vec![]);
    while high != old {
        let middle = low + split(high - low);
        let (from, to) = if old <= middle { (middle, high) } else { (low, middle) };
        proof.push(range_root(hashes, from, to).map_err(ProveError::Read)?);
        if old <= middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    // A left edge that reaches the start is the old root itself, which the verifier has.
    if low > 0 {
        proof.push(range_root(hashes, low, high).map_err(ProveError::Read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the entry with this [`leaf_hash`] is entry `index` of the tree (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// Anything but `Ok` means that nothing was proved.
pub fn verify_inclusion(tree: &Tree, index: u64, leaf: &Hash, proof: &[Hash]) -> Result<(), MerkleError> {
    if index >= tree.size {
        return Err(MerkleError::NoSuchEntry { index, size: tree.size });
    }
    let mut walk = Walk { node: index, last: tree.size - 1 };
    let mut root = *leaf;
    for hash in proof {
        root = match walk.up().ok_or(MerkleError::WrongLength { found: proof.len() })? {
            Sibling::Left => node_hash(hash, &root),
            Sibling::Right => node_hash(&root, hash),
        };
    }
    if walk.last != 0 {
        return Err(MerkleError::WrongLength { found: proof.len() });
    }
    if root == tree.root { Ok(()) } else { Err(MerkleError::WrongRoot) }
}

/// Checks that `new` continues `old`: that its first entries are those of `old`, unchanged
/// (RFC 9162, section 2.1.4.2). Nothing is needed to continue the empty tree, or to stay the same.
///
/// # Errors
/// Anything but `Ok` means that nothing was proved.
pub fn verify_consistency(old: &Tree, new: &Tree, proof: &[Hash]) -> Result<(), MerkleError> {
    let wrong_length = || MerkleError::WrongLength { found: proof.len() };
    if old.size > new.size {
        return Err(MerkleError::Shrinks { old: old.size, new: new.size });
    }
    if old.size == 0 || old.size == new.size {
        let same = if old.size == new.size { old.root == new.root } else { old.root == EMPTY_ROOT };
        return match (proof.is_empty(), same) {
            (false, _) => Err(wrong_length()),
            (true, false) => Err(MerkleError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    // The perfect subtree at the old tree's right edge is where both trees start: the first hash of the proof,
    // unless the old tree is itself perfect and the verifier already has it.
    let (start, rest) = if old.size.is_power_of_two() {
        (&old.root, proof)
    } else {
        proof.split_first().ok_or_else(wrong_length)?
    };
    let mut walk = Walk { node: old.size - 1, last: new.size - 1 };
    while walk.node & 1 == 1 {
        walk.shift();
    }
    let (mut old_root, mut new_root) = (*start, *start);
    for hash in rest {
        match walk.up().ok_or_else(wrong_length)? {
            Sibling::Left => {
                old_root = node_hash(hash, &old_root);
                new_root = node_hash(hash, &new_root);
            }
            Sibling::Right => new_root = node_hash(&new_root, hash),
        }
    }
    if walk.last != 0 {
        return Err(wrong_length());
    }
    if old_root == old.root && new_root == new.root { Ok(()) } else { Err(MerkleError::WrongRoot) }
}

/// A walk from a node up to the root: `fn` and `sn` of RFC 9162.
struct Walk {
    /// The index of the node that the walk is at, within its level.
    node: u64,
    /// The index of the last node of that level; 0 once the walk has arrived.
    last: u64,
}

/// On which side the next hash of a proof stands.
enum Sibling {
    Left,
    Right,
}

impl Walk {
    fn shift(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Goes up by one hash of the proof; `None` if the root is already reached.
    fn up(&mut self) -> Option<Sibling> {
        if self.last == 0 {
            return None;
        }
        let sibling = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level may have no sibling for several levels: it is then its own parent.
            while self.node & 1 == 0 && self.node != 0 {
                self.shift();
            }
            Sibling::Left
        } else {
            Sibling::Right
        };
        self.shift();
        Some(sibling)
    }
}

/// The largest power of two smaller than `size`, which is at least 2: where RFC 9162 cuts a tree in two.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the entries from `low` (inclusive) to `high` (exclusive), where `low` is such that the perfect
/// subtrees begin there, as it is for every part that `split` cuts off.
fn range_root<R: HashReader>(hashes: &mut R, mut low: u64, high: u64) -> Result<Hash, R::Error> {
    let mut subtrees = vec![];
    while low < high {
        let level = (high - low).ilog2();
        subtrees.push(hashes.hash(level as u8, low >> level)?);
        low += 1 << level;
    }
    let root = subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(root.unwrap_or(EMPTY_ROOT))
}

#[cfg(test)]
mod tests;
