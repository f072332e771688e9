//! What a call costs: a fresh instance of a small Rust guest, with twenty attributes.
//!
//! Compare ratios within one run; the machine decides the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark fails by panicking")]

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod common;

use std::sync::Arc;

use assent_model::{DecisionFacts, Record, Value};
use assent_plugin::{BindingSpec, Configured, HostConfig, Limits, PluginHost};
use common::{composed, entity, facts, guest, slots};
use criterion::{Criterion, criterion_group, criterion_main};

const ATTRIBUTES: usize = 20;

/// A binding of the small guest, with this many words in its settings.
fn small(words: usize) -> BindingSpec {
    let settings = serde_json::Value::from((0..words).map(|i| format!("word{i}")).collect::<Vec<_>>());
    let grants = (0..ATTRIBUTES).map(|i| format!("patient.a{i}")).collect();
    BindingSpec { id: "small".into(), settings, grants, limits: Limits::default() }
}

/// Twelve texts, four numbers, two booleans and two sets: what a rule about a record reads.
fn patient() -> Record {
    (0..ATTRIBUTES)
        .map(|i| {
            let value = match i {
                0..12 => Value::Text(format!("text number {i}").into()),
                12..16 => Value::Integer(i as i64),
                16..18 => Value::Boolean(true),
                _ => Value::set(["HIV", "SUD", "PSY"].map(|label| Value::Text(label.into()))),
            };
            (format!("a{i}"), value)
        })
        .collect()
}

fn decision(attributes: Record) -> DecisionFacts {
    let mut patient = entity("Patient", "pat", &[]);
    patient.attributes = attributes;
    DecisionFacts { patient: Some(Arc::new(patient)), ..facts("read") }
}

fn calls(criterion: &mut Criterion) {
    let host = PluginHost::new(HostConfig::default()).unwrap();
    let slots = slots(&host, "bay");
    let component = guest("small");
    let full = decision(patient());
    let empty = decision(Record::default());
    let mut group = criterion.benchmark_group("call");
    for words in [1, 200] {
        let plugin = host.admit(&small(words), &component).unwrap();
        assert_eq!(*plugin.configured(), Configured::Baked);
        let outcome = plugin.call(&full, &slots).outcome;
        assert!(outcome.result.is_ok(), "{outcome:?}");
        group.bench_function(format!("baked, {words} words of settings"), |bench| {
            bench.iter(|| plugin.call(&full, &slots));
        });
    }
    let plugin = host.admit(&small(1), &component).unwrap();
    group.bench_function("baked, all attributes absent", |bench| bench.iter(|| plugin.call(&empty, &slots)));
    for words in [1, 200] {
        let plugin = host.admit(&small(words), &composed(&component)).unwrap();
        assert_ne!(*plugin.configured(), Configured::Baked);
        group.bench_function(format!("configured with each call, {words} words"), |bench| {
            bench.iter(|| plugin.call(&full, &slots));
        });
    }
    group.finish();
}

fn admission(criterion: &mut Criterion) {
    let component = guest("small");
    let directory = tempfile::tempdir().unwrap();
    let cold = PluginHost::new(HostConfig { slots: 4, cache: None }).unwrap();
    let warm = PluginHost::new(HostConfig { slots: 4, cache: Some(directory.path().to_owned()) }).unwrap();
    warm.admit(&small(200), &component).unwrap();
    let mut group = criterion.benchmark_group("admit");
    group.sample_size(10);
    group.bench_function("compiled", |bench| bench.iter(|| cold.admit(&small(200), &component).unwrap()));
    group.bench_function("from the cache", |bench| {
        bench.iter(|| warm.admit(&small(200), &component).unwrap())
    });
    group.finish();
}

criterion_group!(benches, calls, admission);
criterion_main!(benches);
