//! A key file of any bytes does not panic, and opens the entries as they were written or not at all.

#![no_main]

use std::sync::LazyLock;

use assent_audit::keys::{MasterKey, rewrap};
use assent_audit_fuzz::{Sample, kek, record};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "keys/0000000001.json";

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let sample = Sample::make();
    sample.put(&sample.files);
    sample
});

fuzz_target!(|input: &[u8]| {
    let sample = &*SAMPLE;
    let path = sample.path().join(FILE);
    // Any bytes, or the right ones with these in between.
    let mut bytes = input.to_vec();
    if let [at, cut, between @ ..] = input {
        bytes = sample.files[std::path::Path::new(FILE)].clone();
        let at = usize::from(*at) * 2 % (bytes.len() + 1);
        let end = (at + usize::from(*cut)).min(bytes.len());
        bytes.splice(at..end, between.iter().copied());
    }
    for bytes in [&bytes[..], input] {
        std::fs::write(&path, bytes).unwrap();
        if let Ok(entry) = sample.reader().entry(0) {
            assert_eq!(entry.unwrap().record.unwrap(), record(0));
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    let new = MasterKey::from_bytes(&[3; 32]).unwrap();
    let _ = rewrap(sample.path(), sample.config().signer.verifier(), &new, &mut |_| {});
    sample.put(&sample.files);
});
