//! The checkpoints that witnesses cosigned, beside the log: one file for each witness, in `witnessed/`.
//!
//! Each is a tlog-checkpoint that any reader of the format can open: the log's signature, and under it all
//! cosignatures that were had for this very checkpoint. A witness that is away keeps its last file, and the
//! others' move on. INVARIANT (never back): a file is replaced by a checkpoint of a larger log, or the same.

use std::path::PathBuf;

use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::merkle::Tree;
use crate::tlog::note::{NOTE_BYTES_MAX, Verifier};

use super::disk;
use super::error::{Fault, Problem, ReadError, ScanError};
use super::outside::Outside;
use super::read::Reader;
use super::source::Source;

/// How much of a witness's name its file is called after; the key's number makes it unique.
const NAME_SHOWN_MAX: usize = 60;

/// A checkpoint with the cosignatures that were had for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Where it stands.
    pub file: PathBuf,
    /// The signed note.
    pub note: String,
    /// What it is of.
    pub tree: Tree,
}

impl Reader {
    /// The checkpoints that witnesses cosigned, the newest first. That the log signed them was checked; who
    /// cosigned is for [`cosigned`] to say.
    ///
    /// # Errors
    /// When one cannot be read, or is not signed by the log.
    pub fn witnessed(&self) -> Result<Vec<Witnessed>, ReadError> {
        let mut found = Vec::new();
        for file in files(&self.source)? {
            found.extend(read(&self.source, file)?);
        }
        found.sort_by_key(|witnessed| std::cmp::Reverse((witnessed.tree.size, witnessed.note.len())));
        Ok(found)
    }

    /// Keeps a checkpoint that this witness cosigned, durably. Nothing happens if a newer one is there.
    ///
    /// # Errors
    /// When the witness did not cosign it, the log did not sign it, or the disk fails.
    pub fn keep_witnessed(&self, witness: &Verifier, note: &str) -> Result<(), ReadError> {
        let file = self.source.layout.witnessed().join(name(witness));
        let refused = |error| {
            let fault = Fault::Checkpoint(Box::new(error));
            ScanError::from(Problem { file: file.clone(), offset: 0, fault })
        };
        let known = std::slice::from_ref(witness);
        let (checkpoint, opened) = Checkpoint::open(note, &self.source.verifier, known).map_err(refused)?;
        if !opened.is_signed_by(witness) {
            return Err(refused(crate::tlog::note::NoteError::NotSigned.into()).into());
        }
        if read(&self.source, file.clone())?.is_some_and(|kept| kept.tree.size > checkpoint.tree().size) {
            return Ok(());
        }
        disk::create_dir(&self.source.layout.witnessed()).map_err(ScanError::Disk)?;
        disk::replace(&file, note.as_bytes()).map_err(ScanError::Disk)?;
        Ok(())
    }

    /// The checkpoint that this witness cosigned last, as far as is kept here.
    ///
    /// # Errors
    /// As [`Self::witnessed`].
    pub fn witnessed_by(&self, witness: &Verifier) -> Result<Option<Witnessed>, ReadError> {
        Ok(read(&self.source, self.source.layout.witnessed().join(name(witness)))?)
    }
}

/// When this witness says it cosigned the checkpoint, in seconds since 1970; `None` if it did not.
#[must_use]
pub fn cosigned(note: &str, log: &Verifier, witness: &Verifier) -> Option<u64> {
    let (_, opened) = Checkpoint::open(note, log, std::slice::from_ref(witness)).ok()?;
    let by = |signature: &crate::tlog::note::Signature| {
        signature.name() == witness.name() && signature.key_id() == witness.key_id()
    };
    opened.signatures().iter().find(|verified| by(verified.signature()))?.time()
}

/// The kept checkpoints as what the log must continue.
pub(super) fn as_outside(source: &Source) -> Result<Vec<Result<Outside, ScanError>>, ScanError> {
    let read_one = |file| {
        read(source, file).map(|found| found.map(|Witnessed { file, tree, .. }| Outside { file, tree }))
    };
    Ok(files(source)?.into_iter().filter_map(|file| read_one(file).transpose()).collect())
}

fn files(source: &Source) -> Result<Vec<PathBuf>, ScanError> {
    let directory = source.layout.witnessed();
    let mut names = disk::names(&directory)?;
    // What a crash left of a replacement.
    names.retain(|name| !name.ends_with(disk::TEMPORARY));
    names.sort_unstable();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn read(source: &Source, file: PathBuf) -> Result<Option<Witnessed>, ScanError> {
    let bytes = match disk::read_small(&file, NOTE_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let note = String::from_utf8_lossy(&bytes).into_owned();
    match Checkpoint::open(&note, &source.verifier, &[]) {
        Ok((checkpoint, _)) => Ok(Some(Witnessed { file, note, tree: checkpoint.tree() })),
        Err(error) => Err(Problem { file, offset: 0, fault: Fault::Checkpoint(Box::new(error)) }.into()),
    }
}

/// The name of a witness's file: letters that every file system takes, and the number of its key.
fn name(witness: &Verifier) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let shown: String = witness.name().chars().map(plain).take(NAME_SHOWN_MAX).collect();
    format!("{shown}+{:08x}", witness.key_id())
}
