//! The key file of a segment: its data key, wrapped, and what it takes to unwrap it.
//!
//! `keys/<segment>.json` is replaced whole, so there is always one complete file, the newest. Its
//! checksum lets [`crate::log::verify`] see rot without any key; tampering shows when unwrapping.
//! Where there are recovery recipients, `recovery.age` is a whole age file, in base64, with the 32 bytes of the
//! key: who has an identity needs nothing of ours to open it.
//! Losing a key file loses its segment's records (not the proof that they existed), so back them up.
//! INVARIANT (what is wrapped opens): nothing is put in place, least of all of an older file, that did not open to
//! the same key before.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Commitment, DataKey, KeeperError, KeyEncryption, KeyError};
use crate::log::disk;
use crate::log::layout::Layout;

const VERSION: u32 = 1;
const CONTEXT_DOMAIN: &[u8] = b"assent dek wrap v1\0";
/// Key files are about 300 bytes, and 250 more for each recovery recipient.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery: Option<WrappedForRecovery>,
    crc32c: String,
}

/// The same key, for whoever can recover it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedForRecovery {
    recipients: Vec<String>,
    age: String,
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
        let failed = |source| KeyError::Wrap { segment, kek: kek.id().to_owned(), source };
        let context = context(origin_hash, segment, &commitment);
        let wrapped = kek.wrap(key, &context).map_err(failed)?;
        match kek.unwrap(&wrapped, &context) {
            Ok(opened) if opened.commitment() == key.commitment() => {}
            Ok(_) | Err(KeeperError::Refused) => return Err(failed(KeeperError::Unfaithful)),
            Err(error) => return Err(failed(error)),
        }
        let recovery = match kek.recovery() {
            Some(recovery) => recovery.wrap(key).map_err(failed)?.map(|age| WrappedForRecovery {
                recipients: recovery.recipients(),
                age: STANDARD.encode(age),
            }),
            None => None,
        };
        let mut file = Self {
            version: VERSION,
            segment,
            kek: kek.id().to_owned(),
            commitment,
            wrapped: STANDARD.encode(wrapped),
            recovery,
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

    /// The id of the key it is wrapped with.
    pub(super) fn kek(&self) -> &str {
        &self.kek
    }

    /// For whom it is wrapped besides.
    pub(super) fn recipients(&self) -> &[String] {
        self.recovery.as_ref().map_or(&[], |recovery| &recovery.recipients)
    }

    /// Unwraps the data key, with the key in use, with a former one, or by recovery.
    pub(crate) fn unwrap(
        &self,
        path: &Path,
        origin_hash: &[u8; 32],
        kek: &dyn KeyEncryption,
    ) -> Result<DataKey, KeyError> {
        let keeper = if self.kek == kek.id() { Some(kek) } else { kek.former(&self.kek) };
        let refused = |source| KeyError::Unwrap { path: path.to_owned(), kek: self.kek.clone(), source };
        let key = match keeper {
            Some(keeper) => {
                let wrapped = STANDARD.decode(&self.wrapped).map_err(|_| refused(KeeperError::Refused))?;
                let context = context(origin_hash, self.segment, &self.commitment);
                keeper.unwrap(&wrapped, &context).map_err(refused)?
            }
            None => self.recover(path, kek)?,
        };
        self.expect(path, key.commitment())?;
        Ok(key)
    }

    fn recover(&self, path: &Path, kek: &dyn KeyEncryption) -> Result<DataKey, KeyError> {
        let path = path.to_owned();
        let Some(recovery) = kek.recovery().filter(|recovery| recovery.can_open()) else {
            let (expected, given) = (self.kek.clone(), kek.id().to_owned());
            return Err(KeyError::OtherKek { path, expected, given });
        };
        let Some(wrapped) = &self.recovery else {
            return Err(KeyError::NoRecovery { path, kek: self.kek.clone() });
        };
        let opened = STANDARD.decode(&wrapped.age).ok().and_then(|age| recovery.unwrap(&age));
        opened.ok_or_else(|| KeyError::Recover { path, recipients: wrapped.recipients.join(", ") })
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
        let Self { version, segment, kek, commitment, wrapped, recovery, crc32c: _ } = self;
        let mut text = format!("{version}\n{segment}\n{kek}\n{commitment}\n{wrapped}\n");
        if let Some(WrappedForRecovery { recipients, age }) = recovery {
            text.push_str(&format!("{}\n{age}\n", recipients.join(" ")));
        }
        format!("{:08x}", crc32c::crc32c(text.as_bytes()))
    }
}

/// Whether two key files hold the same data key, however it is wrapped: by the commitment that each names.
pub fn same_data_key(one: &[u8], other: &[u8]) -> bool {
    let commitment = |bytes| serde_json::from_slice(bytes).ok().map(|file: WrappedKey| file.commitment);
    commitment(one).is_some_and(|one| Some(one) == commitment(other))
}

fn context(origin_hash: &[u8; 32], segment: u64, commitment: &str) -> Vec<u8> {
    [CONTEXT_DOMAIN, origin_hash, &segment.to_be_bytes(), commitment.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
