//! The way back when the sealing key is lost: data keys are wrapped for people who keep a secret elsewhere.
//!
//! The service knows the recipients alone, so that whoever breaks into it gains nothing from them. Identities
//! are given to one command, which wraps the keys for a new sealing key. A recovered key is as good as any:
//! the segment's commitment says whether it is the right one.

use zeroize::Zeroizing;

use super::age::{self, AgeError, Identity, RECIPIENTS_MAX, Recipient};
use super::{DataKey, KeeperError};

/// For whom data keys are wrapped besides, and, in a drill or an emergency, who opens them.
#[derive(Debug, Default)]
pub struct Recovery {
    recipients: Vec<Recipient>,
    identities: Vec<Identity>,
}

impl Recovery {
    /// Recipients as a configuration names them.
    ///
    /// # Errors
    /// When one is none, or there are too many.
    pub fn new(recipients: &[impl AsRef<str>], identities: Vec<Identity>) -> Result<Self, AgeError> {
        if recipients.len() > RECIPIENTS_MAX {
            return Err(AgeError::TooMany { given: recipients.len() });
        }
        let recipients =
            recipients.iter().map(|text| Recipient::parse(text.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { recipients, identities })
    }

    /// The recipients, as they are written.
    pub(super) fn recipients(&self) -> Vec<String> {
        self.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect()
    }

    /// Wraps a data key for all recipients; `None` where there are none.
    pub(super) fn wrap(&self, key: &DataKey) -> Result<Option<Vec<u8>>, KeeperError> {
        if self.recipients.is_empty() {
            return Ok(None);
        }
        age::seal(&self.recipients, key.reveal()).map(Some).ok_or(KeeperError::Library)
    }

    /// Whether there is anybody who opens.
    pub(super) const fn can_open(&self) -> bool {
        !self.identities.is_empty()
    }

    /// Opens a data key with the identities.
    pub(super) fn unwrap(&self, wrapped: &[u8]) -> Option<DataKey> {
        let plain = age::open(&self.identities, wrapped)?;
        Some(DataKey::from_bytes(Zeroizing::new(plain.as_slice().try_into().ok()?)))
    }
}
