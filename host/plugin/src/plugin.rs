//! A plugin that is ready to be called: compiled, configured, its needs known and granted.
//!
//! INVARIANT (a failed plugin never permits): [`PluginPre::call`] returns findings only if the
//! guest finished within its limits and every part of its answer was acceptable; whatever else
//! happens is a [`PluginFailure`].

use std::fmt;
use std::time::Instant;

use assent_model::{
    BindingOutcome, DecisionFacts, Digest, EntityId, FailureKind, Findings, Paths, PluginFailure,
};
use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::approvals::Approvals;
use crate::classify::{Phase, classify, contained};
use crate::guest::{self, Guest};
use crate::limits::Limits;
use crate::needs::Needs;
use crate::slots::OrganizationSlots;
use crate::v0_1::{self, Asked};

/// The longest reason that a plugin can give for not deciding.
const GAVE_UP_MAX_BYTES: usize = 1_000;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Kebab-case, such as `export-approval`.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// One line that says what the rule does.
    pub summary: String,
    /// A JSON Schema of the settings.
    pub settings_schema: serde_json::Value,
    /// What it needs to know.
    pub needs: Needs,
}

/// When the settings reach the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Configured {
    /// When the release was built: its memory begins as `configure` left it.
    Baked,
    /// Before each evaluation, in the same fresh instance, because its state cannot be snapshotted.
    EachCall {
        /// Why not.
        because: String,
    },
}

/// The functions of the contract in one compiled component.
pub(crate) struct Functions {
    pub(crate) describe: ComponentExportIndex,
    pub(crate) configure: ComponentExportIndex,
    pub(crate) evaluate: ComponentExportIndex,
}

/// What a plugin said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What it found, or how it failed.
    pub outcome: BindingOutcome,
    /// The approvals without which it did not agree. Empty where it agreed without, or did not agree.
    pub uses: Vec<EntityId>,
}

/// A plugin bound to an organization's settings, grants and limits; shared by all its calls.
pub struct PluginPre {
    pub(crate) binding: String,
    pub(crate) label: String,
    pub(crate) description: Description,
    /// The attributes among the needs.
    pub(crate) paths: Paths,
    pub(crate) configured: Configured,
    pub(crate) component: Digest,
    pub(crate) settings: Digest,
    pub(crate) settings_text: String,
    pub(crate) limits: Limits,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) functions: Functions,
}

impl PluginPre {
    /// Judges one question, each time that the rule is asked in a fresh instance; see [`Answered::uses`]. Blocks for as
    /// long as that takes, at most the binding's deadline: its limits are for all times together. Never panics.
    pub fn call(&self, facts: &DecisionFacts, slots: &OrganizationSlots) -> Answered {
        let mut fuel_used = 0;
        let answered = match slots.try_acquire() {
            None => Err(PluginFailure::new(FailureKind::Busy, "all slots of the organization were in use")),
            Some(_slot) => contained(|| self.judge(facts, slots, &mut fuel_used))
                .unwrap_or_else(|panic| Err(PluginFailure::new(FailureKind::Host, panic))),
        };
        let (result, uses) = match answered {
            Ok((findings, uses)) => (Ok(findings), uses),
            Err(failure) => (Err(failure), Vec::new()),
        };
        let outcome = BindingOutcome {
            binding: self.binding.clone(),
            plugin: self.label.clone(),
            component: self.component,
            settings: self.settings,
            result,
            fuel_used,
        };
        Answered { outcome, uses }
    }

    /// What the plugin says of itself.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// What it needs to know; all of it granted.
    pub const fn needs(&self) -> &Needs {
        &self.description.needs
    }

    /// The binding's id.
    pub fn binding(&self) -> &str {
        &self.binding
    }

    /// Name and version, such as `export-approval 0.1.0`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The digest of the component as it was handed in.
    pub const fn component_digest(&self) -> Digest {
        self.component
    }

    /// The digest of the settings in canonical form.
    pub const fn settings_digest(&self) -> Digest {
        self.settings
    }

    /// The limits of its calls.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// When the settings reach it.
    pub const fn configured(&self) -> &Configured {
        &self.configured
    }

    fn judge(
        &self,
        facts: &DecisionFacts,
        slots: &OrganizationSlots,
        fuel_used: &mut u64,
    ) -> Result<(Findings, Vec<EntityId>), PluginFailure> {
        let begun = Instant::now();
        let approvals = Approvals::of(self.needs(), facts);
        let (findings, used) = approvals.ask(|approvals| {
            let limits = self.limits.after(*fuel_used, begun.elapsed())?;
            self.evaluate(Asked { organization: slots.organization(), facts, approvals }, &limits, fuel_used)
        })?;
        Ok((findings, used.iter().map(|approval| approval.id.clone()).collect()))
    }

    fn evaluate(
        &self,
        asked: Asked<'_>,
        limits: &Limits,
        fuel_used: &mut u64,
    ) -> Result<Findings, PluginFailure> {
        let request = v0_1::resolve(self.needs(), &self.paths, asked);
        let mut store = guest::armed(self.pre.engine(), limits)?;
        let returned = self.run(&mut store, &request);
        *fuel_used = fuel_used.saturating_add(guest::fuel_used(&store, limits));
        drop(store);
        v0_1::accept_findings(returned?, limits)
    }

    fn run(
        &self,
        store: &mut wasmtime::Store<Guest>,
        request: &v0_1::Request<'_>,
    ) -> Result<v0_1::Findings, PluginFailure> {
        let called = |error: wasmtime::Error| classify(&error, Phase::Call);
        let instance =
            self.pre.instantiate(&mut *store).map_err(|error| classify(&error, Phase::Instantiate))?;
        if let Configured::EachCall { .. } = self.configured {
            let configure = instance
                .get_typed_func::<(&str,), (Result<(), Vec<v0_1::Problem>>,)>(
                    &mut *store,
                    self.functions.configure,
                )
                .map_err(called)?;
            let (accepted,) = configure.call(&mut *store, (&self.settings_text,)).map_err(called)?;
            accepted.map_err(|problems| {
                let message = format!("`configure` reported {} problems", problems.len());
                PluginFailure::new(FailureKind::Settings, message)
            })?;
        }
        let evaluate = instance
            .get_typed_func::<(&v0_1::Request<'_>,), (Result<v0_1::Findings, String>,)>(
                &mut *store,
                self.functions.evaluate,
            )
            .map_err(called)?;
        let (returned,) = evaluate.call(&mut *store, (request,)).map_err(called)?;
        returned.map_err(|reason| {
            PluginFailure::new(FailureKind::GaveUp, v0_1::printable(&reason, GAVE_UP_MAX_BYTES))
        })
    }
}

/// Settings can contain secrets of the organization: they are named by digest.
impl fmt::Debug for PluginPre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginPre")
            .field("binding", &self.binding)
            .field("plugin", &self.label)
            .field("component", &self.component)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
