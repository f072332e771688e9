//! `cargo xtask crash` and `cargo xtask fuzz`: the long tests that nothing answered is lost and no bytes break anything.
//!
//! Both say at the end what was done, and with which seed it can be done again.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::tools::{cargo, need_c_compiler, root, run, say};

/// Some half an hour on two processors.
const CYCLES: u64 = 500;
/// Enough to go round the committed corpus and some way beyond; a night finds more.
const SECONDS: u64 = 60;
/// What a target may take at once, and for one input. Generous: sanitizers make everything slow and large.
const LIMITS: [&str; 2] = ["-rss_limit_mb=1024", "-timeout=10"];

/// The long set of crash tests of the audit log.
///
/// # Errors
/// When an option is not understood, something cannot be built, or a receipt was lost.
pub(crate) fn crash(options: &[&str]) -> anyhow::Result<()> {
    let [cycles, seed] = numbers(options, [("--cycles", CYCLES), ("--seed", 1)])?;
    need_c_compiler()?;
    let (cycles, seed) = (cycles.to_string(), seed.to_string());
    run(
        &format!("ending the audit log in every way: {cycles} cycles, seed {seed}"),
        cargo(&root())
            .args(["test", "--package", "assent-audit", "--test", "crash", "--"])
            .args(["--cycles", &cycles, "--seed", &seed]),
    )
}

/// Every fuzz target for some time each.
///
/// # Errors
/// When an option is not understood, cargo-fuzz is missing, something cannot be built, or a target found something.
pub(crate) fn fuzz(options: &[&str]) -> anyhow::Result<()> {
    let [seconds] = numbers(options, [("--seconds", SECONDS)])?;
    need_c_compiler()?;
    let mut version = cargo(&root());
    let found = version.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        bail!("cargo-fuzz is missing: install it with `cargo install cargo-fuzz --locked`");
    }
    let audit = root().join("host/audit");
    let mut targets = vec![];
    let folder = audit.join("fuzz/targets");
    for entry in folder.read_dir().with_context(|| format!("cannot list `{}`", folder.display()))? {
        let path = entry?.path();
        targets.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    targets.sort();
    run("building the fuzz targets", stable(cargo(&audit).args(["fuzz", "build"])))?;
    for target in &targets {
        // New inputs go beside what is built: what is committed is chosen by hand.
        let found = audit.join("fuzz/target/found").join(target);
        std::fs::create_dir_all(&found).with_context(|| format!("cannot make `{}`", found.display()))?;
        let mut command = cargo(&audit);
        command.args(["fuzz", "run", target]).arg(&found).arg(audit.join("fuzz/corpus").join(target));
        command.args(["--", &format!("-max_total_time={seconds}"), "-print_final_stats=1"]).args(LIMITS);
        run(&format!("fuzzing {target} for {seconds} s"), stable(&mut command)).with_context(|| {
            format!("`{target}`: the input that broke it is under host/audit/fuzz/artifacts/{target}")
        })?;
    }
    say(&format!("{} targets for {seconds} s each, nothing found: {}", targets.len(), targets.join(", ")));
    Ok(())
}

/// cargo-fuzz asks for options that the stable compiler has and hides.
fn stable(command: &mut Command) -> &mut Command {
    command.env("RUSTC_BOOTSTRAP", "1")
}

/// Options that each take a number, in any order; those that are not given have their default.
fn numbers<const N: usize>(options: &[&str], known: [(&str, u64); N]) -> anyhow::Result<[u64; N]> {
    let mut values = known.map(|(_, default)| default);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let names = known.map(|(name, _)| name).join(", ");
        let at = known.iter().position(|(name, _)| name == option);
        let value = at
            .and_then(|at| values.get_mut(at))
            .with_context(|| format!("unknown option `{option}`: expected {names}, each with a number"))?;
        *value = options
            .next()
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("expected a whole number after `{option}`"))?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_numbers_and_have_defaults() {
        let known = [("--cycles", 5), ("--seed", 1)];
        assert_eq!(numbers(&[], known).unwrap(), [5, 1]);
        assert_eq!(numbers(&["--seed", "7"], known).unwrap(), [5, 7]);
        assert_eq!(numbers(&["--seed", "7", "--cycles", "9"], known).unwrap(), [9, 7]);
        for wrong in [&["--cycle", "9"][..], &["--cycles"], &["--cycles", "many"], &["9"]] {
            assert!(numbers(wrong, known).is_err(), "{wrong:?}");
        }
    }
}
