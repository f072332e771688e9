//! Each call of the write path fails, or is cut short, or the process ends there: at its first, second, … call,
//! until a run has no such call left.
//!
//! Whatever goes wrong: no receipt without its record, a failed log says so and stays failed, and the next
//! start goes on. After a kill the next start is killed as well, at a call of its own, before the log is looked at.

use std::path::Path;

use anyhow::{Context, ensure};
use nix::errno::Errno;

use super::check::{Output, Receipts, all_there, missing, take_receipts};
use super::trace::{Calls, Effect, Traced, run as traced};
use super::{LONG, Random, Report, child};

const FAULTS: [(Calls, Effect); 8] = [
    (Calls::Changes, Effect::Kill),
    (Calls::Changes, Effect::Fail(Errno::EIO)),
    (Calls::Changes, Effect::Fail(Errno::ENOSPC)),
    (Calls::Changes, Effect::Fail(Errno::EDQUOT)),
    (Calls::Changes, Effect::Fail(Errno::EINTR)),
    (Calls::Writes, Effect::Short(0)),
    (Calls::Writes, Effect::Torn(0)),
    (Calls::Reads, Effect::Fail(Errno::EIO)),
];
/// How many calls of a kind the script makes at least, so that the short set nearly always meets one.
const CALLS_ABOUT: u64 = 60;
/// Far more than it makes.
const CALLS_MAX: u64 = 5000;

/// The script: so many producers append so many records each. Some segments are begun and ended on the way.
const PRODUCERS: u64 = 4;
const EACH: u64 = 12;
pub(crate) const SEGMENT_BYTES: u64 = 8 * 1024;

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut random = Random::new(seed ^ 0x66);
    let base = tempfile::tempdir()?;
    let first = Output::start(child::command(&[], base.path(), 1 << 32, 2, 3, SEGMENT_BYTES))?;
    let mut begun = Receipts::new();
    take_receipts(&first.end(usize::MAX)?.0, &mut begun)?;
    let script = Script { base: base.path(), begun };

    let mut report = Report::default();
    for (calls, effect) in FAULTS {
        // The short set takes a few calls by chance, a long one each until there is none left.
        let tries = if cycles >= LONG { CALLS_MAX } else { cycles.div_ceil(3) };
        for n in 1..=tries {
            let n = if cycles >= LONG { n } else { 1 + random.below(CALLS_ABOUT) };
            let effect = match effect {
                Effect::Short(_) => Effect::Short(random.below(1000)),
                Effect::Torn(_) => Effect::Torn(random.below(1000)),
                other => other,
            };
            let hit = script
                .once(calls, n, effect, &mut random, &mut report)
                .with_context(|| format!("{calls:?} {n}: {effect:?}, seed {seed}"))?;
            report.runs += 1;
            report.faults += u64::from(hit);
            if !hit && cycles >= LONG {
                break;
            }
            ensure!(n < CALLS_MAX, "the script does not end");
        }
    }
    ensure!(report.faults > 0, "no fault happened in {} runs: nothing was tested", report.runs);
    report.note = script.control()?;
    Ok(report)
}

struct Script<'a> {
    /// A log that was begun and closed.
    base: &'a Path,
    begun: Receipts,
}

impl Script<'_> {
    /// One run with one fault; whether it happened.
    fn once(
        &self,
        calls: Calls,
        n: u64,
        effect: Effect,
        random: &mut Random,
        report: &mut Report,
    ) -> anyhow::Result<bool> {
        let dir = tempfile::tempdir()?;
        copy(self.base, dir.path())?;
        let mut receipts = self.begun.clone();
        let ran = traced(self.command(dir.path(), 2), calls, n, effect)?;
        report.receipts += judge(&ran, &mut receipts)?;
        if ran.hit && matches!(effect, Effect::Kill | Effect::Torn(_)) {
            ensure!(ran.status.is_none(), "it was killed, and ended with {:?}", ran.status);
            let again = traced(self.command(dir.path(), 3), calls, 1 + random.below(40), effect)?;
            report.receipts += judge(&again, &mut receipts).context("killed again")?;
        }
        all_there(dir.path(), &receipts)?;
        Ok(ran.hit)
    }

    fn command(&self, dir: &Path, base: u64) -> std::process::Command {
        child::command(&[], dir, base << 32, PRODUCERS, EACH, SEGMENT_BYTES)
    }

    /// Writes that only pretend: each is a lost record or a log that does not open, unless nothing was in them.
    fn control(&self) -> anyhow::Result<String> {
        let (mut pretended, mut lost) = (0, 0);
        for n in 1.. {
            let dir = tempfile::tempdir()?;
            copy(self.base, dir.path())?;
            let mut receipts = self.begun.clone();
            let ran = traced(self.command(dir.path(), 2), Calls::Writes, n, Effect::Pretend)?;
            if !ran.hit || n > 40 {
                break;
            }
            // The log may not open or not go on, which is the same to whoever holds a receipt.
            drop(take_receipts(&ran.lines, &mut receipts));
            pretended += 1;
            lost += u64::from(missing(dir.path(), &receipts).map_or(true, |(_, missing)| missing > 0));
        }
        ensure!(
            lost * 4 > pretended,
            "of {pretended} writes that pretended {lost} were missed: the check is blind"
        );
        Ok(format!("control: of {pretended} writes that pretended, {lost} were missed"))
    }
}

/// Takes the receipts of a run; that it ended as it said is demanded.
fn judge(ran: &Traced, receipts: &mut Receipts) -> anyhow::Result<u64> {
    let said = |what: &str| ran.lines.iter().any(|line| line.starts_with(what));
    let well = ran.status == Some(0);
    ensure!(!(well && said("E ")), "a log that failed closed as if it had not: {ran:?}");
    ensure!(well == said("C"), "{ran:?}");
    // Not to open is a right answer to a fault while opening.
    let lines: Vec<_> = ran.lines.iter().filter(|line| !line.starts_with("O ")).cloned().collect();
    take_receipts(&lines, receipts)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
