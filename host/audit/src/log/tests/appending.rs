//! Appending and reading: what went in comes out, in order, from anywhere, at any time.

use proptest::prelude::*;

use super::*;
use crate::tlog::merkle::{Frontier, leaf_hash};

#[test]
fn what_was_appended_is_read_in_order_with_its_receipt() {
    let bench = Bench::new();
    let records = records(300);
    let receipts = bench.write(&records);
    assert_eq!(bench.records().unwrap(), records);
    let mut tree = Frontier::default();
    for (entry, receipt) in bench.reader().entries(0).unwrap().zip(&receipts) {
        let entry = entry.unwrap();
        assert_eq!((entry.seq, entry.leaf), (receipt.seq, receipt.leaf));
        assert_eq!(entry.leaf, leaf_hash(&entry.envelope));
        tree.push(entry.leaf);
    }
    let verified = bench.verify().unwrap();
    assert_eq!((verified.tree, verified.published), (tree.tree(), tree.tree()));
    assert!(verified.segments > 3, "segments are small: {verified:?}");
    assert_eq!(verified.unfinished_bytes, 0);
}

#[test]
fn records_appended_at_once_each_get_their_place() {
    let bench = Bench::with_segments(1 << 20);
    let (log, _) = bench.open().unwrap();
    let records = records(2000);
    let receipts = append_together(&log, &records);
    for (seq, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(receipt.unwrap().seq, seq as u64);
    }
    log.close().unwrap();
    assert_eq!(bench.records().unwrap(), records);
}

#[test]
fn every_start_begins_a_segment_with_its_own_key() {
    let bench = Bench::new();
    for n in 0..5 {
        bench.write(&records(n));
    }
    let verified = bench.verify().unwrap();
    assert_eq!((verified.segments, verified.tree.size), (5, 1 + 2 + 3 + 4));
    let keys: std::collections::BTreeSet<_> = (1..=5)
        .map(|number| fs::read(bench.path().join(format!("keys/{number:010}.json"))).unwrap())
        .collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn one_entry_is_found_by_its_position() {
    let bench = Bench::new();
    let records = records(200);
    bench.write(&records[..150]);
    bench.write(&[]);
    bench.write(&records[150..]);
    for (seq, record) in records.iter().enumerate() {
        let entry = bench.reader().entry(seq as u64).unwrap().unwrap();
        assert_eq!((entry.seq, entry.record.as_ref()), (seq as u64, Some(record)));
    }
    assert_eq!(bench.reader().entry(200).unwrap(), None);
    assert_eq!(bench.reader().entry(u64::MAX).unwrap(), None);
}

#[test]
fn a_reader_follows_the_writer() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    let mut entries = bench.reader().entries(0).unwrap();
    let records = records(120);
    for record in &records {
        assert!(entries.next().is_none());
        append_each(&log, std::slice::from_ref(record));
        assert_eq!(entries.next().unwrap().unwrap().record.as_ref(), Some(record));
    }
    log.close().unwrap();
    assert!(entries.next().is_none());
}

#[test]
fn what_a_reader_read_ahead_is_read_again_once_it_is_written() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(1));
    let mut entries = bench.reader().entries(0).unwrap();
    // Reads far beyond the only batch, where there are zeros still.
    entries.next().unwrap().unwrap();
    append_each(&log, &records(1));
    assert_eq!(entries.next().unwrap().unwrap().seq, 1);
}

#[test]
fn a_reader_without_keys_reads_sealed_entries_only() {
    let bench = Bench::new();
    bench.write(&records(3));
    let entries: Vec<_> = Reader::new(bench.path(), bench.verifier(), None).entries(0).unwrap().collect();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry.as_ref().unwrap().record.is_none()));
}

#[test]
fn a_reader_with_another_key_is_told_so() {
    let bench = Bench::new();
    bench.write(&records(3));
    let reader = Reader::new(bench.path(), bench.verifier(), Some(kek(2)));
    let refused = reader.entries(0).unwrap().next().unwrap();
    assert!(matches!(refused, Err(ReadError::Key { segment: 1, .. })), "{refused:?}");
}

#[test]
fn a_log_has_one_writer() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Locked { .. })));
    log.close().unwrap();
    bench.open().unwrap();
}

#[test]
fn a_closed_log_takes_nothing() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    log.close().unwrap();
    log.close().unwrap();
    let refused = runtime().block_on(log.append(vec![1], Instant::now() + FOREVER));
    assert!(matches!(refused, Err(AppendError::Closed)));
    assert!(log.status().closed);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_harms_nobody() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    let refused = runtime().block_on(log.append(vec![0; (1 << 20) + 1], Instant::now() + FOREVER));
    assert!(matches!(refused, Err(AppendError::Record(_))));
    append_each(&log, &records(1));
    log.close().unwrap();
    assert_eq!(bench.records().unwrap(), records(1));
}

#[test]
fn records_larger_than_a_segment_get_segments_that_grow() {
    let bench = Bench::with_segments(8 * 1024);
    let mut noise = vec![0; 60_000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let records = vec![noise; 5];
    bench.write(&records);
    assert_eq!(bench.records().unwrap(), records);
    assert_eq!(bench.verify().unwrap().segments, 5);
}

#[test]
fn a_deadline_that_has_passed_says_whether_the_record_was_queued() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    let refused = runtime().block_on(log.append(vec![1], Instant::now()));
    // There was room, so it was queued, and may be written.
    assert!(matches!(refused, Err(AppendError::Late) | Ok(_)), "{refused:?}");
    log.close().unwrap();
    assert_eq!(bench.records().unwrap(), [[1]]);
}

#[test]
fn a_write_that_fails_stops_the_log_for_good() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(2));
    // The next segment cannot get its name.
    fs::remove_dir_all(bench.path().join("segments")).unwrap();
    let outcomes = append_together(&log, &records(1000));
    let failed = outcomes.iter().position(Result::is_err).expect("the log ran out of segments");
    assert!(outcomes[failed..].iter().all(|outcome| matches!(outcome, Err(AppendError::Failed(_)))));
    assert!(log.status().failure.is_some());
    let refused = runtime().block_on(log.append(vec![1], Instant::now() + FOREVER));
    assert!(matches!(refused, Err(AppendError::Failed(_))));
    assert!(log.close().is_err());
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_log() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    // A directory cannot be replaced by a file.
    fs::remove_file(bench.path().join("checkpoint")).unwrap();
    fs::create_dir_all(bench.path().join("checkpoint/x")).unwrap();
    // It may be durable before the checkpoint fails, or not.
    drop(runtime().block_on(log.append(vec![1], Instant::now() + FOREVER)));
    assert!(log.close().is_err());
}

#[test]
fn a_checkpoint_is_published_while_the_log_is_open() {
    let bench = Bench::new();
    let config = Config { checkpoint_interval: Duration::ZERO, ..bench.config.clone() };
    let (log, _) = Log::open(config).unwrap();
    append_each(&log, &records(3));
    while log.status().published != log.status().durable {
        std::thread::yield_now();
    }
    assert_eq!(bench.reader().checkpoint().unwrap().size, 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The model is a list: whatever the lengths, groups and restarts, the log reads as the list.
    #[test]
    fn the_log_reads_as_a_list(
        runs in proptest::collection::vec(
            (proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 0..40), any::<bool>()),
            1..6,
        ),
        segment_bytes in 4096..40_000u64,
        from: prop::sample::Index,
    ) {
        let bench = Bench::with_segments(segment_bytes);
        let mut model = Vec::new();
        for (records, together) in runs {
            let (log, recovered) = bench.open().unwrap();
            prop_assert_eq!((recovered.size, recovered.discarded_bytes), (model.len() as u64, 0));
            if together && !records.is_empty() {
                append_together(&log, &records).into_iter().for_each(|receipt| assert!(receipt.is_ok()));
            } else {
                append_each(&log, &records);
            }
            model.extend(records);
            log.close().unwrap();
        }
        prop_assert_eq!(&bench.records().unwrap(), &model);
        prop_assert_eq!(bench.verify().unwrap().tree.size, model.len() as u64);
        let from = from.index(model.len() + 1);
        let rest: Vec<_> = bench.reader().entries(from as u64).unwrap().map(|entry| entry.unwrap().record.unwrap()).collect();
        prop_assert_eq!(&rest, &model[from..]);
    }
}
