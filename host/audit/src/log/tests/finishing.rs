//! Which segments count as finished, while a log is written, after it was closed, and by age.

use super::*;

#[test]
fn what_is_finished_never_changes_and_ends_before_what_is_being_written() {
    let bench = Bench::new();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(300));
    // The checkpoint is still of the empty log: nothing counts that it does not cover.
    assert!(finished(bench.path(), bench.verifier(), 0).unwrap().segments.is_empty());
    log.close().unwrap();

    let closed = finished(bench.path(), bench.verifier(), 0).unwrap();
    assert!(closed.segments.len() > 2);
    assert_eq!(closed.segments.last().unwrap().tree, closed.published);
    for segment in &closed.segments {
        segment.check(bench.path(), bench.verifier()).unwrap();
        assert_eq!(segment.bytes, fs::metadata(&segment.file).unwrap().len());
    }
    let before: Vec<_> = closed.segments.iter().map(|segment| fs::read(&segment.file).unwrap()).collect();
    assert_eq!(closed.tiles(0).count(), 1, "300 records fill one tile");

    let (log, _) = bench.open().unwrap();
    append_each(&log, &records(1));
    let open = finished(bench.path(), bench.verifier(), 0).unwrap();
    assert_eq!(open.segments, closed.segments);
    assert_eq!(finished(bench.path(), bench.verifier(), 2).unwrap().segments, closed.segments[2..]);
    log.close().unwrap();
    for (segment, bytes) in closed.segments.iter().zip(before) {
        assert_eq!(fs::read(&segment.file).unwrap(), bytes);
    }
}

#[test]
fn a_damaged_segment_is_not_taken_for_a_finished_one() {
    let bench = Bench::new();
    bench.write(&records(100));
    let whole = finished(bench.path(), bench.verifier(), 0).unwrap();
    let segment = &whole.segments[0];
    let mut bytes = fs::read(&segment.file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment.file, bytes).unwrap();
    assert!(segment.check(bench.path(), bench.verifier()).is_err());
}

#[test]
fn a_segment_is_sealed_when_it_is_old_enough_also_without_another_record() {
    let bench = Bench::new();
    let aged = Config {
        segment_age: Duration::ZERO,
        checkpoint_interval: Duration::from_millis(1),
        ..bench.config.clone()
    };
    let (log, _) = Log::open(aged).unwrap();
    append_each(&log, &records(1));
    log.seal_aged();
    let deadline = Instant::now() + FOREVER;
    while finished(bench.path(), bench.verifier(), 0).unwrap().segments.len() != 1 {
        assert!(Instant::now() < deadline, "it was never sealed");
        std::thread::yield_now();
    }
    // One without records is not replaced by another without records; a second record begins a third segment.
    log.seal_aged();
    append_each(&log, &records(2));
    log.close().unwrap();
    assert_eq!(finished(bench.path(), bench.verifier(), 0).unwrap().segments.len(), 3);
    assert_eq!(bench.verify().unwrap().tree.size, 3);

    let young = Bench::new();
    let (log, _) = young.open().unwrap();
    append_each(&log, &records(1));
    log.seal_aged();
    append_each(&log, &records(1));
    log.close().unwrap();
    assert_eq!(young.verify().unwrap().segments, 1);
}
