//! Decides and records what one request asks, in a task that outlives its client.
//!
//! Ids: one draw of 128 bits for a request. A single decision has that id. The items of a batch
//! have it with its last four digits replaced by their position, so the one `X-Decision-ID` of a
//! batch (the id of its first item, ending in `0000`) names them all.
//!
//! INVARIANT (one release per decision): a batch too sees one release and one moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use assent_audit::record::Actor;
use assent_engine::state::{LiveTurn, Plan, StateError, spent};
use assent_engine::{
    Caller, Judged, ProblemCode, Provenance, Question, Release, caller_view, full_view, record_decision,
};
use assent_model::{DecisionId, Effect, EntityId, Remedy, Request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http::lane::Lane;
use crate::http::log::Tally;
use crate::service::{Served, Service};
use crate::wire::{Evaluations, Response, Semantic, WireError};

/// How many items of a batch the last four digits of an id can count.
pub(crate) const BATCH_ITEMS_MOST: u64 = 1 << BATCH_ITEM_BITS;
const BATCH_ITEM_BITS: u32 = 16;

/// How often it is tried to count the use of an approval where another node changes the state first. As with any change:
/// each time another node made progress; beyond, whoever asks may ask again.
const COUNT_ATTEMPTS: u32 = 5;

/// Who asks, whom, and when.
pub(super) struct Asker {
    pub(super) service: Arc<Service>,
    pub(super) caller: Arc<Caller>,
    pub(super) lane: Arc<Lane>,
    pub(super) release: Arc<Release>,
    pub(super) at: assent_model::Instant,
    pub(super) id_bits: u128,
    pub(super) explain: bool,
    /// The id that the caller gave its request.
    pub(super) request_id: Option<String>,
    /// The network address it called from.
    pub(super) address: Option<String>,
}

/// What is answered.
pub(super) struct Answers {
    /// The id of the decision, or of the first of a batch.
    pub(super) id: DecisionId,
    pub(super) asked: Asked,
    /// The highest position of the records in the log, if every decision made has one.
    pub(super) position: Option<u64>,
    pub(super) tally: Tally,
    /// Questions whose judging or recording ended in a panic.
    pub(super) panics: u32,
}

/// One answer or many, as asked.
pub(super) enum Asked {
    Single(Box<Response>),
    Batch(Vec<Response>),
}

/// Decides all questions. Judging does not panic; if recording a single question does, so does this,
/// and the task around it ends.
pub(super) async fn decide(asker: Arc<Asker>, questions: Evaluations) -> Answers {
    let (id, asked, total) = match questions {
        Evaluations::Single(request) => {
            let id = DecisionId::from_bits(asker.id_bits);
            let item = decide_one(&asker, id.clone(), *request).await;
            let mut total = Total::default();
            (id, Asked::Single(Box::new(total.add(item))), total)
        }
        Evaluations::Batch { semantic, items } => {
            let (responses, total) = match semantic {
                Semantic::ExecuteAll => all_at_once(&asker, items).await,
                Semantic::DenyOnFirstDeny | Semantic::PermitOnFirstPermit => {
                    one_by_one(&asker, items, semantic).await
                }
            };
            (asker.item_id(0), Asked::Batch(responses), total)
        }
    };
    Answers { id, asked, position: total.position(), tally: total.tally, panics: total.panics }
}

/// All items side by side, so that their records share the log's commits.
async fn all_at_once(asker: &Arc<Asker>, items: Vec<Result<Request, WireError>>) -> (Vec<Response>, Total) {
    let mut tasks = JoinSet::new();
    let mut decided: Vec<Option<Item>> = vec![];
    for (index, item) in items.into_iter().enumerate() {
        decided.push(item.as_ref().err().map(Item::malformed));
        if let Ok(request) = item {
            let asker = Arc::clone(asker);
            tasks.spawn(async move { (index, decide_one(&asker, asker.item_id(index), request).await) });
        }
    }
    while let Some(joined) = tasks.join_next().await {
        if let Ok((index, item)) = joined
            && let Some(place) = decided.get_mut(index)
        {
            *place = Some(item);
        }
    }
    let mut total = Total::default();
    // A place that is still empty is that of a task that panicked.
    let responses = decided.into_iter().map(|item| total.add(item.unwrap_or_else(Item::panicked))).collect();
    (responses, total)
}

/// Items in order, until the semantic says to stop.
async fn one_by_one(
    asker: &Arc<Asker>,
    items: Vec<Result<Request, WireError>>,
    semantic: Semantic,
) -> (Vec<Response>, Total) {
    let mut total = Total::default();
    let mut responses = vec![];
    for (index, item) in items.into_iter().enumerate() {
        let item = match item {
            Err(error) => Item::malformed(&error),
            Ok(request) => {
                let asker = Arc::clone(asker);
                let task =
                    tokio::spawn(async move { decide_one(&asker, asker.item_id(index), request).await });
                task.await.unwrap_or_else(|_panicked| Item::panicked())
            }
        };
        let response = total.add(item);
        let stop = semantic.stops_after(response.permits());
        responses.push(response);
        if stop {
            break;
        }
    }
    (responses, total)
}

async fn decide_one(asker: &Asker, id: DecisionId, request: Request) -> Item {
    let Asker { service, caller, lane, at, explain, .. } = asker;
    let question = Question { id, at: *at, request, explain: *explain };
    // The explanation needs the question after the record has taken it.
    let explained = explain.then(|| question.clone());
    let patience = service.limits.thread_patience();
    let begun = Instant::now();
    let (question, judged) = lane.judge(&asker.release, caller, question, patience).await;
    let (release, question, judged) = counted(asker, question, judged).await;
    let (release, judged) = (&release, on_fresh_facts(asker, judged));
    let provenance = Provenance {
        request_id: asker.request_id.clone(),
        address: asker.address.clone(),
        latency_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    };
    let recorder = service.recorder.as_ref();
    let template = template(asker, &judged);
    let answer = record_decision(release, caller, question, judged, provenance, recorder).await;
    if let Some(served) = service.served(release.organization()) {
        served.decisions.count(answer.decision.cause());
    }
    let view = caller_view(&answer.decision);
    let full = explained.map(|question| full_view(release, caller, &question, &answer.decision));
    let problems = answer.decision.problems();
    let panicked = problems.iter().any(|problem| problem.code == ProblemCode::Internal);
    let mut tally = Tally::default();
    tally.causes.insert(answer.decision.cause(), 1);
    for problem in problems {
        *tally.problems.entry(problem.code).or_default() += 1;
    }
    let response = Response::of(&answer.decision, &view, full.as_ref());
    let response = match template {
        // Only what may be said: a denial that must look like an absent record has no remedies either.
        Some(template) if view.remedies.iter().any(|remedy| matches!(remedy, Remedy::Approval { .. })) => {
            response.requestable(requests(service, release), &template)
        }
        _ => response,
    };
    Item {
        response,
        record: match answer.receipt {
            Some(receipt) => Recorded::At(receipt.position),
            None => Recorded::Failed,
        },
        tally,
        panicked,
    }
}

/// What an approval that would turn this denial into a permit is asked for with; `None` where none would, or nobody
/// could ask here.
fn template(asker: &Asker, judged: &Judged) -> Option<Value> {
    let Asker { service, release, .. } = asker;
    service.served(release.organization()).and_then(Served::state)?;
    let facts = judged.facts.as_ref()?;
    let remedies = judged.decision.remedies();
    let (kind, data_set) = remedies.into_iter().find_map(|remedy| match remedy {
        Remedy::Approval { kind, data_set, .. } => Some((kind, data_set)),
        _ => None,
    })?;
    let records = facts.resource.attributes.get("recordCount").and_then(assent_model::Value::as_integer);
    Some(json!({
        "kind": kind,
        "dataSet": data_set.clone().unwrap_or_else(|| facts.resource.id.id.to_string()),
        "action": facts.action,
        "purpose": facts.purpose,
        "records": records,
    }))
}

/// Where approvals are asked for: an absolute URL where the service knows its own.
fn requests(service: &Service, release: &Release) -> String {
    let url = service.public_url.as_ref().map_or("", |url| url.as_str());
    format!("{url}/{}/state/v1/approvals", release.organization())
}

/// A permit on facts that other nodes may have changed since, longer ago than may be, is none.
fn on_fresh_facts(asker: &Asker, judged: Judged) -> Judged {
    let permits = judged.decision.effect() == Effect::Permit;
    let state = asker.service.served(asker.release.organization()).and_then(Served::state);
    let action = judged.facts.as_ref().map_or("", |facts| &facts.action);
    match state.filter(|state| permits && !state.may_permit(action)) {
        Some(_stale) => Judged { decision: judged.decision.stale(), ..judged },
        None => judged,
    }
}

/// Counts the use of each approval that a permit uses, if it uses any: on the state as it then is, which may have
/// changed its answer. Gives the release that decided.
async fn counted(
    asker: &Asker,
    mut question: Question,
    mut judged: Judged,
) -> (Arc<Release>, Question, Judged) {
    let Asker { service, caller, lane, at, .. } = asker;
    let mut release = Arc::clone(&asker.release);
    let state = service.served(release.organization()).and_then(Served::state);
    let Some(state) = state.filter(|_| !judged.uses.is_empty()) else { return (release, question, judged) };
    let mut attempts = COUNT_ATTEMPTS;
    loop {
        let turn = match state.turn(*at).await {
            Ok(turn) => turn,
            Err(error) => return (release, question, uncounted(judged, &error)),
        };
        release = Arc::clone(turn.release());
        (question, judged) = lane.judge(&release, caller, question, service.limits.thread_patience()).await;
        if judged.uses.is_empty() {
            return (release, question, judged);
        }
        attempts -= 1;
        match count(turn, &judged.uses, (&question.id, *at)).await {
            Ok(true) => return (release, question, judged),
            Ok(false) => return (release, question, unusable(judged)),
            // Nothing was counted, and nothing will be: INVARIANT (what was overtaken never happens). After any other
            // failure the use may be counted already, and to count it anew could be the second time.
            Err(StateError::Overtaken) if attempts > 0 => {}
            Err(error) => return (release, question, uncounted(judged, &error)),
        }
    }
}

/// Counts a use of each of these approvals, all in one change; or says that one cannot be used any more.
async fn count(
    turn: LiveTurn<'_>,
    uses: &BTreeSet<EntityId>,
    (decision, at): (&DecisionId, assent_model::Instant),
) -> Result<bool, StateError> {
    let mut items = vec![];
    for approval in uses {
        match spent(&turn, approval, (decision, at)).await? {
            Some(more) => items.extend(more),
            None => return Ok(false),
        }
    }
    let plan = Plan { by: Actor::service(), decision: Some(decision.clone()), items };
    turn.commit(at, plan).await.map(|_committed| true)
}

fn uncounted(judged: Judged, error: &StateError) -> Judged {
    let decision =
        judged.decision.unrecorded(format!("the use of an approval could not be counted: {error}"));
    Judged { decision, ..judged }
}

/// The entity says what its workflow does not, which is a fault within.
fn unusable(judged: Judged) -> Judged {
    let decision = judged.decision.unrecorded("the approval that would be used cannot be used any more");
    Judged { decision, ..judged }
}

/// What became of one question.
struct Item {
    response: Response,
    record: Recorded,
    tally: Tally,
    panicked: bool,
}

/// Where the record of a question is.
enum Recorded {
    At(u64),
    Failed,
    /// Nothing was decided, so there is nothing to record.
    Undecided,
}

impl Item {
    fn malformed(error: &WireError) -> Self {
        Self::undecided(Response::item_error(400, error.to_string()), false)
    }

    fn panicked() -> Self {
        Self::undecided(Response::item_error(500, "the service failed"), true)
    }

    fn undecided(response: Response, panicked: bool) -> Self {
        let tally = Tally { item_errors: 1, ..Tally::default() };
        Self { response, record: Recorded::Undecided, tally, panicked }
    }
}

/// The sum over a request's items.
#[derive(Default)]
struct Total {
    highest: Option<u64>,
    unrecorded: bool,
    tally: Tally,
    panics: u32,
}

impl Total {
    fn add(&mut self, item: Item) -> Response {
        match item.record {
            Recorded::At(position) => self.highest = self.highest.max(Some(position)),
            Recorded::Failed => self.unrecorded = true,
            Recorded::Undecided => {}
        }
        for (cause, count) in item.tally.causes {
            *self.tally.causes.entry(cause).or_default() += count;
        }
        for (problem, count) in item.tally.problems {
            *self.tally.problems.entry(problem).or_default() += count;
        }
        self.tally.item_errors += item.tally.item_errors;
        self.panics += u32::from(item.panicked);
        item.response
    }

    const fn position(&self) -> Option<u64> {
        if self.unrecorded { None } else { self.highest }
    }
}

impl Asker {
    fn item_id(&self, index: usize) -> DecisionId {
        let base = self.id_bits >> BATCH_ITEM_BITS << BATCH_ITEM_BITS;
        // `Limits::check` keeps batches within the bits that the index has.
        DecisionId::from_bits(base | index as u128)
    }
}
