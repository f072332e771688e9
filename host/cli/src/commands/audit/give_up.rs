//! `assent audit give-up`: versions of the state that nobody can bring back, given up by two persons.
//!
//! The database was put back to an older copy, and a node that made later changes is gone for good. INVARIANT (record
//! before act): it is the second person's record that the next start goes by; nothing else is changed here. INVARIANT
//! (never in passing): what is given up is named by the version that the database has, at both times.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use assent_audit::index::{Order, PAGE_MAX, Query};
use assent_audit::retention::{REQUEST_DAYS, RequestError, is_in_time, same_person};
use assent_audit::shelf::{Page, Shelf};
use assent_engine::state::{GIVE_UP_ASKED, GIVEN_UP, GiveUp, give_up_request, stored_version};
use assent_model::Instant;
use assent_server::{Clock, SystemClock};

use super::record::{Said, actor, new_id, record};
use super::{Opened, Which, open_of, wait_for};
use crate::commands::serve::state;
use crate::deployment::Deployment;

/// Asks that every version after this one be given up.
///
/// # Errors
/// When the database has another one, or the request is not recorded.
pub fn ask(
    root: &Path,
    which: &Which<'_>,
    after: u64,
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let Opened { shelf, .. } = open_of(&deployment, which)?;
    ensure_is_at(&deployment, &shelf, after)?;
    let request = new_id()?;
    let asked = GiveUp { request: request.clone(), after, by: actor(said.by)?, reason: said.because()? };
    record(shelf.config(), shelf.organization(), &asked.event(GIVE_UP_ASKED))?;
    let (root, organization) = (root.display(), shelf.organization());
    writeln!(
        out,
        "asked: request {request}; no version is given up until somebody else, within {REQUEST_DAYS} days, types"
    )?;
    writeln!(
        out,
        "  assent audit give-up {root} --organization {organization} --confirm {request} --by OTHER"
    )?;
    Ok(())
}

/// Gives them up, as the second person.
///
/// # Errors
/// When this person cannot confirm the request, the database has another version by now, or it is not recorded.
pub fn confirm(
    root: &Path,
    which: &Which<'_>,
    request: &str,
    by: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let deployment = crate::commands::read(root)?;
    let Opened { shelf, .. } = open_of(&deployment, which)?;
    let by = actor(by)?;
    let (asked_at, asked) = said(&shelf, request, GIVE_UP_ASKED)?.with_context(|| {
        format!(
            "there is no request `{request}` to give up versions: `assent audit search --kind administration`"
        )
    })?;
    if same_person(&asked.by, &by) {
        return Err(RequestError::SamePerson(by.entity.id.to_string()).into());
    }
    if let Some((_, done)) = said(&shelf, request, GIVEN_UP)? {
        bail!(RequestError::ConfirmedBy(done.by.entity.id.to_string()));
    }
    if !is_in_time(asked_at, SystemClock.now()) {
        bail!(RequestError::Expired(asked_at));
    }
    ensure_is_at(&deployment, &shelf, asked.after)?;
    let given_up = GiveUp { by, ..asked };
    record(shelf.config(), shelf.organization(), &given_up.event(GIVEN_UP))?;
    writeln!(
        out,
        "given up: whatever this node's log has seen of the state after version {}; start the service now",
        given_up.after
    )?;
    Ok(())
}

/// The first record of this action about a request.
fn said(shelf: &Shelf, request: &str, action: &str) -> anyhow::Result<Option<(Instant, GiveUp)>> {
    let query = Query {
        kind: Some("administration".to_owned()),
        action: Some(action.to_owned()),
        resource: Some(give_up_request(request)),
        ..Query::default()
    };
    let page = Page { query: &query, order: Order::OldestFirst, after: None, limit: PAGE_MAX };
    let found = shelf.find(page)?;
    Ok(found.iter().find_map(|(_, record)| Some((record.at, GiveUp::of(&record.event, action)?))))
}

/// That the database has this version: both persons know from where on changes are given up.
fn ensure_is_at(deployment: &Deployment, shelf: &Shelf, after: u64) -> anyhow::Result<()> {
    let found = wait_for(async {
        let store = state::store(deployment).await?;
        let store = store.context("assent.toml has no table `[state]`: there is nothing to give up")?;
        let found = stored_version(&store, shelf.organization().as_str()).await;
        store.close().await;
        anyhow::Ok(found?)
    })??;
    ensure!(
        found == after,
        "the database has version {found} of the state, and not {after}: start the nodes again, and give up only what \
         they still lack then"
    );
    Ok(())
}
