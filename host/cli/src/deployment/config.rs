//! The shape of `assent.toml` and `organization.toml`.

mod audit;
mod export;
mod releases;
mod roles;
mod state;
mod witness;
mod workflow;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use assent_engine::Right;
use assent_model::{ObligationCode, OrganizationId};
use assent_plugin::Limits;
use assent_policy::LoadProblem;
use serde::Deserialize;

use super::files;
use super::places::Places;

pub use audit::{AuditConfig, CopyConfig, RetentionConfig};
pub use export::{EXPORTERS_MAX, ExportConfig};
pub(crate) use export::{check_exports, part};
pub use releases::ReleasesConfig;
pub(crate) use roles::missing_roles;
pub use state::StateConfig;
pub use witness::WitnessConfig;
pub use workflow::{ApprovalConfig, BreakGlassConfig, DisclosureConfig, OrganizationStateConfig};
pub(crate) use workflow::{check as check_workflows, doubled_rows, rules};

/// `assent.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentConfig {
    /// The organizations' folders, relative to this file.
    pub organizations: Vec<PathBuf>,
    /// How the decision API listens.
    #[serde(default)]
    pub server: ServerConfig,
    /// How plugins run.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// Where decisions are recorded. Without it in memory, which is for trying things out.
    pub audit: Option<AuditConfig>,
    /// Where entities, consents, approvals and what else changes without a release are kept. Without it the entities
    /// of the files are all there are.
    pub state: Option<StateConfig>,
    /// Who may ask.
    #[serde(default, rename = "caller")]
    pub callers: Vec<CallerConfig>,
}

/// `[server]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The address to listen on. Loopback unless `allow_remote` says otherwise.
    pub listen: SocketAddr,
    /// The URL callers use, `https://…`, for the metadata document.
    pub public_url: Option<String>,
    /// Whether to listen on an address that is not loopback. Encryption and authentication of the
    /// network are then somebody else's.
    pub allow_remote: bool,
    /// Limits on requests.
    pub limits: assent_server::Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8180)),
            public_url: None,
            allow_remote: false,
            limits: assent_server::Limits::default(),
        }
    }
}

/// `[plugins]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Plugin calls that can run at once, in all organizations.
    pub slots: u32,
    /// Plugin calls that can run at once in one organization.
    pub slots_per_organization: u32,
    /// Where compiled plugins are kept, relative to this file; a folder that only Assent writes.
    pub cache: PathBuf,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self { slots: 64, slots_per_organization: 32, cache: PathBuf::from(".assent/plugin-cache") }
    }
}

/// `[[caller]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// Its id, in records and cases.
    pub id: String,
    /// The ids of the organizations it may ask about.
    pub organizations: Vec<OrganizationId>,
    /// The environment it runs in: `production`, `test` or `development`.
    pub environment: Environment,
    /// What it may do.
    pub rights: Vec<Right>,
    /// The obligations it can honour, by code; `["*"]`: every one.
    pub obligations: Vec<String>,
    /// Used for requests without credentials from this machine.
    #[serde(default)]
    pub loopback: bool,
    /// SHA-256 of its bearer key, 64 hexadecimal digits.
    pub key_sha256: Option<assent_model::Digest>,
}

/// Where a caller runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Real patients.
    Production,
    /// Synthetic or de-identified data only.
    Test,
    /// Likewise.
    Development,
}

impl Environment {
    /// The word that policies compare.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Test => "test",
            Self::Development => "development",
        }
    }
}

/// `organization.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationConfig {
    /// The organization's id: in URLs and records.
    pub id: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// Schema files or folders (`*.cedarschema`), relative to this file.
    pub schema: Vec<PathBuf>,
    /// Policy files or folders (`*.cedar`).
    pub policies: Vec<PathBuf>,
    /// Entity files or folders (`*.json`).
    #[serde(default)]
    pub entities: Vec<PathBuf>,
    /// Decision cases (`*.toml`), run by `assent test`.
    #[serde(default)]
    pub cases: Vec<PathBuf>,
    /// AuthZEN subject types → Cedar entity types.
    pub subjects: BTreeMap<String, String>,
    /// AuthZEN resource types → Cedar entity types.
    pub resources: BTreeMap<String, String>,
    /// AuthZEN action names → Cedar actions, where they differ.
    #[serde(default)]
    pub actions: BTreeMap<String, String>,
    /// Plugins.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<PluginConfig>,
    /// What holds for its state.
    #[serde(default)]
    pub state: OrganizationStateConfig,
    /// Who approves what.
    #[serde(default, rename = "approval")]
    pub approvals: Vec<ApprovalConfig>,
    /// The terms of emergencies; without them nobody can declare one.
    pub break_glass: Option<BreakGlassConfig>,
    /// The terms of professionals' decisions; without them nobody can make one.
    pub disclosure_decisions: Option<DisclosureConfig>,
    /// How FHIR Consents are read.
    #[serde(default)]
    pub consents: assent_fhir::Settings,
    /// Who must agree on its releases.
    #[serde(default)]
    pub releases: ReleasesConfig,
}

/// `[[plugin]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// The binding's id, unique in the organization.
    pub id: String,
    /// The component, relative to this file.
    pub component: PathBuf,
    /// The facts it may read.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Which requests it judges; left out: all.
    #[serde(default)]
    pub scope: ScopeConfig,
    /// Its settings.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Its limits.
    #[serde(default)]
    pub limits: Limits,
}

/// `[plugin.scope]`. A list left out does not limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeConfig {
    /// Actions, as policies name them.
    pub actions: Vec<String>,
    /// Entity types of the resource.
    pub resources: Vec<String>,
    /// Labels of the resource.
    pub labels: Vec<String>,
}

/// The most plugin calls at once. Each reserves some 16 GiB of address space, of which a process has
/// 128 TiB.
const SLOTS_MAX: u32 = 1_024;

/// What is wrong with `assent.toml` on its own.
pub(crate) fn check_deployment(config: &DeploymentConfig, places: &Places) -> Vec<LoadProblem> {
    let mut problems = vec![];
    let mut problem = |pointer: &str, message: String| problems.push(places.problem(pointer, message));
    if config.organizations.is_empty() {
        problem("/organizations", "`organizations` is empty: name at least one organization's folder".into());
    }
    let server = &config.server;
    if !server.listen.ip().is_loopback() && !server.allow_remote {
        let message = format!(
            "`server.listen` is `{}`, which is not this machine alone: listen on 127.0.0.1, or set \
             `server.allow_remote = true` if something in front encrypts and authenticates",
            server.listen
        );
        problem("/server/listen", message);
    }
    if let Some(Err(error)) = server.public_url.as_deref().map(assent_server::check_public_url) {
        problem("/server/public_url", error.to_string());
    }
    if let Err(error) = server.limits.check() {
        problem(&format!("/server/limits/{}", error.name()), error.to_string());
    }
    let plugins = &config.plugins;
    if !(1..=SLOTS_MAX).contains(&plugins.slots) {
        problem("/plugins/slots", format!("`plugins.slots` is {}: expected 1 to {SLOTS_MAX}", plugins.slots));
    }
    if !(1..=plugins.slots.max(1)).contains(&plugins.slots_per_organization) {
        let message = format!(
            "`plugins.slots_per_organization` is {}: expected 1 to `plugins.slots`, which is {}",
            plugins.slots_per_organization, plugins.slots
        );
        problem("/plugins/slots_per_organization", message);
    }
    problems.extend(config.audit.iter().flat_map(|audit| audit.problems(places)));
    problems.extend(config.audit.iter().flat_map(|audit| witness::check(audit, places)));
    problems.extend(config.audit.iter().flat_map(|config| audit::check(config, places)));
    problems.extend(state::check(config, places));
    problems
}

/// What is wrong with the callers, given the organizations there are.
pub(crate) fn check_callers(
    config: &DeploymentConfig,
    organizations: &BTreeSet<&str>,
    places: &Places,
) -> Vec<LoadProblem> {
    let mut problems = vec![];
    for (index, caller) in config.callers.iter().enumerate() {
        let id = &caller.id;
        let earlier = || config.callers.iter().take(index);
        let mut problem = |part: String, message: String, help: Option<String>| {
            let problem = places.problem(&format!("/caller/{index}{part}"), message);
            problems.push(LoadProblem { help, ..problem });
        };
        if earlier().any(|other| other.id == *id) {
            problem("/id".into(), format!("the caller id `{id}` is taken twice"), None);
        }
        if caller.loopback && earlier().any(|other| other.loopback) {
            let message = format!("caller `{id}`: only one caller can have `loopback = true`");
            problem("/loopback".into(), message, None);
        }
        match &caller.key_sha256 {
            None if !caller.loopback => {
                let message =
                    format!("caller `{id}` has no credential: give it `key_sha256` or `loopback = true`");
                problem(String::new(), message, None);
            }
            None => {}
            Some(key) => {
                if let Some(other) = earlier().find(|other| other.key_sha256 == Some(*key)) {
                    let message = format!("caller `{id}` has the same key as caller `{}`", other.id);
                    problem("/key_sha256".into(), message, None);
                }
                if *key.as_bytes() == assent_server::key_digest("") {
                    let message = format!("caller `{id}`: this is the digest of an empty key");
                    problem("/key_sha256".into(), message, None);
                }
            }
        }
        if caller.rights.is_empty() {
            let message =
                format!("caller `{id}` has no `rights`: expected `decide`, and `explain` where it may");
            problem("/rights".into(), message, None);
        }
        for (at, organization) in caller.organizations.iter().enumerate() {
            if !organizations.contains(organization.as_str()) {
                let nearest = files::nearest(organization.as_str(), organizations.iter().copied());
                problem(
                    format!("/organizations/{at}"),
                    format!("caller `{id}` names the organization `{organization}`, which is not here"),
                    nearest.map(|name| format!("did you mean `{name}`?")),
                );
            }
        }
        for (at, code) in caller.obligations.iter().enumerate().filter(|(_, code)| *code != "*") {
            if let Some(name) = misspelt_obligation(code) {
                problem(
                    format!("/obligations/{at}"),
                    format!("caller `{id}` names the obligation `{code}`, which is not a known one"),
                    Some(format!(
                        "did you mean `{name}`? an organization's own code is written with a colon, as `own:{code}`"
                    )),
                );
            }
        }
    }
    problems
}

/// The known obligation that this code is a slip of. An organization's own codes have a colon.
pub(crate) fn misspelt_obligation(code: &str) -> Option<&'static str> {
    let known = ObligationCode::KNOWN.iter().map(ObligationCode::as_str);
    match ObligationCode::from_code(code) {
        ObligationCode::Custom(own) if !own.contains(':') => files::nearest(&own, known),
        _ => None,
    }
}
