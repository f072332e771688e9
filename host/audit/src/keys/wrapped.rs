//! The key file of a segment: its data key, wrapped, and what it takes to unwrap it.
//!
//! `keys/<segment>.json` is replaced whole, so there is always one complete file, the newest. Its
//! checksum lets [`crate::log::verify`] see rot without any key; tampering shows when unwrapping.
//! Losing a key file loses its segment's records (not the proof that they existed), so back them up.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Commitment, DataKey, KeyEncryption, KeyError};
use crate::log::disk;
use crate::log::layout::{self, Layout};

const VERSION: u32 = 1;
const CONTEXT_DOMAIN: &[u8] = b"assent dek wrap v1\0";
/// Key files are about 300 bytes; a wrap by an outside keeper may take a few hundred more.
pub(crate) const FILE_BYTES_MAX: usize = 16 * 1024;

/// A key file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrappedKey {
    version: u32,
    segment: u64,
    kek: String,
    commitment: String,
    wrapped: String,
    crc32c: String,
}

impl WrappedKey {
    /// Wraps the data key of a segment.
    pub(crate) fn wrap(
        origin_hash: &[u8; 32],
        segment: u64,
        key: &DataKey,
        kek: &dyn KeyEncryption,
    ) -> Result<Self, KeyError> {
        let commitment = key.commitment().to_string();
        let wrapped = kek
            .wrap(key, &context(origin_hash, segment, &commitment))
            .ok_or_else(|| KeyError::Wrap { segment, kek: kek.id().to_owned() })?;
        let mut file = Self {
            version: VERSION,
            segment,
            kek: kek.id().to_owned(),
            commitment,
            wrapped: STANDARD.encode(wrapped),
            crc32c: String::new(),
        };
        file.crc32c = file.checksum();
        Ok(file)
    }

    /// Reads the key file of a segment and checks its form; needs no key.
    pub(crate) fn read(path: &Path, segment: u64) -> Result<Self, KeyError> {
        let damaged = |what: &str| KeyError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let bytes = match disk::read_small(path, FILE_BYTES_MAX) {
            Err(error) if error.is_not_found() => return Err(KeyError::Missing { path: path.to_owned() }),
            other => other?,
        };
        let file: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(&error.to_string()))?;
        if file.checksum() != file.crc32c {
            return Err(damaged("its checksum does not match"));
        }
        if file.version != VERSION {
            return Err(damaged("another version"));
        }
        if file.segment != segment {
            return Err(damaged("it is for another segment"));
        }
        Ok(file)
    }

    /// Checks that this is the key that the segment's header names.
    pub(crate) fn expect(&self, path: &Path, named: Commitment) -> Result<(), KeyError> {
        let expected = named.to_string();
        if self.commitment == expected {
            return Ok(());
        }
        Err(KeyError::OtherKey { path: path.to_owned(), expected, found: self.commitment.clone() })
    }

    /// Unwraps the data key.
    pub(crate) fn unwrap(
        &self,
        path: &Path,
        origin_hash: &[u8; 32],
        kek: &dyn KeyEncryption,
    ) -> Result<DataKey, KeyError> {
        if self.kek != kek.id() {
            let (expected, given) = (self.kek.clone(), kek.id().to_owned());
            return Err(KeyError::OtherKek { path: path.to_owned(), expected, given });
        }
        let refused = || KeyError::Unwrap { path: path.to_owned(), kek: kek.id().to_owned() };
        let wrapped = STANDARD.decode(&self.wrapped).map_err(|_| refused())?;
        let context = context(origin_hash, self.segment, &self.commitment);
        let key = kek.unwrap(&wrapped, &context).ok_or_else(refused)?;
        self.expect(path, key.commitment())?;
        Ok(key)
    }

    /// Puts the file in place durably, replacing an older one.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), KeyError> {
        let path = layout.key(self.segment);
        let damaged =
            |error: serde_json::Error| KeyError::Damaged { path: path.clone(), what: error.to_string() };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(damaged)?;
        bytes.push(b'\n');
        Ok(disk::replace(&path, &bytes)?)
    }

    fn checksum(&self) -> String {
        let Self { version, segment, kek, commitment, wrapped, crc32c: _ } = self;
        let text = format!("{version}\n{segment}\n{kek}\n{commitment}\n{wrapped}\n");
        format!("{:08x}", crc32c::crc32c(text.as_bytes()))
    }
}

/// Whether two key files hold the same data key, however it is wrapped: by the commitment that each names.
pub fn same_data_key(one: &[u8], other: &[u8]) -> bool {
    let commitment = |bytes| serde_json::from_slice(bytes).ok().map(|file: WrappedKey| file.commitment);
    commitment(one).is_some_and(|one| Some(one) == commitment(other))
}

/// How many keys [`rewrap`] looked at and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// Key files now wrapped with the new key.
    pub rewrapped: usize,
    /// Key files that already were: an earlier run was interrupted, or ran twice.
    pub already: usize,
}

/// Wraps every data key of a log anew, from `old` to `new`, changing key files only.
///
/// May be interrupted at any point and run again. Stop the log's writer first, or give it `new`:
/// otherwise it goes on making keys under `old`. Destroy `old` only after reading the log with `new`.
///
/// # Errors
/// At the first key file that cannot be read, unwrapped or replaced; the ones before it are done.
pub fn rewrap(
    dir: &Path,
    origin: &str,
    old: &dyn KeyEncryption,
    new: &dyn KeyEncryption,
) -> Result<Rewrapped, KeyError> {
    let layout = Layout::new(dir);
    let origin_hash = layout::origin_hash(origin);
    let mut done = Rewrapped { rewrapped: 0, already: 0 };
    for segment in layout.key_numbers()? {
        let path = layout.key(segment);
        let file = WrappedKey::read(&path, segment)?;
        if file.kek == new.id() {
            file.unwrap(&path, &origin_hash, new)?;
            done.already += 1;
            continue;
        }
        let key = file.unwrap(&path, &origin_hash, old)?;
        WrappedKey::wrap(&origin_hash, segment, &key, new)?.write(&layout)?;
        done.rewrapped += 1;
    }
    Ok(done)
}

fn context(origin_hash: &[u8; 32], segment: u64, commitment: &str) -> Vec<u8> {
    [CONTEXT_DOMAIN, origin_hash, &segment.to_be_bytes(), commitment.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
