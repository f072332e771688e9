//! The copy of one log: what is there, what is finished here, and the difference, in order.
//!
//! Nothing is remembered from one process to the next: a copy says by itself what it has. An object of
//! the right name and length counts as copied, unless it is to be compared; a round that was interrupted
//! is so taken up where it ended.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use assent_audit::keys::same_data_key;
use assent_audit::log::{Finished, FinishedSegment, MARK_FILE, finished, sign_mark};
use assent_audit::logs::LogsConfig;
use assent_audit::tlog::checkpoint::{Checkpoint, CheckpointError};
use assent_audit::tlog::merkle::Tree;
use assent_audit::tlog::note::{NOTE_BYTES_MAX, Signer};
use assent_audit::tlog::tile::TILE_WIDTH;
use assent_model::OrganizationId;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{CopyError, Target};

/// How many small files are on their way at once, so that their round trips do not add up.
const AT_ONCE: usize = 8;
/// The longest key file that is read back, as of one that is read here: some 300 bytes, and as many for each recipient.
const KEY_FILE_BYTES_MAX: u64 = 16 << 10;
/// How long a full tile is.
const TILE_BYTES: u64 = 32 * TILE_WIDTH as u64;

/// What a round did.
#[derive(Debug, Default)]
pub struct Done {
    /// Segments that were copied.
    pub segments: u64,
    /// Key files that were written or replaced.
    pub keys: u64,
    /// Tiles that were copied.
    pub tiles: u64,
    /// Checkpoints that were written or replaced.
    pub checkpoints: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// Segments and tiles that were there already.
    pub already: u64,
    /// What could not be done.
    pub problems: Vec<CopyError>,
}

/// The copy of one log.
#[derive(Debug)]
pub(super) struct LogCopy {
    directory: PathBuf,
    signer: Arc<SignerOf>,
    /// `<organization>/<year>`.
    path: String,
    /// What is there, by path and length; read once.
    there: Option<BTreeMap<String, u64>>,
    /// The segments that are copied.
    copied: Vec<FinishedSegment>,
    /// The key files that are copied, as they were, by number.
    keys: BTreeMap<u64, KeyState>,
    /// The tiles of so many entries are copied.
    tiled: u64,
    /// The checkpoint that is there.
    checkpoint: Option<Tree>,
    /// What the log itself has.
    published: u64,
    /// The finished segments that are not copied.
    waiting: VecDeque<FinishedSegment>,
}

/// What tells that a key file was replaced: its time and length.
type KeyState = (SystemTime, u64);

/// A signer without `Debug` of its key.
struct SignerOf(Signer);

impl std::fmt::Debug for SignerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.verifier().name())
    }
}

impl LogCopy {
    pub(super) fn new(
        config: &LogsConfig,
        organization: &OrganizationId,
        year: i32,
    ) -> Result<Self, CopyError> {
        Ok(Self {
            directory: config.directory_of(organization, year),
            signer: Arc::new(SignerOf(config.signer(organization, year)?)),
            path: format!("{organization}/{year:04}"),
            there: None,
            copied: vec![],
            keys: BTreeMap::new(),
            tiled: 0,
            checkpoint: None,
            published: 0,
            waiting: VecDeque::new(),
        })
    }

    pub(super) fn records_behind(&self) -> u64 {
        self.published.saturating_sub(self.checkpoint.map_or(0, |tree| tree.size))
    }

    pub(super) fn segments_waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn waiting_since(&self) -> Option<SystemTime> {
        self.waiting.front().map(|segment| segment.sealed)
    }

    /// Copies what is finished. After each step a crash leaves a copy whose checkpoint holds.
    ///
    /// 1. What is there is listed, once.
    /// 2. Each finished segment: its key file, then the segment.
    /// 3. Key files that changed: a new key-encryption key.
    /// 4. Full tiles.
    /// 5. The mark of how many segments there are, and the checkpoint of what is copied.
    pub(super) async fn round(
        &mut self,
        target: &Target,
        compare: bool,
        done: &mut Done,
    ) -> Result<(), CopyError> {
        if compare {
            (self.copied, self.keys, self.tiled, self.there) = (vec![], BTreeMap::new(), 0, None);
        }
        let found = self.finished().await?;
        self.published = found.published.size;
        self.waiting = found.segments.iter().cloned().collect();
        if self.there.is_none() {
            self.there = Some(target.list(&self.path).await?.into_iter().collect());
        }
        for segment in found.segments.clone() {
            self.key(target, &segment, done).await?;
            let name = format!("segments/{}", file_name(&segment.file));
            let read = {
                let (segment, directory, signer) =
                    (segment.clone(), self.directory.clone(), Arc::clone(&self.signer));
                move || {
                    segment.check(&directory, signer.0.verifier())?;
                    read(&segment.file)
                }
            };
            let fixed = Fixed { name: &name, file: &segment.file, len: segment.bytes, compare };
            let outcome = self.fixed(target, fixed, read).await?;
            done.count(outcome, |done| &mut done.segments);
            self.copied.push(segment);
            self.waiting.pop_front();
        }
        for segment in self.other_keys().await? {
            self.key(target, &segment, done).await?;
        }
        self.tiles(target, &found, compare, done).await?;
        if let Some(tree) = self.copied.last().map(|segment| segment.tree) {
            self.checkpoint(target, tree, done).await?;
        }
        Ok(())
    }

    /// Whether the copy's checkpoint is the log's last word: what is missing, if not.
    pub(super) async fn missing(&self, target: &Target) -> Result<Option<String>, CopyError> {
        let (directory, signer) = (self.directory.clone(), Arc::clone(&self.signer));
        let published = blocking(move || {
            Ok(assent_audit::log::Reader::new(&directory, signer.0.verifier(), None).checkpoint()?)
        })
        .await?;
        let there = self.checkpoint_there(target).await?;
        Ok(match there {
            Some(tree) if tree == published => None,
            Some(tree) => Some(format!("it has {} of {} records", tree.size, published.size)),
            None => Some("there is none".to_owned()),
        })
    }

    async fn finished(&self) -> Result<Finished, CopyError> {
        let (directory, signer) = (self.directory.clone(), Arc::clone(&self.signer));
        let after = self.copied.last().map_or(0, |segment| segment.number);
        blocking(move || Ok(finished(&directory, signer.0.verifier(), after)?)).await
    }

    /// The copied segments whose key files are not what they were when they were copied. There is one for each hour
    /// of the log, so they are looked at together, where it holds up nobody.
    async fn other_keys(&self) -> Result<Vec<FinishedSegment>, CopyError> {
        let (segments, keys) = (self.copied.clone(), self.keys.clone());
        blocking(move || {
            let mut other = vec![];
            for segment in segments {
                if keys.get(&segment.number) != Some(&state(&segment.key)?) {
                    other.push(segment);
                }
            }
            Ok(other)
        })
        .await
    }

    /// A segment's key file, if it is not there as it is here. A damaged one replaces nothing.
    async fn key(
        &mut self,
        target: &Target,
        segment: &FinishedSegment,
        done: &mut Done,
    ) -> Result<(), CopyError> {
        let (of, directory, signer) = (segment.clone(), self.directory.clone(), Arc::clone(&self.signer));
        // The state first: a file that is replaced meanwhile is looked at again in the next round.
        let read = move || Ok((state(&of.key)?, of.read_key(&directory, signer.0.verifier())?));
        let (state, bytes) = blocking(read).await?;
        let name = format!("keys/{}", file_name(&segment.key));
        let path = format!("{}/{name}", self.path);
        let len = bytes.len() as u64;
        // Another process may have put a longer one there since what is there was listed.
        let there = match self.is_there(&name) {
            Some(_) => target.read(&path, KEY_FILE_BYTES_MAX).await?,
            None => None,
        };
        // Another wrap of the same key is newer; another key would leave the copied segment sealed for ever.
        if there.as_ref().is_some_and(|there| !same_data_key(there, &bytes)) {
            return Err(CopyError::Alien { to: target.shown(&path), file: segment.key.clone() });
        }
        if there.as_ref() != Some(&bytes) {
            target.replace(&path, bytes).await?;
            if let Some(there) = &mut self.there {
                there.insert(name, len);
            }
            done.count(Outcome::Written(len), |done| &mut done.keys);
        }
        self.keys.insert(segment.number, state);
        Ok(())
    }

    /// The full tiles that are durable here, some at once.
    async fn tiles(
        &mut self,
        target: &Target,
        found: &Finished,
        compare: bool,
        done: &mut Done,
    ) -> Result<(), CopyError> {
        let this = &*self;
        let outcomes = stream::iter(found.tiles(this.tiled))
            .map(|name| async move {
                let file = this.directory.join(&name);
                let fixed = Fixed { name: &name, file: &file, len: TILE_BYTES, compare };
                let from = file.clone();
                this.fixed(target, fixed, move || read(&from)).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        for outcome in outcomes {
            done.count(outcome, |done| &mut done.tiles);
        }
        self.tiled = self.tiled.max(found.tiled);
        Ok(())
    }

    /// The checkpoint of what is copied, unless the copy has it, or one that another process put there.
    async fn checkpoint(&mut self, target: &Target, tree: Tree, done: &mut Done) -> Result<(), CopyError> {
        if self.checkpoint == Some(tree) {
            return Ok(());
        }
        if let Some(there) = self.checkpoint_there(target).await? {
            if there.size > self.published {
                let (to, log) = (target.shown(&self.checkpoint_path()), self.directory.clone());
                return Err(CopyError::Ahead { to, log, copied: there.size, found: self.published });
            }
            // Checkpoints of a copy are of the ends of segments.
            let known = self.copied.iter().map(|segment| segment.tree).find(|known| known.size == there.size);
            if there.size <= tree.size && known != Some(there) {
                return Err(self.contradiction(target));
            }
            if there.size >= tree.size {
                self.checkpoint = Some(there);
                return Ok(());
            }
        }
        let signer = &self.signer.0;
        // The copy has no other segments, and its mark says so.
        if let Some(last) = self.copied.last() {
            let mark = sign_mark(signer, last.number).map_err(CheckpointError::from)?.into_bytes();
            target.replace(&format!("{}/{MARK_FILE}", self.path), mark).await?;
        }
        let note = Checkpoint::new(signer.verifier().name(), tree)?.sign(signer)?.into_bytes();
        let outcome = Outcome::Written(note.len() as u64);
        target.replace(&self.checkpoint_path(), note).await?;
        done.count(outcome, |done| &mut done.checkpoints);
        self.checkpoint = Some(tree);
        Ok(())
    }

    async fn checkpoint_there(&self, target: &Target) -> Result<Option<Tree>, CopyError> {
        let Some(bytes) = target.read(&self.checkpoint_path(), NOTE_BYTES_MAX as u64).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let opened = Checkpoint::open(&text, self.signer.0.verifier(), &[]);
        opened.map(|(checkpoint, _)| Some(checkpoint.tree())).map_err(|_| self.contradiction(target))
    }

    fn contradiction(&self, target: &Target) -> CopyError {
        CopyError::Contradiction { to: target.shown(&self.checkpoint_path()), log: self.directory.clone() }
    }

    fn checkpoint_path(&self) -> String {
        format!("{}/checkpoint", self.path)
    }

    fn is_there(&self, name: &str) -> Option<u64> {
        self.there.as_ref()?.get(name).copied()
    }

    /// Copies a file that never changes, or finds it there.
    async fn fixed(
        &self,
        target: &Target,
        fixed: Fixed<'_>,
        read: impl Fn() -> Result<Vec<u8>, CopyError> + Clone + Send + 'static,
    ) -> Result<Outcome, CopyError> {
        let Fixed { name, file, len, compare } = fixed;
        let path = format!("{}/{name}", self.path);
        let alien = || CopyError::Alien { to: target.shown(&path), file: file.to_owned() };
        match self.is_there(name) {
            Some(size) if size != len => return Err(alien()),
            Some(_) if !compare => return Ok(Outcome::Already),
            Some(_) => {}
            None => {
                let bytes = blocking(read.clone()).await?;
                let outcome = Outcome::Written(bytes.len() as u64);
                if target.create(&path, bytes).await? {
                    return Ok(outcome);
                }
            }
        }
        // There, and perhaps by somebody else.
        let (here, there) = (blocking(read).await?, target.read(&path, len).await?);
        if there.as_ref() == Some(&here) { Ok(Outcome::Already) } else { Err(alien()) }
    }
}

/// A file that never changes.
struct Fixed<'a> {
    name: &'a str,
    file: &'a FilePath,
    len: u64,
    /// Whether what is there is compared, byte for byte.
    compare: bool,
}

enum Outcome {
    Written(u64),
    Already,
}

impl Done {
    fn count(&mut self, outcome: Outcome, counter: impl FnOnce(&mut Self) -> &mut u64) {
        match outcome {
            Outcome::Written(bytes) => {
                self.bytes += bytes;
                *counter(self) += 1;
            }
            Outcome::Already => self.already += 1,
        }
    }
}

fn file_name(path: &FilePath) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn state(key: &FilePath) -> Result<KeyState, CopyError> {
    let found = std::fs::metadata(key).and_then(|found| Ok((found.modified()?, found.len())));
    found.map_err(|source| CopyError::Disk { path: key.to_owned(), source })
}

fn read(path: &FilePath) -> Result<Vec<u8>, CopyError> {
    std::fs::read(path).map_err(|source| CopyError::Disk { path: path.to_owned(), source })
}

/// Runs what reads files where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CopyError::Thread)?
}
