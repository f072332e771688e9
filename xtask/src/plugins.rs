//! `cargo xtask plugins`: builds the guest crates and encodes each as a component.
//!
//! INVARIANT (nothing imported): a component that imports anything is refused here already, as the
//! host would refuse it at admission. The same sources give the same bytes on every machine: paths
//! of the machine are mapped away.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use assent_model::Digest;
use serde::Deserialize;
use wasmparser::{Parser, Payload};
use wit_parser::{Resolve, WorldId};

use crate::tools::{cargo, run, say};

const TARGET: &str = "wasm32-unknown-unknown";
/// Where the components go, within the guest workspace.
const COMPONENTS: &str = "target/components";
/// What a component must export, up to its version.
const EXPORT: &str = "assent:plugin/rules@";
/// Beyond this a plugin gets a warning: it compiles slowly, and has probably pulled in something
/// that a rule does not need.
const SIZE_WARNING_BYTES: usize = 300_000;
/// The contract's folder under `wit/` that the SDK builds for.
const CONTRACT: &str = "wit/0.1.0";
const PAGE_BYTES: u64 = 64 << 10;

/// Builds every plugin of the guest workspace under `root` and writes the components to
/// `plugins/target/components`.
///
/// # Errors
/// What is missing on this machine, or every plugin that cannot be built or encoded.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let workspace = root.join("plugins");
    need_target(root)?;
    let packages = plugin_packages(&workspace)?;
    let modules = compile(root, &workspace, &packages)?;
    let contract = contract(root)?;
    let folder = workspace.join(COMPONENTS);
    std::fs::create_dir_all(&folder).with_context(|| format!("`{}` could not be made", folder.display()))?;
    let mut failures = vec![];
    for (name, module) in modules {
        if let Err(error) = encode(&contract, &name, &module, &folder) {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n       ")) }
}

/// Makes sure that this toolchain can compile for WebAssembly.
fn need_target(root: &Path) -> anyhow::Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(root)
        .output()
        .context("`rustc` could not be started: install Rust from https://rustup.rs")?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && library.is_dir() {
        return Ok(());
    }
    let add = run(
        &format!("adding the target {TARGET} to the toolchain"),
        Command::new("rustup").args(["target", "add", TARGET]).current_dir(root),
    );
    add.with_context(|| {
        format!(
            "plugins need the Rust target `{TARGET}`: install Rust from https://rustup.rs, which adds it, \
             or your distribution's package of that target"
        )
    })
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The packages that build a `cdylib`: those are the plugins, the others are libraries.
fn plugin_packages(workspace: &Path) -> anyhow::Result<Vec<String>> {
    let output = cargo(workspace)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("`cargo metadata` could not be started")?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` did not describe `plugins/`")?;
    let is_plugin = |package: &Package| {
        package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    };
    let plugins: Vec<_> = metadata.packages.into_iter().filter(is_plugin).collect();
    for plugin in &plugins {
        if !plugin.manifest_path.with_file_name("settings.schema.json").exists() {
            bail!(
                "`{0}` has no settings.schema.json: a test that calls `check_description` writes it, \
                 with `UPDATE_SETTINGS_SCHEMA=1 cargo test -p {0}` in plugins/",
                plugin.name
            );
        }
    }
    Ok(plugins.into_iter().map(|package| package.name).collect())
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        target: ArtifactTarget,
        filenames: Vec<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct ArtifactTarget {
    name: String,
}

/// Compiles the plugins; gives the name and the core module of each.
fn compile(root: &Path, workspace: &Path, packages: &[String]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    say(&format!("building {} plugins for {TARGET}", packages.len()));
    let mut command = cargo(workspace);
    command
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .args(["--config", &path_flags(root)?])
        // They would replace the flags of plugins/.cargo/config.toml, and with them the small stack.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit());
    for package in packages {
        command.args(["--package", package]);
    }
    let output = command.output().context("`cargo build` could not be started")?;
    if !output.status.success() {
        bail!("the plugins could not be built ({}); the messages are above", output.status);
    }
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut modules = vec![];
    for line in lines {
        let message = serde_json::from_slice(line).context("`cargo build` said something unexpected")?;
        if let Message::CompilerArtifact { target, filenames } = message {
            let name = kebab_name(&target.name);
            let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
            modules.extend(filenames.into_iter().filter(is_module).map(|path| (name.clone(), path)));
        }
    }
    modules.sort();
    if modules.len() != packages.len() {
        bail!("expected {} modules from `cargo build`, found {}", packages.len(), modules.len());
    }
    Ok(modules)
}

/// Flags that keep the machine's paths out of messages within the components.
fn path_flags(root: &Path) -> anyhow::Result<String> {
    let home = |name: &str, default: &str| -> Option<OsString> {
        std::env::var_os(name).or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(default).into()))
    };
    let mut flags = vec![format!("--remap-path-prefix={}=assent", root.display())];
    if let Some(cargo_home) = home("CARGO_HOME", ".cargo") {
        flags.push(format!("--remap-path-prefix={}=cargo", cargo_home.display()));
    }
    // A TOML array; JSON strings are TOML strings.
    Ok(format!("target.{TARGET}.rustflags={}", serde_json::to_string(&flags)?))
}

/// `assent_export_approval` and `assent-export-approval` are both `export-approval`.
fn kebab_name(crate_name: &str) -> String {
    let name = crate_name.replace('_', "-");
    name.strip_prefix("assent-").map_or(name.clone(), str::to_owned)
}

/// The world that every component must fit.
struct Contract {
    resolve: Resolve,
    world: WorldId,
}

fn contract(root: &Path) -> anyhow::Result<Contract> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root.join(CONTRACT)).context("the contract cannot be read")?;
    let world = resolve.select_world(&[package], None)?;
    Ok(Contract { resolve, world })
}

fn encode(contract: &Contract, name: &str, module: &Path, folder: &Path) -> anyhow::Result<()> {
    let core = std::fs::read(module).with_context(|| format!("`{}` could not be read", module.display()))?;
    let pages = initial_pages(&core)?;
    let bytes = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|mut encoder| encoder.encode())
        .context("cannot be encoded as a component")?;
    check_shape(&bytes)?;
    wit_component::targets(&contract.resolve, contract.world, &bytes)
        .with_context(|| format!("does not fit the contract in `{CONTRACT}`"))?;
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, &bytes).with_context(|| format!("`{}` could not be written", path.display()))?;
    let digest = Digest::of(&bytes);
    say(&format!(
        "{name}: {} KB, {} KiB of memory at the start, sha256 {digest}, plugins/{COMPONENTS}/{name}.wasm",
        bytes.len().div_ceil(1000),
        pages * PAGE_BYTES / 1024
    ));
    if bytes.len() > SIZE_WARNING_BYTES {
        say(&format!(
            "warning: {name} is larger than {} KB; look for a dependency that it can do without",
            SIZE_WARNING_BYTES / 1000
        ));
    }
    Ok(())
}

/// How many pages the module's memory begins with.
fn initial_pages(core: &[u8]) -> anyhow::Result<u64> {
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::MemorySection(memories) = payload.context("cargo built an invalid module")? {
            let memories: Result<Vec<_>, _> = memories.into_iter().collect();
            return Ok(memories?.iter().map(|memory| memory.initial).sum());
        }
    }
    Ok(0)
}

/// Refuses a component that imports anything, or that does not export the contract's interface.
fn check_shape(component: &[u8]) -> anyhow::Result<()> {
    let (mut imports, mut exports) = (vec![], vec![]);
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.context("the encoded component is invalid")? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // Only the outermost component's own: its inner modules import from each other.
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if !imports.is_empty() {
        bail!(
            "imports `{}`; a plugin imports nothing: remove what needs a clock, randomness, files or a host",
            imports.join("`, `")
        );
    }
    if !exports.iter().any(|name| name.starts_with(EXPORT)) {
        bail!("exports no rule: write `assent_plugin_sdk::plugin!(YourRule);` in its `lib.rs`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(wit: &str, module: &str) -> anyhow::Result<Vec<u8>> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("test.wit", wit)?;
        let world = resolve.select_world(&[package], None)?;
        let mut core = wat::parse_str(module)?;
        wit_component::embed_component_metadata(
            &mut core,
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
        )?;
        wit_component::ComponentEncoder::default().validate(true).module(&core)?.encode()
    }

    const RULES: &str = "package assent:plugin@0.1.0; interface rules { describe: func(); }";
    const EXPORTS: &str = r#"(func (export "assent:plugin/rules@0.1.0#describe"))"#;

    #[test]
    fn a_component_with_the_rules_and_no_import_is_accepted() {
        let wit = format!("{RULES} world plugin {{ export rules; }}");
        check_shape(&component(&wit, &format!("(module {EXPORTS})")).unwrap()).unwrap();
    }

    #[test]
    fn any_import_is_refused_by_name() {
        let wit = format!("{RULES} world plugin {{ import clock: func(); export rules; }}");
        let module = format!(r#"(module (import "$root" "clock" (func $clock)) (start $clock) {EXPORTS})"#);
        let error = check_shape(&component(&wit, &module).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("imports `clock`"), "{error}");
    }

    #[test]
    fn a_component_without_the_rules_is_refused() {
        let wit = "package test:other; world plugin { export run: func(); }";
        let error = check_shape(&component(wit, r#"(module (func (export "run")))"#).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("exports no rule"), "{error}");
    }

    #[test]
    fn names_are_kebab_case_without_the_projects_prefix() {
        assert_eq!(kebab_name("assent_export_approval"), "export-approval");
        assert_eq!(kebab_name("my_rule"), "my-rule");
    }
}
