//! Records read back what they write, in one spelling; and show nothing of it in `Debug`.

use std::collections::{BTreeMap, BTreeSet};

use assent_model::{
    Action, BindingOutcome, Cause, DecisionId, Denial, Digest, Effect, Entity, EntityId, FailureKind,
    Findings, Ground, Obligation, ObligationCode, OrganizationId, Party, PluginFailure, PolicyNote,
    Properties, Request, Value, Verdict, VerdictEffect,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Decisions and events over small sets of names, so that searches and reports meet repetition.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let millis = 1_790_000_000_000..1_790_100_000_000_i64;
    (millis, any_event())
        .prop_map(|(millis, event)| Record::new(Instant::from_millis(millis).unwrap(), event))
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any_decision().prop_map(|decision| Event::Decision(Box::new(decision))),
        1 => name("adm").prop_map(|who| Event::Administration(Administration {
            by: actor(&who),
            action: "account.create".into(),
            target: EntityId::new("Practitioner", "prac-1"),
            before: None,
            after: Some(json!({ "role": "nurse" })),
            reason: Some("hired".into()),
        })),
        1 => (name("adm"), patient(), any::<u8>()).prop_map(|(who, patient, id)| {
            Event::StateChanged(StateChange {
                organization: OrganizationId::new("clinic").unwrap(),
                version: u64::from(id),
                by: actor(&who),
                decision: Some(DecisionId::from_bits(u128::from(id % 8))),
                items: vec![
                    StateItem {
                        change: StateVerb::Reviewed,
                        section: "break-glass".into(),
                        target: EntityId::new("BreakGlassReview", "r1"),
                        patient: patient.clone(),
                        payload: serde_json::Value::Null,
                    },
                    StateItem {
                        change: StateVerb::Created,
                        section: "entity".into(),
                        target: EntityId::new("Group", format!("g{id}")),
                        patient: None,
                        payload: json!({ "attrs": {}, "parents": [] }),
                    },
                ],
            })
        }),
        1 => (patient(), any::<u8>()).prop_map(|(patient, id)| Event::StateCarried(StateCarried {
            organization: OrganizationId::new("clinic").unwrap(),
            year: 2019,
            set: Digest::of(b"set"),
            part: 1,
            parts: 2,
            overtaken: vec![Digest::of(b"overtaken").to_string()],
            changes: vec![CarriedChange {
                since: Some(1),
                version: u64::from(id) + 2,
                seq: 7,
                record: Digest::of(b"record").to_string(),
                items: vec![StateItem {
                    change: StateVerb::Created,
                    section: "entity".into(),
                    target: EntityId::new("Group", format!("g{id}")),
                    patient,
                    payload: json!({ "attrs": { "name": "doc-1" }, "parents": [] }),
                }],
            }],
        })),
        1 => any_text().prop_map(|note| Event::ServiceStarted(ServiceRun {
            node: "node-1".into(),
            software: "0.1.0".into(),
            note: Some(note),
        })),
        1 => (name("adm"), patient()).prop_map(|(who, patient)| Event::AuditRead(AuditRead {
            by: actor(&who),
            what: AuditUse::Search,
            patient,
            query: Some(json!({ "effect": "deny" })),
            records: 3,
            destination: None,
        })),
        1 => (name("file"), any_text(), 1..4_u32).prop_map(|(file, content, part)| {
            Event::ReleaseArchived(ReleaseArchived {
                organization: OrganizationId::new("clinic").unwrap(),
                release: Digest::of(b"release"),
                facts: Digest::of(file.as_bytes()),
                archive: Digest::of(b"archive"),
                part,
                parts: 3,
                software: "0.1.0".into(),
                pieces: vec![ArchivedPiece {
                    file,
                    digest: Digest::of(b"file"),
                    bytes: 1,
                    offset: 0,
                    content: Some(format!("content of {content}")),
                }],
            })
        }),
        1 => Just(Event::CallerRefused(CallerRefused {
            caller: Some("portal".into()),
            address: Some("10.0.0.9".into()),
            organization: None,
            reason: "expired".into(),
            times: 1,
            since: None,
        })),
    ]
}

fn actor(who: &str) -> Actor {
    Actor {
        entity: EntityId::new("Practitioner", who),
        caller: Some("cli".into()),
        address: None,
        account: None,
    }
}

fn name(prefix: &'static str) -> impl Strategy<Value = String> {
    (0..4_u8).prop_map(move |number| format!("{prefix}-{number}"))
}

fn patient() -> impl Strategy<Value = Option<EntityId>> {
    proptest::option::of(name("pat").prop_map(|id| EntityId::new("Patient", id)))
}

/// Text with everything that breaks lines, quotes, markup and terminals.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("a\"b\\c]d\n\r\t\u{0}\u{1b}[31m\u{2028}\u{2029}\u{85}=|<script>&\u{feff}".to_owned()),
        Just("reads the chart".to_owned()),
    ]
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_filter_map("finite", |n| n.is_finite().then(|| json!(n))),
        any_text().prop_map(|t| json!(t)),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::vec((any_text(), inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(crate) fn any_decision() -> impl Strategy<Value = DecisionEvent> {
    let who = (name("prac"), name("portal"), patient(), name("doc"));
    let action = prop_oneof![Just("read"), Just("search"), Just("export"), Just("update"), Just("print")];
    let purpose = prop::option::of(prop_oneof![Just("TREAT"), Just("HRESCH"), Just("BTG"), Just("PATRQT")]);
    let what = (action, purpose, prop::option::of(any_text()), any_json(), any::<bool>());
    let answer = (prop::sample::select(Cause::ALL), 0..4_u8, 0..4_u8, any::<u32>(), any::<bool>());
    (any::<u128>(), who, what, answer).prop_map(
        |(
            bits,
            (subject, caller, patient, resource),
            (action, purpose, why, extra, part2),
            (cause, p, q, us, btg),
        )| {
            let entity = EntityId::new("Practitioner", subject.clone());
            let party = |kind: &str, id: &str| Party {
                kind: kind.into(),
                id: id.into(),
                properties: Properties::new(),
            };
            DecisionEvent {
                id: DecisionId::from_bits(bits),
                organization: OrganizationId::new("clinic").unwrap(),
                caller: CallerSeen {
                    id: caller,
                    environment: "production".into(),
                    rights: BTreeSet::from(["decide".into()]),
                    obligations: Registered::All,
                    address: Some("10.2.3.4".into()),
                },
                request_id: Some(format!("req-{q}")),
                request: Request {
                    subject: party("practitioner", &subject),
                    action: Action { name: action.into(), properties: Properties::new() },
                    resource: party("document", &resource),
                    context: Properties::from_iter([("extra".to_owned(), extra)]),
                },
                subject: Subject { entity, roles: vec!["physician".into()], organization: None },
                action: action.into(),
                resource: Resource {
                    entity: EntityId::new("DocumentReference", resource),
                    labels: vec!["N".into()],
                    part2,
                },
                patient,
                recipient: None,
                purpose: purpose.map(str::to_owned),
                justification: why,
                relations: vec![],
                consents: vec![],
                release: Digest::of(b"release"),
                facts: FactsSeen {
                    snapshot: Digest::of(b"facts"),
                    state: btg.then(|| StateSeen { version: u64::from(us), base: Digest::of(b"base") }),
                    read: BTreeMap::from([
                        ("subject.active".into(), FactRead::Value(Value::Boolean(true))),
                        ("patient.state".into(), FactRead::Absent(assent_model::Absence::NotRecorded)),
                    ]),
                    entities: vec![Entity {
                        id: EntityId::new("Patient", "pat-1"),
                        attributes: [("state", Value::Text("CA".into()))].into(),
                        ancestors: [].into(),
                        provided: None,
                    }],
                },
                explained: false,
                outcome: outcome(cause, p, q, btg),
                latency_us: u64::from(us),
            }
        },
    )
}

fn outcome(cause: Cause, policy: u8, plugin: u8, btg: bool) -> Outcome {
    let note = PolicyNote {
        id: format!("policy-{policy}"),
        permits: cause == Cause::Permit,
        intent: None,
        source: None,
        message: None,
        reveals: false,
        obligations: vec![],
        advice: vec![],
        remedies: vec![],
    };
    let denial = Denial {
        code: "P8d".into(),
        message: "ask pat-1".into(),
        ground: Ground::LawProhibits,
        citation: None,
        remedies: vec![],
        neutral: true,
    };
    let result = if plugin == 0 {
        Err(PluginFailure::new(FailureKind::Fuel, "looped"))
    } else {
        Ok(Findings { denials: vec![denial], ..Findings::default() })
    };
    let effect = if cause == Cause::Permit { Effect::Permit } else { Effect::Deny };
    let verdict = match cause {
        Cause::Permit => Some(VerdictEffect::Permit),
        Cause::Forbidden => Some(VerdictEffect::Forbidden),
        Cause::NoPolicy => Some(VerdictEffect::NoPolicy),
        Cause::Indeterminate => None,
    };
    Outcome {
        effect,
        cause,
        verdict: verdict.map(|effect| Verdict {
            effect,
            determining: vec![note],
            errors: vec![],
            permit_satisfied: cause == Cause::Permit,
        }),
        plugins: vec![BindingOutcome {
            binding: format!("bind-{plugin}"),
            plugin: "adolescent-privacy 0.1.0".into(),
            component: Digest::of(b"component"),
            settings: Digest::of(b"settings"),
            result,
            fuel_used: 1200,
        }],
        obligations: if btg { vec![Obligation::new(ObligationCode::BreakGlassReview)] } else { vec![] },
        advice: vec![],
        problems: vec![],
    }
}

/// The canonical form, by way of a tree and of text.
fn naive(json: &serde_json::Value) -> Vec<u8> {
    let text = match json {
        serde_json::Value::Array(items) => {
            let items = items.iter().map(|item| String::from_utf8(naive(item)).unwrap());
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Object(members) => {
            let sorted: BTreeMap<Vec<u16>, _> =
                members.iter().map(|(name, item)| (name.encode_utf16().collect(), (name, item))).collect();
            let member =
                |(name, item)| format!("{}:{}", json!(name), String::from_utf8(naive(item)).unwrap());
            format!("{{{}}}", sorted.into_values().map(member).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    };
    text.into_bytes()
}

/// A decision as plain as can be, to change in a test.
pub(crate) fn plain_decision() -> DecisionEvent {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut decision = any_decision().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    decision.outcome = outcome(Cause::Permit, 1, 1, false);
    decision.action = "read".into();
    decision.purpose = Some("TREAT".into());
    decision.patient = Some(EntityId::new("Patient", "pat-1"));
    decision.request.context = Properties::new();
    decision.justification = None;
    decision.resource.part2 = false;
    decision
}

pub(crate) fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub(crate) fn decided(when: &str, decision: DecisionEvent) -> Record {
    Record::new(at(when), Event::Decision(Box::new(decision)))
}

proptest! {
    #[test]
    fn a_record_reads_back_what_it_writes(record in any_record()) {
        prop_assert!(Event::KINDS.contains(&record.event.kind()));
        let bytes = record.encode().unwrap();
        let read = Record::decode(&bytes).unwrap();
        prop_assert_eq!(read.encode().unwrap(), bytes);
        prop_assert!(read == record);
    }

    #[test]
    fn canonical_bytes_are_those_of_a_sorted_tree(record in any_record(), json in any_json()) {
        prop_assert_eq!(canonical::bytes(&record).unwrap(), naive(&serde_json::to_value(&record).unwrap()));
        prop_assert_eq!(canonical::bytes(&json).unwrap(), naive(&json));
    }

    #[test]
    fn canonical_bytes_do_not_depend_on_the_order_of_members(json in any_json(), seed in any::<u64>()) {
        let shuffled = shuffle(&json, seed);
        prop_assert_eq!(canonical::bytes(&json), canonical::bytes(&shuffled));
    }

    #[test]
    fn numbers_read_back_to_the_bit(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let bytes = canonical::bytes(&json!(number)).unwrap();
        let read: f64 = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(read.to_bits(), number.to_bits());
    }

    #[test]
    fn debug_output_shows_no_name_and_no_reason(record in any_record()) {
        let text = format!("{record:?}");
        for secret in ["pat-", "prac-", "doc-", "adm-", "reads the chart", "10.2.3.4", "CA"] {
            prop_assert!(!text.contains(secret), "{}", text);
        }
    }
}

/// The same JSON with its members in another order.
fn shuffle(json: &serde_json::Value, seed: u64) -> serde_json::Value {
    match json {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, item)| (name.clone(), shuffle(item, seed))).collect();
            members.sort_by_key(|(name, _)| Digest::of(format!("{seed}{name}").as_bytes()));
            serde_json::Value::Object(members.into_iter().collect())
        }
        serde_json::Value::Array(items) => items.iter().map(|item| shuffle(item, seed)).collect(),
        other => other.clone(),
    }
}

#[test]
fn members_are_sorted_by_utf_16_as_rfc_8785_section_3_2_3_shows() {
    let json =
        json!({ "\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7 });
    let text = String::from_utf8(canonical::bytes(&json).unwrap()).unwrap();
    let expected =
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
    assert_eq!(text, expected);
}

#[test]
fn strings_are_escaped_as_rfc_8785_section_3_2_2_2_shows() {
    let json = json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}\u{2028}");
    let text = String::from_utf8(canonical::bytes(&json).unwrap()).unwrap();
    assert_eq!(text, "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\u{2028}\"");
}

fn written() -> String {
    String::from_utf8(decided("2026-11-21T18:00:00Z", plain_decision()).encode().unwrap()).unwrap()
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_name() {
    let of_version = |version| written().replace("\"version\":1}", &format!("\"version\":{version}}}"));
    let error = Record::decode(of_version(3).as_bytes()).unwrap_err();
    assert_eq!(error, RecordError::UnknownVersion { found: 3, known: 2 });
    // And one of a kind that is not of that version.
    let error = Record::decode(of_version(2).as_bytes()).unwrap_err();
    assert_eq!(error, RecordError::OtherVersion { kind: "decision", found: 2 });
}

#[test]
fn a_member_that_a_later_release_added_is_ignored() {
    let mut json: serde_json::Value = serde_json::from_str(&written()).unwrap();
    json["event"]["weather"] = json!("fair");
    json["note"] = json!("new");
    let record = Record::decode(&canonical::bytes(&json).unwrap()).unwrap();
    assert_eq!(String::from_utf8(record.encode().unwrap()).unwrap(), written());
}

#[test]
fn another_spelling_of_the_same_record_is_refused() {
    let spaced = written().replacen("{\"at\":", "{ \"at\":", 1);
    assert_eq!(Record::decode(spaced.as_bytes()), Err(RecordError::NotCanonical));
    let twice = written().replacen("{\"at\":", "{\"at\":\"1970-01-01T00:00:00Z\",\"at\":", 1);
    assert_eq!(Record::decode(twice.as_bytes()), Err(RecordError::NotCanonical));
}

#[test]
fn what_is_no_record_is_refused_without_quoting_it() {
    for (bytes, expected) in [
        (&b"{}"[..], "no `version`"),
        (b"[1", "eof error"),
        (b"{\"at\":\"pat-7\",\"event\":{\"kind\":\"pat-7\"},\"version\":1}", "form of its version"),
        (
            b"{\"at\":\"2026-11-21T18:00:00Z\",\"event\":{\"kind\":\"pat-7, expected pat-7\"},\"version\":1}",
            "expected one of",
        ),
    ] {
        let message = Record::decode(bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("pat-7"), "{message}");
    }
}

#[test]
fn a_permit_whose_cause_denies_is_neither_written_nor_read() {
    let mut decision = plain_decision();
    decision.outcome.cause = Cause::NoPolicy;
    let record = decided("2026-11-21T18:00:00Z", decision);
    assert_eq!(record.encode(), Err(RecordError::EffectContradictsCause));
    let forged = written().replacen("\"cause\":\"permit\"", "\"cause\":\"forbidden\"", 1);
    assert_eq!(Record::decode(forged.as_bytes()), Err(RecordError::EffectContradictsCause));
}

#[test]
fn a_payload_that_could_not_be_read_back_is_not_written() {
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    let record = |depth| {
        let mut decision = plain_decision();
        decision.request.context.insert("deep".into(), nested(depth));
        decided("2026-11-21T18:00:00Z", decision)
    };
    // event, request, context, and the member itself.
    let room = canonical::DEPTH_MAX - 4;
    let bytes = record(room).encode().unwrap();
    assert!(Record::decode(&bytes).is_ok());
    assert_eq!(record(room + 1).encode(), Err(RecordError::TooDeep { limit: canonical::DEPTH_MAX }));
}

#[test]
fn replay_compares_everything_but_the_fuel() {
    let one = plain_decision().outcome;
    let mut other = one.clone();
    other.plugins[0].fuel_used += 1;
    assert_eq!(one.replay_bytes(), other.replay_bytes());
    other.plugins[0].settings = Digest::of(b"other settings");
    assert_ne!(one.replay_bytes(), other.replay_bytes());
}

#[test]
fn a_member_that_is_there_twice_is_not_written() {
    struct Twice;
    impl serde::Serialize for Twice {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
        }
    }
    let refused = canonical::bytes(&Twice).unwrap_err();
    assert!(matches!(refused, RecordError::Shape { .. }), "{refused}");
}
