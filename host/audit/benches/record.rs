//! What it costs to write a decision as a record, and to read one back.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use assent_audit::record::Record;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Records of every kind, as version 1 wrote them.
const RECORDS: &str = include_str!("../tests/data/records.jsonl");

fn record(criterion: &mut Criterion) {
    let longest = RECORDS.lines().max_by_key(|line| line.len()).unwrap();
    let decision = Record::decode(longest.as_bytes()).unwrap();
    let mut group = criterion.benchmark_group("record of a decision");
    group.throughput(Throughput::Bytes(longest.len() as u64));
    group.bench_function("encode", |b| b.iter(|| black_box(&decision).encode().unwrap()));
    group.bench_function("decode", |b| b.iter(|| Record::decode(black_box(longest.as_bytes())).unwrap()));
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
