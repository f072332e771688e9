//! Checkpoints: the example of the specification, every line that can be wrong, and the keys around them.

use super::*;
use crate::tlog::merkle::EMPTY_ROOT;
use crate::tlog::note::Cosigner;

/// The example of c2sp.org/tlog-checkpoint.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn signer() -> Signer {
    Signer::from_seed("example.com/behind-the-sofa", &[4; 32]).unwrap()
}

#[test]
fn the_example_of_the_specification_is_read_and_printed() {
    let checkpoint = Checkpoint::parse(EXAMPLE).unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.tree().size, 20_852_163);
    assert_eq!(checkpoint.tree().root[..4], [0x0a, 0xc5, 0x18, 0x6a]);
    assert_eq!(checkpoint.extensions(), &[] as &[String]);
    assert_eq!(checkpoint.to_string(), EXAMPLE);
    let extended = format!("{EXAMPLE}one\nand another\n");
    let checkpoint = Checkpoint::parse(&extended).unwrap();
    assert_eq!(checkpoint.extensions(), ["one", "and another"]);
    assert_eq!(checkpoint.to_string(), extended);
}

#[test]
fn the_size_may_be_nothing_and_everything() {
    for size in [0, 1, u64::MAX] {
        let checkpoint = Checkpoint::new("a", Tree { size, root: EMPTY_ROOT }).unwrap();
        assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Ok(checkpoint));
    }
}

#[test]
fn each_line_that_is_not_as_it_must_be_is_named() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let cases = [
        ("", 2),
        ("a\n", 2),
        ("a\n1\n", 3),
        (&format!("\n1\n{root}\n"), 1),
        (&format!("a\n01\n{root}\n"), 2),
        (&format!("a\n+1\n{root}\n"), 2),
        (&format!("a\n-1\n{root}\n"), 2),
        (&format!("a\n1 \n{root}\n"), 2),
        (&format!("a\n\n{root}\n"), 2),
        (&format!("a\n١\n{root}\n"), 2),
        (&format!("a\n18446744073709551616\n{root}\n"), 2),
        ("a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n", 3),
        ("a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", 3),
        ("a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n", 3),
        ("a\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n", 3),
        (&format!("a\n1\n{root}"), 3),
        (&format!("a\n1\n{root}\n\n"), 4),
        (&format!("a\n1\n{root}\nx\n\n"), 5),
        (&format!("a\n1\n{root}\nx"), 4),
        (&format!("a\n1\n{root}\nx\ty\n"), 4),
    ];
    for (text, expected) in cases {
        match Checkpoint::parse(text) {
            Err(CheckpointError::Line { line, .. }) => assert_eq!(line, expected, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    Checkpoint::new("a\nb", Tree::EMPTY).unwrap_err();
    Checkpoint::new("a", Tree::EMPTY).unwrap().with_extension("").unwrap_err();
}

#[test]
fn a_signed_checkpoint_opens_with_its_logs_key_alone() {
    let signer = signer();
    let note = Checkpoint::parse(EXAMPLE).unwrap().sign(&signer).unwrap();
    let (checkpoint, opened) = Checkpoint::open(&note, signer.verifier(), &[]).unwrap();
    assert_eq!((checkpoint.to_string().as_str(), opened.text()), (EXAMPLE, EXAMPLE));
    let other = Signer::from_seed("example.com/behind-the-sofa", &[5; 32]).unwrap();
    assert_eq!(Checkpoint::open(&note, other.verifier(), &[]), Err(NoteError::NotSigned.into()));
}

#[test]
fn a_witness_alone_does_not_make_a_checkpoint() {
    let (signer, witness) = (signer(), Cosigner::from_seed("w.example", &[6; 32]).unwrap());
    let alone = note::append(&format!("{EXAMPLE}\n"), &[witness.cosign(EXAMPLE, 7)]).unwrap();
    let witnesses = [witness.verifier().clone()];
    let refused = Checkpoint::open(&alone, signer.verifier(), &witnesses);
    assert_eq!(refused, Err(NoteError::NotSigned.into()));
    let note = Checkpoint::parse(EXAMPLE).unwrap().sign(&signer).unwrap();
    let note = note::append(&note, &[witness.cosign(EXAMPLE, 7)]).unwrap();
    let (_, opened) = Checkpoint::open(&note, signer.verifier(), &witnesses).unwrap();
    assert_eq!(opened.signatures().iter().map(note::Verified::time).collect::<Vec<_>>(), [None, Some(7)]);
    assert!(opened.is_signed_by(witness.verifier()));
}

#[test]
fn a_log_speaks_for_its_own_origin_only() {
    let signer = Signer::from_seed("other.example", &[4; 32]).unwrap();
    let other_log = Err(CheckpointError::OtherLog {
        found: "example.com/behind-the-sofa".to_owned(),
        expected: "other.example".to_owned(),
    });
    assert_eq!(Checkpoint::parse(EXAMPLE).unwrap().sign(&signer), other_log);
    let note = note::sign(EXAMPLE, &[&signer]).unwrap();
    let opened =
        Checkpoint::open(&note, signer.verifier(), &[]).map(|(checkpoint, _)| checkpoint.to_string());
    assert_eq!(opened, other_log);
}
