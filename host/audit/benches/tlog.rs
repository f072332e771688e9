//! What one record costs in the transparency log: hash it, add it, take the root, sign; and to check a proof.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark: a panic is its error")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::{self, Frontier, Hash, leaf_hash, node_hash};
use assent_audit::tlog::note::Signer;
use assent_audit::tlog::tile::{self, TileError, TileReader};

const ORIGIN: &str = "assent.example/audit/riverside/2026";

/// A million entries, less one: the most subtrees, and so the longest way to the root.
const SIZE: u64 = (1 << 20) - 1;

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn tlog(criterion: &mut Criterion) {
    let record = vec![7; 1200];
    let mut group = criterion.benchmark_group("tlog");
    group.throughput(Throughput::Elements(1));
    group.bench_function("leaf hash of 1200 bytes", |bench| bench.iter(|| leaf_hash(black_box(&record))));
    let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
    group.bench_function("node hash", |bench| bench.iter(|| node_hash(black_box(&left), black_box(&right))));

    let leaves = leaves(SIZE);
    let mut grown = Frontier::default();
    leaves.iter().for_each(|leaf| grown.push(*leaf));
    group.bench_function("root of 2^20 - 1 entries", |bench| bench.iter(|| black_box(&grown).root()));

    let signer = Signer::from_seed(ORIGIN, &[1; 32]).unwrap();
    let checkpoint = Checkpoint::new(ORIGIN, grown.tree()).unwrap();
    group.bench_function("sign a checkpoint", |bench| bench.iter(|| checkpoint.sign(&signer).unwrap()));
    let note = checkpoint.sign(&signer).unwrap();
    group.bench_function("open a checkpoint", |bench| {
        bench.iter(|| Checkpoint::open(black_box(&note), signer.verifier(), &[]).unwrap());
    });

    let made = tile::grow::<TileError>(0, &leaves, |_| unreachable!("an empty tree has no tiles")).unwrap();
    let files: std::collections::BTreeMap<_, _> = made.into_iter().collect();
    let mut reader = TileReader::new(SIZE, |tile| Ok::<_, TileError>(files[&tile].clone()));
    let (index, tree) = (SIZE / 3, grown.tree());
    let leaf = leaves[index as usize];
    let proof = merkle::inclusion(&mut reader, index, SIZE).unwrap();
    group.bench_function("verify inclusion in 2^20 - 1", |bench| {
        bench.iter(|| merkle::verify_inclusion(&tree, index, black_box(&leaf), &proof).unwrap());
    });
    let mut far = 0;
    group.bench_function("prove inclusion from tiles", |bench| {
        bench.iter(|| {
            far = (far + 7919 * 256) % SIZE;
            merkle::inclusion(&mut reader, far, SIZE).unwrap()
        });
    });

    group.throughput(Throughput::Elements(1000));
    group.bench_function("push 1000 leaves", |bench| {
        let push = |mut frontier: Frontier| {
            leaves.iter().take(1000).for_each(|leaf| frontier.push(*leaf));
            frontier
        };
        bench.iter_batched(|| grown.clone(), push, BatchSize::SmallInput);
    });
    group.bench_function("grow tiles by 1000 leaves", |bench| {
        bench.iter(|| tile::grow::<TileError>(0, &leaves[..1000], |_| unreachable!("no tiles yet")).unwrap());
    });
    group.finish();
}

criterion_group!(benches, tlog);
criterion_main!(benches);
