//! What the end-to-end tests share: where things are, deployments built once, a real server.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use assent_cli::deployment::{self, Deployment, build::Built};

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a parent folder").to_owned()
}

/// Data that may lie beside the project; `None` where it is absent, with a line that says so.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = root().parent()?.join("shared").join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: the data beside the project (`{}`) is not here", path.display());
    None
}

/// A deployment of this project, built once for all tests.
pub struct World {
    /// As written.
    pub deployment: Deployment,
    /// Ready to decide.
    pub built: Built,
}

fn load(path: &str) -> World {
    let directory = root().join(path);
    let built = deployment::read(&directory).and_then(|deployment| {
        let built = deployment::build::build(&deployment)?;
        Ok(World { deployment, built })
    });
    built.unwrap_or_else(|errors| panic!("{path} does not load:\n{}", assent_cli::commands::listed(&errors)))
}

/// The example clinics.
pub static CLINICS: LazyLock<World> = LazyLock::new(|| load("examples/clinics"));
/// The worlds of the public AuthZEN vectors.
pub static AUTHZEN: LazyLock<World> = LazyLock::new(|| load("examples/authzen"));
/// The base policies without plugins.
pub static POLICIES: LazyLock<World> = LazyLock::new(|| load("tests/cases/policies"));

/// One runtime for the tests that speak HTTP.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| assent_server::runtime().expect("a runtime"))
}
