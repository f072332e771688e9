//! A checkpoint of any text does not panic, and what is accepted prints back to the same text.

#![no_main]

use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::note::Signer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
        if let Ok(signer) = Signer::from_seed(checkpoint.origin(), &[1; 32])
            && let Ok(note) = checkpoint.sign(&signer)
        {
            assert_eq!(Checkpoint::open(&note, signer.verifier(), &[]).unwrap().0, checkpoint);
        }
    }
});
