//! `assent audit verify`: is every byte of the log as it was written, and is it still the log that others saw?
//! With `--log` and `--key` it needs no key that is secret. What was kept or cosigned outside is the only proof against who holds the disk
//! and every key: see [`Against`].

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use assent_audit::known;
use assent_audit::log::{ADVICE, Outside, Reader, Verified, VerifyError, cosigned, verify_against};
use assent_audit::text::printable;
use assent_audit::tlog::checkpoint::Checkpoint;
use assent_audit::tlog::merkle::Tree;
use assent_audit::tlog::note::{NOTE_BYTES_MAX, Unverified, Verifier};
use assent_model::Instant;

use super::progress::Bar;
use super::{Opened, Which, open_of};
use crate::witnesses;

/// What the log is held against, besides itself.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Files of checkpoints that were kept elsewhere.
    pub checkpoints: Vec<PathBuf>,
    /// Keys of witnesses that must have cosigned.
    pub witnesses: Vec<String>,
}

/// The same, read.
struct Given {
    kept: Vec<Kept>,
    required: Vec<Verifier>,
    /// Witnesses that are reported, and may be missing.
    reported: Vec<Verifier>,
}

/// A checkpoint from elsewhere, of which nothing is verified yet.
struct Kept {
    file: PathBuf,
    note: String,
    origin: String,
}

impl Given {
    fn read(against: &Against) -> anyhow::Result<Self> {
        let kept = against.checkpoints.iter().map(|file| Kept::read(file)).collect::<anyhow::Result<_>>()?;
        let required = against.witnesses.iter();
        let required = required.map(|key| assent_outbound::witness::key_of(key).context("`--witness`"));
        Ok(Self { kept, required: required.collect::<anyhow::Result<_>>()?, reported: vec![] })
    }

    /// Says of which checkpoints there was no log at all; whether there were none.
    fn foreign(&self, origins: &[String], out: &mut dyn Write) -> anyhow::Result<bool> {
        let mut none = true;
        for Kept { file, origin, .. } in self.kept.iter().filter(|kept| !origins.contains(&kept.origin)) {
            let line = format!("FOREIGN: {} is of `{origin}`, of which there is no log here", file.display());
            // Whoever made the file chose what is in it.
            writeln!(out, "{}", printable(&line))?;
            none = false;
        }
        Ok(none)
    }
}

impl Kept {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let wrong = || {
            format!(
                "`--checkpoint`: {} is not a checkpoint: expected the file as the log gave it",
                file.display()
            )
        };
        let size = std::fs::metadata(file)
            .with_context(|| format!("`--checkpoint`: {} cannot be read", file.display()))?
            .len();
        anyhow::ensure!(size <= NOTE_BYTES_MAX as u64, wrong());
        let note = String::from_utf8(std::fs::read(file).with_context(wrong)?).with_context(wrong)?;
        let text = Unverified::parse(&note).with_context(wrong)?.text;
        let origin = Checkpoint::parse(&text).with_context(wrong)?.origin().to_owned();
        Ok(Self { file: file.to_owned(), note, origin })
    }
}

/// Verifies all logs of an organization that `which` names; whether all are whole and as they were seen.
///
/// # Errors
/// When a log cannot be read at all, or what it is held against cannot.
pub fn deployment(
    root: &Path,
    which: &Which<'_>,
    against: &Against,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut given = Given::read(against)?;
    let read = crate::commands::read(root)?;
    let Opened { shelf, years, .. } = open_of(&read, which)?;
    let named = witnesses::load(&read)?;
    given.reported = named.iter().map(|witness| witness.verifier().clone()).collect();
    let mut whole = true;
    let mut origins = vec![];
    for year in years {
        let verifier = shelf.verifier(year)?;
        origins.push(verifier.name().to_owned());
        let memory = known::file(shelf.config(), shelf.organization(), year);
        let remembered = match known::remembered(memory, &verifier) {
            Ok(remembered) => remembered,
            Err(error) => {
                writeln!(out, "NOT WHOLE: {}\n  {error}", verifier.name())?;
                whole = false;
                None
            }
        };
        whole &= log(&shelf.directory(year), &verifier, &given, remembered, out)?;
    }
    for year in shelf.gone()? {
        let memory = known::file(shelf.config(), shelf.organization(), year);
        writeln!(
            out,
            "GONE: {}\n  {} says that it was there; if it was let go on purpose, remove that file too",
            shelf.log(year),
            memory.display()
        )?;
        whole = false;
    }
    // With `--year` the checkpoints of other years are nobody's here.
    whole &= given.foreign(&origins, out)?;
    Ok(whole)
}

/// Verifies the log in this directory against a public key, as an auditor does who has only these, and
/// perhaps checkpoints of his own.
///
/// # Errors
/// When a key is malformed, or the log or what it is held against cannot be read at all.
pub fn directory(path: &Path, key: &str, against: &Against, out: &mut dyn Write) -> anyhow::Result<bool> {
    let verifier = Verifier::parse(key.trim())
        .context("`--key`: expected a verifier key, as `assent audit keys` prints it")?;
    let given = Given::read(against)?;
    // Rather than a log that is not whole: nobody need find out what happened to it.
    if let Ok(Kept { origin, .. }) = Kept::read(&path.join("checkpoint")) {
        anyhow::ensure!(
            origin == verifier.name(),
            "{} says that it is the log `{origin}`, and `--key` is of `{}`: give the key of the log",
            path.display(),
            verifier.name()
        );
    }
    // Rather than a missing checkpoint, which would be an alarm.
    anyhow::ensure!(
        path.join("segments").exists() || path.join("checkpoint").exists(),
        "{} holds no log: expected a directory with `checkpoint` and `segments`; each year of an organization \
         has one",
        path.display()
    );
    let whole = log(path, &verifier, &given, None, out)?;
    Ok(given.foreign(&[verifier.name().to_owned()], out)? && whole)
}

fn log(
    path: &Path,
    verifier: &Verifier,
    given: &Given,
    remembered: Option<Outside>,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    anyhow::ensure!(path.is_dir(), "{} is not a directory: expected a log", path.display());
    let reader = Reader::new(path, verifier, None);
    let (mut kept, mut well) = (vec![], true);
    for Kept { file, note, .. } in given.kept.iter().filter(|kept| kept.origin == verifier.name()) {
        match Checkpoint::open(note, verifier, &[]) {
            Ok((checkpoint, _)) => kept.push((file.clone(), note.clone(), checkpoint.tree())),
            Err(error) => {
                let file = file.display();
                writeln!(out, "FOREIGN: {file} is not signed by the key of {}: {error}", verifier.name())?;
                well = false;
            }
        }
    }
    // Before the log is gone through, which grows.
    let witnessed = reader.witnessed().unwrap_or_default();
    let outside = kept.iter().map(|(file, _, tree)| Outside { file: file.clone(), tree: *tree });
    let outside = outside.chain(remembered).collect();

    let mut bar = Bar::new(reader.checkpoint().map_or(0, |tree| tree.size));
    let result = verify_against(path, verifier, outside, &mut |done| bar.show(done));
    drop(bar);
    match result {
        Ok(verified) => {
            whole(verifier, &verified, out)?;
            for (file, _, tree) in &kept {
                let more = verified.tree.size.saturating_sub(tree.size);
                writeln!(out, "  continues {}: {} records, {more} more since", file.display(), tree.size)?;
            }
            let mut seen: Vec<(String, Tree)> =
                kept.into_iter().map(|(_, note, tree)| (note, tree)).collect();
            seen.extend(witnessed.into_iter().map(|witnessed| (witnessed.note, witnessed.tree)));
            for witness in &given.required {
                well &= report(verifier, witness, &seen, &verified, true, out)?;
            }
            for witness in given.reported.iter().filter(|witness| !given.required.contains(witness)) {
                report(verifier, witness, &seen, &verified, false, out)?;
            }
            Ok(well)
        }
        Err(VerifyError::Disk(error)) => Err(error).context("the log cannot be read"),
        Err(VerifyError::Problems(problems)) => {
            writeln!(out, "NOT WHOLE: {}", verifier.name())?;
            for problem in problems {
                writeln!(out, "  {problem}")?;
                let mut cause = std::error::Error::source(&problem);
                while let Some(error) = cause {
                    writeln!(out, "    {error}")?;
                    cause = error.source();
                }
            }
            writeln!(out, "  {ADVICE}")?;
            Ok(false)
        }
    }
}

fn whole(verifier: &Verifier, verified: &Verified, out: &mut dyn Write) -> anyhow::Result<()> {
    let (size, root) = (verified.published.size, hex::encode(verified.published.root));
    writeln!(out, "whole: {}", verifier.name())?;
    writeln!(out, "  {size} records under the signed checkpoint, root {root}")?;
    writeln!(
        out,
        "  {} after it, for the next checkpoint; signed batches: {}, segments: {}",
        verified.tree.size.saturating_sub(size),
        verified.batches,
        verified.segments
    )?;
    if verified.unfinished_bytes > 0 {
        writeln!(
            out,
            "  {} bytes of an unfinished batch at the end: nobody was given a receipt for it",
            verified.unfinished_bytes
        )?;
    }
    Ok(())
}

/// Says how much of the log this witness cosigned; whether any.
fn report(
    log: &Verifier,
    witness: &Verifier,
    seen: &[(String, Tree)],
    verified: &Verified,
    required: bool,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let cosigned =
        seen.iter().filter_map(|(note, tree)| Some((tree.size, cosigned(note, log, witness)?))).max();
    match cosigned {
        Some((size, time)) => {
            let at = i64::try_from(time)
                .ok()
                .and_then(|seconds| Instant::from_millis(seconds.checked_mul(1000)?).ok());
            let at = at.map_or_else(|| format!("second {time}"), |at| at.to_string());
            let more = verified.tree.size.saturating_sub(size);
            writeln!(
                out,
                "  witness {}: saw {size} records at {at}, {more} after that not yet",
                witness.name()
            )?;
        }
        None => {
            let word = if required { "NOT WITNESSED: " } else { "" };
            writeln!(out, "  {word}witness {}: no checkpoint here carries its cosignature", witness.name())?;
        }
    }
    Ok(cosigned.is_some())
}
