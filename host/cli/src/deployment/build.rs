//! From a deployment directory to releases: everything is loaded and checked, and every problem of
//! every organization is reported at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_engine::state::Rules;
use assent_engine::{Binding, Caller, Release, Scope, caller::Obligations};
use assent_model::{EntityKind, Facts, ObligationCode, Value};
use assent_plugin::{AdmissionProblem, BindingSpec, HostConfig, PluginHost, PluginPre};
use assent_policy::{LoadErrors, LoadProblem, MissingEntities, Names, Policies, SourceFile};
use assent_workflow::Machine;
use assent_workflow::break_glass::Emergency;

use super::config::{self, CallerConfig, PluginConfig, ScopeConfig};
use super::files::Files;
use super::places::{Places, step};
use super::{Deployment, ORGANIZATION_FILE, OrganizationFiles, files};

/// An organization, ready to decide.
#[derive(Debug)]
pub struct BuiltOrganization {
    /// Policies, plugins and facts.
    pub release: Release,
    /// The entity files that the facts came from; cases lay their own over them.
    pub entity_files: Vec<SourceFile>,
    /// What it sets for its workflows.
    pub rules: Rules,
    /// Roles that it names there and that nobody has in its files.
    pub role_notes: Vec<LoadProblem>,
    /// The decision cases; of an archive, none.
    pub case_files: Vec<SourceFile>,
    /// What else it was built from.
    pub(super) sources: Sources,
}

/// What a release was built from, beside its entities.
#[derive(Debug)]
pub(super) struct Sources {
    /// The organization's folder, from which names of files are counted.
    pub(super) root: PathBuf,
    /// `organization.toml`, schema and policies.
    pub(super) texts: Vec<SourceFile>,
    pub(super) components: Vec<Component>,
}

/// A component as it was read.
pub(super) struct Component {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Component({}, {} bytes)", self.path.display(), self.bytes.len())
    }
}

/// A deployment, ready to serve.
#[derive(Debug)]
pub struct Built {
    /// The organizations, in the order of `assent.toml`.
    pub organizations: Vec<BuiltOrganization>,
    /// Keeps plugins running: their engine, its clock ticks, and the cache.
    pub host: Arc<PluginHost>,
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
    .map_err(|error| LoadErrors(vec![deployment.places.problem("/plugins", error.to_string())]))?;
    let mut organizations = vec![];
    let mut problems = vec![];
    for organization in &deployment.organizations {
        match build_organization(organization, &host, plugins.slots_per_organization) {
            Ok(built) => organizations.push(built),
            Err(LoadErrors(more)) => problems.extend(more),
        }
    }
    let host = Arc::new(host);
    if problems.is_empty() { Ok(Built { organizations, host }) } else { Err(LoadErrors(problems)) }
}

/// Builds one organization, from wherever its files are.
///
/// # Errors
/// Every problem of it.
pub(super) fn build_organization(
    organization: &OrganizationFiles,
    host: &PluginHost,
    slots: u32,
) -> Result<BuiltOrganization, LoadErrors> {
    let mut problems = vec![];
    let OrganizationFiles { root, files, text, config, places } = organization;
    let mut sources = |list: (&str, &[_]), ending: &str| {
        files::sources((files, root), list, ending, places).map_err(|more| problems.extend(more)).ok()
    };
    let schema = sources(("schema", &config.schema), ".cedarschema").filter(|files| !files.is_empty());
    let policy_files = sources(("policies", &config.policies), ".cedar");
    let entity_files = sources(("entities", &config.entities), ".json");
    let case_files = match files {
        Files::Disk => sources(("cases", &config.cases), ".toml"),
        // Cases judge a release before it is activated, and are no part of it.
        Files::Archived(_) => Some(vec![]),
    };

    if config.schema.is_empty() {
        let problem = places.problem("/schema", "`schema` is empty: name at least one schema file");
        problems.push(problem.with_help("the base schema is `policies/base/health.cedarschema`"));
    }

    let names = Names {
        subjects: config.subjects.clone(),
        resources: config.resources.clone(),
        actions: config.actions.clone(),
    };
    // Without a file, what others say of its content cannot be checked, and would only be noise.
    let loaded = schema.as_ref().zip(policy_files.as_ref());
    let policies = loaded.and_then(|(schema, policy_files)| {
        let loaded = assent_policy::load(schema, policy_files, names);
        loaded.map_err(|LoadErrors(more)| problems.extend(more.into_iter().map(|p| of_names(p, places)))).ok()
    });
    let snapshot = policies.as_ref().zip(entity_files.as_ref()).and_then(|(policies, entity_files)| {
        policies.load_entities(entity_files).map_err(|LoadErrors(more)| problems.extend(more)).ok()
    });
    if let Some((policies, snapshot)) = policies.as_ref().zip(snapshot.as_ref()) {
        problems.extend(policies.missing_entities(snapshot).slips);
    }
    let facts = snapshot.as_ref().map(|snapshot| snapshot.facts().as_ref());
    let world = World { organization, policies: policies.as_ref(), facts };
    let numbered = config.plugins.iter().enumerate();
    let bindings: Vec<Option<(Binding, Component)>> =
        numbered.map(|(index, plugin)| bind((index, plugin), &world, host, &mut problems)).collect();
    problems.extend(check_binding_ids(organization));
    problems.extend(config::check_workflows(config, places));
    let roles = match (files, facts) {
        (Files::Disk, Some(facts)) => config::missing_roles(config, places, facts),
        _ => MissingEntities::default(),
    };
    problems.extend(roles.slips);
    if let Files::Disk = files {
        // Nobody asks an archived release for an approval, and it was good enough to decide.
        problems.extend(config::doubled_rows(config, places));
    }
    problems.extend(policies.iter().flat_map(|policies| check_going_on(organization, policies)));
    problems.extend(policies.iter().filter_map(|policies| check_declared(organization, policies)));

    match (policies, snapshot, entity_files.zip(case_files)) {
        (Some(policies), Some(snapshot), Some((entity_files, case_files))) if problems.is_empty() => {
            let (bindings, components) = bindings.into_iter().flatten().unzip();
            let release = Release::new(
                config.id.clone(),
                Arc::new(policies),
                Arc::new(snapshot),
                bindings,
                host.slots(&config.id, slots),
            );
            let written = SourceFile::new(files::shown(&root.join(ORGANIZATION_FILE)), text.as_str());
            let texts = [written].into_iter().chain(schema.into_iter().chain(policy_files).flatten());
            let sources = Sources { root: root.clone(), texts: texts.collect(), components };
            let rules = config::rules(config);
            Ok(BuiltOrganization {
                release,
                entity_files,
                rules,
                role_notes: roles.notes,
                case_files,
                sources,
            })
        }
        _ => Err(LoadErrors(problems)),
    }
}

/// A problem of the tables of names, which are read here and resolved where the schema is known.
fn of_names(problem: LoadProblem, places: &Places) -> LoadProblem {
    let name = problem.file.strip_prefix("names.").and_then(|rest| rest.split_once('.'));
    match name {
        Some((table, name)) => LoadProblem {
            help: problem.help.clone(),
            ..places.problem(&format!("/{table}/{}", step(name)), problem.message)
        },
        None => problem,
    }
}

fn check_binding_ids(organization: &OrganizationFiles) -> Vec<LoadProblem> {
    let mut seen = BTreeSet::new();
    let ids = organization.config.plugins.iter().map(|plugin| &plugin.id).enumerate();
    ids.filter(|(_, id)| !seen.insert(*id))
        .map(|(index, id)| {
            let message = format!("the plugin id `{id}` is taken twice");
            organization.places.problem(&format!("/plugin/{index}/id"), message)
        })
        .collect()
}

/// What a plugin is bound to, as far as it loaded.
struct World<'a> {
    organization: &'a OrganizationFiles,
    policies: Option<&'a Policies>,
    facts: Option<&'a Facts>,
}

fn bind(
    (index, plugin): (usize, &PluginConfig),
    world: &World<'_>,
    host: &PluginHost,
    problems: &mut Vec<LoadProblem>,
) -> Option<(Binding, Component)> {
    let World { organization, policies, facts } = world;
    let entry = Entry { plugin, index, places: &organization.places };
    if let Some(policies) = policies {
        problems.extend(check_scope(&entry, policies, *facts));
    }
    let path = organization.root.join(&plugin.component);
    let component =
        read_component(&organization.files, &path, &entry).map_err(|problem| problems.push(problem)).ok()?;
    let spec = BindingSpec {
        id: plugin.id.clone(),
        settings: serde_json::Value::Object(plugin.settings.clone()),
        grants: plugin.grants.iter().cloned().collect(),
        limits: plugin.limits.clone(),
    };
    let admitted = host.admit(&spec, &component).map_err(|more| {
        problems.extend(more.iter().map(|problem| entry.problem(&entry.part(problem), problem.to_string())));
    });
    let admitted = admitted.ok()?;
    if let Some(facts) = facts {
        problems.extend(check_needs(&admitted, facts, &entry));
    }
    let binding = Binding { plugin: admitted, scope: scope(&plugin.scope) };
    Some((binding, Component { path, bytes: component }))
}

/// One `[[plugin]]`.
struct Entry<'a> {
    plugin: &'a PluginConfig,
    index: usize,
    places: &'a Places,
}

impl Entry<'_> {
    /// A problem with a part of it, such as `/scope/actions/0`.
    fn problem(&self, part: &str, message: impl std::fmt::Display) -> LoadProblem {
        let pointer = format!("/plugin/{}{part}", self.index);
        self.places.problem(&pointer, format!("plugin `{}`: {message}", self.plugin.id))
    }

    /// The part that a problem of admission is about.
    fn part(&self, problem: &AdmissionProblem) -> String {
        match problem {
            AdmissionProblem::Settings { path, .. } => format!("/settings{path}"),
            AdmissionProblem::SettingsTooLarge { .. } => "/settings".to_owned(),
            AdmissionProblem::Limit { name, .. } => format!("/limits/{name}"),
            AdmissionProblem::Ungranted { .. } => "/grants".to_owned(),
            AdmissionProblem::UnknownGrant { grant, .. } | AdmissionProblem::UnusedGrant { grant, .. } => {
                let at = self.plugin.grants.iter().position(|written| written == grant);
                at.map_or_else(|| "/grants".to_owned(), |at| format!("/grants/{at}"))
            }
            AdmissionProblem::TooLarge { .. }
            | AdmissionProblem::CoreModule
            | AdmissionProblem::Malformed { .. }
            | AdmissionProblem::Import { .. }
            | AdmissionProblem::Export { .. }
            | AdmissionProblem::Version { .. }
            | AdmissionProblem::NoRules { .. }
            | AdmissionProblem::World { .. }
            | AdmissionProblem::Compile { .. }
            | AdmissionProblem::Failed { .. }
            | AdmissionProblem::Description { .. }
            | AdmissionProblem::Need { .. }
            | AdmissionProblem::Host { .. } => "/component".to_owned(),
        }
    }
}

fn read_component(files: &Files, path: &Path, entry: &Entry<'_>) -> Result<Vec<u8>, LoadProblem> {
    files.read_bytes(path).map_err(|what| {
        let message = format!("the component `{}` {what}", files::shown(path));
        let help = "`cargo xtask plugins` builds the components of this project";
        entry.problem("/component", message).with_help(help)
    })
}

/// A scope that names an action or type that does not exist would silently switch the plugin off.
fn check_scope(entry: &Entry<'_>, policies: &Policies, facts: Option<&Facts>) -> Vec<LoadProblem> {
    let mut problems = vec![];
    let mut check = |list: &str, what: &str, names: &[String], known: &BTreeSet<String>, lacking: &str| {
        for (at, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(*name)) {
            let nearest = files::nearest(name, known.iter().map(String::as_str));
            let message = format!("its scope names the {what} `{name}`, which {lacking}");
            let help = nearest.map(|name| format!("did you mean `{name}`?"));
            let problem = entry.problem(&format!("/scope/{list}/{at}"), message);
            problems.push(LoadProblem { help, ..problem });
        }
    };
    let ScopeConfig { actions, resources, labels } = &entry.plugin.scope;
    check("actions", "action", actions, &policies.action_names(), "the schema does not have");
    check("resources", "entity type", resources, &policies.entity_types(), "the schema does not have");
    // What the entities use is not known where they did not load.
    if let Some(facts) = facts {
        check("labels", "label", labels, &known_labels(policies, facts), "no policy and no entity has");
    }
    problems
}

/// An action that does not exist would be denied in the very hour for which somebody let it go on.
fn check_going_on(organization: &OrganizationFiles, policies: &Policies) -> Vec<LoadProblem> {
    let known = policies.action_names();
    let named = organization.config.state.go_on_when_stale.iter().enumerate();
    named
        .filter(|(_, name)| !known.contains(*name))
        .map(|(at, name)| {
            let message =
                format!("`state.go_on_when_stale` names the action `{name}`, which the schema does not have");
            let help = files::nearest(name, known.iter().map(String::as_str));
            let help = help.map(|name| format!("did you mean `{name}`?"));
            let pointer = format!("/state/go_on_when_stale/{at}");
            LoadProblem { help, ..organization.places.problem(&pointer, message) }
        })
        .collect()
}

/// A declared emergency says itself until when it holds, so nobody provides its facts anew.
fn check_declared(organization: &OrganizationFiles, policies: &Policies) -> Option<LoadProblem> {
    let is_declared = organization.config.break_glass.is_some() && policies.must_be_fresh(Emergency::TYPE);
    let message = || {
        let name = Emergency::TYPE;
        format!(
            "`break_glass` lets emergencies be declared, but the schema has `@fresh` on an attribute of `{name}`"
        )
    };
    let problem = || organization.places.problem("/break_glass", message());
    is_declared.then(|| problem().with_help("take `@fresh` away: each emergency has an end of its own"))
}

/// The labels that anybody uses: those of stored entities, and the texts that policies compare with.
fn known_labels(policies: &Policies, facts: &Facts) -> BTreeSet<String> {
    let stored = facts.iter().filter_map(|entity| entity.attributes.get("labels"));
    let stored = stored.flat_map(|labels| match labels {
        Value::Set(labels) => labels.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
        _ => vec![],
    });
    let compared =
        policies.notes().flat_map(|info| info.text.split('"').skip(1).step_by(2).map(str::to_owned));
    stored.chain(compared).collect()
}

/// A need that the schema cannot meet would look to the plugin like "nothing on record".
fn check_needs(plugin: &PluginPre, facts: &Facts, entry: &Entry<'_>) -> Vec<LoadProblem> {
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
    let problem = |what: String| {
        let message = format!("it needs {what}, of which the schema has none");
        let help = "mark the entity type that holds them with `@kind` in the schema";
        entry.problem("/component", message).with_help(help)
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
