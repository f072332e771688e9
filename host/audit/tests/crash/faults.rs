//! Each syscall of the write path fails, or the process ends, at its first, second, … call; and the disk gets full.
//!
//! Whatever fails: no receipt without its record, a failed log says so and stays failed, and the next
//! start goes on. Faults are injected by strace, so the code under test is the code that ships.

use std::path::Path;

use anyhow::{Context, ensure};

use super::check::{Output, Receipts, all_there, take_receipts};
use super::power::ran;
use super::{Random, child};

/// The calls that write, sync, cut, name or make files.
const CALLS: [&str; 6] =
    ["pwrite64", "fdatasync", "fsync", "ftruncate", "rename,renameat,renameat2", "openat"];
const EFFECTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];
/// Far more calls than the child makes of any kind.
const CALLS_MAX: u64 = 2000;

pub(crate) fn has_strace() -> bool {
    ran("strace", &["-V".as_ref()])
}

/// The words that run a command with a fault.
pub(crate) fn strace(inject: &str) -> Vec<String> {
    let (calls, _) = inject.split_once(':').expect("calls and effect");
    let trace = format!("trace={calls}");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &format!("inject={inject}")]
        .map(str::to_owned)
        .to_vec()
}

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<String> {
    if !has_strace() {
        return Ok("skipped: needs strace".to_owned());
    }
    let mut random = Random::new(seed ^ 0x66);
    let (mut runs, mut failed, mut received) = (0, 0, 0);
    for calls in CALLS {
        for effect in EFFECTS {
            // The short set takes a few calls by chance, a long one each call until one run makes fewer.
            let all = cycles >= 100;
            let tries = if all { CALLS_MAX } else { cycles.div_ceil(6) };
            for n in 1..=tries {
                let when = if all { n } else { 1 + random.below(60) };
                let inject = format!("{calls}:{effect}:when={when}");
                let (receipts, well) = once(&inject).with_context(|| inject.clone())?;
                runs += 1;
                failed += u64::from(!well);
                received += receipts;
                // Opening files also happens at times (threads, libraries) that no two runs share.
                if all && well && when > 60 {
                    break;
                }
            }
        }
    }
    ensure!(failed > 0, "no fault had an effect in {runs} runs: nothing was tested");
    Ok(format!("{runs} runs with a fault, {failed} of them failed, {received} receipts, 0 lost"))
}

/// One run with one fault; gives the receipts, and whether it went well all the same.
fn once(inject: &str) -> anyhow::Result<(u64, bool)> {
    let dir = tempfile::tempdir()?;
    // Two starts, so that recovery and the second segment are under fault as well.
    let first = Output::start(child::command(&[], dir.path(), 1 << 32, 2, 3))?;
    let mut receipts = Receipts::new();
    take_receipts(&first.end(usize::MAX)?.0, &mut receipts)?;
    let child = Output::start(child::command(&strace(inject), dir.path(), 2 << 32, 4, 12))?;
    let (lines, status) = child.end(usize::MAX)?;
    let said = |what: &str| lines.iter().any(|line| line.starts_with(what));
    let well = status == Some(0);
    ensure!(!(well && said("E ")), "a log that failed closed as if it had not: {lines:?}");
    ensure!(well == said("C"), "status {status:?}: {lines:?}");
    // Not to open is a right answer to a fault while opening.
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.starts_with("O ")).collect();
    let received = take_receipts(&lines, &mut receipts)?;
    all_there(dir.path(), &receipts)?;
    Ok((received, well))
}

/// A disk that gets full, and has room again.
pub(crate) fn run_full(_cycles: u64, seed: u64) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let mounted = |options: &str| {
        let words = ["-t", "tmpfs", "-o", options, "tmpfs"].map(std::ffi::OsStr::new);
        ran("mount", &[&words[..], &[dir.path().as_os_str()]].concat())
    };
    if !mounted("size=1400k") {
        return Ok("skipped: needs the right to mount a tmpfs".to_owned());
    }
    let outcome = full(dir.path(), seed, &|| mounted("remount,size=64m"));
    ran("umount", &[dir.path().as_os_str()]);
    outcome
}

fn full(dir: &Path, seed: u64, make_room: &dyn Fn() -> bool) -> anyhow::Result<String> {
    let log = dir.join("log");
    let child = Output::start(child::command(&[], &log, seed << 32, 16, 1_000_000))?;
    let (lines, status) = child.end(usize::MAX)?;
    ensure!(status == Some(3), "the log did not fail on a full disk: {status:?}");
    let mut receipts = Receipts::new();
    let received = take_receipts(&lines, &mut receipts)?;
    ensure!(received > 0, "no receipt before the disk was full: nothing was tested");
    ensure!(make_room(), "the tmpfs does not grow");
    let size = all_there(&log, &receipts)?;
    Ok(format!("the disk was full after {received} receipts ({size} entries), 0 lost, went on with room"))
}
