//! What an administrator set in `assent.toml`, as far as it concerns an organization: on its log, at each
//! start with other settings than before.
//!
//! What is said of others stays out of it: other organizations' names, and callers that may not ask about
//! this one. A key is shown by the first digits of its digest, enough to see that it was exchanged.

use assent_audit::index::{Order, Query};
use assent_audit::record::{Administration, Event};
use assent_audit::shelf::{Page, Shelf, ShelfError};
use assent_engine::AuditRecorder;
use assent_model::{EntityId, Instant, OrganizationId};
use serde_json::{Map, Value};

use crate::deployment::Deployment;

/// What was done, as records call it.
const ACTION: &str = "settings.change";
/// Digits of a key's digest: two keys share them once in 2^32.
const KEY_DIGITS: usize = 8;

/// Records the settings where they are not those of the newest such record.
///
/// # Errors
/// When the log cannot be read or written.
pub(super) async fn note(
    recorder: &AuditRecorder,
    deployment: &Deployment,
    organization: &OrganizationId,
    now: Instant,
) -> anyhow::Result<()> {
    let after = concerning(&deployment.settings, organization);
    let shelf = Shelf::new(recorder.logs().config().clone(), organization.clone());
    let query = Query { action: Some(ACTION.to_owned()), ..Query::default() };
    let page = Page { query: &query, order: Order::NewestFirst, after: None, limit: 1 };
    let found = match shelf.find(page) {
        // What they were stands in a log that is gone: these are recorded without it.
        Err(ShelfError::Gone { .. }) => vec![],
        found => found?,
    };
    let before = found.into_iter().next().and_then(|(_, record)| match record.event {
        Event::Administration(done) => done.after,
        _ => None,
    });
    if before.as_ref() == Some(&after) {
        return Ok(());
    }
    let event = Event::Administration(Administration {
        by: super::log::service(),
        action: ACTION.to_owned(),
        target: EntityId::new("Deployment", recorder.logs().config().name.as_str()),
        before,
        after: Some(after),
        reason: None,
    });
    recorder.note(organization, now, event).await?;
    Ok(())
}

/// The part of the settings that concerns an organization.
fn concerning(settings: &Value, organization: &OrganizationId) -> Value {
    let Value::Object(table) = settings else { return settings.clone() };
    // The list of all organizations is nobody's business but the operator's.
    let table = table.iter().filter(|(name, _)| *name != "organizations");
    Value::Object(table.map(|(name, value)| (name.clone(), narrowed(value, organization))).collect())
}

/// The same without what concerns other organizations alone.
fn narrowed(value: &Value, organization: &OrganizationId) -> Value {
    match value {
        Value::Array(items) => {
            let own = items.iter().filter(|item| concerns(item, organization));
            Value::Array(own.map(|item| narrowed(item, organization)).collect())
        }
        Value::Object(table) => {
            Value::Object(table.iter().map(|part| member(part, organization)).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn member((name, value): (&String, &Value), organization: &OrganizationId) -> (String, Value) {
    match (name.as_str(), value) {
        ("organizations", _) => (name.clone(), Value::from(vec![organization.as_str()])),
        ("key_sha256", Value::String(digest)) => {
            ("key".to_owned(), Value::from(digest.chars().take(KEY_DIGITS).collect::<String>()))
        }
        _ => (name.clone(), narrowed(value, organization)),
    }
}

/// Whether an entry of a list is for this organization: it names it, or names none.
fn concerns(entry: &Value, organization: &OrganizationId) -> bool {
    match entry.get("organizations") {
        Some(Value::Array(named)) => named.iter().any(|name| name.as_str() == Some(organization.as_str())),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_organization_reads_of_its_own_callers_and_of_no_other_organization() {
        let settings = json!({
            "organizations": ["bay", "hill"],
            "server": { "listen": "127.0.0.1:1", "limits": { "batch_max": 3 } },
            "caller": [
                { "id": "portal", "organizations": ["bay", "hill"], "key_sha256": "0123456789abcdef" },
                { "id": "other", "organizations": ["hill"], "loopback": true },
            ],
            "audit": { "name": "x", "export": [{ "id": "siem" }, { "id": "hills", "organizations": ["hill"] }] },
        });
        let bay = concerning(&settings, &OrganizationId::new("bay").unwrap());
        assert_eq!(
            bay,
            json!({
                "server": { "listen": "127.0.0.1:1", "limits": { "batch_max": 3 } },
                "caller": [{ "id": "portal", "organizations": ["bay"], "key": "01234567" }],
                "audit": { "name": "x", "export": [{ "id": "siem" }] },
            })
        );
    }
}
