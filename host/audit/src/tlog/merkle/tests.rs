//! Roots and proofs against the definitions of RFC 9162, written down as they stand there, and against
//! vectors that other implementations share.

use proptest::prelude::*;

use super::*;

/// MTH of RFC 9162, section 2.1.1.
fn model_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(model_split(leaves.len()));
            node_hash(&model_root(left), &model_root(right))
        }
    }
}

/// PATH of RFC 9162, section 2.1.3.1.
fn model_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let at = model_split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut path, last) = if index < at {
        (model_path(index, left), model_root(right))
    } else {
        (model_path(index - at, right), model_root(left))
    };
    path.push(last);
    path
}

/// SUBPROOF of RFC 9162, section 2.1.4.1.
fn model_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { vec![] } else { vec![model_root(leaves)] };
    }
    let at = model_split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, last) = if old <= at {
        (model_subproof(old, left, whole), model_root(right))
    } else {
        (model_subproof(old - at, right, false), model_root(left))
    };
    proof.push(last);
    proof
}

fn model_split(size: usize) -> usize {
    let mut at = 1;
    while at * 2 < size {
        at *= 2;
    }
    at
}

/// Leaves as stored hashes.
struct Leaves<'a>(&'a [Hash]);

impl HashReader for Leaves<'_> {
    type Error = std::convert::Infallible;

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let from = usize::try_from(index << level).unwrap();
        Ok(model_root(&self.0[from..from + (1 << level)]))
    }
}

/// A log whose entries are all the same, so that trees of any size can be asked for.
struct Same(Vec<Hash>);

impl Same {
    fn new() -> Self {
        let mut levels = vec![leaf_hash(b"again")];
        for level in 0..63 {
            levels.push(node_hash(&levels[level], &levels[level]));
        }
        Self(levels)
    }
}

impl HashReader for Same {
    type Error = std::convert::Infallible;

    fn hash(&mut self, level: u8, _index: u64) -> Result<Hash, Self::Error> {
        Ok(self.0[usize::from(level)])
    }
}

struct Broken;

impl HashReader for Broken {
    type Error = &'static str;

    fn hash(&mut self, _level: u8, _index: u64) -> Result<Hash, Self::Error> {
        Err("no disk")
    }
}

fn leaves(size: usize) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    Tree { size: leaves.len() as u64, root: model_root(leaves) }
}

fn hash(text: &str) -> Hash {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The eight entries that the test suites of Certificate Transparency share.
fn shared_entries() -> Vec<Hash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .map(|entry| leaf_hash(&hex::decode(entry).unwrap()))
        .to_vec()
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    let mut entries = shared_entries().into_iter();
    for (size, root) in roots.into_iter().enumerate() {
        assert_eq!(frontier.tree(), Tree { size: size as u64, root: hash(root) });
        if let Some(entry) = entries.next() {
            frontier.push(entry);
        }
    }
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    let entries = shared_entries();
    let inclusion_of_first = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    .map(hash);
    assert_eq!(inclusion(&mut Leaves(&entries), 0, 8).unwrap(), inclusion_of_first);
    verify_inclusion(&tree(&entries), 0, &entries[0], &inclusion_of_first).unwrap();
    let from_six_to_eight = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    .map(hash);
    assert_eq!(consistency(&mut Leaves(&entries), 6, 8).unwrap(), from_six_to_eight);
    verify_consistency(&tree(&entries[..6]), &tree(&entries), &from_six_to_eight).unwrap();
}

#[test]
fn every_proof_of_every_small_tree_is_the_one_of_the_rfc_and_verifies() {
    let all = leaves(33);
    for size in 1..=all.len() {
        let entries = &all[..size];
        let whole = tree(entries);
        for (index, entry) in entries.iter().enumerate() {
            let proof = inclusion(&mut Leaves(entries), index as u64, size as u64).unwrap();
            assert_eq!(proof, model_path(index, entries), "entry {index} of {size}");
            verify_inclusion(&whole, index as u64, entry, &proof).unwrap();
        }
        for old in 1..=size {
            let proof = consistency(&mut Leaves(entries), old as u64, size as u64).unwrap();
            assert_eq!(proof, model_subproof(old, entries, true), "{old} in {size}");
            verify_consistency(&tree(&entries[..old]), &whole, &proof).unwrap();
        }
    }
}

#[test]
fn every_tree_continues_the_empty_one_and_itself_without_proof() {
    let entries = leaves(5);
    let whole = tree(&entries);
    for (old, new) in [(Tree::EMPTY, whole), (whole, whole), (Tree::EMPTY, Tree::EMPTY)] {
        assert_eq!(consistency(&mut Leaves(&entries), old.size, new.size).unwrap(), Vec::<Hash>::new());
        verify_consistency(&old, &new, &[]).unwrap();
        let long = verify_consistency(&old, &new, &[EMPTY_ROOT]);
        assert_eq!(long, Err(MerkleError::WrongLength { found: 1 }));
        let other_old = Tree { root: entries[0], ..old };
        assert_eq!(verify_consistency(&other_old, &new, &[]), Err(MerkleError::WrongRoot));
    }
}

#[test]
fn a_proof_that_goes_on_past_the_root_is_refused() {
    // Whoever hashes on without counting arrives at these roots.
    let beyond = |tree: Tree| Tree { root: node_hash(&EMPTY_ROOT, &tree.root), ..tree };
    for size in 1..20 {
        let entries = leaves(size);
        let whole = tree(&entries);
        for old in 1..=size {
            let mut proof = model_path(old - 1, &entries);
            proof.push(EMPTY_ROOT);
            let length = MerkleError::WrongLength { found: proof.len() };
            let outcome = verify_inclusion(&beyond(whole), old as u64 - 1, &entries[old - 1], &proof);
            assert_eq!(outcome, Err(length), "{old} of {size}");
            let mut proof = model_subproof(old, &entries, true);
            proof.push(EMPTY_ROOT);
            let length = MerkleError::WrongLength { found: proof.len() };
            let outcome = verify_consistency(&beyond(tree(&entries[..old])), &beyond(whole), &proof);
            assert_eq!(outcome, Err(length), "{old} in {size}");
        }
    }
}

#[test]
fn what_is_not_in_a_tree_has_no_proof() {
    let entries = leaves(5);
    let outside = MerkleError::NoSuchEntry { index: 5, size: 5 };
    let shrinks = MerkleError::Shrinks { old: 6, new: 5 };
    let larger = Tree { size: 6, root: EMPTY_ROOT };
    assert_eq!(verify_inclusion(&tree(&entries), 5, &entries[4], &[]), Err(outside));
    assert_eq!(verify_consistency(&larger, &tree(&entries), &[]), Err(shrinks));
    let outside = MerkleError::NoSuchEntry { index: 5, size: 5 };
    let shrinks = MerkleError::Shrinks { old: 6, new: 5 };
    assert_eq!(inclusion(&mut Leaves(&entries), 5, 5), Err(outside.into()));
    assert_eq!(consistency(&mut Leaves(&entries), 6, 5), Err(shrinks.into()));
    verify_inclusion(&Tree::EMPTY, 0, &entries[0], &[]).unwrap_err();
}

#[test]
fn a_storage_that_fails_gives_no_proof() {
    assert_eq!(inclusion(&mut Broken, 1, 2), Err(ProveError::Read("no disk")));
    assert_eq!(consistency(&mut Broken, 1, 2), Err(ProveError::Read("no disk")));
    assert_eq!(root(&mut Broken, 2), Err("no disk"));
}

#[test]
fn a_frontier_is_restored_only_from_parts_that_fit() {
    let hashes = leaves(2);
    Frontier::from_parts(3, hashes.clone()).unwrap();
    let refused = [(2, hashes.clone()), (7, hashes.clone()), (0, hashes), (SIZE_MAX + 1, leaves(1))];
    for (size, hashes) in refused {
        let found = hashes.len();
        assert_eq!(Frontier::from_parts(size, hashes), Err(MerkleError::BadFrontier { size, found }));
    }
    assert_eq!(Frontier::from_parts(0, vec![]).unwrap(), Frontier::default());
}

/// What can be changed in a proof that holds. Each must make it fail.
#[derive(Clone, Debug)]
enum Change {
    FlipProof(usize, usize),
    FlipRoot(usize),
    FlipOther(usize),
    Drop(usize),
    Repeat(usize),
    Swap(usize),
    Size(u64),
    OtherSize(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 0..256usize).prop_map(|(at, bit)| Change::FlipProof(at, bit)),
        (0..256usize).prop_map(Change::FlipRoot),
        (0..256usize).prop_map(Change::FlipOther),
        any::<usize>().prop_map(Change::Drop),
        any::<usize>().prop_map(Change::Repeat),
        any::<usize>().prop_map(Change::Swap),
        prop_oneof![0..130u64, any::<u64>()].prop_map(Change::Size),
        prop_oneof![0..130u64, any::<u64>()].prop_map(Change::OtherSize),
    ]
}

fn flip(hash: &mut Hash, bit: usize) {
    hash[bit / 8] ^= 1 << (bit % 8);
}

/// Applies a change to a proof, the root and size of its tree, and the other hash and number (leaf and index, or
/// the older tree).
fn apply(change: &Change, proof: &mut Vec<Hash>, new: &mut Tree, other: (&mut Hash, &mut u64)) {
    let length = proof.len();
    match *change {
        Change::FlipProof(at, bit) if length > 0 => flip(&mut proof[at % length], bit),
        Change::Drop(at) if length > 0 => drop(proof.remove(at % length)),
        Change::Repeat(at) if length > 0 => proof.insert(at % length, proof[at % length]),
        Change::Swap(at) if length > 1 => proof.swap(at % (length - 1), at % (length - 1) + 1),
        Change::FlipRoot(bit) => flip(&mut new.root, bit),
        Change::FlipOther(bit) => flip(other.0, bit),
        Change::Size(size) => new.size = size,
        Change::OtherSize(number) => *other.1 = number,
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_grown_tree_has_the_root_of_the_rfc_and_survives_being_stored(size in 0..300usize, stop in 0..300usize) {
        let entries = leaves(size);
        let mut frontier = Frontier::default();
        for (number, entry) in entries.iter().enumerate() {
            if number == stop {
                let (size, hashes) = frontier.parts();
                frontier = Frontier::from_parts(size, hashes.to_vec()).unwrap();
            }
            frontier.push(*entry);
        }
        prop_assert_eq!(frontier.tree(), tree(&entries));
        prop_assert_eq!(root(&mut Leaves(&entries), size as u64), Ok(model_root(&entries)));
        prop_assert_eq!(frontier.parts().1.len(), size.count_ones() as usize);
    }

    #[test]
    fn a_changed_inclusion_proof_does_not_verify(
        (size, index) in (1..130usize).prop_flat_map(|size| (Just(size), 0..size)),
        change in change(),
    ) {
        let entries = leaves(size);
        let whole = tree(&entries);
        let proof = model_path(index, &entries);
        let (mut new_proof, mut new_tree) = (proof.clone(), whole);
        let (mut leaf, mut number) = (entries[index], index as u64);
        apply(&change, &mut new_proof, &mut new_tree, (&mut leaf, &mut number));
        let unchanged = (&new_proof, new_tree, leaf, number) == (&proof, whole, entries[index], index as u64);
        let outcome = verify_inclusion(&new_tree, number, &leaf, &new_proof);
        // The size alone is not bound by an inclusion proof: it is the checkpoint that says it. Another size whose
        // path from this index looks the same verifies too, under RFC 9162 and everywhere else.
        if let Change::Size(_) = change {
            let same_shape = new_tree.size > number && path_shape(number, new_tree.size) == path_shape(number, whole.size);
            prop_assert_eq!(outcome.is_ok(), same_shape);
        } else {
            prop_assert_eq!(outcome.is_ok(), unchanged, "{:?}", change);
        }
    }

    #[test]
    fn a_changed_consistency_proof_does_not_verify(
        (new, old) in (1..130usize).prop_flat_map(|new| (Just(new), 1..=new)),
        change in change(),
    ) {
        let entries = leaves(new);
        let (whole, older) = (tree(&entries), tree(&entries[..old]));
        let proof = model_subproof(old, &entries, true);
        let (mut new_proof, mut new_tree, mut old_tree) = (proof.clone(), whole, older);
        apply(&change, &mut new_proof, &mut new_tree, (&mut old_tree.root, &mut old_tree.size));
        let unchanged = (&new_proof, new_tree, old_tree) == (&proof, whole, older);
        let outcome = verify_consistency(&old_tree, &new_tree, &new_proof);
        if matches!(change, Change::Size(_) | Change::OtherSize(_)) && outcome.is_ok() {
            // As above: sizes of the same shape cannot be told apart by hashes.
            prop_assert_eq!(
                consistency_shape(old_tree.size, new_tree.size),
                consistency_shape(older.size, whole.size)
            );
        } else {
            prop_assert_eq!(outcome.is_ok(), unchanged, "{:?}", change);
        }
    }

    #[test]
    fn trees_of_any_size_are_proved_and_verified(a in any::<u64>(), b in any::<u64>(), shift in 0..64u32) {
        let (old, new) = (a.min(b) >> shift, (a.max(b) >> shift).max(1));
        let mut entries = Same::new();
        let leaf = entries.0[0];
        let whole = Tree { size: new, root: root(&mut entries, new).unwrap() };
        let older = Tree { size: old, root: root(&mut entries, old).unwrap() };
        for index in [0, old.min(new - 1), new - 1] {
            let proof = inclusion(&mut entries, index, new).unwrap();
            prop_assert_eq!(verify_inclusion(&whole, index, &leaf, &proof), Ok(()));
        }
        let proof = consistency(&mut entries, old, new).unwrap();
        prop_assert_eq!(verify_consistency(&older, &whole, &proof), Ok(()));
    }

    #[test]
    fn no_sizes_and_proofs_make_a_verifier_panic(
        old in any::<u64>(), new in any::<u64>(), proof in prop::collection::vec(any::<Hash>(), 0..70),
    ) {
        let (old, new) = (Tree { size: old, root: [1; 32] }, Tree { size: new, root: [2; 32] });
        prop_assert!(verify_inclusion(&new, old.size, &[3; 32], &proof).is_err());
        prop_assert!(verify_consistency(&old, &new, &proof).is_err());
    }
}

#[test]
fn the_largest_tree_is_proved_and_verified() {
    let mut entries = Same::new();
    let leaf = entries.0[0];
    let whole = Tree { size: u64::MAX, root: root(&mut entries, u64::MAX).unwrap() };
    for index in [0, 1, u64::MAX / 2, u64::MAX - 1] {
        let proof = inclusion(&mut entries, index, u64::MAX).unwrap();
        assert!(proof.len() <= 64, "{}", proof.len());
        verify_inclusion(&whole, index, &leaf, &proof).unwrap();
    }
    verify_inclusion(&whole, u64::MAX, &leaf, &[]).unwrap_err();
}

/// On which side the siblings of an entry stand, from the leaf up: all that an inclusion proof knows of the size.
fn path_shape(index: u64, size: u64) -> Vec<bool> {
    let (mut low, mut high, mut shape) = (0, size, vec![]);
    while high - low > 1 {
        let middle = low + split(high - low);
        shape.push(index < middle);
        if index < middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    shape.reverse();
    shape
}

/// The same for a consistency proof.
fn consistency_shape(old: u64, new: u64) -> (bool, Vec<bool>) {
    let (mut low, mut high, mut shape) = (0, new, vec![]);
    while high != old {
        let middle = low + split(high - low);
        shape.push(old <= middle);
        if old <= middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    shape.reverse();
    (low == 0, shape)
}
