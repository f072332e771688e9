//! Single entries: found wherever they are, in any order, and as well checked the second time as the first.

use proptest::prelude::*;

use super::*;

/// Large enough that a segment has several marks.
fn noise(count: usize) -> Vec<Vec<u8>> {
    let record = || {
        let mut bytes = vec![0; 60_000];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        bytes
    };
    std::iter::repeat_with(record).take(count).collect()
}

fn log(records: &[Vec<u8>]) -> Bench {
    let bench = Bench::with_segments(1 << 20);
    bench.write(records);
    bench
}

fn record(reader: &Reader, seq: u64) -> Option<Vec<u8>> {
    reader.entry(seq).unwrap().map(|entry| {
        assert_eq!(entry.seq, seq);
        entry.record.unwrap()
    })
}

#[test]
fn entries_are_found_in_any_order() {
    let records = noise(45);
    let bench = log(&records);
    assert!(bench.verify().unwrap().segments > 2);
    let reader = bench.reader();
    let runner = &mut prop::test_runner::TestRunner::new(ProptestConfig::with_cases(30));
    runner
        .run(&proptest::collection::vec(0..50_u64, 1..10), |sought| {
            for seq in sought {
                prop_assert!(record(&reader, seq).as_ref() == records.get(seq as usize), "entry {seq}");
                let rest = reader.entries(seq).unwrap().count();
                prop_assert_eq!(rest, records.len().saturating_sub(seq as usize));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn an_entry_damaged_since_it_was_looked_up_is_not_given_out() {
    let bench = log(&noise(12));
    let reader = bench.reader();
    assert!(record(&reader, 11).is_some());
    let whole = fs::read(bench.segment(1)).unwrap();
    for at in (segment::HEADER_BYTES..whole.len()).rev().step_by(40_011) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(bench.segment(1), damaged).unwrap();
        let found = reader.entry(11);
        let in_last = at > whole.len() - 60_000;
        assert!(found.is_err() || !in_last, "byte {at}");
    }
}

#[test]
fn marks_of_a_log_that_was_exchanged_do_not_hide_the_new_one() {
    let (old, new) = (noise(12), noise(14));
    let (bench, other) = (log(&old), log(&new));
    let reader = bench.reader();
    assert!(record(&reader, 11).as_ref() == old.last());
    bench.restore(
        &other
            .snapshot()
            .into_iter()
            .map(|(path, bytes)| (bench.path().join(path.strip_prefix(other.path()).unwrap()), bytes))
            .collect(),
    );
    for seq in [13, 11, 0, 12] {
        assert!(record(&reader, seq).as_ref() == new.get(seq as usize), "entry {seq}");
    }
}

#[test]
fn a_mark_that_is_offered_is_used_if_it_holds_and_harmless_if_not() {
    let records = noise(12);
    let bench = log(&records);
    let all = bench.reader();
    let mut entries = all.entries(0).unwrap();
    let marks: Vec<_> = std::iter::from_fn(|| entries.next().map(|_| entries.mark().unwrap())).collect();
    let mut moved = marks[5].clone();
    moved.offset += 1;
    let mut of_another = marks[5].clone();
    of_another.position.link = [7; 32];
    let mut beyond = marks[5].clone();
    beyond.offset = 1 << 40;
    for mark in [marks[5].clone(), marks[8].clone(), moved, of_another, beyond] {
        for seq in [6, 9, 11, 0] {
            let reader = bench.reader();
            reader.offer(mark.clone());
            assert!(record(&reader, seq).as_ref() == records.get(seq as usize), "{mark:?} {seq}");
        }
    }
}

#[test]
fn a_log_that_grows_is_looked_into_as_far_as_it_is() {
    let bench = Bench::with_segments(1 << 20);
    let (log, _) = bench.open().unwrap();
    let (records, reader) = (noise(24), bench.reader());
    for (seq, one) in records.iter().enumerate() {
        assert!(record(&reader, seq as u64).is_none());
        append_each(&log, std::slice::from_ref(one));
        assert!(record(&reader, seq as u64).as_ref() == Some(one));
    }
    log.close().unwrap();
}
