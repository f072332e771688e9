//! What entities cost in memory, and what a change costs among 1,000, 100,000 and a million of them.
//!
//! `cargo bench -p assent-policy --bench snapshot [count ...]`. Memory is what the system says is resident
//! (`/proc/self/statm`); times are medians. Each size should cost the same per change.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: a panic is its error")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use assent_model::{Action, EntityId, Party, Request, Value};
use assent_policy::{Edit, HostContext, Names, Policies, Snapshot, SourceFile, load};
use serde_json::{Value as Json, json};

const SCHEMA: &str = include_str!("../src/testing/clinic.cedarschema");
/// How often a change is measured.
const SAMPLES: usize = 201;
/// Entities put at once while a snapshot is filled.
const BATCH: usize = 1_000;
/// Documents of one patient, and patients of one user.
const EACH: usize = 20;

fn policies() -> Policies {
    let table = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let names = Names {
        subjects: table(&[("user", "User")]),
        resources: table(&[("doc", "Document")]),
        actions: BTreeMap::new(),
    };
    let text = "@id(\"p1\") @intent(\"bench\") permit(principal in Org::\"root\", action, resource);
        @id(\"p2\") @intent(\"bench\") forbid(principal, action, resource is Document) \
        when { resource.labels.contains(\"SUD\") && !principal.active };";
    load(&[SourceFile::new("s", SCHEMA)], &[SourceFile::new("p", text)], names).unwrap()
}

/// As long as a UUID, as ids mostly are.
fn name(kind: &str, number: usize) -> String {
    format!("{kind:-<8}-0000-4000-8000-{number:012}")
}

fn uid(kind: &str, number: usize) -> Json {
    json!({"type": kind, "id": name(kind, number)})
}

fn put(entity: &Json) -> Edit {
    Edit::Put(SourceFile::new("bench", entity.to_string()))
}

/// An ordinary entity: six attributes, two of them references, and a parent.
fn document(number: usize, patient: usize, size: usize) -> Edit {
    put(&json!({"uid": uid("Document", number), "parents": [uid("Org", patient % 100)], "attrs": {
        "patient": uid("Patient", patient), "author": uid("User", patient / EACH), "labels": ["N", "PSY"],
        "size": size, "made": "2026-01-02T03:04:05Z", "net": "10.0.0.0/8"}}))
}

fn filled(policies: &Policies, count: usize) -> Snapshot {
    let root = json!({"type": "Org", "id": "root"});
    let mut edits = vec![put(&json!({"uid": root}))];
    edits.extend((0..100).map(|org| put(&json!({"uid": uid("Org", org), "parents": [root]}))));
    let patients = count.div_ceil(EACH);
    edits.extend((0..patients.div_ceil(EACH)).map(|user| {
        put(&json!({"uid": uid("User", user), "attrs": {"org": uid("Org", user % 100), "active": true},
            "parents": [uid("Org", user % 100)]}))
    }));
    edits.extend((0..patients).map(|patient| {
        put(&json!({"uid": uid("Patient", patient), "parents": [uid("Org", patient % 100)], "attrs": {
            "org": uid("Org", patient % 100), "birthDate": "2012-02-29", "timeZone": "UTC", "active": true}}))
    }));
    let mut snapshot = policies.empty_snapshot();
    let mut rest =
        edits.into_iter().chain((0..count).map(|number| document(number, number / EACH, number))).peekable();
    while rest.peek().is_some() {
        let batch: Vec<Edit> = rest.by_ref().take(BATCH).collect();
        snapshot = policies.change(&snapshot, &batch).unwrap();
    }
    snapshot
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn median(mut sample: impl FnMut(usize) -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..SAMPLES).map(&mut sample).collect();
    times.sort();
    *times.get(SAMPLES / 2).unwrap()
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed()
}

fn question(document: usize) -> Request {
    let party = |kind: &str, id| Party { kind: kind.to_owned(), id, properties: serde_json::Map::new() };
    Request {
        subject: party("user", name("User", document / EACH / EACH)),
        action: Action { name: "view".to_owned(), properties: serde_json::Map::new() },
        resource: party("doc", name("Document", document)),
        context: serde_json::Map::new(),
    }
}

fn measure(policies: &Policies, count: usize) {
    let before = resident_bytes();
    let begin = Instant::now();
    let snapshot = filled(policies, count);
    let took = begin.elapsed();
    let entities = snapshot.facts().len();
    let bytes = resident_bytes().saturating_sub(before);
    println!(
        "{entities} entities: {} MB, {} bytes each; filled in {took:.1?}",
        bytes / 1_000_000,
        bytes / entities
    );
    // Numbers that lie apart, so that each change meets other memory.
    let place = |sample: usize| sample.wrapping_mul(2_654_435_761) % count;
    let change = |edits: &[Edit]| timed(|| policies.change(&snapshot, edits).unwrap());
    println!(
        "  change one:      {:.1?}",
        median(|sample| change(&[document(place(sample), place(sample) / EACH, 7)]))
    );
    println!(
        "  put a new one:   {:.1?}",
        median(|sample| change(&[document(count + sample, place(sample) / EACH, 7)]))
    );
    let removal = |sample| Edit::Remove(EntityId::new("Document", name("Document", place(sample))));
    println!("  remove one:      {:.1?}", median(|sample| change(&[removal(sample)])));
    let batch = |sample: usize| {
        (0..100)
            .map(|next| place(sample * 100 + next))
            .map(|number| document(number, number / EACH, 7))
            .collect::<Vec<_>>()
    };
    println!("  change a hundred: {:.1?}", median(|sample| change(&batch(sample))));
    let host = HostContext {
        now: "2026-11-21T18:00:00Z".parse().unwrap(),
        values: BTreeMap::from([("callerEnvironment".to_owned(), Value::Text("production".into()))]),
    };
    let prepare = |document| policies.prepare(&snapshot, &question(document), &host).unwrap();
    println!(
        "  prepare, another document each time: {:.1?}",
        median(|sample| timed(|| prepare(place(sample))))
    );
    println!("  prepare, the same document:          {:.1?}", median(|_| timed(|| prepare(0))));
    let prepared = prepare(0);
    println!(
        "  evaluate:                            {:.1?}",
        median(|_| timed(|| policies.evaluate(&prepared)))
    );
}

fn main() {
    let counts: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let policies = policies();
    for count in if counts.is_empty() { vec![1_000, 100_000, 1_000_000] } else { counts } {
        measure(&policies, count);
    }
}
