//! A search index whose file was edited answers as it did, or says that it is spoilt: it never panics, and no record
//! is missed in silence.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use assent_audit::index::{CHUNK, Index, IndexKey, Order, Query};
use assent_audit::record::Record;
use libfuzzer_sys::fuzz_target;

struct Sample {
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
    records: Vec<Record>,
}

const LOG: &str = "fuzz.test/audit/org/2026";

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let lines = include_str!("../../tests/data/records.jsonl").lines();
    let records: Vec<_> = lines.map(|line| Record::decode(line.as_bytes()).unwrap()).collect();
    let mut sample = Sample { dir, bytes: vec![], records };
    let mut index = sample.open().unwrap();
    sample.feed(&mut index);
    drop(index);
    sample.bytes = std::fs::read(sample.path()).unwrap();
    sample
});

impl Sample {
    fn path(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    fn open(&self) -> Result<Index, assent_audit::index::IndexError> {
        Index::open(&self.path(), &IndexKey::new([3; 32]), LOG)
    }

    fn feed(&self, index: &mut Index) {
        for position in index.next()..CHUNK {
            index.add(position, &self.records[position as usize % self.records.len()]).unwrap();
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let sample = &*SAMPLE;
    let mut bytes = sample.bytes.clone();
    // Where (3 bytes), and with what it is changed.
    for edit in input.as_chunks::<4>().0 {
        let at = u32::from_be_bytes([0, edit[0], edit[1], edit[2]]) as usize % bytes.len();
        bytes[at] ^= edit[3];
    }
    Index::discard(&sample.path()).unwrap();
    std::fs::write(sample.path(), bytes).unwrap();
    let Ok(index) = sample.open() else { return };
    // What the file has lost is read from the log again; that is not what is tested here, and takes long.
    if index.next() != CHUNK {
        assert_eq!(index.next(), 0);
        return;
    }
    for kind in ["decision", "key", "service-started"] {
        let query = Query { kind: Some(kind.to_owned()), ..Query::default() };
        let Ok(found) = index.page(&query, Order::OldestFirst, None, 500) else { return };
        let kinds = (0..CHUNK).map(|at| sample.records[at as usize % sample.records.len()].event.kind());
        let expected: Vec<_> =
            (0..CHUNK).zip(kinds).filter(|(_, found)| *found == kind).map(|(at, _)| at).take(500).collect();
        assert_eq!(found, expected, "{kind}");
    }
});
