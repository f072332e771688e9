//! `assent release`: two persons agree on the guarded parts of a release before they take over.
//!
//! What is agreed on is what the deployment's files say at that moment, by its digest. INVARIANT (record before act):
//! proposal and approval are records of the organization's log before anything is said of them. Whether they count is
//! for [`State`] to say, and the start asks it again.

mod differences;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use assent_audit::known;
use assent_audit::record::Guarded;
use assent_audit::releases::{Change, Ended, InForce, Request, Standing, State, approval, changes, proposal};
use assent_audit::retention::REQUEST_DAYS;
use assent_audit::shelf::{Archived, Shelf};
use assent_audit::text::printable;
use assent_model::{Digest, Instant, OrganizationId};
use assent_server::{Clock, SystemClock};

use super::audit::record::{Said, actor, new_id, record};
use super::audit::{Opened, Which, open_of};
use crate::audit_keys;
use crate::deployment::archive::Rebuilder;
use crate::deployment::build::{Built, BuiltOrganization};
use crate::deployment::{Deployment, OrganizationFiles, guarded};
use differences::{differences, lines};

/// Characters of a digest that are shown: two parts share them once in 2^32.
const DIGEST_SHOWN: usize = 8;
/// Lines about one part: whoever wants more reads the files.
const DIFFERENCES_MAX: usize = 12;

/// An organization, as its files say it and as its log does.
struct Compared {
    shelf: Shelf,
    state: State,
    /// What the files say.
    wanted: guarded::Guarded,
    /// What was said by those of the release in force, as far as the log can tell.
    former: Option<guarded::Guarded>,
}

impl Compared {
    fn id(&self) -> &OrganizationId {
        self.shelf.organization()
    }

    /// Opens the log of an organization and compares.
    fn open(
        deployment: &Deployment,
        built: &Built,
        organization: Option<&str>,
        now: Instant,
    ) -> anyhow::Result<Self> {
        let Opened { shelf, .. } = open_of(deployment, &Which { organization, year: None })?;
        let both = deployment.organizations.iter().zip(&built.organizations);
        let mut of_it = both.filter(|(files, _)| files.config.id == *shelf.organization());
        let (files, built_organization) = of_it.next().context("the organization is not one of these")?;
        let wanted = guarded::Guarded::of(deployment, files, built_organization);
        let state = State::find(&shelf, now)?;
        let rebuilder = Rebuilder::new(Arc::clone(&built.host), &deployment.config.plugins);
        let former = state.in_force().and_then(|before| former(&shelf, before, deployment, &rebuilder));
        Ok(Self { shelf, state, wanted, former })
    }

    /// Prints the parts that differ, with what differs in them where that is known.
    fn print(&self, before: &Guarded, after: &Guarded, out: &mut dyn Write) -> anyhow::Result<()> {
        let now = self.wanted.recorded();
        let then = self.former.as_ref().map(|former| (former, former.recorded()));
        for change in changes(before, after) {
            writeln!(out, "  {}", printable(&in_words(&change)))?;
            // Forms are shown only where they are those of these digests.
            let new = after.parts.get(change.name);
            let former =
                then.as_ref().filter(|(_, then)| then.parts.get(change.name) == change.before.as_ref());
            let former = former.map(|(former, _)| *former);
            if new != now.parts.get(change.name) || (former.is_none() && change.before.is_some()) {
                continue;
            }
            let mut lines = inside(change.name, former, new.map(|_| &self.wanted));
            let more = lines.len().saturating_sub(DIFFERENCES_MAX);
            lines.truncate(DIFFERENCES_MAX);
            lines.extend((more > 0).then(|| format!("and {more} more")));
            for line in lines {
                writeln!(out, "    {}", printable(&line))?;
            }
        }
        Ok(())
    }
}

/// What differs inside a part: of policies the lines as they are written, of others the values.
fn inside(name: &str, before: Option<&guarded::Guarded>, after: Option<&guarded::Guarded>) -> Vec<String> {
    let [old, new] = [before, after].map(|of| of.and_then(|of| of.text(name)));
    if old.is_some() || new.is_some() {
        return lines(old.unwrap_or_default(), new.unwrap_or_default());
    }
    let [old, new] = [before, after].map(|of| of.and_then(|of| of.form(name)));
    differences(old, new)
}

/// The guarded parts of the release in force, made again from its archive; nothing where that cannot be done. What is
/// shown of them is compared with the recorded digests first.
fn former(
    shelf: &Shelf,
    before: &InForce,
    deployment: &Deployment,
    rebuilder: &Rebuilder,
) -> Option<guarded::Guarded> {
    let (year, facts) = shelf.last_archive(before.release).ok()??;
    let Ok(Ok(Archived::Whole(archive))) = shelf.archived(year, before.release, facts) else { return None };
    let (files, built) = rebuilder.organization(archive.files).ok()?;
    Some(guarded::Guarded::of(deployment, &files, &built))
}

/// A part that is not what it was, in a line.
pub(super) fn in_words(Change { name, before, after }: &Change<'_>) -> String {
    match (before.map(short), after.map(short)) {
        (Some(before), Some(after)) => format!("{name}: changed, {before} → {after}"),
        (None, Some(after)) => format!("{name}: new, {after}"),
        (Some(before), None) => format!("{name}: gone, was {before}"),
        (None, None) => format!("{name}: the same"),
    }
}

fn short(digest: Digest) -> String {
    digest.to_string().chars().take(DIGEST_SHOWN).collect()
}

/// What the persons type who are still missing, by line.
pub(super) fn to_type(
    root: &Path,
    id: &OrganizationId,
    state: &State,
    wanted: &Guarded,
    now: Instant,
) -> Vec<String> {
    let root = root.display();
    let approve = |request: &str| {
        format!("  assent release approve {root} --organization {id} --request {request} --by OTHER")
    };
    match state.open(now).find(|request| request.wanted.digest == wanted.digest) {
        Some(Request { id: request, by, .. }) => vec![
            format!(
                "request {request} of {} waits for somebody else, who looks at it and types",
                by.entity.id
            ),
            format!("  assent release show {root} --organization {id}"),
            approve(request),
        ],
        None => vec![
            "one of them types".to_owned(),
            format!("  assent release propose {root} --organization {id} --by NAME --reason TEXT"),
            format!("and within {REQUEST_DAYS} days somebody else"),
            approve("REQUEST"),
        ],
    }
}

/// Proposes that the guarded parts of the files take over.
///
/// # Errors
/// When there is nothing to agree on, somebody has proposed it already, or it is not recorded.
pub fn propose(
    root: &Path,
    organization: Option<&str>,
    said: Said<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (deployment, built) = super::load(root)?;
    let now = SystemClock.now();
    let compared = Compared::open(&deployment, &built, organization, now)?;
    let (id, wanted) = (compared.id(), compared.wanted.recorded());
    match compared.state.standing(&wanted, now) {
        Standing::First => {
            bail!(
                "`{id}`: nothing is in force that was recorded with its guarded parts: the next start takes these"
            )
        }
        Standing::Same => bail!("`{id}`: the guarded parts are those in force: there is nothing to agree on"),
        Standing::NotAsked => bail!(
            "`{id}`: two persons are not asked for, by `releases.two_persons` of what is in force: the next start \
             takes these"
        ),
        Standing::Agreed(request) => {
            bail!("`{id}`: two persons agreed on these already (request {}): start the service", request.id)
        }
        Standing::Needed => {}
    }
    if let Some(open) = compared.state.open(now).find(|request| request.wanted.digest == wanted.digest) {
        bail!("{}", to_type(root, id, &compared.state, &open.wanted, now).join("\n"));
    }
    let before = &compared.state.in_force().context("nothing is in force")?.guarded;
    let request = new_id()?;
    let event = proposal(&request, (before, &wanted), actor(said.by)?, said.because()?)?;
    record(compared.shelf.config(), id, &event)?;
    writeln!(out, "proposed for `{id}`: request {request}, guarded parts {}", short(wanted.digest))?;
    compared.print(before, &wanted, out)?;
    let root = root.display();
    writeln!(
        out,
        "what is in force stays until somebody else, within {REQUEST_DAYS} days, looks at it and types\n  assent release \
         show {root} --organization {id}\n  assent release approve {root} --organization {id} --request {request} --by \
         OTHER\nand the service is started again"
    )?;
    Ok(())
}

/// Approves a request, as the second person.
///
/// # Errors
/// When this person cannot, the files are not those that were proposed, or it is not recorded.
pub fn approve(
    root: &Path,
    organization: Option<&str>,
    request: &str,
    by: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (deployment, built) = super::load(root)?;
    let (by, now) = (actor(by)?, SystemClock.now());
    let compared = Compared::open(&deployment, &built, organization, now)?;
    let (id, wanted) = (compared.id(), compared.wanted.recorded());
    let asked = compared.state.request(request, &by, now)?;
    let others: Vec<_> = changes(&asked.wanted, &wanted).iter().map(in_words).collect();
    ensure!(
        others.is_empty(),
        "the files are not those that {} proposed, so nothing was approved: {}",
        asked.by.entity.id,
        others.join("; ")
    );
    if asked.approved.is_none() {
        record(compared.shelf.config(), id, &approval(asked, by)?)?;
    }
    writeln!(out, "approved for `{id}`: request {request}, guarded parts {}", short(wanted.digest))?;
    compared.print(&asked.before, &wanted, out)?;
    writeln!(out, "start the service again within {REQUEST_DAYS} days of the request, of {}", asked.at)?;
    Ok(())
}

/// Prints of every organization, or of one, what is in force, what differs from it, and the requests of the last days.
///
/// # Errors
/// When the logs cannot be read.
pub fn show(root: &Path, organization: Option<&str>, out: &mut dyn Write) -> anyhow::Result<()> {
    let (deployment, built) = super::load(root)?;
    let all = deployment.organizations.iter().map(|organization| organization.config.id.as_str());
    let organizations: Vec<&str> = organization.map_or_else(|| all.collect(), |one| vec![one]);
    for name in organizations {
        if organization.is_none() && !has_log(&deployment, name) {
            writeln!(out, "{name}\n  no log yet")?;
            continue;
        }
        let now = SystemClock.now();
        let compared = Compared::open(&deployment, &built, Some(name), now)?;
        let wanted = compared.wanted.recorded();
        writeln!(out, "{name}")?;
        if let Some(InForce { guarded, release, at }) = compared.state.in_force() {
            let asked = if guarded.two_persons { "take two persons" } else { "take one person" };
            let (parts, release) = (short(guarded.digest), short(*release));
            writeln!(out, "  activated {at}: guarded parts {parts} (release {release}); changes {asked}")?;
            writeln!(out, "  of these files: guarded parts {}", short(wanted.digest))?;
            compared.print(&guarded.clone(), &wanted, out)?;
        }
        writeln!(out, "  {}", in_short(&compared.state, &wanted, now))?;
        for request in compared.state.requests() {
            writeln!(out, "  {}", printable(&line(request, &wanted)))?;
        }
    }
    Ok(())
}

/// A request in a line.
fn line(request: &Request, wanted: &Guarded) -> String {
    let Request { id, wanted: asked, before, by, reason, at, approved, ended } = request;
    let state = match (ended, approved) {
        (Some(Ended::Activated), _) => "took over".to_owned(),
        (Some(Ended::Overtaken), _) => "overtaken".to_owned(),
        (None, Some(by)) => format!("approved by {}", by.entity.id),
        (None, None) => "open".to_owned(),
    };
    let names: Vec<_> = changes(before, asked).iter().map(|change| change.name).collect();
    let other = if asked.digest == wanted.digest { "" } else { " (not these files)" };
    let (parts, names) = (short(asked.digest), names.join(", "));
    format!(
        "request {id} of {}, {at}, {state}: guarded parts {parts}{other}: {names}: {reason}",
        by.entity.id
    )
}

/// What a start with these parts would need, in a line.
fn in_short(state: &State, wanted: &Guarded, now: Instant) -> String {
    let names = state.in_force().map(|before| {
        let changes = changes(&before.guarded, wanted);
        changes.iter().map(|change| change.name).collect::<Vec<_>>().join(", ")
    });
    let names = names.unwrap_or_default();
    match state.standing(wanted, now) {
        Standing::First => "nothing is recorded yet: the next start takes these guarded parts".to_owned(),
        Standing::Same => "a start needs nobody's approval: the guarded parts are those in force".to_owned(),
        Standing::NotAsked => {
            format!("a start needs nobody's approval, by what is in force; it changes {names}")
        }
        Standing::Agreed(request) => {
            format!(
                "a start needs nobody else: two persons agreed, by request {}; it changes {names}",
                request.id
            )
        }
        Standing::Needed => format!("a start needs two persons: it changes {names}"),
    }
}

/// What `assent check` says of the guarded parts: which they are, and whether a start would need two persons, where the
/// log can be read.
///
/// # Errors
/// When it cannot be written.
pub(super) fn foresee(
    deployment: &Deployment,
    (files, built): (&OrganizationFiles, &BuiltOrganization),
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let wanted = guarded::Guarded::of(deployment, files, built).recorded();
    writeln!(out, "  {} guarded parts {}", wanted.parts.len(), short(wanted.digest))?;
    let id = &files.config.id;
    if deployment.config.audit.is_none() {
        return Ok(());
    }
    if !has_log(deployment, id.as_str()) {
        return writeln!(out, "  no log yet: the first start takes these guarded parts");
    }
    let now = SystemClock.now();
    let state = audit_keys::load(deployment).and_then(|logs| {
        let logs = logs.context("it has no `[audit]`")?;
        Ok(State::find(&Shelf::new(logs, id.clone()), now)?)
    });
    let line = match state {
        Ok(state) => in_short(&state, &wanted, now),
        Err(error) => format!("whether a start needs two persons cannot be told here: {error:#}"),
    };
    writeln!(out, "  {}", printable(&line))
}

/// Whether there is, or was, anything to compare with.
fn has_log(deployment: &Deployment, id: &str) -> bool {
    let logs = deployment.config.audit.as_ref().map(|audit| deployment.root.join(&audit.directory));
    logs.is_some_and(|logs| logs.join(id).exists() || known::beside(&logs).join(id).exists())
}
