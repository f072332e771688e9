//! Sealing: records are encrypted under data keys, data keys are wrapped by a key-encryption key.
