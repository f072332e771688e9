//! Requests as nobody should send them, made at random, to every path of the state: a real log, a real database, the
//! whole router. Whatever comes, the service does not fail, answers in the form that its document says, repeats no
//! value to somebody who may not have sent it, changes nothing where it refuses, and gives nothing away unrecorded.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use assent_audit::record::Event;
use assent_audit::shelf::decoded;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use super::malformed::{CANARY, fields, one_of};
use super::state::{Stateful, documented};
use super::*;
use crate::http::ROUTES;
use crate::http::router::Route;

/// How many requests are made up: every path some ten times, those of entities more often.
const REQUESTS: u32 = 600;

const IDS: &[&str] =
    &["alice", "bob", "new", "new-1", "new-2", "new-3", "a%2Fb", "%20", "%00", "%", "%zz", "%ff", ".."];
const TYPES: &[&str] = &[
    "User",
    "User",
    "User",
    "EmergencyAccess",
    "Record",
    "Approval",
    "EmergencyAccess",
    "Usre",
    "User%2Fa",
    "%00",
];
const STEPS: &[&str] = &[
    "answer",
    "withdraw",
    "revoke",
    "end",
    "review",
    "propose-release",
    "confirm-release",
    "take-back",
    "approve",
    "%00",
];
const QUERIES: &[&str] = &[
    "type=User",
    "type=Record&limit=1",
    "type=User%2F",
    "type=",
    "type=User&after=%ff",
    "limit=0",
    "limit=500",
    "limit=501",
    "status=active",
    "status=active&limit=1",
    "status=active&status=active",
    "reviewState=due",
    "within=P1D",
    "within=P367D",
    "within=P-1D",
    "within=P9999999999999999999D",
    "after=%00",
    "&&&",
    "=",
    "a=b;c=d",
];
const PEOPLE: &[&str] = &["User/alice", "User/bob", "User/nobody", "Record/record-1", "User", "/", "User/"];
/// Bodies that say something, in their place or in another.
const BODIES: &[&str] = &[
    r#"{}"#,
    r#"{"attrs": {"role": "admin"}}"#,
    r#"{"attrs": {"role": 1}}"#,
    r#"{"attrs": {"role": null}, "parents": []}"#,
    r#"{"uid": {"type": "User", "id": "new"}, "attrs": {}, "parents": [{"type": "User", "id": "bob"}]}"#,
    r#"{"changes": [{"put": {"uid": {"type": "User", "id": "new"}, "attrs": {"role": "Canary7"}}}]}"#,
    r#"{"changes": [{"patch": {"uid": {"type": "User", "id": "bob"}, "attrs": {"quarantined": false}}}]}"#,
    r#"{"changes": [{"delete": {"type": "User", "id": "alice"}}, {"delete": {"type": "Record", "id": "Canary7"}}]}"#,
    r#"{"changes": []}"#,
    r#"{"changes": "Canary7"}"#,
    r#"{"target": {"caller": "portal"}, "reason": "Canary7"}"#,
    r#"{"target": {"plugin": "Canary7"}, "reason": "x"}"#,
    r#"{"target": "Canary7", "reason": "x"}"#,
    r#"{"target": {"entity": {"type": "Patient", "id": "Canary7"}}, "reason": "x"}"#,
    r#"{"comment": "Canary7"}"#,
    r#"{"approves": true}"#,
    r#"{"approves": "Canary7"}"#,
    r#"{"kind": "export", "dataSet": "Canary7", "justification": "x", "records": 1}"#,
    r#"{"patient": {"type": "Patient", "id": "Canary7"}, "reason": "disaster", "justification": "Canary7"}"#,
    r#"{"patient": "Canary7", "reason": 1, "justification": []}"#,
    r#"{"disclosure": "Canary7", "category": "x", "licence": "x", "reason": "x", "patient": {"type": "a", "id": "b"}}"#,
    r#"{"resourceType": "Consent", "id": "new", "patient": {"reference": "Patient/Canary7"}, "status": "Canary7"}"#,
    r#"{"resourceType": "Consent", "resourceType": "Consent"}"#,
    r#"{"reason": "Canary7", "reason": "Canary7"}"#,
    r#""Canary7""#,
    r#"["#,
    r#"1e999"#,
    r#"{"attrs": {"role": "\ud800"}}"#,
];

/// Those of entities, holds and approvals more often, for they come further in this world.
fn routes() -> Vec<&'static Route> {
    let all = ROUTES.iter().filter(|route| route.path.contains("/state/"));
    let far = |path: &str| match path.rsplit('/').next() {
        Some("{id}") if path.contains("/entities") => 12,
        Some("entities" | "holds") => 6,
        Some("approvals" | "emergencies" | "disclosure-decisions") => 3,
        _ => 1,
    };
    all.flat_map(|route| std::iter::repeat_n(route, far(route.path))).collect()
}

/// What of the bodies above begins like one that is expected there.
fn fitting(route: &str) -> Vec<&'static str> {
    let begins = match route.trim_start_matches("/{organization}/state/v1/") {
        "entities" => "{\"changes",
        "entities/{type}/{id}" => "{\"attrs",
        "holds" => "{\"target",
        "approvals" => "{\"kind",
        "emergencies" => "{\"patient",
        "disclosure-decisions" => "{\"disclosure",
        "consents/{id}" => "{\"resourceType",
        _ => "{",
    };
    BODIES.iter().copied().filter(|body| body.starts_with(begins)).collect()
}

/// Some JSON, deep or wide or neither.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "Canary7", "alice", "User", "\u{0}", "\u{202e}"]).prop_map(Value::from),
        Just(json!({ "__entity": { "type": "User", "id": "Canary7" } })),
        Just(json!({ "__extn": { "fn": "datetime", "arg": "Canary7" } })),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let name = prop::sample::select(vec![
            "attrs", "parents", "uid", "role", "put", "type", "id", "__entity", "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn body(route: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let spoilt = (prop::sample::select(fitting(route)), any::<prop::sample::Index>(), value()).prop_map(
        |(text, index, value)| {
            let mut body: Value = serde_json::from_str(text).unwrap_or_default();
            if let Some(members) = body.as_object_mut().filter(|members| !members.is_empty()) {
                let name = members.keys().nth(index.index(members.len())).unwrap().clone();
                members.insert(name, value);
            }
            body.to_string().into_bytes()
        },
    );
    prop_oneof![
        12 => prop::sample::select(fitting(route)).prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::sample::select(BODIES).prop_map(|text| text.as_bytes().to_vec()),
        6 => spoilt,
        2 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => any::<Vec<u8>>(),
        1 => Just(vec![]),
        1 => Just("[".repeat(5_000).into_bytes()),
        1 => Just(format!("{{\"attrs\":{}{}}}", "{\"role\":".repeat(100), "1}".repeat(100)).into_bytes()),
        1 => Just(format!("[{}1]", "1,".repeat(30_000)).into_bytes()),
        1 => Just(format!("{{\"attrs\":{{\"role\":\"{}\"}}}}", CANARY.repeat(20_000)).into_bytes()),
    ]
}

fn own_fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let person = prop_oneof![
        6 => Just("User/alice".to_owned()),
        2 => prop::sample::select(PEOPLE).prop_map(str::to_owned),
        1 => Just(format!("User/{CANARY}")),
    ];
    let more = prop::sample::select(vec![
        ("if-match", "*".to_owned()),
        ("if-match", "\"0\"".to_owned()),
        ("if-match", format!("\"{CANARY}\"")),
        ("if-none-match", "*".to_owned()),
        ("if-none-match", format!("\"{CANARY}\"")),
        ("idempotency-key", "\"k\"".to_owned()),
        ("idempotency-key", format!("{CANARY} {CANARY}")),
        ("idempotency-key", "k".repeat(129)),
        ("content-type", "application/merge-patch+json".to_owned()),
        ("content-type", format!("application/{CANARY}")),
        ("authorization", "Bearer reader-key".to_owned()),
        ("authorization", "Bearer hill-key".to_owned()),
    ]);
    let more = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(more, 1..3)];
    let odd = prop_oneof![3 => Just(vec![]), 1 => fields()];
    (person, more, odd).prop_map(|(person, more, odd)| {
        // Content types that nobody sends would end most requests early.
        let odd = odd.into_iter().filter(|(name, _)| !["content-length", "transfer-encoding"].contains(name));
        [("assent-person", person)].into_iter().chain(more).chain(odd).collect()
    })
}

#[derive(Clone, Debug)]
struct Sent {
    method: String,
    route: &'static str,
    uri: String,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = |route: &'static Route| {
        let served = route.methods.split(", ").map(str::to_owned).collect::<Vec<_>>();
        prop_oneof![
            9 => prop::sample::select(served),
            1 => prop::sample::select(vec!["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", CANARY]).prop_map(str::to_owned),
        ]
    };
    let organization = prop_oneof![
        20 => Just("bay".to_owned()),
        1 => prop::sample::select(vec!["hill", "planned", "nowhere", CANARY]).prop_map(str::to_owned),
    ];
    // What is empty would be another path.
    let part =
        |words| one_of(words).prop_filter("a part of a path", |word| !word.is_empty() && !word.contains('/'));
    let target = prop::sample::select(routes()).prop_flat_map(move |route| {
        let path = (organization.clone(), part(TYPES), part(IDS), part(STEPS)).prop_map(
            move |(of, kind, id, step)| {
                let path = route.path.replace("{organization}", &of).replace("{type}", &kind);
                path.replace("{id}", &id).replace("{step}", &step)
            },
        );
        (Just(route.path), method(route), path, body(route.path))
    });
    let query = prop_oneof![
        2 => Just(None),
        2 => one_of(QUERIES).prop_map(Some),
    ];
    (target, query, own_fields())
        .prop_map(|((route, method, path, body), query, fields)| {
            let is_list = !route.contains("{id}") && ["GET", "HEAD"].contains(&method.as_str());
            // Elsewhere a query is always refused, which would hide what comes after.
            let query = query.filter(|query| is_list || query.len() < 3);
            let uri = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            Sent { method, route, uri, fields, body }
        })
        .prop_filter("hyper refuses what is no URI", |sent| sent.uri.parse::<axum::http::Uri>().is_ok())
}

/// What is on the log of a request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    readings: usize,
    changes: usize,
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    stateful: Stateful,
    document: Value,
    /// The first position of the log that was not looked at.
    next: Cell<u64>,
    answers: RefCell<BTreeSet<(u16, String)>>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stateful = runtime.block_on(Stateful::new());
        let (document, next, answers) = (openapi::document(), Cell::new(0), RefCell::default());
        Self { runtime, stateful, document, next, answers }
    }

    /// Whether the document has this method for this route.
    fn serves(&self, sent: &Sent) -> bool {
        self.document["paths"][sent.route].get(sent.method.to_lowercase()).is_some()
    }

    fn written(&self) -> Written {
        let entries = self.stateful.audited.shelf().reader(2026).unwrap().entries(self.next.get()).unwrap();
        let mut written = Written::default();
        for entry in entries {
            let (place, record) = decoded(2026, &entry.unwrap()).unwrap();
            self.next.set(place.position + 1);
            match record.event {
                Event::Administration(read) if read.action == "state.read" => written.readings += 1,
                Event::StateChanged(_) => written.changes += 1,
                _ => {}
            }
        }
        written
    }

    /// Sends it, and holds the answer to what every answer must be.
    fn send(&self, sent: &Sent) -> Result<(), TestCaseError> {
        let mut fields = vec![("authorization", "Bearer clerk-key")];
        fields.extend(sent.fields.iter().map(|(name, value)| (*name, value.as_str())));
        let asked = request(&sent.method, &sent.uri, &fields, sent.body.clone());
        let version = self.stateful.state.version();
        let world = &self.stateful.audited.world;
        let reply = self.runtime.block_on(world.send(asked));
        let (status, text) = (reply.status, &reply.body);
        prop_assert!(status < 500, "{status}: {text}");
        prop_assert!(!world.last_line().contains(CANARY), "{}", world.last_line());
        prop_assert_eq!(world.service.panics(), 0);

        let written = self.written();
        let changed = usize::from(self.stateful.state.version() != version);
        prop_assert_eq!(written.changes, changed, "{}: {}", status, text);
        let reads = ["GET", "HEAD"].contains(&sent.method.as_str());
        if status < 300 {
            prop_assert_eq!(written.readings, usize::from(reads), "{}", text);
            prop_assert!(!(reads && changed > 0));
        } else {
            prop_assert_eq!(changed, 0, "{}: {}", status, text);
            prop_assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", text);
            prop_assert!(!format!("{:?}", reply.headers).contains(CANARY), "{:?}", reply.headers);
        }
        if sent.method == "HEAD" {
            return Ok(());
        }
        if status != 405 && self.serves(sent) {
            documented(&sent.method, sent.route.trim_start_matches("/{organization}/state/v1/"), &reply);
        }
        if status >= 400 {
            let problem = reply.json();
            let schema = &self.document["components"]["schemas"]["Problem"];
            prop_assert_eq!(openapi::check(&self.document, schema, &problem), Ok(()));
            prop_assert_eq!(&problem["status"], status);
            let code = problem["type"].as_str().unwrap().trim_start_matches("urn:assent:problem:").to_owned();
            // Who may write facts is told which of the own ones do not fit.
            if code != "invalid-facts" {
                prop_assert!(!text.contains(CANARY), "{text}");
            }
            self.answers.borrow_mut().insert((status, code));
        } else {
            self.answers.borrow_mut().insert((status, String::new()));
        }
        Ok(())
    }
}

#[test]
fn whatever_is_asked_of_the_state_is_answered_in_form_and_changes_nothing_where_it_is_refused() {
    let bench = Bench::new();
    let config = Config { cases: REQUESTS, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&sent(), |sent| bench.send(&sent));
    run.unwrap_or_else(|failure| panic!("{failure}"));
    // What is made up comes far enough; the test below comes everywhere.
    let answers = bench.answers.take();
    for (status, code) in
        [(200, ""), (400, "malformed"), (403, "no-right"), (404, "not-found"), (405, "method")]
    {
        assert!(answers.contains(&(status, code.to_owned())), "{status} {code}: {answers:?}");
    }
}

#[test]
fn every_refusal_is_in_form_and_changes_nothing() {
    let bench = Bench::new();
    let many = format!("[{}1]", "1,".repeat(30_000));
    let deep = format!("{{\"attrs\":{}1{}}}", "{\"role\":".repeat(100), "}".repeat(100));
    let big = format!("{{\"attrs\":{{\"role\":\"{}\"}}}}", "x".repeat(1 << 20));
    let batch = |change: &str| format!("{{\"changes\":[{change}]}}");
    let (role, hold) =
        (r#"{"attrs":{"role":"Canary7"}}"#, r#"{"target":{"caller":"portal"},"reason":"Canary7"}"#);
    let emergency = r#"{"patient":{"type":"Patient","id":"Canary7"},"reason":"x","justification":"Canary7"}"#;
    let user = "entities/{type}/{id}";
    let fields = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let person = || fields("assent-person", "User/alice");
    let none = Vec::new;
    for (method, route, path, fields, body, expected) in [
        ("PUT", user, "entities/User/new", none(), role, (201, "")),
        ("PUT", user, "entities/User/new", fields("if-none-match", "*"), role, (412, "changed-meanwhile")),
        ("PUT", user, "entities/User/new", fields("if-match", "Canary7"), role, (400, "malformed")),
        ("PUT", user, "entities/User/new", fields("assent-person", "Canary7"), role, (400, "no-person")),
        ("PUT", user, "entities/User/new", fields("idempotency-key", "Canary7 7"), role, (400, "malformed")),
        ("PUT", user, "entities/User/new", fields("content-type", "text/Canary7"), role, (400, "malformed")),
        ("PUT", user, "entities/User/new?x=Canary7", none(), role, (400, "parameter")),
        ("PUT", user, "entities/User/new", none(), &many, (400, "malformed")),
        ("PUT", user, "entities/User/new", none(), &deep, (400, "malformed")),
        ("PUT", user, "entities/User/new", none(), &big, (413, "too-large")),
        ("PUT", user, "entities/User/new", none(), r#"{"attrs":{"role":7}}"#, (422, "invalid-facts")),
        ("PUT", user, "entities/User/%00", none(), role, (422, "invalid-facts")),
        ("PUT", user, "entities/Usre/Canary7", none(), role, (422, "invalid-facts")),
        ("PUT", user, "entities/EmergencyAccess/Canary7", none(), role, (403, "of-a-workflow")),
        ("PATCH", user, "entities/EmergencyAccess/Canary7", none(), role, (403, "of-a-workflow")),
        ("DELETE", user, "entities/EmergencyAccess/Canary7", none(), "", (403, "of-a-workflow")),
        ("PATCH", user, "entities/User/Canary7", none(), role, (404, "unknown-entity")),
        ("DELETE", user, "entities/User/alice", none(), "", (409, "in-files")),
        ("POST", user, "entities/User/alice", none(), role, (405, "method")),
        ("GET", user, "entities/User/Canary7", none(), "", (404, "not-found")),
        ("GET", user, "entities/User%2FCanary7/x", none(), "", (404, "not-found")),
        ("GET", user, "entities/User/new", fields("authorization", "Bearer hill-key"), "", (403, "no-right")),
        ("GET", user, "entities/User/new", fields("authorization", "Canary7"), "", (401, "unauthenticated")),
        (
            "PUT",
            user,
            "entities/User/new",
            fields("authorization", "Bearer reader-key"),
            role,
            (403, "no-right"),
        ),
        (
            "POST",
            "entities",
            "entities",
            none(),
            &batch(r#"{"put":{"uid":{"type":"EmergencyAccess","id":"Canary7"}}}"#),
            (422, "refused"),
        ),
        (
            "POST",
            "entities",
            "entities",
            none(),
            &batch(r#"{"grant":{"uid":{"type":"User","id":"Canary7"}}}"#),
            (400, "malformed"),
        ),
        ("POST", "entities", "entities", none(), &batch(""), (400, "malformed")),
        ("POST", "holds", "holds", person(), hold, (201, "")),
        ("POST", "holds", "holds", none(), hold, (400, "no-person")),
        ("POST", "holds", "holds", fields("assent-person", "Record/record-1"), hold, (403, "person-unfit")),
        ("POST", "holds", "holds", person(), r#"{"target":"Canary7","reason":"x"}"#, (400, "malformed")),
        (
            "POST",
            "holds",
            "holds",
            person(),
            r#"{"target":{"plugin":"Canary7"},"reason":"x"}"#,
            (422, "unknown-target"),
        ),
        ("POST", "holds/{id}/{step}", "holds/Canary7/Canary7", person(), "{}", (404, "no-such-step")),
        ("POST", "holds/{id}/{step}", "holds/Canary7/take-back", person(), "{}", (404, "not-found")),
        ("GET", "holds", "holds?status=Canary7&limit=1", none(), "", (200, "")),
        ("GET", "holds", "holds?Canary7=x", none(), "", (400, "parameter")),
        ("POST", "emergencies", "emergencies", person(), emergency, (422, "no-rule")),
        ("PUT", "consents/{id}", "consents/Canary7", person(), "Canary7", (400, "malformed")),
        ("PUT", "consents/{id}", "consents/Canary7", person(), &many, (400, "malformed")),
        ("PUT", "consents/{id}", "consents/Canary7", person(), role, (422, "not-a-consent")),
        ("GET", "lapses", "lapses?within=Canary7", none(), "", (400, "parameter")),
    ] {
        let sent = Sent {
            method: method.to_owned(),
            route: ROUTES
                .iter()
                .map(|known| known.path)
                .find(|known| known.ends_with(&format!("/state/v1/{route}")))
                .unwrap(),
            uri: format!("/bay/state/v1/{path}"),
            fields,
            body: body.as_bytes().to_vec(),
        };
        bench.answers.take();
        bench.send(&sent).unwrap_or_else(|failure| panic!("{method} {path}: {failure}"));
        assert_eq!(
            bench.answers.take(),
            [(expected.0, expected.1.to_owned())].into(),
            "{method} {path} {}",
            &body[..body.len().min(80)]
        );
    }
}
