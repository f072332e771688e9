//! INVARIANT (no patient in logs): whatever a document says, no message and no `Debug` repeats it.

use serde_json::{Value, json};

use crate::support::{CASES, read_consent, settings};

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

#[test]
fn a_value_anywhere_is_repeated_nowhere() {
    let mut read = 0;
    for case in CASES.iter() {
        let mut found = vec![];
        pointers(&case.document, "", &mut found);
        for pointer in found.iter().filter(|pointer| !pointer.is_empty()) {
            for value in [
                json!(CANARY),
                json!(format!("Patient/{CANARY}")),
                json!([CANARY]),
                json!({"reference": CANARY, "system": CANARY, "code": CANARY, "url": CANARY, CANARY.to_uppercase(): 1}),
            ] {
                let mut document = case.document.clone();
                *document.pointer_mut(pointer).unwrap() = value;
                let outcome = read_consent(&document);
                let mut said = format!("{outcome:?}");
                match outcome {
                    Err(problems) => said += &problems.to_string(),
                    Ok(assent_fhir::Outcome::Directive(directive)) => {
                        said += &directive.entity["attrs"]["unsupported"].to_string();
                        said += &format!("{:?}{:?}", directive.unsupported, directive.notes);
                    }
                    Ok(assent_fhir::Outcome::Other(_)) => {}
                }
                assert!(!said.to_lowercase().contains(CANARY), "{}: {pointer}: {said}", case.name);
                read += 1;
            }
        }
    }
    assert!(read > 5_000, "{read} documents");
}

#[test]
fn settings_print_only_how_many() {
    assert_eq!(
        format!("{:?}", settings()),
        "Settings(2 policies, 1 servers, 2 identifiers, 1 harmless extensions)"
    );
}
