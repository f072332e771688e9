//! A deployment whose logs are removed, put back or exchanged between two starts.

use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use assent_model::Instant;

use super::*;
use crate::keys::MasterKey;
use crate::logs::{Logs, LogsError};

fn organization() -> OrganizationId {
    OrganizationId::new("riverside").unwrap()
}

fn config(root: &Path) -> LogsConfig {
    LogsConfig {
        directory: root.join("audit"),
        name: "test.example".to_owned(),
        signing_seed: [7; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    }
}

fn open(root: &Path, year: i32) -> Result<Logs, LogsError> {
    let now: Instant = format!("{year}-05-01T00:00:00Z").parse().unwrap();
    Logs::open(config(root), [organization()], now).map(|(logs, _)| logs)
}

/// Starts, appends so many records, stops.
fn run(root: &Path, year: i32, records: u8) {
    let logs = open(root, year).unwrap();
    let now: Instant = format!("{year}-05-01T00:00:00Z").parse().unwrap();
    let log = logs.log(&organization(), now).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for record in 0..records {
        let far = Monotonic::now() + Duration::from_secs(60);
        runtime.block_on(log.append(vec![record], far)).unwrap();
    }
    logs.close().unwrap();
}

fn refused(root: &Path, year: i32) -> KnownError {
    match open(root, year) {
        Err(LogsError::Known { source, .. }) => *source,
        other => panic!("{:?}", other.map(|_| ()).map_err(|error| error.to_string())),
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn a_log_that_is_removed_is_not_begun_anew_until_it_is_forgotten() {
    for removed in ["audit/riverside/2026", "audit/riverside", "audit"] {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), 2026, 3);
        std::fs::remove_dir_all(root.path().join(removed)).unwrap();
        let error = refused(root.path(), 2026);
        assert!(matches!(error, KnownError::Gone { size: 3, .. }), "{removed}: {error}");
        let text = error.to_string();
        assert!(text.contains("audit.known/riverside/2026") && text.contains("restore"), "{text}");
        assert!(!root.path().join("audit/riverside/2026").exists(), "nothing was begun");
        // Of whatever year it is: it is the newest log that counts.
        assert!(open(root.path(), 2025).is_err());
        forget(&config(root.path()), &organization(), 2026).unwrap();
        run(root.path(), 2026, 1);
    }
}

#[test]
fn a_log_put_back_from_an_older_copy_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("audit/riverside/2026");
    run(root.path(), 2026, 3);
    let old = root.path().join("copy");
    copy(&log, &old);
    run(root.path(), 2026, 2);
    std::fs::remove_dir_all(&log).unwrap();
    copy(&old, &log);
    assert!(matches!(refused(root.path(), 2026), KnownError::RolledBack { size: 5, found: 3, .. }));
}

#[test]
fn another_log_of_the_same_key_is_refused_also_if_it_is_longer() {
    for records in [3, 4, 9] {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        run(root.path(), 2026, 3);
        run(other.path(), 2026, records);
        let log = root.path().join("audit/riverside/2026");
        std::fs::remove_dir_all(&log).unwrap();
        // Each record is sealed with a key of its own log, so no two logs have the same entries.
        copy(&other.path().join("audit/riverside/2026"), &log);
        let error = refused(root.path(), 2026);
        assert!(
            matches!(error, KnownError::RolledBack { size: 3, found, .. } if found == u64::from(records)),
            "{error}"
        );
    }
}

#[test]
fn a_log_whose_tiles_are_gone_is_taken_for_the_one_it_was() {
    let root = tempfile::tempdir().unwrap();
    run(root.path(), 2026, 3);
    let memory = file(&config(root.path()), &organization(), 2026);
    let older = std::fs::read(&memory).unwrap();
    run(root.path(), 2026, 3);
    std::fs::write(&memory, older).unwrap();
    let log = root.path().join("audit/riverside/2026");
    std::fs::remove_dir_all(log.join("tile")).unwrap();
    run(root.path(), 2026, 1);
}

#[test]
fn a_log_that_went_on_and_one_that_was_not_stopped_well_are_taken() {
    let root = tempfile::tempdir().unwrap();
    run(root.path(), 2026, 3);
    let memory = file(&config(root.path()), &organization(), 2026);
    let older = std::fs::read(&memory).unwrap();
    run(root.path(), 2026, 3);
    // The stop was not remembered.
    std::fs::write(&memory, older).unwrap();
    run(root.path(), 2026, 0);
    // Nor anything: the memory is made again.
    std::fs::remove_file(&memory).unwrap();
    run(root.path(), 2026, 0);
    let signer = config(root.path()).signer(&organization(), 2026).unwrap();
    let outside = remembered(memory, signer.verifier()).unwrap().unwrap();
    assert_eq!(outside.tree.size, 6);
}

#[test]
fn a_spoiled_memory_stops_the_start() {
    let root = tempfile::tempdir().unwrap();
    run(root.path(), 2026, 3);
    let memory = file(&config(root.path()), &organization(), 2026);
    let text = std::fs::read_to_string(&memory).unwrap();
    std::fs::write(&memory, text.replace("\n3\n", "\n2\n")).unwrap();
    assert!(matches!(refused(root.path(), 2026), KnownError::Spoiled { .. }));
}
