//! Holds and requests against the rules in words; letting go, stopped after every step and run again.

use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use assent_model::{EntityId, OrganizationId};
use proptest::prelude::*;

use super::*;
use crate::keys::MasterKey;
use crate::log::{Config, Log, verify};
use crate::logs::LogsConfig;
use crate::record::tests::{at, plain_decision};
use crate::record::{Actor, Event, Record, Retention, RetentionChange};
use crate::shelf::{Place, Shelf};

fn by(name: &str) -> Actor {
    Actor { entity: EntityId::new("Person", name), caller: Some("cli".into()), address: None, account: None }
}

fn event(change: RetentionChange, who: &str, years: &[i32], request: Option<&str>) -> Retention {
    Retention {
        change,
        by: by(who),
        reason: "because".to_owned(),
        years: years.to_vec(),
        request: request.map(str::to_owned),
        carried_from: None,
    }
}

/// Applies events as records of 2026, an hour apart.
fn state(events: impl IntoIterator<Item = Retention>) -> State {
    let mut state = State::default();
    for (n, event) in (0..).zip(events) {
        state.apply(Place { year: 2026, position: n }, &Record::new(hours(n), Event::Retention(event)));
    }
    state
}

fn hours(n: u64) -> Instant {
    Instant::from_millis(at("2026-01-01T00:00:00Z").as_millis() + n as i64 * 3_600_000).unwrap()
}

fn place_hold(years: &[i32]) -> Retention {
    event(RetentionChange::HoldPlaced("case".into()), "ann", years, None)
}

fn ask_release() -> Retention {
    event(RetentionChange::HoldReleaseAsked("case".into()), "ann", &[], Some("r1"))
}

fn release(who: &str) -> Retention {
    event(RetentionChange::HoldReleased("case".into()), who, &[], Some("r1"))
}

fn ask_let_go(year: i32) -> Retention {
    event(RetentionChange::LetGoAsked { even_damaged: false }, "ann", &[year], Some("r2"))
}

#[test]
fn a_year_is_kept_for_six_full_years_after_its_end() {
    let none = State::default();
    let stay = |now| stays(2019, 2026, YEARS_DEFAULT, &none, at(now));
    assert_eq!(stay("2025-12-31T23:59:59Z"), [Stay::Kept { through: 2025 }]);
    assert_eq!(stay("2026-01-01T00:00:00Z"), []);
    assert_eq!(stays(2026, 2026, 1, &none, at("2029-01-01T00:00:00Z")), [Stay::Newest]);
}

#[test]
fn a_hold_stops_its_years_and_one_without_years_stops_all() {
    let now = at("2040-01-01T00:00:00Z");
    let held =
        |state: &State, year| stays(year, 2040, 6, state, now) == [Stay::Held { holds: vec!["case".into()] }];
    let some = state([place_hold(&[2019])]);
    assert!(held(&some, 2019) && !held(&some, 2020));
    let all = state([place_hold(&[])]);
    assert!(held(&all, 2019) && held(&all, 2020));
    let widened = state([place_hold(&[2019]), place_hold(&[2020])]);
    assert!(held(&widened, 2019) && held(&widened, 2020) && !held(&widened, 2021));
}

#[test]
fn a_hold_ends_only_by_two_persons() {
    let holds = |events: Vec<Retention>| state(events).holding(2019).count() == 1;
    assert!(holds(vec![place_hold(&[2019]), ask_release()]), "one person asked");
    assert!(holds(vec![place_hold(&[2019]), release("bob")]), "nobody asked");
    for same in ["ann", "Ann", " ann "] {
        assert!(holds(vec![place_hold(&[2019]), ask_release(), release(same)]), "`{same}` is the same");
    }
    assert!(!holds(vec![place_hold(&[2019]), ask_release(), release("bob")]));
    // A request to let a year go releases nothing.
    let other = Retention { request: Some("r2".into()), ..release("bob") };
    assert!(holds(vec![place_hold(&[2019]), ask_let_go(2019), other]));
    let again = state([place_hold(&[2019]), ask_release(), release("bob"), place_hold(&[2020])]);
    assert_eq!((again.holding(2019).count(), again.holding(2020).count()), (0, 1));
}

#[test]
fn a_request_waits_for_seven_days_for_somebody_else() {
    let open = state([ask_let_go(2019)]);
    let (in_time, late) = (hours(7 * 24), hours(7 * 24 + 1));
    assert_eq!(open.request("r2", &by("bob"), in_time).unwrap().1, Asked::Open);
    assert_eq!(open.request("r2", &by("bob"), late), Err(RequestError::Expired(hours(0))));
    assert_eq!(open.request("r2", &by("ANN"), in_time), Err(RequestError::SamePerson("ANN".into())));
    assert_eq!(open.request("r3", &by("bob"), in_time), Err(RequestError::Unknown("r3".into())));
    assert_eq!((open.open_requests(in_time).count(), open.open_requests(late).count()), (1, 0));

    let confirmed =
        state([ask_let_go(2019), event(RetentionChange::LetGoConfirmed, "bob", &[2019], Some("r2"))]);
    assert_eq!(
        confirmed.request("r2", &by("bob"), late).unwrap().1,
        Asked::Confirmed,
        "to finish what was begun"
    );
    assert_eq!(confirmed.request("r2", &by("eve"), in_time), Err(RequestError::ConfirmedBy("bob".into())));
    let alone = state([ask_let_go(2019), event(RetentionChange::LetGoConfirmed, "ann", &[2019], Some("r2"))]);
    assert_eq!(alone.request("r2", &by("bob"), in_time).unwrap().1, Asked::Open);
}

#[test]
fn a_letter_that_was_taken_in_twice_counts_once() {
    let mut state = State::default();
    let record = |event, letter: &str| Record {
        letter: Some(letter.to_owned()),
        ..Record::new(hours(0), Event::Retention(event))
    };
    for (n, record) in [
        record(place_hold(&[2019]), "a"),
        record(ask_release(), "b"),
        record(release("bob"), "c"),
        record(place_hold(&[2019]), "a"),
    ]
    .iter()
    .enumerate()
    {
        state.apply(Place { year: 2026, position: n as u64 }, record);
    }
    assert_eq!(state.holding(2019).count(), 0);
}

#[test]
fn holds_that_stand_in_a_year_are_carried_on_when_it_goes() {
    let mut before = State::default();
    let apply = |state: &mut State, year, position, event| {
        state.apply(Place { year, position }, &Record::new(hours(position), Event::Retention(event)));
    };
    apply(&mut before, 2019, 0, place_hold(&[2021]));
    let carried = before.to_carry(2019);
    assert_eq!((carried.len(), carried[0].carried_from.as_deref()), (1, Some("2019-0")));
    assert!(before.to_carry(2020).is_empty());
    let after = state(carried);
    assert!(after.holding(2021).count() == 1 && after.holding(2019).count() == 0);

    // The end of a hold whose beginning stays.
    apply(&mut before, 2020, 1, ask_release());
    apply(&mut before, 2020, 2, release("bob"));
    assert!(before.to_carry(2019).is_empty());
    let mut after = State::default();
    apply(&mut after, 2019, 0, place_hold(&[2021]));
    for event in before.to_carry(2020) {
        apply(&mut after, 2026, 9, event);
    }
    assert_eq!(after.holding(2021).count(), 0);
    // Written again, it needs nothing of before.
    assert!(after.to_carry(2020).is_empty());
}

/// Records in the order of the log, a year and an event each, as they are read.
fn read(records: &[(i32, Retention)]) -> State {
    let mut state = State::default();
    for (n, (year, event)) in (0..).zip(records) {
        let record = Record::new(hours(n), Event::Retention(event.clone()));
        state.apply(Place { year: *year, position: n }, &record);
    }
    state
}

#[test]
fn a_hold_that_was_widened_in_a_later_year_still_holds_what_an_earlier_one_says() {
    let records = [(2019, place_hold(&[2022])), (2021, place_hold(&[2023]))];
    let carried = read(&records).to_carry(2019);
    let [again] = carried.as_slice() else { panic!("{} carried", carried.len()) };
    assert_eq!((again.years.as_slice(), again.carried_from.as_deref()), (&[2022, 2023][..], Some("2019-0")));
    let without = read(&[(2021, place_hold(&[2023])), (2026, again.clone())]);
    assert!(without.holding(2022).count() == 1 && without.holding(2023).count() == 1);
    // Once is enough, and that record alone will do.
    let both = read(&[records[0].clone(), records[1].clone(), (2026, again.clone())]);
    assert!(both.to_carry(2019).is_empty() && both.to_carry(2021).is_empty());
    assert!(both.to_carry(2026).is_empty(), "what was written again stands where it stood");
    let alone = read(&[(2021, place_hold(&[2023])), (2026, again.clone())]);
    assert_eq!(alone.to_carry(2026).len(), 1);
}

#[test]
fn a_request_to_release_is_void_once_the_hold_is_placed_again() {
    let now = hours(5);
    let widened = read(&[(2026, place_hold(&[2019])), (2026, ask_release()), (2026, place_hold(&[2020]))]);
    assert_eq!(widened.request("r1", &by("bob"), now), Err(RequestError::PlacedSince("case".into())));
    assert_eq!(widened.open_requests(now).count(), 0);
    let mut released = widened.clone();
    released.apply(Place { year: 2026, position: 3 }, &Record::new(now, Event::Retention(release("bob"))));
    assert!(released.holding(2019).count() == 1 && released.holding(2020).count() == 1);

    // It stays so when another request ended the hold.
    let [ask, end] = [ask_release(), release("bob")]
        .map(|event| (2026, Retention { request: Some("r3".into()), ..event }));
    let first = [(2026, place_hold(&[2019])), (2026, ask_release()), (2026, place_hold(&[2020]))];
    let ended = read(&[&first[..], &[ask, end]].concat());
    assert_eq!((ended.holding(2019).count(), ended.open_requests(now).count()), (0, 0));
    assert!(ended.request("r1", &by("bob"), now).is_err());

    // What two agreed on once does not end what somebody placed later.
    let [hold, ask, end] = [place_hold(&[2019]), ask_release(), release("bob")].map(|event| (2026, event));
    let again = read(&[hold.clone(), ask, end.clone(), hold, end]);
    assert_eq!(again.holding(2019).count(), 1);
}

#[test]
fn an_end_that_is_carried_does_not_end_a_hold_that_was_placed_since() {
    let [hold, ask, end] = [place_hold(&[2021]), ask_release(), release("bob")];
    let before = read(&[(2018, hold.clone()), (2019, ask.clone()), (2019, end.clone())]);
    let [carried] = before.to_carry(2019).try_into().unwrap();
    let placed_since = read(&[
        (2018, hold.clone()),
        (2019, ask),
        (2019, end),
        (2026, hold.clone()),
        (2026, carried.clone()),
    ]);
    assert_eq!(placed_since.holding(2021).count(), 1);
    let nowhere = Retention { carried_from: Some("somewhere".into()), ..carried };
    assert_eq!(read(&[(2018, hold), (2026, nowhere)]).holding(2021).count(), 1);
}

#[test]
fn an_end_is_carried_also_when_only_the_request_for_it_goes() {
    let [hold, ask, end] = [place_hold(&[2021]), ask_release(), release("bob")];
    let before = read(&[(2018, hold.clone()), (2019, ask), (2020, end.clone())]);
    let [carried] = before.to_carry(2019).try_into().unwrap();
    let after = read(&[(2018, hold), (2020, end), (2026, carried)]);
    assert_eq!(after.holding(2021).count(), 0);
    assert!(after.to_carry(2020).is_empty());
}

/// Each year goes in its turn, and what had to be carried stands in the newest.
fn without(records: &[(i32, Retention)], gone: &[i32]) -> State {
    let read = |records: &[(Place, Retention)]| {
        let mut state = State::default();
        for (place, event) in records {
            state.apply(*place, &Record::new(hours(place.position), Event::Retention(event.clone())));
        }
        state
    };
    let at = |(position, (year, event)): (u64, &(i32, Retention))| {
        (Place { year: *year, position }, event.clone())
    };
    let mut records: Vec<_> = (0..).zip(records).map(at).collect();
    let mut next = records.len() as u64;
    for year in gone {
        for event in read(&records).to_carry(*year) {
            records.push((Place { year: 2050, position: next }, event));
            next += 1;
        }
        records.retain(|(place, _)| place.year != *year);
    }
    read(&records)
}

#[test]
fn a_hold_that_ended_does_not_come_back_when_its_end_goes_before_what_was_written_again() {
    let [hold, ask, end] = [place_hold(&[2022]), ask_release(), release("bob")];
    // Written again, for 2018 was about to go, which then stayed.
    let [again] = read(&[(2018, hold.clone())]).to_carry(2018).try_into().unwrap();
    let records = [(2018, hold), (2026, again), (2027, ask), (2027, end)];
    for gone in [&[2027][..], &[2026, 2027], &[2027, 2026], &[2018, 2027], &[2027, 2018], &[2018, 2026, 2027]]
    {
        assert_eq!(without(&records, gone).holding(2022).count(), 0, "{gone:?}");
    }
    // In the same year.
    let [hold, again, ask, end] = records.map(|(_, event)| event);
    let records = [(2018, hold.clone()), (2026, again.clone()), (2026, ask.clone()), (2026, end.clone())];
    assert_eq!(without(&records, &[2026]).holding(2022).count(), 0);
    // Written again by a command that did not know yet that it had ended.
    let records = [(2018, hold), (2026, ask), (2026, end), (2026, again)];
    for gone in [&[][..], &[2018], &[2026]] {
        assert_eq!(without(&records, gone).holding(2022).count(), 0, "{gone:?}");
    }
}

#[test]
fn an_earlier_end_is_carried_too_or_the_years_that_it_ended_would_be_held_again() {
    let [first, ask, end, second] = [place_hold(&[2021]), ask_release(), release("bob"), place_hold(&[2022])];
    let records = [(2018, first), (2019, ask), (2019, end), (2020, second)];
    for gone in [&[2019][..], &[2018], &[2020], &[2019, 2020], &[2020, 2019, 2018]] {
        let state = without(&records, gone);
        assert_eq!((state.holding(2021).count(), state.holding(2022).count()), (0, 1), "{gone:?}");
    }
}

proptest! {
    /// Whatever was said in which years, and whichever of these go in whatever order, the same is held.
    #[test]
    fn what_is_held_is_the_same_whichever_years_go(
        steps in prop::collection::vec((0..5_u8, 2021..2024_i32, 0..2_i32), 0..12),
        gone in prop::sample::subsequence((2010..2022).collect::<Vec<_>>(), 0..6).prop_shuffle(),
        at in 0..6_usize,
    ) {
        let (mut year, mut round) = (2010, 0);
        let mut records = vec![];
        for (n, (step, held, later)) in steps.into_iter().enumerate() {
            year += later;
            let request = format!("r{round}");
            let [ask, end] = [("ann", RetentionChange::HoldReleaseAsked("case".into())), ("bob", RetentionChange::HoldReleased("case".into()))]
                .map(|(by, change)| event(change, by, &[], Some(&request)));
            match step {
                0 | 1 => records.push((year, place_hold(&[held]))),
                2 => {
                    records.extend([(year, ask), (year + later, end)]);
                    year += later;
                    round += 1;
                }
                _ => {
                    // About to go, and did not: written again in the year after.
                    let carried = read(&records).to_carry(year - later);
                    records.extend(carried.into_iter().map(|event| (year, event)));
                }
            }
            if n == at {
                year += 1;
            }
        }
        let gone: Vec<i32> = gone;
        let held = |state: &State| (2021..2024).map(|year| state.holding(year).count()).collect::<Vec<_>>();
        prop_assert_eq!(held(&read(&records)), held(&without(&records, &gone)), "{:?}", gone);
    }
}

#[test]
fn an_agreement_is_to_what_was_asked() {
    let confirmed = |years: &[i32], request: &str| {
        let agreed = event(RetentionChange::LetGoConfirmed, "bob", years, Some(request));
        let state = state([place_hold(&[2025]), ask_release(), ask_let_go(2019), agreed]);
        state.request(request, &by("bob"), hours(4)).unwrap().1
    };
    assert_eq!(confirmed(&[2019], "r2"), Asked::Confirmed);
    assert_eq!(confirmed(&[2020], "r2"), Asked::Open, "another year");
    assert_eq!(confirmed(&[2019], "r1"), Asked::Open, "the end of a hold");
}

#[test]
fn holds_and_requests_are_not_printed() {
    let state = state([place_hold(&[2019]), ask_release(), ask_let_go(2020)]);
    let printed = format!("{state:?}");
    for word in ["because", "ann"] {
        assert!(!printed.contains(word), "{printed}");
    }
    assert_eq!(format!("{:?}", state.wanted("r1").unwrap()), "Wanted(<redacted>)");
}

proptest! {
    /// A simple model: a hold holds from when it was placed until a second person released what another asked.
    #[test]
    fn holds_are_as_the_last_words_of_two_persons(steps in prop::collection::vec((0..3_u8, 0..3_usize), 0..30)) {
        let people = ["ann", "bob", "eve"];
        let (mut held, mut asked): (bool, Option<usize>) = (false, None);
        let mut events = vec![];
        let mut round = 0;
        for (step, who) in steps {
            let request = format!("r{round}");
            let (change, request) = match step {
                0 => (RetentionChange::HoldPlaced("case".into()), None),
                1 => (RetentionChange::HoldReleaseAsked("case".into()), Some(request)),
                _ => (RetentionChange::HoldReleased("case".into()), Some(request)),
            };
            match step {
                0 => {
                    // What was asked before is void.
                    if asked.take().is_some() {
                        round += 1;
                    }
                    held = true;
                }
                1 => asked = asked.or(Some(who)),
                _ if asked.is_some_and(|first| first != who) => {
                    (held, asked) = (false, None);
                    round += 1;
                }
                _ => {}
            }
            events.push(event(change, people[who], &[], request.as_deref()));
        }
        prop_assert_eq!(state(events).holding(2019).count() == 1, held);
    }
}

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

/// Two logs of two years, with an index.
async fn two_years(directory: &std::path::Path) -> Shelf {
    let config = config(directory);
    for year in [2019, 2026] {
        let signer = Arc::new(config.signer(&organization(), year).unwrap());
        let sized = Config {
            segment_bytes: 8 << 10,
            ..Config::new(config.directory_of(&organization(), year), signer, Arc::clone(&config.kek))
        };
        let (log, _) = Log::open(sized).unwrap();
        for _ in 0..20 {
            let record = Record::new(hours(0), Event::Decision(Box::new(plain_decision()))).encode().unwrap();
            log.append(record, Monotonic::now() + Duration::from_secs(60)).await.unwrap();
        }
        log.close().unwrap();
    }
    let shelf = Shelf::new(config, organization());
    State::find(&shelf).unwrap();
    shelf
}

#[tokio::test]
async fn letting_go_that_stops_after_any_step_is_finished_by_running_it_again() {
    for done in 0..=Shard::STEPS.len() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = two_years(directory.path()).await;
        let verifier = shelf.verifier(2019).unwrap();
        let path = shelf.directory(2019);
        let checkpoint = std::fs::read_to_string(path.join("checkpoint")).unwrap();
        drop(shelf);

        let shard = Shard::take(&path, &verifier, true, "r2").unwrap();
        for step in &Shard::STEPS[..done] {
            step(&shard).unwrap();
        }
        drop(shard);
        // Whatever the crash left, the other year is read and the year is there whole or not at all.
        let shelf = Shelf::new(config(directory.path()), organization());
        let years = shelf.years().unwrap();
        assert_eq!(years, if done < 2 { vec![2019, 2026] } else { vec![2026] }, "after {done} steps");
        assert_eq!(shelf.records().unwrap().filter(|record| record.is_ok()).count(), 20 * years.len());
        assert_eq!(Shard::is_unfinished(&path), (1..5).contains(&done), "after {done} steps");

        // What is noted is what the first run noted.
        let again = Shard::take(&path, &verifier, false, "another").unwrap();
        if done > 0 {
            let noted = again.let_go().unwrap();
            assert_eq!((noted.whole, noted.request.as_str()), (true, "r2"));
            assert_eq!((&noted.checkpoint, noted.size()), (&checkpoint, Some(20)));
        } else {
            again.let_go().unwrap();
        }
        again.let_go().unwrap();
        let mut left: Vec<String> = crate::log::disk::names(path.parent().unwrap())
            .unwrap()
            .into_iter()
            .filter(|n| n.starts_with("2019"))
            .collect();
        left.sort();
        assert_eq!(left, ["2019.let-go"], "after {done} steps");
        assert_eq!(Shard::years_let_go(path.parent().unwrap()).unwrap(), [2019]);
        assert!(!Shard::is_unfinished(&path));
        verify(&shelf.directory(2026), &shelf.verifier(2026).unwrap(), &mut |_| {}).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_is_written_is_not_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = two_years(directory.path()).await;
    let config = config(directory.path());
    let signer = Arc::new(config.signer(&organization(), 2019).unwrap());
    let (log, _) = Log::open(Config::new(shelf.directory(2019), signer, Arc::clone(&config.kek))).unwrap();
    let taken = Shard::take(&shelf.directory(2019), &shelf.verifier(2019).unwrap(), true, "r");
    assert!(matches!(taken, Err(LetGoError::Locked { .. })));
    log.close().unwrap();
    Shard::take(&shelf.directory(2019), &shelf.verifier(2019).unwrap(), true, "r").unwrap();
}

#[tokio::test]
async fn holds_of_a_log_that_cannot_be_read_are_not_taken_for_none() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = two_years(directory.path()).await;
    std::fs::remove_file(shelf.directory(2026).join("keys/0000000001.json")).unwrap();
    assert!(State::read(&shelf, None, |_| {}).is_err());
    assert!(State::read(&shelf, Some(2019), |_| {}).is_err());
    // Unless it is the one that two persons want to be rid of as it is.
    State::read(&shelf, Some(2026), |_| {}).unwrap();
}

#[tokio::test]
async fn of_a_damaged_year_whatever_can_be_read_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = two_years(directory.path()).await;
    let config = config(directory.path());
    let signer = Arc::new(config.signer(&organization(), 2019).unwrap());
    let sized = Config {
        segment_bytes: 8 << 10,
        ..Config::new(shelf.directory(2019), signer, Arc::clone(&config.kek))
    };
    let (log, _) = Log::open(sized).unwrap();
    let hold = Record::new(hours(1), Event::Retention(place_hold(&[2021]))).encode().unwrap();
    log.append(hold, Monotonic::now() + Duration::from_secs(60)).await.unwrap();
    log.close().unwrap();
    // The keys of all segments before the hold's, and a bit of the first.
    let segments = crate::log::disk::names(&shelf.directory(2019).join("segments")).unwrap().len();
    assert!(segments > 3);
    for number in 1..segments {
        std::fs::remove_file(shelf.directory(2019).join(format!("keys/{number:010}.json"))).unwrap();
    }
    let first = shelf.directory(2019).join("segments/0000000001.seg");
    let mut bytes = std::fs::read(&first).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let (mut read, shelf) = (0, Shelf::new(config, organization()));
    let state = State::read(&shelf, Some(2019), |done| read = done).unwrap();
    assert_eq!((state.holding(2021).count(), read), (1, 21));
    assert_eq!(state.to_carry(2019).len(), 1);
}
