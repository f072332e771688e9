//! Whether a binding may be part of a release, and everything that makes its calls cheap.
//!
//! Read [`admit`] from top to bottom: what can be seen without running anything; then the cache;
//! then compile, `describe`, grants, `configure`, snapshot. INVARIANT (bad configuration is never
//! a surprise at request time): nothing here is left to the first request.

use std::thread;

use assent_model::{Digest, FailureKind, Paths, PluginFailure};
use serde::{Deserialize, Serialize};
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

use crate::cache;
use crate::classify::{Phase, classify, contained};
use crate::contract;
use crate::error::AdmissionProblem;
use crate::guest::{self, Guest};
use crate::host::{BindingSpec, PluginHost};
use crate::limits::Limits;
use crate::plugin::{Configured, Description, Functions, PluginPre};
use crate::settings::canonical;
use crate::snapshot::{self, NoSnapshot};
use crate::v0_1::{self, INTERFACE};

/// The largest component: StarlingMonkey, a whole JavaScript engine, has 12.5 MB.
const COMPONENT_MAX_BYTES: usize = 16 << 20;
/// The largest settings. A table of state law has some ten thousand.
const SETTINGS_MAX_BYTES: usize = 1 << 20;
/// Compiler and validator recurse over what they are given.
const COMPILER_STACK_BYTES: usize = 16 << 20;

type Problems = Vec<AdmissionProblem>;

/// The plugin, ready to be called, or everything against it.
pub(crate) fn admit(host: &PluginHost, spec: &BindingSpec, component: &[u8]) -> Result<PluginPre, Problems> {
    let work = || {
        contained(|| admit_here(host, spec, component)).unwrap_or_else(|panic| Err(vec![host_problem(panic)]))
    };
    thread::scope(|scope| {
        let worker =
            thread::Builder::new().name("plugin-admission".to_owned()).stack_size(COMPILER_STACK_BYTES);
        let running =
            worker.spawn_scoped(scope, work).map_err(|error| vec![host_problem(error.to_string())])?;
        running.join().unwrap_or_else(|_| Err(vec![host_problem("admission ended early".to_owned())]))
    })
}

fn admit_here(host: &PluginHost, spec: &BindingSpec, component: &[u8]) -> Result<PluginPre, Problems> {
    let settings_text = canonical(&spec.settings);
    let mut problems: Problems = spec.limits.problems().collect();
    if settings_text.len() > SETTINGS_MAX_BYTES {
        problems
            .push(AdmissionProblem::SettingsTooLarge { bytes: settings_text.len(), max: SETTINGS_MAX_BYTES });
    }
    if component.len() > COMPONENT_MAX_BYTES {
        problems.push(AdmissionProblem::TooLarge { bytes: component.len(), max: COMPONENT_MAX_BYTES });
    } else {
        problems.extend(contract::check(component));
    }
    if !problems.is_empty() {
        return Err(problems);
    }

    let (digest, settings) = (Digest::of(component), Digest::of(settings_text.as_bytes()));
    let name = entry_name(host, &digest, &settings, &spec.limits);
    let built = match cached(host, &name) {
        Some(built) => built,
        None => build(host, spec, component, &settings_text).inspect(|built| keep(host, &name, built))?,
    };
    // Grants are not part of what is cached: they can change with the component unchanged.
    let ungranted = built.about.description.needs.check_grants(&spec.grants);
    if !ungranted.is_empty() {
        return Err(ungranted);
    }
    let Built { about: About { description, configured }, component, lasting: _ } = built;
    let Prepared { pre, functions } = prepare(host, &component)?;
    Ok(PluginPre {
        binding: spec.id.clone(),
        label: format!("{} {}", description.name, description.version),
        paths: Paths::new(description.needs.attributes.iter().map(String::as_str)),
        description,
        configured,
        component: digest,
        settings,
        settings_text,
        limits: spec.limits.clone(),
        pre,
        functions,
    })
}

/// What the cache keeps beside the code.
#[derive(Serialize, Deserialize)]
struct About {
    description: Description,
    configured: Configured,
}

struct Built {
    about: About,
    component: Component,
    /// Whether building it again would end the same. What failed for a reason that passes (an
    /// overloaded machine, a full pool) is used, but not kept.
    lasting: bool,
}

struct Prepared {
    pre: InstancePre<Guest>,
    functions: Functions,
}

/// Compiles, describes and configures the component, and bakes the settings in where that can be.
fn build(host: &PluginHost, spec: &BindingSpec, bytes: &[u8], settings: &str) -> Result<Built, Problems> {
    // The instrumented component is the same with its state readable. What cannot be instrumented
    // runs as it is, and is configured with each call.
    let instrumented = snapshot::instrument(bytes).and_then(|instrumented| {
        let component = compile(host, &instrumented.wasm).map_err(NoSnapshot::passing)?;
        let too_large = |_| NoSnapshot::lasting("the instrumented component is too large");
        Ok((prepare(host, &component).map_err(too_large)?, instrumented))
    });
    let as_it_is = || {
        let component =
            compile(host, bytes).map_err(|message| vec![AdmissionProblem::Compile { message }])?;
        prepare(host, &component).map(|prepared| (component, prepared))
    };
    match instrumented {
        Ok((prepared, instrumented)) => {
            let (description, configured) = try_out(host, spec, &prepared, settings)?;
            match bake(host, &spec.limits, &instrumented, configured) {
                Ok(component) => {
                    let about = About { description, configured: Configured::Baked };
                    Ok(Built { about, component, lasting: true })
                }
                Err(reason) => Ok(each_call(description, as_it_is()?.0, reason)),
            }
        }
        Err(reason) => {
            let (component, prepared) = as_it_is()?;
            let (description, _) = try_out(host, spec, &prepared, settings)?;
            Ok(each_call(description, component, reason))
        }
    }
}

fn each_call(
    description: Description,
    component: Component,
    NoSnapshot { because, lasting }: NoSnapshot,
) -> Built {
    Built { about: About { description, configured: Configured::EachCall { because } }, component, lasting }
}

/// An instance that has been configured, with its store.
type ConfiguredInstance = (Store<Guest>, Instance);

/// Runs `describe` and `configure`, each in a fresh instance, and checks the grants, so that the
/// problems of all three are reported together.
fn try_out(
    host: &PluginHost,
    spec: &BindingSpec,
    prepared: &Prepared,
    settings: &str,
) -> Result<(Description, ConfiguredInstance), Problems> {
    let described = describe(host, &spec.limits, prepared);
    let configured = configure(host, &spec.limits, prepared, settings);
    let mut problems = Vec::new();
    match &described {
        Ok(description) => problems.extend(description.needs.check_grants(&spec.grants)),
        Err(malformed) => problems.extend(malformed.iter().cloned()),
    }
    problems.extend(configured.as_ref().err().into_iter().flatten().cloned());
    // The same trap in both is one problem with the component, but two are easier to read than a
    // guess which is the cause.
    match (described, configured) {
        (Ok(description), Ok(configured)) if problems.is_empty() => Ok((description, configured)),
        _ => Err(problems),
    }
}

fn describe(host: &PluginHost, limits: &Limits, prepared: &Prepared) -> Result<Description, Problems> {
    let returned = (|| {
        let (mut store, instance) = instantiate(host, limits, prepared)?;
        let describe = instance
            .get_typed_func::<(), (v0_1::Description,)>(&mut store, prepared.functions.describe)
            .map_err(called)?;
        let (returned,) = describe.call(&mut store, ()).map_err(called)?;
        Ok(returned)
    })();
    v0_1::accept_description(returned.map_err(|failure| failed("describe", failure))?)
}

fn configure(
    host: &PluginHost,
    limits: &Limits,
    prepared: &Prepared,
    settings: &str,
) -> Result<ConfiguredInstance, Problems> {
    let returned = (|| {
        let (mut store, instance) = instantiate(host, limits, prepared)?;
        let configure = instance
            .get_typed_func::<(&str,), (Result<(), Vec<v0_1::Problem>>,)>(
                &mut store,
                prepared.functions.configure,
            )
            .map_err(called)?;
        let (returned,) = configure.call(&mut store, (settings,)).map_err(called)?;
        Ok((returned, (store, instance)))
    })();
    let (accepted, configured) = returned.map_err(|failure| failed("configure", failure))?;
    accepted.map_err(v0_1::accept_problems)?;
    Ok(configured)
}

/// The component as it is after `configure`, compiled and known to start. Else why not.
fn bake(
    host: &PluginHost,
    limits: &Limits,
    instrumented: &snapshot::Instrumented<'_>,
    (mut store, instance): ConfiguredInstance,
) -> Result<Component, NoSnapshot> {
    guest::refuel(&mut store, limits)?;
    let baked = snapshot::bake(instrumented, store, instance)?;
    let component = compile(host, &baked).map_err(NoSnapshot::passing)?;
    let prepared = prepare(host, &component).map_err(|_| NoSnapshot::lasting("the snapshot is too large"))?;
    instantiate(host, limits, &prepared)?;
    Ok(component)
}

fn instantiate(
    host: &PluginHost,
    limits: &Limits,
    prepared: &Prepared,
) -> Result<ConfiguredInstance, PluginFailure> {
    let mut store = guest::armed(&host.engine, limits)?;
    let instance =
        prepared.pre.instantiate(&mut store).map_err(|error| classify(&error, Phase::Instantiate))?;
    Ok((store, instance))
}

fn compile(host: &PluginHost, bytes: &[u8]) -> Result<Component, String> {
    contained(|| Component::new(&host.engine, bytes))?
        .map_err(|error| v0_1::printable(&format!("{error:#}"), 1_000))
}

fn prepare(host: &PluginHost, component: &Component) -> Result<Prepared, Problems> {
    let unfit = |error: wasmtime::Error| vec![AdmissionProblem::Compile { message: format!("{error:#}") }];
    let pre = host.linker.instantiate_pre(component).map_err(unfit)?;
    let rules = component.get_export_index(None, INTERFACE);
    let function = |name: &str| {
        component
            .get_export_index(rules.as_ref(), name)
            .ok_or_else(|| vec![AdmissionProblem::World { message: format!("no function `{name}`") }])
    };
    let functions = Functions {
        describe: function("describe")?,
        configure: function("configure")?,
        evaluate: function("evaluate")?,
    };
    Ok(Prepared { pre, functions })
}

/// The name under which the cache knows a plugin: all that its code and state depend on.
fn entry_name(host: &PluginHost, component: &Digest, settings: &Digest, limits: &Limits) -> Digest {
    let limits = format!("{limits:?}");
    let parts: [&[u8]; 5] = [
        INTERFACE.as_bytes(),
        host.engine_key.as_bytes(),
        component.as_bytes(),
        settings.as_bytes(),
        limits.as_bytes(),
    ];
    Digest::of_parts(parts)
}

fn cached(host: &PluginHost, name: &Digest) -> Option<Built> {
    let entry = host.cache.as_ref()?.get(name)?;
    let about = serde_json::from_slice(entry.about()).ok()?;
    let component = cache::load(&host.engine, &entry).ok()?;
    Some(Built { about, component, lasting: true })
}

/// Keeps what was built, unless the next start could do better. A cache that cannot be written
/// costs time at the next start, no more.
fn keep(host: &PluginHost, name: &Digest, built: &Built) {
    if let Some(cache) = host.cache.as_ref().filter(|_| built.lasting)
        && let (Ok(about), Ok(code)) = (serde_json::to_vec(&built.about), built.component.serialize())
    {
        drop(cache.put(name, &about, &code));
    }
}

fn called(error: wasmtime::Error) -> PluginFailure {
    classify(&error, Phase::Call)
}

fn failed(function: &'static str, failure: PluginFailure) -> Problems {
    // Not the plugin's fault; the operator should see it as what it is.
    if failure.kind == FailureKind::Busy {
        return vec![host_problem(failure.message)];
    }
    vec![AdmissionProblem::Failed { function, failure }]
}

fn host_problem(message: String) -> AdmissionProblem {
    AdmissionProblem::Host { message }
}

#[cfg(test)]
mod tests;
