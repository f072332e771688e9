//! Running other programs: says what is being done, and what to install when something is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The project's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Says what is being done.
#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// The `cargo` that runs this.
pub(crate) fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(directory);
    command
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started, or fails.
pub(crate) fn run(what: &str, command: &mut Command) -> anyhow::Result<()> {
    say(what);
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("`{program}` could not be started"))?;
    if !status.success() {
        bail!("{what}: `{program}` failed ({status}); its messages are above");
    }
    Ok(())
}

/// Checks that there is a C compiler: the compression and stack crates underneath build with it.
///
/// # Errors
/// With what to install.
pub(crate) fn need_c_compiler() -> anyhow::Result<()> {
    let found = ["cc", "gcc", "clang"].into_iter().any(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    });
    if !found {
        bail!("no C compiler found: install one, on Debian with `apt-get install gcc libc6-dev`");
    }
    Ok(())
}
