//! Where the key that wraps data keys comes from.
//!
//! [`KeyEncryption`] is the seam: a file or, for development, an environment variable today; a
//! hardware module answers the same three questions. The key in a file must be readable by its
//! owner alone, or it is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{DataKey, KeyError};
use crate::log::disk;

const ID_DOMAIN: &[u8] = b"assent kek id";
const TAG_BYTES: usize = 16;

/// A key that wraps data keys, wherever it is kept.
pub trait KeyEncryption: Send + Sync {
    /// Names the key; written beside what it wraps. The same key has the same id everywhere.
    fn id(&self) -> &str;

    /// Encrypts a data key. `context` says for what it is and must be given again to unwrap.
    /// `None` when the key's keeper refuses or cannot be reached.
    fn wrap(&self, key: &DataKey, context: &[u8]) -> Option<Vec<u8>>;

    /// Decrypts a data key. `None` when it was wrapped by another key, for another context, or was
    /// changed, or the key's keeper cannot be reached.
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Option<DataKey>;
}

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
    /// Loads the key that a configuration names: `file:<path>` or `env:<NAME>`. `environment`
    /// answers for a variable's value, so that only the caller touches the environment.
    ///
    /// # Errors
    /// When the source is unknown, missing, exposed or malformed.
    pub fn load(
        source: &str,
        environment: impl FnOnce(&str) -> Option<Zeroizing<String>>,
    ) -> Result<Self, KeyError> {
        let bytes = if let Some(path) = source.strip_prefix("file:") {
            let path = Path::new(path);
            // Asked of the open file, so that it cannot be exchanged between question and reading.
            let file = disk::open_to_read(path)?;
            let mode = disk::metadata(&file, path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed { path: path.to_owned(), mode });
            }
            Zeroizing::new(disk::read_up_to(&file, path, KEY_FILE_BYTES_MAX)?)
        } else if let Some(name) = source.strip_prefix("env:") {
            let value = environment(name).ok_or_else(|| KeyError::Unset { name: name.to_owned() })?;
            Zeroizing::new(value.as_bytes().to_vec())
        } else {
            return Err(KeyError::UnknownSource { given: source.to_owned() });
        };
        Self::from_text(&bytes).ok_or_else(|| KeyError::Malformed { from: source.to_owned() })
    }

    /// A key from its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(bytes).finalize();
        let id = format!("aes256gcm:{}", hex::encode(hash.get(..8)?));
        Some(Self { key, id })
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        if let Ok(raw) = <&[u8; 32]>::try_from(text) {
            return Self::from_bytes(raw);
        }
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
        Self::from_bytes(&bytes)
    }
}

/// 64 digits and a line end are 65 bytes; one more shows that there is more.
const KEY_FILE_BYTES_MAX: usize = 66;

impl KeyEncryption for MasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + key.reveal().len() + TAG_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(key.reveal());
        let content = sealed.get_mut(NONCE_LEN..)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(context), content).ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Option<DataKey> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(context), &mut content).ok()?;
        Some(DataKey::from_bytes(Zeroizing::new(<[u8; 32]>::try_from(&*plain).ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(content: &[u8], mode: u32) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let source = format!("file:{}", path.display());
        (dir, source)
    }

    fn nothing(_: &str) -> Option<Zeroizing<String>> {
        None
    }

    #[test]
    fn raw_bytes_and_digits_are_the_same_key() {
        let digits = hex::encode([0xa5; 32]);
        let sources = [[0xa5; 32].to_vec(), digits.clone().into_bytes(), format!("{digits}\n").into_bytes()];
        let ids = sources.map(|content| {
            let (_dir, source) = written(&content, 0o400);
            MasterKey::load(&source, nothing).unwrap().id().to_owned()
        });
        let from_environment = MasterKey::load("env:KEK", |_| Some(Zeroizing::new(digits))).unwrap();
        assert!(ids.iter().all(|id| id == from_environment.id()), "{ids:?}");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        for mode in [0o440, 0o404, 0o420, 0o401] {
            let (_dir, source) = written(&[1; 32], mode);
            assert!(matches!(MasterKey::load(&source, nothing), Err(KeyError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn a_key_of_another_size_is_refused() {
        for content in [vec![], vec![1; 31], vec![1; 33], vec![b'a'; 63], vec![b'a'; 66], vec![b'g'; 64]] {
            let (_dir, source) = written(&content, 0o400);
            assert!(matches!(MasterKey::load(&source, nothing), Err(KeyError::Malformed { .. })));
        }
    }

    #[test]
    fn a_source_without_a_key_is_refused() {
        assert!(matches!(MasterKey::load("env:KEK", nothing), Err(KeyError::Unset { .. })));
        assert!(matches!(MasterKey::load("vault:x", nothing), Err(KeyError::UnknownSource { .. })));
        assert!(matches!(MasterKey::load("file:/nowhere/kek", nothing), Err(KeyError::Disk(_))));
    }

    #[test]
    fn a_wrapped_key_opens_with_its_key_and_context_only() {
        let kek = MasterKey::from_bytes(&[1; 32]).unwrap();
        let other = MasterKey::from_bytes(&[2; 32]).unwrap();
        let key = DataKey::generate().unwrap();
        let wrapped = kek.wrap(&key, b"here").unwrap();
        assert_eq!(kek.unwrap(&wrapped, b"here").unwrap().commitment(), key.commitment());
        assert!(kek.unwrap(&wrapped, b"there").is_none());
        assert!(other.unwrap(&wrapped, b"here").is_none());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(kek.unwrap(&changed, b"here").is_none(), "byte {at}");
        }
    }
}
