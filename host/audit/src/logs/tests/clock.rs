//! The clock may jump as it likes: positions keep the order of the answers, and no year comes back.

use std::path::Path;
use std::time::Instant as Monotonic;

use zeroize::Zeroizing;

use super::super::*;
use crate::index::{Order, Query};
use crate::keys::MasterKey;
use crate::record::Record;
use crate::record::tests::{at, decided, plain_decision};
use crate::shelf::{Page, Shelf};

fn config(directory: &Path) -> LogsConfig {
    LogsConfig {
        directory: directory.to_owned(),
        name: "pdp.example.org".to_owned(),
        signing_seed: Zeroizing::new([1; 32]),
        kek: Arc::new(MasterKey::from_bytes(&[2; 32]).unwrap()),
    }
}

#[tokio::test]
async fn whatever_the_clock_does_records_keep_their_order_and_years_never_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let organization = OrganizationId::new("clinic").unwrap();
    let open = |now: &str| Logs::open(config(directory.path()), [organization.clone()], at(now)).unwrap();
    // Between the groups the service is started again, by whatever clock there is then.
    let groups = [
        // An hour ahead and back; ten years back; a leap second's eve, twice.
        &[
            ("2026-06-30T12:00:00Z", 2026),
            ("2026-06-30T13:00:00Z", 2026),
            ("2026-06-30T12:00:00.001Z", 2026),
            ("2016-06-30T12:00:00Z", 2026),
            ("2016-12-31T23:59:59.999Z", 2026),
            ("2016-12-31T23:59:59.001Z", 2026),
            ("2026-06-30T12:00:01Z", 2026),
        ][..],
        &[("2016-06-30T12:00:00Z", 2026), ("2026-12-31T23:59:59.999Z", 2026)],
        // Ten years ahead, and back to the right time: what comes then is of the year that was begun.
        &[("2036-06-30T12:00:00Z", 2036), ("2026-06-30T12:00:02Z", 2036), ("2036-06-30T11:00:00Z", 2036)],
        &[("2026-06-30T12:00:03Z", 2036), ("1970-01-01T00:00:00Z", 2036)],
    ];
    let mut written: Vec<(i32, u64, Record)> = vec![];
    for group in groups {
        let (logs, opened) = open(group[0].0);
        let last = written.last().map_or(0, |(year, ..)| *year);
        assert!(opened[0].year >= last && !opened[0].recovered.created || last < opened[0].year);
        for (time, year) in group {
            let record = decided(time, plain_decision());
            let log = logs.log(&organization, record.at).unwrap();
            let deadline = Monotonic::now() + Duration::from_secs(60);
            let receipt = log.append(record.encode().unwrap(), deadline).await.unwrap();
            let position = written.iter().filter(|(of, ..)| of == year).count() as u64;
            assert_eq!(receipt.seq, position, "{time}");
            written.push((*year, position, record));
        }
        logs.close().unwrap();
    }

    let shelf = Shelf::new(config(directory.path()), organization);
    assert_eq!(shelf.years().unwrap(), [2026, 2036]);
    let named = |(place, record): (crate::shelf::Place, Record)| (place.year, place.position, record);
    let read: Vec<_> = shelf.records().unwrap().map(|found| named(found.unwrap())).collect();
    assert!(read == written);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let query = Query::default();
        let found = shelf.find(Page { query: &query, order, after: None, limit: 100 }).unwrap();
        assert!(found.into_iter().map(named).eq(written.iter().cloned()), "{order:?}");
        written.reverse();
    }
    // By time they are found wherever they stand.
    let hour = Query {
        from: Some(at("2026-06-30T12:00:00Z")),
        until: Some(at("2026-06-30T13:00:00Z")),
        ..Query::default()
    };
    let found =
        shelf.find(Page { query: &hour, order: Order::OldestFirst, after: None, limit: 100 }).unwrap();
    let expected = written.iter().filter(|(.., record)| hour.matches(record));
    assert!(found.into_iter().map(named).eq(expected.cloned()));
}
