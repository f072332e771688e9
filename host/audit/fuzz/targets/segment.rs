//! Whatever bytes follow a segment's header, or stand instead of one: reading does not panic and gives no entry.

#![no_main]

use std::sync::LazyLock;

use assent_audit::log::{Log, verify};
use assent_audit_fuzz::{Files, Sample};
use libfuzzer_sys::fuzz_target;

static EMPTY: LazyLock<(Sample, Files)> = LazyLock::new(|| {
    let sample = Sample::make();
    sample.put(&Files::new());
    Log::open(sample.config()).unwrap().0.close().unwrap();
    let names = ["checkpoint", "segments/0000000001.seg", "keys/0000000001.json"];
    let files = names.map(|name| (name.into(), std::fs::read(sample.path().join(name)).unwrap()));
    (sample, files.into_iter().collect())
});

fuzz_target!(|input: &[u8]| {
    let (sample, files) = &*EMPTY;
    let Some((after_header, bytes)) = input.split_first() else { return };
    let mut segment = files[std::path::Path::new("segments/0000000001.seg")].clone();
    assert_eq!(segment.len(), 4096);
    // A part of the header stays, or all of it.
    segment.truncate(if *after_header < 128 { usize::from(*after_header) * 32 } else { 4096 });
    let whole = segment.len() == 4096;
    segment.extend_from_slice(bytes);
    sample.put(files);
    std::fs::write(sample.path().join("segments/0000000001.seg"), segment).unwrap();
    let verified = verify(sample.path(), sample.config().signer.verifier(), &mut |_| {});
    assert!(!whole || verified.is_ok_and(|verified| verified.tree.size == 0));
    match sample.reader().entries(0) {
        Ok(mut entries) => assert!(entries.next().is_none()),
        Err(_) => assert!(!whole),
    }
});
