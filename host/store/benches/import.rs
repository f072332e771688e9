//! How long it takes to write, replace and load a hundred thousand documents of 300 bytes in SQLite, and how long
//! one change of one document takes beside them. `cargo bench -p assent-store --bench import [-- <documents>]`
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use assent_store::{Change, Edit, Key, Place, Store, Target};

/// Documents in one change: some sixty kilobytes of record once compressed.
const BATCH: usize = 500;
const SINGLE_CHANGES: usize = 500;

fn main() -> anyhow::Result<()> {
    let documents = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(measure(documents))
}

async fn measure(documents: usize) -> anyhow::Result<()> {
    // A real disk: the directory for temporary files may be in memory.
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let store = Store::open(Target::Sqlite(dir.path().join("state.db")), "bench.test").await?;
    let mut version = 0;
    for round in ["written", "replaced"] {
        let begun = Instant::now();
        for first in (0..documents).step_by(BATCH) {
            let edits =
                (first..documents.min(first + BATCH)).map(|n| put(n, round)).collect::<Result<_, _>>()?;
            version += 1;
            apply(&store, version, edits).await?;
        }
        report(round, documents, begun);
    }
    let begun = Instant::now();
    let mut loaded = 0;
    store.load("clinic", 0, |_| loaded += 1).await?;
    anyhow::ensure!(loaded == documents, "{loaded} of {documents} documents");
    report("loaded", documents, begun);

    let mut times_us = vec![];
    for n in 0..SINGLE_CHANGES {
        let begun = Instant::now();
        version += 1;
        apply(&store, version, vec![put(n * 7 % documents, "single")?]).await?;
        times_us.push(begun.elapsed().as_micros());
    }
    times_us.sort_unstable();
    let at = |part: usize| times_us.get(times_us.len() * part / 100).copied().unwrap_or_default();
    println!("one at a time: p50 {} µs, p99 {} µs", at(50), at(99));
    let bytes = std::fs::metadata(dir.path().join("state.db"))?.len();
    println!("on disk: {} bytes a document", bytes / documents as u64);
    Ok(())
}

async fn apply(store: &Store, version: u64, edits: Vec<Edit>) -> anyhow::Result<()> {
    let place = Place { log: "bench.test/audit/clinic/2026".to_owned(), seq: version, record: String::new() };
    store.apply("clinic", &Change { version, place, edits }).await.context("a change")?;
    Ok(())
}

fn put(n: usize, word: &str) -> anyhow::Result<Edit> {
    let body = format!("{{\"attrs\":{{\"note\":\"{word} {:0>260}\"}},\"parents\":[]}}", n);
    Ok(Edit::put(Key::new("entity", format!("Patient::\"p{n}\""))?, body)?)
}

fn report(what: &str, documents: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {documents} in {seconds:.2} s, {:.0} a second", documents as f64 / seconds);
}
