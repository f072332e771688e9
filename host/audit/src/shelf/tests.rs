//! A shelf of two years, against the list of what was written; and proofs from tiles at every position.

use std::time::{Duration, Instant as Monotonic};

use assent_model::{DecisionId, Digest, Instant};

use super::*;
use crate::archive::{About, Archive, ArchiveError, parts};
use crate::keys::MasterKey;
use crate::log::{Config, Log};
use crate::record::tests::{at, plain_decision};
use crate::record::{DecisionEvent, Event, ReleaseArchived, ServiceRun};
use crate::tlog::proof::Proof;

const RECORDS: u64 = 300;

fn config(directory: &std::path::Path) -> LogsConfig {
    LogsConfig {
        directory: directory.to_owned(),
        name: "test.example".to_owned(),
        signing_seed: [7; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    }
}

fn organization() -> OrganizationId {
    OrganizationId::new("riverside").unwrap()
}

fn decided(when: Instant, id: u128, request_id: Option<String>) -> Vec<u8> {
    let decision = DecisionEvent { id: DecisionId::from_bits(id), request_id, ..plain_decision() };
    Record::new(when, Event::Decision(Box::new(decision))).encode().unwrap()
}

/// Writes a year's log and closes it, so that all of it is published.
async fn write(config: &LogsConfig, year: i32, records: Vec<Vec<u8>>) {
    let signer = Arc::new(config.signer(&organization(), year).unwrap());
    let directory = config.directory_of(&organization(), year);
    let (log, _) = Log::open(Config::new(directory, signer, Arc::clone(&config.kek))).unwrap();
    for record in records {
        log.append(record, Monotonic::now() + Duration::from_secs(60)).await.unwrap();
    }
    log.close().unwrap();
}

async fn shelf(directory: &std::path::Path) -> Shelf {
    let config = config(directory);
    let (last, this) = (at("2025-12-31T23:00:00Z"), at("2026-01-01T01:00:00Z"));
    let older = (0..2).map(|n| decided(last, n, Some("batch".into()))).collect();
    write(&config, 2025, older).await;
    // The first of the new year claims the id of the second as its request id.
    let claimed = |n: u128| (n == 100).then(|| DecisionId::from_bits(101).to_string());
    let newer = (0..u128::from(RECORDS)).map(|n| decided(this, 100 + n, claimed(100 + n))).collect();
    write(&config, 2026, newer).await;
    Shelf::new(config, organization())
}

fn places(found: &[Found]) -> Vec<String> {
    found.iter().map(|(place, _)| place.to_string()).collect()
}

#[tokio::test]
async fn pages_go_on_from_year_to_year_in_both_orders() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    assert_eq!(shelf.years().unwrap(), [2025, 2026]);
    let mut all: Vec<String> = shelf.records().unwrap().map(|found| found.unwrap().0.to_string()).collect();
    assert_eq!(all.len() as u64, 2 + RECORDS);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut read, mut after) = (vec![], None);
        loop {
            let query = Query::default();
            let found = shelf.find(Page { query: &query, order, after, limit: 7 }).unwrap();
            let Some((last, _)) = found.last() else { break };
            after = Some(*last);
            read.extend(places(&found));
        }
        assert_eq!(read, all, "{order:?}");
        all.reverse();
    }
    let of_last_year = shelf.of_year(2025);
    assert_eq!(of_last_year.records().unwrap().count(), 2);
}

#[tokio::test]
async fn a_year_that_is_gone_is_passed_over_by_nothing_but_one_that_was_let_go_is() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(&directory.path().join("audit")).await;
    for year in [2025, 2026] {
        let memory = known::file(shelf.config(), &organization(), year);
        known::remember(&shelf.directory(year), &memory, &shelf.verifier(year).unwrap()).unwrap();
    }
    assert_eq!((shelf.gone().unwrap(), shelf.all_years(None).unwrap()), (vec![], vec![2025, 2026]));
    let tombstone = shelf.directory(2025).with_extension("let-go");
    std::fs::rename(shelf.directory(2025), shelf.directory(2025).with_extension("elsewhere")).unwrap();

    let query = Query::default();
    let page = |order, limit| Page { query: &query, order, after: None, limit };
    let is_gone = |error: Option<ShelfError>| matches!(error, Some(ShelfError::Gone { .. }));
    assert_eq!(shelf.gone().unwrap(), [2025]);
    assert!(is_gone(shelf.all_years(None).err()) && is_gone(shelf.all_years(Some(2025)).err()));
    assert!(is_gone(shelf.records().err()) && is_gone(shelf.over(|records| records.count()).err()));
    assert!(is_gone(shelf.find(page(Order::OldestFirst, 1)).err()));
    assert!(is_gone(shelf.by_id(DecisionId::from_bits(7).as_str()).err()));
    assert!(is_gone(crate::retention::State::find(&shelf).err()));
    assert!(is_gone(crate::retention::State::read(&shelf, None, |_| {}).err()));
    // What does not reach it needs nothing of it.
    assert_eq!(shelf.all_years(Some(2026)).unwrap(), [2026]);
    assert_eq!(shelf.find(page(Order::NewestFirst, 1)).unwrap().len(), 1);
    assert!(shelf.by_id(DecisionId::from_bits(101).as_str()).unwrap().is_some());
    let this_year = Shelf::new(shelf.config().clone(), organization()).of_year(2026);
    assert_eq!(this_year.records().unwrap().count() as u64, RECORDS);

    std::fs::write(&tombstone, "whatever it says").unwrap();
    assert_eq!(shelf.all_years(None).unwrap(), [2026]);
    assert_eq!(shelf.find(page(Order::OldestFirst, 1)).unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_is_found_by_place_and_by_the_id_of_its_own_decision() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    let (place, record) = shelf.by_id(DecisionId::from_bits(101).as_str()).unwrap().unwrap();
    assert_eq!(place, Place { year: 2026, position: 1 });
    assert_eq!(shelf.at(place).unwrap(), Some((place, record)));
    for missing in [Place { year: 2024, position: 0 }, Place { year: 2026, position: RECORDS }] {
        assert_eq!(shelf.at(missing).unwrap(), None);
    }
    assert_eq!(shelf.by_id("batch").unwrap(), None);
    assert_eq!(shelf.by_id(DecisionId::from_bits(7).as_str()).unwrap(), None);
}

#[tokio::test]
async fn what_is_written_after_a_search_is_found_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    let id = DecisionId::from_bits(7);
    assert_eq!(shelf.by_id(id.as_str()).unwrap(), None);
    write(&config(directory.path()), 2026, vec![decided(at("2026-01-02T00:00:00Z"), 7, None)]).await;
    let (place, _) = shelf.by_id(id.as_str()).unwrap().unwrap();
    assert_eq!(place, Place { year: 2026, position: RECORDS });
}

#[tokio::test]
async fn every_entry_is_proved_by_its_bytes_and_the_public_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    let (reader, key) = (shelf.reader(2026).unwrap(), shelf.verifier(2026).unwrap());
    for position in 0..RECORDS {
        let entry = reader.entry(position).unwrap().unwrap();
        let text = reader.prove(&entry).unwrap().unwrap().to_string();
        let proof = Proof::parse(&text).unwrap();
        let (checkpoint, _) = proof.verify(&key, &[], &entry.envelope).unwrap();
        assert_eq!((proof.index, checkpoint.tree().size), (position, RECORDS));
        let mut tampered = entry.envelope.clone();
        *tampered.last_mut().unwrap() ^= 1;
        assert!(proof.verify(&key, &[], &tampered).is_err());
    }
}

#[tokio::test]
async fn tiles_that_are_missing_or_damaged_prove_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    let reader = shelf.reader(2026).unwrap();
    let entry = reader.entry(3).unwrap().unwrap();
    let tile = shelf.directory(2026).join("tile/0/000");
    let whole = std::fs::read(&tile).unwrap();
    let mut changed = whole.clone();
    changed[2 * 32] ^= 1;
    std::fs::write(&tile, &changed).unwrap();
    assert!(matches!(reader.prove(&entry), Err(crate::log::ProveError::Proof { seq: 3, .. })));
    std::fs::write(&tile, &whole[1..]).unwrap();
    assert!(matches!(reader.prove(&entry), Err(crate::log::ProveError::Tile(_))));
    std::fs::remove_file(&tile).unwrap();
    assert!(reader.prove(&entry).unwrap().is_none());
    std::fs::write(&tile, &whole).unwrap();
    assert!(reader.prove(&entry).unwrap().is_some());
    let (ahead, envelope) = (RECORDS, entry.envelope.clone());
    assert!(reader.prove(&Entry { seq: ahead, envelope, ..entry }).unwrap().is_none());
}

#[tokio::test]
async fn a_spoilt_index_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let kept = shelf(directory.path()).await;
    let query = Query::default();
    let page = Page { query: &query, order: Order::NewestFirst, after: None, limit: 20 };
    let expected = kept.find(page).unwrap();
    let path = kept.directory(2026).with_extension("index");
    drop(kept);
    for spoilt in [&b"no database"[..], &[0; 100]] {
        std::fs::write(&path, spoilt).unwrap();
        let shelf = Shelf::new(config(directory.path()), organization());
        assert!(shelf.find(page).unwrap() == expected);
        assert!(std::fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
    }
}

/// The parts of an archive of two files, one of them too large for a part.
fn archive(release: &[u8], facts: &[u8], content: &str) -> (Archive, Vec<ReleaseArchived>) {
    let about = About {
        organization: organization(),
        release: Digest::of(release),
        facts: Digest::of(facts),
        software: "0.1.0".to_owned(),
    };
    let files = [("a.cedar".to_owned(), content.as_bytes().to_vec()), ("b.wasm".to_owned(), noise(200_000))];
    let parts = parts(&about, files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap();
    let files = files.into_iter().map(|(name, bytes)| crate::archive::File { name, bytes }).collect();
    (Archive { about, files }, parts)
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    noise
}

#[tokio::test]
async fn an_archive_is_found_by_what_it_is_of_among_others_and_between_other_records() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let (one, one_parts) = archive(b"r1", b"f1", "permit");
    let (_, other_parts) = archive(b"r2", b"f1", "forbid");
    let (_, mut altered) = archive(b"r3", b"f3", "permit");
    altered[0].pieces[0].digest = Digest::of(b"other");
    let (_, cut) = archive(b"r4", b"f4", "permit");
    assert!(one_parts.len() > 2);
    let moment = at("2026-02-01T00:00:00Z");
    // One was begun by a service that was killed.
    let events = [&one_parts[..2], &other_parts, &one_parts, &altered, &cut[..2]].concat();
    let records = events.into_iter().flat_map(|part| {
        [Record::new(moment, Event::ReleaseArchived(part)).encode().unwrap(), decided(moment, 5, None)]
    });
    write(&config, 2026, records.collect()).await;
    write(&config, 2025, vec![decided(at("2025-02-01T00:00:00Z"), 6, None)]).await;
    let shelf = Shelf::new(config, organization());
    let find = |year, release: &[u8], facts: &[u8]| {
        shelf.archived(year, Digest::of(release), Digest::of(facts)).unwrap()
    };
    let Ok(Archived::Whole(found)) = find(2026, b"r1", b"f1") else { panic!() };
    assert_eq!(found, one);
    assert!(matches!(find(2026, b"r2", b"f1"), Ok(Archived::Whole(_))));
    assert!(matches!(
        find(2026, b"r3", b"f3"),
        Err(ArchiveError::Malformed { .. } | ArchiveError::Altered { .. })
    ));
    assert!(matches!(find(2026, b"r4", b"f4"), Ok(Archived::Incomplete)));
    assert!(matches!(find(2026, b"r1", b"f2"), Ok(Archived::None)));
    assert!(matches!(find(2025, b"r1", b"f1"), Ok(Archived::None)));
}

fn started() -> Event {
    Event::ServiceStarted(ServiceRun { node: "n".into(), software: "0".into(), note: None })
}

/// An index that knows so many records of this moment, as if the log had been another.
fn index_of(shelf: &Shelf, records: u64, when: Instant) {
    let name = shelf.verifier(2026).unwrap().name().to_owned();
    let mut index = Index::open(&shelf.index_path(2026), &shelf.config.index_key(), &name).unwrap();
    let record = Record::new(when, started());
    for position in 0..records {
        index.add(position, &record).unwrap();
    }
}

#[tokio::test]
async fn an_index_of_a_longer_log_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    index_of(&shelf, crate::index::CHUNK, at("2026-01-01T01:00:00Z"));
    let query = Query::default();
    let page = Page { query: &query, order: Order::OldestFirst, after: None, limit: 1_000 };
    assert_eq!(shelf.find(page).unwrap().len() as u64, 2 + RECORDS);
    write(&config(directory.path()), 2026, vec![decided(at("2026-01-02T00:00:00Z"), 7, None)]).await;
    assert!(shelf.by_id(DecisionId::from_bits(7).as_str()).unwrap().is_some());
}

#[tokio::test]
async fn an_index_of_another_log_as_long_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let signer = Arc::new(config.signer(&organization(), 2026).unwrap());
    let path = config.directory_of(&organization(), 2026);
    let (log, _) = Log::open(Config::new(path, signer, Arc::clone(&config.kek))).unwrap();
    let when = at("2026-01-01T01:00:00Z");
    let far = || Monotonic::now() + Duration::from_secs(60);
    log.append(decided(when, 7, None), far()).await.unwrap();
    let other = Record::new(when, started()).encode().unwrap();
    let mut missing = crate::index::CHUNK as usize - 1;
    while missing > 0 {
        let count = missing.min(crate::log::QUEUE_RECORDS_MAX / 2);
        let payload = || crate::keys::Payload::new(other.clone()).unwrap();
        if log.queue(std::iter::repeat_with(payload).take(count).collect()).is_ok() {
            missing -= count;
        }
    }
    log.close().unwrap();

    let shelf = Shelf::new(config, organization());
    index_of(&shelf, crate::index::CHUNK, at("2026-01-01T01:00:00.001Z"));
    let (place, _) = shelf.by_id(DecisionId::from_bits(7).as_str()).unwrap().unwrap();
    assert_eq!(place, Place { year: 2026, position: 0 });
}

#[tokio::test]
async fn a_record_that_the_index_knows_and_the_log_has_not_is_an_error_and_not_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = shelf(directory.path()).await;
    let (year, copy) = (shelf.directory(2025), directory.path().join("copy"));
    let query = Query { kind: Some("decision".to_owned()), ..Query::default() };
    let page = Page { query: &query, order: Order::OldestFirst, after: None, limit: 1_000 };
    let copied = std::process::Command::new("cp").arg("-r").args([&year, &copy]).status().unwrap();
    assert!(copied.success());
    write(&config(directory.path()), 2025, vec![decided(at("2025-12-31T23:30:00Z"), 9, None)]).await;
    assert_eq!(shelf.find(page).unwrap().len() as u64, 3 + RECORDS);
    std::fs::remove_dir_all(&year).unwrap();
    std::fs::rename(&copy, &year).unwrap();
    let error = shelf.find(page).unwrap_err();
    assert!(matches!(error, ShelfError::Astray { place: Place { year: 2025, position: 2 }, .. }), "{error}");
}

#[tokio::test]
async fn a_year_that_is_there_and_less_than_it_was_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = shelf(&folder.path().join("audit")).await;
    let years = shelf.years().unwrap();
    let year = *years.first().unwrap();
    let (directory, verifier) = (shelf.directory(year), shelf.verifier(year).unwrap());
    let memory = known::file(shelf.config(), shelf.organization(), year);
    known::remember(&directory, &memory, &verifier).unwrap();
    assert_eq!(shelf.all_years(None).unwrap(), years);
    let aside = directory.with_extension("aside");
    std::fs::rename(&directory, &aside).unwrap();
    // A mount point without its volume, or a restore that was interrupted.
    std::fs::create_dir(&directory).unwrap();
    let refused = shelf.all_years(None).unwrap_err();
    assert!(matches!(refused, ShelfError::Known(known::KnownError::Gone { .. })), "{refused:?}");
    let query = Query::default();
    let page = Page { query: &query, order: Order::OldestFirst, after: None, limit: 10 };
    assert!(matches!(shelf.find(page), Err(ShelfError::Known(_))));
    // Only for whoever wants to be rid of it as it is.
    assert_eq!(shelf.all_years_but(None, Some(year)).unwrap(), years);
}
