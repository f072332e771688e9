//! Proposals, approvals and activations against the rules in words, against a small model, and read from a real log.

use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use assent_model::OrganizationId;
use proptest::prelude::*;

use super::*;
use crate::keys::MasterKey;
use crate::logs::{Logs, LogsConfig};
use crate::record::tests::at;

const START: &str = "2026-01-01T00:00:00Z";

fn by(name: &str) -> Actor {
    Actor { entity: EntityId::new("Person", name), caller: Some("cli".into()), address: None, account: None }
}

/// Guarded parts with one part that has this version.
fn parts(version: u8) -> Guarded {
    parts_of(true, version)
}

fn parts_of(two_persons: bool, version: u8) -> Guarded {
    let part = |name: &str, text: &[u8]| (name.to_owned(), Digest::of(text));
    Guarded::new(two_persons, [part("same", b"same"), part("plugin:exports", &[version])].into())
}

fn activated(guarded: Option<Guarded>) -> Event {
    Event::ReleaseActivated(ReleaseActivated {
        organization: OrganizationId::new("clinic").unwrap(),
        release: Digest::of(b"release"),
        previous: None,
        policies: Digest::of(b"policies"),
        plugins: vec![],
        by: Actor::service(),
        source: "here".into(),
        guarded,
        request: None,
    })
}

fn proposed(id: &str, who: &str, before: u8, after: u8) -> Event {
    proposal(id, (&parts(before), &parts(after)), by(who), "because".into()).unwrap()
}

/// The approval of a request for these parts.
fn approved(id: &str, who: &str, version: u8) -> Event {
    let mut state = State::default();
    state.apply(&Record::new(at(START), activated(Some(parts(0)))));
    state.apply(&Record::new(at(START), proposed(id, "nobody", 0, version)));
    approval(&state.requests[id], by(who)).unwrap()
}

fn hours(n: u64) -> Instant {
    Instant::from_millis(at(START).as_millis() + n as i64 * 3_600_000).unwrap()
}

/// Applies events as records, an hour apart.
fn state(events: impl IntoIterator<Item = Event>) -> State {
    let mut state = State::default();
    for (n, event) in (0..).zip(events) {
        state.apply(&Record::new(hours(n), event));
    }
    state
}

fn is_agreed(state: &State, version: u8, now: Instant) -> bool {
    match state.standing(&parts(version), now) {
        Standing::Agreed(_) => true,
        Standing::Needed => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_recorded_is_accepted_and_so_is_what_is_in_force() {
    assert_eq!(state([]).standing(&parts(1), hours(0)), Standing::First);
    assert_eq!(state([activated(None)]).standing(&parts(1), hours(0)), Standing::First, "from before");
    let in_force = state([activated(Some(parts(1)))]);
    assert_eq!(in_force.standing(&parts(1), hours(0)), Standing::Same);
    assert_eq!(in_force.standing(&parts(2), hours(0)), Standing::Needed);
    // A release of Assent that knew nothing of guarded parts does not open the way to others.
    let older = state([activated(Some(parts(1))), activated(None)]);
    assert_eq!(older.standing(&parts(2), hours(0)), Standing::Needed);
}

#[test]
fn what_is_in_force_says_whether_two_persons_are_asked() {
    let off = state([activated(Some(parts_of(false, 1)))]);
    assert_eq!(off.standing(&parts(2), hours(0)), Standing::NotAsked);
    // To switch it off is asked for, whatever the new setting says.
    let on = state([activated(Some(parts(1)))]);
    assert_eq!(on.standing(&parts_of(false, 2), hours(0)), Standing::Needed);
}

#[test]
fn parts_change_by_two_persons_and_by_nobody_alone() {
    let after = |events: Vec<Event>| {
        let all = [activated(Some(parts(1)))].into_iter().chain(events);
        is_agreed(&state(all), 2, hours(9))
    };
    assert!(!after(vec![proposed("r", "ann", 1, 2)]), "one person asked");
    assert!(!after(vec![approved("r", "bob", 2)]), "nobody asked");
    for same in ["ann", "Ann", " ann "] {
        assert!(!after(vec![proposed("r", "ann", 1, 2), approved("r", same, 2)]), "`{same}` is the same");
    }
    assert!(after(vec![proposed("r", "ann", 1, 2), approved("r", "bob", 2)]));
    assert!(!after(vec![proposed("r", "ann", 1, 2), approved("other", "bob", 2)]), "another request");
    assert!(!after(vec![proposed("r", "ann", 1, 2), approved("r", "bob", 3)]), "other parts were approved");
    assert!(!after(vec![proposed("r", "ann", 1, 3), approved("r", "bob", 3)]), "for other parts");
    assert!(!after(vec![proposed("r", "ann", 0, 2), approved("r", "bob", 2)]), "from other parts");
    // Nobody changes what a second person is looking at.
    let replaced = vec![proposed("r", "ann", 1, 3), proposed("r", "ann", 1, 2), approved("r", "bob", 2)];
    assert!(!after(replaced));
}

#[test]
fn a_request_ends_after_seven_days_also_where_it_was_approved() {
    let open = state([activated(Some(parts(1))), proposed("r", "ann", 1, 2)]);
    let (last, late) = (hours(1 + 7 * 24), hours(2 + 7 * 24));
    assert!(open.request("r", &by("bob"), last).is_ok());
    assert_eq!(open.request("r", &by("bob"), late), Err(RequestError::Expired(hours(1))));
    assert_eq!((open.open(last).count(), open.open(late).count()), (1, 0));
    let agreed = state([activated(Some(parts(1))), proposed("r", "ann", 1, 2), approved("r", "bob", 2)]);
    assert!(is_agreed(&agreed, 2, last) && !is_agreed(&agreed, 2, late));
    let mut too_late = state([activated(Some(parts(1))), proposed("r", "ann", 1, 2)]);
    too_late.apply(&Record::new(late, approved("r", "bob", 2)));
    assert!(!is_agreed(&too_late, 2, last));
}

#[test]
fn whoever_cannot_approve_is_told_why() {
    let refused = |state: &State, who: &str| state.request("r", &by(who), hours(9)).unwrap_err();
    assert_eq!(refused(&state([]), "bob"), RequestError::Unknown("r".into()));
    let proposed_only = state([activated(Some(parts(1))), proposed("r", "ann", 1, 2)]);
    assert_eq!(refused(&proposed_only, "ANN"), RequestError::SamePerson("ANN".into()));
    let both = [activated(Some(parts(1))), proposed("r", "ann", 1, 2), approved("r", "bob", 2)];
    let agreed = state(both.clone());
    assert_eq!(refused(&agreed, "eve"), RequestError::ApprovedBy("bob".into()));
    assert!(agreed.request("r", &by("Bob"), hours(9)).is_ok(), "typed again");
    let used = state(both.clone().into_iter().chain([activated(Some(parts(2)))]));
    assert_eq!(refused(&used, "bob"), RequestError::Activated("r".into()));
    let other = state(both.into_iter().chain([activated(Some(parts(3)))]));
    assert_eq!(refused(&other, "bob"), RequestError::Overtaken("r".into()));
}

#[test]
fn an_activation_uses_a_request_up_and_one_of_the_same_parts_does_not() {
    let both = [activated(Some(parts(1))), proposed("r", "ann", 1, 2), approved("r", "bob", 2)];
    let restarted = state(both.clone().into_iter().chain([activated(Some(parts(1)))]));
    assert!(is_agreed(&restarted, 2, hours(9)), "the service was started as it was meanwhile");
    // There and back: what was agreed on once is not agreed on again.
    let back = [activated(Some(parts(2))), activated(Some(parts(1)))];
    assert!(!is_agreed(&state(both.into_iter().chain(back)), 2, hours(9)));
}

#[test]
fn a_letter_that_came_twice_counts_once() {
    let letter = |event: Event, n| Record { letter: Some(n), ..Record::new(hours(1), event) };
    let mut state = state([activated(Some(parts(1)))]);
    state.apply(&letter(proposed("r", "ann", 1, 2), "a".into()));
    state.apply(&letter(approved("r", "bob", 2), "b".into()));
    let before = state.requests();
    let before: Vec<Request> = before.into_iter().cloned().collect();
    state.apply(&letter(proposed("s", "ann", 1, 2), "a".into()));
    assert!(state.requests().into_iter().eq(&before));
}

#[test]
fn what_differs_is_told_by_name() {
    let part = |name: &str, text: &str| (name.to_owned(), Digest::of(text.as_bytes()));
    let before = Guarded::new(true, [part("a", "1"), part("b", "1"), part("c", "1")].into());
    let after = Guarded::new(true, [part("b", "1"), part("c", "2"), part("d", "1")].into());
    let (one, two) = (Some(Digest::of(b"1")), Some(Digest::of(b"2")));
    let expected = [
        Change { name: "a", before: one, after: None },
        Change { name: "c", before: one, after: two },
        Change { name: "d", before: None, after: one },
    ];
    assert_eq!(changes(&before, &after), expected);
    assert_eq!(changes(&before, &before), []);
}

/// Counted apart from this code. Whoever sees this fail has changed what recorded parts are called.
#[test]
fn the_digest_of_all_parts_stays_what_it_is() {
    let expected = "bf08a92017c965cfde687be783b16add41aa14745599dab7f726dc7e517a875d";
    assert_eq!(parts(1).digest.to_string(), expected);
}

/// One step of what people and services do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Activate(u8),
    Propose { who: u8, version: u8 },
    Approve { who: u8, request: u8 },
    Wait(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_u8).prop_map(Step::Activate),
        3 => (0..3_u8, 0..3_u8).prop_map(|(who, version)| Step::Propose { who, version }),
        3 => (0..3_u8, 0..4_u8).prop_map(|(who, request)| Step::Approve { who, request }),
        1 => (0..6_u8).prop_map(Step::Wait),
    ]
}

/// What the model remembers of a request: who, for which version, since which day, and who approved.
type Asked = (u8, u8, u64, Option<u8>);

proptest! {
    /// The model: of the requests since the last change, some are approved by another within seven days.
    #[test]
    fn only_two_persons_change_what_is_in_force(steps in prop::collection::vec(any_step(), 0..30)) {
        let (mut state, mut day) = (State::default(), 0_u64);
        let (mut in_force, mut asked): (Option<u8>, BTreeMap<String, Asked>) = (None, BTreeMap::new());
        let name = |who: u8| format!("person-{who}");
        for (n, step) in steps.iter().enumerate() {
            let now = hours(day * 24);
            let mut apply = |event| state.apply(&Record::new(now, event));
            match *step {
                Step::Activate(version) => {
                    apply(activated(Some(parts(version))));
                    if in_force != Some(version) {
                        asked.clear();
                    }
                    in_force = Some(version);
                }
                Step::Propose { who, version } => {
                    let Some(before) = in_force else { continue };
                    apply(proposed(&format!("r{n}"), &name(who), before, version));
                    asked.insert(format!("r{n}"), (who, version, day, None));
                }
                Step::Approve { who, request } => {
                    let Some((id, one)) = asked.iter_mut().nth(usize::from(request)) else { continue };
                    apply(approved(id, &name(who), one.1));
                    if who != one.0 && day - one.2 <= 7 && one.3.is_none() {
                        one.3 = Some(who);
                    }
                }
                Step::Wait(days) => day += u64::from(days),
            }
            let now = hours(day * 24);
            for version in 0..3 {
                let agreed = asked.values().any(|one| one.1 == version && one.3.is_some() && day - one.2 <= 7);
                let expected = match in_force {
                    None => "first",
                    Some(same) if same == version => "same",
                    Some(_) if agreed => "agreed",
                    Some(_) => "needed",
                };
                let got = match state.standing(&parts(version), now) {
                    Standing::First => "first",
                    Standing::Same => "same",
                    Standing::Agreed(_) => "agreed",
                    Standing::Needed => "needed",
                    Standing::NotAsked => "not asked",
                };
                prop_assert_eq!(got, expected, "version {} after {:?}", version, &steps[..=n]);
            }
        }
    }
}

fn config(directory: &std::path::Path) -> LogsConfig {
    LogsConfig {
        directory: directory.join("audit"),
        name: "pdp.example.org".to_owned(),
        signing_seed: [7; 32].into(),
        kek: Arc::new(MasterKey::from_bytes(&[9; 32]).unwrap()),
    }
}

/// Writes events into the log of their moments, each in a run of its own.
fn write(config: &LogsConfig, events: impl IntoIterator<Item = (Instant, Event)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clinic = OrganizationId::new("clinic").unwrap();
    for (when, event) in events {
        let (logs, _) = Logs::open_briefly(config.clone(), [clinic.clone()], when).unwrap();
        let record = Record::new(when, event).encode().unwrap();
        let deadline = Monotonic::now() + Duration::from_secs(60);
        runtime.block_on(logs.log(&clinic, when).unwrap().append(record, deadline)).unwrap();
        logs.close().unwrap();
    }
}

#[test]
fn what_counts_is_found_in_the_log_over_the_turn_of_a_year() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    let shelf = || Shelf::new(config.clone(), OrganizationId::new("clinic").unwrap());
    let now = at("2026-01-02T00:00:00Z");
    assert_eq!(State::find(&shelf(), now).unwrap().standing(&parts(1), now), Standing::First, "no log");

    let december = at("2025-12-31T12:00:00Z");
    // More activations than are read at once, and then releases of Assent that know nothing of guarded parts.
    let starts = (0..20).map(|n| activated((n < 10).then(|| parts(1))));
    write(&config, starts.map(|event| (at("2025-06-01T00:00:00Z"), event)));
    let found = State::find(&shelf(), now).unwrap();
    assert_eq!(found.standing(&parts(1), now), Standing::Same);
    write(&config, [(december, proposed("r", "ann", 1, 2))]);
    write(&config, [(now, activated(Some(parts(1)))), (now, approved("r", "bob", 2))]);
    let found = State::find(&shelf(), now).unwrap();
    assert!(is_agreed(&found, 2, now));
    assert!(State::find(&shelf(), at("2026-01-08T00:00:00Z")).unwrap().requests().is_empty(), "long ago");

    // A year that is gone could have said what is in force; one before the last activation could not.
    write(&config, [(now, activated(Some(parts(2))))]);
    let gone = |year: &str| {
        std::fs::rename(config.directory.join("clinic").join(year), directory.path().join(year)).unwrap();
        State::find(&shelf(), at("2026-02-02T00:00:00Z"))
    };
    assert_eq!(gone("2025").unwrap().standing(&parts(2), now), Standing::Same);
    assert!(matches!(gone("2026"), Err(ShelfError::Gone { .. })));
}
