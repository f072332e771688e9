//! Changes what decisions stand on, in the one order that the audit log has: recorded, then applied, then seen.
//!
//! A change takes its turn ([`Keeper::turn`]), is decided on the state as it then is, recorded ([`Turn::commit`]),
//! and applied to the store with the place of its record. INVARIANT (nothing acknowledged is lost): what was
//! recorded and not applied, because the process ended or the database was gone, is applied from the log before
//! the next turn begins. INVARIANT (the log leads): a store that knows of a record that its log does not have is
//! not believed: somebody put the log back to an older state.

mod carry;
mod catch_up;
mod entities;
mod error;
mod forget;
mod given_up;
mod live;
mod spend;
mod workflow;

use assent_audit::logs::LogsConfig;
use assent_audit::record::{Actor, Administration, Event, StateChange, StateItem, canonical};
use assent_audit::shelf::Shelf;
use assent_model::{DecisionId, EntityId, Instant, OrganizationId};
use assent_store::{Applied, Change, Edit, Key, Place};
use tokio::sync::{Mutex, MutexGuard};

use crate::audit::AuditRecorder;
use crate::record::Receipt;

pub use assent_store::{Store, Target};
pub use carry::{CarryError, to_carry};
pub use entities::{EntityChange, EntityRefused, Provided, Stamp, entity_item};
pub use error::StateError;
pub use given_up::{GIVE_UP_ASKED, GIVEN_UP, GiveUp, give_up_request, stored_version};
pub use live::{Emergencies, LiveState, LiveTurn, Rules, Sharing, StoredDocument};
pub(crate) use live::{document_of, lay_over};
pub use spend::spent;
pub use workflow::{Person, document, items, person};

/// The section of entities. Their documents are Cedar's JSON of an entity, with its provenance beside.
pub const ENTITIES: &str = "entity";
/// The section of holds.
pub const HOLDS: &str = "hold";
/// The section of requests that must not be done twice.
pub const IDEMPOTENCY: &str = "request";

/// What the log says of a change on it that another node overtook: it was never made. Its target is the record's hash.
const OVERTAKEN: &str = "state.overtaken";
/// The type by which such a record names the change.
const CHANGE: &str = "StateChange";

/// Keeps the state of one organization.
#[derive(Debug)]
pub struct Keeper {
    organization: OrganizationId,
    store: Store,
    recorder: AuditRecorder,
    shelf: Shelf,
    standing: Mutex<Standing>,
}

/// How the state stands, as far as this process knows.
#[derive(Debug)]
struct Standing {
    version: u64,
    /// A change may be on the log that is not in the store.
    in_doubt: bool,
    /// Changes on the log that another node overtook, of which the log does not say so yet.
    overtaken: Vec<Place>,
}

/// What is to change, once it was decided.
#[derive(Debug)]
pub struct Plan {
    /// Who wants it.
    pub by: Actor,
    /// The decision it answers.
    pub decision: Option<DecisionId>,
    /// What changes; each thing at most once, and something.
    pub items: Vec<StateItem>,
}

/// A change that is recorded and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The version of the state that it made.
    pub version: u64,
    /// Where it is recorded.
    pub receipt: Receipt,
}

/// The right to make the next change. Nobody else makes one until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    keeper: &'a Keeper,
    standing: MutexGuard<'a, Standing>,
}

impl Keeper {
    /// The state of an organization, brought up to what its logs say. Reads its logs from the last change on.
    ///
    /// # Errors
    /// When a log or the store cannot be read, or they contradict each other. [`StateError::waits_for_others`] where
    /// other nodes may bring what is missing.
    pub async fn open(
        store: Store,
        recorder: AuditRecorder,
        organization: OrganizationId,
    ) -> Result<Self, StateError> {
        let config: LogsConfig = recorder.logs().config().clone();
        let shelf = Shelf::new(config, organization.clone());
        let standing = Mutex::new(Standing { version: 0, in_doubt: false, overtaken: vec![] });
        let keeper = Self { organization, store, recorder, shelf, standing };
        let (version, overtaken) = keeper.catch_up().await?;
        *keeper.standing.lock().await = Standing { version, in_doubt: false, overtaken };
        Ok(keeper)
    }

    /// Where documents are read.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Whose state it is.
    #[must_use]
    pub const fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The name of this node among those that share the state: that of its audit log, for no two nodes write one.
    fn node(&self) -> &str {
        &self.recorder.logs().config().name
    }

    /// Waits for the right to make the next change. `at` is the host's clock.
    ///
    /// # Errors
    /// When an earlier change is in doubt and cannot be cleared up now.
    pub async fn turn(&self, at: Instant) -> Result<Turn<'_>, StateError> {
        let mut standing = self.standing.lock().await;
        // Another node may have made a change meanwhile. Asked first where a change is in doubt too: a database that is
        // away must not make a record of each attempt.
        let mut found = self.stored_version().await?;
        if standing.in_doubt {
            // Records are made durable in their order: once this one is, an earlier one is or never will be.
            self.confirm(standing.version, at).await?;
            (found, standing.overtaken) = self.catch_up().await?;
        }
        if found < standing.version {
            return Err(StateError::PutBack { found, known: standing.version });
        }
        // Before the next change, so that whoever reads the log never takes one for made that was not.
        while let Some(place) = standing.overtaken.last() {
            self.note_overtaken(place, at).await?;
            standing.overtaken.pop();
        }
        (standing.version, standing.in_doubt) = (found, false);
        Ok(Turn { keeper: self, standing })
    }

    /// The version that the store has.
    async fn stored_version(&self) -> Result<u64, StateError> {
        Ok(stored_version(&self.store, self.organization.as_str()).await?)
    }

    /// Says on the log that a change on it was never made.
    async fn note_overtaken(&self, place: &Place, at: Instant) -> Result<(), StateError> {
        let note = Administration {
            by: Actor::service(),
            action: OVERTAKEN.to_owned(),
            target: EntityId::new(CHANGE, place.record.as_str()),
            before: None,
            after: None,
            reason: Some("another node changed the state first".to_owned()),
        };
        self.recorder.note(&self.organization, at, Event::Administration(note)).await?;
        Ok(())
    }

    /// Notes how far the logs were read, so that the next start need not read them from the last change on. To be
    /// called now and then, and when the service stops.
    ///
    /// # Errors
    /// When it could not be recorded or noted.
    pub async fn note_reached(&self, at: Instant) -> Result<(), StateError> {
        let turn = self.turn(at).await?;
        let place = self.confirm(turn.standing.version, at).await?;
        Ok(self.store.reached(self.organization.as_str(), &place).await?)
    }

    /// Records which version the state has.
    async fn confirm(&self, version: u64, at: Instant) -> Result<Place, StateError> {
        let by = Actor::service();
        let plan = Plan { by, decision: None, items: vec![] };
        Ok(self.record(version, at, plan).await?.0)
    }

    async fn record(&self, version: u64, at: Instant, plan: Plan) -> Result<(Place, Receipt), StateError> {
        let Plan { by, decision, items } = plan;
        let organization = self.organization.clone();
        let event = Event::StateChanged(StateChange { organization, version, by, decision, items });
        let (log, receipt) = self.recorder.note_in(&self.organization, at, event).await?;
        let place = Place { log, seq: receipt.position, record: receipt.record.to_string() };
        Ok((place, receipt))
    }
}

impl Turn<'_> {
    /// The version of the state on which the next change is decided.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.standing.version
    }

    /// Records a change and applies it. It holds when this returns; what is returned still keeps others from the
    /// next one. A turn that failed is over: nothing may follow a change that is in doubt.
    ///
    /// A caller that stops waiting leaves the change in doubt, to be cleared up by the next turn; so this belongs
    /// into a task of its own.
    ///
    /// # Errors
    /// Nothing changed: [`StateError::Record`] for a log that took nothing, [`StateError::Edit`],
    /// [`StateError::Overtaken`]. It may have, or will once the database is back: [`StateError::InDoubt`].
    pub async fn commit(mut self, at: Instant, plan: Plan) -> Result<(Self, Committed), StateError> {
        let (keeper, version) = (self.keeper, self.standing.version + 1);
        let edits = plan.items.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
        Edit::check_once(&edits)?;
        // Before the first await, so that no way out of here leaves it unsaid.
        self.standing.in_doubt = true;
        let (place, receipt) = match keeper.record(version, at, plan).await {
            Ok(recorded) => recorded,
            Err(StateError::Record(error)) if !error.may_be_kept => {
                self.standing.in_doubt = false;
                return Err(StateError::Record(error));
            }
            Err(error) => return Err(StateError::InDoubt { source: Box::new(error) }),
        };
        let change = Change { version, place, edits };
        match keeper.store.apply(keeper.organization.as_str(), &change).await {
            Ok(Applied::Now(_) | Applied::Before) => {
                self.standing.version = version;
                self.standing.in_doubt = false;
                Ok((self, Committed { version, receipt }))
            }
            Ok(Applied::Overtaken { .. }) => Err(StateError::Overtaken),
            Err(error) => Err(StateError::InDoubt { source: Box::new(error.into()) }),
        }
    }
}

/// The id of the document that something has in the store: of an entity, `Type/id`, for no type has a slash.
#[must_use]
pub fn document_id(item: &StateItem) -> String {
    let EntityId { kind, id } = &item.target;
    if item.section == ENTITIES { format!("{kind}/{id}") } else { id.to_string() }
}

/// What a store does for one thing that changed.
fn edit(item: &StateItem) -> Result<Edit, StateError> {
    let key = Key::new(item.section.clone(), document_id(item))?;
    if item.payload.is_null() {
        return Ok(Edit::remove(key));
    }
    // As the log has it: what is applied at once and what is applied from the log must be the same text.
    let body = canonical::bytes(&item.payload)?;
    Ok(Edit::put(key, String::from_utf8_lossy(&body))?)
}

#[cfg(test)]
mod tests;
