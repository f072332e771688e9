//! Where a sealing key comes from, in the words of a configuration: `file:`, `env:` or `pkcs11:`.
//!
//! Reading the words touches nothing; [`KeySource::load`] does, once, at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{KeyEncryption, KeyError, MasterKey, TokenError, TokenKey, TokenUri};

/// A place where a sealing key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// A variable of the environment, for development: whoever can look at the process can read it.
    Environment(String),
    /// An object of a PKCS#11 token, which never gives it out.
    Token(TokenUri),
}

impl KeySource {
    /// Reads `file:PATH`, `env:NAME` or `pkcs11:…` (RFC 7512).
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.into()));
        }
        if let Some(name) = text.strip_prefix("env:") {
            return Ok(Self::Environment(name.to_owned()));
        }
        if text.starts_with(TokenUri::SCHEME) {
            let uri = TokenUri::parse(text).map_err(TokenError::Uri)?;
            return Ok(Self::Token(uri));
        }
        Err(KeyError::UnknownSource)
    }

    /// The same with its files relative to a directory.
    #[must_use]
    pub fn beneath(self, root: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(root.join(path)),
            Self::Environment(name) => Self::Environment(name),
            Self::Token(uri) => Self::Token(uri.beneath(root)),
        }
    }

    /// Loads the key. `environment` answers for a variable's value, so that only the caller touches the
    /// environment.
    ///
    /// # Errors
    /// When it is missing, exposed or malformed; when the token cannot be reached or refuses.
    pub fn load(
        &self,
        environment: impl FnOnce(&str) -> Option<Zeroizing<String>>,
    ) -> Result<Arc<dyn KeyEncryption>, KeyError> {
        Ok(match self {
            Self::File(path) => Arc::new(MasterKey::from_file(path)?),
            Self::Environment(name) => {
                let value = environment(name).ok_or_else(|| KeyError::Unset { name: name.clone() })?;
                let key = MasterKey::from_text(value.as_bytes());
                Arc::new(key.ok_or_else(|| KeyError::Malformed { from: format!("env:{name}") })?)
            }
            Self::Token(uri) => Arc::new(TokenKey::open(uri.clone())?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_a_key_is_refused() {
        let load = |text: &str, value: Option<&str>| {
            KeySource::parse(text)?.load(|_| value.map(|value| Zeroizing::new(value.to_owned())))
        };
        assert!(matches!(load("env:KEK", None).err(), Some(KeyError::Unset { .. })));
        assert!(matches!(load("env:KEK", Some("abc")).err(), Some(KeyError::Malformed { .. })));
        assert!(load("env:KEK", Some(&hex::encode([7; 32]))).is_ok());
        assert!(matches!(load("file:/nowhere/kek", None).err(), Some(KeyError::Disk(_))));
    }

    #[test]
    fn a_key_that_stands_where_its_source_belongs_is_not_repeated() {
        for text in ["vault:secret", "deadbeefsecret"] {
            let error = KeySource::parse(text).unwrap_err();
            assert!(matches!(error, KeyError::UnknownSource) && !error.to_string().contains("secret"));
        }
    }
}
