//! `assent audit rewrap`: all data keys under the sealing key that `assent.toml` names now, and nothing under others.
//!
//! Works beside the service, which must have the new key already; it records what was done here. Goes through
//! the logs that are on disk, served or not, for a former key may be destroyed only when no log at all needs it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use assent_audit::keys::{Found, KeyError, PROBLEMS_MAX, Rewrapped, look, rewrap as rewrap_log};
use assent_audit::logs::LogsConfig;
use assent_audit::shelf::Shelf;

use super::progress::Bar;
use super::{Which, kept, listed};
use crate::audit_keys::{self, Loaded};

/// Wraps every data key of the logs that `which` names anew; whether all are wrapped now.
///
/// # Errors
/// When a log cannot be read, the service still has a former key, or the sealing key cannot be reached. The keys
/// before that are done, and another run goes on.
pub fn rewrap(
    root: &Path,
    which: &Which<'_>,
    identity: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let Loaded { logs, former } = loaded(root, identity)?;
    let mut all = true;
    for (name, shelf, year) in chosen(&logs, which)? {
        let mut bar = bar(&shelf, year);
        let done =
            rewrap_log(&shelf.directory(year), &shelf.verifier(year)?, logs.kek.as_ref(), &mut |done| {
                bar.show(done)
            });
        drop(bar);
        let Rewrapped { rewrapped, already, failed, problems } = done.with_context(|| name.clone())?;
        writeln!(out, "{name}: {} wrapped anew, {already} already were", keys(rewrapped))?;
        tell_failed(failed, &problems, out)?;
        all &= failed == 0;
    }
    writeln!(out, "the sealing key is {}", logs.kek.id())?;
    if all && !former.is_empty() {
        writeln!(
            out,
            "before a former key is destroyed, ask `assent audit rewrap {} --check`",
            root.display()
        )?;
    }
    Ok(all)
}

/// Opens every data key with the sealing key alone; whether that is all it takes.
///
/// # Errors
/// When a log cannot be read or the sealing key cannot be reached.
pub fn check(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<bool> {
    let Loaded { logs, former } = loaded(root, None)?;
    let mut all = true;
    let mut needed: BTreeMap<String, u64> = BTreeMap::new();
    for (name, shelf, year) in chosen(&logs, which)? {
        let mut bar = bar(&shelf, year);
        let found = look(&shelf.directory(year), &shelf.verifier(year)?, logs.kek.as_ref(), &mut |done| {
            bar.show(done)
        });
        drop(bar);
        let found = found.with_context(|| name.clone())?;
        all &= found.is_complete();
        let Found { opened, other, other_recipients, failed, problems } = found;
        let total = opened + other.values().sum::<u64>() + failed;
        writeln!(out, "{name}: {opened} of {} opened with {}", keys(total), logs.kek.id())?;
        for (id, count) in other {
            let known =
                if former.iter().any(|(_, former)| *former == id) { "a former" } else { "an UNKNOWN" };
            writeln!(out, "  {} need {id}, {known} key", keys(count))?;
            *needed.entry(id).or_default() += count;
        }
        if other_recipients > 0 {
            writeln!(
                out,
                "  {} not wrapped for `recovery_recipients` as they are now",
                keys(other_recipients)
            )?;
        }
        tell_failed(failed, &problems, out)?;
    }
    for (text, id) in &former {
        match needed.get(id) {
            Some(count) => writeln!(out, "former key {id} (`{text}`) is needed by {}", keys(*count))?,
            None => writeln!(out, "former key {id} (`{text}`) opens nothing here: nothing needs it")?,
        }
    }
    if !needed.is_empty() {
        writeln!(out, "`assent audit rewrap {}` wraps them with the sealing key", root.display())?;
    } else if all && *which == Which::default() {
        writeln!(
            out,
            "nothing needs a former key. Copies of `keys` from before the rewrap do: destroy one only when"
        )?;
        writeln!(out, "those are replaced, and take it out of `former_sealing_keys` first")?;
    }
    Ok(all)
}

fn loaded(root: &Path, identity: Option<&Path>) -> anyhow::Result<Loaded> {
    let deployment = crate::commands::read(root)?;
    kept(&deployment, audit_keys::load_all(&deployment, identity)?)
}

/// The logs that `which` names, of all that are on disk.
fn chosen(logs: &LogsConfig, which: &Which<'_>) -> anyhow::Result<Vec<(String, Shelf, i32)>> {
    let organizations = logs.organizations().context("the logs cannot be listed")?;
    if let Some(wanted) = which.organization {
        let named = organizations.iter().any(|id| id.as_str() == wanted);
        ensure!(named, "there is no log of `{wanted}` in {}", logs.directory.display());
    }
    let mut chosen = vec![];
    let mut there = vec![];
    for organization in organizations {
        if which.organization.is_some_and(|wanted| wanted != organization.as_str()) {
            continue;
        }
        for year in logs.years(&organization).context("the logs cannot be listed")? {
            there.push(year);
            if which.year.is_none_or(|wanted| wanted == year) {
                let name = format!("{organization} {year:04}");
                chosen.push((name, Shelf::new(logs.clone(), organization.clone()), year));
            }
        }
    }
    if let Some(year) = which.year {
        ensure!(!chosen.is_empty(), "there is no log of {year}: {}", listed(&there));
    }
    ensure!(!chosen.is_empty(), "there is no log in {} yet", logs.directory.display());
    Ok(chosen)
}

fn bar(shelf: &Shelf, year: i32) -> Bar {
    // About as many as there are files; a bar that cannot tell is none.
    let segments =
        std::fs::read_dir(shelf.directory(year).join("segments")).map_or(0, |files| files.count() as u64);
    Bar::of(segments, "data keys")
}

fn keys(count: u64) -> String {
    format!("{count} data key{}", if count == 1 { "" } else { "s" })
}

fn tell_failed(failed: u64, problems: &[KeyError], out: &mut dyn Write) -> anyhow::Result<()> {
    if failed > 0 {
        writeln!(out, "  {} could NOT be opened:", keys(failed))?;
    }
    for problem in problems {
        writeln!(out, "    {problem}")?;
        let mut cause = std::error::Error::source(problem);
        while let Some(error) = cause {
            writeln!(out, "      {error}")?;
            cause = error.source();
        }
    }
    if failed > PROBLEMS_MAX as u64 {
        writeln!(out, "    and more")?;
    }
    Ok(())
}
