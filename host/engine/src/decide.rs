//! One decision, from the question to the answer.
//!
//! INVARIANT (one release per decision), INVARIANT (receipt before permit).

use std::collections::{BTreeMap, BTreeSet};

use assent_model::{DecisionId, Instant, Request, Value, VerdictEffect};
use assent_policy::HostContext;

use crate::caller::Caller;
use crate::combine::{Decision, Ingredients, combine};
use crate::explain::forbids_may_speak;
use crate::record::{DecisionRecord, Receipt, Recorder};
use crate::release::Release;

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

/// Decides and records.
///
/// The commit point is the receipt: nothing before it may answer. A crash before it leaves no
/// record and no answer; a crash after it leaves a record of an answer that may not have arrived,
/// and the caller, having no answer, must deny.
pub async fn decide(
    release: &Release,
    caller: &Caller,
    question: Question,
    recorder: &dyn Recorder,
) -> Answer {
    let decision = judge(release, caller, &question);
    let id = question.id.clone();
    let record = DecisionRecord {
        id: question.id,
        organization: release.organization().clone(),
        caller: caller.clone(),
        at: question.at,
        release: release.digest(),
        facts: release.snapshot().digest(),
        request: question.request,
        explained: question.explain,
        decision: decision.clone(),
    };
    match recorder.record(record).await {
        Ok(receipt) => Answer { id, decision, receipt: Some(receipt) },
        Err(error) => Answer { id, decision: decision.unrecorded(error.to_string()), receipt: None },
    }
}

/// Decides, without recording: a pure function of release, caller and question.
pub fn judge(release: &Release, caller: &Caller, question: &Question) -> Decision {
    let supported = supported_obligations(&question.request);
    let (verdict, outcomes) = match release.policies().prepare(
        release.snapshot(),
        &question.request,
        &host_context(caller, question.at),
    ) {
        Err(unprepared) => (Err(unprepared), vec![]),
        Ok(prepared) => {
            let verdict = release.policies().evaluate(&prepared);
            // A denial by Cedar needs no plugin, for no finding could change it; but before it may
            // explain itself, every plugin must agree that it may:
            // INVARIANT (absent looks like forbidden).
            let ask_plugins =
                verdict.effect == VerdictEffect::Permit || forbids_may_speak(&verdict) || question.explain;
            let in_scope = release.bindings().iter().filter(|_| ask_plugins);
            let outcomes = in_scope
                .filter(|binding| binding.scope.contains(&prepared.facts))
                .map(|binding| binding.plugin.call(&prepared.facts, release.slots()))
                .collect();
            (Ok(verdict), outcomes)
        }
    };
    combine(Ingredients { verdict, outcomes, registered: &caller.obligations, supported: supported.as_ref() })
}

/// What the host adds to the context: its clock, and what it knows of the caller.
pub fn host_context(caller: &Caller, at: Instant) -> HostContext {
    let environment = Value::Text(caller.environment.clone());
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
