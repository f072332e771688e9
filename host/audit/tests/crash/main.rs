//! Nothing answered is ever lost: processes killed, power cut, syscalls failing, under load, many times.
//!
//! This binary is its own child: `child` writes a log and prints each receipt, the driver ends it and
//! checks that every receipt it had received by then is in the log, unchanged and at its place. `cargo test`
//! runs a short set; `cargo test -p assent-audit --test crash -- --cycles 1000 --seed 7` a long one
//! (`--only kill|power|faults|full` for a part). Power cuts need root, loop devices and mkfs.ext4;
//! faults need strace. Where these are not to be had, a line says what was skipped.
#![expect(clippy::print_stdout, reason = "a test of its own harness, which reports what it did")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may, and clippy does not see that this is one"
)]

mod check;
mod child;
mod faults;
mod kill;
mod power;

use std::time::Instant;

/// How many cycles of each kind the short set has: about half a minute on a busy two-core machine.
const SHORT: u64 = 8;

/// Runs so many cycles from a seed; what it did, or what was lost.
type Kind = fn(u64, u64) -> anyhow::Result<String>;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "child") {
        return child::run(&arguments[1..]);
    }
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1))
    };
    let filtered =
        arguments.first().is_some_and(|first| !first.starts_with('-') && !"crash".contains(first.as_str()));
    if filtered || arguments.iter().any(|argument| argument == "--list") {
        return Ok(());
    }
    let cycles = value("--cycles").map_or(Ok(SHORT), |cycles| cycles.parse())?;
    let seed = value("--seed").map_or(Ok(1), |seed| seed.parse())?;
    let only = value("--only").map(String::as_str);
    let kinds: [(&str, Kind); 4] =
        [("kill", kill::run), ("power", power::run), ("faults", faults::run), ("full", faults::run_full)];
    for (name, run) in kinds {
        if only.is_none_or(|only| only == name) {
            let start = Instant::now();
            let said = run(cycles, seed)?;
            println!("crash {name}: {said}; seed {seed}, {:.1} s", start.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Pseudo-random numbers that a seed repeats (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
