//! A guest that does whatever the action of the request, or its settings, tell it to do wrong.
//!
//! `name:N` means the behaviour `name` with the number N. The settings are a text of the same form.

use std::cell::RefCell;
use std::hint::black_box;

wit_bindgen::generate!({
    path: "../../../wit/0.1.0",
    world: "plugin",
});

use exports::assent::plugin::rules::*;

const PAGE: usize = 64 << 10;

/// State that must not survive from one request to the next.
static mut CALLS: u64 = 0;

thread_local! {
    static SETTINGS: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Hostile;
export!(Hostile);

fn split(text: &str) -> (&str, usize) {
    let (name, number) = text.split_once(':').unwrap_or((text, "0"));
    (name, number.parse().unwrap_or(0))
}

fn findings() -> Findings {
    Findings { obligations: vec![], advice: vec![], denials: vec![], reviews: vec![], notes: vec![] }
}

fn note(text: impl Into<String>) -> Findings {
    Findings { notes: vec![text.into()], ..findings() }
}

fn denial() -> Denial {
    Denial {
        code: "H1".into(),
        message: "No.".into(),
        ground: Ground::OrganizationPolicy,
        citation: None,
        remedies: vec![],
        neutral: false,
    }
}

fn with_value(value: Value) -> Findings {
    let parameters = vec![Parameter { name: "value".into(), value }];
    Findings { obligations: vec![Obligation { code: ObligationCode::Audit, parameters }], ..findings() }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Uses the native stack only: every level keeps a number across the call.
#[inline(never)]
fn recurse(depth: usize) -> usize {
    if depth == 0 { 0 } else { black_box(recurse(black_box(depth - 1))).wrapping_add(1) }
}

/// Bytes at the end of memory, fresh from the host.
fn grow(pages: usize) -> Option<&'static mut [u8]> {
    let before = core::arch::wasm32::memory_grow(0, pages);
    // SAFETY: the pages were just added, and nobody else uses them.
    (before != usize::MAX)
        .then(|| unsafe { std::slice::from_raw_parts_mut((before * PAGE) as *mut u8, pages * PAGE) })
}

/// A text of these bytes, which the compiler believes to be valid.
fn invalid_text() -> String {
    // SAFETY: none; this is what a guest without types could return.
    unsafe { String::from_utf8_unchecked(black_box(vec![b'a', 0xff, 0xfe])) }
}

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".into(),
            version: "0.1.0-test".into(),
            summary: "does what it is told to do wrong".into(),
            settings_schema: r#"{"type": "string"}"#.into(),
            needs: Needs {
                attributes: vec![
                    "patient.birthDate".into(),
                    "resource.labels".into(),
                    "resource.encounter.state".into(),
                    "context.network".into(),
                ],
                memberships: vec!["Role::\"nurse\"".into(), "Role::\"privacy-officer\"".into()],
                relations: vec![RelationNeed { kind: "ProxyGrant".into(), attributes: vec!["verified".into(), "end".into()] }],
                approvals: vec!["export".into()],
                consents: true,
                disclosure_decisions: true,
                value_sets: vec!["sud".into(), "none".into()],
            },
        }
    }

    fn configure(settings: String) -> Result<(), Vec<Problem>> {
        let text = settings.trim_matches('"').to_owned();
        let (name, number) = split(&text);
        match name {
            "loop" => spin(),
            "grow" => {
                black_box(vec![1_u8; number]);
            }
            "panic" => panic!("told to"),
            "reject" => {
                let problem = |i| Problem { path: format!("/rules/{i}"), message: format!("expected less than {i}") };
                return Err((0..number).map(problem).collect());
            }
            _ => {}
        }
        SETTINGS.set(Some(text));
        Ok(())
    }

    fn evaluate(request: Request) -> Result<Findings, String> {
        let (name, number) = split(&request.action);
        Ok(match name {
            "loop" => spin(),
            "work" => note((0..number as u64).fold(0, |sum, i| black_box(sum ^ i)).to_string()),
            "grow" => note(format!("{}", grow(number).is_some())),
            "recurse" => note(recurse(number).to_string()),
            "panic" => panic!("told to"),
            "trap" => {
                let bad: fn() = unsafe { std::mem::transmute::<usize, fn()>(black_box(100_000)) };
                bad();
                findings()
            }
            "text" => Findings { denials: vec![Denial { message: "x".repeat(number), ..denial() }], ..findings() },
            "set" => with_value(Value::Set((0..number as i64).map(Scalar::Integer).collect())),
            "parameter-text" => with_value(Value::Scalar(Scalar::Text("x".repeat(number)))),
            "findings" => Findings { denials: (0..number).map(|_| denial()).collect(), ..findings() },
            "notes" => Findings { notes: vec!["n".into(); number], ..findings() },
            "reason" => return Err("x".repeat(number)),
            "invalid-text" => Findings { denials: vec![Denial { message: invalid_text(), ..denial() }], ..findings() },
            "impossible-date" => with_value(Value::Scalar(Scalar::Date(Date { year: 2025, month: 2, day: 29 }))),
            "possible-date" => with_value(Value::Scalar(Scalar::Date(Date { year: 2024, month: 2, day: 29 }))),
            "far-instant" => with_value(Value::Scalar(Scalar::Instant(i64::MAX))),
            "absent-parameter" => with_value(Value::Absent(Absence::NotRecorded)),
            "empty-code" => Findings { denials: vec![Denial { code: String::new(), ..denial() }], ..findings() },
            "code" => Findings { denials: vec![Denial { code: "c".repeat(number), ..denial() }], ..findings() },
            "deny" => Findings { denials: vec![denial()], ..findings() },
            "count-calls" => {
                // SAFETY: one thread.
                let calls = unsafe {
                    CALLS += 1;
                    CALLS
                };
                note(calls.to_string())
            }
            "fill-memory" => {
                let Some(memory) = grow(number) else { return Err("no memory".into()) };
                memory.fill(0xab);
                note(memory.len().to_string())
            }
            "read-memory" => {
                let Some(memory) = grow(number) else { return Err("no memory".into()) };
                note(memory.iter().filter(|byte| **byte != 0).count().to_string())
            }
            "settings" => note(SETTINGS.with_borrow(|settings| format!("{settings:?}"))),
            // A denial, so that it is told of approvals that cannot be used as well.
            "echo" => Findings { notes: echo(&request), denials: vec![denial()], ..findings() },
            // Agrees to whatever approval it is handed.
            "any-approval" if request.approvals.is_empty() => Findings { denials: vec![denial()], ..findings() },
            "any-approval" => findings(),
            // Agrees only where it is handed so many.
            "approvals" if request.approvals.len() < number => Findings { denials: vec![denial()], ..findings() },
            "approvals" => findings(),
            other => return Err(format!("told to do something unknown of {} letters", other.len())),
        })
    }
}

/// Everything that the request contains, one line for each fact.
fn echo(request: &Request) -> Vec<String> {
    let Request { organization, now, today, subject, action: _, resource, patient, purpose, .. } = request;
    let mut lines = vec![
        format!("{organization} {now} {today:?}"),
        format!("{subject:?} {resource:?} {patient:?} {purpose:?}"),
    ];
    lines.extend(request.attributes.iter().map(|value| format!("{value:?}")));
    lines.push(format!("{:?}", request.memberships));
    lines.extend(request.relations.iter().map(|relation| format!("{relation:?}")));
    lines.extend(request.approvals.iter().map(|approval| format!("{approval:?}")));
    lines.extend(request.consents.iter().map(|consent| format!("{consent:?}")));
    lines.extend(request.disclosure_decisions.iter().map(|decision| format!("{decision:?}")));
    lines.extend(request.value_sets.iter().map(|set| format!("{set:?}")));
    lines
}
