//! The index answers what a naive filter over all records answers, whatever is on disk or in memory.

use assent_model::{Cause, Effect, EntityId, Instant};
use proptest::prelude::*;

use super::*;
use crate::record::tests::{any_record, at, decided, plain_decision};
use crate::record::{Event, Record};

const LOG: &str = "audit.example.org/clinic/2026";

fn key() -> IndexKey {
    IndexKey::new([7; 32])
}

fn open(folder: &tempfile::TempDir) -> Index {
    Index::open(&folder.path().join("index"), &key(), LOG).unwrap()
}

/// What a query means, said a second time and in another way.
fn naive(query: &Query, record: &Record) -> bool {
    let decision = record.decision();
    let actor = record.event.actor();
    let equal = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_ref().is_none_or(|w| found == Some(w.as_str()))
    };
    let patients: Vec<&EntityId> = match &record.event {
        Event::Decision(decision) => decision.patient.iter().collect(),
        Event::StateChanged(change) => change.items.iter().flat_map(|item| &item.patient).collect(),
        Event::StateCarried(part) => part.items().flat_map(|item| &item.patient).collect(),
        Event::AuditRead(read) => read.patient.iter().collect(),
        _ => vec![],
    };
    let subject = decision.map(|d| &d.subject.entity).or(actor.map(|a| &a.entity));
    let caller = match &record.event {
        Event::CallerRefused(refused) => refused.caller.as_deref(),
        _ => decision.map(|d| d.caller.id.as_str()).or(actor.and_then(|a| a.caller.as_deref())),
    };
    let action = match &record.event {
        Event::Administration(event) => Some(event.action.as_str()),
        _ => decision.map(|d| d.action.as_str()),
    };
    let resources: Vec<&EntityId> = match &record.event {
        Event::Administration(event) => vec![&event.target],
        Event::StateChanged(change) => change.items.iter().map(|item| &item.target).collect(),
        Event::StateCarried(part) => part.items().map(|item| &item.target).collect(),
        _ => decision.iter().map(|d| &d.resource.entity).collect(),
    };
    let determined = |id: &String| {
        decision.and_then(|d| d.outcome.verdict.as_ref()).is_some_and(|v| {
            v.determining.iter().any(|n| n.id == *id) || v.errors.iter().any(|e| e.id == *id)
        })
    };
    let asked = |name: &String| {
        decision.is_some_and(|d| {
            d.outcome
                .plugins
                .iter()
                .any(|p| p.binding == *name || p.plugin.strip_suffix(" 0.1.0") == Some(name.as_str()))
        })
    };
    let has_id = |id: &String| match &record.event {
        Event::Decision(d) => d.id.as_str() == id || d.request_id.as_ref() == Some(id),
        Event::StateChanged(change) => change.decision.as_ref().is_some_and(|d| d.as_str() == id),
        _ => false,
    };
    query.patient.as_ref().is_none_or(|p| patients.contains(&p))
        && query.subject.as_ref().is_none_or(|s| subject == Some(s))
        && query.resource.as_ref().is_none_or(|r| resources.contains(&r))
        && equal(&query.caller, caller)
        && equal(&query.action, action)
        && query.effect.is_none_or(|e| decision.is_some_and(|d| d.outcome.effect == e))
        && query.cause.is_none_or(|c| decision.is_some_and(|d| d.outcome.cause == c))
        && query.policy.as_ref().is_none_or(determined)
        && query.plugin.as_ref().is_none_or(asked)
        && query.id.as_ref().is_none_or(has_id)
        && equal(&query.kind, Some(record.event.kind()))
        && query.from.is_none_or(|from| record.at >= from)
        && query.until.is_none_or(|until| record.at < until)
}

fn any_query() -> impl Strategy<Value = Query> {
    let one_of = |names: &'static [&'static str]| {
        prop::option::weighted(0.25, prop::sample::select(names).prop_map(str::to_owned))
    };
    let moment = || {
        prop::option::weighted(
            0.25,
            (1_790_000_000_000..1_790_100_000_000_i64).prop_map(|ms| Instant::from_millis(ms).unwrap()),
        )
    };
    let people = (
        one_of(&["pat-0", "pat-1", "pat-9"]),
        one_of(&["prac-0", "prac-1", "adm-2"]),
        prop::option::weighted(
            0.2,
            prop::sample::select(&[("DocumentReference", "doc-1"), ("Practitioner", "prac-1")][..]),
        ),
    );
    let words = (
        one_of(&["portal-0", "cli", "portal"]),
        one_of(&["read", "export", "account.create"]),
        one_of(&["policy-0", "policy-3"]),
        one_of(&["bind-0", "adolescent-privacy"]),
        one_of(&["decision", "service-started", "state-changed"]),
        one_of(&["req-0", "00000000000000000000000000000003"]),
    );
    let answer = (
        prop::option::weighted(0.2, prop::sample::select(&[Effect::Permit, Effect::Deny][..])),
        prop::option::weighted(0.2, prop::sample::select(Cause::ALL)),
    );
    (people, words, answer, moment(), moment()).prop_map(
        |(
            (patient, subject, resource),
            (caller, action, policy, plugin, kind, id),
            (effect, cause),
            from,
            until,
        )| {
            Query {
                patient: patient.map(|id| EntityId::new("Patient", id)),
                subject: subject.map(|id| EntityId::new("Practitioner", id)),
                resource: resource.map(|(kind, id)| EntityId::new(kind, id)),
                caller,
                action,
                effect,
                cause,
                policy,
                plugin,
                kind,
                id,
                from,
                until,
            }
        },
    )
}

fn pages(index: &Index, query: &Query, order: Order, limit: usize) -> Vec<u64> {
    let mut all = vec![];
    loop {
        let page = index.page(query, order, all.last().copied(), limit).unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_search_finds_what_a_naive_filter_finds(
        records in prop::collection::vec(any_record(), 1..60),
        queries in prop::collection::vec(any_query(), 10),
        limit in 1..9_usize,
        gap in 1..CHUNK / 2,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut index = open(&folder);
        // Gaps spread the records over several chunks: some on disk, the last ones in memory.
        let placed: Vec<(u64, &Record)> = (0_u64..).map(|n| n * gap).zip(&records).collect();
        for (position, record) in &placed {
            index.add(*position, record).unwrap();
        }
        for query in queries {
            let mut expected: Vec<u64> =
                placed.iter().filter(|(_, r)| naive(&query, r)).map(|(position, _)| *position).collect();
            for (_, record) in &placed {
                prop_assert_eq!(query.matches(record), naive(&query, record));
            }
            prop_assert_eq!(&pages(&index, &query, Order::OldestFirst, limit), &expected);
            expected.reverse();
            prop_assert_eq!(&pages(&index, &query, Order::NewestFirst, limit), &expected);
        }
    }
}

fn fill(index: &mut Index, until: u64) {
    let record = decided("2026-11-21T18:00:00Z", plain_decision());
    for position in index.next()..until {
        index.add(position, &record).unwrap();
    }
}

#[test]
fn after_a_restart_the_log_is_read_again_from_the_last_complete_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    fill(&mut index, CHUNK + 10);
    let before = index.page(&Query::default(), Order::NewestFirst, None, 20).unwrap();
    drop(index);

    let mut index = open(&folder);
    assert_eq!(index.next(), CHUNK);
    assert_eq!(index.page(&Query::default(), Order::NewestFirst, None, 1).unwrap(), [CHUNK - 1]);
    fill(&mut index, CHUNK + 10);
    assert_eq!(index.page(&Query::default(), Order::NewestFirst, None, 20).unwrap(), before);
}

#[test]
fn an_index_with_another_key_log_or_form_is_refused_and_can_be_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    drop(open(&folder));
    let other_key = Index::open(&path, &IndexKey::new([8; 32]), LOG);
    assert!(matches!(other_key, Err(IndexError::OtherKey)));
    assert!(matches!(Index::open(&path, &key(), "elsewhere"), Err(IndexError::OtherLog)));
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let other_form = Index::open(&path, &key(), LOG);
    assert!(matches!(other_form, Err(IndexError::OtherForm { found: 9, known: 2 })));
    Index::discard(&path).unwrap();
    assert_eq!(open(&folder).next(), 0);
}

#[test]
fn the_files_of_the_index_show_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    fill(&mut index, CHUNK);
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        seen += bytes.len();
        for secret in ["pat-1", "prac-", "portal-", "Patient", "decision", "policy-1"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
    assert!(seen > 10_000, "the chunk is on disk");
}

/// A folder with an index of three whole chunks, to be copied and spoilt.
fn three_chunks() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(&folder), 3 * CHUNK);
    folder
}

fn copy(folder: &tempfile::TempDir) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("index"), to.path().join("index")).unwrap();
    to
}

#[test]
fn a_damaged_chunk_is_named_and_not_passed_over() {
    let whole = three_chunks();
    for spoil in [
        "UPDATE bucket SET row = x'00' WHERE number < 256",
        "UPDATE bucket SET row = (SELECT row FROM bucket WHERE number = 256) WHERE number < 256",
        "DELETE FROM bucket WHERE number < 256",
    ] {
        let folder = copy(&whole);
        let index = open(&folder);
        index.store.execute(spoil);
        let page = |order| index.page(&Query::default(), order, None, 1);
        assert!(matches!(page(Order::OldestFirst), Err(IndexError::Damaged { chunk: 0 })), "{spoil}");
        assert_eq!(page(Order::NewestFirst).unwrap(), [3 * CHUNK - 1], "{spoil}");
    }
}

#[test]
fn a_chunk_that_is_not_there_is_missed() {
    let whole = three_chunks();
    for (spoil, next) in [
        ("DELETE FROM chunk WHERE number = 0", None),
        ("DELETE FROM chunk WHERE number = 1", None),
        ("UPDATE chunk SET number = 7 WHERE number = 2", None),
        ("UPDATE chunk SET row = zeroblob(24) WHERE number = 1", None),
        ("ALTER TABLE chunk RENAME COLUMN row TO rov", None),
        // The last one is read from the log again.
        ("DELETE FROM chunk WHERE number = 2", Some(2 * CHUNK)),
        // An empty index begins again.
        ("DELETE FROM chunk", Some(0)),
    ] {
        let folder = copy(&whole);
        open(&folder).store.execute(spoil);
        let opened = Index::open(&folder.path().join("index"), &key(), LOG);
        match next {
            Some(next) => assert_eq!(opened.unwrap().next(), next, "{spoil}"),
            None => assert!(opened.is_err_and(|error| error.is_spoilt()), "{spoil}"),
        }
    }
}

#[test]
fn marks_of_the_log_are_kept_with_the_chunks_and_are_hints() {
    use crate::tlog::merkle::{Frontier, leaf_hash};

    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    let mark = |size: u64, offset| {
        let mut tree = Frontier::default();
        (0..size).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
        let position = crate::log::Position { batch: size, link: [1; 32], tree };
        Mark { segment: 1, offset, position }
    };
    for (size, offset) in [(10, 1 << 20), (11, (1 << 20) + 1), (30, 2 << 20)] {
        index.mark(mark(size, offset));
    }
    let found = |index: &Index, position| index.mark_before(position).map(|mark| mark.seq());
    let expected = [None, Some(10), Some(10), Some(30)];
    assert_eq!([9, 10, 29, 1000].map(|at| found(&index, at)), expected);
    fill(&mut index, CHUNK);
    assert_eq!([9, 10, 29, 1000].map(|at| found(&index, at)), expected);
    let index = open(&folder);
    assert_eq!([9, 10, 29, 1000].map(|at| found(&index, at)), expected);
    index.store.execute("UPDATE mark SET number = 31 WHERE number = 30");
    assert_eq!([10, 1000].map(|at| found(&index, at)), [Some(10), None], "spoilt is as good as none");
}

#[test]
fn positions_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    fill(&mut index, 3);
    let record = decided("2026-11-21T18:00:00Z", plain_decision());
    let error = index.add(2, &record);
    assert!(matches!(error, Err(IndexError::OutOfOrder { next: 3, position: 2 })));
}

#[test]
fn a_time_is_found_although_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    for (position, when) in
        ["2026-11-21T18:00:00Z", "2026-11-21T17:00:00Z", "2026-11-21T19:00:00Z"].iter().enumerate()
    {
        index.add(position as u64, &decided(when, plain_decision())).unwrap();
    }
    index.add(CHUNK, &decided("2026-11-21T20:00:00Z", plain_decision())).unwrap();
    let query = Query { until: Some(at("2026-11-21T18:00:00Z")), ..Query::default() };
    assert_eq!(index.page(&query, Order::OldestFirst, None, 9).unwrap(), [1]);
    let query = Query { from: Some(at("2026-11-21T18:00:00Z")), ..Query::default() };
    assert_eq!(index.page(&query, Order::OldestFirst, None, 9).unwrap(), [0, 2, CHUNK]);
    for (from, until, expected) in [
        ("17:00:00", "19:00:00", &[0, 1][..]),
        ("17:00:00", "17:00:00", &[]),
        ("19:00:00", "19:00:00.001", &[2]),
        ("17:00:00.001", "23:00:00", &[0, 2, CHUNK]),
    ] {
        let moment = |time: &str| Some(at(&format!("2026-11-21T{time}Z")));
        let query = Query { from: moment(from), until: moment(until), ..Query::default() };
        assert_eq!(index.page(&query, Order::OldestFirst, None, 9).unwrap(), expected, "{from} {until}");
    }
}

#[test]
fn two_owners_of_one_file_find_each_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut service, mut command) = (open(&folder), open(&folder));
    fill(&mut command, CHUNK - 1);
    fill(&mut service, CHUNK + 3);
    let page = |index: &Index| index.page(&Query::default(), Order::NewestFirst, None, 4).unwrap();
    assert_eq!(page(&command), [CHUNK - 2, CHUNK - 3, CHUNK - 4, CHUNK - 5]);
    fill(&mut command, CHUNK + 3);
    assert_eq!(page(&command), page(&service));
    // The service completes the chunk that the command still has in memory.
    fill(&mut service, 2 * CHUNK + 1);
    let beyond = command.page(&Query::default(), Order::NewestFirst, Some(CHUNK + 2), 3).unwrap();
    assert_eq!(beyond, [CHUNK + 1, CHUNK, CHUNK - 1]);
    let all = pages(&service, &Query::default(), Order::OldestFirst, PAGE_MAX);
    assert_eq!(all, (0..2 * CHUNK + 1).collect::<Vec<_>>());
}

#[test]
fn a_page_is_never_longer_than_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder);
    fill(&mut index, 3 + PAGE_MAX as u64);
    let page = |limit| index.page(&Query::default(), Order::NewestFirst, None, limit).unwrap().len();
    assert_eq!([page(0), page(2), page(PAGE_MAX), page(usize::MAX)], [0, 2, PAGE_MAX, PAGE_MAX]);
}
