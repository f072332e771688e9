//! Sets of every size come back as they were, in whatever way the writing broke off and was repeated.

use assent_model::EntityId;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::keys::Payload;
use crate::record::{Record, StateItem, StateVerb};

fn organization() -> OrganizationId {
    OrganizationId::new("clinic").unwrap()
}

/// Text that no compression makes shorter.
fn noise(seed: u64, chars: usize) -> String {
    (0_u64..)
        .flat_map(|n| Digest::of(format!("{seed} {n}").as_bytes()).to_string().into_bytes())
        .map(char::from)
        .take(chars)
        .collect()
}

fn item(seed: u64, chars: usize) -> StateItem {
    StateItem {
        change: StateVerb::Created,
        section: "entity".into(),
        target: EntityId::new("Patient", format!("pat-{seed}")),
        patient: None,
        payload: json!({ "name": noise(seed, chars) }),
    }
}

fn change(version: u64, items: Vec<StateItem>) -> CarriedChange {
    let record = Digest::of(&version.to_be_bytes()).to_string();
    CarriedChange { since: None, version, seq: version * 3, record, items }
}

fn left() -> impl Strategy<Value = Left> {
    let sizes = prop::collection::vec(prop_oneof![6 => 0..200_usize, 1 => 20_000..60_000_usize], 0..6);
    let overtaken = prop_oneof![2 => Just(0_u64), 2 => Just(1), 1 => 500..2_500_u64];
    (prop::collection::vec(sizes, 0..12), overtaken).prop_map(|(changes, overtaken)| {
        let changes = (1..).zip(changes).map(|(version, sizes)| {
            change(version, (0..).zip(sizes).map(|(n, chars)| item(version * 100 + n, chars)).collect())
        });
        let overtaken = (0..overtaken).map(|n| Digest::of(&n.to_be_bytes()).to_string());
        Left { changes: changes.collect(), overtaken: overtaken.collect() }
    })
}

fn found(records: &[(Place, StateCarried)]) -> Carried {
    let mut carried = Carried::default();
    for (place, part) in records {
        carried.take(*place, &Event::StateCarried(part.clone()));
    }
    carried
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `stop` parts are written, then all of them again, some of them twice.
    #[test]
    fn what_was_carried_comes_back_however_its_writing_broke_off(
        left in left(), stop in 0..8_usize, twice in 0..8_usize,
    ) {
        let parts = parts(&organization(), 2019, &left).unwrap();
        for part in &parts {
            let record = Record::new("2026-11-27T00:00:00Z".parse().unwrap(), Event::StateCarried(part.clone()));
            prop_assert!(Payload::new(record.encode().unwrap()).is_ok());
        }
        let mut written: Vec<StateCarried> = parts.iter().take(stop).cloned().collect();
        let is_whole = written.len() == parts.len();
        let at = |n: usize| Place { year: 2026, position: n as u64 };
        let place = |parts: &[StateCarried]| (0..).zip(parts).map(|(n, part)| (at(n), part.clone())).collect::<Vec<_>>();
        let before = found(&place(&written)).of(2019).unwrap();
        prop_assert_eq!(before.is_some(), is_whole);
        written.extend(parts.clone());
        written.extend(parts.iter().take(twice).cloned());
        let again = found(&place(&written)).of(2019).unwrap().unwrap();
        prop_assert_eq!(&again.left, &left);
        prop_assert!(again.stands_in == BTreeSet::from([2026]) && again.set == parts[0].set);
        prop_assert!(found(&place(&written)).of(2020).unwrap().is_none());
    }
}

#[test]
fn the_newest_set_that_is_whole_counts() {
    let one = Left { changes: vec![change(1, vec![item(1, 10)])], overtaken: vec![] };
    let two = Left { changes: vec![change(1, vec![])], overtaken: vec![] };
    let large =
        Left { changes: (1..9).map(|n| change(n, vec![item(n, 30_000)])).collect(), overtaken: vec![] };
    let [one, two, large] = [one, two, large].map(|left| parts(&organization(), 2019, &left).unwrap());
    assert!(large.len() > 2);
    let at = |year, position| Place { year, position };
    let records =
        [(at(2026, 1), one[0].clone()), (at(2027, 0), two[0].clone()), (at(2028, 0), large[0].clone())];
    let newest = found(&records).of(2019).unwrap().unwrap();
    assert_eq!((newest.set, newest.stands_in), (two[0].set, BTreeSet::from([2027])));
}

#[test]
fn a_set_that_was_altered_is_an_error_and_no_shorter_set() {
    let left = Left { changes: vec![change(1, vec![item(1, 10)]), change(2, vec![])], overtaken: vec![] };
    let mut part = parts(&organization(), 2019, &left).unwrap().remove(0);
    part.changes.pop();
    let place = Place { year: 2026, position: 0 };
    assert_eq!(found(&[(place, part)]).of(2019), Err(CarriedError::Altered { year: 2019 }));
}

#[test]
fn what_is_shown_and_printed_has_no_payload() {
    let left = Left { changes: vec![change(1, vec![item(7, 100)])], overtaken: vec![] };
    let part = parts(&organization(), 2019, &left).unwrap().remove(0);
    let record = Record::new("2026-11-27T00:00:00Z".parse().unwrap(), Event::StateCarried(part.clone()));
    let shown = String::from_utf8(record.shown().encode().unwrap()).unwrap();
    assert!(shown.contains("pat-7") && !shown.contains("\"name\""), "{shown}");
    assert!(!format!("{part:?} {:?}", part.changes).contains("pat-"));
}
