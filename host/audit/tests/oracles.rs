//! Do other people's implementations of the same formats agree with ours, in both directions?
//!
//! `ct-merkle` is an RFC 6962 tree in memory, `tlog_tiles` and `signed_note` are a port of Go's `sumdb` packages.
//! What they make must verify here, and what we make must verify there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2_ct_merkle::Sha256;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::TileHashReader;

use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::{self, Frontier, Hash, Tree, leaf_hash};
use assent_audit::tlog::note::{self, Signer, Verifier};
use assent_audit::tlog::tile::{self, Content, Tile, TileError, TileReader};

fn entries(size: usize) -> Vec<Vec<u8>> {
    (0..size).map(|number| format!("entry {number}").into_bytes()).collect()
}

fn tree(entries: &[Vec<u8>]) -> Tree {
    let mut frontier = Frontier::default();
    entries.iter().for_each(|entry| frontier.push(leaf_hash(entry)));
    frontier.tree()
}

/// All tiles of these entries by path, as they would stand in a directory.
fn tiles(entries: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let made = tile::grow::<TileError>(0, &leaves, |_| panic!("an empty tree has no tiles")).unwrap();
    made.into_iter().map(|(tile, content)| (tile.to_string(), content)).collect()
}

fn reader(
    size: u64,
    files: &BTreeMap<String, Vec<u8>>,
) -> TileReader<impl FnMut(Tile) -> Result<Vec<u8>, TileError> + '_> {
    TileReader::new(size, |tile| Ok(files[&tile.to_string()].clone()))
}

mod ct {
    //! RFC 6962 as `ct-merkle` has it.

    use super::*;

    type Digests = Vec<ct_merkle::digest::Output<Sha256>>;

    fn root(tree: &Tree) -> ct_merkle::RootHash<Sha256> {
        ct_merkle::RootHash::new(tree.root.into(), tree.size)
    }

    fn to_digests(proof: &[Hash]) -> Digests {
        proof.iter().map(|hash| (*hash).into()).collect()
    }

    fn to_hashes(bytes: &[u8]) -> Vec<Hash> {
        bytes.as_chunks::<32>().0.to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn roots_and_proofs_agree(
            size in 1..700usize, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
        ) {
            let (index, old) = (index.index(size), 1 + old.index(size));
            let entries = entries(size);
            let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
            entries.iter().for_each(|entry| theirs.push(entry.clone()));
            let (older, whole) = (tree(&entries[..old]), tree(&entries));
            let their_root: Hash = (*theirs.root().as_bytes()).into();
            prop_assert_eq!(their_root, whole.root);

            let files = tiles(&entries);
            let mut reader = reader(size as u64, &files);
            let inclusion = merkle::inclusion(&mut reader, index as u64, size as u64).unwrap();
            prop_assert_eq!(&inclusion, &to_hashes(theirs.prove_inclusion(index).as_bytes()));
            let digests = to_digests(&inclusion);
            let ours = ct_merkle::InclusionProof::from_digests(&digests);
            root(&whole).verify_inclusion(&entries[index], index as u64, &ours).unwrap();

            let consistency = merkle::consistency(&mut reader, old as u64, size as u64).unwrap();
            prop_assert_eq!(&consistency, &to_hashes(theirs.prove_consistency(size - old).as_bytes()));
            let digests = to_digests(&consistency);
            let ours = ct_merkle::ConsistencyProof::from_digests(&digests);
            root(&whole).verify_consistency(&root(&older), &ours).unwrap();
        }

        /// Both judge the same proof: right ones, and ones for other sizes, which mostly do not hold.
        #[test]
        fn verdicts_agree_on_proofs_that_may_be_wrong(
            size in 1..40usize, claimed in 1..40u64, index in 0..40u64, proof_of in any::<prop::sample::Index>(),
        ) {
            let entries = entries(size);
            let files = tiles(&entries);
            let at = proof_of.index(size);
            let proof = merkle::inclusion(&mut reader(size as u64, &files), at as u64, size as u64).unwrap();
            let claim = Tree { size: claimed, ..tree(&entries) };
            let ours = merkle::verify_inclusion(&claim, index, &leaf_hash(&entries[at]), &proof);
            let digests = to_digests(&proof);
            let theirs = ct_merkle::InclusionProof::from_digests(&digests);
            let theirs = root(&claim).verify_inclusion(&entries[at], index, &theirs);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        }
    }
}

/// Our tiles as `tlog_tiles` reads them. Its paths are Go's, with the height in them.
struct Files(BTreeMap<String, Vec<u8>>);

impl tlog_tiles::TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let content = |tile: &tlog_tiles::Tile| self.0[&tile.path().replacen("tile/8/", "tile/", 1)].clone();
        Ok(tiles.iter().map(content).collect())
    }

    fn save_tiles(&self, _tiles: &[tlog_tiles::Tile], _data: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_proves_from_our_tiles_what_verifies_here() {
    let entries = entries(70_000);
    let whole = tree(&entries);
    let files = tiles(&entries);
    let theirs = Files(files.clone());
    // This reader checks every tile against the root before it uses it.
    let theirs = TileHashReader::new(whole.size, tlog_tiles::Hash(whole.root), &theirs);
    let mut ours = reader(whole.size, &files);
    for index in [0, 1, 255, 256, 32_767, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let leaf = leaf_hash(&entries[index as usize]);
        let proof = tlog_tiles::prove_record(whole.size, index, &theirs).unwrap();
        let proof: Vec<Hash> = proof.into_iter().map(|hash| hash.0).collect();
        assert_eq!(merkle::inclusion(&mut ours, index, whole.size).unwrap(), proof);
        merkle::verify_inclusion(&whole, index, &leaf, &proof).unwrap();
    }
    for old in [1, 255, 256, 257, 5_000, 65_536, 65_537, 69_999, 70_000] {
        let older = tree(&entries[..old as usize]);
        let proof = merkle::consistency(&mut ours, old, whole.size).unwrap();
        merkle::verify_consistency(&older, &whole, &proof).unwrap();
        let theirs: Vec<_> = proof.iter().copied().map(tlog_tiles::Hash).collect();
        let (new_root, old_root) = (tlog_tiles::Hash(whole.root), tlog_tiles::Hash(older.root));
        tlog_tiles::check_tree(&theirs, whole.size, new_root, old, old_root).unwrap();
    }
}

#[test]
fn the_tiles_to_make_and_their_paths_agree() {
    for (old, new) in [(0, 1), (0, 70_000), (255, 257), (256, 512), (65_535, 65_537), (5_000, 5_001)] {
        let theirs = tlog_tiles::Tile::new_tiles(8, old, new);
        let theirs: Vec<_> = theirs.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1)).collect();
        let ours: Vec<_> = tile::new_tiles(old, new).map(|tile| tile.to_string()).collect();
        assert_eq!(ours, theirs, "{old} to {new}");
    }
    for index in [0, 999, 1000, 1_234_067, 999_999_999] {
        let ours = Tile::new(Content::Hashes { level: 3 }, index, 7).unwrap();
        let theirs = tlog_tiles::Tile::new(8, 3, index, 7, false);
        assert_eq!(theirs.path().replacen("tile/8/", "tile/", 1), ours.to_string());
    }
}

#[test]
fn notes_open_in_both_directions() {
    let ours = Signer::from_seed("log.example/2026", &[5; 32]).unwrap();
    let text = Checkpoint::new("log.example/2026", tree(&entries(9))).unwrap().to_string();

    let vkey = ours.verifier().to_string();
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
    let note = note::sign(&text, &[&ours]).unwrap();
    let opened = Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(opened.verify(&known).unwrap().0.len(), 1);
    let theirs = tlog_tiles::Checkpoint::from_bytes(opened.text()).unwrap();
    assert_eq!((theirs.size(), theirs.hash().0), (9, tree(&entries(9)).root));
    assert_eq!(theirs.to_bytes(), text.as_bytes());

    let theirs = StandardSigner::new(&ours.skey()).unwrap();
    let mut signed = Note::new(text.as_bytes(), &[]).unwrap();
    signed.add_sigs(&[&theirs]).unwrap();
    // Ed25519 is deterministic, so the whole note is the same to the byte.
    assert_eq!(signed.to_bytes(), note.as_bytes());
    Checkpoint::open(&note, ours.verifier(), &[]).unwrap();
}

proptest! {
    #[test]
    fn what_we_open_they_open(note in "(log|x)\n[0-9]{1,2}\n\n?(— (log|x) [A-Za-z0-9+/]{8,12}\n){1,3}", at in any::<prop::sample::Index>(), text in "[a-z\n]{0,9}") {
        let signer = Signer::from_seed("log", &[5; 32]).unwrap();
        let verifier = Verifier::parse(&signer.verifier().to_string()).unwrap();
        let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier.to_string()).unwrap())]);
        let mut signed = note::sign(&format!("{text}\n"), &[&signer]).unwrap();
        let cut = (0..=at.index(signed.len())).rev().find(|at| signed.is_char_boundary(*at)).unwrap();
        let cut = signed.split_off(cut);
        for candidate in [note.clone(), format!("{signed}{cut}"), format!("{signed}\n{cut}"), format!("{signed}x{cut}")] {
            let ours = note::open(&candidate, std::slice::from_ref(&verifier));
            let theirs = Note::from_bytes(candidate.as_bytes()).ok().filter(|note| note.verify(&known).is_ok());
            if let Ok(opened) = &ours {
                prop_assert_eq!(theirs.as_ref().map(Note::text), Some(opened.text().as_bytes()));
            }
            // Stricter in one respect only: base64 with stray bits has a second spelling, which we refuse.
            if ours.is_err() && theirs.is_some() {
                let stricter = matches!(ours, Err(note::NoteError::SignatureLine { .. }));
                prop_assert!(stricter);
            }
        }
    }
}
