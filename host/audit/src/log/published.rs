//! The checkpoint file: what the log has told the world, signed.
//!
//! It is replaced whole, never written in place. INVARIANT (published means durable): a checkpoint
//! is written only of a tree whose entries are all durable; so a log shorter than its checkpoint has
//! lost something, whatever else is true of it.

use crate::tlog::checkpoint::{Checkpoint, CheckpointError};
use crate::tlog::merkle::Tree;
use crate::tlog::note::{NOTE_BYTES_MAX, NoteError, Signer};

use super::disk;
use super::error::{Failure, Fault, Problem, ScanError};
use super::layout::Layout;
use super::source::Source;

/// Reads the checkpoint. `None` if there is no file.
pub(crate) fn read(source: &Source) -> Result<Option<Tree>, ScanError> {
    Ok(read_signed(source)?.map(|(_, tree)| tree))
}

/// Reads the checkpoint as it was signed, with what it says. `None` if there is no file.
pub(crate) fn read_signed(source: &Source) -> Result<Option<(String, Tree)>, ScanError> {
    let file = source.layout.checkpoint();
    let bytes = match disk::read_small(&file, NOTE_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    // A note with bytes that are no text is as malformed as any other.
    let text = String::from_utf8_lossy(&bytes);
    match Checkpoint::open(&text, &source.verifier, &[]) {
        // It was verified, so nothing in it was replaced on the way to text.
        Ok((checkpoint, _)) => Ok(Some((text.into_owned(), checkpoint.tree()))),
        Err(error) => Err(Problem { file, offset: 0, fault: Fault::Checkpoint(Box::new(error)) }.into()),
    }
}

/// Reads the checkpoint of a log that has segments.
pub(crate) fn read_existing(source: &Source) -> Result<Tree, ScanError> {
    let missing = || Problem { file: source.layout.checkpoint(), offset: 0, fault: Fault::CheckpointMissing };
    Ok(read(source)?.ok_or_else(missing)?)
}

/// Signs and replaces the checkpoint, durably.
pub(crate) fn write(layout: &Layout, tree: Tree, signer: &Signer) -> Result<(), Failure> {
    let refused = |error: CheckpointError| Failure::Checkpoint(Box::new(error));
    let checkpoint = Checkpoint::new(signer.verifier().name(), tree).map_err(refused)?;
    let note = checkpoint.sign(signer).map_err(refused)?;
    // What could not be read back must not be written.
    if note.len() > NOTE_BYTES_MAX {
        return Err(refused(CheckpointError::Note(NoteError::NotSigned)));
    }
    Ok(disk::replace(&layout.checkpoint(), note.as_bytes())?)
}
