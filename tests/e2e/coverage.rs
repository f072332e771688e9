//! Coverage of intent: every policy, every action, every plugin and every cause has a case.

use std::collections::BTreeSet;

use assent_cli::commands;
use assent_model::{Cause, Effect};

use crate::support::{CLINICS, POLICIES, World};

struct Seen {
    policies: BTreeSet<String>,
    actions: BTreeSet<String>,
    causes: BTreeSet<Cause>,
    plugins_denying: BTreeSet<String>,
    plugins_agreeing: BTreeSet<String>,
}

fn seen(worlds: &[&World]) -> Seen {
    let mut seen = Seen {
        policies: BTreeSet::new(),
        actions: BTreeSet::new(),
        causes: BTreeSet::new(),
        plugins_denying: BTreeSet::new(),
        plugins_agreeing: BTreeSet::new(),
    };
    for world in worlds {
        let report = commands::test::run_all(&world.deployment, &world.built, None).unwrap();
        for outcome in report.outcomes {
            let Some(decision) = outcome.decision else { continue };
            seen.causes.insert(decision.cause());
            seen.actions.insert(outcome.case.request.action.name.clone());
            let determining = decision.verdict().into_iter().flat_map(|verdict| &verdict.determining);
            seen.policies.extend(determining.map(|note| note.id.clone()));
            for plugin in decision.outcomes() {
                match &plugin.result {
                    Ok(findings) if findings.allows() && decision.effect() == Effect::Permit => {
                        seen.plugins_agreeing.insert(plugin.binding.clone());
                    }
                    Ok(findings) if !findings.allows() => {
                        seen.plugins_denying.insert(plugin.binding.clone());
                    }
                    _ => {}
                }
            }
        }
    }
    seen
}

#[test]
fn every_policy_determines_a_case() {
    let worlds = [&*CLINICS, &*POLICIES];
    let seen = seen(&worlds);
    let mut missing = BTreeSet::new();
    for organization in worlds.iter().flat_map(|world| &world.built.organizations) {
        for note in organization.release.policies().notes() {
            if !seen.policies.contains(&note.note.id) {
                missing.insert(note.note.id.clone());
            }
        }
    }
    assert!(missing.is_empty(), "no case is determined by: {missing:?}");
}

#[test]
fn every_action_and_every_cause_has_a_case() {
    let seen = seen(&[&CLINICS, &POLICIES]);
    let actions = POLICIES.built.organizations[0].release.policies().action_names();
    let missing: Vec<_> = actions.iter().filter(|name| !seen.actions.contains(*name)).collect();
    assert!(missing.is_empty(), "no case asks for: {missing:?}");
    assert_eq!(seen.causes, Cause::ALL.iter().copied().collect());
}

#[test]
fn every_plugin_denies_in_a_case_and_agrees_in_another() {
    let seen = seen(&[&CLINICS]);
    for organization in &CLINICS.built.organizations {
        for binding in organization.release.bindings() {
            let id = binding.plugin.binding();
            assert!(seen.plugins_denying.contains(id), "no case in which `{id}` denies");
            assert!(seen.plugins_agreeing.contains(id), "no case in which `{id}` agrees to a permit");
        }
    }
}
