//! What search costs on a million records: building the index, its size, and queries of each kind.
//! The build is one long run and is printed; queries are measured.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: a panic is its error")]

use std::hint::black_box;
use std::time::Instant as Clock;

use assent_audit::index::{CHUNK, Index, IndexKey, Order, Query};
use assent_audit::record::Record;
use assent_model::{Cause, Effect, EntityId, Instant};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

const RECORDS: u64 = 1_000_000;
const PATIENTS: u64 = 100_000;
const PRACTITIONERS: u64 = 5_000;
const START_MS: i64 = 1_790_000_000_000;
const STEP_MS: i64 = 30;

/// A well-mixed number, so that names repeat as they do in life and nothing is sorted by chance.
const fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// The record at this position: one of two determining policies and two plugins, as in the examples.
fn record(position: u64) -> Record {
    let random = mix(position + 1);
    let patient = format!("pat-{}", random % PATIENTS);
    let who = format!("prac-{}", (random >> 17) % PRACTITIONERS);
    let action = match (random >> 11) % 5 {
        0 => "search",
        1 => "update",
        2 => "export",
        _ => "read",
    };
    let permits = !(random >> 7).is_multiple_of(20);
    let digest = "6b".repeat(32);
    let note = |id: String| {
        json!({ "id": id, "permits": permits, "intent": "who may read", "source": "45 CFR 164.506", "message": null,
                "reveals": false, "obligations": [{ "code": "audit" }], "advice": [], "remedies": [] })
    };
    let plugin = |binding: &str| {
        json!({ "binding": binding, "plugin": format!("{binding}-rules 0.1.0"), "component": digest,
                "settings": digest, "fuel_used": 5321,
                "result": { "findings": { "obligations": [], "advice": [], "denials": [], "reviews": [], "notes": [] } } })
    };
    let at = Instant::from_millis(START_MS + position as i64 * STEP_MS).unwrap();
    serde_json::from_value(json!({ "version": 1, "at": at, "event": {
        "kind": "decision", "id": format!("{:032x}", u128::from(random) << 3 | 5), "organization": "clinic",
        "caller": { "id": format!("portal-{}", random % 20), "environment": "production", "rights": ["decide"],
                    "obligations": "all", "address": "10.2.3.4" },
        "request_id": format!("req-{position}"),
        "request": { "subject": { "type": "practitioner", "id": who }, "action": { "name": action },
                     "resource": { "type": "observation", "id": format!("obs-{random}") },
                     "context": { "purpose": "TREAT", "session": { "mfa": true } } },
        "subject": { "entity": { "type": "Practitioner", "id": who }, "roles": ["physician"] },
        "action": action,
        "resource": { "entity": { "type": "Observation", "id": format!("obs-{random}") }, "labels": ["N"] },
        "patient": { "type": "Patient", "id": patient },
        "purpose": "TREAT", "release": digest, "facts": { "snapshot": digest }, "explained": false,
        "outcome": { "effect": if permits { "permit" } else { "deny" },
                     "cause": if permits { "permit" } else { "forbidden" },
                     "verdict": { "effect": if permits { "permit" } else { "forbidden" },
                                  "determining": [note(format!("care.{}", random % 12)), note(format!("base.{}", (random >> 5) % 40))],
                                  "errors": [], "permit_satisfied": permits },
                     "plugins": [plugin("adolescent"), plugin("consent")] },
        "latency_us": 412 } }))
    .unwrap()
}

fn build(folder: &std::path::Path) -> Index {
    let path = folder.join("index");
    let mut index = Index::open(&path, &IndexKey::new([7; 32]), "bench").unwrap();
    let (mut reading, mut adding, mut bytes) = (0.0, 0.0, 0);
    for first in (0..RECORDS).step_by(CHUNK as usize) {
        let sealed: Vec<_> =
            (first..RECORDS.min(first + CHUNK)).map(|position| record(position).encode().unwrap()).collect();
        bytes += sealed.iter().map(Vec::len).sum::<usize>();
        let started = Clock::now();
        let records: Vec<_> = sealed.iter().map(|bytes| Record::decode(bytes).unwrap()).collect();
        reading += started.elapsed().as_secs_f64();
        let started = Clock::now();
        for (position, record) in (first..).zip(&records) {
            index.add(position, record).unwrap();
        }
        adding += started.elapsed().as_secs_f64();
    }
    let on_disk: u64 =
        ["index", "index-wal"].iter().filter_map(|n| Some(folder.join(n).metadata().ok()?.len())).sum();
    let n = RECORDS as f64;
    println!("{RECORDS} records of {:.0} bytes", bytes as f64 / n);
    println!(
        "decode: {reading:.1} s, {:.0} records/s; index: {adding:.1} s, {:.0} records/s",
        n / reading,
        n / adding
    );
    println!("index on disk: {:.0} bytes per record", on_disk as f64 / n);
    index
}

fn write_and_read(c: &mut Criterion) {
    let record = record(4711);
    let bytes = record.encode().unwrap();
    c.bench_function("encode", |b| b.iter(|| black_box(&record).encode().unwrap()));
    c.bench_function("decode", |b| b.iter(|| Record::decode(black_box(&bytes)).unwrap()));
    c.bench_function("parse only", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&bytes)).unwrap());
    });
}

fn search(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let index = build(folder.path());
    let patient = |id| Some(EntityId::new("Patient", format!("pat-{id}")));
    let practitioner = |id| Some(EntityId::new("Practitioner", format!("prac-{id}")));
    let moment = |position: i64| Instant::from_millis(START_MS + position * STEP_MS).ok();
    let none = Query::default;
    let text = |text: &str| Some(text.to_owned());
    let queries = [
        ("everything, first page", none()),
        ("a patient", Query { patient: patient(4711), ..none() }),
        ("a patient who never came", Query { patient: patient(PATIENTS + 1), ..none() }),
        (
            "a practitioner's denials",
            Query { subject: practitioner(7), effect: Some(Effect::Deny), ..none() },
        ),
        ("a request id", Query { id: text("req-123456"), ..none() }),
        ("denials by a policy", Query { cause: Some(Cause::Forbidden), policy: text("care.3"), ..none() }),
        ("what never meets", Query { effect: Some(Effect::Permit), cause: Some(Cause::Forbidden), ..none() }),
        (
            "five minutes of exports",
            Query { action: text("export"), from: moment(500_000), until: moment(510_000), ..none() },
        ),
    ];
    for (name, query) in &queries {
        let found = index.page(query, Order::NewestFirst, None, 100).unwrap().len();
        println!("{name}: {found} on the first page");
        c.bench_function(name, |b| {
            b.iter(|| index.page(black_box(query), Order::NewestFirst, None, 100).unwrap());
        });
    }
}

criterion_group!(benches, write_and_read, search);
criterion_main!(benches);
