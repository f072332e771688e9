//! A log and a witness talk: every answer of the specification, and what a thief of disk and key cannot do.

use proptest::prelude::*;

use super::*;
use crate::tlog::merkle::{Frontier, HashReader, leaf_hash, node_hash};
use crate::tlog::note::Signer;

const ORIGIN: &str = "log.example/2026";

/// A log of which every state can be shown again, as a thief could.
struct Log {
    signer: Signer,
    leaves: Vec<Hash>,
}

impl Log {
    fn new(salt: &str, size: u64) -> Self {
        let leaves = (0..size).map(|number| leaf_hash(format!("{salt}{number}").as_bytes())).collect();
        Self { signer: Signer::from_seed(ORIGIN, &[1; 32]).unwrap(), leaves }
    }

    fn tree(&self, size: u64) -> Tree {
        let mut frontier = Frontier::default();
        self.leaves[..size as usize].iter().for_each(|leaf| frontier.push(*leaf));
        frontier.tree()
    }

    fn checkpoint(&self, size: u64) -> String {
        Checkpoint::new(ORIGIN, self.tree(size)).unwrap().sign(&self.signer).unwrap()
    }

    fn request(&self, old: u64, new: u64) -> Request {
        let proof = merkle::consistency(&mut Leaves(&self.leaves), old, new).unwrap_or_default();
        Request { old_size: old, proof, checkpoint: self.checkpoint(new) }
    }

    fn witness(&self) -> Witness {
        let mut witness = Witness::new(Cosigner::from_seed("w.example", &[2; 32]).unwrap());
        witness.know(ORIGIN, vec![self.signer.verifier().clone()], Tree::EMPTY);
        witness
    }
}

struct Leaves<'a>(&'a [Hash]);

impl HashReader for Leaves<'_> {
    type Error = std::convert::Infallible;

    fn hash(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            return Ok(self.0[index as usize]);
        }
        Ok(node_hash(&self.hash(level - 1, index * 2)?, &self.hash(level - 1, index * 2 + 1)?))
    }
}

#[test]
fn a_log_that_grows_is_cosigned_at_every_step() {
    let log = Log::new("", 20);
    let mut witness = log.witness();
    for (old, new) in [(0, 5), (5, 5), (5, 16), (16, 20)] {
        let request = log.request(old, new);
        let answer = witness.add_checkpoint(&request.to_string(), 1000 + new).unwrap();
        assert_eq!(witness.latest(ORIGIN), Some(log.tree(new)));
        let keys = [witness.verifier().clone()];
        let note = attach(&request.checkpoint, &answer, &keys).unwrap();
        let (checkpoint, opened) = Checkpoint::open(&note, log.signer.verifier(), &keys).unwrap();
        assert_eq!(checkpoint.tree(), log.tree(new));
        assert_eq!(opened.signatures().last().unwrap().time(), Some(1000 + new));
    }
}

#[test]
fn an_empty_log_is_cosigned_too() {
    let log = Log::new("", 1);
    let mut witness = log.witness();
    witness.add_checkpoint(&log.request(0, 0).to_string(), 1).unwrap();
    witness.add_checkpoint(&log.request(0, 1).to_string(), 2).unwrap();
}

#[test]
fn a_log_that_is_rolled_back_is_refused_even_with_its_key() {
    let log = Log::new("", 20);
    let mut witness = log.witness();
    witness.add_checkpoint(&log.request(0, 20).to_string(), 1).unwrap();
    // An old snapshot does not know size 20; and knowing it, it cannot continue from there.
    let conflict = witness.add_checkpoint(&log.request(5, 10).to_string(), 2).unwrap_err();
    assert_eq!((conflict.status(), conflict.conflict_body().as_deref()), (409, Some("20\n")));
    assert_eq!(parse_conflict("20\n"), Some(20));
    let shrunk = witness.add_checkpoint(&log.request(20, 10).to_string(), 2);
    assert_eq!(shrunk, Err(Refusal::Shrinks { old: 20, new: 10 }));
    assert_eq!(witness.latest(ORIGIN), Some(log.tree(20)));
}

#[test]
fn a_log_that_is_rewritten_is_refused_even_with_its_key() {
    let (log, other) = (Log::new("", 10), Log::new("rewritten", 20));
    let mut witness = log.witness();
    witness.add_checkpoint(&log.request(0, 10).to_string(), 1).unwrap();
    let forked = witness.add_checkpoint(&other.request(10, 10).to_string(), 2).unwrap_err();
    assert_eq!((forked.status(), &forked), (409, &Refusal::Forked { size: 10 }));
    let grown = witness.add_checkpoint(&other.request(10, 20).to_string(), 2).unwrap_err();
    assert_eq!((grown.status(), &grown), (422, &Refusal::Unprocessable(MerkleError::WrongRoot)));
    assert_eq!(witness.latest(ORIGIN), Some(log.tree(10)));
}

#[test]
fn only_the_keys_of_a_known_log_are_heard() {
    let log = Log::new("", 5);
    let mut witness = log.witness();
    let mut strange = Log::new("", 5);
    strange.signer = Signer::from_seed(ORIGIN, &[9; 32]).unwrap();
    let refused = witness.add_checkpoint(&strange.request(0, 5).to_string(), 1).unwrap_err();
    assert_eq!((refused.status(), &refused), (403, &Refusal::BadSignature));
    // One good signature does not outweigh a bad one of the same log.
    let mut request = log.request(0, 5);
    request.checkpoint = request.checkpoint.replace("\n5\n", "\n4\n");
    let refused = witness.add_checkpoint(&request.to_string(), 1).unwrap_err();
    assert_eq!(refused, Refusal::BadSignature);
    let mut unknown = Witness::new(Cosigner::from_seed("w.example", &[2; 32]).unwrap());
    let refused = unknown.add_checkpoint(&log.request(0, 5).to_string(), 1).unwrap_err();
    assert_eq!((refused.status(), &refused), (404, &Refusal::UnknownLog { origin: ORIGIN.to_owned() }));
    assert_eq!((unknown.latest(ORIGIN), refused.conflict_body()), (None, None));
}

#[test]
fn a_proof_where_none_belongs_is_refused() {
    let log = Log::new("", 5);
    let mut witness = log.witness();
    let mut request = log.request(0, 5);
    request.proof.push([0; 32]);
    let refused = witness.add_checkpoint(&request.to_string(), 1);
    assert_eq!(refused, Err(Refusal::Unprocessable(MerkleError::WrongLength { found: 1 })));
    let missing = Request { proof: vec![], ..log.request(3, 5) };
    witness.add_checkpoint(&log.request(0, 3).to_string(), 1).unwrap();
    assert_eq!(witness.add_checkpoint(&missing.to_string(), 1).map_err(|refusal| refusal.status()), Err(422));
}

#[test]
fn the_request_is_that_of_the_specification() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    let body = format!(
        "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
         jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\n{note}"
    );
    let request = Request::parse(&body).unwrap();
    assert_eq!((request.old_size, request.proof.len(), request.checkpoint.as_str()), (20_852_014, 2, note));
    assert_eq!(request.to_string(), body);
}

#[test]
fn each_line_that_is_not_as_it_must_be_is_named() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    let cases = [
        ("", 1),
        ("old 0\n", 1),
        ("old 00\n\nnote", 1),
        ("old\n\nnote", 1),
        ("old -1\n\nnote", 1),
        ("size 0\n\nnote", 1),
        ("\n\nold 0\n\nnote", 1),
        ("old 0\nxyz\n\nnote", 2),
        (&format!("old 0\n{}\nnote", hash.repeat(64)), 65),
    ];
    for (body, expected) in cases {
        match Request::parse(body) {
            Err(refusal @ Refusal::Malformed { line, .. }) => {
                assert_eq!((line, refusal.status()), (expected, 400), "{body:?}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }
    Request::parse(&format!("old 0\n{}\nnote", hash.repeat(63))).unwrap();
    let mut witness = Log::new("", 1).witness();
    for note in ["note", "log.example/2026\n01\nroot\n\n— a AAAAAAA=\n"] {
        assert_eq!(witness.add_checkpoint(&format!("old 0\n\n{note}"), 1), Err(Refusal::Checkpoint));
    }
    let longest = "old 0\n\n".to_owned() + &"x".repeat(REQUEST_BYTES_MAX - 7);
    Request::parse(&longest).unwrap();
    assert_eq!(Request::parse(&(longest + "x")), Err(Refusal::Checkpoint));
}

#[test]
fn an_answer_is_taken_only_from_known_witnesses() {
    let log = Log::new("", 5);
    let mut witness = log.witness();
    let request = log.request(0, 5);
    let answer = witness.add_checkpoint(&request.to_string(), 1).unwrap();
    let keys = [witness.verifier().clone()];
    let other = Cosigner::from_seed("other.example", &[3; 32]).unwrap();
    let foreign = other.cosign("anything\n", 1).to_string();
    let note = attach(&request.checkpoint, &format!("{foreign}{answer}"), &keys).unwrap();
    assert_eq!(note, format!("{}{answer}", request.checkpoint));
    assert_eq!(attach(&request.checkpoint, &foreign, &keys), Err(NoteError::NotSigned));
    let changed = Cosigner::from_seed("w.example", &[2; 32]).unwrap().cosign("another text\n", 1).to_string();
    assert!(matches!(attach(&request.checkpoint, &changed, &keys), Err(NoteError::BadSignature { .. })));
    assert_eq!(attach(&request.checkpoint, "", &keys), Err(NoteError::NoSignatures));
    // An answer must not bring another text with it, be it signed.
    let text = format!("{}\nanother text\n", Unverified::parse(&request.checkpoint).unwrap().text);
    let signed = Cosigner::from_seed("w.example", &[2; 32]).unwrap().cosign(&text, 1);
    let smuggled = attach(&request.checkpoint, &format!("another text\n\n{signed}"), &keys);
    assert_eq!(smuggled, Err(NoteError::NoSignatures));
    for body in ["20", "020\n", "\n", "-1\n", "20\n\n"] {
        assert_eq!(parse_conflict(body), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// INVARIANT (a witness never goes back): whatever it is sent, what it cosigned is one growing tree.
    #[test]
    fn a_witness_never_goes_back(
        sent in prop::collection::vec((any::<bool>(), prop::option::of(0..30u64), 0..30u64), 1..40),
    ) {
        let logs = [Log::new("", 30), Log::new("other", 30)];
        let mut witness = logs[0].witness();
        let mut cosigned: Option<usize> = None;
        let mut latest = 0;
        for (other, old, new) in sent {
            let which = usize::from(other);
            // Mostly the size the witness expects, so that something is cosigned at all.
            let request = logs[which].request(old.unwrap_or(latest), new);
            if witness.add_checkpoint(&request.to_string(), 1).is_ok() {
                prop_assert!(new >= latest);
                if latest > 0 {
                    prop_assert_eq!(cosigned, Some(which));
                }
                (cosigned, latest) = (Some(which), new);
                prop_assert_eq!(witness.latest(ORIGIN), Some(logs[which].tree(new)));
            } else {
                prop_assert_eq!(witness.latest(ORIGIN).map(|tree| tree.size), Some(latest));
            }
        }
    }

    #[test]
    fn what_parses_prints_back_to_the_same_body(body in "old [0-9]{1,3}\n([A-Za-z0-9]{42}[AEIM]=\n){0,3}\n.{0,9}") {
        if let Ok(request) = Request::parse(&body) {
            prop_assert_eq!(request.to_string(), body);
        }
    }
}
