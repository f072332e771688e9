//! Proofs to keep: their text line by line, and that they prove one entry of one log.

use proptest::prelude::*;

use super::*;
use crate::tlog::merkle::{Frontier, HashReader, leaf_hash, node_hash};
use crate::tlog::note::{self, Cosigner, Signer};

/// Three entries, `a`, `b` and `c`.
struct Three;

impl HashReader for Three {
    type Error = std::convert::Infallible;

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let leaf = |index: u64| leaf_hash(&b"abc"[index as usize..=index as usize]);
        Ok(if level == 0 { leaf(index) } else { node_hash(&leaf(0), &leaf(1)) })
    }
}

fn signer() -> Signer {
    Signer::from_seed("log.example/2026", &[1; 32]).unwrap()
}

fn proof() -> Proof {
    let mut frontier = Frontier::default();
    b"abc".iter().for_each(|byte| frontier.push(leaf_hash(&[*byte])));
    let checkpoint = Checkpoint::new("log.example/2026", frontier.tree()).unwrap().sign(&signer()).unwrap();
    let hashes = merkle::inclusion(&mut Three, 1, 3).unwrap();
    Proof { extra: None, index: 1, hashes, checkpoint }
}

#[test]
fn a_proof_shows_one_entry_of_one_log() {
    let signer = signer();
    let (checkpoint, opened) = proof().verify(signer.verifier(), &[], b"b").unwrap();
    assert_eq!((checkpoint.tree().size, opened.signatures().len()), (3, 1));
    let wrong_root = Err(MerkleError::WrongRoot.into());
    assert_eq!(proof().verify(signer.verifier(), &[], b"a"), wrong_root);
    assert_eq!(Proof { index: 0, ..proof() }.verify(signer.verifier(), &[], b"b"), wrong_root);
    assert_eq!(
        Proof { index: 3, ..proof() }.verify(signer.verifier(), &[], b"b"),
        Err(MerkleError::NoSuchEntry { index: 3, size: 3 }.into())
    );
    for other in
        [Signer::from_seed("log.example/2026", &[2; 32]), Signer::from_seed("log.example/2025", &[1; 32])]
    {
        let refused = proof().verify(other.unwrap().verifier(), &[], b"b");
        assert_eq!(refused, Err(CheckpointError::Note(note::NoteError::NotSigned).into()));
    }
}

#[test]
fn the_cosignatures_of_known_witnesses_are_handed_out() {
    let (signer, witness) = (signer(), Cosigner::from_seed("w.example", &[3; 32]).unwrap());
    let mut proof = proof();
    let text = note::Unverified::parse(&proof.checkpoint).unwrap().text;
    proof.checkpoint = note::append(&proof.checkpoint, &[witness.cosign(&text, 99)]).unwrap();
    let (_, opened) = proof.verify(signer.verifier(), &[], b"b").unwrap();
    assert!(!opened.is_signed_by(witness.verifier()));
    let (_, opened) = proof.verify(signer.verifier(), &[witness.verifier().clone()], b"b").unwrap();
    assert!(opened.is_signed_by(witness.verifier()) && opened.is_signed_by(signer.verifier()));
}

#[test]
fn the_text_is_that_of_the_specification() {
    let hash = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=";
    let note = "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— a AAAAAAA=\n";
    let text = format!("c2sp.org/tlog-proof@v1\nextra YWdl\nindex 73894\n{hash}\n{hash}\n\n{note}");
    let proof = Proof::parse(&text).unwrap();
    assert_eq!((proof.extra.as_deref(), proof.index), (Some(b"age".as_slice()), 73_894));
    assert_eq!((proof.hashes.len(), proof.checkpoint.as_str()), (2, note));
    assert_eq!(proof.to_string(), text);
    let least = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{note}");
    assert_eq!(Proof::parse(&least).unwrap().to_string(), least);
}

#[test]
fn each_line_that_is_not_as_it_must_be_is_named() {
    let hash = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n";
    let cases = [
        ("", 1),
        ("c2sp.org/tlog-proof@v1\nindex 0\n", 1),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\nnote", 1),
        ("\n\nc2sp.org/tlog-proof@v1\nindex 0\n\nnote", 1),
        ("c2sp.org/tlog-proof@v1\n\nnote", 2),
        ("c2sp.org/tlog-proof@v1\nindex 00\n\nnote", 2),
        ("c2sp.org/tlog-proof@v1\nindex  0\n\nnote", 2),
        ("c2sp.org/tlog-proof@v1\nindex 18446744073709551616\n\nnote", 2),
        ("c2sp.org/tlog-proof@v1\nextra YWd\nindex 0\n\nnote", 2),
        ("c2sp.org/tlog-proof@v1\nextra YWdl\n\nnote", 3),
        ("c2sp.org/tlog-proof@v1\nextra YWdl\nextra YWdl\nindex 0\n\nnote", 3),
        ("c2sp.org/tlog-proof@v1\nindex 0\nextra YWdl\n\nnote", 3),
        ("c2sp.org/tlog-proof@v1\nindex 0\nYWdl\n\nnote", 3),
        (&format!("c2sp.org/tlog-proof@v1\nindex 0\n{}\nnote", hash.repeat(65)), 67),
    ];
    for (text, expected) in cases {
        match Proof::parse(text) {
            Err(ProofError::Line { line, .. }) => assert_eq!(line, expected, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    Proof::parse(&format!("c2sp.org/tlog-proof@v1\nindex 0\n{}\nnote", hash.repeat(64))).unwrap();
}

#[test]
fn the_limits_hold_one_under_and_one_over() {
    let extra = |bytes| Proof { extra: Some(vec![0; bytes]), ..proof() }.to_string();
    Proof::parse(&extra(EXTRA_BYTES_MAX)).unwrap();
    assert!(matches!(Proof::parse(&extra(EXTRA_BYTES_MAX + 1)), Err(ProofError::Line { line: 2, .. })));
    let mut text = proof().to_string();
    text.extend(std::iter::repeat_n('x', PROOF_BYTES_MAX - text.len()));
    Proof::parse(&text).unwrap();
    let found = PROOF_BYTES_MAX + 1;
    assert_eq!(Proof::parse(&(text + "x")), Err(ProofError::TooLong { found }));
    // The longest proof that can be verified is not longer than the longest that is read.
    let longest = Proof {
        extra: Some(vec![0; EXTRA_BYTES_MAX]),
        index: u64::MAX,
        hashes: vec![[0; 32]; text::PROOF_HASHES_MAX],
        checkpoint: "x".repeat(NOTE_BYTES_MAX),
    };
    assert_eq!(Proof::parse(&longest.to_string()), Ok(longest));
}

proptest! {
    #[test]
    fn a_changed_proof_does_not_verify(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let original = proof().to_string();
        let mut text = original.clone().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) {
            let holds = Proof::parse(&text).is_ok_and(|proof| proof.verify(signer().verifier(), &[], b"b").is_ok());
            prop_assert_eq!(holds, text == original);
        }
    }

    #[test]
    fn what_parses_prints_back_to_the_same_text(
        text in "c2sp.org/tlog-proof@v1\n(extra [A-Za-z]{0,4}\n)?index [0-9]{1,3}\n([A-Za-z0-9]{42}[AEIM]=\n){0,3}\n.{0,9}",
    ) {
        if let Ok(proof) = Proof::parse(&text) {
            prop_assert_eq!(proof.to_string(), text);
        }
    }
}
