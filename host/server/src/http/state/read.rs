//! Reads the state: a document, a page of a collection, what ends soon. Each reading is on the log before its answer
//! leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assent_audit::record::{Administration, Event};
use assent_engine::state::{ENTITIES, StateError, StoredDocument};
use assent_model::EntityId;
use assent_policy::Snapshot;
use axum::http::header::ETAG;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

use super::entities::with_version;
use super::page::{self, Page, refused};
use super::path::{self, Collection, Document, Named};
use super::precondition::tag;
use super::problem::Stop;
use super::{Asking, workflows};
use crate::http::refusal::Refusal;
use crate::http::reply::{NO_STORE, json_reply};

/// Documents that are looked through for one page of those that are asked for.
const LOOKED_THROUGH_MAX: usize = 5_000;
/// Of these so many at once, however few are asked for: a small page must not become thousands of queries.
const LOOKED_AT_ONCE: u32 = 500;
/// A page ends with the document that makes it larger than this, in bytes.
const PAGE_BYTES: usize = 4 << 20;

/// Answers a request that reads.
pub(super) async fn read(asking: &Asking, named: &Named, uri: &Uri) -> Result<Response, Stop> {
    match (&named.document, named.collection) {
        (None, Collection::Lapses) => workflows::lapses(asking, uri).await,
        (None, collection) => list(asking, collection, uri).await,
        (Some(Document::Entity(id)), _) => {
            page::none(uri)?;
            entity(asking, id).await
        }
        (Some(Document::Id(id)), collection) => {
            page::none(uri)?;
            let section = workflows::section(collection).ok_or(Refusal::NotFound)?;
            note(asking, EntityId::new(workflows::entity_type(collection), id.as_str()), None).await?;
            let found = document(asking, section, id).await?.ok_or(Refusal::NotFound)?;
            let (version, body) = workflows::shown(collection, &found, asking.at)?;
            Ok(with_tag(version, &body))
        }
    }
}

async fn entity(asking: &Asking, id: &EntityId) -> Result<Response, Stop> {
    note(asking, id.clone(), None).await?;
    let found = document(asking, ENTITIES, &format!("{}/{}", id.kind, id.id)).await?;
    let (version, body) = match found {
        Some(found) => (found.version, parsed(&found)?),
        None => (0, of_files_json(asking, id).ok_or(Refusal::NotFound)?),
    };
    Ok(with_tag(version, &with_version(body, version)))
}

/// A document. What cannot be a name is that of none.
async fn document(asking: &Asking, section: &str, id: &str) -> Result<Option<StoredDocument>, Stop> {
    match asking.state.document(section, id).await {
        Err(StateError::Edit(_)) => Ok(None),
        found => Ok(found?),
    }
}

/// A page of a collection, in the order of ids.
async fn list(asking: &Asking, collection: Collection, uri: &Uri) -> Result<Response, Stop> {
    let page = page::page(uri, workflows::filters(collection))?;
    let kind = match collection {
        Collection::Entities => {
            let kind = page.filter("type").filter(|kind| path::is_type(kind));
            Some(kind.ok_or_else(|| refused("`type`: expected an entity type".to_owned()))?)
        }
        _ => None,
    };
    let query = json!({ "after": page.after, "limit": page.limit, "filters": page.filters });
    note(asking, EntityId::new("State", collection.name()), Some(query)).await?;
    let (found, next) = match kind {
        Some(kind) => entities(asking, kind, &page).await?,
        None => matching(asking, collection, &page).await?,
    };
    let mut body = json!({ "items": found });
    if let (Some(next), Some(members)) = (next, body.as_object_mut()) {
        members.insert("next".to_owned(), json!(next));
    }
    Ok(json_reply(StatusCode::OK, NO_STORE, &body))
}

/// Entities of a type, those of the release's files among them, and where the next page begins.
async fn entities(asking: &Asking, kind: &str, page: &Page) -> Result<(Vec<Value>, Option<String>), Stop> {
    let prefix = format!("{kind}/");
    let after = page.after.clone().unwrap_or_default();
    let documents = asking.state.page(ENTITIES, &format!("{prefix}{after}"), page.limit).await?;
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut is_last = documents.len() < wanted;
    let mut items = BTreeMap::new();
    for document in documents {
        let Some(id) = document.id().strip_prefix(&prefix) else {
            is_last = true;
            break;
        };
        items.insert(id.to_owned(), with_version(parsed(&document)?, document.version));
    }
    // What comes after the last of these may be the state's, and is of the next page.
    let until = items.last_key_value().map(|(id, _)| id.clone()).filter(|_| !is_last);
    let base = Arc::clone(asking.state.base());
    let kind = kind.to_owned();
    let of_files = move || ids_of_files(&base, &kind, (&after, until.as_deref()), wanted);
    let of_files = tokio::task::spawn_blocking(of_files).await.map_err(|_panicked| Refusal::Internal)?;
    for id in of_files {
        if let (false, Some(entity)) = (items.contains_key(id.id.as_str()), of_files_json(asking, &id)) {
            items.insert(id.id.to_string(), entity);
        }
    }
    let (mut found, mut bytes, mut last) = (vec![], 0, None);
    for (id, entity) in items {
        if found.len() == wanted || bytes > PAGE_BYTES {
            return Ok((found, last));
        }
        bytes += entity.to_string().len();
        found.push(entity);
        last = Some(id);
    }
    Ok((found, last.filter(|_| !is_last)))
}

/// The first entities of a type in the release's files, by id: after one, up to and with another.
fn ids_of_files(
    base: &Snapshot,
    kind: &str,
    (after, until): (&str, Option<&str>),
    wanted: usize,
) -> Vec<EntityId> {
    let ids = base.facts().iter().map(|entity| &entity.id);
    let is_in = |id: &&EntityId| id.id.as_str() > after && until.is_none_or(|until| id.id.as_str() <= until);
    let mut first = BTreeSet::new();
    for id in ids.filter(|id| id.kind == kind).filter(is_in) {
        first.insert(id);
        // One more than fit, so that it can be told whether there are more.
        if first.len() > wanted + 1 {
            first.pop_last();
        }
    }
    first.into_iter().cloned().collect()
}

/// An entity as the release's files have it.
fn of_files_json(asking: &Asking, id: &EntityId) -> Option<Value> {
    let mut entity = asking.state.base().json(id)?;
    entity.as_object_mut()?.insert("source".to_owned(), json!("files"));
    Some(with_version(entity, 0))
}

/// The documents of a page, and where the next one begins.
async fn matching(
    asking: &Asking,
    collection: Collection,
    page: &Page,
) -> Result<(Vec<Value>, Option<String>), Stop> {
    let section = workflows::section(collection).ok_or(Refusal::NotFound)?;
    let at_once = if page.filters.is_empty() { page.limit } else { LOOKED_AT_ONCE };
    let [wanted, at_once_max] = [page.limit, at_once].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let (mut found, mut bytes) = (vec![], 0);
    let mut looked_through = 0;
    let mut after = page.after.clone().unwrap_or_default();
    loop {
        let documents = asking.state.page(section, &after, at_once).await?;
        let is_last = documents.len() < at_once_max;
        for document in documents {
            document.id().clone_into(&mut after);
            looked_through += 1;
            if let Some(shown) = shown(collection, &document, page, asking)? {
                bytes += document.body.len();
                found.push(shown);
            }
            if found.len() == wanted || looked_through >= LOOKED_THROUGH_MAX || bytes > PAGE_BYTES {
                return Ok((found, Some(after)));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

/// A document of a workflow as a list has it; `None` where it is not asked for.
fn shown(
    collection: Collection,
    document: &StoredDocument,
    page: &Page,
    asking: &Asking,
) -> Result<Option<Value>, Stop> {
    let (_, body) = workflows::shown(collection, document, asking.at)?;
    let matches = |(name, wanted): &(String, String)| body.get(name).and_then(Value::as_str) == Some(wanted);
    Ok(page.filters.iter().all(matches).then_some(body))
}

pub(super) fn parsed(document: &StoredDocument) -> Result<Value, Stop> {
    serde_json::from_str(&document.body).map_err(|_| Refusal::Internal.into())
}

fn with_tag(version: u64, body: &Value) -> Response {
    let mut response = json_reply(StatusCode::OK, NO_STORE, body);
    response.headers_mut().extend(tag(version).map(|tag| (ETAG, tag)));
    response
}

/// Records a reading. What is not recorded is not given out.
pub(super) async fn note(asking: &Asking, target: EntityId, query: Option<Value>) -> Result<(), Stop> {
    let by = asking.actor();
    let action = "state.read".to_owned();
    let read = Administration { by, action, target, before: None, after: query, reason: None };
    let noted = asking.recorder.note(&asking.organization, asking.at, Event::Administration(read)).await;
    noted.map(drop).map_err(|_| Refusal::Unrecorded.into())
}
