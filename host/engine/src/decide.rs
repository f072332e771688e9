//! One decision, from the question to the answer.
//!
//! INVARIANT (one release per decision), INVARIANT (receipt before permit).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use assent_model::{DecisionFacts, DecisionId, Effect, EntityId, Instant, Request, Value, VerdictEffect};
use assent_plugin::Answered;
use assent_policy::HostContext;

use crate::caller::Caller;
use crate::combine::{Decision, Ingredients, combine};
use crate::describe::{Provenance, describe};
use crate::explain::forbids_may_speak;
use crate::record::{Receipt, Recorder};
use crate::release::{Binding, Release};

/// One question with everything that a decision depends on. The clock and the id are inputs.
#[derive(Clone, Debug)]
pub struct Question {
    /// The id the decision will have.
    pub id: DecisionId,
    /// The host's clock.
    pub at: Instant,
    /// What is asked.
    pub request: Request,
    /// Whether to ask the plugins although Cedar denies, so that the explanation is whole.
    pub explain: bool,
}

/// A decision that has been recorded; or a denial that could not be.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The decision's id.
    pub id: DecisionId,
    /// The decision.
    pub decision: Decision,
    /// Where its record is; `None` where it could not be recorded (and so was denied).
    pub receipt: Option<Receipt>,
}

/// A decision with what it was made on.
#[derive(Debug)]
pub struct Judged {
    /// The decision.
    pub decision: Decision,
    /// The facts, for its record; `None` where the question could not be put, or was not.
    pub facts: Option<DecisionFacts>,
    /// The approvals without which a plugin would not have agreed to this permit. Each is to be counted as used before
    /// the decision is recorded: INVARIANT (an approval is used as often as it says).
    pub uses: BTreeSet<EntityId>,
}

impl From<Decision> for Judged {
    fn from(decision: Decision) -> Self {
        Self { decision, facts: None, uses: BTreeSet::new() }
    }
}

/// Records the decision that [`judge`] made of this question, and makes it an answer.
///
/// The commit point is the receipt: nothing before it may answer. A crash before it leaves no
/// record and no answer; a crash after it leaves a record of an answer that may not have arrived,
/// and the caller, having no answer, must deny.
pub async fn record_decision(
    release: &Release,
    caller: &Caller,
    question: Question,
    judged: Judged,
    provenance: Provenance,
    recorder: &dyn Recorder,
) -> Answer {
    let event = describe(release, caller, &question, &judged, provenance);
    let decision = judged.decision;
    let Question { id, at, .. } = question;
    match recorder.record(at, event).await {
        Ok(receipt) => Answer { id, decision, receipt: Some(receipt) },
        Err(error) => Answer { id, decision: decision.unrecorded(error.to_string()), receipt: None },
    }
}

/// Decides, without recording: a pure function of release, caller and question. Blocks for as long
/// as the plugins may take; see [`Release::may_run_long`]. Never panics.
pub fn judge(release: &Release, caller: &Caller, question: &Question) -> Judged {
    contained(|| judgement(release, caller, question))
}

/// A panic is a bug, and a denial that must be on record like any other answer: so it ends here,
/// and not in the task that would have recorded it.
fn contained(judgement: impl FnOnce() -> Judged) -> Judged {
    // Everything that was borrowed is immutable, so nobody sees what the panic left behind.
    catch_unwind(AssertUnwindSafe(judgement))
        .unwrap_or_else(|_payload| Decision::internal_failure("judging the question panicked").into())
}

fn judgement(release: &Release, caller: &Caller, question: &Question) -> Judged {
    let holds = release.state().map(|state| &*state.holds);
    if let Some(held) = holds.and_then(|holds| holds.of_caller(caller)) {
        return Decision::held(&held).into();
    }
    let supported = supported_obligations(&question.request);
    let (verdict, answers, facts) = match release.policies().prepare(
        release.snapshot(),
        &question.request,
        &host_context(caller, question.at),
    ) {
        Err(unprepared) => (Err(unprepared), vec![], None),
        Ok(prepared) => {
            if let Some(held) = holds.and_then(|holds| holds.of_subject(&prepared.facts)) {
                return Judged { facts: Some(prepared.facts), ..Decision::held(&held).into() };
            }
            let verdict = release.policies().evaluate(&prepared);
            // A denial by Cedar needs no plugin, for no finding could change it; but before it may
            // explain itself, every plugin must agree that it may:
            // INVARIANT (absent looks like forbidden).
            let ask_plugins =
                verdict.effect == VerdictEffect::Permit || forbids_may_speak(&verdict) || question.explain;
            let asked = release.bindings().iter().filter(|_| ask_plugins);
            let in_scope: Vec<_> = asked.filter(|binding| binding.scope.contains(&prepared.facts)).collect();
            let held = |binding: &&Binding| holds.and_then(|holds| holds.of_plugin(binding.plugin.binding()));
            if let Some(held) = in_scope.iter().find_map(held) {
                return Judged { facts: Some(prepared.facts), ..Decision::held(&held).into() };
            }
            let answers: Vec<_> = in_scope
                .into_iter()
                .map(|binding| binding.plugin.call(&prepared.facts, release.slots()))
                .collect();
            (Ok(verdict), answers, Some(prepared.facts))
        }
    };
    let (outcomes, uses): (_, Vec<_>) =
        answers.into_iter().map(|Answered { outcome, uses }| (outcome, uses)).unzip();
    let registered = &caller.obligations;
    let decision = combine(Ingredients { verdict, outcomes, registered, supported: supported.as_ref() });
    let uses = match decision.effect() {
        Effect::Permit => uses.into_iter().flatten().collect(),
        Effect::Deny => BTreeSet::new(),
    };
    Judged { decision, facts, uses }
}

/// What the host adds to the context: its clock, and what it knows of the caller.
pub fn host_context(caller: &Caller, at: Instant) -> HostContext {
    let environment = Value::Text(caller.environment.as_str().into());
    HostContext { now: at, values: BTreeMap::from([("callerEnvironment".to_owned(), environment)]) }
}

/// The member of the context in which a caller says what it can honour.
pub(crate) const SUPPORTED_OBLIGATIONS: &str = "supported_obligations";

/// The obligations that the caller said, with this request, it can honour: a list of types or
/// codes in `context.supported_obligations` (AuthZEN obligations profile, draft 1). Anything else
/// there is taken as "none", because a permit must not rest on a misunderstanding.
fn supported_obligations(request: &Request) -> Option<BTreeSet<String>> {
    let stated = request.context.get(SUPPORTED_OBLIGATIONS)?;
    let names = stated.as_array().map_or(&[][..], Vec::as_slice);
    Some(names.iter().filter_map(|name| name.as_str()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use assent_model::Cause;

    use super::*;
    use crate::combine::ProblemCode;

    #[test]
    fn a_panic_while_judging_is_a_denial_that_can_be_recorded() {
        let decision = contained(|| panic!("expected by this test")).decision;
        assert_eq!(decision.cause(), Cause::Indeterminate);
        assert_eq!(decision.problems()[0].code, ProblemCode::Internal);
        assert!(!decision.problems()[0].detail.contains("expected"));
    }
}
