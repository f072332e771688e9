//! What is said of a decision, and to whom.
//!
//! Two audiences. The caller's view may be shown to the person who asked:
//! INVARIANT (absent looks like forbidden): a denial that must not tell whether the record exists,
//! or what is in it, has the same caller's view as a record that does not exist: an empty one. The
//! full view names policies, findings, grounds and facts, for callers with the right to explain.

use std::collections::BTreeMap;
use std::fmt;

use assent_model::{
    Cause, DecisionFacts, Digest, Effect, Obligation, PluginFailure, PolicyError, PolicyNote, Remedy, Value,
    Verdict, VerdictEffect,
};
use serde::Serialize;

use crate::caller::Caller;
use crate::combine::{Decision, Problem};
use crate::decide::{Question, SUPPORTED_OBLIGATIONS, host_context};
use crate::release::Release;

/// What may be shown to the person who asked. Empty where nothing may be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallerView {
    /// Sentences, sorted.
    pub reasons: Vec<Reason>,
    /// What would turn the denial into a permit.
    pub remedies: Vec<Remedy>,
    /// What to do all the same, because of the denial; or with the permit.
    pub obligations: Vec<Obligation>,
    /// What may be done with the permit.
    pub advice: Vec<Obligation>,
}

/// One reason for a denial.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The policy's id, or the plugin's code for the rule.
    pub code: String,
    /// A sentence for the person who asked.
    pub message: String,
}

/// INVARIANT (no patient in logs): code and message can be a plugin's own text.
impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reason(<redacted>)")
    }
}

/// What may be shown to the person who asked.
pub fn caller_view(decision: &Decision) -> CallerView {
    let permits = decision.effect() == Effect::Permit;
    if !permits && !may_speak(decision) {
        return CallerView::default();
    }
    let mut reasons: Vec<Reason> = if permits { vec![] } else { open_reasons(decision).collect() };
    reasons.sort();
    reasons.dedup();
    CallerView {
        reasons,
        remedies: decision.remedies().into_iter().cloned().collect(),
        obligations: decision.obligations().to_vec(),
        advice: decision.advice().to_vec(),
    }
}

/// Whether a denial may be explained to the person who asked: a definite "no", of which nobody
/// said that it must look like an absent record. "Could not say" is never explained to them, and
/// a policy without a message says nothing. Where Cedar denies and would speak, the plugins have been
/// asked as well ([`crate::judge`]), so that a record they hide stays hidden.
fn may_speak(decision: &Decision) -> bool {
    decision.cause() == Cause::Forbidden
        && decision.findings().flat_map(|findings| &findings.denials).all(|denial| !denial.neutral)
        && decision.findings().all(|findings| findings.reviews.is_empty())
        && decision.outcomes().iter().all(|outcome| outcome.result.is_ok())
        && decision.verdict().is_some_and(|verdict| match verdict.effect {
            VerdictEffect::Forbidden => forbids_may_speak(verdict),
            VerdictEffect::Permit => true,
            VerdictEffect::NoPolicy | VerdictEffect::Indeterminate(_) => false,
        })
}

/// Whether the satisfied forbids may be told: each has a message, the subject would otherwise have
/// had access (or the rule reveals existence on purpose), and no forbid failed.
pub(crate) fn forbids_may_speak(verdict: &Verdict) -> bool {
    verdict.effect == VerdictEffect::Forbidden
        && verdict.errors.iter().all(|error| error.permits)
        && verdict
            .determining
            .iter()
            .all(|note| note.message.is_some() && (verdict.permit_satisfied || note.reveals))
}

fn open_reasons(decision: &Decision) -> impl Iterator<Item = Reason> {
    let forbids = decision.verdict().into_iter().flat_map(|verdict| &verdict.determining);
    let from_policies = forbids
        .filter(|note| !note.permits)
        .filter_map(|note| Some(Reason { code: note.id.clone(), message: note.message.clone()? }));
    let denials = decision.findings().flat_map(|findings| &findings.denials);
    from_policies
        .chain(denials.map(|denial| Reason { code: denial.code.clone(), message: denial.message.clone() }))
}

/// Everything there is to say about a decision.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FullView {
    /// Permit or deny.
    pub effect: Effect,
    /// Why.
    pub cause: Cause,
    /// The release that decided.
    pub release: Digest,
    /// The snapshot of facts.
    pub facts: Digest,
    /// The determining policies, with intent and source.
    pub policies: Vec<PolicyNote>,
    /// Policies that could not be evaluated.
    pub policy_errors: Vec<PolicyError>,
    /// Each plugin in scope: what it found, or how it failed.
    pub plugins: Vec<PluginView>,
    /// Why it could not be said.
    pub problems: Vec<Problem>,
    /// The facts that the determining policies and the plugins read, by path: the value, or why
    /// there is none.
    pub facts_read: BTreeMap<String, FactView>,
    /// What the caller sent and nothing looked at, by path, such as `resource.properties.labels`: the
    /// schema does not let callers supply it, or does not know it. Never a value.
    pub ignored: Vec<String>,
    /// What would turn the denial into a permit.
    pub remedies: Vec<Remedy>,
    /// Obligations of the answer.
    pub obligations: Vec<Obligation>,
    /// Advice of the answer.
    pub advice: Vec<Obligation>,
}

/// INVARIANT (no patient in logs): what was ignored has names that the caller chose.
impl fmt::Debug for FullView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FullView({}, release {})", self.cause.code(), self.release)
    }
}

/// One plugin's part in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginView {
    /// The binding's id.
    pub binding: String,
    /// Name and version.
    pub plugin: String,
    /// The digest of the component.
    pub component: Digest,
    /// What it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<assent_model::Findings>,
    /// How it failed, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// Fuel used.
    pub fuel_used: u64,
}

/// A plugin's failure, for its author.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// The kind, as in metrics.
    pub code: &'static str,
    /// What exactly.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

/// INVARIANT (no patient in logs): the message may hold the guest's own words.
impl fmt::Debug for FailureView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailureView({})", self.code)
    }
}

/// One fact that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactView {
    /// Its value.
    Value(Value),
    /// Why there is none.
    Absent(&'static str),
}

/// Everything there is to say about a decision, for callers with the right to explain.
pub fn full_view(release: &Release, caller: &Caller, question: &Question, decision: &Decision) -> FullView {
    // Taken again from the same snapshot with the same clock, so it is the same question.
    let host = host_context(caller, question.at);
    let prepared = release.policies().prepare(release.snapshot(), &question.request, &host).ok();
    FullView {
        effect: decision.effect(),
        cause: decision.cause(),
        release: release.digest(),
        facts: release.snapshot().digest(),
        policies: decision.verdict().map(|v| v.determining.clone()).unwrap_or_default(),
        policy_errors: decision.verdict().map(|v| v.errors.clone()).unwrap_or_default(),
        plugins: decision.outcomes().iter().map(plugin_view).collect(),
        problems: decision.problems().to_vec(),
        facts_read: prepared
            .as_ref()
            .map(|prepared| facts_read(release, &prepared.facts, decision))
            .unwrap_or_default(),
        ignored: prepared.map(|prepared| ignored(prepared.ignored)).unwrap_or_default(),
        remedies: decision.remedies().into_iter().cloned().collect(),
        obligations: decision.obligations().to_vec(),
        advice: decision.advice().to_vec(),
    }
}

fn plugin_view(outcome: &assent_model::BindingOutcome) -> PluginView {
    PluginView {
        binding: outcome.binding.clone(),
        plugin: outcome.plugin.clone(),
        component: outcome.component,
        findings: outcome.result.as_ref().ok().cloned(),
        failure: outcome.result.as_ref().err().map(|PluginFailure { kind, message }| FailureView {
            code: kind.code(),
            message: message.clone(),
            advice: kind.advice(),
        }),
        fuel_used: outcome.fuel_used,
    }
}

/// What the policies did not look at, less what the engine itself reads.
fn ignored(mut paths: Vec<String>) -> Vec<String> {
    paths.retain(|path| path.strip_prefix("context.") != Some(SUPPORTED_OBLIGATIONS));
    paths.sort();
    paths.dedup();
    paths
}

/// The facts that the determining policies read and the plugins were handed.
fn facts_read(release: &Release, facts: &DecisionFacts, decision: &Decision) -> BTreeMap<String, FactView> {
    paths_read(release, decision).map(|path| (path.to_owned(), fact_view(facts, path))).collect()
}

/// The paths that the determining policies read and the plugins that were asked need.
pub(crate) fn paths_read<'a>(release: &'a Release, decision: &'a Decision) -> impl Iterator<Item = &'a str> {
    let called = |binding: &str| decision.outcomes().iter().any(|outcome| outcome.binding == binding);
    let bindings = release.bindings().iter().filter(move |binding| called(binding.plugin.binding()));
    let determining = |id: &str| {
        decision.verdict().is_some_and(|verdict| verdict.determining.iter().any(|note| note.id == id))
    };
    let policies = release.policies().notes().filter(move |info| determining(&info.note.id));
    bindings
        .flat_map(|binding| &binding.plugin.needs().attributes)
        .chain(policies.flat_map(|info| &info.reads))
        .map(String::as_str)
}

fn fact_view(facts: &DecisionFacts, path: &str) -> FactView {
    match facts.attribute(path) {
        Ok(value) => FactView::Value(value.clone()),
        Err(absence) => FactView::Absent(absence.code()),
    }
}
