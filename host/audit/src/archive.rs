//! What a release and its facts were built from, as records: cut into parts, and put together again.
//!
//! Files are cut into pieces, each compressed and in base64, and as many pieces as fit make a part: an event
//! that fits a record whatever it holds. As records of the log, parts are sealed, proved, kept and let go with
//! their year. INVARIANT (what was built is what comes back): names, lengths and digests of all files are
//! checked, and what fails the check is an error, not a shorter archive. Nothing is written to disk here.

use std::fmt;

use assent_model::{Digest, OrganizationId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zstd::bulk::Compressor;

use crate::record::{ArchivedPiece, ReleaseArchived};

/// Bytes of a file in one piece: as base64, and if nothing can be compressed, it still fits a part.
const PIECE_BYTES: usize = 40_000;
/// Bytes of JSON that the pieces of one part have: an entry has 65 535, of which its own head and the other
/// members of the record take some hundreds. So a part fits even where the log cannot compress it.
const PART_JSON_BYTES: usize = 63_000;
/// Parts of one archive: when a year begins, all of them must find room in the queue of its log at once. They
/// hold some 120 MB compressed, and ten times that of entities.
const PARTS_MAX: usize = 3_000;
/// Bytes of all files together; bounds what putting an archive together can unpack.
pub const ARCHIVE_BYTES_MAX: u64 = 1 << 30;
/// The longest name of a file, as file systems have it for one folder's entry, four times.
const NAME_BYTES_MAX: usize = 1_024;
/// Higher levels save a few percent of a megabyte that is written once a release, and cost several times as much.
const ZSTD_LEVEL: i32 = 3;

/// A file of an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, relative to the organization's folder.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// INVARIANT (no patient in logs): entities are such files too, so the content is measured.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// What an archive is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Whose.
    pub organization: OrganizationId,
    /// The release that was built of the files.
    pub release: Digest,
    /// The facts that were built of them.
    pub facts: Digest,
    /// The version of Assent that did.
    pub software: String,
}

/// An archive as it was read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// What it says it is of.
    pub about: About,
    /// The files, in its order.
    pub files: Vec<File>,
}

/// Why files cannot be archived, or an archive does not hold. Names files, never what they say.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A name that no file should have.
    #[error("the name of a file is {bytes} bytes long: at most {NAME_BYTES_MAX} can be archived")]
    Name {
        /// How long.
        bytes: usize,
    },
    /// More than can be kept.
    #[error(
        "the files of a release have {bytes} bytes together, in {parts} parts or more: at most {ARCHIVE_BYTES_MAX} bytes in {PARTS_MAX} parts can be archived"
    )]
    TooLarge {
        /// Bytes of all files.
        bytes: u64,
        /// Parts that they would make.
        parts: usize,
    },
    /// zstd failed, which it does for lack of memory.
    #[error("a file cannot be compressed")]
    Compress(#[source] std::io::Error),
    /// A part does not say what a part says.
    #[error("part {part} of the archive is malformed: {what}")]
    Malformed {
        /// Which part.
        part: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file that came out otherwise than it went in.
    #[error("`{file}` of the archive is not what its digest says")]
    Altered {
        /// Which file.
        file: String,
    },
    /// All files are what they say, but are not the files of this archive.
    #[error("the files of the archive are not those that its digest names")]
    Incomplete,
}

/// The parts of an archive of these files, in their order: name and content of each.
///
/// # Errors
/// When a name is too long or all is too large.
pub fn parts<'a>(
    about: &About,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<ReleaseArchived>, ArchiveError> {
    let files: Vec<_> = files.into_iter().collect();
    if let Some((name, _)) = files.iter().find(|(name, _)| name.len() > NAME_BYTES_MAX) {
        return Err(ArchiveError::Name { bytes: name.len() });
    }
    let total = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let too_large = |parts| Err(ArchiveError::TooLarge { bytes: total, parts });
    if total > ARCHIVE_BYTES_MAX {
        return too_large(0);
    }
    let mut compressor = Compressor::new(ZSTD_LEVEL).map_err(ArchiveError::Compress)?;
    let (mut parts, mut pieces, mut json_bytes) = (vec![], vec![], 0);
    let mut names = vec![];
    for (name, bytes) in files {
        let digest = Digest::of(bytes);
        names.push((name, digest));
        for (offset, content) in chunks(bytes) {
            let compressed = compressor.compress(content).map_err(ArchiveError::Compress)?;
            let piece = ArchivedPiece {
                file: name.to_owned(),
                digest,
                bytes: bytes.len() as u64,
                offset,
                content: Some(STANDARD.encode(compressed)),
            };
            let more = serde_json::to_vec(&piece).map_or(PART_JSON_BYTES, |json| json.len() + 1);
            if json_bytes + more > PART_JSON_BYTES && !pieces.is_empty() {
                parts.push(std::mem::take(&mut pieces));
                json_bytes = 0;
                if parts.len() >= PARTS_MAX {
                    return too_large(parts.len());
                }
            }
            json_bytes += more;
            pieces.push(piece);
        }
    }
    parts.push(pieces);
    let archive = digest(names.iter().copied());
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let part = |(part, pieces)| ReleaseArchived {
        organization: about.organization.clone(),
        release: about.release,
        facts: about.facts,
        archive,
        part,
        parts: count,
        software: about.software.clone(),
        pieces,
    };
    Ok((1..).zip(parts).map(part).collect())
}

/// The pieces of a file with their offsets; of an empty file one that is empty.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let empty = bytes.is_empty().then_some(bytes);
    empty.into_iter().chain(bytes.chunks(PIECE_BYTES)).scan(0, |offset, chunk| {
        let at = *offset;
        *offset += chunk.len() as u64;
        Some((at, chunk))
    })
}

fn digest<'a>(files: impl Iterator<Item = (&'a str, Digest)>) -> Digest {
    let parts: Vec<Vec<u8>> =
        files.flat_map(|(name, digest)| [name.as_bytes().to_vec(), digest.as_bytes().to_vec()]).collect();
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}

/// An archive that is being put together of its parts, in the order of the log.
///
/// A service that was killed leaves the first parts of an archive, and the next writes all of it again: so a
/// first part begins anew, and what does not go on where the last part ended is nothing's part.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The digest of the archive, and how many parts it has.
    of: Option<(Digest, u32)>,
    parts: u32,
    bytes: u64,
    files: Vec<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    file: File,
    digest: Digest,
    expected: u64,
}

impl Assembly {
    /// Takes the next part; gives the archive with its last one.
    ///
    /// # Errors
    /// When the part is malformed, or the archive does not hold. What comes next begins anew.
    pub fn push(&mut self, part: &ReleaseArchived) -> Result<Option<Archive>, ArchiveError> {
        let of = (part.archive, part.parts);
        if part.part == 1 {
            *self = Self { of: Some(of), ..Self::default() };
        } else if self.of != Some(of) || part.part != self.parts + 1 {
            *self = Self::default();
            return Ok(None);
        }
        let taken = self.take(part);
        if taken.is_err() || part.part == part.parts {
            let Self { files, .. } = std::mem::take(self);
            taken?;
            return finish(part, files).map(Some);
        }
        Ok(None)
    }

    /// Whether parts were taken that are not an archive yet.
    pub const fn is_begun(&self) -> bool {
        self.of.is_some()
    }

    fn take(&mut self, part: &ReleaseArchived) -> Result<(), ArchiveError> {
        let malformed = |what| ArchiveError::Malformed { part: part.part, what };
        for piece in &part.pieces {
            if piece.offset == 0 {
                let file = File { name: piece.file.clone(), bytes: vec![] };
                self.files.push(Unfinished { file, digest: piece.digest, expected: piece.bytes });
            }
            let unfinished = self.files.last_mut().ok_or(malformed("it begins within a file"))?;
            let Unfinished { file, digest, expected } = unfinished;
            if (&file.name, *digest, *expected) != (&piece.file, piece.digest, piece.bytes)
                || file.bytes.len() as u64 != piece.offset
            {
                return Err(malformed("a piece does not follow the one before it"));
            }
            let content = piece.content.as_deref().ok_or(malformed("a piece has no content"))?;
            let content = STANDARD.decode(content).map_err(|_| malformed("a piece is not base64"))?;
            let content = zstd::bulk::decompress(&content, PIECE_BYTES)
                .map_err(|_| malformed("a piece cannot be unpacked"))?;
            self.bytes += content.len() as u64;
            if self.bytes > ARCHIVE_BYTES_MAX {
                return Err(malformed("it unpacks to more than an archive holds"));
            }
            file.bytes.extend_from_slice(&content);
        }
        self.parts = part.part;
        Ok(())
    }
}

fn finish(part: &ReleaseArchived, files: Vec<Unfinished>) -> Result<Archive, ArchiveError> {
    let mut found = vec![];
    for Unfinished { file, digest, expected } in files {
        if file.bytes.len() as u64 != expected || Digest::of(&file.bytes) != digest {
            return Err(ArchiveError::Altered { file: file.name });
        }
        found.push((file, digest));
    }
    if digest(found.iter().map(|(file, digest)| (file.name.as_str(), *digest))) != part.archive {
        return Err(ArchiveError::Incomplete);
    }
    let about = About {
        organization: part.organization.clone(),
        release: part.release,
        facts: part.facts,
        software: part.software.clone(),
    };
    Ok(Archive { about, files: found.into_iter().map(|(file, _)| file).collect() })
}

#[cfg(test)]
mod tests;
