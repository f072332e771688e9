//! A log whose files were edited opens or does not, without panic; if it does, no record of an intact prefix is lost,
//! none reads differently, and what is appended stands after them. Damage in the last batch alone never stops it.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use assent_audit::log::{Log, verify};
use assent_audit_fuzz::{BATCHES, LAST, PUBLISHED, Sample, append, edit, record};
use libfuzzer_sys::fuzz_target;

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::make);

fuzz_target!(|input: &[u8]| {
    let sample = &*SAMPLE;
    let mut files = sample.files.clone();
    edit(&mut files, input);
    sample.put(&files);

    // Where nothing but the end of the last segment is another, so many of its batches are intact.
    let last = Path::new(LAST);
    let others_same = sample.files.iter().all(|(path, bytes)| path == last || files.get(path) == Some(bytes));
    let whole = &sample.files[last];
    let intact = files.get(last).map_or(0, |found| {
        sample.ends.iter().skip(1).filter(|end| found.get(..**end) == Some(&whole[..**end])).count()
    });

    let _ = verify(sample.path(), sample.config().signer.verifier(), &mut |_| {});
    let opened = Log::open(sample.config());
    let (log, recovered) = match opened {
        Err(error) => {
            let torn = others_same && intact + 1 >= BATCHES;
            assert!(!torn, "a torn tail stopped the log: {error}");
            return;
        }
        Ok(opened) => opened,
    };
    drop(log.close());
    let size = recovered.size as usize;
    // A log that was made anew says so; one that lost its key or its header does not open.
    assert!(recovered.created || size >= PUBLISHED, "{recovered:?}");
    assert!(!others_same || size >= PUBLISHED + intact, "{recovered:?}, {intact} batches intact");
    let reader = sample.reader();
    let Ok(entries) = reader.entries(0) else { return };
    let mut read = 0;
    for entry in entries {
        let Ok(entry) = entry else {
            assert!(!others_same, "entry {read} of an intact log");
            return;
        };
        assert_eq!(entry.record.unwrap(), record(read));
        read += 1;
    }
    assert_eq!(read, size);
    if others_same {
        append(&sample.config(), size..size + 1).close().unwrap();
        assert_eq!(sample.reader().entry(size as u64).unwrap().unwrap().record.unwrap(), record(size));
        let verified = verify(sample.path(), sample.config().signer.verifier(), &mut |_| {}).unwrap();
        assert_eq!(verified.tree.size as usize, size + 1);
    }
});
