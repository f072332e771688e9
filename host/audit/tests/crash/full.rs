//! No room: a disk that gets full, and files that may grow no further, at odd lengths; then there is room again.
//!
//! A full disk fails at whole pages. A limit of the file size cuts the write that meets it short at that very byte, as
//! a quota of some file systems does, and fails the next.

use std::path::Path;

use anyhow::ensure;

use super::check::{Output, Receipts, all_there, ran, take_receipts};
use super::{Random, Report, child, needs};

/// Smaller than what sixteen producers append together, so that batches go beyond it and meet the limit.
const SEGMENT_BYTES: u64 = 4096 + 512;

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut random = Random::new(seed ^ 0x66_75);
    let mut short = 0;
    // Not every run has a batch that is large enough just then.
    for _ in 0..cycles.div_ceil(4).max(6) {
        let limit = SEGMENT_BYTES + random.below(12_000);
        let dir = tempfile::tempdir()?;
        let wrapper = ["sh", "-c", &format!("trap '' XFSZ; exec prlimit --fsize={limit} \"$@\""), "sh"];
        let command = child::command(&wrapper.map(str::to_owned), dir.path(), 1 << 32, 16, 40, SEGMENT_BYTES);
        let (lines, status) = Output::start(command)?.end(usize::MAX)?;
        let mut receipts = Receipts::new();
        report.runs += 1;
        report.receipts += take_receipts(&lines, &mut receipts)?;
        report.faults += u64::from(status != Some(0));
        let longest = longest(&dir.path().join("segments"))?;
        ensure!(longest <= limit, "a file of {longest} bytes under a limit of {limit}: there was none");
        short += u64::from(longest == limit);
        all_there(dir.path(), &receipts)?;
    }
    ensure!(report.faults > 0 && short > 0, "no write met the limit: needs `prlimit` (Debian: util-linux)");
    report.note = format!("{short} batches cut short at a limit; {}", full_disks(seed, &mut report)?);
    Ok(report)
}

fn longest(dir: &Path) -> anyhow::Result<u64> {
    let lengths = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.metadata()?.len()));
    Ok(lengths.collect::<anyhow::Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
}

fn full_disks(seed: u64, report: &mut Report) -> anyhow::Result<String> {
    let mut said = vec![];
    // One disk gets full while the log is written, the other before its first segment.
    for (size, begins) in [("1400k", true), ("132k", false)] {
        let dir = tempfile::tempdir()?;
        let mounted = |options: &str| {
            let words = ["-t", "tmpfs", "-o", options, "tmpfs"].map(std::ffi::OsStr::new);
            ran("mount", &[&words[..], &[dir.path().as_os_str()]].concat())
        };
        if !mounted(&format!("size={size}")) {
            return needs("the right to mount a tmpfs", None);
        }
        let outcome = full(dir.path(), seed, begins, &|| mounted("remount,size=64m"));
        ran("umount", &[dir.path().as_os_str()]);
        let (received, found) = outcome?;
        report.runs += 1;
        report.faults += 1;
        report.receipts += received;
        said.push(found);
    }
    Ok(said.join(", "))
}

fn full(dir: &Path, seed: u64, begins: bool, make_room: &dyn Fn() -> bool) -> anyhow::Result<(u64, String)> {
    let log = dir.join("log");
    let command = child::command(&[], &log, seed << 32, 16, 1_000_000, child::SEGMENT_BYTES);
    let (lines, status) = Output::start(command)?.end(usize::MAX)?;
    ensure!(status == Some(3), "the log did not fail on a full disk: {status:?}");
    if !begins {
        ensure!(lines.iter().any(|line| line.starts_with("O ")), "there was room for a segment: {lines:?}");
        let verified = assent_audit::log::verify(&log, child::config(&log).signer.verifier(), &mut |_| {})?;
        ensure!(verified.tree.size == 0, "{verified:?}");
        ensure!(make_room(), "the tmpfs does not grow");
        all_there(&log, &Receipts::new())?;
        return Ok((0, "one had no room for a segment and held an empty log".to_owned()));
    }
    let mut receipts = Receipts::new();
    let received = take_receipts(&lines, &mut receipts)?;
    ensure!(received > 0, "no receipt before the disk was full: nothing was tested");
    ensure!(make_room(), "the tmpfs does not grow");
    all_there(&log, &receipts)?;
    Ok((received, format!("a disk was full after {received} receipts")))
}
