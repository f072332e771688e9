//! `assent entity get`, `list`, `put`, `set` and `delete`.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use assent_outbound::service::{Answer, Ask, Method};
use assent_policy::{EVERY, PROVENANCE};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::show::said;
use super::{Listing, Session, as_it_is, json, reference};
use crate::deployment::files;

pub(super) const ENTITIES: &str = "entities";
/// The largest body that the service takes if nobody told it otherwise.
pub(super) const ENTITY_BYTES_MAX: u64 = 1 << 20;

/// On which version of an entity a change insists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insist {
    /// On none.
    #[default]
    No,
    /// On this one.
    Version(u64),
    /// On that there is none.
    New,
}

impl Insist {
    fn headers(self) -> Vec<(&'static str, String)> {
        match self {
            Self::No => vec![],
            Self::Version(version) => vec![("if-match", format!("\"{version}\""))],
            Self::New => vec![("if-none-match", "*".to_owned())],
        }
    }
}

/// What changes of an entity.
#[derive(Clone, Default)]
pub struct Changes<'a> {
    /// `name=TEXT` or `name:=JSON`.
    pub set: &'a [String],
    /// Attributes that go.
    pub unset: &'a [String],
    /// All its parents from now on, where there are any.
    pub parents: &'a [String],
    /// Attributes that do not change and are still so.
    pub confirmed: &'a [String],
    /// When what is said was so, if earlier than now.
    pub as_of: Option<&'a str>,
    /// On which version it insists.
    pub insist: Insist,
}

impl std::fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({} of {})", self.set.len() + self.unset.len(), self.parents.len())
    }
}

/// Prints an entity.
///
/// # Errors
/// When there is none, or the service does not tell.
pub fn get(session: &Session, entity: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let (kind, id) = reference(entity)?;
    let ask = Ask { path: session.path([ENTITIES, kind, id]), ..Ask::default() };
    let answer = session.ask(&ask, &format!("there is no entity `{entity}`"))?;
    shown(session, entity, &answer, out)
}

/// Prints entities of a type.
///
/// # Errors
/// When the service does not tell.
pub fn list(session: &Session, kind: &str, listing: &Listing, out: &mut dyn Write) -> anyhow::Result<()> {
    let row = |entity: &Value| {
        let text = |pointer: &str| entity.pointer(pointer).map(said).unwrap_or_default();
        let changed = entity.get(PROVENANCE).and_then(Value::as_object).into_iter().flat_map(Map::values);
        // Moments of one form come in their order.
        let last = changed.max_by_key(|stamp| stamp.get("at").map(said));
        let of_last = |name: &str| last.and_then(|stamp| stamp.get(name)).map(said).unwrap_or_default();
        vec![
            text("/uid/id"),
            text("/version"),
            of_last("at"),
            of_last("by"),
            text("/attrs"),
            text("/parents"),
        ]
    };
    let mut listing = listing.clone();
    listing.filters.push(("type", kind.to_owned()));
    let nothing = "there are none";
    session.list(
        ENTITIES,
        &listing,
        (&["ID", "VERSION", "CHANGED", "BY", "ATTRIBUTES", "PARENTS"], &row, nothing),
        out,
    )
}

/// Makes an entity what a file says.
///
/// # Errors
/// When the file holds no entity, or the service refuses it.
pub fn put(session: &Session, file: &Path, insist: Insist, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = text(file)?;
    let name = files::shown(file);
    let entity: Value =
        serde_json::from_str(&text).map_err(|error| anyhow!("{name}: this is not JSON: {error}"))?;
    ensure!(!entity.is_array(), "{name} has several entities: `assent entity import {name}`");
    let (kind, id) = uid(&entity).with_context(|| format!("{name}: {NO_ENTITY}"))?;
    // As it was written: a member that is there twice is for the service to refuse.
    let body = Some(text.into_bytes());
    let path = session.path([ENTITIES, kind, id]);
    let ask = Ask { method: Method::Put, path, headers: insist.headers(), body, ..Ask::default() };
    changed(session, &format!("{kind}/{id}"), &ask, out)
}

/// Changes some of an entity.
///
/// # Errors
/// When what is typed is no change, or the service refuses it.
pub fn set(
    session: &Session,
    entity: &str,
    changes: &Changes<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (kind, id) = reference(entity)?;
    let body = patch(changes)?;
    let path = session.path([ENTITIES, kind, id]);
    let body = Some(body.to_string().into_bytes());
    let ask = Ask { method: Method::Patch, path, headers: changes.insist.headers(), body, ..Ask::default() };
    changed(session, entity, &ask, out)
}

/// Removes an entity.
///
/// # Errors
/// When the service refuses it.
pub fn delete(session: &Session, entity: &str, insist: Insist, out: &mut dyn Write) -> anyhow::Result<()> {
    let (kind, id) = reference(entity)?;
    let path = session.path([ENTITIES, kind, id]);
    let ask = Ask { method: Method::Delete, path, headers: insist.headers(), ..Ask::default() };
    changed(session, entity, &ask, out)
}

/// What is expected where something is no entity.
pub(super) const NO_ENTITY: &str = "expected an entity: an object whose `uid` has a `type` and an `id`";

/// The type and the id of an entity in JSON.
pub(super) fn uid(entity: &Value) -> Option<(&str, &str)> {
    let member = |name: &str| entity.get("uid")?.get(name)?.as_str().filter(|text| !text.is_empty());
    Some((member("type")?, member("id")?))
}

/// A merge patch (RFC 7396) of what was typed.
fn patch(changes: &Changes<'_>) -> anyhow::Result<Value> {
    let mut attrs = Map::new();
    for text in changes.set {
        let expected = || format!("`{text}`: expected `name=TEXT`, or `name:=JSON`");
        let (name, value) = text.split_once('=').with_context(expected)?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                let not_json = || format!("`{text}`: what follows `:=` is not JSON; for text: `{name}=…`");
                (name, serde_json::from_str(value).with_context(not_json)?)
            }
            None => (name, Value::from(value)),
        };
        ensure!(!name.is_empty(), expected());
        ensure!(attrs.insert(name.to_owned(), value).is_none(), "`{name}` is there twice");
    }
    for name in changes.unset {
        ensure!(attrs.insert(name.clone(), Value::Null).is_none(), "`{name}` is there twice");
    }
    let mut patch = Map::from_iter([("attrs".to_owned(), Value::Object(attrs))]);
    if !changes.parents.is_empty() {
        let parent = |text: &String| reference(text).map(|(kind, id)| json!({ "type": kind, "id": id }));
        let parents: Vec<Value> = changes.parents.iter().map(parent).collect::<anyhow::Result<_>>()?;
        patch.insert("parents".to_owned(), Value::Array(parents));
    } else if changes.set.is_empty() && changes.unset.is_empty() && changes.confirmed.is_empty() {
        bail!(
            "say what changes: `name=TEXT`, `name:=JSON`, `--unset name`, `--parent TYPE/ID` or `--confirm name`"
        );
    }
    let moment = || changes.as_of.map_or(json!({}), |at| json!({ "at": at }));
    let of_changed = changes.as_of.is_some().then(|| (EVERY.to_owned(), moment()));
    let of_confirmed = changes.confirmed.iter().map(|name| (name.clone(), moment()));
    let provenance: Map<String, Value> = of_changed.into_iter().chain(of_confirmed).collect();
    if !provenance.is_empty() {
        patch.insert(PROVENANCE.to_owned(), Value::Object(provenance));
    }
    Ok(Value::Object(patch))
}

fn changed(session: &Session, entity: &str, ask: &Ask, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer = match session.try_ask(ask)? {
        Ok(answer) => answer,
        Err(problem) => bail!(told(&problem)),
    };
    if session.json {
        return Ok(as_it_is(&answer, out)?);
    }
    let body = json(&answer)?;
    let version = body.get("version").and_then(Value::as_u64).context("the answer has no version")?;
    let entity = assent_audit::text::printable(entity);
    let done = match (ask.method, answer.status) {
        (Method::Delete, _) if body.get("source").is_some() => "gave back to the release's files:",
        (Method::Delete, _) => "deleted",
        (_, 201) => "created",
        (_, _) => "changed",
    };
    writeln!(out, "{done} {entity}; the state is of version {version}")?;
    Ok(())
}

/// A problem with the one entity that is asked about.
fn told(problem: &Problem) -> String {
    problem.told(|pointer, _| pointer.strip_prefix("/changes/0").unwrap_or(pointer).to_owned())
}

fn shown(session: &Session, entity: &str, answer: &Answer, out: &mut dyn Write) -> anyhow::Result<()> {
    if session.json {
        return Ok(as_it_is(answer, out)?);
    }
    let Value::Object(mut members) = json(answer)? else { bail!("what was answered is no entity") };
    members.remove("uid");
    let version = members.remove("version").map(|version| said(&version)).unwrap_or_default();
    let whence = match members.remove("source") {
        Some(_) => "as the release's files have it, never changed since".to_owned(),
        None => format!("last changed by version {version} of the state"),
    };
    // Whoever looks for an entity's version to insist on it finds the number that is expected.
    let title = format!("{entity}, version {version}: {whence}");
    write!(out, "{}", session.look.page(&title, &members))?;
    Ok(())
}

/// The text of a file, or of standard input.
fn text(file: &Path) -> anyhow::Result<String> {
    let bytes = if file == Path::new("-") {
        let mut bytes = vec![];
        std::io::stdin()
            .lock()
            .take(ENTITY_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .context("standard input")?;
        bytes
    } else {
        files::read_bytes(file).map_err(|what| anyhow!("{} {what}", files::shown(file)))?
    };
    let name = files::shown(file);
    ensure!(bytes.len() as u64 <= ENTITY_BYTES_MAX, "{name} is larger than {} MiB", ENTITY_BYTES_MAX >> 20);
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{name} is not UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(set: &[&str], unset: &[&str], parents: &[&str]) -> Result<Value, String> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (set, unset, parents) = (owned(set), owned(unset), owned(parents));
        let changes = Changes { set: &set, unset: &unset, parents: &parents, ..Changes::default() };
        patch(&changes).map_err(|error| error.to_string())
    }

    #[test]
    fn an_equals_sign_sets_text_and_a_colon_before_it_json() {
        for (set, unset, expected) in [
            (&["role=nurse"][..], &[][..], json!({ "role": "nurse" })),
            (&["room=007", "active=true"], &[], json!({ "room": "007", "active": "true" })),
            (&["active:=true", "n:=7", "t:=[\"a\"]"], &[], json!({ "active": true, "n": 7, "t": ["a"] })),
            (&["note=a=b:=c", "empty="], &["role"], json!({ "note": "a=b:=c", "empty": "", "role": null })),
        ] {
            assert_eq!(patched(set, unset, &[]).unwrap(), json!({ "attrs": expected }));
        }
        let parents = json!([{ "type": "Role", "id": "a/b" }]);
        assert_eq!(patched(&[], &[], &["Role/a/b"]).unwrap(), json!({ "attrs": {}, "parents": parents }));
    }

    #[test]
    fn what_is_confirmed_and_of_when_it_is_goes_beside_what_changes() {
        let of = |set: &[&str], confirmed: &[&str], as_of| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let (set, confirmed) = (owned(set), owned(confirmed));
            patch(&Changes { set: &set, confirmed: &confirmed, as_of, ..Changes::default() }).unwrap()
        };
        let at = json!({ "at": "2026-11-20T08:00:00Z" });
        for (body, expected) in [
            (of(&[], &["licence"], None), json!({ "attrs": {}, "provenance": { "licence": {} } })),
            (
                of(&["a=b"], &["licence"], Some("2026-11-20T08:00:00Z")),
                json!({ "attrs": { "a": "b" }, "provenance": { "*": at, "licence": at } }),
            ),
        ] {
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for (set, unset, parents, expected) in [
            (&[][..], &[][..], &[][..], "say what changes"),
            (&["role"], &[], &[], "`role`: expected `name=TEXT`"),
            (&["=x"], &[], &[], "`=x`: expected"),
            (&[":=1"], &[], &[], "`:=1`: expected"),
            (&["n:=nurse"], &[], &[], "`n:=nurse`: what follows `:=` is not JSON; for text: `n=…`"),
            (&["n=1", "n:=1"], &[], &[], "`n` is there twice"),
            (&["n=1"], &["n"], &[], "`n` is there twice"),
            (&[], &[], &["Role"], "`Role`: expected an entity as TYPE/ID"),
        ] {
            let error = patched(set, unset, parents).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
