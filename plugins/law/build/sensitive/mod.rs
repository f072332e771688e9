//! The table of sensitive categories: `data/sensitive/` to `OUT_DIR/sensitive.rs`.
//!
//! The vocabularies (labels, purposes, categories, forms, exceptions) are read first, then the rules
//! of `rules/*.toml`, which may only use words of the vocabularies. What lawyers wrote in `words` and
//! `note` is for readers: it is required to be text, and stays out of the compiled table.

mod limited;
mod rule;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::Build;

/// The files of the table besides `rules/*.toml`.
const VOCABULARIES: [&str; 6] =
    ["categories.toml", "exceptions.toml", "forms.toml", "labels.toml", "purposes.toml", "table.toml"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    #[serde(rename = "title")]
    _title: String,
    version: String,
    #[serde(rename = "sources")]
    _sources: String,
    #[serde(rename = "disclaimer")]
    _disclaimer: String,
}

/// Checks the table and writes its statics.
pub(crate) fn generate(build: &mut Build) {
    let folder = build.data.join("sensitive");
    let files = read(build, &folder);
    let mut digest = Sha256::new();
    for (name, text) in &files {
        for part in [name, text] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let words = vocabulary::Vocabulary::read(build, &files);
    let version = parse::<TableFile>(build, &files, "table.toml").version;
    if version.trim().is_empty() {
        build.problem(&shown("table.toml"), "the table", "expected a `version`");
    }
    let mut code = format!(
        "/// The version of the table, raised by hand with every change.\npub const VERSION: &str = {version:?};\n\
         /// SHA-256, in hexadecimal, of the files the table was compiled from.\npub const DIGEST: &str = {digest:?};\n\n"
    );
    code.push_str(&words.code());
    code.push_str(&rule::generate(build, &files, &words));
    code.push_str(&limited::code(build));
    if let Err(error) = std::fs::write(build.out.join("sensitive.rs"), code) {
        build.problem(&folder, "the table", format!("could not be written: {error}"));
    }
}

/// The files of the table by name (`rules/hiv.toml`), with line ends as on every platform, so that the
/// digest is the same everywhere.
fn read(build: &mut Build, folder: &Path) -> BTreeMap<String, String> {
    let mut names: Vec<String> = VOCABULARIES.map(str::to_owned).into();
    let entries = std::fs::read_dir(folder.join("rules")).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.unwrap_or_default() {
        names.push(format!("rules/{}", entry.file_name().to_string_lossy()));
    }
    let mut files = BTreeMap::new();
    for name in names {
        match std::fs::read_to_string(folder.join(&name)) {
            Ok(text) => {
                files.insert(name, text.replace("\r\n", "\n"));
            }
            Err(error) => build.problem(&shown(&name), "the file", format!("could not be read: {error}")),
        }
    }
    files
}

/// A file of the table read as `T`; what is wrong with it becomes a problem.
fn parse<T: DeserializeOwned + Default>(
    build: &mut Build,
    files: &BTreeMap<String, String>,
    name: &str,
) -> T {
    let Some(text) = files.get(name) else { return T::default() };
    toml::from_str(text).unwrap_or_else(|error| {
        build.problem(&shown(name), "the file", one_line(&error));
        T::default()
    })
}

/// How messages name a file of the table.
fn shown(name: &str) -> PathBuf {
    Path::new("data/sensitive").join(name)
}

/// An error of the format on one line: what, where, and what is known.
fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// ` (did you mean ...?)`, where a known word is near.
fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let (distance, nearest) = known.map(|k| (distance(word, k), k)).min().unwrap_or((usize::MAX, ""));
    if distance <= 2 { format!(" (did you mean `{nearest}`?)") } else { String::new() }
}

/// Edits between two words: insertions, deletions, replacements.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        let mut last = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = before + usize::from(x != y);
            before = *cell;
            last = replaced.min(before + 1).min(last + 1);
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
