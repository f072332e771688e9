//! Guests for tests and benchmarks: built from `tests/guests` and encoded as `cargo xtask plugins` does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use assent_model::{DecisionFacts, Entity, EntityId, Facts, Instant, OrganizationId, Record, Value};
use assent_plugin::{BindingSpec, HostConfig, Limits, OrganizationSlots, PluginHost, PluginPre};

/// The guest `tests/guests/NAME` as a component. Cargo builds it where it is not up to date.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let release = BUILT.get_or_init(build);
    let core = std::fs::read(release.join(format!("guest_{name}.wasm"))).unwrap();
    encode(&core)
}

/// A core module, with the contract in it, as a component.
pub(crate) fn encode(core: &[u8]) -> Vec<u8> {
    wit_component::ComponentEncoder::default().validate(true).module(core).unwrap().encode().unwrap()
}

/// The component within another that passes its rules on. Works the same, but has no snapshot.
pub(crate) fn composed(component: &[u8]) -> Vec<u8> {
    composed_with_memories(component, 0)
}

/// The same, with this many components beside it that have a memory each and do nothing.
pub(crate) fn composed_with_memories(component: &[u8], memories: u32) -> Vec<u8> {
    use wasm_encoder::{ComponentBuilder, ComponentExportKind};
    const RULES: &str = "assent:plugin/rules@0.1.0";
    let mut outer = ComponentBuilder::default();
    let no_arguments: [(String, ComponentExportKind, u32); 0] = [];
    let idle =
        wat::parse_str("(component (core module $m (memory 1)) (core instance (instantiate $m)))").unwrap();
    for _ in 0..memories {
        let inner = outer.component_raw(None, &idle);
        outer.instantiate(None, inner, no_arguments.clone());
    }
    let inner = outer.component_raw(None, component);
    let instance = outer.instantiate(None, inner, no_arguments);
    let rules = outer.alias_export(instance, RULES, ComponentExportKind::Instance);
    outer.export(RULES, ComponentExportKind::Instance, rules, None);
    outer.finish()
}

fn build() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(guests).args([
        "build",
        "--release",
        "--locked",
        "--target",
        "wasm32-unknown-unknown",
        "--target-dir",
    ]);
    cargo.arg(&target);
    // What the host is built with (coverage, a linter as compiler) is not for guests.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        cargo.env_remove(variable);
    }
    let built = cargo.status().expect("cargo runs");
    assert!(
        built.success(),
        "the guests of tests/guests do not build; `rustup target add wasm32-unknown-unknown`?"
    );
    target.join("wasm32-unknown-unknown/release")
}

/// A host with this many slots and no cache.
pub(crate) fn host(slots: u32) -> PluginHost {
    PluginHost::new(HostConfig { slots, cache: None }).unwrap()
}

/// All that the hostile guest asks for.
pub(crate) fn hostile_grants() -> BTreeSet<String> {
    [
        "patient.birthDate",
        "resource.labels",
        "resource.encounter.state",
        "context.network",
        "membership:Role::\"nurse\"",
        "membership:Role::\"privacy-officer\"",
        "relation:ProxyGrant",
        "approvals:export",
        "consents",
        "disclosure-decisions",
        "value-set:sud",
        "value-set:none",
    ]
    .map(str::to_owned)
    .into()
}

/// A binding of the hostile guest.
pub(crate) fn hostile(settings: &str, limits: Limits) -> BindingSpec {
    BindingSpec { id: "hostile".into(), settings: settings.into(), grants: hostile_grants(), limits }
}

/// The hostile guest, admitted with these limits.
pub(crate) fn admitted(host: &PluginHost, limits: Limits) -> PluginPre {
    host.admit(&hostile("", limits), &guest("hostile")).unwrap()
}

/// Four slots of an organization of this name.
pub(crate) fn slots(host: &PluginHost, organization: &str) -> OrganizationSlots {
    host.slots(&OrganizationId::new(organization).unwrap(), 4)
}

/// An entity.
pub(crate) fn entity(kind: &str, id: &str, attributes: &[(&str, Value)]) -> Entity {
    Entity {
        id: EntityId::new(kind, id),
        attributes: attributes.iter().map(|(name, value)| (*name, value.clone())).collect(),
        ancestors: Arc::default(),
        provided: None,
    }
}

/// A decision about this action, with hardly any facts.
pub(crate) fn facts(action: &str) -> DecisionFacts {
    DecisionFacts {
        facts: Arc::new(Facts::new([], BTreeMap::new())),
        subject: Arc::new(entity("Practitioner", "doc", &[])),
        action: action.to_owned(),
        resource: Arc::new(entity("Observation", "obs", &[])),
        patient: Some(Arc::new(entity("Patient", "pat", &[]))),
        context: Record::default(),
        purpose: Some("TREAT".into()),
        now: Instant::from_millis(1_000).unwrap(),
        today: None,
    }
}
