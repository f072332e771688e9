//! Holds the architecture: crate edges, who may name which library, module docs, nothing ignored, and a map whose
//! paths exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::root;

/// Which of our crates each crate may depend on. ARCHITECTURE.md explains the edges.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("policy", &["model"]),
    ("plugin", &["model"]),
    ("audit", &["model"]),
    ("outbound", &["model", "audit"]),
    ("store", &["model"]),
    ("fhir", &["model"]),
    ("workflow", &["model"]),
    ("engine", &["model", "policy", "plugin", "audit", "store", "fhir", "workflow"]),
    ("server", &["model", "policy", "plugin", "audit", "fhir", "workflow", "engine"]),
    ("cli", &["model", "policy", "plugin", "audit", "outbound", "fhir", "workflow", "engine", "server"]),
];

/// Libraries that only one crate may name.
const OWNERS: &[(&str, &str)] = &[
    ("cedar_policy", "policy"),
    ("cedar_policy_core", "policy"),
    ("wasmtime", "plugin"),
    ("wasmtime_wizer", "plugin"),
    ("aws_lc_rs", "audit"),
    ("cryptoki", "audit"),
    ("rusqlite", "audit"),
    ("sqlx", "store"),
    ("axum", "server"),
    ("object_store", "outbound"),
    ("reqwest", "outbound"),
    ("rustls", "outbound"),
    ("tokio_rustls", "outbound"),
];

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn all_rust_files() -> Vec<PathBuf> {
    let mut found = vec![];
    for folder in ["host", "plugins", "tests", "xtask"] {
        rust_files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the tidy test looks in the wrong place: {} files", found.len());
    found
}

#[test]
fn crates_depend_only_along_the_edges() {
    let edges: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("host"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, edges.keys().map(|name| (*name).to_owned()).collect(), "crates under host/");
    for (name, allowed) in edges {
        let manifest = std::fs::read_to_string(root().join("host").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies =
            manifest.get("dependencies").and_then(|d| d.as_table()).cloned().unwrap_or_default();
        for dependency in dependencies.keys().filter_map(|name| name.strip_prefix("assent-")) {
            assert!(allowed.contains(&dependency), "`{name}` must not depend on `{dependency}`");
        }
    }
}

#[test]
fn only_its_owner_names_a_library() {
    // Tests may do to files and databases what the product never does.
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    let files = all_rust_files();
    let product = files.iter().filter(|path| path.starts_with(root().join("host")) && !is_test(path));
    for path in product {
        let text = std::fs::read_to_string(path).unwrap();
        for (library, owner) in OWNERS {
            let uses = [format!("use {library}::"), format!("{library}::")];
            let named = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or("");
                uses.iter().any(|name| code.contains(name.as_str()))
            });
            let owned = path.starts_with(root().join("host").join(owner));
            assert!(owned || !named, "{} names `{library}`, which is `{owner}`'s alone", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in all_rust_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not begin with `//!`", path.display());
    }
}

#[test]
fn nothing_is_ignored_or_left_open() {
    // Put together here, so that this file does not find itself.
    let forbidden = [
        concat!("#[ig", "nore"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
    ];
    for path in all_rust_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in forbidden {
            assert!(!text.contains(word), "{} contains `{word}`", path.display());
        }
    }
}

/// As wide as code, which is read beside it.
const MAP_CHARS_MAX: usize = 120;

/// Where the map's short form of a path may lead to.
fn meant(path: &str) -> Vec<PathBuf> {
    let (krate, rest) = path.split_once('/').unwrap();
    let host = root().join("host").join(krate);
    [root().join(path), host.join("src").join(rest), host.join(rest)]
        .into_iter()
        .flat_map(|path| [path.with_extension("rs"), path])
        .collect()
}

#[test]
fn the_map_is_no_wider_than_code_and_the_paths_of_its_invariants_exist() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    // A cell of a table cannot be broken.
    for line in map.lines().filter(|line| !line.starts_with('|')) {
        assert!(line.chars().count() <= MAP_CHARS_MAX, "wider than {MAP_CHARS_MAX}: {line}");
    }
    let (_, invariants) = map.split_once("\n## Invariants").unwrap();
    let (invariants, _) = invariants.split_once("\n## ").unwrap();
    let rows = invariants.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let paths: Vec<_> = quoted.filter(|quoted| quoted.contains('/')).collect();
    assert!(paths.len() > 50, "the table is read wrongly: {paths:?}");
    for path in paths {
        assert!(
            meant(path).iter().any(|path| path.exists()),
            "ARCHITECTURE.md names `{path}`, which is nowhere"
        );
    }
}

#[test]
fn the_top_level_is_the_agreed_one() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "host",
        "plugins",
        "wit",
        "policies",
        "examples",
        "tests",
        "README.md",
        "ARCHITECTURE.md",
        "xtask",
        "target",
        "clippy.toml",
        "rustfmt.toml",
        "rust-toolchain.toml",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "`{name}` does not belong at the top level"
        );
    }
}
