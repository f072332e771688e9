//! The guarded parts of a release: what is dangerous in it, so that two persons must agree before it changes.
//!
//! They are who opens records in an emergency and by which policies; who approves what; how consents are read; which
//! plugins judge what, with which code, settings, grants and limits; for how long the log is kept; and that two persons
//! are asked at all. Each has a written form: the settings as they are understood, with defaults, in a JSON whose members
//! are sorted; so comments, blanks, order and the spelling of files change nothing. INVARIANT (nothing guarded is
//! overlooked): settings are taken apart whole, and a new one must be named here before it compiles. Facts are no part
//! of it: who has which role is the state's, or reviewed with the files of entities.

use std::collections::{BTreeMap, BTreeSet};

use assent_audit::record;
use assent_engine::{Binding, Release, Scope};
use assent_model::Digest;
use assent_policy::Mentions;
use serde_json::{Map, Value, json};

use super::build::BuiltOrganization;
use super::config::{
    ApprovalConfig, BreakGlassConfig, DeploymentConfig, DisclosureConfig, OrganizationConfig,
    OrganizationStateConfig, ReleasesConfig,
};
use super::{Deployment, OrganizationFiles};

/// Whoever changes how a part is written changes this: then every part is another one, which two persons must look at.
const FORM: &[u8] = b"assent-guarded-part-1";
/// The words by which policies, types and attributes about emergencies are known: those of the base policies, and HL7's
/// purpose of use for breaking the glass. Its `ETREAT` and `ERTREAT` are none: with them one asks as for any treatment.
const EMERGENCY: &[&str] = &["emergency", "break-glass", "break_glass", "breakglass", "btg"];

/// The guarded parts of an organization's release.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    two_persons: bool,
    forms: BTreeMap<String, Value>,
    /// Policies as they are written, by the names of their parts: for people, who do not read forms.
    texts: BTreeMap<String, String>,
}

impl Guarded {
    /// Those of an organization of a deployment.
    pub fn of(deployment: &Deployment, organization: &OrganizationFiles, built: &BuiltOrganization) -> Self {
        Self::of_parts(&deployment.config, &organization.config, &built.release)
    }

    fn of_parts(deployment: &DeploymentConfig, config: &OrganizationConfig, release: &Release) -> Self {
        let mut forms = settings(config);
        // For whom nothing is kept nothing is kept for longer.
        let retention = deployment.audit.as_ref().map(|audit| json!({ "years": audit.retention.years }));
        forms.extend(retention.map(|form| ("audit.retention".to_owned(), form)));
        let Mentions { policies, schema } = release.policies().mentions(EMERGENCY);
        forms.extend(policies.into_iter().map(|(id, form)| (policy(&id), form)));
        forms.insert("schema:emergencies".to_owned(), schema);
        for binding in release.bindings() {
            let id = binding.plugin.binding();
            let settings =
                config.plugins.iter().find(|plugin| plugin.id == id).map(|plugin| &plugin.settings);
            forms.insert(format!("plugin:{id}"), bound(binding, settings));
        }
        let forms: BTreeMap<_, _> = forms.into_iter().map(|(name, form)| (name, sorted(form))).collect();
        let texts = release.policies().notes().map(|info| (policy(&info.note.id), info.text.clone()));
        let texts = texts.filter(|(name, _)| forms.contains_key(name)).collect();
        Self { two_persons: config.releases.two_persons, forms, texts }
    }

    /// As records have them: by their digests.
    pub fn recorded(&self) -> record::Guarded {
        let digest = |form: &Value| Digest::of_parts([FORM, form.to_string().as_bytes()]);
        let parts = self.forms.iter().map(|(name, form)| (name.clone(), digest(form))).collect();
        record::Guarded::new(self.two_persons, parts)
    }

    /// How a part is written; nothing where there is no such part.
    pub fn form(&self, name: &str) -> Option<&Value> {
        self.forms.get(name)
    }

    /// A policy as its author wrote it, where the part is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

fn policy(id: &str) -> String {
    format!("policy:{id}")
}

/// What `organization.toml` says, by its tables.
fn settings(config: &OrganizationConfig) -> BTreeMap<String, Value> {
    let OrganizationConfig {
        // What is made of these is judged as it results: policies, schema, plugins. Names by which callers ask, facts
        // and cases are not guarded.
        id: _,
        name: _,
        schema: _,
        policies: _,
        entities: _,
        cases: _,
        subjects: _,
        resources: _,
        actions: _,
        plugins: _,
        state: OrganizationStateConfig { go_on_when_stale },
        approvals,
        break_glass,
        disclosure_decisions,
        consents,
        releases: ReleasesConfig { two_persons },
    } = config;
    let assent_fhir::Settings { policies, forms, servers, identifiers, harmless_extensions } = consents;
    let policies: BTreeMap<_, _> = policies.iter().map(|(uri, effect)| (uri, effect.as_str())).collect();
    let consents = json!({
        "policies": policies,
        "forms": forms,
        "servers": servers,
        "identifiers": identifiers,
        "harmless_extensions": harmless_extensions,
    });
    let always = [
        ("approval", approval_rows(approvals)),
        ("consents", consents),
        ("state.go_on_when_stale", set(go_on_when_stale)),
        ("releases.two_persons", (*two_persons).into()),
    ];
    let some = [
        ("break_glass", break_glass.as_ref().map(terms)),
        ("disclosure_decisions", disclosure_decisions.as_ref().map(decisions)),
    ];
    let some = some.into_iter().filter_map(|(name, form)| Some((name, form?)));
    always.into_iter().chain(some).map(|(name, form)| (name.to_owned(), form)).collect()
}

/// The rows in an order of their own, for theirs means nothing; of two that begin alike and ask alike the order may, and
/// stays.
fn approval_rows(rows: &[ApprovalConfig]) -> Value {
    let mut rows: Vec<&ApprovalConfig> = rows.iter().collect();
    rows.sort_by_key(|row| (&row.kind, row.records_over, row.quorum));
    let form = |row: &&ApprovalConfig| {
        let ApprovalConfig { kind, records_over, quorum, roles, answer_within_hours, lasts_hours, uses } =
            row;
        json!({
            "kind": kind,
            "records_over": records_over,
            "quorum": quorum,
            // The first role that an approver has is the one that is kept.
            "roles": roles,
            "answer_within_hours": answer_within_hours,
            "lasts_hours": lasts_hours,
            "uses": uses,
        })
    };
    rows.iter().map(form).collect()
}

fn terms(terms: &BreakGlassConfig) -> Value {
    let BreakGlassConfig {
        reasons,
        justification_min,
        lasts_hours,
        review_within_hours,
        escalate_after_hours,
        declarers,
        reviewers,
    } = terms;
    json!({
        "reasons": set(reasons),
        "justification_min": justification_min,
        "lasts_hours": lasts_hours,
        "review_within_hours": review_within_hours,
        "escalate_after_hours": escalate_after_hours,
        "declarers": set(declarers),
        "reviewers": set(reviewers),
    })
}

fn decisions(terms: &DisclosureConfig) -> Value {
    let DisclosureConfig { expires_within_days, withdrawing_roles } = terms;
    json!({ "expires_within_days": expires_within_days, "withdrawing_roles": set(withdrawing_roles) })
}

/// A plugin as it is bound. Its code and settings are in it, for one that denies less opens as much as one that is gone.
fn bound(Binding { plugin, scope }: &Binding, settings: Option<&Map<String, Value>>) -> Value {
    let Scope { actions, resources, labels } = scope;
    json!({
        "component": plugin.component_digest(),
        "settings": settings,
        "grants": set(&plugin.needs().grants()),
        "limits": plugin.limits(),
        "scope": { "actions": actions, "resources": resources, "labels": labels },
    })
}

fn set(names: &[String]) -> Value {
    json!(names.iter().collect::<BTreeSet<_>>())
}

/// The same with the members of all objects in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> = members.into_iter().collect();
            members.into_iter().map(|(name, member)| (name, sorted(member))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
