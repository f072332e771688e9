//! Reads the state: a document, a page of a collection, what ends soon. Each reading is on the log before its answer
//! leaves.

use assent_audit::record::{Administration, Event};
use assent_engine::state::{ENTITIES, StateError, StoredDocument};
use assent_model::EntityId;
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
        None => {
            let mut body = asking.state.base().json(id).ok_or(Refusal::NotFound)?;
            if let Some(members) = body.as_object_mut() {
                members.insert("source".to_owned(), json!("files"));
            }
            (0, body)
        }
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
    let (section, prefix) = match collection {
        Collection::Entities => {
            let kind = page
                .filter("type")
                .filter(|kind| path::is_type(kind))
                .ok_or_else(|| refused("`type`: expected an entity type".to_owned()))?;
            (ENTITIES, format!("{kind}/"))
        }
        collection => (workflows::section(collection).ok_or(Refusal::NotFound)?, String::new()),
    };
    let query = json!({ "after": page.after, "limit": page.limit, "filters": page.filters });
    note(asking, EntityId::new("State", collection.name()), Some(query)).await?;
    let (found, next) = matching(asking, collection, (section, &prefix), &page).await?;
    let mut body = json!({ "items": found });
    if let (Some(next), Some(members)) = (next, body.as_object_mut()) {
        members.insert("next".to_owned(), json!(next));
    }
    Ok(json_reply(StatusCode::OK, NO_STORE, &body))
}

/// The documents of a page, and where the next one begins.
async fn matching(
    asking: &Asking,
    collection: Collection,
    (section, prefix): (&str, &str),
    page: &Page,
) -> Result<(Vec<Value>, Option<String>), Stop> {
    let is_all = collection == Collection::Entities || page.filters.is_empty();
    let at_once = if is_all { page.limit } else { LOOKED_AT_ONCE };
    let [wanted, at_once_max] = [page.limit, at_once].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let mut found = vec![];
    let mut looked_through = 0;
    let mut after = format!("{prefix}{}", page.after.as_deref().unwrap_or_default());
    loop {
        let documents = asking.state.page(section, &after, at_once).await?;
        let is_last = documents.len() < at_once_max;
        for document in documents {
            let Some(id) = document.id().strip_prefix(prefix) else { return Ok((found, None)) };
            document.id().clone_into(&mut after);
            looked_through += 1;
            if let Some(shown) = shown(collection, &document, page, asking)? {
                found.push(shown);
            }
            if found.len() == wanted || looked_through >= LOOKED_THROUGH_MAX {
                return Ok((found, Some(id.to_owned())));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

/// A document as a list has it; `None` where it is not asked for.
fn shown(
    collection: Collection,
    document: &StoredDocument,
    page: &Page,
    asking: &Asking,
) -> Result<Option<Value>, Stop> {
    if collection == Collection::Entities {
        return Ok(Some(with_version(parsed(document)?, document.version)));
    }
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
