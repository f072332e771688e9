//! Checks the law tables under `data/` and writes them as Rust statics to `OUT_DIR`.
//!
//! One module per table. A problem in a table fails the build with the file, the row and what was
//! expected; all problems of all tables are shown at once.

mod minor_consent;
mod sensitive;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What each table's generator gets, and gives back.
struct Build {
    /// `plugins/law/data`.
    data: PathBuf,
    /// Where the generated Rust goes.
    out: PathBuf,
    /// Everything wrong, as `file: row: what was expected`.
    problems: Vec<String>,
}

impl Build {
    fn problem(&mut self, file: &Path, row: &str, message: impl std::fmt::Display) {
        self.problems.push(format!("{}: {row}: {message}", file.display()));
    }
}

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() -> ExitCode {
    let directory = |name| PathBuf::from(std::env::var_os(name).unwrap_or_default());
    let mut build = Build {
        data: directory("CARGO_MANIFEST_DIR").join("data"),
        out: directory("OUT_DIR"),
        problems: Vec::new(),
    };
    println!("cargo::rerun-if-changed=data");
    println!("cargo::rerun-if-changed=build");
    minor_consent::generate(&mut build);
    sensitive::generate(&mut build);
    for problem in &build.problems {
        println!("cargo::error={problem}");
    }
    if build.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
