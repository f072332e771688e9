//! Sealing: records are encrypted under data keys, data keys are wrapped by a key-encryption key.
//!
//! Every segment has its own data key, made for it and never used again, so a nonce cannot repeat
//! even when a crash takes back positions that were already written. The log itself names a data
//! key only by its [`Commitment`]; the wrapped key lies in a side file, so that changing the
//! key-encryption key ([`rewrap`]) touches no sealed byte, and so does destroying a data key.
//! A key-encryption key is in a file or in a token ([`KeySource`]); [`Recovery`] is for when it is lost.

mod age;
mod changes;
mod data_key;
mod encryption;
mod envelope;
mod error;
mod master;
mod recovery;
mod rewrap;
mod ring;
mod set;
mod source;
mod token;
mod wrapped;

pub use age::{AgeError, Identity, RECIPIENTS_MAX, Recipient};
pub use changes::KeyChanged;
pub use data_key::{Commitment, DataKey};
pub use encryption::{KeeperError, KeyEncryption};
pub use envelope::{ENVELOPE_BYTES_MAX, Envelope, OVERHEAD_BYTES, Payload, RECORD_BYTES_MAX, SealingKey};
pub use error::{KeyError, RecordError};
pub use master::MasterKey;
pub use recovery::Recovery;
pub use rewrap::{Found, PROBLEMS_MAX, RewrapError, Rewrapped, look, rewrap};
pub use set::Keys;
pub use source::KeySource;
pub use token::{TokenError, TokenKey, TokenUri, UriError};
pub use wrapped::same_data_key;

pub(crate) use changes::Changes;
pub(crate) use ring::KeyRing;
pub(crate) use wrapped::{FILE_BYTES_MAX as KEY_FILE_BYTES_MAX, WrappedKey};
