//! A note of any bytes does not panic, prints back to itself, and opens only if the key signed exactly its text.

#![no_main]

use assent_audit::tlog::note::{self, Signer, Unverified, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let _ = Verifier::parse(input);
    let _ = Signer::parse(input);
    let signer = Signer::from_seed("log.example", &[1; 32]).unwrap();
    let keys = [signer.verifier().clone()];
    if let Ok(parsed) = Unverified::parse(input) {
        let lines: String = parsed.signatures.iter().map(ToString::to_string).collect();
        assert_eq!(format!("{}\n{lines}", parsed.text), input);
        if let Ok(opened) = parsed.verify(&keys) {
            let again = note::sign(opened.text(), &[&signer]).unwrap();
            let ours = note::open(&again, &keys).unwrap();
            assert_eq!(ours.signatures(), opened.signatures());
        }
    }
    // Whatever is signed opens to the same text.
    if let Ok(signed) = note::sign(input, &[&signer]) {
        assert_eq!(note::open(&signed, &keys).unwrap().text(), input);
    }
});
