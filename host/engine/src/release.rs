//! A release: an organization's policies, plugins and settings as one immutable version, with the
//! facts it decides on.
//!
//! INVARIANT (one release per decision): a decision holds one `Arc<Release>` from beginning to end.

mod digest;

use std::collections::BTreeSet;
use std::sync::Arc;

use assent_audit::record::StateSeen;
use assent_model::{DecisionFacts, Digest, OrganizationId, Value};
use assent_plugin::{OrganizationSlots, PluginPre};
use assent_policy::{Policies, Snapshot};

use crate::hold::Holds;

/// Milliseconds that the plugins of one decision may run, by their limits, on a thread that serves
/// other organizations too: five rules at the default limits. A request that comes meanwhile waits
/// no longer than for a slow disk; beyond, the thread is better one of the organization's own.
const INLINE_MAX_MS: u64 = 25;

/// What decides for one organization. Cheap to clone: its parts are shared.
#[derive(Clone, Debug)]
pub struct Release {
    organization: OrganizationId,
    digest: Digest,
    policies: Arc<Policies>,
    snapshot: Arc<Snapshot>,
    state: Option<StateNow>,
    bindings: Arc<[Binding]>,
    slots: OrganizationSlots,
}

/// The state that a release decides on: what changes without another release.
#[derive(Clone, Debug)]
pub struct StateNow {
    /// What a decision records of it.
    pub seen: StateSeen,
    /// Who and what is on hold.
    pub holds: Arc<Holds>,
}

/// A plugin bound to an organization.
#[derive(Debug)]
pub struct Binding {
    /// The prepared plugin, with its settings.
    pub plugin: PluginPre,
    /// Which requests it judges.
    pub scope: Scope,
}

/// Which requests a plugin judges. An empty set does not limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Actions, as policies name them.
    pub actions: BTreeSet<String>,
    /// Entity types of the resource.
    pub resources: BTreeSet<String>,
    /// Labels of the resource (attribute `labels`). A resource whose labels are not recorded is
    /// in scope: not knowing is no reason to skip a rule.
    pub labels: BTreeSet<String>,
}

impl Scope {
    /// Whether these facts are in scope.
    pub fn contains(&self, facts: &DecisionFacts) -> bool {
        let allows = |limit: &BTreeSet<String>, item: &str| limit.is_empty() || limit.contains(item);
        allows(&self.actions, &facts.action)
            && allows(&self.resources, &facts.resource.id.kind)
            && (self.labels.is_empty() || self.labels_match(facts))
    }

    fn labels_match(&self, facts: &DecisionFacts) -> bool {
        match facts.resource.attributes.get("labels") {
            Some(Value::Set(labels)) if !labels.is_empty() => {
                labels.iter().any(|label| label.as_text().is_none_or(|text| self.labels.contains(text)))
            }
            _ => true,
        }
    }
}

impl Release {
    /// The release that these parts make. Its digest covers policies, schema, names, components,
    /// settings, limits and scopes, in the form that `digest` writes down; the facts have a digest of their own.
    pub fn new(
        organization: OrganizationId,
        policies: Arc<Policies>,
        snapshot: Arc<Snapshot>,
        mut bindings: Vec<Binding>,
        slots: OrganizationSlots,
    ) -> Self {
        bindings.sort_by(|a, b| a.plugin.binding().cmp(b.plugin.binding()));
        let digest = digest::digest(&organization, &policies.digest(), &bindings);
        Self { organization, digest, policies, snapshot, state: None, bindings: bindings.into(), slots }
    }

    /// The same policies and plugins on other facts.
    #[must_use]
    pub fn with_snapshot(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ..self.clone() }
    }

    /// The same policies and plugins on the facts that a version of the state makes of the release's own.
    #[must_use]
    pub fn with_state(&self, version: u64, snapshot: Arc<Snapshot>, holds: Arc<Holds>) -> Self {
        let base = self.state.as_ref().map_or_else(|| self.snapshot.digest(), |state| state.seen.base);
        let state = Some(StateNow { seen: StateSeen { version, base }, holds });
        Self { snapshot, state, ..self.clone() }
    }

    /// The state that it decides on; `None` where the organization keeps none.
    pub const fn state(&self) -> Option<&StateNow> {
        self.state.as_ref()
    }

    /// Whose rules these are.
    pub const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The name of this version.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The policies.
    pub const fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// The facts.
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The plugins, by binding id.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Whether a decision may run for so long that others should not wait for it: by the limits of
    /// all plugins, since any of them may be in scope.
    pub fn may_run_long(&self) -> bool {
        let longest = self.bindings.iter().map(|binding| binding.plugin.limits().longest_ms());
        longest.fold(0, u64::saturating_add) > INLINE_MAX_MS
    }

    /// The organization's share of plugin slots.
    pub const fn slots(&self) -> &OrganizationSlots {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use assent_model::{Entity, EntityId, Facts, Instant, Record};

    use super::*;

    fn facts(labels: Option<&[&str]>) -> DecisionFacts {
        let labels = labels.map(|labels| Value::set(labels.iter().map(|label| Value::Text((*label).into()))));
        let entity = |kind: &str, attributes| {
            Arc::new(Entity {
                id: EntityId::new(kind, "x"),
                attributes,
                ancestors: Arc::default(),
                provided: None,
            })
        };
        DecisionFacts {
            facts: Arc::new(Facts::default()),
            subject: entity("Practitioner", Record::default()),
            action: "read".into(),
            resource: entity("Observation", labels.map(|labels| ("labels", labels)).into_iter().collect()),
            patient: None,
            context: Record::default(),
            purpose: None,
            now: Instant::from_millis(0).unwrap(),
            today: None,
        }
    }

    fn scope(actions: &[&str], resources: &[&str], labels: &[&str]) -> Scope {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope { actions: set(actions), resources: set(resources), labels: set(labels) }
    }

    #[test]
    fn a_scope_leaves_out_only_what_it_is_sure_about() {
        let some = Some(&["N", "SUD"][..]);
        let cases = [
            (scope(&[], &[], &[]), some, true),
            (scope(&["read"], &["Observation"], &["SUD"]), some, true),
            (scope(&["export"], &[], &[]), some, false),
            (scope(&[], &["Condition"], &[]), some, false),
            (scope(&[], &[], &["HIV"]), some, false),
            // Not knowing the labels is no reason to skip a rule.
            (scope(&[], &[], &["HIV"]), None, true),
            (scope(&[], &[], &["HIV"]), Some(&[][..]), true),
        ];
        for (scope, labels, expected) in cases {
            assert_eq!(scope.contains(&facts(labels)), expected, "{scope:?} {labels:?}");
        }
    }
}
