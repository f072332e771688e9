//! The shape of the table `[audit]` of `assent.toml`.

use std::path::PathBuf;

use assent_audit::keys::{AgeError, KeySource, RECIPIENTS_MAX, Recipient};
use assent_audit::retention::{YEARS_DEFAULT, YEARS_MAX};
use assent_audit::tlog::note::{Algorithm, Verifier};
use assent_policy::LoadProblem;
use serde::Deserialize;

use super::ExportConfig;
use super::witness::WitnessConfig;
use crate::deployment::places::Places;

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
    /// The key that the log's data keys are wrapped with: `file:PATH`, `pkcs11:…` (RFC 7512), or `env:NAME` for
    /// development.
    #[serde(default = "AuditConfig::sealing_key")]
    pub sealing_key: String,
    /// Keys that were in use before and still open what was not wrapped anew since.
    #[serde(default)]
    pub former_sealing_keys: Vec<String>,
    /// For whom data keys are wrapped besides: `age1…`, as `age-keygen` prints it.
    #[serde(default)]
    pub recovery_recipients: Vec<String>,
    /// The key that the log is signed with: `file:PATH`, or `env:NAME` for development.
    #[serde(default = "AuditConfig::signing_key")]
    pub signing_key: String,
    /// Who is shown the log from outside.
    #[serde(default, rename = "witness")]
    pub witnesses: Vec<WitnessConfig>,
    /// Seconds between two rounds of witnesses.
    #[serde(default = "AuditConfig::witness_interval_s")]
    pub witness_interval_s: u64,
    /// Who else gets the records.
    #[serde(default, rename = "export")]
    pub exports: Vec<ExportConfig>,
    /// How long logs are kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// Where copies go.
    pub copy: Option<CopyConfig>,
}

/// `[audit.retention]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// For how many years after its own a year's log is kept.
    pub years: u32,
    /// Whether that may be less than federal law asks for.
    pub allow_shorter: bool,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { years: YEARS_DEFAULT, allow_shorter: false }
    }
}

/// `[audit.copy]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyConfig {
    /// `file:///folder` or `s3://bucket/prefix`.
    pub to: String,
    /// The server, where it is not that of AWS.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Where the name of the credentials is: `file:PATH` or `env:NAME`.
    pub access_key_id: Option<String>,
    /// Where what proves them is, likewise.
    pub secret_access_key: Option<String>,
    /// A file of certificates in PEM that vouch for the server, relative to `assent.toml`.
    pub authorities: Option<PathBuf>,
}

/// What is wrong with the table on its own.
pub(super) fn check(config: &AuditConfig, places: &Places) -> Vec<LoadProblem> {
    let RetentionConfig { years, allow_shorter } = config.retention;
    let pointer = "/audit/retention/years";
    let mut problems = vec![];
    if !(1..=YEARS_MAX).contains(&years) {
        let message = format!("`audit.retention.years` is {years}: expected {YEARS_DEFAULT} to {YEARS_MAX}");
        problems.push(places.problem(pointer, message));
    } else if years < YEARS_DEFAULT && !allow_shorter {
        let message = format!(
            "`audit.retention.years` is {years}, and 45 CFR 164.316(b)(2)(i) and 164.528 look back {YEARS_DEFAULT} years: \
             keep logs as long, or set `allow_shorter = true` where no record falls under them"
        );
        problems.push(places.problem(pointer, message));
    }
    for (name, reference) in [
        ("access_key_id", config.copy.as_ref().and_then(|copy| copy.access_key_id.as_ref())),
        ("secret_access_key", config.copy.as_ref().and_then(|copy| copy.secret_access_key.as_ref())),
    ] {
        // Not shown: it may be the secret itself.
        if reference.is_some_and(|text| !text.starts_with("file:") && !text.starts_with("env:")) {
            let message = format!("`audit.copy.{name}`: expected `file:PATH` or `env:NAME`, never the value");
            problems.push(places.problem(&format!("/audit/copy/{name}"), message));
        }
    }
    problems
}

impl AuditConfig {
    /// What is wrong with the keys as they are named; whether they are there is asked when they are loaded.
    pub(crate) fn problems(&self, places: &Places) -> Vec<LoadProblem> {
        let sealing = std::iter::once(("/audit/sealing_key".to_owned(), &self.sealing_key));
        let former = self.former_sealing_keys.iter().enumerate();
        let former = former.map(|(index, key)| (format!("/audit/former_sealing_keys/{index}"), key));
        let mut problems = vec![];
        // As part of the name of a key, whatever the key is.
        if Verifier::new(&self.name, Algorithm::Ed25519, [0; 32]).is_err() {
            let message = "`audit.name`: expected a name without spaces and `+`, such as `pdp.example.org`";
            problems.push(places.problem("/audit/name", message.to_owned()));
        }
        if !self.signing_key.starts_with("file:") && !self.signing_key.starts_with("env:") {
            // Not shown: it may be the key itself.
            let message = "`audit.signing_key`: expected `file:PATH` or, for development, `env:NAME`";
            problems.push(places.problem("/audit/signing_key", message.to_owned()));
        }
        for (pointer, key) in sealing.chain(former) {
            if let Err(error) = KeySource::parse(key) {
                problems.push(places.problem(&pointer, error.to_string()));
            }
        }
        // Not shown: it may be the key itself.
        if !self.signing_key.starts_with("file:") && !self.signing_key.starts_with("env:") {
            let message =
                "`audit.signing_key`: expected `file:PATH` or, for development, `env:NAME`, never the key";
            problems.push(places.problem("/audit/signing_key", message));
        }
        for (index, recipient) in self.recovery_recipients.iter().enumerate() {
            if let Err(error) = Recipient::parse(recipient) {
                problems
                    .push(places.problem(&format!("/audit/recovery_recipients/{index}"), error.to_string()));
            }
        }
        let recipients = self.recovery_recipients.len();
        if recipients > RECIPIENTS_MAX {
            let message = AgeError::TooMany { given: recipients }.to_string();
            problems.push(places.problem("/audit/recovery_recipients", message));
        }
        problems
    }

    /// A minute: what an operator with every key could still change unseen.
    const fn witness_interval_s() -> u64 {
        60
    }

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
