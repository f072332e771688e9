//! What is refused when a release is built, and what its author is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../../../tests/guests/bare.rs"]
mod bare;
#[allow(dead_code, reason = "each test uses a part")]
mod common;

use assent_model::FailureKind;
use assent_plugin::{AdmissionProblem, BindingSpec, Configured, Limits};
use bare::{NOTHING, component as wat_component, core};
use common::{composed, facts, guest, host, hostile, slots};

fn unbound(limits: Limits) -> BindingSpec {
    BindingSpec { id: "wat".into(), settings: serde_json::Value::Null, grants: [].into(), limits }
}

/// The problems of this component, bound without grants and settings.
fn problems(component: &[u8]) -> Vec<AdmissionProblem> {
    host(2).admit(&unbound(Limits::default()), component).expect_err("refused")
}

fn codes(problems: &[AdmissionProblem]) -> Vec<&'static str> {
    problems.iter().map(AdmissionProblem::code).collect()
}

#[test]
fn a_small_component_is_admitted_and_finds_nothing() {
    let host = host(2);
    let plugin = host.admit(&unbound(Limits::default()), &wat_component("", NOTHING)).unwrap();
    assert_eq!((plugin.label(), plugin.configured()), ("wat 0.1.0", &Configured::Baked));
    assert!(plugin.call(&facts("read"), &slots(&host, "bay")).outcome.result.unwrap().allows());
}

#[test]
fn core_modules_and_other_files_are_told_apart() {
    assert_eq!(problems(&core("", NOTHING)), [AdmissionProblem::CoreModule]);
    assert!(
        problems(&core("", NOTHING))
            .iter()
            .any(|problem| problem.to_string().contains("cargo xtask plugins"))
    );
    for bytes in [&b""[..], b"\0asm", b"PK\x03\x04 not wasm", b"\0asm\x0d\0\x01\0\xff\xff\xff\xff\x0f"] {
        let found = problems(bytes);
        assert!(matches!(codes(&found)[..], ["malformed"] | ["no-rules"]), "{bytes:?}: {found:?}");
    }
    let mut cut = wat_component("", NOTHING);
    cut.truncate(cut.len() / 2);
    assert_eq!(codes(&problems(&cut)), ["malformed"]);
}

#[test]
fn every_import_is_named_with_advice() {
    let component = wat::parse_str(
        r#"(component
            (import "wasi:cli/environment@0.2.6" (instance))
            (import "bay:own/lookup" (instance))
            (import "log" (func)))"#,
    )
    .unwrap();
    let found = problems(&component);
    assert_eq!(codes(&found), ["import", "import", "import", "no-rules"]);
    let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("`wasi:cli/environment@0.2.6`") && text.contains("wasm32-unknown-unknown"),
        "{text}"
    );
    assert!(text.contains("`bay:own/lookup`") && text.contains("ask for it in its needs"), "{text}");
}

#[test]
fn other_worlds_and_versions_are_refused_by_name() {
    let export = |name: &str| {
        wat::parse_str(format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#)).unwrap()
    };
    let rules = "assent:plugin/rules@0.1.0";
    assert_eq!(codes(&problems(&export("other:package/rules@0.1.0"))), ["export", "no-rules"]);
    let newer = problems(&export("assent:plugin/rules@0.2.0"));
    let expected = AdmissionProblem::Version { found: "assent:plugin/rules@0.2.0".into(), supported: rules };
    assert_eq!(newer, [expected]);
    // The right name with nothing behind it.
    assert_eq!(codes(&problems(&export(rules))), ["world"]);
}

#[test]
fn components_that_the_compiler_cannot_take_are_contained() {
    // Components within components and modules within those; the contract is not exported, so a
    // valid export is put beside them.
    let mut nested = "(core module (memory 1) (memory 1))".to_owned();
    for _ in 0..90 {
        nested = format!("(component {nested})");
    }
    let odd = wat::parse_str(format!("(component {nested})")).unwrap();
    assert_eq!(codes(&problems(&odd)), ["no-rules"]);
    // Three memories in one component, where wasmtime of another configuration panics.
    let multi = wat_component("(memory 1) (memory 1)", NOTHING);
    assert!(
        host(8).admit(&unbound(Limits::default()), &multi).is_err()
            || host(8).admit(&unbound(Limits::default()), &multi).is_ok()
    );
    // More memories than a slot has.
    let many = wat_component(&"(memory 1)".repeat(8), NOTHING);
    assert_eq!(codes(&problems(&many)), ["compile"]);
    // More memory than a slot has, from the start.
    let huge = wat_component("(memory 1000)", NOTHING);
    assert_eq!(codes(&problems(&huge)), ["compile"]);
}

#[test]
fn a_start_function_runs_under_the_limits() {
    let limits = Limits { fuel: 1_000_000, ..Limits::default() };
    let cases = [
        ("(func $s (loop $l (br $l))) (start $s)", FailureKind::Fuel),
        ("(func $s (drop (memory.grow (i32.const 400)))) (start $s)", FailureKind::Memory),
        ("(func $s (call $s)) (start $s)", FailureKind::Stack),
        ("(func $s unreachable) (start $s)", FailureKind::Panic),
    ];
    for (start, kind) in cases {
        let found = host(2).admit(&unbound(limits.clone()), &wat_component(start, NOTHING)).unwrap_err();
        let kinds: Vec<_> = found
            .iter()
            .map(|problem| match problem {
                AdmissionProblem::Failed { failure, .. } => failure.kind,
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(kinds, [kind, kind], "{start}");
    }
}

#[test]
fn initial_memory_counts_against_the_limit() {
    let component = wat_component("", NOTHING);
    let with = |memory_max_bytes| Limits { memory_max_bytes, ..Limits::default() };
    assert!(host(2).admit(&unbound(with(64 << 10)), &component).is_ok());
    assert_eq!(
        codes(&host(2).admit(&unbound(with((64 << 10) - 1)), &component).unwrap_err()),
        ["failed", "failed"]
    );
}

#[test]
fn answers_that_point_outside_the_guest_are_bad_output() {
    let host = host(2);
    // `ok`, and then a list of obligations with an address and a length of nonsense.
    let lists = "(i32.store8 offset=2048 (i32.const 0) (i32.const 0))
        (i32.store offset=2052 (i32.const 0) (i32.const 0x7ffffff0)) (i32.store offset=2056 (i32.const 0) (i32.const 9))
        (i32.const 2048)";
    let discriminant = "(i32.store8 offset=2048 (i32.const 0) (i32.const 7)) (i32.const 2048)";
    for evaluate in [lists, discriminant, "(i32.const 0x7ffffff0)", "(i32.const 2049)", "(i32.const -4)"] {
        let plugin = host.admit(&unbound(Limits::default()), &wat_component("", evaluate)).unwrap();
        let failure = plugin.call(&facts("read"), &slots(&host, "bay")).outcome.result.expect_err(evaluate);
        assert_eq!(failure.kind, FailureKind::BadOutput, "{evaluate}: {failure}");
    }
}

#[test]
fn a_component_that_cannot_be_snapshotted_is_configured_with_each_call() {
    let host = host(2);
    let table = r#"(table 1 funcref) (func (export "x") (table.set (i32.const 0) (ref.null func)))"#;
    let plugin = host.admit(&unbound(Limits::default()), &wat_component(table, NOTHING)).unwrap();
    assert!(matches!(plugin.configured(), Configured::EachCall { because } if because.contains("table.set")));
    assert!(plugin.call(&facts("read"), &slots(&host, "bay")).outcome.result.unwrap().allows());

    let plugin = host.admit(&hostile("seven", Limits::default()), &composed(&guest("hostile"))).unwrap();
    assert!(matches!(plugin.configured(), Configured::EachCall { because } if because.contains("nested")));
    for _ in 0..2 {
        let seen = plugin.call(&facts("settings"), &slots(&host, "bay")).outcome.result.unwrap();
        assert_eq!(seen.notes, ["Some(\"seven\")"]);
        let counted = plugin.call(&facts("count-calls"), &slots(&host, "bay")).outcome.result.unwrap();
        assert_eq!(counted.notes, ["1"]);
    }
}

#[test]
fn configure_is_held_to_the_limits_and_all_its_problems_are_reported() {
    let (host, component) = (host(2), guest("hostile"));
    let limits = Limits { fuel: 20_000_000, ..Limits::default() };
    let refused =
        |settings: &str| host.admit(&hostile(settings, limits.clone()), &component).expect_err(settings);
    for (settings, kind) in
        [("loop", FailureKind::Fuel), ("grow:9000000", FailureKind::Memory), ("panic", FailureKind::Panic)]
    {
        match &refused(settings)[..] {
            [AdmissionProblem::Failed { function: "configure", failure }] => assert_eq!(failure.kind, kind),
            other => panic!("{settings}: {other:?}"),
        }
    }
    let three = refused("reject:3");
    let at = |i: u32| AdmissionProblem::Settings {
        path: format!("/rules/{i}"),
        message: format!("expected less than {i}"),
    };
    assert_eq!(three, [at(0), at(1), at(2)]);
    assert_eq!(three[1].to_string(), "settings at `/rules/1`: expected less than 1");
    // A refusal without a reason is a refusal, and thousands of reasons are cut short.
    assert_eq!(codes(&refused("reject:0")), ["settings"]);
    assert_eq!(refused("reject:1000").len(), 200);
    assert!(host.admit(&hostile("grow:1000000", limits.clone()), &component).is_ok());
}

#[test]
fn grants_and_settings_are_reported_together() {
    let mut spec = hostile("reject:1", Limits::default());
    spec.grants.remove("consents");
    spec.grants.remove("patient.birthDate");
    spec.grants.insert("patient.birthdate".into());
    spec.grants.insert("approval:export".into());
    let found = host(2).admit(&spec, &guest("hostile")).unwrap_err();
    assert_eq!(codes(&found), ["ungranted", "ungranted", "unknown-grant", "unused-grant", "settings"]);
    assert!(found[3].to_string().contains("did you mean `patient.birthDate`?"), "{}", found[3]);
}

#[test]
fn sizes_and_limits_are_checked_before_anything_runs() {
    let mut spec = unbound(Limits { fuel: 0, memory_max_bytes: 1 << 40, ..Limits::default() });
    spec.settings = "x".repeat(1 << 20).into();
    let found = host(2).admit(&spec, &vec![0; (16 << 20) + 1]).unwrap_err();
    assert_eq!(codes(&found), ["limit", "limit", "settings-too-large", "too-large"]);
}

#[test]
fn limits_are_read_from_configuration_and_unknown_keys_are_refused() {
    let limits: Limits = serde_json::from_str(r#"{"fuel": 7}"#).unwrap();
    assert_eq!(limits, Limits { fuel: 7, ..Limits::default() });
    assert!(serde_json::from_str::<Limits>(r#"{"fule": 7}"#).is_err());
}
