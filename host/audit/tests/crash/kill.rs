//! `kill -9` at random under load from many producers, and again during the recovery from it.

use std::time::Duration;

use anyhow::Context;

use super::check::{Output, Receipts, all_there, take_receipts};
use super::{Random, Report, child};

/// After so many cycles a log has grown enough.
const CYCLES_EACH_LOG: u64 = 12;

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut random = Random::new(seed);
    let (mut dir, mut receipts) = (tempfile::tempdir()?, Receipts::new());
    let (mut report, mut twice) = (Report::default(), 0);
    for cycle in 0..cycles {
        if cycle % CYCLES_EACH_LOG == 0 {
            (dir, receipts) = (tempfile::tempdir()?, Receipts::new());
        }
        let context = || format!("kill cycle {cycle} of seed {seed}");
        let mut child = Output::start(child::command(
            &[],
            dir.path(),
            (cycle + 1) << 32,
            64,
            1_000_000,
            child::SEGMENT_BYTES,
        ))?;
        // The point of the kill is the subject; it is random in time because load is.
        child.run_for(Duration::from_micros(random.below(200_000)))?;
        child.kill();
        report.receipts += take_receipts(&child.end(usize::MAX)?.0, &mut receipts).with_context(context)?;
        if random.below(3) == 0 {
            // A start that is killed while it recovers or begins its segment.
            let mut child = Output::start(child::command(
                &[],
                dir.path(),
                (cycle + 1) << 48,
                1,
                1,
                child::SEGMENT_BYTES,
            ))?;
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            child.kill();
            report.receipts +=
                take_receipts(&child.end(usize::MAX)?.0, &mut receipts).with_context(context)?;
            twice += 1;
        }
        all_there(dir.path(), &receipts).with_context(context)?;
    }
    anyhow::ensure!(report.receipts > 0, "no receipt in {cycles} cycles: nothing was tested");
    (report.runs, report.faults) = (cycles, cycles + twice);
    report.note = format!("{twice} killed again in recovery");
    Ok(report)
}
