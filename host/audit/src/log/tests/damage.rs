//! Rot: a single flipped bit in any file is found by opening, reading or verifying, or changes nothing that is read.

use proptest::prelude::*;

use super::*;

fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << bit;
    bytes
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_harmless() {
    let bench = Bench::new();
    let records = records(60);
    bench.write(&records[..25]);
    bench.write(&[]);
    bench.write(&records[25..]);
    let whole = bench.snapshot();
    // The key made for the segment that would have come next opens nothing.
    let next = bench.verify().unwrap().segments + 1;
    let unused = bench.path().join(format!("keys/{next:010}.json"));
    let files: Vec<_> = whole.iter().filter(|(path, bytes)| !bytes.is_empty() && **path != unused).collect();
    let runner = &mut prop::test_runner::TestRunner::new(ProptestConfig::with_cases(600));
    let harmless = std::cell::Cell::new(0);
    let place = (any::<prop::sample::Selector>(), any::<prop::sample::Index>(), 0..8_u8);
    runner
        .run(&place, |(file, at, bit)| {
            let (path, bytes) = file.select(&files);
            fs::write(path, flipped(bytes, at.index(bytes.len()), bit)).unwrap();
            let found = bench.verify().is_err();
            let read = bench.records();
            fs::write(path, bytes).unwrap();
            prop_assert!(found || read.as_ref().is_ok_and(|read| *read == records), "{path:?} {at:?} {bit}");
            prop_assert!(
                read.is_err() || read.unwrap() == records,
                "{path:?} {at:?} {bit}: read another record"
            );
            harmless.set(harmless.get() + usize::from(!found));
            Ok(())
        })
        .unwrap();
    // White space in a key file is all that may change.
    assert!(harmless.get() < 12, "{}", harmless.get());
}

#[test]
fn flipped_bits_of_a_segment_are_located_at_or_before_them() {
    let bench = Bench::new();
    bench.write(&records(4));
    let whole = fs::read(bench.segment(1)).unwrap();
    // Most of a header is zeros.
    for at in (0..whole.len()).filter(|at| *at > segment::HEADER_BYTES - 80 || at % 11 == 0) {
        fs::write(bench.segment(1), flipped(&whole, at, (at % 8) as u8)).unwrap();
        let Err(VerifyError::Problems(problems)) = bench.verify() else { panic!("byte {at}") };
        let first = problems.iter().find(|problem| problem.file == bench.segment(1));
        assert!(first.is_none_or(|problem| problem.offset <= at as u64), "byte {at}: {problems:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// No bytes make a scan panic, hang or give an entry.
    #[test]
    fn noise_after_a_header_is_no_entry(noise in proptest::collection::vec(any::<u8>(), 0..3000), magic: bool) {
        let bench = Bench::new();
        bench.write(&[]);
        let mut bytes = fs::read(bench.segment(1)).unwrap();
        if magic {
            bytes.extend(batch::TRAILER_MAGIC);
        }
        bytes.extend(&noise);
        fs::write(bench.segment(1), &bytes).unwrap();
        prop_assert!(bench.records().unwrap().is_empty());
        let (_, recovered) = bench.open().unwrap();
        prop_assert_eq!(recovered.size, 0);
        let trailing = bytes[segment::HEADER_BYTES..].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        prop_assert_eq!(recovered.discarded_bytes, trailing as u64);
    }
}
