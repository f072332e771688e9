//! What a change of the state costs from the right to make it until decisions see it, and how long many take: on a
//! real log and a real database. `cargo bench -p assent-engine --bench state [-- <patients>]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: a panic is its error")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::Actor;
use assent_engine::state::{EntityChange, Keeper, LiveState, Plan, Provided, Sharing, Stamp, Store, Target};
use assent_engine::{AuditRecorder, Release};
use assent_model::{EntityId, OrganizationId};
use assent_plugin::{HostConfig, PluginHost};
use assent_policy::{Names, SourceFile};
use serde_json::json;
use zeroize::Zeroizing;

/// Entities in one change: as clients import them.
const BATCH: usize = 200;
const SINGLE_CHANGES: usize = 500;

const SCHEMA: &str = include_str!("../../../policies/base/health.cedarschema");
const GROUND: &str =
    r#"[{"uid": {"type": "Organization", "id": "clinic"}, "attrs": {"name": "Clinic"}, "parents": []}]"#;

fn main() {
    let patients = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A real disk: the directory for temporary files may be in memory.
    let directory = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    runtime.block_on(measure(directory.path(), patients));
}

fn release(organization: &OrganizationId) -> Release {
    let names = Names { subjects: [].into(), resources: [].into(), actions: [].into() };
    let policies = assent_policy::load(&[SourceFile::new("health.cedarschema", SCHEMA)], &[], names).unwrap();
    let snapshot = policies.load_entities(&[SourceFile::new("ground.json", GROUND)]).unwrap();
    let slots = PluginHost::new(HostConfig::default()).unwrap().slots(organization, 1);
    Release::new(organization.clone(), Arc::new(policies), Arc::new(snapshot), vec![], slots)
}

async fn open(directory: &Path) -> (LiveState, AuditRecorder) {
    let organization = OrganizationId::new("clinic").unwrap();
    let config = LogsConfig {
        directory: directory.join("audit"),
        name: "bench.test".into(),
        signing_seed: Zeroizing::new([1; 32]),
        kek: Arc::new(MasterKey::from_bytes(&[2; 32]).unwrap()),
    };
    let now = "2026-11-27T12:00:00Z".parse().unwrap();
    let recorder = AuditRecorder::new(Arc::new(Logs::open(config, [organization.clone()], now).unwrap().0));
    let store = Store::open(Target::Sqlite(directory.join("state.db")), "bench.test").await.unwrap();
    let keeper = Keeper::open(store, recorder.clone(), organization.clone()).await.unwrap();
    let terms = (Default::default(), Sharing::default());
    (LiveState::open(keeper, release(&organization), terms).await.unwrap(), recorder)
}

async fn measure(directory: &Path, patients: usize) {
    let (state, recorder) = open(directory).await;
    let before = resident();
    let begun = Instant::now();
    for first in (0..patients).step_by(BATCH) {
        change(&state, first..patients.min(first + BATCH), true).await;
    }
    report("imported", patients, begun);
    println!("in memory: {} bytes an entity", resident().saturating_sub(before) / patients.max(1));

    let mut times_us = vec![];
    for n in 0..SINGLE_CHANGES {
        let version = state.version();
        let begun = Instant::now();
        let patient = n * 7 % patients;
        change(&state, patient..patient + 1, n % 2 == 0).await;
        times_us.push(begun.elapsed().as_micros());
        assert_eq!(state.version(), version + 1);
    }
    times_us.sort_unstable();
    let at = |part: usize| times_us.get(times_us.len() * part / 100).copied().unwrap_or_default();
    println!("one change until decisions see it: p50 {} µs, p99 {} µs", at(50), at(99));

    state.keeper().store().close().await;
    recorder.logs().close().unwrap();
    drop((state, recorder));
    let begun = Instant::now();
    let (state, _recorder) = open(directory).await;
    assert_eq!(state.release().snapshot().facts().len(), patients + 1);
    report("opened again", patients, begun);
}

async fn change(state: &LiveState, patients: std::ops::Range<usize>, active: bool) {
    let now = "2026-11-27T12:00:00Z".parse().unwrap();
    let turn = state.turn(now).await.unwrap();
    let stamp = Stamp { by: EntityId::new("Service", "bench"), at: now };
    let mut items = vec![];
    for number in patients {
        let attrs = json!({
            "organization": {"type": "Organization", "id": "clinic"}, "birthDate": "2015-02-03",
            "timeZone": "America/Los_Angeles", "state": "CA", "active": active, "identityProofed": true,
            "identityLevel": 2, "privacyFlags": ["VIP"],
        });
        let put = EntityChange::Put {
            id: EntityId::new("Patient", format!("00000000-0000-4000-8000-{number:012}")),
            attrs: attrs.as_object().unwrap().clone(),
            parents: vec![json!({"type": "Organization", "id": "clinic"})],
            provided: Provided::new(),
        };
        items.push(put.item(&turn, &stamp).await.unwrap().unwrap());
    }
    turn.commit(now, Plan { by: Actor::service(), decision: None, items }).await.unwrap();
}

fn report(what: &str, count: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {count} entities in {seconds:.2} s, {:.0} a second", count as f64 / seconds);
}

/// Bytes of memory that are resident.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
