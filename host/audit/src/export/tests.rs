//! Every record has a valid view in every form, whatever text it holds; cursors never leave out a record.

use std::collections::BTreeMap;

use assent_model::{EntityId, OrganizationId};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::record::tests::{any_record, any_text, at, decided, plain_decision};
use crate::record::{CallerRefused, DecisionEvent};

fn source() -> Source {
    Source {
        log: "audit.example.org/clinic/2026".into(),
        node: "pdp-1".into(),
        organization: "clinic".into(),
        software: "0.1.0".into(),
        // The number for documentation (RFC 5612).
        enterprise: 32_473,
    }
}

/// A record whose names are hostile in every place where a name can be.
fn hostile() -> impl Strategy<Value = Record> {
    (any_record(), any_text(), any_text()).prop_map(|(mut record, text, other)| {
        match &mut record.event {
            Event::Decision(decision) => {
                decision.subject.entity.id = text.as_str().into();
                decision.resource.entity = EntityId::new(other.clone(), text.clone());
                decision.caller.id = other.clone();
                decision.action = text.clone();
                decision.request_id = Some(other.clone());
                decision.patient = Some(EntityId::new("Patient", text.clone()));
                decision.consents = vec![EntityId::new("Consent", other.clone())];
                decision.caller.address = Some(text.clone());
                decision.purpose = Some(other);
            }
            Event::CallerRefused(refused) => {
                *refused = CallerRefused {
                    caller: Some(text.clone()),
                    address: Some(other),
                    organization: None,
                    reason: text,
                    times: 2,
                    since: None,
                };
            }
            Event::Administration(event) => {
                event.target = EntityId::new(text.clone(), other);
                event.by.entity.id = text.into();
            }
            Event::ReleaseArchived(part) => {
                part.software = other;
                part.pieces[0].file = text;
            }
            _ => {}
        }
        record
    })
}

/// What OCSF 1.8.0 says of the attributes that we use.
#[derive(Deserialize)]
struct Schema {
    classes: BTreeMap<String, Type>,
    objects: BTreeMap<String, Type>,
}

#[derive(Deserialize)]
struct Type {
    required: Vec<String>,
    at_least_one: Vec<String>,
    attributes: BTreeMap<String, Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    object: Option<String>,
    #[serde(default)]
    array: bool,
    r#enum: Option<Vec<i64>>,
}

fn schema() -> Schema {
    serde_json::from_str(include_str!("../../tests/data/ocsf-1.8.0.json")).unwrap()
}

fn check(schema: &Schema, form: &Type, value: &Value, path: &str, problems: &mut Vec<String>) {
    let Some(members) = value.as_object() else {
        problems.push(format!("{path} is no object"));
        return;
    };
    for name in &form.required {
        if !members.contains_key(name) {
            problems.push(format!("{path}.{name} is missing"));
        }
    }
    if !form.at_least_one.is_empty() && !form.at_least_one.iter().any(|name| members.contains_key(name)) {
        problems.push(format!("{path} has none of {:?}", form.at_least_one));
    }
    for (name, value) in members {
        let path = format!("{path}.{name}");
        let Some(attribute) = form.attributes.get(name) else {
            problems.push(format!("{path} is not known"));
            continue;
        };
        let items: Vec<&Value> = match value {
            Value::Array(items) if attribute.array || attribute.r#type == "string" => items.iter().collect(),
            single if !attribute.array => vec![single],
            _ => {
                problems.push(format!("{path} is no list"));
                continue;
            }
        };
        for item in items {
            let fits = match attribute.r#type.as_str() {
                "integer" => item.is_i64() || item.is_u64(),
                "boolean" => item.is_boolean(),
                "object" => item.is_object(),
                "string" => item.is_string(),
                _ => true,
            };
            let listed = attribute.r#enum.as_ref();
            if !fits || listed.is_some_and(|listed| !item.as_i64().is_some_and(|n| listed.contains(&n))) {
                problems.push(format!("{path} is {item}"));
            }
            if let Some(object) = &attribute.object {
                check(schema, &schema.objects[object], item, &path, problems);
            }
        }
    }
}

fn ocsf_problems(event: &Value) -> Vec<String> {
    let schema = schema();
    let mut problems = vec![];
    let class = event["class_uid"].to_string();
    check(&schema, &schema.classes[&class], event, &class, &mut problems);
    problems
}

/// FHIR R4's own rules that concern us, and the slices of BALP's closed profile where it is claimed.
fn fhir_problems(event: &Value) -> Vec<String> {
    let mut problems = vec![];
    let mut demand = |fits: bool, what: &str| {
        if !fits {
            problems.push(what.to_owned());
        }
    };
    let agents = event["agent"].as_array().unwrap();
    demand(agents.iter().all(|agent| agent["requestor"].is_boolean()), "agent.requestor is required");
    demand(agents.iter().all(|agent| agent["who"].is_object()), "each agent is somebody");
    demand(event["source"]["observer"].is_object(), "source.observer is required");
    demand(["0", "4", "8", "12"].contains(&event["outcome"].as_str().unwrap()), "outcome");
    demand(["C", "R", "U", "D", "E"].contains(&event["action"].as_str().unwrap()), "action");
    let id = event["id"].as_str().unwrap();
    demand((1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()), "id");
    let mut strings = vec![];
    texts(event, &mut strings);
    demand(strings.iter().all(|text| !text.trim().is_empty()), "no string is empty");
    demand(strings.iter().all(|text| !text.contains(char::is_control)), "no string has control characters");
    if event["meta"]["profile"].is_array() {
        let coded = |entity: &Value| entity["type"]["code"].as_str().map(str::to_owned);
        let entities: Vec<_> = event["entity"].as_array().unwrap().iter().map(coded).collect();
        let count = |code: &str| entities.iter().filter(|found| found.as_deref() == Some(code)).count();
        demand(count("1") == 1 && count("Consent") >= 1, "one patient and a consent");
        demand(count("1") + count("Consent") == entities.len(), "the slices are closed");
        let agent = |code: &str| agents.iter().find(|a| a["type"]["coding"][0]["code"] == code);
        demand(agent("110150").is_some_and(|client| client["network"].is_object()), "client with network");
        demand(agent("IRCP").is_some_and(|user| user["requestor"] == true), "user who asks");
        let authorizer = agent("authserver").unwrap();
        demand(authorizer["who"] == event["source"]["observer"], "the authorizer is the observer");
    }
    problems
}

fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// Parses RFC 5424 as far as structured data goes; `None` where it is malformed.
fn structured_data(message: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = message.split_once(" [assent@32473")?.1;
    let mut values = BTreeMap::new();
    while let Some(after) = rest.strip_prefix(' ') {
        let (name, after) = after.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (place, '"') => break place,
                (_, ']') => return None,
                (_, '\\') => value.push(characters.next()?.1),
                (_, c) => value.push(c),
            }
        };
        values.insert(name.to_owned(), value);
        rest = &after[end + 1..];
    }
    rest.starts_with("] \u{feff}").then_some(values)
}

proptest! {
    #[test]
    fn every_view_of_any_record_is_one_valid_line(record in hostile(), position in any::<u32>()) {
        let (source, position) = (source(), u64::from(position));
        let ocsf = ocsf(&source, position, &record);
        let fhir = fhir(&source, position, &record);
        for text in [jsonl(&source, position, &record), line(&ocsf), line(&fhir), syslog(&source, position, &record)] {
            prop_assert!(!text.contains("content of"), "archived files leave with their log alone");
        }
        for text in [jsonl(&source, position, &record), line(&ocsf), line(&fhir)] {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            prop_assert!(!text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{}", text);
        }
        prop_assert_eq!(ocsf_problems(&ocsf), Vec::<String>::new());
        prop_assert_eq!(fhir_problems(&fhir), Vec::<String>::new());
    }

    #[test]
    fn a_syslog_message_is_one_line_whose_values_cannot_escape(record in hostile(), position in any::<u32>()) {
        let message = syslog(&source(), u64::from(position), &record);
        prop_assert!(!message.contains(crate::text::is_unprintable), "{:?}", message);
        let values = structured_data(&message);
        prop_assert!(values.is_some(), "{:?}", message);
        let position = position.to_string();
        prop_assert!(values.unwrap().get("position") == Some(&position));
    }

    #[test]
    fn the_words_of_a_justification_leave_in_the_whole_record_only(record in any_record()) {
        let mut record = record;
        if let Event::Decision(decision) = &mut record.event {
            decision.justification = Some("the secret reason".into());
        }
        let source = source();
        let views = [ocsf(&source, 7, &record).to_string(), fhir(&source, 7, &record).to_string(), syslog(&source, 7, &record)];
        prop_assert!(views.iter().all(|view| !view.contains("the secret reason")));
    }
}

#[test]
fn the_profile_is_claimed_only_where_it_applies() {
    type Change = fn(&mut DecisionEvent);
    let with = |change: Change| {
        let mut decision = plain_decision();
        decision.consents = vec![EntityId::new("Consent", "c1")];
        change(&mut decision);
        let event = fhir(&source(), 7, &decided("2026-11-21T18:00:00Z", decision));
        (event["meta"]["profile"].is_array(), event["subtype"][0]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(with(|_| {}), (true, "AuthZ-Consent".into()));
    assert_eq!(with(|d| d.consents.clear()), (false, "AuthZ-Role".into()));
    assert_eq!(with(|d| d.patient = None), (false, "AuthZ-Consent".into()));
    assert_eq!(with(|d| d.caller.address = None), (false, "AuthZ-Consent".into()));
}

#[test]
fn what_leaves_can_be_told_apart_and_recognised() {
    let record = Record::new(
        at("2026-11-21T18:00:00Z"),
        Event::CallerRefused(CallerRefused {
            caller: None,
            address: None,
            organization: Some(OrganizationId::new("clinic").unwrap()),
            reason: "expired".into(),
            times: 1,
            since: None,
        }),
    );
    let other = Source { log: "audit.example.org/clinic/2027".into(), ..source() };
    let id = event_id(&source(), 7, &record);
    assert_eq!(id, event_id(&source(), 7, &record));
    assert_ne!(id, event_id(&source(), 8, &record));
    assert_ne!(id, event_id(&other, 7, &record));
}

mod cursors {
    use super::super::*;
    use proptest::prelude::*;

    #[derive(Debug, thiserror::Error)]
    #[error("down")]
    struct Down;

    proptest! {
        // Each step waits for the disk.
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn nothing_is_left_out_whenever_delivery_or_the_process_fails(
            size in 0..60_u64,
            batch in 1..9_usize,
            failures in prop::collection::vec(0..3_u8, 0..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cursor");
            let mut received = vec![];
            let mut failures = failures.into_iter();
            loop {
                // Each round is a new process: what it knows is in the file.
                let mut cursor = Cursor::open(&path, "log").unwrap();
                let before = std::fs::read(&path).ok();
                let mut crash = false;
                let result = follow(&mut cursor, (0..size).map(|n| Ok((n, ()))), batch, |items| {
                    match failures.next() {
                        Some(1) => return Err(Down),
                        Some(2) => crash = true,
                        _ => {}
                    }
                    received.extend(items.iter().map(|(position, ())| *position));
                    Ok(())
                });
                if crash {
                    // Delivered, and died before the cursor was durable.
                    match before {
                        Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                        None => drop(std::fs::remove_file(&path)),
                    }
                } else if result.is_ok() {
                    prop_assert_eq!(cursor.next(), size);
                    break;
                }
            }
            received.sort_unstable();
            received.dedup();
            prop_assert_eq!(received, (0..size).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_cursor_stands_still_while_delivery_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::open(&folder.path().join("cursor"), "log").unwrap();
        let error = follow(&mut cursor, [Ok((0, ())), Ok((1, ()))], 1, |_| Err(Down)).unwrap_err();
        assert!(matches!(error, FollowError::Delivery { from: 0, source: Down }));
        assert_eq!(cursor.next(), 0);
    }

    #[test]
    fn what_was_read_before_the_log_failed_is_delivered() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::open(&folder.path().join("cursor"), "log").unwrap();
        let mut received = vec![];
        let items = [Ok((3, ())), Ok((5, ())), Err(Down), Ok((6, ()))];
        let error = follow(&mut cursor, items, 9, |batch| {
            received.extend(batch.iter().map(|(position, ())| *position));
            Ok(())
        });
        assert!(matches!(error, Err(FollowError::Reading { from: 6, source: Down })));
        assert_eq!(received, [3, 5]);
    }

    #[test]
    fn a_cursor_that_was_cut_off_or_is_anothers_stops_the_exporter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursor");
        let mut cursor = Cursor::open(&path, "log").unwrap();
        cursor.delivered(12).unwrap();
        cursor.delivered(5).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(Cursor::open(&path, "log").unwrap().next(), 12);
        assert!(matches!(Cursor::open(&path, "other"), Err(CursorError::OtherLog { .. })));
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(Cursor::open(&path, "log"), Err(CursorError::Damaged { .. })), "{length}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(Cursor::open(&path, "log"), Err(CursorError::Damaged { .. })));
    }
}
