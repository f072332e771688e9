//! The table of minor consent: `data/minor_consent/*.toml` to `OUT_DIR/minor_consent.rs`.

use crate::Build;

/// Checks the table and writes its statics.
pub(crate) fn generate(_build: &mut Build) {}
