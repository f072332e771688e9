//! A sealing key that this process holds: read from a file or, for development, from the environment.
//!
//! AES-256-GCM with a random nonce before the ciphertext. A file must be readable by its owner alone, or it
//! is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{DataKey, KeeperError, KeyEncryption, KeyError};
use crate::log::disk;

const ID_DOMAIN: &[u8] = b"assent kek id";

/// A key-encryption key held by this process: AES-256-GCM with a random nonce before the ciphertext.
pub struct MasterKey {
    key: LessSafeKey,
    id: String,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<key {}>", self.id)
    }
}

impl MasterKey {
    /// The key in a file.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it holds no key.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let text = read_secret(path, KEY_FILE_BYTES_MAX)?;
        Self::from_text(&text).ok_or_else(|| KeyError::Malformed { from: path.display().to_string() })
    }

    /// A key from its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(bytes).finalize();
        let id = format!("aes256gcm:{}", hex::encode(hash.get(..8)?));
        Some(Self { key, id })
    }

    /// A key from 32 raw bytes or 64 hexadecimal digits.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        if let Ok(raw) = <&[u8; 32]>::try_from(text) {
            return Self::from_bytes(raw);
        }
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
        Self::from_bytes(&bytes)
    }
}

/// The start of a secret file that nobody but its owner may read.
///
/// # Errors
/// When it cannot be read, or others may read it.
pub(super) fn read_secret(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Asked of the open file, so that it cannot be exchanged between question and reading.
    let file = disk::open_to_read(path)?;
    let mode = disk::metadata(&file, path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    Ok(Zeroizing::new(disk::read_up_to(&file, path, bytes_max)?))
}

/// 64 digits and a line end are 65 bytes; one more shows that there is more.
const KEY_FILE_BYTES_MAX: usize = 66;

impl KeyEncryption for MasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        let failed = |_| KeeperError::Library;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(failed)?;
        let mut content = Zeroizing::new(*key.reveal());
        let aad = Aad::from(context);
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aad,
            content.as_mut_slice(),
        );
        Ok([nonce.as_slice(), content.as_slice(), tag.map_err(failed)?.as_ref()].concat())
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(KeeperError::Refused)?;
        let mut content = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(context), &mut content);
        let plain = plain.ok().and_then(|plain| <[u8; 32]>::try_from(&*plain).ok());
        Ok(DataKey::from_bytes(Zeroizing::new(plain.ok_or(KeeperError::Refused)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn written(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn raw_bytes_and_digits_are_the_same_key() {
        let digits = hex::encode([0xa5; 32]);
        let contents = [[0xa5; 32].to_vec(), digits.clone().into_bytes(), format!("{digits}\n").into_bytes()];
        let ids = contents.map(|content| {
            let (_dir, path) = written(&content, 0o400);
            MasterKey::from_file(&path).unwrap().id().to_owned()
        });
        let same = MasterKey::from_text(digits.as_bytes()).unwrap();
        assert!(ids.iter().all(|id| id == same.id()), "{ids:?}");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        for mode in [0o440, 0o404, 0o420, 0o401] {
            let (_dir, path) = written(&[1; 32], mode);
            assert!(matches!(MasterKey::from_file(&path), Err(KeyError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_key_of_another_size_is_refused() {
        for content in [vec![], vec![1; 31], vec![1; 33], vec![b'a'; 63], vec![b'a'; 66], vec![b'g'; 64]] {
            let (_dir, path) = written(&content, 0o400);
            assert!(matches!(MasterKey::from_file(&path), Err(KeyError::Malformed { .. })));
        }
    }

    #[test]
    fn a_wrapped_key_opens_with_its_key_and_context_only() {
        let kek = MasterKey::from_bytes(&[1; 32]).unwrap();
        let other = MasterKey::from_bytes(&[2; 32]).unwrap();
        let key = DataKey::generate().unwrap();
        let wrapped = kek.wrap(&key, b"here").unwrap();
        assert_eq!(kek.unwrap(&wrapped, b"here").unwrap().commitment(), key.commitment());
        assert!(kek.unwrap(&wrapped, b"there").is_err());
        assert!(other.unwrap(&wrapped, b"here").is_err());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(kek.unwrap(&changed, b"here").is_err(), "byte {at}");
        }
    }
}
