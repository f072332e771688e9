//! The copies of the audit log that `assent.toml` describes, with their credentials.

use std::path::Path;

use anyhow::{Context, ensure};
use assent_audit::logs::LogsConfig;
use assent_model::OrganizationId;
use assent_outbound::copies::{Copies, Settings, Source, Target};

use crate::deployment::Deployment;
use crate::secrets;

/// The copies; `None` where there are none to be.
///
/// # Errors
/// As [`target`].
pub fn load(deployment: &Deployment, config: &LogsConfig) -> anyhow::Result<Option<Copies>> {
    let organizations: Vec<OrganizationId> =
        deployment.organizations.iter().map(|organization| organization.config.id.clone()).collect();
    let source = Source { config: config.clone(), organizations };
    Ok(target(deployment)?.map(|target| Copies::new(source, target)))
}

/// Where copies go; `None` where there are none to be. No connection is opened.
///
/// # Errors
/// When the place is none, is among the logs themselves, or a credential is missing.
pub fn target(deployment: &Deployment) -> anyhow::Result<Option<Target>> {
    let Some(audit) = &deployment.config.audit else { return Ok(None) };
    let Some(copy) = &audit.copy else { return Ok(None) };
    let secret = |name: &str, reference: &Option<String>| {
        let secret = reference.as_ref().map(|reference| secrets::named(&deployment.root, reference));
        secret.transpose().with_context(|| format!("audit.copy.{name}"))
    };
    let settings = Settings {
        to: copy.to.clone(),
        endpoint: copy.endpoint.clone(),
        region: copy.region.clone(),
        access_key_id: secret("access_key_id", &copy.access_key_id)?,
        secret_access_key: secret("secret_access_key", &copy.secret_access_key)?,
        authorities: copy.authorities.as_ref().map(|path| deployment.root.join(path)),
    };
    if let Some(folder) = settings.folder().context("audit.copy.to")? {
        refuse_among_logs(&folder, &deployment.root.join(&audit.directory))?;
    }
    Ok(Some(Target::new(&settings).context("audit.copy")?))
}

/// A copy there would be lost with what it is a copy of, and be taken for it.
fn refuse_among_logs(folder: &Path, logs: &Path) -> anyhow::Result<()> {
    // What does not exist yet is nowhere inside the other.
    let (Ok(folder), Ok(logs)) = (folder.canonicalize(), logs.canonicalize()) else { return Ok(()) };
    ensure!(
        !folder.starts_with(&logs) && !logs.starts_with(&folder),
        "audit.copy.to: {} and the logs in {} must not contain one another",
        folder.display(),
        logs.display()
    );
    Ok(())
}
