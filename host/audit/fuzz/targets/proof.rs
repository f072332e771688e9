//! A proof of any text does not panic, prints back to itself, and verifies only for the one log and entry there is.

#![no_main]

use assent_audit::tlog::merkle;
use assent_audit::tlog::note::Signer;
use assent_audit::tlog::proof::Proof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(proof) = Proof::parse(text) {
        assert_eq!(proof.to_string(), text);
        let signer = Signer::from_seed("log.example/2026", &[1; 32]).unwrap();
        if let Ok((checkpoint, _)) = proof.verify(signer.verifier(), &[], b"b") {
            let leaf = merkle::leaf_hash(b"b");
            merkle::verify_inclusion(&checkpoint.tree(), proof.index, &leaf, &proof.hashes).unwrap();
        }
        // The same hashes for trees of all kinds: the lengths are what differs.
        for size in [1, proof.index.saturating_add(1), u64::MAX] {
            let tree = merkle::Tree { size, root: merkle::EMPTY_ROOT };
            let older = merkle::Tree { size: proof.index, root: merkle::EMPTY_ROOT };
            assert!(merkle::verify_inclusion(&tree, proof.index, &[9; 32], &proof.hashes).is_err());
            let _ = merkle::verify_consistency(&older, &tree, &proof.hashes);
        }
    }
});
