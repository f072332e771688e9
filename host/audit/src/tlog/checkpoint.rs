//! Checkpoints (c2sp.org/tlog-checkpoint): which tree does a log say it has?
//!
//! A checkpoint is a signed note whose text is the origin (which log), the size and the root, one line each, and
//! perhaps extension lines. Printing gives exactly what [`Checkpoint::parse`] reads.
//! INVARIANT (a checkpoint is its origin's): [`Checkpoint::open`] gives one only if the key that is
//! named like its origin signed it.

use std::fmt;

use super::merkle::Tree;
use super::note::{self, NoteError, Opened, Signer, Verifier};
use super::text;

/// Why a checkpoint was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is not that of a checkpoint.
    #[error("line {line} of the checkpoint must be {expected}")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What it should have been.
        expected: &'static str,
    },
    /// The checkpoint is that of another log.
    #[error("the checkpoint is of log `{found}`, not of `{expected}`")]
    OtherLog {
        /// The origin it has.
        found: String,
        /// The origin it should have.
        expected: String,
    },
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// What a log says of itself: its origin, and its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    tree: Tree,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a log that has this tree.
    ///
    /// # Errors
    /// [`CheckpointError::Line`] if the origin is empty or has control characters in it.
    pub fn new(origin: &str, tree: Tree) -> Result<Self, CheckpointError> {
        if !is_line(origin) {
            return Err(line(1, "an origin: some text without control characters"));
        }
        Ok(Self { origin: origin.to_owned(), tree, extensions: vec![] })
    }

    /// The same with one more extension line. Nobody audits these; the specification advises against them.
    ///
    /// # Errors
    /// [`CheckpointError::Line`] if the line is empty or has control characters in it.
    pub fn with_extension(mut self, extension: &str) -> Result<Self, CheckpointError> {
        if !is_line(extension) {
            return Err(line(
                self.extensions.len() + 4,
                "an extension: some text without control characters",
            ));
        }
        self.extensions.push(extension.to_owned());
        Ok(self)
    }

    /// Reads the text of a checkpoint: the note without its signatures.
    ///
    /// # Errors
    /// [`CheckpointError::Line`] for the first line that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split_terminator('\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().and_then(text::decode_decimal);
        let size = size.ok_or(line(2, "the size of the tree, a decimal number without leading zeros"))?;
        let root = lines.next().and_then(text::decode_hash);
        let root = root.ok_or(line(3, "the root of the tree, 32 bytes in base64"))?;
        let mut checkpoint = Self::new(origin, Tree { size, root })?;
        for extension in lines {
            checkpoint = checkpoint.with_extension(extension)?;
        }
        if !text.ends_with('\n') {
            return Err(line(checkpoint.extensions.len() + 3, "ended by a newline"));
        }
        Ok(checkpoint)
    }

    /// Opens a signed checkpoint of the log whose origin is the name of `log`, which must have signed it. Keys
    /// of witnesses are checked as well: see [`Opened::signatures`] for those that did cosign.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is malformed, of another log, or not signed by the log, or a signature is bad.
    pub fn open(
        note: &str,
        log: &Verifier,
        witnesses: &[Verifier],
    ) -> Result<(Self, Opened), CheckpointError> {
        let keys: Vec<_> = std::iter::once(log).chain(witnesses).cloned().collect();
        let opened = note::open(note, &keys)?;
        if !opened.is_signed_by(log) {
            return Err(NoteError::NotSigned.into());
        }
        let checkpoint = Self::parse(opened.text())?;
        if checkpoint.origin != log.name() {
            return Err(CheckpointError::OtherLog {
                found: checkpoint.origin,
                expected: log.name().to_owned(),
            });
        }
        Ok((checkpoint, opened))
    }

    /// The signed note.
    ///
    /// # Errors
    /// [`CheckpointError::OtherLog`] if the key is not named like the origin: nobody could open it.
    pub fn sign(&self, signer: &Signer) -> Result<String, CheckpointError> {
        let key = signer.verifier().name();
        if key != self.origin {
            return Err(CheckpointError::OtherLog { found: self.origin.clone(), expected: key.to_owned() });
        }
        Ok(note::sign(&self.to_string(), &[signer])?)
    }

    /// Which log it is: for instance `assent.example.org/audit/riverside/2026`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its size and root.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// What stands below the root, if anything.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.tree.size, text::encode(&self.tree.root))?;
        self.extensions.iter().try_for_each(|extension| writeln!(f, "{extension}"))
    }
}

fn line(line: usize, expected: &'static str) -> CheckpointError {
    CheckpointError::Line { line, expected }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte < 0x20)
}

#[cfg(test)]
mod tests;
