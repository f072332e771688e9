//! The digest by which records name a release: what it is counted over, in which order, and in which form.
//!
//! INVARIANT (a decision replays): records keep this digest for as long as their log is kept, and a replay
//! counts it again. So the form is written down here and follows from nothing that may change by itself, such as
//! how a library prints a value. Every list has its length before it and every text too, so no two releases
//! have one form. Facts are no part of it: they have a digest of their own.

use std::collections::BTreeSet;

use assent_model::{Digest, OrganizationId};
use assent_plugin::Limits;

use super::{Binding, Scope};

/// The first part. Whoever changes the form changes its number: what was recorded before is then another
/// release, which a replay says, and not this one by chance.
const FORM: &[u8] = b"assent-release-1";

/// What a binding adds.
struct Bound<'a> {
    id: &'a str,
    component: Digest,
    settings: Digest,
    scope: &'a Scope,
    limits: &'a Limits,
}

/// The digest of a release of these policies and bindings; the bindings are in the order of their ids.
pub(super) fn digest(organization: &OrganizationId, policies: &Digest, bindings: &[Binding]) -> Digest {
    let bound = bindings.iter().map(|Binding { plugin, scope }| Bound {
        id: plugin.binding(),
        component: plugin.component_digest(),
        settings: plugin.settings_digest(),
        scope,
        limits: plugin.limits(),
    });
    counted(organization, policies, bound)
}

fn counted<'a>(
    organization: &OrganizationId,
    policies: &Digest,
    bindings: impl ExactSizeIterator<Item = Bound<'a>>,
) -> Digest {
    let mut form = Form(vec![]);
    form.bytes(FORM);
    form.bytes(organization.as_str().as_bytes());
    form.bytes(policies.as_bytes());
    form.number(bindings.len() as u64);
    for Bound { id, component, settings, scope, limits } in bindings {
        form.bytes(id.as_bytes());
        form.bytes(component.as_bytes());
        form.bytes(settings.as_bytes());
        form.scope(scope);
        form.limits(limits);
    }
    Digest::of_parts(form.0.iter().map(Vec::as_slice))
}

/// The parts so far.
struct Form(Vec<Vec<u8>>);

impl Form {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }

    fn number(&mut self, number: u64) {
        self.0.push(number.to_be_bytes().to_vec());
    }

    // Both are taken apart whole, so that a new field is not forgotten here.

    fn scope(&mut self, Scope { actions, resources, labels }: &Scope) {
        self.names(actions);
        self.names(resources);
        self.names(labels);
    }

    fn names(&mut self, names: &BTreeSet<String>) {
        self.number(names.len() as u64);
        for name in names {
            self.bytes(name.as_bytes());
        }
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            memory_max_bytes,
            table_elements_max,
            instances_max,
            fuel,
            deadline_ms,
            copied_max_bytes,
            output_max_bytes,
            findings_max,
            notes_max,
        } = *limits;
        for limit in [
            memory_max_bytes,
            table_elements_max,
            u64::from(instances_max),
            fuel,
            deadline_ms,
            copied_max_bytes,
            output_max_bytes,
            u64::from(findings_max),
            u64::from(notes_max),
        ] {
            self.number(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release with two bindings, in plain values that a test can change.
    #[derive(Clone)]
    struct Parts {
        organization: &'static str,
        policies: Digest,
        bindings: Vec<(String, Digest, Digest, Scope, Limits)>,
    }

    impl Parts {
        fn new() -> Self {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let scope = Scope {
                actions: names(&["export", "read"]),
                resources: names(&["Observation"]),
                labels: names(&["SUD"]),
            };
            // Spelt out: the defaults may change, and the form must not.
            let limits = Limits {
                memory_max_bytes: 4_194_304,
                table_elements_max: 20_000,
                instances_max: 32,
                fuel: 50_000_000,
                deadline_ms: 250,
                copied_max_bytes: 262_144,
                output_max_bytes: 65_536,
                findings_max: 64,
                notes_max: 33,
            };
            let binding = |id: &str, scope| {
                (id.to_owned(), Digest::of(b"component"), Digest::of(b"settings"), scope, limits.clone())
            };
            let bindings = vec![binding("adolescent", scope), binding("law", Scope::default())];
            Self { organization: "riverside", policies: Digest::of(b"policies"), bindings }
        }

        fn digest(&self) -> Digest {
            let organization = OrganizationId::new(self.organization).unwrap();
            let bound = self.bindings.iter().map(|(id, component, settings, scope, limits)| Bound {
                id,
                component: *component,
                settings: *settings,
                scope,
                limits,
            });
            counted(&organization, &self.policies, bound)
        }

        fn with(&self, change: impl FnOnce(&mut Self)) -> Digest {
            let mut changed = self.clone();
            change(&mut changed);
            changed.digest()
        }
    }

    /// Counted apart from this code, from the form as it is described. Whoever sees this fail has changed what
    /// recorded releases are called.
    #[test]
    fn the_digest_of_a_release_stays_what_it_is() {
        let expected = "f8cb519f4d35cf3b86a2ad6b5863c694d1b10c489a4543850286526773030a15";
        assert_eq!(Parts::new().digest().to_string(), expected);
    }

    #[test]
    fn each_part_of_a_release_changes_its_digest() {
        let parts = Parts::new();
        let name = || "x".to_owned();
        let mut digests = vec![
            parts.digest(),
            parts.with(|p| p.organization = "hillside"),
            parts.with(|p| p.policies = Digest::of(b"others")),
            parts.with(|p| p.bindings.truncate(1)),
            parts.with(|p| p.bindings.clear()),
            parts.with(|p| p.bindings.push(p.bindings[1].clone())),
        ];
        for index in 0..2 {
            digests.extend([
                parts.with(|p| p.bindings[index].0.push('s')),
                parts.with(|p| p.bindings[index].1 = Digest::of(b"another")),
                parts.with(|p| p.bindings[index].2 = Digest::of(b"another")),
                parts.with(|p| _ = p.bindings[index].3.actions.insert(name())),
                parts.with(|p| _ = p.bindings[index].3.resources.insert(name())),
                parts.with(|p| _ = p.bindings[index].3.labels.insert(name())),
                parts.with(|p| p.bindings[index].4.memory_max_bytes += 1),
                parts.with(|p| p.bindings[index].4.table_elements_max += 1),
                parts.with(|p| p.bindings[index].4.instances_max += 1),
                parts.with(|p| p.bindings[index].4.fuel += 1),
                parts.with(|p| p.bindings[index].4.deadline_ms += 1),
                parts.with(|p| p.bindings[index].4.copied_max_bytes += 1),
                parts.with(|p| p.bindings[index].4.output_max_bytes += 1),
                parts.with(|p| p.bindings[index].4.findings_max += 1),
                parts.with(|p| p.bindings[index].4.notes_max += 1),
            ]);
        }
        let different: BTreeSet<_> = digests.iter().copied().collect();
        assert_eq!(different.len(), digests.len());
    }

    #[test]
    fn what_moves_from_one_list_or_name_to_the_next_changes_the_digest() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let scopes = [
            Scope { actions: names(&["a", "b"]), ..Scope::default() },
            Scope { actions: names(&["a"]), resources: names(&["b"]), ..Scope::default() },
            Scope { resources: names(&["a", "b"]), ..Scope::default() },
            Scope { actions: names(&["a"]), labels: names(&["b"]), ..Scope::default() },
            Scope { actions: names(&["ab"]), ..Scope::default() },
            Scope { actions: names(&["a\", \"b"]), ..Scope::default() },
            Scope { actions: names(&["", "ab"]), ..Scope::default() },
        ];
        let digests = scopes.clone().map(|scope| Parts::new().with(|p| p.bindings[0].3 = scope));
        assert_eq!(BTreeSet::from(digests).len(), scopes.len());
    }
}
