//! What a whole decision costs, in process: three real plugins, the example clinic, one parent and
//! one record. Also each plugin alone, and loading the deployment with a warm cache.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::path::Path;

use assent_audit::record::{Event, Record};
use assent_cli::cases::{self, Case};
use assent_cli::deployment::{self, build::Built};
use assent_engine::describe::{Provenance, describe};
use assent_engine::{Caller, Question, Release, caller::Obligations, judge};
use assent_model::{DecisionId, Effect};
use assent_policy::HostContext;
use criterion::{Criterion, criterion_group, criterion_main};

fn clinics() -> Built {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/clinics");
    deployment::build::build(&deployment::read(&root).unwrap()).unwrap()
}

fn caller(release: &Release) -> Caller {
    Caller {
        id: "bench".into(),
        organizations: [release.organization().clone()].into(),
        rights: [].into(),
        obligations: Obligations::All,
        environment: "production".into(),
    }
}

fn question(case: &Case) -> Question {
    Question { id: DecisionId::from_bits(0), at: case.now, request: case.request.clone(), explain: false }
}

/// The permit of this organization that asks most plugins.
fn widest(built: &Built, index: usize) -> (&Release, Case, usize) {
    let organization = built.organizations.get(index).unwrap();
    let release = &organization.release;
    let cases = organization.case_files.iter().flat_map(|file| cases::read(&file.name, &file.text).unwrap());
    let asked = cases.filter(|case| case.entities.is_empty()).map(|case| {
        let decision = judge(release, &caller(release), &question(&case)).decision;
        (case, decision.effect(), decision.outcomes().len())
    });
    let (case, _, plugins) =
        asked.filter(|(_, effect, _)| *effect == Effect::Permit).max_by_key(|(.., n)| *n).unwrap();
    (release, case, plugins)
}

fn decide(criterion: &mut Criterion) {
    let built = clinics();
    for index in 0..built.organizations.len() {
        let (release, case, plugins) = widest(&built, index);
        let (caller, question) = (caller(release), question(&case));
        let mut group =
            criterion.benchmark_group(format!("{} ({plugins} plugins asked)", release.organization()));
        group.bench_function("whole decision", |b| b.iter(|| judge(release, &caller, &question)));
        let judged = judge(release, &caller, &question);
        group.bench_function("its record", |b| {
            b.iter(|| {
                let event = describe(release, &caller, &question, &judged, Provenance::default());
                Record::new(case.now, Event::Decision(Box::new(event))).encode().unwrap()
            });
        });
        let host = HostContext {
            now: case.now,
            values: [("callerEnvironment".to_owned(), assent_model::Value::Text("production".into()))].into(),
        };
        group.bench_function("prepare", |b| {
            b.iter(|| release.policies().prepare(release.snapshot(), &question.request, &host).unwrap());
        });
        let prepared = release.policies().prepare(release.snapshot(), &question.request, &host).unwrap();
        group.bench_function("policies", |b| b.iter(|| release.policies().evaluate(&prepared)));
        for binding in release.bindings() {
            group.bench_function(format!("plugin {}", binding.plugin.binding()), |b| {
                b.iter(|| binding.plugin.call(&prepared.facts, release.slots()));
            });
        }
        group.finish();
    }
}

fn start(criterion: &mut Criterion) {
    drop(clinics()); // fills the cache of compiled plugins
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    group.bench_function("load the example clinics, warm cache", |b| b.iter(clinics));
    group.finish();
}

criterion_group!(benches, decide, start);
criterion_main!(benches);
