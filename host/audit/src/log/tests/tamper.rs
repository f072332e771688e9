//! Tampering by somebody with access to the disk: without the signing key everything is found; with it,
//! or by putting back an older state of everything, only an outside witness can tell.

use super::*;

/// A log of several starts, so of several segments: entries 0..10, 10..20, 20..30.
fn log() -> Bench {
    let bench = Bench::new();
    for run in records(30).chunks(10) {
        bench.write(run);
    }
    bench
}

fn faults(bench: &Bench) -> Vec<Fault> {
    match bench.verify() {
        Err(VerifyError::Problems(problems)) => problems.into_iter().map(|problem| problem.fault).collect(),
        other => panic!("{other:?}"),
    }
}

/// The bytes of each batch of a segment, after its header.
fn batches(bench: &Bench, number: u64) -> Vec<Vec<u8>> {
    let source = Source::new(bench.path(), bench.verifier());
    let mut scan = scan::SegmentScan::open(&source, number).unwrap();
    let bytes = fs::read(bench.segment(number)).unwrap();
    let mut batches = vec![bytes[..scan.end() as usize].to_vec()];
    while let (start, scan::Step::Batch) = (scan.end(), scan.advance().unwrap()) {
        batches.push(bytes[start as usize..scan.end() as usize].to_vec());
    }
    batches
}

#[test]
fn a_record_that_is_removed_repeated_exchanged_or_moved_is_found() {
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change); 5] = [
        ("removed", |batches| drop(batches.remove(4))),
        ("removed last", |batches| drop(batches.pop())),
        ("repeated", |batches| batches.insert(4, batches[4].clone())),
        ("exchanged", |batches| batches.swap(4, 5)),
        ("moved", |batches| {
            let batch = batches.remove(2);
            batches.push(batch);
        }),
    ];
    for (name, change) in changes {
        for number in 1..=3 {
            let bench = log();
            let mut batches = batches(&bench, number);
            change(&mut batches);
            fs::write(bench.segment(number), batches.concat()).unwrap();
            assert!(!faults(&bench).is_empty(), "{name} in {number}");
            assert!(bench.records().is_err(), "{name} in {number}");
        }
    }
}

#[test]
fn an_entry_edited_with_its_checksum_put_right_is_found() {
    let bench = log();
    let mut batches = batches(&bench, 2);
    let batch = &mut batches[3];
    let end = batch.len() - batch::TRAILER_BYTES;
    batch[end - 1] ^= 1;
    let crc = crc32c::crc32c(&batch[8..end]).to_be_bytes();
    batch[4..8].copy_from_slice(&crc);
    fs::write(bench.segment(2), batches.concat()).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::Root { size: 13 }]));
}

#[test]
fn a_batch_forged_with_another_key_is_found() {
    let bench = log();
    let mut batches = batches(&bench, 2);
    let batch = &mut batches[3];
    let at = batch.len() - batch::TRAILER_BYTES;
    let source = Source::new(bench.path(), bench.verifier());
    let trailer = batch::Trailer::decode(&batch[at..], &source.origin_hash, bench.verifier()).unwrap();
    batch.truncate(at);
    batch.extend(trailer.encode(&source.origin_hash, &signer(9)));
    fs::write(bench.segment(2), batches.concat()).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::Signature { .. }]));
}

#[test]
fn a_missing_segment_is_named() {
    for number in 1..=3 {
        let bench = log();
        fs::remove_file(bench.segment(number)).unwrap();
        let refused = bench.open().unwrap_err();
        let OpenError::Scan(ScanError::Problem(problem)) = refused else { panic!("{refused:?}") };
        if number < 3 {
            assert!(matches!(problem.fault, Fault::SegmentMissing { number: missing } if missing == number));
            assert!(
                matches!(faults(&bench)[0], Fault::SegmentMissing { number: missing } if missing == number)
            );
        } else {
            assert!(matches!(problem.fault, Fault::ShorterThanCheckpoint { expected: 30, found: 20, .. }));
        }
    }
}

#[test]
fn a_missing_segment_is_not_read_over() {
    let bench = log();
    let whole = bench.snapshot();
    for removed in [&[1][..], &[2], &[3], &[1, 2], &[1, 2, 3]] {
        for number in removed {
            fs::remove_file(bench.segment(*number)).unwrap();
        }
        let read: Result<Vec<_>, _> = bench.reader().entries(0).and_then(Iterator::collect);
        assert!(matches!(read, Err(ReadError::Scan(ScanError::Problem(_)))), "{removed:?}");
        if removed.contains(&1) {
            assert!(bench.reader().entry(0).is_err(), "{removed:?}");
        }
        for number in removed {
            fs::write(bench.segment(*number), &whole[&bench.segment(*number)]).unwrap();
        }
    }
    assert_eq!(bench.reader().entries(0).unwrap().count(), 30);
}

#[test]
fn exchanged_and_foreign_segments_are_found() {
    let bench = log();
    let (one, two) = (fs::read(bench.segment(1)).unwrap(), fs::read(bench.segment(2)).unwrap());
    fs::write(bench.segment(1), two).unwrap();
    fs::write(bench.segment(2), one).unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Scan(_))));
    assert!(matches!(faults(&bench)[..], [Fault::SegmentNumber { .. }, Fault::SegmentNumber { .. }, ..]));

    // Of the same log in another life: same key, same origin, same number.
    let (bench, other) = (log(), log());
    for number in 1..=3 {
        let kept = fs::read(bench.segment(number)).unwrap();
        fs::copy(other.segment(number), bench.segment(number)).unwrap();
        assert!(matches!(bench.open(), Err(OpenError::Scan(_))), "{number}");
        assert!(bench.verify().is_err(), "{number}");
        fs::write(bench.segment(number), kept).unwrap();
    }
}

#[test]
fn a_segment_put_back_to_an_older_state_is_found() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(5));
    let old = bench.snapshot();
    append_each(&log, &records(5));
    log.close().unwrap();
    fs::write(bench.segment(1), &old[&bench.segment(1)]).unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Scan(_))));
    assert!(matches!(faults(&bench)[..], [Fault::ShorterThanCheckpoint { expected: 10, found: 5, .. }]));
}

#[test]
fn a_lost_or_exchanged_key_file_is_found_without_keys() {
    let key = |bench: &Bench, number: u64| bench.path().join(format!("keys/{number:010}.json"));
    let bench = log();
    fs::remove_file(key(&bench, 1)).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::Key { segment: 1, .. }]));
    fs::copy(key(&bench, 2), key(&bench, 1)).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::Key { segment: 1, .. }]));
}

/// What this log cannot see by itself; the limits are said so that nobody relies on more.
#[test]
fn only_a_witness_sees_a_log_put_back_whole() {
    let bench = Bench::new();
    bench.write(&records(5));
    let old = bench.snapshot();
    let seen_by_witness = bench.reader().checkpoint().unwrap();
    bench.write(&records(5));
    let latest = bench.reader().checkpoint().unwrap();
    bench.restore(&old);
    assert_eq!(bench.verify().unwrap().tree.size, 5, "nothing on this disk tells of the other five");
    let rolled_back = bench.reader().checkpoint().unwrap();
    assert_eq!(rolled_back, seen_by_witness);
    assert!(rolled_back.size < latest.size, "a witness that saw the latest refuses this one");
}

#[test]
fn only_a_witness_sees_a_log_rewritten_with_the_signing_key() {
    let (honest, forged) = (Bench::new(), Bench::new());
    honest.write(&records(5));
    forged.write(&records(6)[1..]);
    forged.verify().unwrap();
    let (honest, forged) = (honest.reader().checkpoint().unwrap(), forged.reader().checkpoint().unwrap());
    assert_eq!(honest.size, forged.size);
    assert_ne!(honest.root, forged.root, "a witness that saw one has no proof that the other continues it");
}
