//! Sealing: records are encrypted under data keys, data keys are wrapped by a key-encryption key.
//!
//! Every segment has its own data key, made for it and never used again, so a nonce cannot repeat
//! even when a crash takes back positions that were already written. The log itself names a data
//! key only by its [`Commitment`]; the wrapped key lies in a side file, so that changing the
//! key-encryption key ([`rewrap`]) touches no sealed byte, and so does destroying a data key.

mod data_key;
mod envelope;
mod error;
mod ring;
mod source;
mod wrapped;

pub use data_key::{Commitment, DataKey};
pub use envelope::{ENVELOPE_BYTES_MAX, Envelope, OVERHEAD_BYTES, Payload, RECORD_BYTES_MAX, SealingKey};
pub use error::{KeyError, RecordError};
pub use source::{KeyEncryption, MasterKey};
pub use wrapped::{Rewrapped, rewrap, same_data_key};

pub(crate) use ring::KeyRing;
pub(crate) use wrapped::{FILE_BYTES_MAX as KEY_FILE_BYTES_MAX, WrappedKey};
