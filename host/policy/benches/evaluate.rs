//! What one decision costs in Cedar, and what a start costs. The figures that matter are ratios
//! within one run: indexed against full, with an overlay against without.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark: a panic is its error")]

use std::collections::BTreeMap;
use std::hint::black_box;

use assent_model::{Action, Instant, Party, Request, Value};
use assent_policy::{HostContext, Names, Policies, Snapshot, SourceFile, load};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde_json::{Value as Json, json};

const SCHEMA: &str = include_str!("../src/testing/clinic.cedarschema");
const BASE_SCHEMA: &str = include_str!("../../../policies/base/health.cedarschema");
/// Policies without a scope by organization: they are candidates of every question.
const GUARDS: usize = 20;

fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

fn names() -> Names {
    Names {
        subjects: table(&[("user", "User")]),
        resources: table(&[("doc", "Document"), ("set", "DataSet")]),
        actions: BTreeMap::new(),
    }
}

/// Twenty guards that apply to every question, and the rest scoped to one of 500 organizations.
fn policy_text(count: usize) -> String {
    const CONDITIONS: [&str; 5] = [
        "context has purpose && context.purpose == \"RESEARCH\"",
        "resource is Document && resource.labels.contains(\"SUD\")",
        "principal is User && !principal.active",
        "context has session && context.session has mfa && !context.session.mfa",
        "resource is Document && resource has author && resource.author == principal && context.callerEnvironment == \"test\"",
    ];
    let mut text = String::new();
    for number in 0..count {
        let condition = CONDITIONS[number % CONDITIONS.len()];
        let (effect, principal) = if number < GUARDS {
            (if number == 0 { "permit" } else { "forbid" }, "principal".to_owned())
        } else {
            ("permit", format!("principal in Org::\"o{}\"", number % 500))
        };
        let clause = if number == 0 { String::new() } else { format!("when {{ {condition} }}") };
        text.push_str(&format!(
            "@id(\"p{number}\") @intent(\"bench\") {effect}({principal}, action, resource) {clause};\n"
        ));
    }
    text
}

fn policies(count: usize) -> Policies {
    // A file may hold 1 MiB.
    let text = policy_text(count);
    let lines: Vec<&str> = text.lines().collect();
    let files: Vec<_> =
        lines.chunks(4_000).map(|lines| SourceFile::new("p.cedar", lines.join("\n"))).collect();
    load(&[SourceFile::new("s", SCHEMA)], &files, names()).unwrap()
}

fn entities(users: usize) -> SourceFile {
    let mut items = Vec::new();
    for org in 0..500 {
        items.push(json!({"uid": {"type": "Org", "id": format!("o{org}")}}));
    }
    items.push(json!({"uid": {"type": "Role", "id": "staff"}}));
    for user in 0..users {
        let org = json!({"type": "Org", "id": format!("o{}", user % 500)});
        items.push(json!({"uid": {"type": "User", "id": format!("u{user}")},
            "attrs": {"org": org, "active": true, "level": 3}, "parents": [org, {"type": "Role", "id": "staff"}]}));
        items.push(json!({"uid": {"type": "Patient", "id": format!("p{user}")},
            "attrs": {"org": org, "birthDate": "2012-02-29", "timeZone": "America/Los_Angeles", "active": true},
            "parents": [org]}));
        let patient = json!({"type": "Patient", "id": format!("p{user}")});
        items.push(json!({"uid": {"type": "Document", "id": format!("d{user}")},
            "attrs": {"patient": patient, "labels": ["N", "PSY"], "author": {"type": "User", "id": format!("u{user}")}},
            "parents": [org]}));
        items.push(json!({"uid": {"type": "Grant", "id": format!("g{user}")},
            "attrs": {"person": {"type": "User", "id": format!("u{user}")}, "patient": patient,
                      "start": "2026-01-01", "verified": true}}));
    }
    SourceFile::new("e.json", serde_json::to_string(&items).unwrap())
}

fn request(resource: (&str, &str), action: &str, resource_properties: &Json) -> Request {
    let object = |json: &Json| json.as_object().cloned().unwrap();
    Request {
        subject: Party { kind: "user".into(), id: "u7".into(), properties: object(&json!({})) },
        action: Action { name: action.into(), properties: object(&json!({})) },
        resource: Party {
            kind: resource.0.into(),
            id: resource.1.into(),
            properties: object(resource_properties),
        },
        context: object(&json!({"purpose": "TREAT", "session": {"mfa": true}, "ip": "10.1.2.3"})),
    }
}

fn host() -> HostContext {
    HostContext {
        now: "2026-11-21T18:00:00Z".parse::<Instant>().unwrap(),
        values: BTreeMap::from([("callerEnvironment".to_owned(), Value::Text("production".into()))]),
    }
}

fn world(count: usize, users: usize) -> (Policies, Snapshot) {
    let policies = policies(count);
    let snapshot = policies.load_entities(&[entities(users)]).unwrap();
    (policies, snapshot)
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate");
    for count in [10, 1_000, 10_000] {
        let (policies, snapshot) = world(count, 250);
        let stored = request(("doc", "d7"), "view", &json!({}));
        let prepared = policies.prepare(&snapshot, &stored, &host()).unwrap();
        let full = policies.full();
        assert_eq!(policies.evaluate(&prepared), full.evaluate(&prepared));
        group.bench_function(BenchmarkId::new("indexed", count), |bencher| {
            bencher.iter(|| policies.evaluate(black_box(&prepared)));
        });
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("full", count), |bencher| {
            bencher.iter(|| full.evaluate(black_box(&prepared)));
        });
        group.sample_size(100);
    }
    group.finish();
}

fn prepare(criterion: &mut Criterion) {
    let (policies, snapshot) = world(1_000, 2_500);
    let cases = [
        ("stored", request(("doc", "d7"), "view", &json!({}))),
        ("overlaid", request(("doc", "d7"), "view", &json!({"environment": "production"}))),
        (
            "described",
            request(
                ("set", "x"),
                "export",
                &json!({"recordCount": 3, "patient": {"type": "Patient", "id": "p7"}}),
            ),
        ),
    ];
    let mut group = criterion.benchmark_group("prepare");
    for (name, request) in &cases {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| policies.prepare(black_box(&snapshot), black_box(request), &host()).unwrap());
        });
    }
    group.finish();
}

fn start(criterion: &mut Criterion) {
    let base = [SourceFile::new("health.cedarschema", BASE_SCHEMA)];
    // Conditions of the kind that base policies have, with scopes from none to narrow.
    const FORMS: [&str; 4] = [
        "forbid(principal, action, resource) when { context has session && context.session has mfa && !context.session.mfa };",
        "permit(principal is Practitioner, action in Action::\"readActions\", resource is Observation) when { context has care && principal.active && resource.labels.contains(\"N\") };",
        "forbid(principal is Practitioner, action, resource) when { principal has quarantined && principal.quarantined };",
        "permit(principal is RelatedPerson, action in Action::\"exportActions\", resource is DataSet) when { context has proxy && context.proxy.verified && resource.recordCount <= 1 };",
    ];
    let text: String = (0..80)
        .map(|number| format!("@id(\"p{number}\") @intent(\"bench\") {}\n", FORMS[number % FORMS.len()]))
        .collect();
    let policies = [SourceFile::new("p.cedar", text)];
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20);
    group.bench_function("base schema", |bencher| {
        bencher.iter(|| load(black_box(&base), &[], Names::default()).unwrap());
    });
    group.bench_function("base schema and 80 policies", |bencher| {
        bencher.iter(|| load(black_box(&base), black_box(&policies), Names::default()).unwrap());
    });
    let world = self::policies(10);
    let entities = [entities(250)];
    group.bench_function("1501 entities", |bencher| {
        bencher.iter(|| world.load_entities(black_box(&entities)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, start, prepare, evaluate);
criterion_main!(benches);
