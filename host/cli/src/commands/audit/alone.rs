//! The logs of a deployment of which nothing else may be left: `[audit]` of `assent.toml`, the keys, the logs.
//!
//! So years later, or on an auditor's machine, nobody needs policies, plugins or organizations' folders. Which
//! organizations there are is told by the logs' directory.

use std::path::Path;

use anyhow::Context;
use assent_audit::logs::LogsConfig;
use assent_model::OrganizationId;
use serde::Deserialize;

use super::{Opened, Which, opened};
use crate::audit_keys;
use crate::commands::listed;
use crate::deployment::config::{AuditConfig, DeploymentConfig, PluginsConfig, ServerConfig};
use crate::deployment::places::Places;
use crate::deployment::{DEPLOYMENT_FILE, Deployment, files};

/// What is read of `assent.toml`; the rest may be about what is no longer there.
#[derive(Deserialize)]
struct Alone {
    audit: Option<AuditConfig>,
    #[serde(default)]
    plugins: PluginsConfig,
}

/// Opens the logs that `which` names, and says how plugins run there.
///
/// # Errors
/// When there is no `[audit]`, no key, or no such log.
pub(super) fn open(root: &Path, which: &Which<'_>) -> anyhow::Result<(Opened, PluginsConfig)> {
    let (Alone { audit, plugins }, places): (Alone, Places) =
        files::read_toml(&root.join(DEPLOYMENT_FILE))
            .map_err(|problem| anyhow::anyhow!(listed(&assent_policy::LoadErrors(vec![problem]), "")))?;
    let config = DeploymentConfig {
        organizations: vec![],
        server: ServerConfig::default(),
        plugins: PluginsConfig::default(),
        audit,
        state: None,
        callers: vec![],
    };
    let settings = serde_json::Value::Null;
    let deployment = Deployment { root: root.to_owned(), config, places, settings, organizations: vec![] };
    let config = super::kept(&deployment, audit_keys::load(&deployment)?)?;
    let known = organizations(&config)?;
    Ok((opened(config, &known.iter().collect::<Vec<_>>(), which)?, plugins))
}

/// The organizations that have logs.
fn organizations(config: &LogsConfig) -> anyhow::Result<Vec<OrganizationId>> {
    let mut found = config.organizations().context("the logs cannot be listed")?;
    let mut with_years = vec![];
    for id in found.drain(..) {
        let years = config.years(&id).with_context(|| format!("the logs of `{id}` cannot be listed"))?;
        with_years.extend((!years.is_empty()).then_some(id));
    }
    Ok(with_years)
}
