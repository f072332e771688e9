//! Precedence, in one pure function: Cedar's verdict and the plugins' findings become a decision.
//!
//! INVARIANT (plugins only narrow), INVARIANT (an erroring policy never permits), INVARIANT (a
//! failed plugin never permits), INVARIANT (order never matters): all four are properties of
//! [`combine`] alone, and are tested against a naive model beside it. A permit cannot be made
//! anywhere else, because the field that says so is private to this file.

use std::collections::BTreeSet;
use std::fmt;

use assent_model::{
    BindingOutcome, Cause, Effect, Obligation, ObligationCode, PluginFailure, Remedy, Verdict, VerdictEffect,
};
use assent_policy::Unprepared;
use serde::{Deserialize, Serialize};

use crate::caller::Obligations;
use crate::hold::Held;

/// Everything that a decision is made of.
#[derive(Clone)]
pub struct Ingredients<'a> {
    /// What Cedar said; or why the question could not be put to it.
    pub verdict: Result<Verdict, Unprepared>,
    /// What each binding in scope answered. The order does not matter.
    pub outcomes: Vec<BindingOutcome>,
    /// What the caller is registered to honour.
    pub registered: &'a Obligations,
    /// What the caller said with this request that it can honour, as codes or as AuthZEN
    /// obligation types; `None`: it did not say.
    pub supported: Option<&'a BTreeSet<String>>,
}

/// INVARIANT (no patient in logs): what the caller stated is counted; all else prints for itself.
impl fmt::Debug for Ingredients<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingredients")
            .field("verdict", &self.verdict)
            .field("outcomes", &self.outcomes)
            .field("registered", &self.registered)
            .field("supported", &self.supported.map(BTreeSet::len))
            .finish()
    }
}

/// Why it could not be said.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem; a metric label.
    pub code: ProblemCode,
    /// Which one, without any value of the request; for the full explanation.
    pub detail: String,
}

/// INVARIANT (no patient in logs): a detail can name an obligation by a code of a plugin's own
/// making, so the kind alone is printed.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({})", self.code.code())
    }
}

/// Kinds of problem that end in `indeterminate`; and a hold, which forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The question could not be put: an unknown entity, type or action, or a malformed attribute.
    Question,
    /// A policy could not be evaluated.
    Policy,
    /// A plugin failed.
    Plugin,
    /// The caller cannot honour an obligation that a permit would carry.
    ObligationUnsupported,
    /// Too many of the organization's decisions were being made already.
    Busy,
    /// The decision could not be recorded.
    Record,
    /// The facts are older than they may be: other nodes may have changed them.
    Stale,
    /// Who or what the question needs is on hold.
    Held,
    /// The service failed within.
    Internal,
}

impl ProblemCode {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Question,
        Self::Policy,
        Self::Plugin,
        Self::ObligationUnsupported,
        Self::Busy,
        Self::Record,
        Self::Stale,
        Self::Held,
        Self::Internal,
    ];

    /// The kind as a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Policy => "policy",
            Self::Plugin => "plugin",
            Self::ObligationUnsupported => "obligation-unsupported",
            Self::Busy => "busy",
            Self::Record => "record",
            Self::Stale => "stale",
            Self::Held => "held",
            Self::Internal => "internal",
        }
    }
}

/// The combined answer. Permits are made by [`combine`] and by nothing else: the fields are
/// private, there is no other constructor that permits, and it cannot be deserialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    cause: Cause,
    verdict: Option<Verdict>,
    outcomes: Vec<BindingOutcome>,
    obligations: Vec<Obligation>,
    advice: Vec<Obligation>,
    problems: Vec<Problem>,
    #[serde(skip)]
    unprepared: Option<Unprepared>,
}

impl Decision {
    /// Permit or deny.
    pub const fn effect(&self) -> Effect {
        match self.cause {
            Cause::Permit => Effect::Permit,
            Cause::Forbidden | Cause::NoPolicy | Cause::Indeterminate => Effect::Deny,
        }
    }

    /// Why.
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// What Cedar said; `None` where the question could not be put to it.
    pub const fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What each binding in scope answered, by binding id.
    pub fn outcomes(&self) -> &[BindingOutcome] {
        &self.outcomes
    }

    /// What the caller must do with a permit; on a denial, what it should do all the same
    /// (queue a review, notify). Sorted, without repetition.
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// What the caller may do. Sorted, without repetition.
    pub fn advice(&self) -> &[Obligation] {
        &self.advice
    }

    /// Why it could not be said, or what is on hold; empty where policies and plugins decided.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Why the question could not be put to the policies, where that is so.
    pub const fn unprepared(&self) -> Option<&Unprepared> {
        self.unprepared.as_ref()
    }

    /// What would turn the denial into a permit. Sorted, without repetition.
    pub fn remedies(&self) -> Vec<&Remedy> {
        if self.cause == Cause::Permit {
            return vec![];
        }
        let from_policies = self.verdict.iter().flat_map(|v| &v.determining).flat_map(|note| &note.remedies);
        let from_plugins = self.findings().flat_map(|f| &f.denials).flat_map(|denial| &denial.remedies);
        let remedies: BTreeSet<_> = from_policies.chain(from_plugins).collect();
        remedies.into_iter().collect()
    }

    /// What the plugins that answered have found.
    pub fn findings(&self) -> impl Iterator<Item = &assent_model::Findings> {
        self.outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok())
    }

    /// The same decision, denied because it could not be recorded.
    /// INVARIANT (receipt before permit).
    #[must_use]
    pub fn unrecorded(self, detail: impl Into<String>) -> Self {
        self.denied_for(Problem { code: ProblemCode::Record, detail: detail.into() })
    }

    /// The same decision, denied because the facts that it was made on are older than they may be.
    #[must_use]
    pub fn stale(self) -> Self {
        let detail = "the database of the state was not heard of for too long";
        self.denied_for(Problem { code: ProblemCode::Stale, detail: detail.to_owned() })
    }

    /// A denial because the service itself failed.
    pub fn internal_failure(detail: impl Into<String>) -> Self {
        Self::unjudged(ProblemCode::Internal, detail)
    }

    /// A denial because no thread could be had to judge the question.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::unjudged(ProblemCode::Busy, detail)
    }

    /// A denial because something is on hold.
    pub fn held(held: &Held) -> Self {
        Self { cause: Cause::Forbidden, ..Self::unjudged(ProblemCode::Held, held.to_string()) }
    }

    fn unjudged(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            cause: Cause::Indeterminate,
            verdict: None,
            outcomes: vec![],
            obligations: vec![],
            advice: vec![],
            problems: vec![Problem { code, detail: detail.into() }],
            unprepared: None,
        }
    }

    fn denied_for(mut self, problem: Problem) -> Self {
        self.cause = Cause::Indeterminate;
        self.problems.push(problem);
        self.problems.sort();
        self.obligations.retain(|obligation| follows_denial(&obligation.code));
        self.advice.clear();
        self
    }
}

/// Combines verdict and findings.
///
/// ```text
/// permit  ⇔  Cedar permits, and no forbid failed to evaluate
///         ∧  every plugin in scope answered within its limits, without a denial
///         ∧  the caller is registered for every obligation that results
/// ```
/// The fourth condition, a durable record, is [`crate::record_decision`]'s. A definite "no" comes before
/// "could not say"; both deny.
pub fn combine(ingredients: Ingredients<'_>) -> Decision {
    let Ingredients { verdict, mut outcomes, registered, supported } = ingredients;
    outcomes.sort_by(|a, b| a.binding.cmp(&b.binding));
    outcomes.iter_mut().for_each(normalize);

    let mut problems = vec![];
    let (verdict, unprepared) = match verdict {
        Ok(verdict) => (Some(verdict), None),
        Err(unprepared) => {
            problems.push(Problem { code: ProblemCode::Question, detail: unprepared.to_string() });
            (None, Some(unprepared))
        }
    };
    if let Some(Verdict { effect: VerdictEffect::Indeterminate(detail), .. }) = &verdict {
        problems.push(Problem { code: ProblemCode::Policy, detail: detail.clone() });
    }
    for outcome in &outcomes {
        if let Err(PluginFailure { kind, .. }) = &outcome.result {
            let detail = format!("`{}`: {}", outcome.binding, kind.code());
            problems.push(Problem { code: ProblemCode::Plugin, detail });
        }
    }

    let denied_by_plugin =
        outcomes.iter().any(|outcome| outcome.result.as_ref().is_ok_and(|findings| !findings.allows()));
    let failed_plugin = outcomes.iter().any(|outcome| outcome.result.is_err());
    let cause = match verdict.as_ref().map(|verdict| &verdict.effect) {
        None | Some(VerdictEffect::Indeterminate(_)) => Cause::Indeterminate,
        Some(VerdictEffect::Forbidden) => Cause::Forbidden,
        Some(VerdictEffect::NoPolicy) => Cause::NoPolicy,
        Some(VerdictEffect::Permit) if denied_by_plugin => Cause::Forbidden,
        Some(VerdictEffect::Permit) if failed_plugin => Cause::Indeterminate,
        Some(VerdictEffect::Permit) => Cause::Permit,
    };

    let notes = || verdict.iter().flat_map(|verdict| &verdict.determining);
    let findings = || outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok());
    let obligations =
        sorted(notes().flat_map(|note| &note.obligations).chain(findings().flat_map(|f| &f.obligations)));
    let advice = sorted(notes().flat_map(|note| &note.advice).chain(findings().flat_map(|f| &f.advice)));
    let unsupported: Vec<String> = obligations
        .iter()
        .filter(|o| {
            let stated = |names: &BTreeSet<String>| {
                names.contains(o.code.as_str()) || names.contains(o.code.authzen_type())
            };
            !registered.contains(&o.code) || !supported.is_none_or(stated)
        })
        .map(|obligation| format!("`{}`", obligation.code))
        .collect();

    let decision = Decision { cause, verdict, outcomes, obligations, advice, problems, unprepared };
    match cause {
        Cause::Permit if unsupported.is_empty() => Decision { problems: vec![], ..decision },
        Cause::Permit => decision.denied_for(Problem {
            code: ProblemCode::ObligationUnsupported,
            detail: format!("the caller cannot honour {}", unsupported.join(", ")),
        }),
        Cause::Indeterminate => Decision { problems: sorted(&decision.problems), ..denial(decision) },
        Cause::Forbidden | Cause::NoPolicy => Decision { problems: vec![], ..denial(decision) },
    }
}

/// A denial carries no obligations of a permit, only what should happen because of the denial.
fn denial(mut decision: Decision) -> Decision {
    decision.obligations.retain(|obligation| follows_denial(&obligation.code));
    decision.advice.clear();
    decision
}

/// Whether an obligation is something to do when access is denied.
fn follows_denial(code: &ObligationCode) -> bool {
    match code {
        ObligationCode::Audit
        | ObligationCode::HumanReview
        | ObligationCode::RouteToClinician
        | ObligationCode::NeutralReason
        | ObligationCode::ReviewRightNotice
        | ObligationCode::PaperRequestRoute
        | ObligationCode::Notify
        | ObligationCode::NotifyWithoutPhi
        | ObligationCode::StepUp
        | ObligationCode::SessionTermination => true,
        ObligationCode::AccountDisclosure
        | ObligationCode::Redact
        | ObligationCode::Mask
        | ObligationCode::MinimumNecessary
        | ObligationCode::Deidentify
        | ObligationCode::Pseudonymize
        | ObligationCode::Anonymize
        | ObligationCode::Watermark
        | ObligationCode::Encrypt
        | ObligationCode::DataLossPrevention
        | ObligationCode::RedisclosureNotice
        | ObligationCode::AttachConsent
        | ObligationCode::Segregate
        | ObligationCode::PrivacyMark
        | ObligationCode::NoPersist
        | ObligationCode::SuppressBillingDetail
        | ObligationCode::BreakGlassReview
        | ObligationCode::Custom(_) => false,
    }
}

/// INVARIANT (order never matters): findings are kept sorted, and repetition says nothing new.
/// Notes are the author's own text and stay as they are.
fn normalize(outcome: &mut BindingOutcome) {
    if let Ok(findings) = &mut outcome.result {
        findings.obligations = sorted(&findings.obligations);
        findings.advice = sorted(&findings.advice);
        findings.denials = sorted(&findings.denials);
        findings.reviews = sorted(&findings.reviews);
    }
}

fn sorted<'a, T: Ord + Clone + 'a>(items: impl IntoIterator<Item = &'a T>) -> Vec<T> {
    items.into_iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
