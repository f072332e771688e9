//! Whether the releases that a service is started with may take over from those that were in force.
//!
//! INVARIANT (two persons for what is guarded): a start whose guarded parts are not those of the last activation on the
//! organization's log is refused, unless two persons agreed on exactly these; see [`assent_audit::releases`]. It is
//! asked before the log is opened, so a start that is refused leaves no trace, however often it is tried; a log that
//! cannot be read refuses it as well.

use std::path::Path;

use anyhow::{Context, bail};
use assent_audit::logs::LogsConfig;
use assent_audit::record::Guarded;
use assent_audit::releases::{Standing, State, changes};
use assent_audit::shelf::Shelf;
use assent_audit::text::printable;
use assent_model::{Instant, OrganizationId};

use crate::commands::release::{in_words, to_type};
use crate::deployment::Deployment;
use crate::deployment::build::Built;
use crate::deployment::guarded;
use crate::say::say;

/// What is recorded of a release that takes over.
pub(super) struct Takeover {
    /// Its guarded parts.
    pub(super) guarded: Guarded,
    /// The request by which two persons agreed on them, where they had to.
    pub(super) request: Option<String>,
}

/// What takes over, for each organization in their order, if all of them may.
///
/// # Errors
/// When one may not: which parts of which differ, and what to type; or when what is in force cannot be told.
pub(super) fn permitted(
    logs: &LogsConfig,
    (deployment, built): (&Deployment, &Built),
    now: Instant,
) -> anyhow::Result<Vec<Takeover>> {
    let (mut takeovers, mut refused) = (vec![], vec![]);
    for (files, built) in deployment.organizations.iter().zip(&built.organizations) {
        let id = &files.config.id;
        let shelf = Shelf::new(logs.clone(), id.clone());
        let state = State::find(&shelf, now)
            .with_context(|| format!("what is in force for `{id}` cannot be read, so nothing takes over"))?;
        let guarded = guarded::Guarded::of(deployment, files, built).recorded();
        match state.standing(&guarded, now) {
            Standing::First | Standing::Same => takeovers.push(Takeover { guarded, request: None }),
            Standing::NotAsked => {
                say_not_asked(id, &state, &guarded);
                takeovers.push(Takeover { guarded, request: None });
            }
            Standing::Agreed(request) => {
                let request = request.id.clone();
                say(&printable(&format!("`{id}`: guarded parts change, as agreed on by request {request}")));
                takeovers.push(Takeover { guarded, request: Some(request) });
            }
            Standing::Needed => refused.push(refusal(&deployment.root, id, &state, &guarded, now)),
        }
    }
    if refused.is_empty() {
        return Ok(takeovers);
    }
    bail!("{}\nnothing was started", refused.join("\n"))
}

fn say_not_asked(id: &OrganizationId, state: &State, guarded: &Guarded) {
    let before = state.in_force().map(|now| &now.guarded);
    let names =
        before.map(|before| changes(before, guarded).iter().map(|change| change.name).collect::<Vec<_>>());
    let names = names.unwrap_or_default().join(", ");
    say(&printable(&format!("`{id}`: guarded parts change, and two persons are not asked for: {names}")));
}

/// What an operator reads of a release that may not take over.
fn refusal(root: &Path, id: &OrganizationId, state: &State, guarded: &Guarded, now: Instant) -> String {
    let Some(before) = state.in_force() else { return format!("`{id}`: nothing is in force") };
    let mut lines = vec![format!(
        "`{id}`: guarded parts are not those that were activated last, {}, so two persons must agree first:",
        before.at
    )];
    lines.extend(changes(&before.guarded, guarded).iter().map(|change| format!("  {}", in_words(change))));
    lines.extend(to_type(root, id, state, guarded, now));
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}
