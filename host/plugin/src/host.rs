//! The host of all plugins of a process: engine, compiled-code cache, slots.
//!
//! There is one for a process. Components come in through [`PluginHost::admit`] and nowhere else.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use assent_model::{Digest, OrganizationId};
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::admit;
use crate::cache::Cache;
use crate::engine;
use crate::error::{AdmissionProblem, HostError};
use crate::guest::Guest;
use crate::limits::Limits;
use crate::plugin::PluginPre;
use crate::slots::OrganizationSlots;

/// Calls in flight in the whole process. A call takes some microseconds of a core, so this many
/// suffice for every machine; each reserves 16 GiB of address space, together 1 TiB of the 128 TiB
/// that a process has.
pub const SLOTS_DEFAULT: u32 = 64;

/// How to set up the host.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Calls in flight, of all organizations together.
    pub slots: u32,
    /// Where compiled plugins are kept; `None`: compiled anew at each start.
    pub cache: Option<PathBuf>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { slots: SLOTS_DEFAULT, cache: None }
    }
}

/// A plugin as an organization binds it.
#[derive(Clone)]
pub struct BindingSpec {
    /// The binding's id within the organization.
    pub id: String,
    /// What `configure` gets.
    pub settings: serde_json::Value,
    /// The needs that the organization grants, each by its name.
    pub grants: BTreeSet<String>,
    /// What a call may use up.
    pub limits: Limits,
}

/// Settings can contain secrets of the organization: they are not printed.
impl fmt::Debug for BindingSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingSpec")
            .field("id", &self.id)
            .field("grants", &self.grants)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Engine, cache and clock. Plugins that it admitted keep the engine, and its clock, alive.
pub struct PluginHost {
    pub(crate) engine: Engine,
    pub(crate) engine_key: Digest,
    pub(crate) linker: Linker<Guest>,
    pub(crate) cache: Option<Cache>,
}

impl PluginHost {
    /// A host of its own engine.
    ///
    /// # Errors
    /// Where the machine cannot run it (address space, threads), or the cache's directory is not safe.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let engine = engine::engine(config.slots.max(1))?;
        let cache = config.cache.as_deref().map(Cache::open).transpose()?;
        // Nothing is ever put into the linker: plugins import nothing.
        Ok(Self { engine_key: engine::key(&engine), linker: Linker::new(&engine), engine, cache })
    }

    /// Checks a component for this binding and prepares it: size, contract, needs and grants,
    /// settings. Takes as long as compiling does, unless the cache has it.
    ///
    /// # Errors
    /// Everything that is wrong, as far as it can be seen at once.
    pub fn admit(&self, spec: &BindingSpec, component: &[u8]) -> Result<PluginPre, Vec<AdmissionProblem>> {
        admit::admit(self, spec, component)
    }

    /// The slots of one organization: at most this many of its calls run at once.
    pub fn slots(&self, organization: &OrganizationId, per_organization: u32) -> OrganizationSlots {
        OrganizationSlots::new(organization.clone(), per_organization)
    }
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost").field("engine_key", &self.engine_key).finish_non_exhaustive()
    }
}
