//! Nothing answered is ever lost: processes killed, power cut, system calls failing, disks slow, full or rotting.
//!
//! This binary is its own child: `child` writes a log and prints each receipt, the driver ends it and
//! checks that every receipt it had received by then is in the log, unchanged and at its place. `cargo test`
//! runs a short set; `cargo xtask crash` a long one, in a table at its end (`-- --cycles N --seed S`, from
//! 100 cycles on it is long; `--only kill` and so on for a part). Power cuts need root, loop devices and mkfs.ext4;
//! slow disks need strace. Where these are not to be had, a line says what was skipped; continuous integration
//! (`CI=true`) has the programs installed, and fails without them.
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
#[cfg(target_arch = "x86_64")]
mod faults;
mod files;
mod flips;
mod full;
mod kill;
mod power;
mod slow;
mod torn;
#[cfg(target_arch = "x86_64")]
mod trace;

use std::time::Instant;

use anyhow::Context;

/// How many cycles of each kind the short set has: about half a minute on a busy two-core machine.
const SHORT: u64 = 8;
/// From so many cycles on nothing is sampled that can be gone through.
const LONG: u64 = 100;

/// What a kind of trouble did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) runs: u64,
    /// How often something went wrong, as it was meant to.
    pub(crate) faults: u64,
    /// How many receipts were demanded of the log afterwards.
    pub(crate) receipts: u64,
    pub(crate) note: String,
}

impl Report {
    pub(crate) fn skipped(note: String) -> Self {
        Self { note, ..Self::default() }
    }
}

/// Runs so many cycles from a seed; what it did, or what was lost.
type Kind = fn(u64, u64) -> anyhow::Result<Report>;

#[cfg(target_arch = "x86_64")]
const FAULTS: Kind = faults::run;
#[cfg(not(target_arch = "x86_64"))]
const FAULTS: Kind = |_, _| Ok(Report::skipped("skipped: needs an x86-64".to_owned()));

const KINDS: [(&str, Kind); 7] = [
    ("kill", kill::run),
    ("power", power::run),
    ("faults", FAULTS),
    ("full", full::run),
    ("slow", slow::run),
    ("torn", torn::run),
    ("flips", flips::run),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("child") => return child::run(&arguments[1..]),
        Some("slow") => return child::slow(&arguments[1..]),
        Some(filter) if !filter.starts_with('-') && !"crash".contains(filter) => return Ok(()),
        _ if arguments.iter().any(|argument| argument == "--list") => return Ok(()),
        _ => {}
    }
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1))
    };
    let cycles = value("--cycles").map_or(Ok(SHORT), |cycles| cycles.parse())?;
    let seed = value("--seed").map_or(Ok(1), |seed| seed.parse())?;
    let only = value("--only").map(String::as_str);
    let known = KINDS.map(|(name, _)| name);
    anyhow::ensure!(only.is_none_or(|only| known.contains(&only)), "`--only` takes one of {known:?}");

    let mut table = vec![];
    for (name, run) in KINDS.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let start = Instant::now();
        let report = run(cycles, seed).with_context(|| format!("{name}, seed {seed}"))?;
        println!("crash {name}: {}", report.note);
        table.push((name, report, start.elapsed().as_secs_f64()));
    }
    // Whoever loses a receipt does not get this far.
    println!(
        "\nnothing lost; seed {seed}, {cycles} cycles\n{:<8}{:>9}{:>9}{:>11}{:>9}",
        "", "runs", "faults", "receipts", "s"
    );
    for (name, Report { runs, faults, receipts, .. }, seconds) in table {
        println!("{name:<8}{runs:>9}{faults:>9}{receipts:>11}{seconds:>9.1}");
    }
    Ok(())
}

/// Says what is skipped for want of something. A program that a package brings must be there in continuous
/// integration; rights and devices may be withheld from it.
pub(crate) fn needs(what: &str, package: Option<&str>) -> anyhow::Result<String> {
    let Some(package) = package else { return Ok(format!("skipped: needs {what}")) };
    let install = format!("needs {what}: `apt-get install {package}`");
    anyhow::ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{install}");
    Ok(format!("skipped: {install}"))
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
