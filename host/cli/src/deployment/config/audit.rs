//! The shape of the table `[audit]` of `assent.toml`.

use std::path::PathBuf;

use serde::Deserialize;

use super::ExportConfig;

/// `[audit]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// The deployment's name, such as `pdp.example.org`: the first part of each log's origin. It must
    /// not change, for a log is checked under the name it was signed with.
    pub name: String,
    /// The directory of the logs, relative to this file; each in `<organization>/<year>`.
    #[serde(default = "AuditConfig::directory")]
    pub directory: PathBuf,
    /// The key that the log's data keys are wrapped with: `file:PATH`, or `env:NAME` for development.
    #[serde(default = "AuditConfig::sealing_key")]
    pub sealing_key: String,
    /// The key that the log is signed with, likewise.
    #[serde(default = "AuditConfig::signing_key")]
    pub signing_key: String,
    /// Who else gets the records.
    #[serde(default, rename = "export")]
    pub exports: Vec<ExportConfig>,
}

impl AuditConfig {
    fn directory() -> PathBuf {
        PathBuf::from(".assent/audit")
    }

    fn sealing_key() -> String {
        "file:.assent/keys/sealing.key".to_owned()
    }

    fn signing_key() -> String {
        "file:.assent/keys/signing.key".to_owned()
    }
}
