//! INVARIANT (no patient in logs): whatever a document says, no message and no `Debug` repeats it.

use assent_fhir::{Outcome, Unreadable, Unsupported, Why};
use serde_json::{Value, json};

use crate::support::{CASES, document, read_consent, read_text, settings};

const CANARY: &str = "canary7731";

/// The ways to every value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{position}"), found);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                pointers(item, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// Everything of an outcome that may reach a log, a message or a person who is not asked about this patient.
fn said(outcome: &Result<Outcome, Unreadable>) -> String {
    let mut said = format!("{outcome:?}");
    match outcome {
        Err(error) => said += &error.to_string(),
        Ok(Outcome::Directive(directive)) => {
            said += &directive.entity["attrs"]["unsupported"].to_string();
            said += &json!([directive.unsupported, directive.notes, directive.rule]).to_string();
        }
        Ok(Outcome::Other(other)) => said += &json!(other.unsupported).to_string(),
    }
    said.to_lowercase()
}

/// The canary as a value, as part of one, and as a name that could be an element's.
fn canaries() -> [Value; 6] {
    [
        json!(CANARY),
        json!(format!("Patient/{CANARY}")),
        json!([CANARY]),
        json!({"reference": CANARY, "system": CANARY, "code": CANARY, "url": CANARY, CANARY.to_uppercase(): 1}),
        json!({CANARY: {CANARY: CANARY}, format!("_{CANARY}"): {CANARY: 1}}),
        json!({CANARY: {"modifierExtension": [{"url": CANARY, "id": CANARY}]}, "extension": [{"url": CANARY}]}),
    ]
}

#[test]
fn a_value_or_name_anywhere_is_repeated_nowhere() {
    let (mut read, mut kept) = (0, 0);
    for case in CASES.iter() {
        let mut found = vec![];
        pointers(&case.document, "", &mut found);
        for pointer in found.iter().filter(|pointer| !pointer.is_empty()) {
            for value in canaries() {
                let mut document = case.document.clone();
                let at = document.pointer_mut(pointer).unwrap();
                // Beside what is there as well as in its place.
                match (at.as_object_mut(), value.as_object()) {
                    (Some(at), Some(value)) => at.extend(value.clone()),
                    _ => *at = value,
                }
                let outcome = read_consent(&document);
                let said = said(&outcome);
                assert!(!said.contains(CANARY), "{}: {pointer}: {said}", case.name);
                read += 1;
                if let Ok(Outcome::Directive(directive)) = &outcome {
                    let whole = json!([directive.entity, directive.provenance]).to_string();
                    kept += usize::from(whole.contains(CANARY));
                }
            }
        }
    }
    assert!(read > 5_000, "{read} documents");
    // What is searched for does get into what is kept, so that it would be found were it said.
    assert!(kept > 1_000, "{kept} of {read} documents");
}

#[test]
fn a_name_that_is_there_twice_is_not_repeated() {
    let text = |members: &str| document("plain").to_string().replacen('{', &format!("{{{members},"), 1);
    for members in [
        format!(r#""{CANARY}":1,"{CANARY}":2"#),
        format!(r#""contained":[{{"{CANARY}":{{"{CANARY}":1,"{CANARY}":1}}}}]"#),
        format!(r#""meta":{{"{CANARY}":{{"id":1,"id":"{CANARY}"}}}}"#),
    ] {
        let outcome = read_text(text(&members).as_bytes());
        let Ok(Outcome::Directive(directive)) = &outcome else { panic!("{outcome:?}") };
        assert!(directive.unsupported.iter().any(|found| found.why == Why::Malformed), "{members}");
        assert!(!said(&outcome).contains(CANARY), "{members}: {}", said(&outcome));
    }
}

#[test]
fn the_search_finds_what_is_said() {
    let consent = document("plain");
    let Ok(Outcome::Directive(mut directive)) = read_consent(&consent) else { panic!() };
    directive.unsupported.push(Unsupported {
        path: format!("Consent.{CANARY}"),
        why: Why::Code,
        expected: None,
    });
    assert!(said(&Ok(Outcome::Directive(directive))).contains(CANARY));
}

#[test]
fn settings_print_only_how_many() {
    assert_eq!(
        format!("{:?}", settings()),
        "Settings(2 policies, 2 with forms, 1 servers, 2 identifiers, 1 harmless extensions)"
    );
}
