//! A small log in memory, to be spoilt in ways that the input says, and put back.
//!
//! What spoils are edits of its files: most inputs leave most of it as it was, for what is signed cannot be guessed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::log::{Config, Log, Reader};
use assent_audit::tlog::note::Signer;

/// The first so many records are under the checkpoint; each of the others is a batch of the last segment.
pub const PUBLISHED: usize = 8;
pub const BATCHES: usize = 4;
/// See `log/batch.rs`.
const MAGIC: &[u8] = b"ASNTBAT1";
const TRAILER_BYTES: usize = 164;

/// The files of a log, by path below its directory.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A log that was not closed when it ended.
pub struct Sample {
    dir: tempfile::TempDir,
    pub files: Files,
    /// Where the batches of the last segment end, with its header's end.
    pub ends: Vec<usize>,
}

pub fn record(n: usize) -> Vec<u8> {
    format!("record {n} ").repeat(1 + n % 5).into_bytes()
}

pub fn kek() -> Arc<dyn KeyEncryption> {
    Arc::new(MasterKey::from_bytes(&[2; 32]).unwrap())
}

impl Sample {
    pub fn make() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut sample = Self { dir, files: Files::new(), ends: vec![] };
        for records in [0..3, 3..PUBLISHED] {
            append(&sample.config(), records).close().unwrap();
        }
        let checkpoint = std::fs::read(sample.path().join("checkpoint")).unwrap();
        let log = append(&sample.config(), PUBLISHED..PUBLISHED + BATCHES);
        let mut files = Files::new();
        collect(sample.path(), sample.path(), &mut files);
        log.close().unwrap();
        // The oldest that a crash may leave.
        files.insert("checkpoint".into(), checkpoint);
        let last = &files[Path::new(LAST)];
        let trailers = last.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC);
        sample.ends = std::iter::once(4096).chain(trailers.map(|(at, _)| at + TRAILER_BYTES)).collect();
        assert_eq!(sample.ends.len(), 1 + BATCHES);
        sample.files = files;
        sample
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> Config {
        let signer = Arc::new(Signer::from_seed("fuzz.test/audit/org/2026", &[1; 32]).unwrap());
        let checkpoint_interval = Duration::from_secs(3600);
        let segment_bytes = 8 * 1024;
        Config { segment_bytes, checkpoint_interval, ..Config::new(self.path(), signer, kek()) }
    }

    pub fn reader(&self) -> Reader {
        Reader::new(self.path(), self.config().signer.verifier(), Some(kek()))
    }

    /// Puts these files where the log is, and nothing else.
    pub fn put(&self, files: &Files) {
        for dir in self.path().read_dir().unwrap().flatten() {
            if dir.path().is_dir() {
                std::fs::remove_dir_all(dir.path()).unwrap();
            } else {
                std::fs::remove_file(dir.path()).unwrap();
            }
        }
        for (path, bytes) in files {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// The segment that a crash left unfinished.
pub const LAST: &str = "segments/0000000003.seg";

/// Opens the log and appends these records, each as a batch.
pub fn append(config: &Config, records: std::ops::Range<usize>) -> Log {
    let (log, _) = Log::open(config.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    for n in records {
        runtime.block_on(log.append(record(n), deadline)).unwrap();
    }
    log
}

fn collect(root: &Path, dir: &Path, files: &mut Files) {
    for entry in dir.read_dir().unwrap().flatten() {
        if entry.path().is_dir() {
            collect(root, &entry.path(), files);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            files.insert(entry.path().strip_prefix(root).unwrap().to_owned(), bytes);
        }
    }
}

/// Edits files as the input says, until it is used up: which (1 byte), how (1), where (2), how many (1), then so
/// many bytes.
pub fn edit(files: &mut Files, mut input: &[u8]) {
    let names: Vec<_> = files.keys().cloned().collect();
    while let Some((head, rest)) = input.split_first_chunk::<5>() {
        let (bytes, rest) = rest.split_at(rest.len().min(head[4].into()));
        input = rest;
        let (name, other) =
            (&names[usize::from(head[0]) % names.len()], &names[usize::from(head[4]) % names.len()]);
        let other = files.get(other).cloned();
        let at = usize::from(u16::from_be_bytes([head[2], head[3]]));
        match head[1] % 8 {
            5 => {
                files.remove(name);
            }
            6 => {
                files.insert(name.clone(), bytes.to_vec());
            }
            7 => {
                files.extend(other.map(|other| (name.clone(), other)));
            }
            how => {
                let Some(file) = files.get_mut(name) else { continue };
                let at = at % (file.len() + 1);
                match how {
                    0 => file.truncate(at),
                    1 => file.extend(bytes),
                    2 => drop(file.splice(at..(at + bytes.len()).min(file.len()), bytes.iter().copied())),
                    3 => drop(file.splice(at..at, bytes.iter().copied())),
                    _ => file.iter_mut().skip(at).zip(bytes).for_each(|(byte, with)| *byte ^= with),
                }
            }
        }
    }
}
