//! `assent audit verify`: is every byte of the log as it was written? Needs no key that is secret.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use assent_audit::log::{ADVICE, Reader, VerifyError, verify};
use assent_audit::tlog::note::Verifier;

use super::progress::Bar;
use super::{Opened, Which, open};

/// Verifies all logs of an organization that `which` names; whether all are whole.
///
/// # Errors
/// When a log cannot be read at all.
pub fn deployment(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<bool> {
    let Opened { shelf, years, .. } = open(root, which)?;
    let mut whole = true;
    for year in years {
        whole &= log(&shelf.directory(year), &shelf.verifier(year)?, out)?;
    }
    Ok(whole)
}

/// Verifies the log in this directory against a public key, as an auditor does who has only these.
///
/// # Errors
/// When the key is malformed, or the log cannot be read at all.
pub fn directory(path: &Path, key: &str, out: &mut dyn Write) -> anyhow::Result<bool> {
    let verifier = Verifier::parse(key.trim())
        .context("`--key`: expected a verifier key, as `assent audit keys` prints it")?;
    // Rather than a missing checkpoint, which would be an alarm.
    anyhow::ensure!(
        path.join("segments").exists() || path.join("checkpoint").exists(),
        "{} holds no log: expected a directory with `checkpoint` and `segments`; each year of an organization \
         has one",
        path.display()
    );
    log(path, &verifier, out)
}

fn log(path: &Path, verifier: &Verifier, out: &mut dyn Write) -> anyhow::Result<bool> {
    anyhow::ensure!(path.is_dir(), "{} is not a directory: expected a log", path.display());
    let expected = Reader::new(path, verifier, None).checkpoint().map_or(0, |tree| tree.size);
    let mut bar = Bar::new(expected);
    let result = verify(path, verifier, &mut |done| bar.show(done));
    drop(bar);
    match result {
        Ok(verified) => {
            let (size, root) = (verified.published.size, hex::encode(verified.published.root));
            writeln!(out, "whole: {}", verifier.name())?;
            writeln!(out, "  {size} records under the signed checkpoint, root {root}")?;
            writeln!(
                out,
                "  {} after it; signed batches: {}, segments: {}",
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
            Ok(true)
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
