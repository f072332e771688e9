//! The mark: a small signed file that says how many segments were begun.
//!
//! A checkpoint is up to a second old, so a segment that began since could vanish whole, with records that
//! were answered, and nothing else would tell. INVARIANT (marked before answered): a segment's first record
//! has its receipt only after the mark that counts the segment is durable; so a log with fewer segments than
//! its mark says has lost one. Who keeps older copies of the mark can put one back: for that there are witnesses.

use crate::tlog::note::{self, NOTE_BYTES_MAX, NoteError, Signer, Verifier};

use super::disk;
use super::error::{Failure, Fault, Problem, ScanError};
use super::source::Source;

/// The mark's file, in the directory of a log.
pub const MARK_FILE: &str = "begun";
/// What the note says first. No checkpoint reads like it: there a number stands in the second line.
const TITLE: &str = "assent audit log: segments begun";

/// How many segments the mark counts. `None` if there is no file.
pub(crate) fn read(source: &Source) -> Result<Option<u64>, ScanError> {
    let file = source.layout.begun();
    let bytes = match disk::read_small(&file, NOTE_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    match parse(&String::from_utf8_lossy(&bytes), &source.verifier) {
        Some(number) => Ok(Some(number)),
        None => Err(Problem { file, offset: 0, fault: Fault::Mark }.into()),
    }
}

/// The mark of a log that has segments: it is made before the first of them.
pub(crate) fn read_existing(source: &Source) -> Result<u64, ScanError> {
    let missing = || Problem { file: source.layout.begun(), offset: 0, fault: Fault::MarkMissing };
    Ok(read(source)?.ok_or_else(missing)?)
}

/// The first segment that the mark counts and that is not there, if the last that is there is `last`.
pub(crate) fn check(source: &Source, begun: u64, last: u64) -> Result<(), Problem> {
    if last >= begun {
        return Ok(());
    }
    let number = last + 1;
    Err(Problem { file: source.layout.segment(number), offset: 0, fault: Fault::SegmentMissing { number } })
}

/// Replaces the mark, durably.
pub(crate) fn write(source: &Source, signer: &Signer, begun: u64) -> Result<(), Failure> {
    let refused = |error: NoteError| Failure::Checkpoint(Box::new(error.into()));
    let note = sign_mark(signer, begun).map_err(refused)?;
    Ok(disk::replace(&source.layout.begun(), note.as_bytes())?)
}

/// The content of [`MARK_FILE`] in a log, or a copy of one, of so many segments.
///
/// # Errors
/// When the signer's name cannot be in a note.
pub fn sign_mark(signer: &Signer, segments: u64) -> Result<String, NoteError> {
    note::sign(&format!("{TITLE}\n{}\n{segments}\n", signer.verifier().name()), &[signer])
}

fn parse(text: &str, verifier: &Verifier) -> Option<u64> {
    let opened = note::open(text, std::slice::from_ref(verifier)).ok()?;
    let rest = opened.text().strip_prefix(TITLE)?.strip_prefix('\n')?;
    rest.strip_prefix(verifier.name())?.strip_prefix('\n')?.strip_suffix('\n')?.parse().ok()
}
