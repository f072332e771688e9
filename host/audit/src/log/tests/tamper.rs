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
    let mut scan = scan::SegmentScan::open(&source, number, scan::Signatures::Each).unwrap();
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
fn a_segment_with_a_number_beyond_all_others_is_found_without_counting_up_to_it() {
    let bench = log();
    fs::copy(bench.segment(3), bench.segment(9_999_999_999)).unwrap();
    let found = faults(&bench);
    assert_eq!(found.len(), PROBLEMS_MAX);
    assert!(matches!(found[0], Fault::SegmentMissing { number: 4 }), "{:?}", found[0]);
    assert!(bench.open().is_err());
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
fn a_chain_forged_with_another_key_is_found_where_it_begins() {
    let whole = log();
    let source = Source::new(whole.path(), whole.verifier());
    for (number, from) in [(1, 1), (1, 10), (2, 4), (3, 2), (3, 10)] {
        let bench = log();
        let mut batches = batches(&bench, number);
        let before = &batches[from - 1];
        // The block before is the header, or the trailer of the batch before.
        let at = if from == 1 { 0 } else { before.len() - batch::TRAILER_BYTES };
        let mut link = block::link(&before[at..]);
        for batch in &mut batches[from..] {
            let at = batch.len() - batch::TRAILER_BYTES;
            let trailer =
                batch::Trailer::decode(&batch[at..], &source.origin_hash, bench.verifier()).unwrap();
            batch.truncate(at);
            batch.extend(batch::Trailer { link, ..trailer }.encode(&source.origin_hash, &signer(9)));
            link = block::link(&batch[at..]);
        }
        let begins: usize = batches[..from].iter().map(Vec::len).sum();
        fs::write(bench.segment(number), batches.concat()).unwrap();
        let Err(VerifyError::Problems(problems)) = bench.verify() else { panic!("{number}, {from}") };
        match &problems[0] {
            Problem { fault: Fault::Signature { .. }, offset, .. } => assert_eq!(*offset, begins as u64),
            // The end of the log: batches that nobody signed were never acknowledged, but those were published.
            Problem { fault: Fault::ShorterThanCheckpoint { found, source, .. }, .. } if number == 3 => {
                assert_eq!(*found, 20 + from as u64 - 1);
                assert!(matches!(source.as_deref(), Some(Fault::Signature { .. })), "{source:?}");
            }
            other => panic!("{number}, {from}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    for number in 1..=3 {
        let bench = log();
        fs::remove_file(bench.segment(number)).unwrap();
        let refused = bench.open().unwrap_err();
        let OpenError::Scan(ScanError::Problem(problem)) = refused else { panic!("{refused:?}") };
        assert!(matches!(problem.fault, Fault::SegmentMissing { number: missing } if missing == number));
        assert!(matches!(faults(&bench)[0], Fault::SegmentMissing { number: missing } if missing == number));
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

/// The state of a log that was cut off by a crash, before a checkpoint of its last segment.
fn crashed_in_a_new_segment() -> Bench {
    let bench = Bench::new();
    bench.write(&records(5));
    let checkpoint = fs::read(bench.path().join("checkpoint")).unwrap();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(3));
    let crash = bench.snapshot();
    drop(log);
    bench.restore(&crash);
    fs::write(bench.path().join("checkpoint"), checkpoint).unwrap();
    bench
}

#[test]
fn a_segment_that_vanished_whole_after_the_last_checkpoint_is_missed() {
    let bench = crashed_in_a_new_segment();
    bench.verify().unwrap();
    fs::remove_file(bench.segment(2)).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::SegmentMissing { number: 2 }]));
    let OpenError::Scan(ScanError::Problem(problem)) = bench.open().unwrap_err() else { panic!() };
    assert!(matches!(problem.fault, Fault::SegmentMissing { number: 2 }));
}

#[test]
fn all_segments_that_vanished_before_the_first_checkpoint_are_missed() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    let empty = fs::read(bench.path().join("checkpoint")).unwrap();
    append_each(&log, &records(3));
    drop(log);
    fs::write(bench.path().join("checkpoint"), empty).unwrap();
    fs::remove_file(bench.segment(1)).unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Scan(ScanError::Problem(_)))));
    assert!(matches!(faults(&bench)[..], [Fault::SegmentMissing { number: 1 }]));
}

#[test]
fn a_mark_that_is_removed_changed_or_of_another_key_is_found() {
    let mark = |bench: &Bench| bench.path().join("begun");
    let bench = log();
    let whole = fs::read_to_string(mark(&bench)).unwrap();
    fs::remove_file(mark(&bench)).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::MarkMissing]));
    assert!(bench.open().is_err());
    let source = Source::new(bench.path(), bench.verifier());
    mark::write(&source, &signer(9), 3).unwrap();
    let other_key = fs::read_to_string(mark(&bench)).unwrap();
    for text in [whole.replace("\n3\n", "\n2\n"), other_key, String::new()] {
        fs::write(mark(&bench), text).unwrap();
        assert!(matches!(faults(&bench)[..], [Fault::Mark]));
        assert!(bench.open().is_err());
    }
}

#[test]
fn a_log_that_is_removed_renamed_or_exchanged_while_it_is_written_answers_nothing_more() {
    type Change = fn(&Bench);
    let changes: [(&str, Change); 3] = [
        ("segment removed", |bench| fs::remove_file(bench.segment(1)).unwrap()),
        ("directory renamed", |bench| {
            fs::rename(bench.path().join("segments"), bench.path().join("aside")).unwrap();
        }),
        ("segment exchanged for a copy", |bench| {
            let copy = bench.path().join("copy");
            fs::copy(bench.segment(1), &copy).unwrap();
            fs::rename(copy, bench.segment(1)).unwrap();
        }),
    ];
    for (name, change) in changes {
        let bench = Bench::new();
        let (log, _) = bench.open().unwrap();
        append_each(&log, &records(1));
        change(&bench);
        let outcome = append_together(&log, &records(1)).remove(0);
        let Err(AppendError::Failed(failure)) = outcome else { panic!("{name}: {outcome:?}") };
        assert!(matches!(*failure, Failure::Gone { .. }), "{name}: {failure}");
        assert!(log.close().is_err(), "{name}");
    }
}

/// A checkpoint as somebody outside keeps it.
fn outside(bench: &Bench) -> Outside {
    Outside { file: "kept".into(), tree: bench.reader().checkpoint().unwrap() }
}

fn faults_against(bench: &Bench, outside: Vec<Outside>) -> Vec<Fault> {
    match verify_against(bench.path(), bench.verifier(), outside, &mut |_| {}) {
        Ok(_) => vec![],
        Err(VerifyError::Problems(problems)) => problems.into_iter().map(|problem| problem.fault).collect(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_log_continues_every_checkpoint_that_it_had_at_any_size() {
    let bench = Bench::new();
    bench.open().unwrap().0.close().unwrap();
    let mut kept = vec![outside(&bench)];
    for run in records(30).chunks(10) {
        bench.write(run);
        kept.push(outside(&bench));
    }
    // Sizes inside of a batch too: others need not know how records were batched.
    let mut tree = crate::tlog::merkle::Frontier::default();
    for entry in bench.reader().entries(0).unwrap() {
        tree.push(entry.unwrap().leaf);
        kept.push(Outside { file: "made".into(), tree: tree.tree() });
    }
    assert!(faults_against(&bench, kept.clone()).is_empty());
    for at in 0..kept.len() {
        let mut kept = kept.clone();
        kept[at].tree.root[0] ^= 1;
        let found = faults_against(&bench, kept.clone());
        assert!(matches!(found[..], [Fault::OutsideForked { size }] if size == kept[at].tree.size), "{at}");
    }
}

#[test]
fn a_kept_checkpoint_tells_what_the_signing_key_hides() {
    // Put back whole to an older state.
    let bench = Bench::new();
    bench.write(&records(5));
    let old = bench.snapshot();
    bench.write(&records(5));
    let kept = outside(&bench);
    bench.restore(&old);
    bench.verify().unwrap();
    let found = faults_against(&bench, vec![kept.clone()]);
    assert!(matches!(found[..], [Fault::OutsideShorter { expected: 10, found: 5 }]));
    // And gone on with, over the size that was kept.
    bench.write(&records(20));
    assert!(matches!(faults_against(&bench, vec![kept])[..], [Fault::OutsideForked { size: 10 }]));

    // Written again with every key, one record edited, removed, inserted or two exchanged.
    let honest = records(6);
    let mut edited = honest.clone();
    edited[2] = b"another".to_vec();
    let (mut removed, mut inserted, mut exchanged) = (honest.clone(), honest.clone(), honest.clone());
    removed.remove(2);
    inserted.insert(2, b"one more".to_vec());
    exchanged.swap(1, 4);
    let bench = Bench::new();
    bench.write(&honest);
    let kept = outside(&bench);
    for (name, forged) in
        [("edited", edited), ("removed", removed), ("inserted", inserted), ("exchanged", exchanged)]
    {
        let other = Bench::new();
        other.write(&forged);
        other.verify().unwrap();
        let found = faults_against(&other, vec![kept.clone()]);
        let seen = matches!(found[..], [Fault::OutsideForked { size: 6 } | Fault::OutsideShorter { .. }]);
        assert!(seen, "{name}: {found:?}");
    }
}

#[test]
fn what_a_witness_cosigned_is_kept_and_checked_and_never_replaced_by_less() {
    use crate::tlog::note::Cosigner;

    let cosigner = Cosigner::from_seed("witness.example/w1", &[7; 32]).unwrap();
    let cosign = |bench: &Bench| {
        let note = bench.reader().signed_checkpoint().unwrap().unwrap();
        let text = crate::tlog::note::Unverified::parse(&note).unwrap().text;
        crate::tlog::note::append(&note, &[cosigner.cosign(&text, 1_790_000_000)]).unwrap()
    };
    let bench = Bench::new();
    bench.write(&records(5));
    let (old, older) = (bench.snapshot(), cosign(&bench));
    bench.write(&records(5));
    let newer = cosign(&bench);
    let (reader, witness) = (bench.reader(), cosigner.verifier());
    assert_eq!(reader.witnessed_by(witness).unwrap(), None);
    let plain = reader.signed_checkpoint().unwrap().unwrap();
    assert!(reader.keep_witnessed(witness, &plain).is_err(), "nobody cosigned that");
    for note in [&older, &newer, &older] {
        reader.keep_witnessed(witness, note).unwrap();
    }
    let kept = reader.witnessed_by(witness).unwrap().unwrap();
    assert_eq!((&kept.note, kept.tree.size), (&newer, 10));
    assert_eq!(reader.witnessed().unwrap(), std::slice::from_ref(&kept));
    assert_eq!(cosigned(&kept.note, bench.verifier(), witness), Some(1_790_000_000));
    assert_eq!(cosigned(&plain, bench.verifier(), witness), None);
    bench.verify().unwrap();

    // What is left of it shows that the rest was put back.
    bench.restore(&old);
    fs::create_dir_all(bench.path().join("witnessed")).unwrap();
    fs::write(&kept.file, &kept.note).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::OutsideShorter { expected: 10, found: 5 }]));
    fs::write(&kept.file, kept.note.replace("\n10\n", "\n5\n")).unwrap();
    assert!(matches!(faults(&bench)[..], [Fault::Checkpoint(_)]));
}
