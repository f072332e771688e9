//! `cargo xtask test`: builds what tests need, then runs every test there is. `cargo xtask bench`
//! measures.

use crate::tools::{cargo, need_c_compiler, root, run};

/// Builds the plugins as components, then runs the plugins' own tests and the host's.
///
/// # Errors
/// When something cannot be built, or a test fails.
pub(crate) fn test() -> anyhow::Result<()> {
    let root = root();
    need_c_compiler()?;
    crate::plugins::build(&root)?;
    run("testing the plugins natively", cargo(&root.join("plugins")).args(["test", "--workspace"]))?;
    run(
        "testing the host: crates, hostile guests, decision cases, end to end",
        cargo(&root).args(["test", "--workspace"]),
    )?;
    crate::demo::try_out()
}

/// Builds the plugins, then runs every benchmark.
///
/// # Errors
/// When something cannot be built.
pub(crate) fn bench() -> anyhow::Result<()> {
    let root = root();
    need_c_compiler()?;
    crate::plugins::build(&root)?;
    let packages = ["assent-policy", "assent-audit", "assent-plugin", "assent-tests", "assent-server"];
    let arguments = packages.iter().flat_map(|package| ["--package", package]);
    run("measuring", cargo(&root).arg("bench").args(arguments).arg("--benches"))
}
