//! What can go wrong with keys and sealed records, in words for operators.

use std::path::PathBuf;

use super::{KeeperError, TokenError};
use crate::log::DiskError;

/// A key that cannot be made, found, wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system's random generator failed.
    #[error("the system's random generator failed; no key was made")]
    Random,
    /// The keeper of the key refused or could not be reached.
    #[error("the data key of segment {segment} could not be wrapped with `{kek}`")]
    Wrap {
        /// Whose key.
        segment: u64,
        /// The key-encryption key asked.
        kek: String,
        /// Why not.
        source: KeeperError,
    },
    /// A key-encryption key given in words that name no source. They are not repeated, for they might be the key.
    #[error("this is no place of a key: expected `file:PATH`, `pkcs11:…` or, for development, `env:NAME`")]
    UnknownSource,
    /// A token that does not do as it should.
    #[error(transparent)]
    Token(Box<TokenError>),
    /// A key-encryption key of the wrong size or alphabet.
    #[error("the key in `{from}` must be 32 raw bytes or 64 hexadecimal digits")]
    Malformed {
        /// The source.
        from: String,
    },
    /// Others may read the key file.
    #[error("{} is open to group or others (mode {mode:03o}); run `chmod 400` on it", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The environment variable is not set.
    #[error("environment variable `{name}` holds no key")]
    Unset {
        /// The variable.
        name: String,
    },
    /// There is no key file for a segment: lost, or destroyed on purpose.
    #[error("{} does not exist; restore it from a copy, or its segment stays sealed", path.display())]
    Missing {
        /// The key file.
        path: PathBuf,
    },
    /// A key file that does not say what it should.
    #[error("{} is damaged ({what}); restore it from a copy", path.display())]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A key file made for another key-encryption key.
    #[error(
        "{} is wrapped with `{expected}`, but `{given}` was given; give the key it was wrapped with, as `sealing_key` or \
         one of `former_sealing_keys`",
        path.display()
    )]
    OtherKek {
        /// The key file.
        path: PathBuf,
        /// The key it needs.
        expected: String,
        /// The key at hand.
        given: String,
    },
    /// The wrapped key does not open: changed, or moved from another log or segment; or its keeper is out of reach.
    #[error("the key in {} does not open with `{kek}`", path.display())]
    Unwrap {
        /// The key file.
        path: PathBuf,
        /// The key-encryption key asked.
        kek: String,
        /// Why not.
        source: KeeperError,
    },
    /// Nobody can recover it.
    #[error("{} is wrapped with `{kek}` and for nobody else; only that key opens it", path.display())]
    NoRecovery {
        /// The key file.
        path: PathBuf,
        /// The key it needs.
        kek: String,
    },
    /// The identity given is of no recipient, or the file was changed.
    #[error("{} does not open with the identity given; it is wrapped for {recipients}", path.display())]
    Recover {
        /// The key file.
        path: PathBuf,
        /// Who could open it.
        recipients: String,
    },
    /// The wrapped key opens to another key than the segment names.
    #[error("{} holds the key {found}, but the segment names {expected}", path.display())]
    OtherKey {
        /// The key file.
        path: PathBuf,
        /// What the segment says.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<TokenError> for KeyError {
    fn from(error: TokenError) -> Self {
        Self::Token(Box::new(error))
    }
}

/// A record that cannot be sealed or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RecordError {
    /// More than [`super::RECORD_BYTES_MAX`], or too long for an envelope even compressed.
    #[error(
        "a record of {bytes} bytes ({sealed} sealed) is too large; at most {max} bytes sealed fit an entry"
    )]
    TooLarge {
        /// The record's length.
        bytes: usize,
        /// Its length as an envelope.
        sealed: usize,
        /// The limit.
        max: usize,
    },
    /// Compression failed.
    #[error("the record could not be compressed")]
    Compress,
    /// Encryption failed.
    #[error("the record could not be encrypted")]
    Seal,
    /// An envelope that does not follow the format.
    #[error("the entry is no envelope that this version can read ({what})")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The envelope names another key.
    #[error("the entry is sealed with key {expected}, not with the key at hand")]
    OtherKey {
        /// The key it names.
        expected: String,
    },
    /// Decryption failed: changed, or moved from another place.
    #[error("the entry does not open: it was changed, or moved from another place or log")]
    Open,
    /// The content opened but could not be decompressed.
    #[error("the entry opened, but its content could not be decompressed")]
    Decompress,
}
