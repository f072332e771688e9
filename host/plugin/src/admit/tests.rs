//! What is kept of an admission, and what the next start tries again.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::host::HostConfig;

#[path = "../../../../tests/guests/bare.rs"]
mod bare;

/// Why this component gets no snapshot when the clock runs away while it is taken, with what was
/// found out before.
fn snapshot_out_of_time(host: &PluginHost, spec: &BindingSpec, bytes: &[u8]) -> (Description, NoSnapshot) {
    let (running, racing) = (AtomicBool::new(true), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                if racing.load(Ordering::Relaxed) {
                    host.engine.increment_epoch();
                } else {
                    thread::yield_now();
                }
            }
        });
        let failed = loop {
            let instrumented = snapshot::instrument(bytes).unwrap();
            let component = compile(host, &instrumented.wasm).unwrap();
            let prepared = prepare(host, &component).unwrap();
            let (description, configured) = try_out(host, spec, &prepared, "null").unwrap();
            racing.store(true, Ordering::Relaxed);
            let baked = bake(host, &spec.limits, &instrumented, configured);
            racing.store(false, Ordering::Relaxed);
            // The clock may be late to start; then once more.
            if let Err(reason) = baked {
                break (description, reason);
            }
        };
        running.store(false, Ordering::Relaxed);
        failed
    })
}

#[test]
fn a_snapshot_that_failed_for_a_reason_that_passes_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let config = HostConfig { slots: 2, cache: Some(directory.path().join("cache")) };
    let host = PluginHost::new(config).unwrap();
    let spec = BindingSpec {
        id: "wat".into(),
        settings: serde_json::Value::Null,
        grants: [].into(),
        limits: Limits::default(),
    };
    let bytes = bare::component("", bare::NOTHING);
    let (description, reason) = snapshot_out_of_time(&host, &spec, &bytes);
    assert!(!reason.lasting, "{}", reason.because);

    let name = Digest::of(b"name");
    let component = compile(&host, &bytes).unwrap();
    let mut built = each_call(description, component, reason);
    keep(&host, &name, &built);
    assert!(cached(&host, &name).is_none());
    // The same with a reason that lasts is kept.
    built.lasting = true;
    keep(&host, &name, &built);
    assert!(matches!(cached(&host, &name).unwrap().about.configured, Configured::EachCall { .. }));
    // And on a machine that is well, there is a snapshot.
    let plugin = host.admit(&spec, &bytes).unwrap();
    assert_eq!(*plugin.configured(), Configured::Baked);
}

#[test]
fn deadlines_and_full_pools_pass_and_what_a_guest_does_lasts() {
    let lasting = |kind| NoSnapshot::from(PluginFailure::new(kind, "")).lasting;
    let passing = [FailureKind::Deadline, FailureKind::Busy, FailureKind::Host];
    for kind in FailureKind::ALL {
        assert_eq!(lasting(*kind), !passing.contains(kind), "{kind:?}");
    }
}
