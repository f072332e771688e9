//! The process that is ended: many producers append to one log, each receipt is printed at once.
//!
//! Lines: `R <entries> <discarded bytes>` once open, `O <why>` if it does not open, `A <key> <seq>` for a
//! receipt, `E <key> <why>` without one, `C` once closed well. Exit status 3 after any failure.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::log::{AppendError, Config, Log};
use assent_audit::tlog::note::Signer;

/// Small, so that beginning a segment is under test as often as writing one.
pub(crate) const SEGMENT_BYTES: u64 = 256 * 1024;

pub(crate) fn config(dir: &Path) -> Config {
    let signer = Signer::from_seed("crash.test/audit/org/2026", &[1; 32]).expect("a good name");
    let kek: Arc<dyn KeyEncryption> = Arc::new(MasterKey::from_bytes(&[2; 32]).expect("32 bytes"));
    let checkpoint_interval = Duration::from_millis(20);
    Config { segment_bytes: SEGMENT_BYTES, checkpoint_interval, ..Config::new(dir, Arc::new(signer), kek) }
}

/// What the child appends under a key: its length and content follow from the key.
pub(crate) fn record(key: u64) -> Vec<u8> {
    let mut noise = super::Random::new(key);
    let length = 50 + noise.below(1200) as usize;
    key.to_be_bytes().into_iter().chain((0..length).map(|_| noise.below(64) as u8)).collect()
}

/// The command that becomes a child; `wrapper` goes before it.
pub(crate) fn command(
    wrapper: &[String],
    dir: &Path,
    base: u64,
    producers: u64,
    each: u64,
    segment_bytes: u64,
) -> Command {
    let this = std::env::current_exe().expect("this binary");
    let mut words: Vec<PathBuf> = wrapper.iter().map(PathBuf::from).collect();
    words.extend([this, "child".into(), dir.into()]);
    words.extend([base, producers, each, segment_bytes].map(|number| PathBuf::from(number.to_string())));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [dir, base, producers, each, segment_bytes] = arguments else {
        anyhow::bail!("child <dir> <base> <producers> <each> <segment bytes>")
    };
    let (base, producers, each): (u64, u64, u64) = (base.parse()?, producers.parse()?, each.parse()?);
    let config = Config { segment_bytes: segment_bytes.parse()?, ..config(Path::new(dir)) };
    let opened = Log::open(config);
    let log = match opened {
        Ok((log, recovered)) => {
            say(&format!("R {} {}\n", recovered.size, recovered.discarded_bytes));
            Arc::new(log)
        }
        Err(error) => {
            say(&format!("O {:#}\n", anyhow::Error::from(error)));
            std::process::exit(3);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let failed = runtime.block_on(async {
        let tasks: Vec<_> = (0..producers)
            .map(|producer| tokio::spawn(produce(Arc::clone(&log), base + producer * 1_000_000, each)))
            .collect();
        let mut failed = false;
        for task in tasks {
            failed |= task.await.unwrap_or(true);
        }
        failed
    });
    if log.close().is_err() || failed {
        std::process::exit(3);
    }
    say("C\n");
    Ok(())
}

/// The command that becomes a child of [`slow`]: so many appends at once, with a deadline.
pub(crate) fn slow_command(dir: &Path, appends: u64, deadline_ms: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.arg("slow").arg(dir).args([appends, deadline_ms].map(|number| number.to_string()));
    command
}

/// Opens a log, waits for a word, appends everything at once, and tells how it went: in the line `S` how many
/// were in time, late or found the queue full, by how much the worst passed its deadline (ms), the most that was
/// queued, and by how much the process grew (KiB). Then it appends a little more and closes the log.
pub(crate) fn slow(arguments: &[String]) -> anyhow::Result<()> {
    let [dir, appends, deadline_ms] = arguments else { anyhow::bail!("slow <dir> <appends> <deadline ms>") };
    let (appends, deadline_ms): (u64, u64) = (appends.parse()?, deadline_ms.parse()?);
    let (log, _) = Log::open(config(Path::new(dir)))?;
    let log = Arc::new(log);
    say("R 0 0\n");
    std::io::stdin().read_line(&mut String::new())?;
    let before = memory_kib("VmRSS:")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let told = runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_millis(deadline_ms);
        let tasks: Vec<_> =
            (0..appends).map(|key| tokio::spawn(once(Arc::clone(&log), key, deadline))).collect();
        let mut queued = 0;
        while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            queued = queued.max(log.status().queued);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (mut counts, mut overrun) = ([0_u64; 3], Duration::ZERO);
        for task in tasks {
            let (outcome, over) = task.await?;
            counts[outcome?] += 1;
            overrun = overrun.max(over);
        }
        let [in_time, late, busy] = counts;
        anyhow::Ok(format!("S {in_time} {late} {busy} {} {queued}", overrun.as_millis()))
    })?;
    say(&format!("{told} {}\n", memory_kib("VmHWM:")?.saturating_sub(before)));
    let failed = runtime.block_on(produce(Arc::clone(&log), 1 << 32, 10));
    if log.close().is_err() || failed {
        std::process::exit(3);
    }
    say("C\n");
    Ok(())
}

/// Appends one record: whether it was in time (0), late (1) or found the queue full (2), and how long after its deadline.
async fn once(log: Arc<Log>, key: u64, deadline: Instant) -> (anyhow::Result<usize>, Duration) {
    let outcome = match log.append(record(key), deadline).await {
        Ok(receipt) => {
            say(&format!("A {key} {}\n", receipt.seq));
            Ok(0)
        }
        Err(AppendError::Late) => Ok(1),
        Err(AppendError::Busy) => Ok(2),
        Err(other) => Err(other.into()),
    };
    (outcome, Instant::now().saturating_duration_since(deadline))
}

fn memory_kib(what: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Appends one after the other until one fails; says whether one did.
async fn produce(log: Arc<Log>, base: u64, each: u64) -> bool {
    for key in base..base + each {
        match log.append(record(key), Instant::now() + Duration::from_secs(20)).await {
            Ok(receipt) => say(&format!("A {key} {}\n", receipt.seq)),
            Err(error) => {
                say(&format!("E {key} {error}\n"));
                return true;
            }
        }
    }
    false
}

/// One write for each line, so that a line that arrived is whole.
fn say(line: &str) {
    // The driver may be gone; then it does not matter.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}
