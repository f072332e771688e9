//! What takes two persons: one asks, another agrees under another name, and each is a record before anything is done.
//!
//! Whether a second person may agree is for [`State::request`] to say; here is how both are asked and recorded.

use std::io::Write;
use std::path::Path;

use assent_audit::record::{Actor, Event, Retention, RetentionChange};
use assent_audit::retention::{Asked, REQUEST_DAYS, Request, RequestError, State};
use assent_audit::shelf::Shelf;
use assent_audit::text::printable;
use assent_server::{Clock, SystemClock};

use super::record::{Said, actor, new_id, record};

/// What one person asks for.
pub(super) struct Asking<'a> {
    /// What is to be recorded.
    pub(super) change: RetentionChange,
    /// Of which years.
    pub(super) years: Vec<i32>,
    /// What goes on until somebody agrees, as a sentence that ends in "until".
    pub(super) meanwhile: &'a str,
    /// The command by which somebody agrees, after `assent audit`.
    pub(super) command: &'a str,
}

/// Records that somebody asks, and says how somebody else agrees.
///
/// # Errors
/// When it is not recorded: then nothing is asked.
pub(super) fn ask(
    root: &Path,
    shelf: &Shelf,
    Asking { change, years, meanwhile, command }: Asking<'_>,
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let request = new_id()?;
    let event = Retention {
        change,
        by: actor(said.by)?,
        reason: said.because()?,
        years,
        request: Some(request.clone()),
        carried_from: None,
    };
    record(shelf.config(), shelf.organization(), &Event::Retention(event))?;
    let (root, organization) = (root.display(), shelf.organization());
    writeln!(
        out,
        "asked: request {request}; {meanwhile} until somebody else, within {REQUEST_DAYS} days, types"
    )?;
    writeln!(
        out,
        "  assent audit {command} {root} --organization {organization} --confirm {request} --by OTHER"
    )?;
    Ok(())
}

/// A request, and the second person, who may agree or has agreed.
pub(super) struct Agreement {
    pub(super) asked: Request,
    /// Whether it is recorded already that this person agreed; what follows may have been interrupted.
    pub(super) is_recorded: bool,
    by: Actor,
}

impl Agreement {
    /// That this person agrees to this request, if that is so.
    ///
    /// # Errors
    /// Why this person cannot.
    pub(super) fn to(state: &State, request: &str, by: &str) -> anyhow::Result<Self> {
        let by = actor(by)?;
        let (asked, so_far) = state.request(request, &by, SystemClock.now())?;
        let is_recorded = match so_far {
            Asked::Open => false,
            Asked::Confirmed => true,
        };
        Ok(Self { asked: asked.clone(), is_recorded, by })
    }

    /// Whether what both agreed on may still begin: an agreement is no standing permission.
    ///
    /// # Errors
    /// When it is too long ago.
    pub(super) fn still_in_time(&self) -> Result<(), RequestError> {
        self.asked.in_time(SystemClock.now())
    }

    /// Records what this person agrees to, or has done by it; for the reason that was given for the request.
    ///
    /// # Errors
    /// When it is not recorded.
    pub(super) fn record(
        &self,
        shelf: &Shelf,
        change: RetentionChange,
        years: Vec<i32>,
    ) -> anyhow::Result<()> {
        let event = Retention {
            change,
            by: self.by.clone(),
            reason: self.asked.reason.clone(),
            years,
            request: Some(self.asked.id.clone()),
            carried_from: None,
        };
        record(shelf.config(), shelf.organization(), &Event::Retention(event))
    }
}

/// A line about a request that waits for a second person, or for being finished.
pub(super) fn waiting(request: &Request, what: &str) -> String {
    let Request { id, by, at, reason, confirmed, .. } = request;
    let agreed = confirmed.as_ref().map(|by| format!(" (confirmed by {})", by.entity.id)).unwrap_or_default();
    printable(&format!("request {id} of {}, {at}{agreed}: {what}: {reason}", by.entity.id))
}
