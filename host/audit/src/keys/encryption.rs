//! What wraps data keys, wherever it is kept: the seam between the log and the keeper of its key.
//!
//! A key in a file is [`super::MasterKey`], one in a hardware module [`super::TokenKey`]; [`super::Keys`] puts
//! the key in use together with former ones and with a way to recover. A keeper says why it did not do what
//! it was asked, since an operator who reads "refused" looks elsewhere than one who reads "not reached".

use super::{DataKey, Recovery, TokenError};

/// A key that wraps data keys.
pub trait KeyEncryption: Send + Sync {
    /// Names the key; written beside what it wraps. The same key has the same id wherever it is loaded from
    /// the same kind of place.
    fn id(&self) -> &str;

    /// Encrypts a data key. `context` says for what it is and must be given again to unwrap.
    ///
    /// # Errors
    /// When the key's keeper refuses or cannot be reached.
    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError>;

    /// Decrypts a data key.
    ///
    /// # Errors
    /// When it was wrapped by another key, for another context, or was changed; or the key's keeper refuses
    /// or cannot be reached.
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError>;

    /// A key that was in use before and still opens what it wrapped.
    fn former(&self, _id: &str) -> Option<&dyn KeyEncryption> {
        None
    }

    /// For whom data keys are wrapped besides, so that losing this key loses nothing.
    fn recovery(&self) -> Option<&Recovery> {
        None
    }
}

/// Why a keeper did not wrap or unwrap.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// It does not open.
    #[error("it was wrapped by another key, belongs to another segment or log, or was changed")]
    Refused,
    /// What it made is not what it was given.
    #[error(
        "what it wrapped it does not open to the same key again, so nothing was sealed with that: see its keeper"
    )]
    Unfaithful,
    /// The random generator or the library failed.
    #[error("the cryptographic library failed")]
    Library,
    /// The hardware module refused or cannot be reached.
    #[error(transparent)]
    Token(Box<TokenError>),
}

impl From<TokenError> for KeeperError {
    fn from(error: TokenError) -> Self {
        Self::Token(Box::new(error))
    }
}
