//! Guests that break each limit, one under it and one over; and answers that cannot be believed.
//!
//! Every failure is a named kind, no guest stops the host, and nothing outlives a call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::sync::Barrier;

use assent_model::{FailureKind, Findings, PluginFailure};
use assent_plugin::{Configured, Limits, OrganizationSlots, PluginHost, PluginPre};
use common::{admitted, facts, host, slots};

const MB: u64 = 1 << 20;

struct Guest {
    host: PluginHost,
    plugin: PluginPre,
}

impl Guest {
    fn with(limits: Limits) -> Self {
        let host = host(4);
        let plugin = admitted(&host, limits);
        assert_eq!(*plugin.configured(), Configured::Baked);
        Self { host, plugin }
    }

    fn told(&self, action: &str) -> Result<Findings, PluginFailure> {
        self.plugin.call(&facts(action), &slots(&self.host, "bay")).outcome.result
    }

    fn note(&self, action: &str) -> String {
        self.told(action).unwrap_or_else(|failure| panic!("{action}: {failure}")).notes.join("\n")
    }

    fn failure(&self, action: &str) -> FailureKind {
        self.told(action).expect_err(action).kind
    }
}

#[test]
fn behaviour_of_every_kind_has_its_failure() {
    let guest = Guest::with(Limits { fuel: 5_000_000, ..Limits::default() });
    let cases = [
        ("loop", FailureKind::Fuel),
        ("grow:1000", FailureKind::Memory),
        ("recurse:1000000", FailureKind::Stack),
        ("panic", FailureKind::Panic),
        ("trap", FailureKind::Trap),
        ("findings:65", FailureKind::OutputTooLarge),
        ("findings:5000", FailureKind::OutputTooLarge),
        ("notes:33", FailureKind::OutputTooLarge),
        ("text:2001", FailureKind::OutputTooLarge),
        ("parameter-text:65532", FailureKind::OutputTooLarge),
        ("reason:3000000", FailureKind::OutputTooLarge),
        ("set:20000", FailureKind::OutputTooLarge),
        ("invalid-text", FailureKind::BadOutput),
        ("impossible-date", FailureKind::BadOutput),
        ("far-instant", FailureKind::BadOutput),
        ("absent-parameter", FailureKind::BadOutput),
        ("empty-code", FailureKind::BadOutput),
        ("code:65", FailureKind::BadOutput),
        ("something else", FailureKind::GaveUp),
        ("reason:5000", FailureKind::GaveUp),
    ];
    for (action, kind) in cases {
        let failure = guest.told(action).expect_err(action);
        assert_eq!(failure.kind, kind, "{action}: {failure}");
        assert!(failure.message.len() < 1_100 && !failure.message.contains('\n'), "{action}: {failure}");
        // The next call knows nothing of it.
        assert_eq!(guest.note("count-calls"), "1", "after {action}");
    }
    for action in [
        "recurse:100",
        "findings:64",
        "notes:32",
        "text:2000",
        "parameter-text:65531",
        "possible-date",
        "code:64",
        "set:1000",
    ] {
        assert!(guest.told(action).is_ok(), "{action}: {:?}", guest.told(action));
    }
}

#[test]
fn fuel_decides_at_the_same_point_each_time() {
    let used = |guest: &Guest, action: &str| {
        guest.plugin.call(&facts(action), &slots(&guest.host, "bay")).outcome.fuel_used
    };
    let free = Guest::with(Limits::default());
    let needed = used(&free, "work:10000");
    assert_eq!(needed, used(&free, "work:10000"));
    assert!(needed > 10_000 && needed < Limits::default().fuel, "{needed}");
    // Fuel is looked at where functions and loops begin, so the limit is met to within one of those.
    assert!(Guest::with(Limits { fuel: needed, ..Limits::default() }).told("work:10000").is_ok());
    let short = Guest::with(Limits { fuel: needed - needed / 20, ..Limits::default() });
    assert_eq!(short.failure("work:10000"), FailureKind::Fuel);
}

#[test]
fn the_deadline_ends_what_fuel_does_not() {
    let limits = Limits { fuel: assent_plugin::limits::FUEL_CEILING, deadline_ms: 20, ..Limits::default() };
    // Under a load that starves this thread for the whole deadline, admission itself would fail.
    let guest = Guest::with(Limits { deadline_ms: 10_000, ..limits.clone() });
    assert!(guest.told("count-calls").is_ok());
    drop(guest);
    let host = host(2);
    let plugin = loop {
        if let Ok(plugin) = host.admit(&common::hostile("", limits.clone()), &common::guest("hostile")) {
            break plugin;
        }
    };
    let outcome = plugin.call(&facts("loop"), &slots(&host, "bay")).outcome;
    assert_eq!(outcome.result.unwrap_err().kind, FailureKind::Deadline);
}

#[test]
fn memory_is_limited_to_the_byte() {
    let guest = Guest::with(Limits { memory_max_bytes: 4 * MB, ..Limits::default() });
    let mut pages = 0;
    while guest.told(&format!("grow:{}", pages + 1)).is_ok() {
        pages += 1;
    }
    assert!((16..64).contains(&pages), "{pages}");
    assert_eq!(guest.failure(&format!("grow:{}", pages + 1)), FailureKind::Memory);
    let one_page_more = Guest::with(Limits { memory_max_bytes: 4 * MB + (64 << 10), ..Limits::default() });
    assert!(one_page_more.told(&format!("grow:{}", pages + 1)).is_ok());
}

#[test]
fn copied_bytes_are_limited_before_they_are_copied() {
    let under = Guest::with(Limits { copied_max_bytes: 64 << 10, output_max_bytes: MB, ..Limits::default() });
    assert!(under.told("parameter-text:60000").is_ok());
    let failure = under.told("parameter-text:70000").unwrap_err();
    assert_eq!(failure.kind, FailureKind::OutputTooLarge);
    assert!(failure.message.contains("copied_max_bytes"), "{failure}");
}

#[test]
fn a_guest_keeps_no_state_between_calls() {
    let guest = Guest::with(Limits::default());
    for _ in 0..20 {
        assert_eq!(guest.note("count-calls"), "1");
    }
}

#[test]
fn settings_are_there_in_every_call() {
    let host = host(2);
    let plugin =
        host.admit(&common::hostile("baked:7", Limits::default()), &common::guest("hostile")).unwrap();
    for _ in 0..3 {
        let outcome = plugin.call(&facts("settings"), &slots(&host, "bay")).outcome;
        assert_eq!(outcome.result.unwrap().notes, ["Some(\"baked:7\")"]);
    }
}

#[test]
fn memory_left_by_one_organization_is_not_read_by_another() {
    // One slot in the pool, so that both use the same memory.
    let host = host(1);
    let (bay, lone_star) = (admitted(&host, Limits::default()), admitted(&host, Limits::default()));
    let written = bay.call(&facts("fill-memory:30"), &slots(&host, "bay")).outcome.result.unwrap();
    assert_eq!(written.notes, [(30 * (64 << 10)).to_string()]);
    for _ in 0..3 {
        let read =
            lone_star.call(&facts("read-memory:30"), &slots(&host, "lone-star")).outcome.result.unwrap();
        assert_eq!(read.notes, ["0"]);
        bay.call(&facts("fill-memory:30"), &slots(&host, "bay")).outcome.result.unwrap();
    }
}

#[test]
fn a_failed_call_gives_its_slot_back() {
    let host = host(1);
    let plugin = admitted(&host, Limits { fuel: 1_000_000, ..Limits::default() });
    for action in ["loop", "panic", "grow:1000", "invalid-text", "recurse:1000000"] {
        assert!(plugin.call(&facts(action), &slots(&host, "bay")).outcome.result.is_err());
        assert!(
            plugin.call(&facts("count-calls"), &slots(&host, "bay")).outcome.result.is_ok(),
            "after {action}"
        );
    }
}

/// Loops until the deadline, as soon as there is a slot to loop in.
fn loops(plugin: &PluginPre, slots: &OrganizationSlots) -> FailureKind {
    loop {
        let kind = plugin.call(&facts("loop"), slots).outcome.result.unwrap_err().kind;
        if kind != FailureKind::Busy {
            return kind;
        }
    }
}

#[test]
fn an_organization_without_a_free_slot_is_busy_and_no_other_is() {
    let host = host(8);
    let plugin = admitted(
        &host,
        Limits { fuel: assent_plugin::limits::FUEL_CEILING, deadline_ms: 1_000, ..Limits::default() },
    );
    let one = |name: &str| host.slots(&assent_model::OrganizationId::new(name).unwrap(), 1);
    let (bay, lone_star) = (one("bay"), one("lone-star"));
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| {
            start.wait();
            loops(&plugin, &bay)
        });
        start.wait();
        // The other thread holds the slot from some moment on, until its deadline.
        let busy = std::iter::repeat_with(|| plugin.call(&facts("count-calls"), &bay).outcome)
            .take_while(|_| !looping.is_finished())
            .find(|outcome| outcome.result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Busy));
        let other = plugin.call(&facts("count-calls"), &lone_star).outcome;
        assert_eq!(busy.expect("the slot is taken").fuel_used, 0);
        assert!(other.result.is_ok());
        assert_eq!(looping.join().unwrap(), FailureKind::Deadline);
    });
    assert!(plugin.call(&facts("count-calls"), &bay).outcome.result.is_ok());
}

#[test]
fn a_pool_without_a_free_slot_is_busy() {
    let host = host(1);
    let plugin = admitted(
        &host,
        Limits { fuel: assent_plugin::limits::FUEL_CEILING, deadline_ms: 1_000, ..Limits::default() },
    );
    let (bay, lone_star) = (slots(&host, "bay"), slots(&host, "lone-star"));
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| loops(&plugin, &bay));
        let busy = std::iter::repeat_with(|| plugin.call(&facts("count-calls"), &lone_star).outcome)
            .take_while(|_| !looping.is_finished())
            .any(|outcome| outcome.result.is_err_and(|failure| failure.kind == FailureKind::Busy));
        assert!(busy);
        assert_eq!(looping.join().unwrap(), FailureKind::Deadline);
    });
}

#[test]
fn components_of_several_memories_fill_every_slot() {
    const SLOTS: u32 = 4;
    let host = host(SLOTS);
    let component = common::composed_with_memories(&common::guest("hostile"), 3);
    let limits =
        Limits { fuel: assent_plugin::limits::FUEL_CEILING, deadline_ms: 1_000, ..Limits::default() };
    let plugin = host.admit(&common::hostile("", limits), &component).unwrap();
    let bay = slots(&host, "bay");
    let start = Barrier::new(SLOTS as usize);
    let call = || {
        start.wait();
        plugin.call(&facts("loop"), &bay).outcome.result.unwrap_err().kind
    };
    let kinds: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..SLOTS).map(|_| scope.spawn(call)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(kinds, [FailureKind::Deadline; SLOTS as usize]);
    assert!(plugin.call(&facts("count-calls"), &bay).outcome.result.is_ok());
}
