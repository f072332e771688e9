//! Opening after a crash: what is cut off, what is kept, what refuses.

use super::*;

/// Leaves the directory as a crash would: everything durable, nothing closed. `published` entries have a checkpoint.
fn crashed(bench: &Bench, published: usize, records: &[Vec<u8>]) -> BTreeMap<PathBuf, Vec<u8>> {
    bench.write(&records[..published]);
    let checkpoint = fs::read(bench.path().join("checkpoint")).unwrap();
    let (log, _) = bench.open().unwrap();
    append_each(&log, &records[published..]);
    let mut crash = bench.snapshot();
    log.close().unwrap();
    // The first batch was published at once; an older checkpoint is what a crash may leave as well.
    crash.insert(bench.path().join("checkpoint"), checkpoint);
    bench.restore(&crash);
    crash
}

#[test]
fn a_log_that_was_not_closed_keeps_everything() {
    let bench = Bench::new();
    let records = records(30);
    crashed(&bench, 10, &records);
    assert_eq!(bench.records().unwrap(), records, "a reader needs no recovery");
    assert_eq!(bench.verify().unwrap().tree.size, 30);
    let (log, recovered) = bench.open().unwrap();
    assert_eq!((recovered.size, recovered.checkpoint_size, recovered.discarded_bytes), (30, 10, 0));
    log.close().unwrap();
    assert_eq!(bench.records().unwrap(), records);
    assert_eq!(bench.verify().unwrap().published.size, 30);
}

#[test]
fn a_new_log_says_that_it_was_created() {
    let bench = Bench::new();
    assert!(bench.open().unwrap().1.created);
    assert!(!bench.open().unwrap().1.created);
}

/// The end of each batch in a segment.
fn ends(bench: &Bench, number: u64) -> Vec<u64> {
    let source = Source::new(bench.path(), bench.verifier());
    let mut scan = scan::SegmentScan::open(&source, number, scan::Signatures::Each).unwrap();
    let mut ends = vec![scan.end()];
    while matches!(scan.advance().unwrap(), scan::Step::Batch) {
        ends.push(scan.end());
    }
    ends
}

/// What [`Log::open`] does before it begins a segment.
fn recover(bench: &Bench) -> Recovered {
    let source = Source::new(bench.path(), bench.verifier());
    recover::recover(&source, &bench.config.signer, bench.config.kek.as_ref()).unwrap().recovered
}

#[test]
fn a_tail_cut_at_any_byte_keeps_every_batch_before_it() {
    let bench = Bench::new();
    let records: Vec<_> = (0..6).map(|n| format!("record {n}").into_bytes()).collect();
    let crash = crashed(&bench, 2, &records);
    let ends = ends(&bench, 2);
    assert_eq!(ends.len(), 1 + 4);
    let whole = crash[&bench.segment(2)].clone();
    for cut in ends[1]..=ends[4] {
        // Both ways of losing a tail: the file is shorter, or there are still the zeros.
        for zeros in [false, true] {
            let mut torn = whole[..cut as usize].to_vec();
            if zeros {
                torn.resize(whole.len(), 0);
            }
            fs::write(bench.segment(2), &torn).unwrap();
            // What was cut may have been zeros already.
            let is_whole = |end: &&u64| torn.get(..**end as usize) == Some(&whole[..**end as usize]);
            let kept = ends.iter().filter(is_whole).count() - 1;
            let context = format!("cut {cut}, {zeros}, {ends:?}");
            let torn_bytes =
                torn[ends[kept] as usize..].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);

            let recovered = recover(&bench);
            assert_eq!(recovered.size, 2 + kept as u64, "{context}");
            assert_eq!(recovered.discarded_bytes, torn_bytes as u64, "{context}");
            // Recovery that was itself interrupted after the cut finds nothing more to do.
            assert_eq!(recover(&bench), Recovered { discarded_bytes: 0, ..recovered }, "{context}");
            assert_eq!(bench.records().unwrap(), records[..2 + kept], "{context}");
            if cut % 29 == 0 {
                bench.write(&records[..1]);
                assert_eq!(bench.verify().unwrap().tree.size, 3 + kept as u64, "{context}");
                bench.restore(&crash);
            }
        }
    }
}

#[test]
fn sectors_of_the_last_batch_may_be_lost_in_any_order() {
    const SECTOR: usize = 512;
    let bench = Bench::new();
    let mut noise = vec![0; 3000];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let records = vec![noise; 4];
    let crash = crashed(&bench, 2, &records);
    let ends = ends(&bench, 2);
    let (start, end) = (ends[1] as usize, ends[2] as usize);
    let sectors: Vec<usize> = (start / SECTOR..end.div_ceil(SECTOR)).collect();
    for subset in 1..1_u32 << sectors.len() {
        bench.restore(&crash);
        let mut torn = crash[&bench.segment(2)].clone();
        for (bit, sector) in sectors.iter().enumerate() {
            if subset >> bit & 1 == 1 {
                let (from, to) = ((sector * SECTOR).max(start), ((sector + 1) * SECTOR).min(end));
                torn[from..to].fill(0);
            }
        }
        fs::write(bench.segment(2), &torn).unwrap();
        let recovered = recover(&bench);
        assert_eq!(recovered.size, 3, "subset {subset:b}");
        let lost_all = subset + 1 == 1 << sectors.len();
        assert_eq!(recovered.discarded_bytes == 0, lost_all, "subset {subset:b}");
    }
}

#[test]
fn damage_before_a_whole_batch_is_no_torn_tail() {
    let bench = Bench::new();
    let crash = crashed(&bench, 2, &records(6));
    let ends = ends(&bench, 2);
    for at in ends[0]..ends[3] {
        let mut damaged = crash[&bench.segment(2)].clone();
        damaged[at as usize] ^= 0x10;
        fs::write(bench.segment(2), &damaged).unwrap();
        let refused = bench.open().unwrap_err();
        let OpenError::Scan(ScanError::Problem(problem)) = refused else { panic!("byte {at}: {refused:?}") };
        assert!(matches!(problem.fault, Fault::DamageBefore { .. }), "byte {at}: {problem:?}");
        assert_eq!(problem.file, bench.segment(2));
        assert!(ends.contains(&problem.offset) && problem.offset <= at, "byte {at}: {problem:?}");
        assert_eq!(fs::read(bench.segment(2)).unwrap(), damaged, "a refusal changes nothing");
    }
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_refused() {
    let bench = Bench::new();
    bench.write(&records(6));
    let whole = bench.snapshot();
    for end in ends(&bench, 1).into_iter().rev().skip(1) {
        bench.restore(&whole);
        fs::write(bench.segment(1), &whole[&bench.segment(1)][..end as usize]).unwrap();
        let refused = bench.open().unwrap_err();
        let OpenError::Scan(ScanError::Problem(problem)) = refused else { panic!("{refused:?}") };
        assert!(matches!(problem.fault, Fault::ShorterThanCheckpoint { expected: 6, .. }), "{problem:?}");
        assert!(bench.records().is_err());
        assert!(bench.verify().is_err());
    }
}

#[test]
fn a_log_with_another_tree_than_its_checkpoint_is_refused() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.write(&records(6));
    other.write(&records(7)[1..]);
    fs::copy(other.path().join("checkpoint"), bench.path().join("checkpoint")).unwrap();
    let refused = bench.open().unwrap_err();
    assert!(
        matches!(
            &refused,
            OpenError::Scan(ScanError::Problem(Problem { fault: Fault::Root { size: 6 }, .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn a_log_without_its_checkpoint_is_refused() {
    let bench = Bench::new();
    bench.write(&records(2));
    fs::remove_file(bench.path().join("checkpoint")).unwrap();
    let refused = bench.open().unwrap_err();
    assert!(matches!(
        refused,
        OpenError::Scan(ScanError::Problem(Problem { fault: Fault::CheckpointMissing, .. }))
    ));
    assert!(bench.verify().is_err());
}

#[test]
fn a_log_without_its_segments_is_refused() {
    let bench = Bench::new();
    bench.write(&records(2));
    fs::remove_dir_all(bench.path().join("segments")).unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Scan(_))));
    assert!(bench.verify().is_err());
}

#[test]
fn another_signing_key_or_origin_is_refused() {
    let bench = Bench::new();
    bench.write(&records(2));
    let elsewhere = Signer::from_seed("test.example/audit/other/2026", &[1; 32]).unwrap();
    for signer in [signer(2), Arc::new(elsewhere)] {
        let refused = Log::open(Config { signer, ..bench.config.clone() });
        assert!(matches!(refused, Err(OpenError::Scan(ScanError::Problem(_)))), "{refused:?}");
    }
}

#[test]
fn another_key_encryption_key_is_refused_when_opening() {
    let bench = Bench::new();
    bench.write(&records(2));
    let refused = Log::open(Config { kek: kek(2), ..bench.config.clone() });
    assert!(matches!(refused, Err(OpenError::Key(crate::keys::KeyError::OtherKek { .. }))), "{refused:?}");
}

#[test]
fn leftovers_of_an_unfinished_start_are_harmless() {
    let bench = Bench::new();
    bench.write(&records(2));
    for leftover in ["segments/spare", "checkpoint.tmp", "keys/0000000002.json.tmp"] {
        fs::write(bench.path().join(leftover), b"half").unwrap();
    }
    fs::copy(bench.path().join("keys/0000000001.json"), bench.path().join("keys/0000000002.json")).unwrap();
    bench.write(&records(3));
    assert_eq!(bench.verify().unwrap().tree.size, 5);
    assert_eq!(bench.records().unwrap().len(), 5);
}

#[test]
fn opening_reads_the_segments_that_are_not_published_only() {
    let bench = Bench::new();
    bench.write(&records(300));
    // Damage where it was published long ago does not stop the log; to find it is what `verify` is for.
    let mut damaged = fs::read(bench.segment(2)).unwrap();
    damaged[5000] ^= 1;
    fs::write(bench.segment(2), damaged).unwrap();
    bench.open().unwrap();
    assert!(matches!(bench.verify(), Err(VerifyError::Problems(problems)) if problems.len() == 1));
}

/// As a full disk leaves it, where there was room for the checkpoint and none for a segment.
#[test]
fn a_log_whose_first_segment_could_not_be_made_is_empty_and_whole() {
    let bench = Bench::new();
    let source = Source::new(bench.path(), bench.verifier());
    fs::create_dir(source.layout.segments()).unwrap();
    fs::create_dir(source.layout.keys()).unwrap();
    assert_eq!(recover(&bench).size, 0);
    assert_eq!(bench.verify().unwrap().tree.size, 0);
    assert!(bench.records().unwrap().is_empty());
    bench.write(&records(2));
    assert_eq!(bench.verify().unwrap().published.size, 2);
}

#[test]
fn a_directory_without_anything_of_a_log_is_said_to_be_that() {
    let bench = Bench::new();
    let Err(VerifyError::Problems(problems)) = bench.verify() else { panic!("there is no log") };
    assert!(matches!(problems[..], [Problem { fault: Fault::NotBegun, .. }]), "{problems:?}");
}
