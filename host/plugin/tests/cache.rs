//! Compiled code on disk: used only where this host sealed it, for exactly this plugin.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assent_plugin::{HostConfig, HostError, Limits, PluginHost};
use common::{facts, guest, hostile, slots};

fn open(directory: &Path) -> Result<PluginHost, HostError> {
    PluginHost::new(HostConfig { slots: 2, cache: Some(directory.to_owned()) })
}

/// Admits the hostile guest with these settings through the cache, and asks it for its settings.
fn answer(directory: &Path, settings: &str) -> String {
    let host = open(directory).unwrap();
    let plugin = host.admit(&hostile(settings, Limits::default()), &guest("hostile")).unwrap();
    plugin.call(&facts("settings"), &slots(&host, "bay")).outcome.result.unwrap().notes.join("")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "plugin"));
    paths.sort();
    paths
}

/// When the entry was written: a replaced entry is a new file.
fn identity(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[test]
fn a_sealed_entry_is_used_and_any_other_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("cache");
    assert_eq!(answer(&directory, "one"), "Some(\"one\")");
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let [entry] = &entries(&directory)[..] else { panic!("one entry") };
    let (sealed, first) = (fs::read(entry).unwrap(), identity(entry));

    // Warm: the entry stays as it is, since nothing was built.
    assert_eq!(answer(&directory, "one"), "Some(\"one\")");
    assert_eq!(identity(entry), first);

    let changed = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let spoiled = [
        ("a bit of the magic", changed(0)),
        ("a bit of the seal", changed(20)),
        ("a bit of the note", changed(60)),
        ("a bit of the code", changed(sealed.len() / 2)),
        ("the last bit", changed(sealed.len() - 1)),
        ("cut short", sealed[..sealed.len() / 2].to_vec()),
        ("only the magic", sealed[..16].to_vec()),
        ("empty", vec![]),
        ("longer", [&sealed[..], b"x"].concat()),
    ];
    for (what, bytes) in spoiled {
        fs::write(entry, &bytes).unwrap();
        assert_eq!(answer(&directory, "one"), "Some(\"one\")", "{what}");
        assert_ne!(fs::read(entry).unwrap(), bytes, "{what} was replaced");
    }

    // An entry for other settings under this name: sealed by us, but not as this.
    assert_eq!(answer(&directory, "two"), "Some(\"two\")");
    let other = entries(&directory).into_iter().find(|path| path != entry).unwrap();
    fs::copy(&other, entry).unwrap();
    assert_eq!(answer(&directory, "one"), "Some(\"one\")");

    // An entry that another host sealed.
    let elsewhere = directory.with_file_name("elsewhere");
    assert_eq!(answer(&elsewhere, "one"), "Some(\"one\")");
    let foreign = fs::read(elsewhere.join(entry.file_name().unwrap())).unwrap();
    fs::write(entry, &foreign).unwrap();
    assert_eq!(answer(&directory, "one"), "Some(\"one\")");
    assert_ne!(fs::read(entry).unwrap(), foreign);
}

#[test]
fn grants_count_also_where_the_code_comes_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("cache");
    answer(&directory, "one");
    let mut spec = hostile("one", Limits::default());
    spec.grants.remove("consents");
    let problems = open(&directory).unwrap().admit(&spec, &guest("hostile")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code(), "ungranted");
}

#[test]
fn a_directory_or_key_that_others_can_change_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let refused = |path: &Path| open(path).expect_err("refused").to_string();
    for mode in [0o770, 0o702, 0o777] {
        set(directory.path(), mode);
        assert!(refused(directory.path()).contains("chmod 700"), "{mode:o}");
    }
    set(directory.path(), 0o700);
    open(directory.path()).unwrap();
    let key = directory.path().join("seal.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    set(&key, 0o644);
    assert!(refused(directory.path()).contains("seal.key"));
    set(&key, 0o600);
    fs::write(&key, b"short").unwrap();
    assert!(refused(directory.path()).contains("length"));

    let link = directory.path().join("link");
    std::os::unix::fs::symlink(tempfile::tempdir().unwrap().keep(), &link).unwrap();
    assert!(refused(&link).contains("link"));
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(refused(&file).contains("directory"));
}

#[test]
fn a_component_that_can_have_no_snapshot_is_kept_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("cache");
    let component = common::composed(&guest("hostile"));
    let admit = || open(&directory).unwrap().admit(&hostile("one", Limits::default()), &component).unwrap();
    let first = admit();
    let [entry] = &entries(&directory)[..] else { panic!("one entry") };
    let written = identity(entry);
    assert_eq!(admit().configured(), first.configured());
    assert_ne!(*first.configured(), assent_plugin::Configured::Baked);
    assert_eq!(identity(entry), written);
}
