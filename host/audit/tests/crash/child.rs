//! The process that is ended: many producers append to one log, each receipt is printed at once.
//!
//! Lines: `R <entries> <discarded bytes>` once open, `O <why>` if it does not open, `A <key> <seq>` for a
//! receipt, `E <key> <why>` without one, `C` once closed well. Exit status 3 after any failure.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assent_audit::keys::{KeyEncryption, MasterKey};
use assent_audit::log::{Config, Log};
use assent_audit::tlog::note::Signer;

/// Small, so that beginning a segment is under test as often as writing one.
const SEGMENT_BYTES: u64 = 256 * 1024;

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
pub(crate) fn command(wrapper: &[String], dir: &Path, base: u64, producers: u64, each: u64) -> Command {
    let this = std::env::current_exe().expect("this binary");
    let mut words: Vec<PathBuf> = wrapper.iter().map(PathBuf::from).collect();
    words.extend([this, "child".into(), dir.into()]);
    words.extend([base, producers, each].map(|number| PathBuf::from(number.to_string())));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [dir, base, producers, each] = arguments else {
        anyhow::bail!("child <dir> <base> <producers> <each>")
    };
    let (base, producers, each): (u64, u64, u64) = (base.parse()?, producers.parse()?, each.parse()?);
    let opened = Log::open(config(Path::new(dir)));
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
