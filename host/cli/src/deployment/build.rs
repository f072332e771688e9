//! From a deployment directory to releases: everything is loaded and checked, and every problem of
//! every organization is reported at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use assent_engine::{Binding, Caller, Release, Scope, caller::Obligations};
use assent_model::{EntityKind, Facts, ObligationCode, Value};
use assent_plugin::{BindingSpec, HostConfig, PluginHost, PluginPre};
use assent_policy::{LoadErrors, LoadProblem, Names, Policies, SourceFile};

use super::config::{CallerConfig, PluginConfig, ScopeConfig};
use super::{Deployment, OrganizationFiles, files, whole_file};

/// An organization, ready to decide.
#[derive(Debug)]
pub struct BuiltOrganization {
    /// Policies, plugins and facts.
    pub release: Release,
    /// The entity files that the facts came from; cases lay their own over them.
    pub entity_files: Vec<SourceFile>,
    /// The decision cases.
    pub case_files: Vec<SourceFile>,
}

/// A deployment, ready to serve.
#[derive(Debug)]
pub struct Built {
    /// The organizations, in the order of `assent.toml`.
    pub organizations: Vec<BuiltOrganization>,
    /// Keeps plugins running: their engine, its clock ticks, and the cache.
    pub host: PluginHost,
}

/// Builds everything.
///
/// # Errors
/// Every problem of every organization.
pub fn build(deployment: &Deployment) -> Result<Built, LoadErrors> {
    let plugins = &deployment.config.plugins;
    let host = PluginHost::new(HostConfig {
        slots: plugins.slots,
        cache: Some(deployment.root.join(&plugins.cache)),
    })
    .map_err(|error| {
        LoadErrors(vec![whole_file(
            &files::shown(&deployment.root.join(super::DEPLOYMENT_FILE)),
            error.to_string(),
        )])
    })?;
    let mut organizations = vec![];
    let mut problems = vec![];
    for organization in &deployment.organizations {
        match build_organization(organization, &host, plugins.slots_per_organization) {
            Ok(built) => organizations.push(built),
            Err(LoadErrors(more)) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(Built { organizations, host }) } else { Err(LoadErrors(problems)) }
}

fn build_organization(
    organization: &OrganizationFiles,
    host: &PluginHost,
    slots: u32,
) -> Result<BuiltOrganization, LoadErrors> {
    let mut problems = vec![];
    let mut sources = |paths: &[_], ending: &str| {
        files::sources(&organization.root, paths, ending).unwrap_or_else(|more| {
            problems.extend(more);
            vec![]
        })
    };
    let config = &organization.config;
    let schema = sources(&config.schema, ".cedarschema");
    let policy_files = sources(&config.policies, ".cedar");
    let entity_files = sources(&config.entities, ".json");
    let case_files = sources(&config.cases, ".toml");
    if !problems.is_empty() {
        return Err(LoadErrors(problems));
    }

    let names = Names {
        subjects: config.subjects.clone(),
        resources: config.resources.clone(),
        actions: config.actions.clone(),
    };
    let policies = collect(assent_policy::load(&schema, &policy_files, names), &mut problems);
    let snapshot =
        policies.as_ref().and_then(|policies| collect(policies.load_entities(&entity_files), &mut problems));
    let facts = snapshot.as_ref().map(|snapshot| snapshot.facts().as_ref());
    let world = World { organization, policies: policies.as_ref(), facts };
    let bindings: Vec<Option<Binding>> =
        config.plugins.iter().map(|plugin| bind(plugin, &world, host, &mut problems)).collect();
    problems.extend(check_binding_ids(organization));

    match (policies, snapshot) {
        (Some(policies), Some(snapshot)) if problems.is_empty() => {
            let bindings = bindings.into_iter().flatten().collect();
            let release = Release::new(
                config.id.clone(),
                Arc::new(policies),
                Arc::new(snapshot),
                bindings,
                host.slots(&config.id, slots),
            );
            Ok(BuiltOrganization { release, entity_files, case_files })
        }
        _ => Err(LoadErrors(problems)),
    }
}

fn collect<T>(result: Result<T, LoadErrors>, problems: &mut Vec<LoadProblem>) -> Option<T> {
    result.map_err(|LoadErrors(more)| problems.extend(more)).ok()
}

fn check_binding_ids(organization: &OrganizationFiles) -> Vec<LoadProblem> {
    let mut seen = BTreeSet::new();
    let ids = organization.config.plugins.iter().map(|plugin| &plugin.id);
    ids.filter(|id| !seen.insert(*id))
        .map(|id| whole_file(&organization.file, format!("the plugin id `{id}` is taken twice")))
        .collect()
}

/// What a plugin is bound to, as far as it loaded.
struct World<'a> {
    organization: &'a OrganizationFiles,
    policies: Option<&'a Policies>,
    facts: Option<&'a Facts>,
}

fn bind(
    plugin: &PluginConfig,
    world: &World<'_>,
    host: &PluginHost,
    problems: &mut Vec<LoadProblem>,
) -> Option<Binding> {
    let World { organization, policies, facts } = world;
    if let Some(policies) = policies {
        problems.extend(check_scope(plugin, policies, *facts, &organization.file));
    }
    let component = read_component(&organization.root.join(&plugin.component), plugin, &organization.file)
        .map_err(|problem| problems.push(problem))
        .ok()?;
    let spec = BindingSpec {
        id: plugin.id.clone(),
        settings: serde_json::Value::Object(plugin.settings.clone()),
        grants: plugin.grants.iter().cloned().collect(),
        limits: plugin.limits.clone(),
    };
    let admitted = host.admit(&spec, &component).map_err(|more| {
        let of = |problem: &dyn std::fmt::Display| {
            whole_file(&organization.file, format!("plugin `{}`: {problem}", plugin.id))
        };
        problems.extend(more.iter().map(|problem| of(problem)));
    });
    let admitted = admitted.ok()?;
    if let Some(facts) = facts {
        problems.extend(check_needs(&admitted, facts, &organization.file));
    }
    Some(Binding { plugin: admitted, scope: scope(&plugin.scope) })
}

fn read_component(path: &Path, plugin: &PluginConfig, file: &str) -> Result<Vec<u8>, LoadProblem> {
    std::fs::read(path).map_err(|error| {
        let shown = files::shown(path);
        let message = format!("plugin `{}`: the component `{shown}` cannot be read ({error})", plugin.id);
        let help = Some("build it first: `cargo xtask plugins` builds those of this project".to_owned());
        LoadProblem { help, ..whole_file(file, message) }
    })
}

/// A scope that names an action or type that does not exist would silently switch the plugin off.
fn check_scope(
    plugin: &PluginConfig,
    policies: &Policies,
    facts: Option<&Facts>,
    file: &str,
) -> Vec<LoadProblem> {
    let mut problems = vec![];
    let mut check = |what: &str, names: &[String], known: &BTreeSet<String>, lacking: &str| {
        for name in names.iter().filter(|name| !known.contains(*name)) {
            let nearest = files::nearest(name, known.iter().map(String::as_str));
            let message =
                format!("plugin `{}`: its scope names the {what} `{name}`, which {lacking}", plugin.id);
            let help = nearest.map(|name| format!("did you mean `{name}`?"));
            problems.push(LoadProblem { help, ..whole_file(file, message) });
        }
    };
    check("action", &plugin.scope.actions, &policies.action_names(), "the schema does not have");
    check("entity type", &plugin.scope.resources, &policies.entity_types(), "the schema does not have");
    check("label", &plugin.scope.labels, &known_labels(policies, facts), "no policy and no entity has");
    problems
}

/// The labels that anybody uses: those of stored entities, and the texts that policies compare with.
fn known_labels(policies: &Policies, facts: Option<&Facts>) -> BTreeSet<String> {
    let stored = facts.into_iter().flat_map(Facts::iter).filter_map(|entity| entity.attributes.get("labels"));
    let stored = stored.flat_map(|labels| match labels {
        Value::Set(labels) => labels.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
        _ => vec![],
    });
    let compared =
        policies.notes().flat_map(|info| info.text.split('"').skip(1).step_by(2).map(str::to_owned));
    stored.chain(compared).collect()
}

/// A need that the schema cannot meet would look to the plugin like "nothing on record".
fn check_needs(plugin: &PluginPre, facts: &Facts, file: &str) -> Vec<LoadProblem> {
    let needs = plugin.needs();
    let has = |wanted: fn(&EntityKind) -> bool| facts.kinds().any(|(_, kind)| wanted(kind));
    let mut missing = vec![];
    for relation in &needs.relations {
        if !matches!(facts.kind(&relation.kind), Some(EntityKind::Relation { .. })) {
            missing.push(format!("the relation `{}`", relation.kind));
        }
    }
    if !needs.approvals.is_empty() && !has(|kind| *kind == EntityKind::Approval) {
        missing.push("approvals".to_owned());
    }
    if needs.consents && !has(|kind| *kind == EntityKind::Consent) {
        missing.push("consents".to_owned());
    }
    if needs.disclosure_decisions && !has(|kind| *kind == EntityKind::DisclosureDecision) {
        missing.push("disclosure decisions".to_owned());
    }
    let problem = |what: String| LoadProblem {
        help: Some("mark the entity type that holds them with `@kind` in the schema".to_owned()),
        ..whole_file(
            file,
            format!("plugin `{}` needs {what}, of which the schema has none", plugin.binding()),
        )
    };
    missing.into_iter().map(problem).collect()
}

fn scope(config: &ScopeConfig) -> Scope {
    let set = |names: &[String]| names.iter().cloned().collect();
    Scope { actions: set(&config.actions), resources: set(&config.resources), labels: set(&config.labels) }
}

/// A caller of `assent.toml`, as the engine knows it.
pub fn caller(config: &CallerConfig) -> Caller {
    let obligations = if config.obligations.iter().any(|code| code == "*") {
        Obligations::All
    } else {
        Obligations::Only(config.obligations.iter().map(|code| ObligationCode::from_code(code)).collect())
    };
    Caller {
        id: config.id.clone(),
        organizations: config.organizations.iter().cloned().collect(),
        rights: config.rights.iter().copied().collect(),
        obligations,
        environment: config.environment.as_str().to_owned(),
    }
}
