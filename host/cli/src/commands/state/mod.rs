//! `assent entity`, `approval`, `break-glass`, `disclosure`, `hold`, `consent` and `lapse`: what people do with the
//! state of a running service.
//!
//! The service alone writes, so each of these is a request to it, and nothing here decides what may be. INVARIANT (no
//! secret in an error): the key comes from a file or the environment, and is not said.

pub mod entity;
pub mod import;
mod problem;
mod show;
pub mod workflow;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use assent_outbound::service::{Answer, Ask, Method, Service};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::secrets;
use problem::Problem;
use show::Look;

/// Where the service is, and who asks it.
#[derive(Clone, Default)]
pub struct Settings {
    /// Its address.
    pub url: String,
    /// Whose state.
    pub organization: Option<String>,
    /// Where the caller's key is: `file:PATH` or `env:NAME`.
    pub key: String,
    /// For whom the caller acts.
    pub person: Option<String>,
    /// A file of certificates that vouch for the service, instead of those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// Whether answers are printed as they are.
    pub json: bool,
}

/// What should be a reference to the key may be the key.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({})", self.url)
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// How many documents at most; with `all`, in one request.
    pub limit: Option<u32>,
    /// Begin after this one.
    pub after: Option<String>,
    /// Ask for one page after the other until there is none.
    pub all: bool,
    /// What else is asked of each.
    pub filters: Vec<(&'static str, String)>,
}

/// The cells of a document in a table.
type Row<'a> = dyn Fn(&Value) -> Vec<String> + 'a;

/// The state of one organization, as a caller sees it.
#[derive(Debug)]
pub struct Session {
    service: Service,
    organization: String,
    runtime: Runtime,
    json: bool,
    look: Look,
}

impl Session {
    /// Reads the key. Nothing is sent yet.
    ///
    /// # Errors
    /// When something is missing or cannot be used.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let organization = settings.organization.clone().context(
            "say which organization: `--organization ID`, or `ASSENT_ORGANIZATION` in the environment",
        )?;
        let key = secrets::named(Path::new(""), &settings.key).context(
            "there is no key to ask the service with: `--key file:PATH`, or `ASSENT_KEY` in the environment",
        )?;
        ensure!(!key.is_empty(), "`--key`: the key is empty");
        let person = settings.person.as_deref().filter(|person| !person.is_empty());
        if let Some(person) = person {
            reference(person).context("`--person`")?;
        }
        let service = Service::new(&settings.url, &key, person, settings.authorities.as_deref());
        let service = service.map_err(anyhow::Error::from).context("`--url`, `--key`")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("no thread for connections could be started")?;
        let plain = secrets::environment("NO_COLOR").is_some_and(|value| !value.is_empty());
        let look = Look { colours: !plain && std::io::stdout().is_terminal() };
        Ok(Self { service, organization, runtime, json: settings.json, look })
    }

    /// The path of a collection, or of what is below it.
    fn path<'a>(&self, below: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut path = [self.organization.as_str(), "state", "v1"].map(str::to_owned).to_vec();
        path.extend(below.into_iter().map(str::to_owned));
        path
    }

    /// What the service says, be it that it does not do it.
    fn try_ask(&self, ask: &Ask) -> anyhow::Result<Result<Answer, Problem>> {
        let answer = self.runtime.block_on(self.service.send(ask))?;
        Ok(if answer.is_success() { Ok(answer) } else { Err(Problem::of(&answer)) })
    }

    /// What the service says to what it does; `missing` is said where it knows no such document.
    fn ask(&self, ask: &Ask, missing: &str) -> anyhow::Result<Answer> {
        match self.try_ask(ask)? {
            Ok(answer) => Ok(answer),
            Err(problem) if ask.method == Method::Get && problem.is("not-found") => bail!("{missing}"),
            Err(problem) => bail!(problem.told(|pointer, _| pointer.to_owned())),
        }
    }

    /// Prints a list of a collection, in whose table `row` is a line, under these heads; or says that there is nothing.
    fn list(
        &self,
        collection: &str,
        listing: &Listing,
        (heads, row, nothing): (&[&str], &Row<'_>, &str),
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let mut rows = vec![];
        let mut after = listing.after.clone();
        let next = loop {
            let mut query = listing.filters.clone();
            let limit = listing.limit.or_else(|| listing.all.then_some(PAGE_MAX));
            query.extend(limit.map(|limit| ("limit", limit.to_string())));
            query.extend(after.map(|after| ("after", after)));
            let ask = Ask { path: self.path([collection]), query, ..Ask::default() };
            let answer = self.ask(&ask, "the service keeps no such list")?;
            let page = json(&answer)?;
            if self.json {
                as_it_is(&answer, out)?;
            }
            let items = page.get("items").and_then(Value::as_array);
            let items = items.context("what was answered is no list: is `--url` right?")?;
            rows.extend(items.iter().map(row));
            after = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if !listing.all || after.is_none() {
                break after;
            }
        };
        if self.json {
            return Ok(());
        }
        if rows.is_empty() {
            writeln!(out, "{nothing}")?;
        } else {
            write!(out, "{}", self.look.table(heads, rows))?;
        }
        if let Some(next) = next {
            let next = assent_audit::text::printable(&next);
            writeln!(out, "more: the same with `--after {next}`, or with `--all`")?;
        }
        Ok(())
    }
}

/// The most that the service puts on one page.
const PAGE_MAX: u32 = 500;

/// The type and the id of an entity, typed as `Patient/jun-park`. An id may hold further slashes.
fn reference(text: &str) -> anyhow::Result<(&str, &str)> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok((kind, id)),
        _ => bail!("`{text}`: expected an entity as TYPE/ID, such as `Patient/jun-park`"),
    }
}

/// The JSON of an answer.
fn json(answer: &Answer) -> anyhow::Result<Value> {
    serde_json::from_slice(&answer.body).ok().context("what was answered is not JSON: is `--url` right?")
}

/// The body of an answer, on a line of its own.
fn as_it_is(answer: &Answer, out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(&answer.body)?;
    writeln!(out)
}
