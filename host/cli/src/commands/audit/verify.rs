//! `assent audit verify`: is every byte of the log as it was written? Needs no key that is secret.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use assent_audit::log::{Reader, VerifyError, verify};
use assent_audit::tlog::note::Verifier;

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
    log(path, &verifier, out)
}

fn log(path: &Path, verifier: &Verifier, out: &mut dyn Write) -> anyhow::Result<bool> {
    anyhow::ensure!(path.is_dir(), "{} is not a directory: expected a log", path.display());
    let expected = Reader::new(path, verifier, None).checkpoint().map_or(0, |tree| tree.size);
    let mut bar = Bar::new(expected);
    let result = verify(path, verifier, &mut |done| bar.show(done));
    bar.clear();
    match result {
        Ok(verified) => {
            let (size, root) = (verified.published.size, hex::encode(verified.published.root));
            writeln!(out, "whole: {}", verifier.name())?;
            writeln!(out, "  {size} records under the signed checkpoint, root {root}")?;
            writeln!(
                out,
                "  {} after it, in {} segments and {} signed batches",
                verified.tree.size.saturating_sub(size),
                verified.segments,
                verified.batches
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
            Ok(false)
        }
    }
}

/// How far it is, on a terminal.
struct Bar {
    total: u64,
    shown: u64,
    on: bool,
}

/// How many steps a bar has.
const STEPS: u64 = 40;

impl Bar {
    fn new(total: u64) -> Self {
        Self { total, shown: 0, on: std::io::stderr().is_terminal() && total > 0 }
    }

    fn show(&mut self, done: u64) {
        let step = done.min(self.total) * STEPS / self.total.max(1);
        if self.on && step > self.shown {
            self.shown = step;
            let filled = "#".repeat(usize::try_from(step).unwrap_or_default());
            // Whoever closed the terminal does not look.
            write!(std::io::stderr(), "\r[{filled:40}] {done} of {} records", self.total).ok();
        }
    }

    fn clear(&self) {
        if self.on {
            write!(std::io::stderr(), "\r{:80}\r", "").ok();
        }
    }
}
