//! The state as decisions see it: the release's own facts with everything laid over them that changed since.
//!
//! Decisions read memory only: [`LiveState::release`] is one immutable value, put in the place of the former one
//! when a change is durable, and never before. What a change would make is built and checked against the schema
//! before it is recorded, so that nothing is recorded that could not be loaded again. INVARIANT (one release per
//! decision): facts, version and holds are swapped together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use arc_swap::ArcSwap;
use assent_audit::record::StateItem;
use assent_model::{EntityId, Instant};
use assent_policy::{Edit, LoadErrors, LoadProblem, Snapshot, SourceFile};
use assent_store::{Document, Key, Store};
use assent_workflow::hold::Hold;
use assent_workflow::{approval, break_glass, disclosure};
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::{Committed, ENTITIES, HOLDS, Keeper, Plan, StateError, Turn};
use crate::hold::Holds;
use crate::release::Release;

/// How often it is asked whether the other nodes see a change. They hear of it at once, so mostly one look is enough.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Stored entities that do not fit a release and are told: whoever mends these meets the rest.
const MISFITS_MAX: usize = 20;
/// The place of problems with them, which stand in no file.
const STATE: &str = "the state";

/// The state of one organization, and the release that decides on it.
#[derive(Debug)]
pub struct LiveState {
    keeper: Keeper,
    /// The release on the facts of its own files alone.
    base: Release,
    rules: Rules,
    release: ArcSwap<Release>,
    sharing: Sharing,
    /// When it was last asked, with success, which version the database has; from before the question.
    fresh_since: Mutex<Monotonic>,
    /// Since when a change is on its way into the log and the database, and decisions do not see it.
    unsettled_since: Mutex<Option<Monotonic>>,
}

/// A document of the state.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDocument {
    key: Key,
    /// The version of the state in which it was last changed.
    pub version: u64,
    /// What it says: JSON, in the form of its section.
    pub body: String,
}

impl StoredDocument {
    fn of(Document { key, version, body }: Document) -> Option<Self> {
        Some(Self { key, version, body: body? })
    }

    /// What it says, as a document of this section.
    ///
    /// # Errors
    /// When it is not what this software writes.
    pub fn parsed<T: DeserializeOwned>(&self, section: &'static str) -> Result<T, StateError> {
        serde_json::from_str(&self.body).map_err(|_| StateError::Unreadable { kind: section })
    }

    /// Its id. It may be a patient's: never to be logged.
    #[must_use]
    pub fn id(&self) -> &str {
        self.key.id()
    }
}

/// INVARIANT (no patient in logs): its section is printed.
impl std::fmt::Debug for StoredDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{}", self.key, self.version)
    }
}

/// What an organization sets for its workflows.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Who approves what.
    pub approvals: Vec<approval::Rule>,
    /// Emergencies; where nothing is set nobody can declare one.
    pub emergencies: Option<Emergencies>,
    /// Professionals' decisions; where nothing is set nobody can make one.
    pub disclosures: Option<disclosure::Settings>,
    /// How consents are read.
    pub consents: assent_fhir::Settings,
    /// Actions, as policies name them, that may be permitted on facts that are older than they may be.
    pub go_on: BTreeSet<String>,
}

/// What an organization sets for emergencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergencies {
    /// The terms of each.
    pub settings: break_glass::Settings,
    /// Roles of which whoever declares must have one.
    pub declarers: Vec<String>,
    /// Roles of which whoever reviews must have one.
    pub reviewers: Vec<String>,
}

/// How a state is shared with other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// For how long facts count after the database was last heard of; the same on every node.
    pub staleness: Duration,
}

impl Default for Sharing {
    /// Five seconds: several looks, and no longer than somebody waits for a revocation.
    fn default() -> Self {
        Self { staleness: Duration::from_secs(5) }
    }
}

/// The right to make the next change, with the facts that it is decided on.
#[derive(Debug)]
pub struct LiveTurn<'a> {
    state: &'a LiveState,
    turn: Turn<'a>,
    release: Arc<Release>,
}

impl LiveState {
    /// Lays the stored state over a release.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this release's schema does not take.
    pub async fn open(
        keeper: Keeper,
        base: Release,
        (rules, sharing): (Rules, Sharing),
    ) -> Result<Self, StateError> {
        let release = ArcSwap::from_pointee(base.clone());
        let now = Monotonic::now();
        let (fresh_since, unsettled_since) = (Mutex::new(now), Mutex::default());
        let state = Self { keeper, base, rules, release, sharing, fresh_since, unsettled_since };
        // From here on whoever takes something back waits for this node.
        state.say_seen(0).await?;
        state.reload().await?;
        state.say_seen(state.version()).await?;
        Ok(state)
    }

    async fn say_seen(&self, version: u64) -> Result<(), StateError> {
        let Keeper { store, organization, .. } = &self.keeper;
        Ok(store.note_seen(self.keeper.node(), organization.as_str(), version).await?)
    }

    /// Whether an action may be permitted on the facts that are seen: as long as the database was heard of lately, and
    /// those that go on without.
    #[must_use]
    pub fn may_permit(&self, action: &str) -> bool {
        self.is_fresh() || self.rules.go_on.contains(action)
    }

    /// Whether the facts are no older than they may be: a change may be recorded and not seen, or another node's change
    /// not be heard of, only for so long. Where nobody else changes them and nothing is in doubt they always are.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let since = *self.fresh_since.lock().unwrap_or_else(PoisonError::into_inner);
        let unsettled = *self.unsettled();
        let counts = |since: Monotonic| since.elapsed() < self.sharing.staleness;
        unsettled.is_none_or(counts) && (!self.store().is_shared() || counts(since))
    }

    fn unsettled(&self) -> MutexGuard<'_, Option<Monotonic>> {
        self.unsettled_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the database whether another node changed something, and makes decisions see it. To be called often: what
    /// is not heard of counts only for so long.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub async fn look(&self, at: Instant) -> Result<(), StateError> {
        let asked = Monotonic::now();
        drop(self.turn(at).await?);
        self.say_seen(self.version()).await?;
        *self.fresh_since.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(())
    }

    /// Waits until no node permits anything on a version before this one any more: until each says that it sees it, or
    /// was silent for so long that it denies. A database that cannot say is waited for as long.
    pub async fn seen_by_all(&self, version: u64) {
        let Keeper { store, organization, .. } = &self.keeper;
        let asked = Monotonic::now();
        let span_ms = u64::try_from(self.sharing.staleness.as_millis()).unwrap_or(u64::MAX);
        while store.is_shared() && asked.elapsed() < self.sharing.staleness {
            let wanted = (version, span_ms);
            if matches!(store.behind(self.keeper.node(), organization.as_str(), wanted).await, Ok(0)) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Leaves the state to the other nodes, which then wait for this one no more. Nothing may be decided after it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leave(&self) -> Result<(), StateError> {
        Ok(self.keeper.store.forget_node(self.keeper.node()).await?)
    }

    /// The release that decides now.
    #[must_use]
    pub fn release(&self) -> Arc<Release> {
        self.release.load_full()
    }

    /// What the organization sets for its workflows.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The version of the state that decisions see.
    #[must_use]
    pub fn version(&self) -> u64 {
        version(&self.release.load())
    }

    /// The facts of the release's own files: those of its entities cannot be removed.
    #[must_use]
    pub const fn base(&self) -> &Arc<Snapshot> {
        self.base.snapshot()
    }

    /// How many entities of the release's own files the state has otherwise: what the files say of them does not count.
    #[must_use]
    pub fn other_than_files(&self) -> usize {
        let release = self.release();
        let now = release.snapshot().facts();
        self.base().facts().iter().filter(|entity| now.get(&entity.id) != Some(entity)).count()
    }

    const fn store(&self) -> &Store {
        self.keeper.store()
    }

    /// A document; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read, or the name is none.
    pub async fn document(&self, kind: &str, id: &str) -> Result<Option<StoredDocument>, StateError> {
        let found = self.store().get(self.keeper.organization.as_str(), &Key::new(kind, id)?).await?;
        Ok(found.and_then(StoredDocument::of))
    }

    /// Documents of a kind in the order of their ids, after this one; never more than a thousand.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, kind: &str, after: &str, limit: u32) -> Result<Vec<StoredDocument>, StateError> {
        let organization = self.keeper.organization.as_str();
        let found = self.store().page(organization, kind, Some(after), limit).await?;
        Ok(found.into_iter().filter_map(StoredDocument::of).collect())
    }

    /// Keeps the state, and notes how far logs were read.
    #[must_use]
    pub const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Waits for the right to make the next change, on the newest state there is. `at` is the host's clock.
    ///
    /// # Errors
    /// When an earlier change is in doubt and cannot be cleared up now, or the store cannot be read.
    pub async fn turn(&self, at: Instant) -> Result<LiveTurn<'_>, StateError> {
        let turn = self.keeper.turn(at).await?;
        if turn.version() != self.version() {
            self.follow().await?;
        }
        *self.unsettled() = None;
        Ok(LiveTurn { state: self, turn, release: self.release() })
    }

    /// Lays over what changed since. Only under the right to change.
    async fn follow(&self) -> Result<(), StateError> {
        let now = self.release();
        let mut changed = vec![];
        let organization = self.keeper.organization.as_str();
        let position = self.keeper.store().load(organization, version(&now), |found| changed.push(found));
        let position = position.await?;
        let release = stored_over((&self.base, &now), changed, position.version).await?;
        self.release.store(Arc::new(release));
        Ok(())
    }

    async fn reload(&self) -> Result<(), StateError> {
        let mut documents = vec![];
        let organization = self.keeper.organization.as_str();
        let position = self.keeper.store().load(organization, 0, |found| documents.push(found)).await?;
        let release = stored_over((&self.base, &self.base), documents, position.version).await?;
        self.release.store(Arc::new(release));
        Ok(())
    }
}

impl LiveTurn<'_> {
    /// The release on the state as it is: what a change is decided on.
    #[must_use]
    pub const fn release(&self) -> &Arc<Release> {
        &self.release
    }

    /// The version of the state as it is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.turn.version()
    }

    /// The facts of the release's own files.
    #[must_use]
    pub const fn base(&self) -> &Arc<Snapshot> {
        self.state.base()
    }

    /// A document as it is; `None` if there is none.
    ///
    /// # Errors
    /// When the store cannot be read, or the name is none.
    pub async fn document(&self, kind: &str, id: &str) -> Result<Option<StoredDocument>, StateError> {
        self.state.document(kind, id).await
    }

    /// Makes a change: checked, recorded, applied, and then seen by every decision. It holds when this returns.
    ///
    /// A caller that stops waiting leaves the change in doubt; so this belongs into a task of its own.
    ///
    /// # Errors
    /// As [`Turn::commit`]; and [`StateError::Facts`] where entities do not fit the schema or each other, with
    /// every problem: then nothing changed.
    pub async fn commit(self, at: Instant, plan: Plan) -> Result<Committed, StateError> {
        let Self { state, turn, release } = self;
        let documents = plan.items.iter().map(document_of).collect::<Result<_, _>>()?;
        let next = laid_over((&state.base, &release), documents, turn.version() + 1).await?;
        state.unsettled().get_or_insert_with(Monotonic::now);
        // The turn is kept until the change is seen, or a later one could be seen before it.
        // What failed is unsettled until the next turn, which clears it up.
        let (_turn, committed) = turn.commit(at, plan).await?;
        state.release.store(Arc::new(next));
        *state.unsettled() = None;
        Ok(committed)
    }
}

fn version(release: &Release) -> u64 {
    release.state().map_or(0, |state| state.seen.version)
}

/// What a change leaves behind, as the store will have it.
pub(crate) fn document_of(item: &StateItem) -> Result<Document, StateError> {
    let key = Key::new(item.section.clone(), super::document_id(item))?;
    Ok(Document { key, version: 0, body: (!item.payload.is_null()).then(|| item.payload.to_string()) })
}

/// [`lay_over`] on a thread of its own: some 0.1 ms for each entity, and a thousand of them may come at once.
async fn laid_over(
    (base, release): (&Release, &Release),
    documents: Vec<Document>,
    version: u64,
) -> Result<Release, StateError> {
    let (base, release) = (base.clone(), release.clone());
    let work = move || lay_over((&base, &release), &documents, version);
    spawn_blocking(work).await.unwrap_or(Err(StateError::Ended))
}

/// The same with what is stored: where that does not fit, it is not the fault of whoever changes something now.
async fn stored_over(
    releases: (&Release, &Release),
    documents: Vec<Document>,
    version: u64,
) -> Result<Release, StateError> {
    laid_over(releases, documents, version).await.map_err(|error| match error {
        StateError::Facts(LoadErrors(problems)) => {
            let more = problems.len().saturating_sub(MISFITS_MAX);
            let of_state = |problem| LoadProblem { file: STATE.to_owned(), line: 0, column: 0, ..problem };
            let mut told: Vec<_> = problems.into_iter().take(MISFITS_MAX).map(of_state).collect();
            if more > 0 {
                told.push(LoadProblem::of_file(STATE, format!("{more} more are like these")));
            }
            StateError::Misfit(LoadErrors(told))
        }
        error => error,
    })
}

/// The release on what these documents make of its facts and holds. `base` is the same on the facts of its own files,
/// which count again for an entity that the state says nothing of any more.
///
/// # Errors
/// When entities do not fit the schema or each other, or a document cannot be read.
pub(crate) fn lay_over(
    (base, release): (&Release, &Release),
    documents: &[Document],
    version: u64,
) -> Result<Release, StateError> {
    let mut holds = release.state().map(|state| (*state.holds).clone()).unwrap_or_default();
    let mut edits = vec![];
    for (index, document) in documents.iter().enumerate() {
        match document.key.kind() {
            // Problems name the place of the entity among what changes.
            ENTITIES => edits.push(entity_edit(base.snapshot(), &index.to_string(), document)?),
            HOLDS => set_hold(&mut holds, document)?,
            _ => {}
        }
    }
    let snapshot = match edits.is_empty() {
        true => Arc::clone(release.snapshot()),
        false => Arc::new(release.policies().change(release.snapshot(), &edits)?),
    };
    Ok(release.with_state(version, snapshot, Arc::new(holds)))
}

fn entity_edit(base: &Snapshot, name: &str, document: &Document) -> Result<Edit, StateError> {
    let unreadable = || StateError::Unreadable { kind: ENTITIES };
    let put = |text: String| Edit::Put(SourceFile::new(name, text));
    Ok(match &document.body {
        Some(body) => put(body.clone()),
        None => {
            let id = entity_id(document.key.id()).ok_or_else(unreadable)?;
            match base.json(&id) {
                Some(of_files) => put(of_files.to_string()),
                None => Edit::Remove(id),
            }
        }
    })
}

fn set_hold(holds: &mut Holds, document: &Document) -> Result<(), StateError> {
    let hold = document.body.as_deref().map(serde_json::from_str::<Hold>).transpose();
    let hold = hold.map_err(|_| StateError::Unreadable { kind: HOLDS })?;
    let target = hold.filter(Hold::holds).map(|hold| hold.target().clone());
    holds.set(document.key.id(), target);
    Ok(())
}

/// The entity that a document's id names.
fn entity_id(document: &str) -> Option<EntityId> {
    let (kind, id) = document.split_once('/')?;
    Some(EntityId::new(kind, id))
}
