//! A request of any text does not panic and prints back to itself, and a witness never goes back, whatever it is sent.

#![no_main]

use assent_audit::tlog::merkle::Tree;
use assent_audit::tlog::note::{Cosigner, NoteError, Signer};
use assent_audit::tlog::witness::{self, Request, Witness};
use libfuzzer_sys::fuzz_target;

const ORIGIN: &str = "log.example/2026";

fuzz_target!(|body: &str| {
    let _ = witness::parse_conflict(body);
    if let Ok(request) = Request::parse(body) {
        assert_eq!(request.to_string(), body);
        let log = Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
        for size in [0, 3] {
            let latest = if size == 0 { Tree::EMPTY } else { Tree { size, root: [7; 32] } };
            let mut witness = Witness::new(Cosigner::from_seed("w.example", &[2; 32]).unwrap());
            witness.know(ORIGIN, vec![log.verifier().clone()], latest);
            let keys = [witness.verifier().clone()];
            match witness.add_checkpoint(body, 1) {
                Ok(answer) => {
                    assert!(witness.latest(ORIGIN).unwrap().size >= size);
                    let attached = witness::attach(&request.checkpoint, &answer, &keys);
                    // One more signature may be one too many.
                    let full = [NoteError::TooManySignatures];
                    assert!(attached.as_ref().err().is_none_or(|error| full.contains(error)), "{attached:?}");
                }
                Err(refusal) => {
                    assert!([400, 403, 404, 409, 422].contains(&refusal.status()));
                    assert_eq!(witness.latest(ORIGIN), Some(latest));
                }
            }
        }
        let _ = witness::attach(&request.checkpoint, body, &[log.verifier().clone()]);
    }
});
