//! What a release and its facts were built from, in parts that each fit a record.
//!
//! `crate::archive` cuts files into parts and puts them together again. INVARIANT (no patient in logs):
//! entities are among the files, so `Debug` prints digests and counts, and what shows records to people or
//! to other systems shows [`ReleaseArchived::without_content`].

use std::fmt;

use assent_model::{Digest, OrganizationId};
use serde::{Deserialize, Serialize};

/// One part of the archive of a release and its facts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseArchived {
    /// Whose.
    pub organization: OrganizationId,
    /// The release that was built of it.
    pub release: Digest,
    /// The facts that were built of it.
    pub facts: Digest,
    /// The digest of the names and contents of all files: parts with another are of another archive.
    pub archive: Digest,
    /// Which part this is, from 1.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// The version of Assent that built the release.
    pub software: String,
    /// Pieces of files, in the order of the archive.
    pub pieces: Vec<ArchivedPiece>,
}

/// A piece of an archived file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedPiece {
    /// The file's name, relative to the organization's folder.
    pub file: String,
    /// The digest of the whole file.
    pub digest: Digest,
    /// The length of the whole file in bytes.
    pub bytes: u64,
    /// Where in the file the piece begins, in bytes.
    pub offset: u64,
    /// The piece: compressed with zstd, then base64. Left out where a record is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl ReleaseArchived {
    /// The same without the contents of files.
    #[must_use]
    pub fn without_content(&self) -> Self {
        let piece = |piece: &ArchivedPiece| ArchivedPiece {
            file: piece.file.clone(),
            digest: piece.digest,
            bytes: piece.bytes,
            offset: piece.offset,
            content: None,
        };
        Self {
            pieces: self.pieces.iter().map(piece).collect(),
            organization: self.organization.clone(),
            software: self.software.clone(),
            ..*self
        }
    }
}

impl fmt::Debug for ReleaseArchived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, facts, part, parts, .. } = self;
        write!(f, "ReleaseArchived({release}, {facts}, part {part} of {parts})")
    }
}

impl fmt::Debug for ArchivedPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchivedPiece({} of {} bytes, {})", self.offset, self.bytes, self.digest)
    }
}
