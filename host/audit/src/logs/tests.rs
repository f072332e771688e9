//! The turn of a year: the new log begins with the records of the start, whoever opens it; it is opened
//! ahead and empty; and the clock may go where it wants.

mod clock;

use std::path::Path;
use std::time::Instant as Monotonic;

use super::*;
use crate::keys::MasterKey;
use crate::log::{Config, Receipt};
use crate::record::{Record, ServiceRun, TailDiscarded};
use crate::shelf::Shelf;

const DECEMBER: &str = "2026-12-31T12:00:00Z";
const NEARLY: &str = "2026-12-31T23:59:30Z";
const LAST: &str = "2026-12-31T23:59:59.999Z";
const FIRST: &str = "2027-01-01T00:00:00Z";

struct Deployed {
    directory: tempfile::TempDir,
    logs: Logs,
}

fn organization() -> OrganizationId {
    OrganizationId::new("riverside").unwrap()
}

fn config(directory: &Path) -> LogsConfig {
    LogsConfig {
        directory: directory.to_owned(),
        name: "test.example".to_owned(),
        signing_seed: [7; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    }
}

fn open(directory: &Path, now: &str) -> (Logs, i32) {
    let (logs, opened) = Logs::open(config(directory), [organization()], at(now)).unwrap();
    logs.begin_years_with(&organization(), vec![run("start 1"), run("start 2")]).unwrap();
    (logs, opened[0].year)
}

fn deployed() -> Deployed {
    let directory = tempfile::tempdir().unwrap();
    let (logs, _) = open(directory.path(), DECEMBER);
    Deployed { directory, logs }
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn run(note: &str) -> Event {
    let run = ServiceRun { node: "n".into(), software: "0".into(), note: Some(note.to_owned()) };
    Event::ServiceStarted(run)
}

async fn append(logs: &Logs, moment: &str, note: &str) -> Receipt {
    let log = logs.log(&organization(), at(moment)).unwrap();
    let bytes = Record::new(at(moment), run(note)).encode().unwrap();
    log.append(bytes, Monotonic::now() + APPEND_DEADLINE).await.unwrap()
}

impl Deployed {
    /// The notes of a year's records, in their order.
    fn notes(&self, year: i32) -> Vec<String> {
        let shelf = Shelf::new(config(self.directory.path()), organization()).of_year(year);
        let note = |record: Record| match record.event {
            Event::ServiceStarted(run) => run.note.unwrap(),
            other => panic!("{other:?}"),
        };
        shelf.records().unwrap().map(|found| note(found.unwrap().1)).collect()
    }
}

#[tokio::test]
async fn a_year_that_nobody_prepared_begins_with_the_records_of_the_start() {
    let deployed = deployed();
    append(&deployed.logs, DECEMBER, "old").await;
    let receipt = append(&deployed.logs, FIRST, "new").await;
    assert_eq!(receipt.seq, 2);
    assert_eq!(
        (deployed.notes(2026), deployed.notes(2027)),
        (vec!["old".into()], vec!["start 1".into(), "start 2".into(), "new".into()])
    );
    let shelf = Shelf::new(config(deployed.directory.path()), organization()).of_year(2027);
    for found in shelf.records().unwrap() {
        assert_eq!(found.unwrap().1.at, at(FIRST));
    }
}

#[tokio::test]
async fn a_year_is_opened_ahead_and_begins_when_it_comes() {
    let deployed = deployed();
    let logs = &deployed.logs;
    assert!(logs.turn(at(DECEMBER)).unwrap().is_empty());
    let opened = logs.turn(at(NEARLY)).unwrap();
    assert_eq!((opened[0].year, opened[0].recovered.created), (2027, true));
    assert!(logs.turn(at(NEARLY)).unwrap().is_empty(), "it is opened once");
    // Until then records go where they belong, and the new log is empty.
    append(logs, LAST, "old").await;
    assert_eq!((deployed.notes(2026).len(), deployed.notes(2027).len()), (1, 0));
    // It comes though nobody asks anything.
    assert!(logs.turn(at(FIRST)).unwrap().is_empty());
    append(logs, "2027-01-01T00:00:01Z", "new").await;
    assert_eq!(deployed.notes(2027), ["start 1", "start 2", "new"]);
    // And never goes back.
    append(logs, LAST, "late").await;
    assert_eq!((deployed.notes(2026).len(), deployed.notes(2027).len()), (1, 4));
}

#[tokio::test]
async fn last_years_log_is_closed_by_the_turn_once_nobody_holds_it() {
    let deployed = deployed();
    let logs = &deployed.logs;
    let held = logs.log(&organization(), at(LAST)).unwrap();
    append(logs, FIRST, "new").await;
    logs.turn(at(FIRST)).unwrap();
    assert!(!held.status().closed);
    let late = Record::new(at(LAST), run("late")).encode().unwrap();
    held.append(late, Monotonic::now() + APPEND_DEADLINE).await.unwrap();
    drop(held);
    logs.turn(at(FIRST)).unwrap();
    assert!(logs.years().values().all(|years| years.retired.is_empty()));
    // Its lock is free: it could be opened again.
    let (again, _) = Log::open(Config::new(
        config(deployed.directory.path()).directory_of(&organization(), 2026),
        Arc::new(config(deployed.directory.path()).signer(&organization(), 2026).unwrap()),
        Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    ))
    .unwrap();
    assert_eq!(again.status().durable.size, 1);
}

#[tokio::test]
async fn a_log_that_was_prepared_in_vain_holds_nobody_in_a_year_that_has_not_come() {
    let deployed = deployed();
    append(&deployed.logs, NEARLY, "old").await;
    deployed.logs.turn(at(NEARLY)).unwrap();
    deployed.logs.close().unwrap();
    let Deployed { directory, logs } = deployed;
    drop(logs);
    let (logs, year) = open(directory.path(), LAST);
    assert_eq!(year, 2026);
    let deployed = Deployed { directory, logs };
    append(&deployed.logs, LAST, "on").await;
    append(&deployed.logs, FIRST, "new").await;
    assert_eq!((deployed.notes(2026).len(), deployed.notes(2027).len()), (2, 3));
    // One with records does, though the clock was set back.
    deployed.logs.close().unwrap();
    let Deployed { directory, logs } = deployed;
    drop(logs);
    assert_eq!(open(directory.path(), DECEMBER).1, 2027);
}

#[tokio::test]
async fn the_clock_may_leap_over_a_prepared_year_and_a_new_start_replaces_the_old() {
    let deployed = deployed();
    deployed.logs.turn(at(NEARLY)).unwrap();
    deployed.logs.begin_years_with(&organization(), vec![run("other start")]).unwrap();
    append(&deployed.logs, "2028-06-01T00:00:00Z", "leapt").await;
    assert_eq!(
        (deployed.notes(2027).len(), deployed.notes(2028)),
        (0, vec!["other start".into(), "leapt".into()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_the_turn_find_one_log_and_one_start() {
    let deployed = Arc::new(deployed());
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let deployed = Arc::clone(&deployed);
            tokio::spawn(async move {
                if number == 0 {
                    let deployed = Arc::clone(&deployed);
                    tokio::task::spawn_blocking(move || deployed.logs.turn(at(FIRST)).map(drop))
                        .await
                        .unwrap()
                        .unwrap();
                }
                append(&deployed.logs, FIRST, "new").await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let notes = deployed.notes(2027);
    assert_eq!((notes.len(), &notes[..2]), (10, &["start 1".to_owned(), "start 2".to_owned()][..]));
}

#[tokio::test]
async fn a_year_that_cannot_begin_for_one_organization_begins_for_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["birchwood", "riverside", "willow"].map(|name| OrganizationId::new(name).unwrap());
    let (logs, _) = Logs::open(config(directory.path()), names.clone(), at(DECEMBER)).unwrap();
    // No directory can be made where a file is.
    std::fs::write(directory.path().join("birchwood/2027"), "").unwrap();
    let error = logs.turn(at(NEARLY)).unwrap_err();
    assert!(
        matches!(&error, LogsError::Open { organization, .. } if organization.as_str() == "birchwood"),
        "{error}"
    );
    assert!(logs.turn(at(FIRST)).is_err());
    let years: Vec<i32> = logs.open_years().into_values().collect();
    assert_eq!(years, [2026, 2027, 2027]);
    std::fs::remove_file(directory.path().join("birchwood/2027")).unwrap();
    logs.turn(at(FIRST)).unwrap();
    assert_eq!(logs.open_years()[&names[0]], 2027);
}

#[tokio::test]
async fn what_was_cut_off_a_log_that_was_opened_ahead_is_recorded_in_it() {
    let deployed = deployed();
    let config = config(deployed.directory.path());
    let path = config.directory_of(&organization(), 2027);
    let signer = Arc::new(config.signer(&organization(), 2027).unwrap());
    let (log, _) = Log::open(Config::new(&path, signer, Arc::clone(&config.kek))).unwrap();
    log.close().unwrap();
    // As if the service had been killed while it wrote the year's first batch.
    let segment = path.join("segments/0000000001.seg");
    let bytes = [std::fs::read(&segment).unwrap(), vec![7; 100]].concat();
    std::fs::write(&segment, bytes).unwrap();

    let opened = deployed.logs.turn(at(NEARLY)).unwrap();
    assert_eq!(opened[0].recovered.discarded_bytes, 100);
    append(&deployed.logs, FIRST, "new").await;
    let shelf = Shelf::new(config, organization()).of_year(2027);
    let records: Vec<Record> = shelf.records().unwrap().map(|found| found.unwrap().1).collect();
    assert_eq!(records.len(), 4);
    assert!(matches!(&records[0].event, Event::TailDiscarded(TailDiscarded { position: 0, bytes: 100, .. })));
}

#[test]
fn only_four_digits_are_a_year() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["2026", "0999", "+123", "-001", "20261", "2026.index", "inbox"] {
        std::fs::create_dir_all(directory.path().join("riverside").join(name)).unwrap();
    }
    assert_eq!(config(directory.path()).years(&organization()).unwrap(), [999, 2026]);
}

#[test]
fn what_was_wrapped_anew_in_a_closed_year_is_to_be_recorded_in_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    for now in ["2025-05-01T00:00:00Z", DECEMBER] {
        open(directory.path(), now).0.close().unwrap();
    }
    let (logs, _) = open(directory.path(), DECEMBER);
    logs.key_changes(&organization()).unwrap();
    logs.key_changes_recorded(&organization()).unwrap();
    // As a rotation of both years notes it, which another rotation of the older had begun.
    let note = |year: i32| config.directory_of(&organization(), year).join("keys/rewrapped");
    std::fs::write(note(2025), "older former\nformer present\n").unwrap();
    std::fs::write(note(2026), "former present\n").unwrap();
    for _crash in 0..2 {
        let changes = logs.key_changes(&organization()).unwrap();
        let keys: Vec<_> =
            changes.iter().map(|change| (change.key.as_str(), change.wrapped_by.as_deref())).collect();
        assert_eq!(keys, [("former", Some("present")), ("older", Some("former"))]);
    }
    logs.key_changes_recorded(&organization()).unwrap();
    assert!(logs.key_changes(&organization()).unwrap().is_empty());
}
