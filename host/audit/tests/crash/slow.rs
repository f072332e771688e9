//! A disk on which every sync takes long: appends are answered by their deadline, the queue and the memory stay
//! bounded, and once the disk is itself again the log goes on as if nothing had been.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use assent_audit::log::QUEUE_RECORDS_MAX;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::check::{Output, Receipts, all_there, ran, take_receipts};
use super::{LONG, Report, child, needs};

/// How long a sync takes. The short set has no time for the longest.
const DELAYS_MS: [u64; 3] = [20, 200, 5000];
const DEADLINE_MS: u64 = 400;
/// More than the queue and a batch hold together, so that some find the queue full.
const APPENDS: u64 = QUEUE_RECORDS_MAX as u64 + 4000;
/// What a machine with other things to do may take to wake somebody up.
const OVERRUN_MAX_MS: u64 = 3000;
const GROWTH_MAX_KIB: u64 = 64 << 10;

pub(crate) fn run(cycles: u64, _seed: u64) -> anyhow::Result<Report> {
    if !ran("strace", &["-V".as_ref()]) {
        return needs("strace", Some("strace")).map(Report::skipped);
    }
    let mut report = Report::default();
    let mut said = vec![];
    for delay_ms in DELAYS_MS.into_iter().filter(|delay| cycles >= LONG || *delay <= 200) {
        let (receipts, outcome) = once(delay_ms).with_context(|| format!("{delay_ms} ms"))?;
        report.runs += 1;
        report.faults += 1;
        report.receipts += receipts;
        said.push(outcome);
    }
    report.note = said.join("; ");
    Ok(report)
}

fn once(delay_ms: u64) -> anyhow::Result<(u64, String)> {
    let dir = tempfile::tempdir()?;
    let mut child = Output::start(child::slow_command(dir.path(), APPENDS, DEADLINE_MS))?;
    child.wait_for("R ")?;
    let mut strace = attach(child.id(), delay_ms)?;
    child.say("go\n")?;
    child.wait_for("S ")?;
    kill(Pid::from_raw(i32::try_from(strace.id())?), Signal::SIGTERM)?;
    strace.wait()?;
    let (lines, status) = child.end(usize::MAX)?;
    ensure!(status == Some(0), "the log did not go on: {status:?}, {:?}", lines.last());
    let mut receipts = Receipts::new();
    let received = take_receipts(&lines, &mut receipts)?;
    all_there(dir.path(), &receipts)?;

    let said = lines.iter().find(|line| line.starts_with("S ")).context("nothing was said of it")?;
    let numbers: Vec<u64> = said.split(' ').skip(1).map(str::parse).collect::<Result<_, _>>()?;
    let [answered, late, busy, overrun_ms, queued, growth_kib] = numbers[..] else { anyhow::bail!("{said}") };
    ensure!(answered + late + busy == APPENDS, "some had no answer: {said}");
    ensure!(overrun_ms < OVERRUN_MAX_MS, "answered {overrun_ms} ms after the deadline");
    ensure!(queued <= QUEUE_RECORDS_MAX as u64, "{queued} in the queue");
    ensure!(growth_kib < GROWTH_MAX_KIB, "grew by {growth_kib} KiB");
    // Seven batches and more in 400 ms are not to be had at 200 ms each.
    ensure!(delay_ms < 100 || late > 0 && busy > 0, "the disk was not slow: {said}");
    let outcome =
        format!("at {delay_ms} ms {answered} in time, {late} late, {busy} busy, +{} MiB", growth_kib >> 10);
    Ok((received, outcome))
}

/// Slows the syncs of a process that runs.
fn attach(process: u32, delay_ms: u64) -> anyhow::Result<Child> {
    let mut words = strace(&format!("fdatasync:delay_enter={}", delay_ms * 1000));
    words.extend(["-p".to_owned(), process.to_string()]);
    let mut command = Command::new(&words[0]);
    let mut strace = command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while !traced(process)? {
        ensure!(strace.try_wait()?.is_none(), "strace may not attach to its siblings: run this as root");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(strace)
}

/// Whether every thread of a process has a tracer.
fn traced(process: u32) -> anyhow::Result<bool> {
    for thread in Path::new(&format!("/proc/{process}/task")).read_dir()? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The words that run a command with a fault.
pub(crate) fn strace(inject: &str) -> Vec<String> {
    let (calls, _) = inject.split_once(':').expect("calls and effect");
    let trace = format!("trace={calls}");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &format!("inject={inject}")]
        .map(str::to_owned)
        .to_vec()
}
