//! The logs of a deployment, for tests: their keys and their name, and records that are waited for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assent_audit::keys::MasterKey;
use assent_audit::log::{AppendError, Log};
use assent_audit::logs::LogsConfig;

/// Long enough for a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The logs in this directory.
pub(crate) fn config(directory: PathBuf) -> LogsConfig {
    LogsConfig {
        directory,
        name: "pdp.example.org".to_owned(),
        signing_seed: [7; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    }
}

/// Appends a record, and waits until it is durable.
pub(crate) async fn append(log: &Log, record: Vec<u8>) -> Result<(), AppendError> {
    log.append(record, Instant::now() + PATIENCE).await.map(drop)
}
