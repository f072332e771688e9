//! The log as its users see it, against the simplest model: a list of records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::keys::MasterKey;
use crate::tlog::note::Verifier;

mod appending;
mod damage;
mod finishing;
mod looking_up;
mod recovering;
mod rotating;
mod tamper;
mod tiles;

const ORIGIN: &str = "test.example/audit/riverside/2026";
/// Far beyond any test; a test that gets there has failed.
const FOREVER: Duration = Duration::from_secs(60);

/// A log in a directory of its own, with small segments.
struct Bench {
    dir: tempfile::TempDir,
    config: Config,
}

fn signer(seed: u8) -> Arc<Signer> {
    Arc::new(Signer::from_seed(ORIGIN, &[seed; 32]).unwrap())
}

fn kek(byte: u8) -> Arc<dyn KeyEncryption> {
    Arc::new(MasterKey::from_bytes(&[byte; 32]).unwrap())
}

impl Bench {
    fn new() -> Self {
        Self::with_segments(16 * 1024)
    }

    fn with_segments(segment_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Checkpoints come when a log closes, so that tests know what was published.
        let checkpoint_interval = Duration::from_secs(3600);
        let config =
            Config { segment_bytes, checkpoint_interval, ..Config::new(dir.path(), signer(1), kek(1)) };
        Self { dir, config }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.path().join(format!("segments/{number:010}.seg"))
    }

    fn open(&self) -> Result<(Log, Recovered), OpenError> {
        Log::open(self.config.clone())
    }

    /// Opens, appends each group of records as one batch or several, closes.
    fn write(&self, records: &[Vec<u8>]) -> Vec<Receipt> {
        let (log, _) = self.open().unwrap();
        let receipts = append_each(&log, records);
        log.close().unwrap();
        receipts
    }

    fn verifier(&self) -> &Verifier {
        self.config.signer.verifier()
    }

    fn reader(&self) -> Reader {
        Reader::new(self.path(), self.verifier(), Some(self.config.kek.clone()))
    }

    /// Every record, read from the start.
    fn records(&self) -> Result<Vec<Vec<u8>>, ReadError> {
        self.reader().entries(0)?.map(|entry| Ok(entry?.record.unwrap())).collect()
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        verify(self.path(), self.verifier(), &mut |_| {})
    }

    /// All files that are there, by path.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Ok(bytes) = fs::read(&path) {
                    // What is gone by now was a temporary file of a log that is open.
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    /// Puts the directory back to a snapshot.
    fn restore(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in self.snapshot().keys().filter(|path| !files.contains_key(*path)) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            fs::write(path, bytes).unwrap();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// One after the other: each record becomes a batch of its own.
fn append_each(log: &Log, records: &[Vec<u8>]) -> Vec<Receipt> {
    let deadline = Instant::now() + FOREVER;
    runtime().block_on(async {
        let mut receipts = Vec::new();
        for record in records {
            receipts.push(log.append(record.clone(), deadline).await.unwrap());
        }
        receipts
    })
}

/// All at once: they share batches.
fn append_together(log: &Log, records: &[Vec<u8>]) -> Vec<Result<Receipt, AppendError>> {
    let deadline = Instant::now() + FOREVER;
    runtime().block_on(async {
        let mut waiting: Vec<_> =
            records.iter().map(|record| Box::pin(log.append(record.clone(), deadline))).collect();
        let mut outcomes = vec![None; records.len()];
        // Each is asked before the first is waited for, so that all are queued.
        std::future::poll_fn(|cx| {
            for (append, outcome) in
                waiting.iter_mut().zip(&mut outcomes).filter(|(_, outcome)| outcome.is_none())
            {
                if let std::task::Poll::Ready(ready) = append.as_mut().poll(cx) {
                    *outcome = Some(ready);
                }
            }
            if outcomes.iter().all(Option::is_some) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        outcomes.into_iter().flatten().collect()
    })
}

/// Records of different lengths, each unlike the others.
fn records(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("record {n} ").repeat(1 + n * 7 % 40).into_bytes()).collect()
}
