//! Requests as nobody should send them, made at random, to every path of the audit log (those to the state are in
//! `malformed_state`): a real log, the whole
//! router. Whatever comes, the service does not fail, answers in its own form, repeats nothing that was sent,
//! and gives nothing of the log away without a record of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use assent_audit::record::Event;
use assent_audit::shelf::decoded;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::audit::{AUDITOR, Audited};
use super::*;
use crate::http::ROUTES;
use crate::http::audit::{ACCOUNTING_PARAMETERS, EXPORT_PARAMETERS, PARAMETERS};

/// In all that is made up, where a patient's name might be.
pub(super) const CANARY: &str = "Canary7";
/// How many requests are made up: every path some thirty times, in a few seconds.
const REQUESTS: u32 = 300;
/// Whose decisions are in the log at the beginning.
const SUBJECTS: [&str; 3] = ["alice", "bob", "nobody"];

/// Of the first decisions or of nothing: the proof of a newer record would wait for a checkpoint.
const PLACES: &[&str] = &[
    "2026-0",
    "2026-2",
    "2026-99999999",
    "2026-9223372036854775807",
    "2026-9223372036854775808",
    "2026-18446744073709551615",
    "2026-18446744073709551616",
    "2025-0",
    "0000-0",
    "9999-18446744073709551615",
    "-001-0",
    "2147483647-0",
    "-2147483648-0",
    "00000000000000000000000000000001",
    "ffffffffffffffffffffffffffffffff",
];
const NUMBERS: &[&str] = &["", "-1", "0", "1", "+1", "100", "101", "1000", "18446744073709551616"];
const MOMENTS: &[&str] = &[
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "2026-11-21T18:00:00Z",
    "2026-11-21T18:00:00%2B23:59",
    "-009999-01-01T00:00:00Z",
    "2026-11-21",
];
const YEARS: &[&str] = &["2026", "2025", "0000", "9999", "-001", "+026", "26"];
const TILES: &[&str] = &[
    "0/000",
    "0/000.p/3",
    "0/000.p/256",
    "1/000",
    "63/x999/x999/x999/999",
    "7/x999/x999/x999/x999/x999/x999/999",
    "entries/000",
    "data/000",
    "",
];
const REPORTS: &[&str] = &["exports", "denial-bursts", "Exports", ""];
const WORDS: &[&str] = &[
    "",
    "deny",
    "no_policy",
    "decision",
    "audit-read",
    "oldest-first",
    "true",
    "html",
    "csv",
    "text",
    "ocsf",
    "fhir",
    "syslog",
    "America/Chicago",
    "../../etc/passwd",
    "%2e%2e%2f",
    "User::alice",
    "Patient::",
    "::",
    "%00",
    "%",
    "%zz",
    "%ff%fe",
    "%F0%9F%92%A9",
    "%E2%80%AE",
    "replay",
    "checkpoint",
];

fn audit_routes() -> Vec<&'static str> {
    ROUTES.iter().map(|route| route.path).filter(|path| path.contains("/audit/")).collect()
}

/// The method of a route.
fn served(route: &str) -> &'static str {
    if route.ends_with("/replay") { "POST" } else { "GET" }
}

/// Mostly one of these, so that what is made of it comes further than the first check.
pub(super) fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let made_up = any::<Vec<u8>>().prop_map(|bytes| {
        let escaped: String = bytes.iter().take(40).map(|byte| format!("%{byte:02x}")).collect();
        format!("{CANARY}{escaped}")
    });
    let forms = prop::sample::select(vec![
        CANARY.to_owned(),
        format!("Patient::{CANARY}"),
        format!("Patient::%22{CANARY}%22"),
        format!("2026-{CANARY}"),
        format!("{CANARY}-0"),
        format!("Patient::{}", CANARY.repeat(1_000)),
        format!("Patient::{}", "%01".repeat(2_700)),
        format!("Patient::{}", CANARY.repeat(1_200)),
    ]);
    prop_oneof![6 => prop::sample::select(words).prop_map(str::to_owned), 1 => made_up, 1 => forms]
}

fn path(route: &'static str) -> impl Strategy<Value = String> {
    let organization = prop_oneof![
        12 => Just("bay".to_owned()),
        1 => prop::sample::select(vec!["hill", "planned", "log", "nowhere"]).prop_map(str::to_owned),
        1 => one_of(WORDS),
    ];
    (organization, one_of(PLACES), one_of(YEARS), one_of(TILES), one_of(REPORTS)).prop_map(
        move |(organization, id, year, tile, name)| {
            route
                .replace("{organization}", &organization)
                .replace("{id}", &id)
                .replace("{year}", &year)
                .replace("{*tile}", &tile)
                .replace("{name}", &name)
        },
    )
}

fn pair(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        12 => one_of(names),
        1 => prop::sample::select(vec!["patiant", "witnessed", "explain", ""]).prop_map(str::to_owned),
    ];
    name.prop_flat_map(|name| {
        let words = match name.as_str() {
            "after" => PLACES,
            "from" | "until" => MOMENTS,
            "limit" => NUMBERS,
            _ => WORDS,
        };
        one_of(words).prop_map(move |value| format!("{name}={value}"))
    })
}

fn query(route: &'static str) -> impl Strategy<Value = Option<String>> {
    let odd = prop::sample::select(vec!["witnessed=true", "witnessed=yes", "&&&", "=", "?", "a=b;c=d"]);
    let odd = odd.prop_map(|odd| Some(odd.to_owned())).boxed();
    let last = route.rsplit('/').next().unwrap_or_default();
    let names = match last {
        "records" => PARAMETERS,
        "disclosures" => ACCOUNTING_PARAMETERS,
        "export" => EXPORT_PARAMETERS,
        _ => return prop_oneof![8 => Just(None), 1 => odd].boxed(),
    };
    let pairs = prop::collection::vec(pair(names), 0..4).prop_map(move |mut pairs| {
        if last == "disclosures" {
            pairs.push(format!("patient=Patient::{CANARY}"));
        }
        Some(pairs.join("&"))
    });
    prop_oneof![1 => Just(None), 6 => pairs, 1 => odd].boxed()
}

pub(super) fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let odd = prop::sample::select(vec![
        ("authorization", String::new()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", format!("Bearer {CANARY}")),
        ("authorization", format!("Basic {CANARY}")),
        ("authorization", PORTAL_KEY.to_owned()),
        ("host", String::new()),
        ("host", CANARY.to_owned()),
        ("content-type", format!("text/{CANARY}")),
        ("content-encoding", "gzip".to_owned()),
        ("content-length", "18446744073709551615".to_owned()),
        ("transfer-encoding", "chunked".to_owned()),
        ("accept", format!("application/{CANARY}")),
        ("range", "bytes=0-".to_owned()),
        ("if-none-match", "*".to_owned()),
        ("expect", "100-continue".to_owned()),
        ("x-http-method-override", "DELETE".to_owned()),
        ("x-forwarded-for", CANARY.to_owned()),
        ("x-request-id", "a".repeat(1_025)),
        ("cookie", CANARY.to_owned()),
    ]);
    prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(odd, 1..3)]
}

#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    route: &'static str,
    uri: String,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![
        6 => Just(None),
        1 => prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "Canary7"])
            .prop_map(Some),
    ];
    let body = prop_oneof![
        3 => Just(vec![]),
        1 => any::<Vec<u8>>(),
        1 => Just(format!("{{\"patient\":\"{CANARY}\"").into_bytes()),
    ];
    let target =
        prop::sample::select(audit_routes()).prop_flat_map(|route| (Just(route), path(route), query(route)));
    (method, target, fields(), body)
        .prop_map(|(method, (route, path, query), fields, body)| {
            let uri = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            Sent { method: method.unwrap_or(served(route)), route, uri, fields, body }
        })
        .prop_filter("hyper refuses what is no URI", |sent| sent.uri.parse::<axum::http::Uri>().is_ok())
}

/// A log with some decisions, and what was seen of it so far.
struct Bench {
    runtime: tokio::runtime::Runtime,
    audited: Audited,
    document: Value,
    /// The first position of the log that was not looked at.
    next: Cell<u64>,
    statuses: RefCell<BTreeSet<u16>>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let audited = Audited::new();
        runtime.block_on(async {
            for subject in SUBJECTS {
                audited.decide(subject, "read").await;
            }
            audited.published(SUBJECTS.len() as u64).await;
        });
        let (document, next, statuses) = (openapi::document(), Cell::new(0), RefCell::default());
        Self { runtime, audited, document, next, statuses }
    }

    /// How many readings the log has that were not looked at.
    fn readings(&self) -> usize {
        let entries = self.audited.shelf().reader(2026).unwrap().entries(self.next.get()).unwrap();
        let records: Vec<_> = entries.map(|entry| decoded(2026, &entry.unwrap()).unwrap()).collect();
        self.next.set(records.last().map_or(self.next.get(), |(place, _)| place.position + 1));
        records.iter().filter(|(_, record)| matches!(record.event, Event::AuditRead(_))).count()
    }

    /// Sends it, and holds the answer to what every answer must be.
    fn send(&self, sent: &Sent) -> Result<(), TestCaseError> {
        let mut fields = vec![AUDITOR];
        fields.extend(sent.fields.iter().map(|(name, value)| (*name, value.as_str())));
        let asked = request(sent.method, &sent.uri, &fields, sent.body.clone());
        let (parts, bytes) = self.runtime.block_on(async {
            let (parts, body) = self.audited.world.app.clone().oneshot(asked).await.unwrap().into_parts();
            (parts, body.collect().await.unwrap().to_bytes())
        });
        let (status, text) = (parts.status.as_u16(), String::from_utf8_lossy(&bytes));
        self.statuses.borrow_mut().insert(status);

        prop_assert!(status < 500, "{status}: {text}");
        prop_assert!(self.documents(sent.route, status), "{status} is not documented: {text}");
        let line = self.audited.world.last_line();
        prop_assert!(!line.contains(CANARY), "{line}");
        prop_assert!(!format!("{:?}", parts.headers).contains(CANARY), "{:?}", parts.headers);
        if status != 200 {
            prop_assert!(!text.contains(CANARY), "{text}");
            prop_assert_eq!(&parts.headers["content-type"], "application/json");
            prop_assert_eq!(&parts.headers["cache-control"], "no-store");
        }

        let read = self.readings();
        // Checkpoints and tiles are hashes, which are nobody's record.
        let hashes = sent.route.ends_with("checkpoint") || sent.route.contains("tile");
        let says_something = match (status, sent.method) {
            (200, _) => !hashes,
            // Nobody sees what it would have said.
            (_, "HEAD") => read > 0,
            _ => {
                let error: Value = serde_json::from_slice(&bytes).unwrap();
                let schema = &self.document["components"]["schemas"]["Error"];
                openapi::check(&self.document, schema, &error).unwrap();
                prop_assert_eq!(&error["error"]["status"], status);
                // That there is no such record, or that it is no decision, says something of the log.
                text.contains("has no such record") || text.contains("is not a decision")
            }
        };
        prop_assert_eq!(read, usize::from(says_something), "{}: {}", status, text);
        Ok(())
    }

    /// Whether the document of the API has this status for this route.
    fn documents(&self, route: &str, status: u16) -> bool {
        let (path, method) = (route.replace("{*", "{"), served(route).to_lowercase());
        self.document["paths"][path][method]["responses"].get(status.to_string()).is_some()
    }
}

#[test]
fn whatever_is_asked_of_the_audit_log_is_answered_in_form_and_never_without_a_record() {
    let bench = Bench::new();
    let config = Config { cases: REQUESTS, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&sent(), |sent| bench.send(&sent));
    run.unwrap_or_else(|failure| panic!("{failure}"));
    let statuses: Vec<u16> = bench.statuses.take().into_iter().collect();
    assert_eq!(statuses, [200, 400, 401, 403, 404, 405], "what is made up comes far enough, in every way");
}

/// All of what a route can be asked with, of the words above, one at a time.
fn each() -> BTreeSet<(&'static str, String)> {
    let mut all = BTreeSet::new();
    for route in audit_routes() {
        let bay = route.replace("{organization}", "bay");
        let (name, words) = match route.rsplit_once('{') {
            Some((_, "id}" | "id}/replay")) => ("{id}", PLACES),
            Some((_, "name}")) => ("{name}", REPORTS),
            Some((_, "*tile}")) => ("{*tile}", TILES),
            _ => ("{year}", YEARS),
        };
        let paths = words.iter().map(|word| bay.replace(name, word));
        // Of a tile, in every year too.
        all.extend(
            paths.flat_map(|path| YEARS.iter().map(move |year| (route, path.replace("{year}", year)))),
        );
    }
    for (last, parameter, words) in [
        ("records", "order=oldest-first&after", PLACES),
        ("records", "order=newest-first&after", PLACES),
        ("records", "limit", NUMBERS),
        ("records", "from", MOMENTS),
        ("records", "until", MOMENTS),
        ("records", "patient", WORDS),
        ("records", "action", WORDS),
        ("export", "after", PLACES),
        ("export", "limit", NUMBERS),
        ("export", "format", WORDS),
        ("disclosures", "patient=Patient::x&from", MOMENTS),
        ("disclosures", "patient=Patient::x&time_zone", WORDS),
        ("disclosures", "patient=Patient::x&format", WORDS),
    ] {
        let route = audit_routes().into_iter().find(|route| route.ends_with(last)).unwrap();
        let path = route.replace("{organization}", "bay");
        all.extend(words.iter().map(|word| (route, format!("{path}?{parameter}={word}"))));
    }
    all
}

#[test]
fn the_odd_ends_of_each_parameter_are_answered_in_form_and_never_without_a_record() {
    let bench = Bench::new();
    for (route, uri) in each() {
        if uri.parse::<axum::http::Uri>().is_ok() {
            let sent = Sent { method: served(route), route, uri, fields: vec![], body: vec![] };
            bench.send(&sent).unwrap_or_else(|failure| panic!("{failure}: {sent:?}"));
        }
    }
}
