//! How a record becomes a log entry: compressed by whoever appends it, sealed at its position.
//!
//! Layout, numbers big-endian: version (1 byte), flags (1), key commitment (32), seq (8),
//! AES-256-GCM ciphertext, tag (16). The tag also covers the log's origin and everything before the
//! ciphertext, so an entry opens at its own place only.
//!
//! A record is compressed with zstd and a dictionary of what records look like: most of a record is names of
//! fields and texts of policies, which the dictionary holds, so that a decision of 9.5 KB becomes some 860 bytes
//! instead of 2,850. The flags say with which dictionary. INVARIANT (dictionaries stay): a dictionary that an
//! entry was written with never changes; a better one is another file with another flag.
//! INVARIANT (a nonce is used once): the nonce is the seq, and is not stored. A data key belongs to
//! one segment of one process, in which each seq is sealed once.

use std::cell::RefCell;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zstd::bulk::{Compressor, Decompressor};

use super::{Commitment, DataKey, RecordError};

/// An entry's length must fit the 16 bits that entry bundles of tlog-tiles give it.
pub const ENVELOPE_BYTES_MAX: usize = 65_535;
/// What sealing adds to a record's payload.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;
/// The longest record before compression: bounds what opening an entry can unpack.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Version 1 had records that were compressed without a dictionary; it was never released.
const VERSION: u8 = 2;
/// Compressed with [`DICTIONARY_1`].
const FLAG_DICTIONARY_1: u8 = 1;
/// Records of the examples, in canonical form, the most frequent kind last, where zstd finds it cheapest.
const DICTIONARY_1: &[u8] = include_bytes!("envelope/dictionary-1.jsonl");
const HEAD_BYTES: usize = 1 + 1 + 32 + 8;
const TAG_BYTES: usize = 16;
/// Some 8 µs for a decision. Level 1 takes half as long again for a fifth less, and then the log takes a third fewer
/// records in a second on a machine that is busy with nothing else.
const ZSTD_LEVEL: i32 = -1;

thread_local! {
    // A context is 1 MB of tables: too costly to make for each record.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A record ready to be sealed: compressed where that makes it shorter.
pub struct Payload {
    flags: u8,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<payload of {} bytes>", self.bytes.len())
    }
}

impl Payload {
    /// Compresses a record.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`] when it would not fit an entry.
    pub fn new(record: Vec<u8>) -> Result<Self, RecordError> {
        let bytes = record.len();
        let too_large = |sealed| RecordError::TooLarge { bytes, sealed, max: ENVELOPE_BYTES_MAX };
        if bytes > RECORD_BYTES_MAX {
            return Err(too_large(bytes));
        }
        let compressed = compress(&record)?;
        let payload = if compressed.len() < bytes {
            Self { flags: FLAG_DICTIONARY_1, bytes: compressed }
        } else {
            Self { flags: 0, bytes: record }
        };
        if payload.sealed_len() > ENVELOPE_BYTES_MAX {
            return Err(too_large(payload.sealed_len()));
        }
        Ok(payload)
    }

    /// The length of the envelope it will become.
    #[must_use]
    pub const fn sealed_len(&self) -> usize {
        self.bytes.len() + OVERHEAD_BYTES
    }
}

/// A data key in use, for one log.
pub struct SealingKey {
    key: LessSafeKey,
    commitment: Commitment,
    origin_hash: [u8; 32],
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<sealing key {}>", self.commitment)
    }
}

impl SealingKey {
    /// Prepares a data key for the log with this origin hash.
    ///
    /// # Errors
    /// [`RecordError::Seal`] when the library refuses the key.
    pub fn new(key: &DataKey, origin_hash: [u8; 32]) -> Result<Self, RecordError> {
        let unbound = UnboundKey::new(&AES_256_GCM, key.reveal()).map_err(|_| RecordError::Seal)?;
        Ok(Self { key: LessSafeKey::new(unbound), commitment: key.commitment(), origin_hash })
    }

    /// Which key this is.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// Seals a payload at its position and appends the envelope to `out`. The caller keeps the
    /// invariant: each seq once for each key.
    ///
    /// # Errors
    /// [`RecordError::Seal`] when the library refuses; `out` is then as it was.
    pub fn seal(&self, seq: u64, payload: &Payload, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        let head = head(payload.flags, self.commitment, seq);
        out.extend_from_slice(&head);
        out.extend_from_slice(&payload.bytes);
        let sealed = out.get_mut(start + HEAD_BYTES..).and_then(|content| {
            let aad = Aad::from(additional(&self.origin_hash, &head));
            self.key.seal_in_place_separate_tag(nonce(seq), aad, content).ok()
        });
        let Some(tag) = sealed else {
            out.truncate(start);
            return Err(RecordError::Seal);
        };
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens an envelope: the record as it was appended.
    ///
    /// # Errors
    /// When the envelope names another key, was changed or moved.
    pub fn open(&self, envelope: &Envelope<'_>) -> Result<Vec<u8>, RecordError> {
        if envelope.commitment != self.commitment {
            return Err(RecordError::OtherKey { expected: envelope.commitment.to_string() });
        }
        let mut content = envelope.sealed.to_vec();
        let head = head(envelope.flags, envelope.commitment, envelope.seq);
        let aad = Aad::from(additional(&self.origin_hash, &head));
        let plain = self.key.open_in_place(nonce(envelope.seq), aad, &mut content);
        let len = plain.map_err(|_| RecordError::Open)?.len();
        content.truncate(len);
        if envelope.flags & FLAG_DICTIONARY_1 == 0 { Ok(content) } else { decompress(&content) }
    }
}

/// An envelope taken apart, still sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    flags: u8,
    /// The data key it is sealed with.
    pub commitment: Commitment,
    /// Its position in the log, from 0.
    pub seq: u64,
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes an entry apart.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] for another version, unknown flags or too few bytes.
    pub fn parse(entry: &'a [u8]) -> Result<Self, RecordError> {
        let malformed = |what| RecordError::Malformed { what };
        let (&[version, flags], rest) = entry.split_first_chunk().ok_or(malformed("too short"))?;
        if version != VERSION {
            return Err(malformed("another version"));
        }
        if flags & !FLAG_DICTIONARY_1 != 0 {
            return Err(malformed("unknown flags"));
        }
        let (commitment, rest) = rest.split_first_chunk().ok_or(malformed("too short"))?;
        let (seq, sealed) = rest.split_first_chunk().ok_or(malformed("too short"))?;
        if sealed.len() < TAG_BYTES {
            return Err(malformed("too short"));
        }
        Ok(Self { flags, commitment: Commitment(*commitment), seq: u64::from_be_bytes(*seq), sealed })
    }
}

fn head(flags: u8, commitment: Commitment, seq: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let parts = [VERSION, flags].into_iter().chain(commitment.0).chain(seq.to_be_bytes());
    head.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    head
}

fn additional(origin_hash: &[u8; 32], head: &[u8; HEAD_BYTES]) -> [u8; 32 + HEAD_BYTES] {
    let mut all = [0; 32 + HEAD_BYTES];
    all.iter_mut().zip(origin_hash.iter().chain(head)).for_each(|(to, from)| *to = *from);
    all
}

fn nonce(seq: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes.iter_mut().rev().zip(seq.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}

fn compress(record: &[u8]) -> Result<Vec<u8>, RecordError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            let made = Compressor::with_dictionary(ZSTD_LEVEL, DICTIONARY_1);
            *slot = Some(made.map_err(|_| RecordError::Compress)?);
        }
        let compressor = slot.as_mut().ok_or(RecordError::Compress)?;
        compressor.compress(record).map_err(|_| RecordError::Compress)
    })
}

fn decompress(content: &[u8]) -> Result<Vec<u8>, RecordError> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            let made = Decompressor::with_dictionary(DICTIONARY_1);
            *slot = Some(made.map_err(|_| RecordError::Decompress)?);
        }
        let decompressor = slot.as_mut().ok_or(RecordError::Decompress)?;
        let record = decompressor.decompress(content, RECORD_BYTES_MAX);
        let mut record = record.map_err(|_| RecordError::Decompress)?;
        record.shrink_to_fit();
        Ok(record)
    })
}

#[cfg(test)]
mod tests;
