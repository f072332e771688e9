//! The audit log for auditors: a record, a page of records, a proof, an entry, checkpoints, tiles of hashes; what is
//! made of the whole log; and a decision made again.
//!
//! INVARIANT (receipt before permit) holds for reading too: what was read, or that there is nothing, leaves
//! only once the record of this reading is durable. Only checkpoints and hashes are nobody's record, and are
//! given without one. Who lacks the right is told what somebody is told who asks about no organization of ours.

mod archive;
mod path;
mod query;
mod replay;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use assent_audit::log::Entry;
use assent_audit::record::{Actor, AuditRead, AuditUse, Record};
use assent_audit::shelf::{Found, Page, Place, Shelf, ShelfError};
use assent_audit::tlog::tile::Tile;
use assent_engine::{Caller, Release, Right};
use assent_model::{EntityId, OrganizationId};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::callers::Connection;
use crate::http::edge::Noted;
use crate::http::refusal::Refusal;
use crate::http::reply::{LASTING, NO_STORE, json_reply, typed_reply};
use crate::http::router::{asks, organization, reads};
use crate::service::{Served, Service};

use path::{Wanted, named_before_the_last, needed, wanted, year};

pub(crate) use archive::Archive;
#[cfg(test)]
pub(super) use query::{ACCOUNTING_PARAMETERS, EXPORT_PARAMETERS, PARAMETERS};

/// How long a proof waits for a checkpoint: twice the time between two.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks: a look reads two small files.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long the whole log may be read for one answer: tens of millions of records.
const WHOLE_LOG_TIME: Duration = Duration::from_secs(300);

/// What is asked for.
#[derive(Clone, Copy)]
enum What {
    Record,
    Records,
    Proof,
    Entry,
    Checkpoint,
    YearCheckpoint,
    Tile,
    Disclosures,
    Report,
    Export,
    Replay,
}

impl What {
    /// How long it may take. What reads the whole log does so at some 100,000 records a second.
    const fn time(self, usual: Duration) -> Duration {
        match self {
            Self::Disclosures | Self::Report => WHOLE_LOG_TIME,
            Self::Record
            | Self::Records
            | Self::Proof
            | Self::Entry
            | Self::Checkpoint
            | Self::YearCheckpoint
            | Self::Tile
            | Self::Export
            | Self::Replay => usual,
        }
    }
}

/// One record.
pub(super) async fn record(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Record).await
}

/// A page of records.
pub(super) async fn records(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Records).await
}

/// That a record is in the log (c2sp.org/tlog-proof).
pub(super) async fn proof(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Proof).await
}

/// The bytes that a proof is about: the record, sealed.
pub(super) async fn entry(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Entry).await
}

/// The newest checkpoint, as it was signed.
pub(super) async fn checkpoint(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Checkpoint).await
}

/// The accounting of disclosures of a patient.
pub(super) async fn disclosures(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Disclosures).await
}

/// A report.
pub(super) async fn report(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Report).await
}

/// Records in the format of another system.
pub(super) async fn export(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Export).await
}

/// A recorded decision, made again.
pub(super) async fn again(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Replay).await
}

/// The newest checkpoint of a year's log (c2sp.org/tlog-tiles).
pub(super) async fn year_checkpoint(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::YearCheckpoint).await
}

/// A tile of a year's log (c2sp.org/tlog-tiles), of which consistency and inclusion can be proved.
pub(super) async fn tile(State(service): State<Arc<Service>>, request: Request) -> Response {
    answer(&service, request, What::Tile).await
}

async fn answer(service: &Service, request: Request, what: What) -> Response {
    let mut noted = Noted::default();
    // Nothing is read of a body.
    let (parts, _body) = request.into_parts();
    let result = attempt(service, &parts, what, &mut noted).await;
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(noted);
    response
}

async fn attempt(
    service: &Service,
    parts: &Parts,
    what: What,
    noted: &mut Noted,
) -> Result<Response, Refusal> {
    let connection = parts.extensions.get::<Connection>();
    let caller = service.callers.authenticate(&parts.headers, connection).map_err(Refusal::Caller)?;
    noted.caller = Some(caller.id.clone());
    match what {
        What::Replay => asks(&parts.method)?,
        _ => reads(&parts.method)?,
    }
    let (organization, served) = served(service, caller, organization(&parts.uri))?;
    noted.organization = Some(organization);
    let archive = served.archive.as_ref().ok_or(Refusal::NotFound)?;
    let asking = Asking { service, archive, present: served.release(), caller, connection };
    let uri = &parts.uri;
    let work = async {
        match what {
            What::Records => asking.records(uri).await,
            What::Record => asking.record(wanted(uri)?).await,
            What::Proof => asking.proof(wanted(uri)?).await,
            What::Entry => asking.entry(wanted(uri)?).await,
            What::Checkpoint => asking.checkpoint(uri, None).await,
            What::YearCheckpoint => asking.checkpoint(uri, Some(year(uri)?.0)).await,
            What::Tile => asking.tile(uri).await,
            What::Disclosures => asking.disclosures(uri).await,
            What::Report => asking.report(uri).await,
            What::Export => asking.export(uri).await,
            What::Replay => asking.replay(named_before_the_last(uri)?).await,
        }
    };
    timeout(what.time(service.limits.request_timeout()), work).await.unwrap_or(Err(Refusal::ReadTimeout))
}

/// An organization whose log the caller may read.
fn served<'a>(
    service: &'a Service,
    caller: &Caller,
    organization: &str,
) -> Result<(OrganizationId, &'a Served), Refusal> {
    OrganizationId::new(organization)
        .ok()
        .filter(|organization| caller.may(Right::Audit, organization))
        .and_then(|organization| {
            let served = service.served(&organization)?;
            Some((organization, served))
        })
        .ok_or(Refusal::Organization)
}

/// The year whose checkpoint is asked for: this one, if there is such a log; else the newest that has records,
/// for the next year's log is opened before the year begins and is empty till then.
fn checkpointed(shelf: &Shelf, wanted: Option<i32>) -> Result<Result<i32, Refusal>, ShelfError> {
    let years = shelf.years()?;
    if let Some(wanted) = wanted {
        return Ok(if years.contains(&wanted) { Ok(wanted) } else { Err(Refusal::NotFound) });
    }
    for year in years.into_iter().rev() {
        if shelf.reader(year)?.checkpoint()?.size > 0 {
            return Ok(Ok(year));
        }
    }
    Ok(Err(Refusal::Unpublished))
}

/// A record as the log has it and as it reads.
struct LookedUp {
    place: Place,
    entry: Entry,
    record: Record,
}

/// A record as it is answered.
#[derive(Serialize)]
struct Shown {
    place: String,
    log: String,
    position: u64,
    record: Record,
}

impl Shown {
    fn of(shelf: &Shelf, (place, record): Found) -> Self {
        let record = record.shown().into_owned();
        Self { place: place.to_string(), log: shelf.log(place.year), position: place.position, record }
    }
}

#[derive(Serialize)]
struct Shelved {
    records: Vec<Shown>,
    /// Where the next page begins: its `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A request of a caller with the right.
struct Asking<'a> {
    service: &'a Service,
    archive: &'a Archive,
    /// The release that decides now.
    present: Arc<Release>,
    caller: &'a Caller,
    connection: Option<&'a Connection>,
}

impl Asking<'_> {
    async fn record(&self, wanted: Wanted) -> Result<Response, Refusal> {
        let LookedUp { place, record, .. } = self.one(wanted, "record").await?;
        let shown = Shown::of(self.archive.shelf(), (place, record));
        Ok(json_reply(StatusCode::OK, NO_STORE, &shown))
    }

    async fn entry(&self, wanted: Wanted) -> Result<Response, Refusal> {
        let LookedUp { entry, .. } = self.one(wanted, "entry").await?;
        Ok(typed_reply(StatusCode::OK, NO_STORE, "application/octet-stream", entry.envelope))
    }

    async fn proof(&self, wanted: Wanted) -> Result<Response, Refusal> {
        let LookedUp { place, entry, .. } = self.one(wanted, "proof").await?;
        let entry = Arc::new(entry);
        let patience = Instant::now() + CHECKPOINT_PATIENCE;
        loop {
            let looked_at = Arc::clone(&entry);
            let proof =
                self.archive.read(move |shelf| Ok(shelf.reader(place.year)?.prove(&looked_at)?)).await?;
            if let Some(proof) = proof {
                return Ok(typed_reply(StatusCode::OK, NO_STORE, TEXT, proof.to_string()));
            }
            if Instant::now() >= patience {
                return Err(Refusal::Unpublished);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Of the year, or of the newest that has records.
    async fn checkpoint(&self, uri: &Uri, year: Option<i32>) -> Result<Response, Refusal> {
        let witnessed = query::witnessed(uri)?;
        let read = move |shelf: &Shelf| {
            let year = match checkpointed(shelf, year)? {
                Ok(year) => year,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let reader = shelf.reader(year)?;
            Ok(if witnessed {
                reader.witnessed()?.into_iter().next().map(|newest| newest.note).ok_or(Refusal::Unwitnessed)
            } else {
                reader.signed_checkpoint()?.ok_or(Refusal::Unpublished)
            })
        };
        Ok(typed_reply(StatusCode::OK, NO_STORE, TEXT, self.archive.read(read).await??))
    }

    /// A tile that follows from a checkpoint that was given out may still be being made.
    async fn tile(&self, uri: &Uri) -> Result<Response, Refusal> {
        query::none(uri)?;
        let (year, path) = year(uri)?;
        let tile = Tile::parse(path).map_err(|_| Refusal::NotFound)?;
        let needed = needed(&tile).ok_or(Refusal::NotFound)?;
        let patience = Instant::now() + CHECKPOINT_PATIENCE;
        loop {
            let read = move |shelf: &Shelf| {
                if !shelf.years()?.contains(&year) {
                    return Ok(Err(Refusal::NotFound));
                }
                let reader = shelf.reader(year)?;
                let exists = reader.checkpoint()?.size >= needed;
                Ok(if exists { Ok(reader.tile(tile)?) } else { Err(Refusal::NotFound) })
            };
            if let Some(bytes) = self.archive.read(read).await?? {
                return Ok(typed_reply(StatusCode::OK, LASTING, "application/octet-stream", bytes));
            }
            if Instant::now() >= patience {
                return Err(Refusal::Unpublished);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn records(&self, uri: &Uri) -> Result<Response, Refusal> {
        let query::Wanted { query, order, after, limit } = query::page(uri)?;
        let sought = query.clone();
        let find = move |shelf: &Shelf| shelf.find(Page { query: &sought, order, after, limit });
        let found = self.archive.read(find).await?;
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let put = serde_json::to_value(&query).map_err(|_| Refusal::Internal)?;
        self.note(AuditUse::Search, query.patient, put, count).await?;
        let next = found.last().filter(|_| found.len() == limit).map(|(place, _)| place.to_string());
        let shelf = self.archive.shelf();
        let records = found.into_iter().map(|found| Shown::of(shelf, found)).collect();
        Ok(json_reply(StatusCode::OK, NO_STORE, &Shelved { records, next }))
    }

    /// Looks one record up, and records that.
    async fn one(&self, wanted: Wanted, form: &str) -> Result<LookedUp, Refusal> {
        let put = wanted.as_query(form);
        let found = self.archive.read(move |shelf| wanted.look_up(shelf)).await?;
        let patient = found.as_ref().and_then(|found| found.record.event.patient().cloned());
        self.note(AuditUse::Show, patient, put, u64::from(found.is_some())).await?;
        found.ok_or(Refusal::NoRecord)
    }

    async fn note(
        &self,
        what: AuditUse,
        patient: Option<EntityId>,
        query: Value,
        records: u64,
    ) -> Result<(), Refusal> {
        let by = Actor {
            entity: EntityId::new("Service", self.caller.id.as_str()),
            caller: Some(self.caller.id.clone()),
            address: self.connection.map(|connection| connection.peer.ip().to_string()),
            account: None,
        };
        let read = AuditRead { by, what, patient, query: Some(query), records, destination: None };
        self.archive.note(self.service.clock.now(), read).await
    }
}

/// The formats of C2SP are UTF-8.
const TEXT: &str = "text/plain; charset=utf-8";
