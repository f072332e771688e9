//! The keys of the audit log: made once, loaded from where `assent.toml` says, shown to auditors.
//!
//! INVARIANT (no log without its keys): a service does not begin to serve with keys that it made up
//! on the way; `assent audit init` makes them, and a missing one stops the start with that advice. Who holds keys
//! leaves no core dump and lets no other process of its user look into its memory.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use assent_audit::keys::{
    Identity, KeyEncryption, KeyError, KeySource, Keys, MasterKey, Recovery, TokenError, TokenKey, look,
};
use assent_audit::logs::LogsConfig;
use assent_audit::shelf::Shelf;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use zeroize::Zeroizing;

use crate::deployment::Deployment;
use crate::deployment::config::AuditConfig;
use crate::secrets;

const SEED_BYTES: usize = 32;

/// The logs that a deployment describes, with their keys.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Loaded {
    /// The logs, which open with all keys that the deployment names.
    pub logs: LogsConfig,
    /// The former sealing keys: as they are named, and the id of each.
    pub former: Vec<(String, String)>,
}

/// The logs that a deployment describes, with their keys; `None` where it describes none.
///
/// # Errors
/// When a key is missing, exposed or malformed.
pub fn load(deployment: &Deployment) -> anyhow::Result<Option<LogsConfig>> {
    Ok(load_all(deployment, None)?.map(|loaded| loaded.logs))
}

/// The same with what else is known of the keys, and able to recover with the identities in a file.
///
/// # Errors
/// When a key or identity is missing, exposed or malformed.
pub fn load_all(deployment: &Deployment, identity: Option<&Path>) -> anyhow::Result<Option<Loaded>> {
    let Some(audit) = &deployment.config.audit else { return Ok(None) };
    let root = &deployment.root;
    for (what, key) in [("audit.sealing_key", &audit.sealing_key), ("audit.signing_key", &audit.signing_key)]
    {
        let Some(path) = missing(root, key)? else { continue };
        if what == "audit.signing_key" || audit.former_sealing_keys.is_empty() {
            refuse_beside_logs(root, audit, what, &path)?;
        }
        let (path, root) = (path.display(), root.display());
        bail!("{what}: {path} does not exist; `assent audit init {root}` makes the keys");
    }
    keep_out_of_dumps()?;
    let sealing = source(root, &audit.sealing_key).context("audit.sealing_key")?;
    let present = match sealing.load(secrets::environment) {
        Err(KeyError::Token(error)) if matches!(*error, TokenError::NoKey { .. }) => {
            let advice =
                format!("audit.sealing_key (`assent audit init {}` tells how to make it)", root.display());
            return Err(anyhow::Error::from(KeyError::Token(error)).context(advice));
        }
        present => present.context("audit.sealing_key")?,
    };
    let mut former = vec![];
    for text in &audit.former_sealing_keys {
        let named = || format!("audit.former_sealing_keys: `{text}`");
        let key = source(root, text).and_then(|source| source.load(secrets::environment));
        let key = key.with_context(|| {
            format!(
                "{} (if `assent audit rewrap --check` said that nothing needs it, remove it from the list)",
                named()
            )
        })?;
        ensure!(key.id() != present.id(), "{} is the sealing key itself: remove it from the list", named());
        former.push((text.clone(), key));
    }
    let ids = former.iter().map(|(text, key)| (text.clone(), key.id().to_owned())).collect();
    let recovery = recovery(audit, identity)?;
    let kek = Arc::new(Keys::new(present, former.into_iter().map(|(_, key)| key).collect(), recovery));
    Ok(Some(Loaded { logs: logs(root, audit, kek)?, former: ids }))
}

fn logs(root: &Path, audit: &AuditConfig, kek: Arc<dyn KeyEncryption>) -> anyhow::Result<LogsConfig> {
    Ok(LogsConfig {
        directory: root.join(&audit.directory),
        name: audit.name.clone(),
        signing_seed: seed(root, audit).context("audit.signing_key")?,
        kek,
    })
}

fn recovery(audit: &AuditConfig, identity: Option<&Path>) -> anyhow::Result<Recovery> {
    let identities = match identity {
        None => vec![],
        Some(path) => {
            let text = secrets::in_file(path).context("`--recovery-identity`")?;
            Identity::parse_file(&text)
                .with_context(|| format!("`--recovery-identity` {}", path.display()))?
        }
    };
    Recovery::new(&audit.recovery_recipients, identities).context("audit.recovery_recipients")
}

/// What `assent audit init` is told besides the deployment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Init<'a> {
    /// Make a sealing key that is to be in a token there, instead of telling how.
    pub make_token_key: bool,
    /// The sealing key is lost for good, and this file opens what it sealed: another one may be made.
    pub recovery_identity: Option<&'a Path>,
}

/// Makes the keys that are missing; existing ones are left as they are. Says what it did.
///
/// # Errors
/// When the deployment has no audit log, a key of logs that exist is missing, or one cannot be written.
pub fn init(deployment: &Deployment, init: Init<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let root = &deployment.root;
    let Some(audit) = &deployment.config.audit else {
        bail!(
            "{} has no table `[audit]`: add one with `name`, the name of this deployment",
            root.join(crate::deployment::DEPLOYMENT_FILE).display()
        );
    };
    if let Some(path) = missing(root, &audit.signing_key)? {
        refuse_beside_logs(root, audit, "signing key", &path)?;
    }
    if let Some(path) = missing(root, &audit.sealing_key)? {
        refuse_unless_replaced(root, audit, init, &path)?;
    }
    if let KeySource::Token(_) = source(root, &audit.sealing_key)? {
        token_key(root, audit, init, out)?;
    } else {
        file_key(root, "sealing key", &audit.sealing_key, out)?;
    }
    file_key(root, "signing key", &audit.signing_key, out)?;
    writeln!(out, "keep copies of both where the log is not: without the sealing key nobody can read it,")?;
    writeln!(out, "without the signing key it cannot go on; and who has that one can forge it")?;
    if audit.recovery_recipients.is_empty() {
        writeln!(
            out,
            "if the sealing key is lost, so is the log; unless `recovery_recipients` names somebody with a key that"
        )?;
        writeln!(out, "`age-keygen` makes and that is kept offline")?;
    }
    Ok(())
}

fn file_key(root: &Path, what: &str, key: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(path) = file(root, key) else {
        writeln!(out, "{what}: `{key}` is not a file; make it where it is kept")?;
        return Ok(());
    };
    if path.exists() {
        writeln!(out, "{what}: {} is there already and was left as it is", path.display())?;
        return Ok(());
    }
    make(&path).with_context(|| format!("{what}: {} cannot be written", path.display()))?;
    writeln!(out, "{what}: made {}", path.display())?;
    Ok(())
}

/// Keys in a hardware module are made by those who administer it; they are told how.
fn token_key(root: &Path, audit: &AuditConfig, init: Init<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let KeySource::Token(uri) = source(root, &audit.sealing_key)? else { return Ok(()) };
    match TokenKey::open(uri.clone()) {
        Ok(key) => writeln!(out, "sealing key: {} is in its token already and was left as it is", key.id())?,
        Err(TokenError::NoKey { .. }) if init.make_token_key => {
            TokenKey::make(&uri).context("sealing key")?;
            let key = TokenKey::open(uri).context("sealing key")?;
            writeln!(out, "sealing key: made {} in its token, which never gives it out", key.id())?;
        }
        Err(error @ TokenError::NoKey { .. }) => {
            writeln!(out, "sealing key: {error}; whoever administers it makes one with")?;
            writeln!(out, "    {}", uri.command())?;
            writeln!(out, "or this command does, with `--make-token-key`")?;
        }
        Err(error) => return Err(error).context("sealing key"),
    }
    Ok(())
}

/// The file of a key, if there is to be one and there is none.
fn missing(root: &Path, key: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = file(root, key) else { return Ok(None) };
    let exists = path.try_exists().with_context(|| {
        format!("{} cannot be looked at: run this as the user whose keys and logs these are", path.display())
    })?;
    Ok((!exists).then_some(path))
}

/// Another key would neither open nor continue the logs that there are.
fn refuse_beside_logs(root: &Path, audit: &AuditConfig, what: &str, path: &Path) -> anyhow::Result<()> {
    let directory = root.join(&audit.directory);
    let recover = if audit.recovery_recipients.is_empty() || what.contains("signing") {
        String::new()
    } else {
        format!(
            "; if it is lost for good, `assent audit init {0} --recovery-identity FILE` makes another and \
             `assent audit rewrap {0} --recovery-identity FILE` opens them with it",
            root.display()
        )
    };
    ensure!(
        !has_logs(&directory)?,
        "{what}: {} does not exist, but the logs in {} need it: restore it from a copy{recover}",
        path.display(),
        directory.display()
    );
    Ok(())
}

/// Whether there is anything in the directory of logs. One that cannot be looked into is not taken for empty.
fn has_logs(directory: &Path) -> anyhow::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("the logs in {} cannot be listed", directory.display()))
        }
    }
}

/// A new sealing key beside logs is right where former ones or a recovery identity open them.
fn refuse_unless_replaced(
    root: &Path,
    audit: &AuditConfig,
    init: Init<'_>,
    path: &Path,
) -> anyhow::Result<()> {
    if init.recovery_identity.is_some() {
        recovery(audit, init.recovery_identity)?;
        return Ok(());
    }
    if audit.former_sealing_keys.is_empty() {
        return refuse_beside_logs(root, audit, "sealing key", path);
    }
    if !has_logs(&root.join(&audit.directory))? {
        return Ok(());
    }
    let mut former = BTreeSet::new();
    for text in &audit.former_sealing_keys {
        let key = source(root, text).and_then(|source| source.load(secrets::environment));
        former.insert(key.with_context(|| format!("audit.former_sealing_keys: `{text}`"))?.id().to_owned());
    }
    // Opens nothing, so that all that is needed counts as other.
    let nothing = MasterKey::from_bytes(&[0; 32]).context("the cryptographic library failed")?;
    let logs = logs(root, audit, Arc::new(nothing))?;
    for organization in logs.organizations().context("the logs cannot be listed")? {
        let shelf = Shelf::new(logs.clone(), organization);
        for year in shelf.years()? {
            let found = look(&shelf.directory(year), &shelf.verifier(year)?, logs.kek.as_ref(), &mut |_| {})?;
            for needed in found.other.keys() {
                ensure!(
                    former.contains(needed),
                    "sealing key: {} does not exist, and {} needs `{needed}`, which is none of \
                     `audit.former_sealing_keys`: name it there",
                    path.display(),
                    shelf.directory(year).display()
                );
            }
        }
    }
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
    let text = secrets::named(root, key)?;
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    if hex::decode_to_slice(text.as_str(), seed.as_mut_slice()).is_err() {
        bail!("`{key}`: expected 64 hexadecimal digits, as `assent audit init` writes them");
    }
    Ok(seed)
}

/// The path of a key in a file, relative to the deployment.
fn file(root: &Path, key: &str) -> Option<PathBuf> {
    key.strip_prefix("file:").map(|path| root.join(path))
}

/// The place of a key, with its path resolved.
fn source(root: &Path, key: &str) -> Result<KeySource, KeyError> {
    KeySource::parse(key).map(|source| source.beneath(root))
}

/// What this process holds from now on is written into no core dump, and no debugger of the same user reads it.
fn keep_out_of_dumps() -> anyhow::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).context("core dumps cannot be forbidden")?;
    let result = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    result.context("the process cannot be kept from being looked into")
}
