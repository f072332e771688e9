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
    for (what, key) in [("audit.sealing_key", &audit.sealing_key), ("audit.signing_key", &audit.signing_key)]
    {
        let Some(path) = missing(&deployment.root, key)? else { continue };
        refuse_beside_logs(&deployment.root, audit, what, &path)?;
        let (path, root) = (path.display(), deployment.root.display());
        bail!("{what}: {path} does not exist; `assent audit init {root}` makes the keys");
    }
    let kek = MasterKey::load(&source(&deployment.root, &audit.sealing_key), environment);
    let kek = kek.context("audit.sealing_key")?;
    let signing_seed = seed(&deployment.root, audit).context("audit.signing_key")?;
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
/// When the deployment has no audit log, a key of logs that exist is missing, or one cannot be written.
pub fn init(deployment: &Deployment, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(audit) = &deployment.config.audit else {
        bail!(
            "{} has no table `[audit]`: add one with `name`, the name of this deployment",
            deployment.root.join(crate::deployment::DEPLOYMENT_FILE).display()
        );
    };
    let keys = [("sealing key", &audit.sealing_key), ("signing key", &audit.signing_key)];
    for (what, key) in keys {
        if let Some(path) = missing(&deployment.root, key)? {
            refuse_beside_logs(&deployment.root, audit, what, &path)?;
        }
    }
    for (what, key) in keys {
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
    writeln!(out, "keep copies of both where the log is not: without the sealing key nobody can read it,")?;
    writeln!(out, "without the signing key it cannot go on; and who has that one can forge it")?;
    Ok(())
}

/// The file of a key, if there is to be one and there is none.
fn missing(root: &Path, key: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = file(root, key) else { return Ok(None) };
    let exists = path.try_exists().with_context(|| format!("{} cannot be looked at", path.display()))?;
    Ok((!exists).then_some(path))
}

/// Another key would neither open nor continue the logs that there are.
fn refuse_beside_logs(root: &Path, audit: &AuditConfig, what: &str, path: &Path) -> anyhow::Result<()> {
    let directory = root.join(&audit.directory);
    let has_logs = std::fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(
        !has_logs,
        "{what}: {} does not exist, but the logs in {} need it: restore it from a copy",
        path.display(),
        directory.display()
    );
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
    let text = secret(root, key)?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    if hex::decode_to_slice(text.trim(), seed.as_mut_slice()).is_err() {
        bail!("`{key}`: expected 64 hexadecimal digits");
    }
    Ok(seed)
}

/// What `assent.toml` keeps elsewhere: in a file that only its owner can read, or in a variable.
pub(crate) fn secret(root: &Path, reference: &str) -> anyhow::Result<Zeroizing<String>> {
    if let Some(path) = file(root, reference) {
        let shown = path.display();
        let metadata = std::fs::metadata(&path).with_context(|| format!("{shown} cannot be read"))?;
        if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
            bail!("{shown} can be read by others than its owner: `chmod 400 {shown}`");
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("{shown} cannot be read"))?;
        Ok(Zeroizing::new(text))
    } else if let Some(name) = reference.strip_prefix("env:") {
        environment(name).with_context(|| format!("the environment variable `{name}` is not set"))
    } else {
        bail!("`{reference}`: expected `file:PATH` or, for development, `env:NAME`");
    }
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
