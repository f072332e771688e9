//! The shape of the table `[releases]` of `organization.toml`.

use serde::Deserialize;

/// `[releases]`: who must agree on what is dangerous in a release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleasesConfig {
    /// Whether two persons must agree before guarded parts change. Counts from the release on that says so.
    pub two_persons: bool,
}

impl Default for ReleasesConfig {
    fn default() -> Self {
        Self { two_persons: true }
    }
}
