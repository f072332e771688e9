//! The keys of a deployment together: the one in use, former ones, and the way to recover.
//!
//! INVARIANT (one key wraps): new data keys are wrapped with the key in use, whatever else can open; so a
//! former key is needed by fewer segments after each rewrap, and by none in the end.

use std::sync::Arc;

use super::{DataKey, KeeperError, KeyEncryption, Recovery};

/// The key in use, with what else opens data keys.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Keys {
    present: Arc<dyn KeyEncryption>,
    former: Vec<Arc<dyn KeyEncryption>>,
    recovery: Recovery,
}

impl Keys {
    /// Puts them together.
    #[must_use]
    pub const fn new(
        present: Arc<dyn KeyEncryption>,
        former: Vec<Arc<dyn KeyEncryption>>,
        recovery: Recovery,
    ) -> Self {
        Self { present, former, recovery }
    }
}

impl KeyEncryption for Keys {
    fn id(&self) -> &str {
        self.present.id()
    }

    fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeeperError> {
        self.present.wrap(key, context)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, KeeperError> {
        self.present.unwrap(wrapped, context)
    }

    fn former(&self, id: &str) -> Option<&dyn KeyEncryption> {
        self.former.iter().find(|key| key.id() == id).map(AsRef::as_ref)
    }

    fn recovery(&self) -> Option<&Recovery> {
        Some(&self.recovery)
    }
}
