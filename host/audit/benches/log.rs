//! How many records a second become durable, how long a receipt takes, and how that compares with SQLite.
//!
//! Every producer appends the next record when it has the receipt of the last, as a server's requests do. Records
//! are decisions as the service writes them, each with other ids, digests and people.
//! SQLite (WAL, `synchronous=FULL`) stores the same records as they are, once with a transaction for each
//! record and once with the same group commit as the log: what is asked is the cost of the log's format,
//! sealing and hashing beside that of a good general store. Then one core verifies what was written.
//! `cargo bench -p assent-audit --bench log [-- <seconds for each row>]`
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::log::{Config, Log, verify};
use assent_audit::tlog::note::Signer;
use tokio::sync::{mpsc, oneshot};

const PRODUCERS: [usize; 4] = [1, 16, 64, 256];
/// A decision's record, in canonical form.
const DECISION: &str = include_str!("decision.json");
/// The log's own limit of records in a batch.
const BATCH: usize = 1024;

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let duration = Duration::from_secs(seconds);
    println!("{} byte records; {seconds} s each; times to receipt in ms", DECISION.trim_end().len());
    println!("{:<22}{:>10}{:>12}{:>9}{:>9}{:>9}", "store", "producers", "records/s", "p50", "p99", "p99.9");
    for producers in PRODUCERS {
        log(producers, duration)?;
        sqlite("SQLite, each committed", producers, duration, 1)?;
        sqlite("SQLite, group commit", producers, duration, BATCH)?;
    }
    Ok(())
}

/// Where records go: ready once durable.
trait Store: Send + Sync + 'static {
    fn append(&self, record: Vec<u8>) -> impl Future<Output = bool> + Send;
}

struct Durable(Log);

impl Store for Durable {
    async fn append(&self, record: Vec<u8>) -> bool {
        self.0.append(record, Instant::now() + Duration::from_secs(30)).await.is_ok()
    }
}

struct Queue(mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>);

impl Store for Queue {
    async fn append(&self, record: Vec<u8>) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.send((record, answer)).await.is_ok() && answered.await.is_ok()
    }
}

fn log(producers: usize, duration: Duration) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(target())?;
    let signer = Arc::new(Signer::from_seed("bench.test/audit/org/2026", &[1; 32])?);
    let kek: Arc<dyn KeyEncryption> = Arc::new(MasterKey::from_bytes(&[2; 32]).context("a key")?);
    let (log, _) = Log::open(Config::new(dir.path(), Arc::clone(&signer), kek))?;
    let store = Arc::new(Durable(log));
    run("log", producers, duration, &store)?;
    store.0.close().map_err(|failure| anyhow::anyhow!("{failure}"))?;

    let before = on_cpu()?;
    let verified = verify(dir.path(), signer.verifier(), &mut |_| {})?;
    let size = verified.tree.size as f64;
    let (rate, batch) = (size / (on_cpu()? - before).as_secs_f64(), size / verified.batches as f64);
    println!(
        "{:<22}{producers:>10}{rate:>12.0}   ({size} entries, {batch:.0} in a batch)",
        "  verified, one core"
    );
    Ok(())
}

/// How long this thread has run: on a busy machine the clock on the wall says little about one core.
fn on_cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().context("no time")?.parse()?))
}

fn sqlite(name: &str, producers: usize, duration: Duration, batch: usize) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(target())?;
    let mut database = rusqlite::Connection::open(dir.path().join("log.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000; \
         CREATE TABLE log(seq INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;",
    )?;
    let (queue, mut requests) = mpsc::channel(4096);
    let writer = std::thread::spawn(move || -> rusqlite::Result<()> {
        let mut waiting: Vec<(Vec<u8>, oneshot::Sender<()>)> = Vec::new();
        while requests.blocking_recv_many(&mut waiting, batch) > 0 {
            let transaction = database.transaction()?;
            {
                let mut insert = transaction.prepare_cached("INSERT INTO log(record) VALUES(?1)")?;
                for (record, _) in &waiting {
                    insert.execute([record])?;
                }
            }
            transaction.commit()?;
            for (_, answer) in waiting.drain(..) {
                // Who asked may be gone: the benchmark is over.
                answer.send(()).unwrap_or_default();
            }
        }
        Ok(())
    });
    run(name, producers, duration, &Arc::new(Queue(queue)))?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    Ok(())
}

fn run<S: Store>(name: &str, producers: usize, duration: Duration, store: &Arc<S>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let start = Instant::now();
    let mut times_us = runtime.block_on(async {
        let tasks: Vec<_> = (0..producers)
            .map(|n| tokio::spawn(produce(Arc::clone(store), n as u64, start + duration)))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await?);
        }
        anyhow::Ok(all)
    })?;
    let rate = times_us.len() as f64 / start.elapsed().as_secs_f64();
    times_us.sort_unstable();
    let at = |part: f64| {
        let index = (times_us.len().saturating_sub(1) as f64 * part) as usize;
        times_us.get(index).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
    };
    println!("{name:<22}{producers:>10}{rate:>12.0}{:>9.2}{:>9.2}{:>9.2}", at(0.5), at(0.99), at(0.999));
    Ok(())
}

/// Appends one record after the other; the time each took, in microseconds.
async fn produce<S: Store>(store: Arc<S>, producer: u64, end: Instant) -> Vec<u32> {
    let mut times_us = Vec::new();
    let mut pieces = Pieces::new(producer);
    loop {
        let start = Instant::now();
        if start >= end {
            break;
        }
        assert!(store.append(pieces.record()).await, "the store failed");
        times_us.push(start.elapsed().as_micros() as u32);
    }
    times_us
}

/// A decision's record, cut where ids and digests stand.
struct Pieces {
    texts: Vec<&'static str>,
    random: u64,
}

impl Pieces {
    fn new(producer: u64) -> Self {
        Self { texts: DECISION.trim_end().split('?').collect(), random: producer + 1 }
    }

    /// The record with others: as many hexadecimal digits as question marks in a row.
    fn record(&mut self) -> Vec<u8> {
        let mut record = Vec::with_capacity(DECISION.len());
        for (index, text) in self.texts.iter().enumerate() {
            if index > 0 {
                self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                record.extend(b"0123456789abcdef".get((self.random >> 60) as usize));
            }
            record.extend_from_slice(text.as_bytes());
        }
        record
    }
}

/// A real disk: the directory for temporary files may be in memory.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
