//! The keys of the audit log: made once, loaded from where `assent.toml` says, shown to auditors.
//!
//! INVARIANT (no log without its keys): a service does not begin to serve with keys that it made up
//! on the way; `assent audit init` makes them, and a missing one stops the start with that advice.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::logs::LogsConfig;
use zeroize::Zeroizing;

use crate::deployment::Deployment;
use crate::deployment::config::AuditConfig;

const SEED_BYTES: usize = 32;

/// The logs that a deployment describes, with their keys; `None` where it describes none.
///
/// # Errors
/// When a key is missing, exposed or malformed.
pub fn load(deployment: &Deployment) -> anyhow::Result<Option<LogsConfig>> {
    let Some(audit) = &deployment.config.audit else { return Ok(None) };
    let advised = |what: &'static str, error: anyhow::Error| {
        let root = deployment.root.display();
        anyhow::anyhow!("{what}: {error:#}; `assent audit init {root}` makes the keys of a log that has none")
    };
    let sealing = source(&deployment.root, &audit.sealing_key);
    let kek = MasterKey::load(&sealing, environment);
    let kek = kek.map_err(|error| advised("audit.sealing_key", error.into()))?;
    let signing_seed = seed(&deployment.root, audit).map_err(|error| advised("audit.signing_key", error))?;
    let kek: Arc<dyn KeyEncryption> = Arc::new(kek);
    Ok(Some(LogsConfig {
        directory: deployment.root.join(&audit.directory),
        name: audit.name.clone(),
        signing_seed,
        kek,
    }))
}

/// Makes the keys that are missing; existing ones are left as they are. Says what it did.
///
/// # Errors
/// When the deployment has no audit log, or a key cannot be written.
pub fn init(deployment: &Deployment, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(audit) = &deployment.config.audit else {
        bail!(
            "{} has no table `[audit]`: add one with `name`, the name of this deployment",
            deployment.root.join(crate::deployment::DEPLOYMENT_FILE).display()
        );
    };
    for (what, key) in [("sealing key", &audit.sealing_key), ("signing key", &audit.signing_key)] {
        let Some(path) = file(&deployment.root, key) else {
            writeln!(out, "{what}: `{key}` is not a file; make it where it is kept")?;
            continue;
        };
        if path.exists() {
            writeln!(out, "{what}: {} is there already and was left as it is", path.display())?;
            continue;
        }
        make(&path).with_context(|| format!("{what}: {} cannot be written", path.display()))?;
        writeln!(out, "{what}: made {}", path.display())?;
    }
    writeln!(
        out,
        "keep copies of both keys where the log is not: without the first it cannot be read, without"
    )?;
    writeln!(out, "the second not continued; with the second somebody could forge it")?;
    Ok(())
}

/// 32 random bytes as hexadecimal digits, in a new file that only its owner can read.
fn make(path: &Path) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut bytes = Zeroizing::new([0; SEED_BYTES]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let text = Zeroizing::new(hex::encode(bytes.as_slice()) + "\n");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn seed(root: &Path, audit: &AuditConfig) -> anyhow::Result<Zeroizing<[u8; SEED_BYTES]>> {
    let key = &audit.signing_key;
    let text = if let Some(path) = file(root, key) {
        let shown = path.display();
        let metadata = std::fs::metadata(&path).with_context(|| format!("{shown} cannot be read"))?;
        if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
            bail!("{shown} can be read by others than its owner: `chmod 400 {shown}`");
        }
        Zeroizing::new(std::fs::read_to_string(&path).with_context(|| format!("{shown} cannot be read"))?)
    } else if let Some(name) = key.strip_prefix("env:") {
        environment(name).with_context(|| format!("the environment variable `{name}` is not set"))?
    } else {
        bail!("`{key}`: expected `file:PATH` or, for development, `env:NAME`");
    };
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    if hex::decode_to_slice(text.trim(), seed.as_mut_slice()).is_err() {
        bail!("`{key}`: expected 64 hexadecimal digits");
    }
    Ok(seed)
}

/// The path of a key in a file, relative to the deployment.
fn file(root: &Path, key: &str) -> Option<PathBuf> {
    key.strip_prefix("file:").map(|path| root.join(path))
}

/// The same source with its path resolved.
fn source(root: &Path, key: &str) -> String {
    file(root, key).map_or_else(|| key.to_owned(), |path| format!("file:{}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a key for development can be in a variable that assent.toml names"
)]
fn environment(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().map(Zeroizing::new)
}
