//! Every case says what comes of its document; what it does not say of what is unsupported must be nothing.

use assent_fhir::{Outcome, Remark, Why};
use serde_json::{Value, json};

use crate::support::{CASES, Case, read_text};

fn pairs<T>(list: &[T], pair: impl Fn(&T) -> Value) -> Value {
    list.iter().map(pair).collect()
}

const KNOWN: [&str; 14] = [
    "name",
    "document",
    "change",
    "replace",
    "error",
    "other",
    "id",
    "base",
    "rule",
    "attrs",
    "status",
    "unsupported",
    "notes",
    "provenance",
];

fn check(case: &Case) {
    let Case { name, document, text, expected } = case;
    let known = |key: &String| KNOWN.contains(&key.as_str());
    assert!(expected.as_object().unwrap().keys().all(known), "{name}: an expectation that is not checked");
    let none = json!([]);
    let found = |list: &[_]| pairs(list, |found: &assent_fhir::Unsupported| json!([found.path, found.why]));
    let unsupported = expected.get("unsupported").unwrap_or(&none);
    let directive = match read_text(text.as_bytes()) {
        Err(error) => return assert_eq!(expected.get("error"), Some(&json!(error.to_string())), "{name}"),
        Ok(Outcome::Other(other)) => {
            assert_eq!(Some(&json!(other.scope)), expected.get("other"), "{name}");
            assert_eq!((&*other.consent.id, &*other.patient.id), ("c2", "p1"), "{name}");
            return assert_eq!(&found(&other.unsupported), unsupported, "{name}");
        }
        Ok(Outcome::Directive(directive)) => directive,
    };
    assert!(expected.get("error").or(expected.get("other")).is_none(), "{name}: it is a directive");
    assert_eq!(&found(&directive.unsupported), unsupported, "{name}");
    let id = expected.get("id").unwrap_or(&document["id"]);
    assert_eq!(directive.entity["uid"], json!({"type": "Consent", "id": id}), "{name}");
    assert_eq!(directive.entity["uid"], json!(directive.consent), "{name}");
    assert_eq!(directive.entity["attrs"]["patient"], json!(directive.patient), "{name}");
    let attributes = &directive.entity["attrs"];
    // The mark is what is unsupported, no more and no less.
    let marks = pairs(&directive.unsupported, |found| json!(found.to_string()));
    assert_eq!(attributes.get("unsupported").unwrap_or(&json!([])), &marks, "{name}");
    assert_eq!(directive.is_objection(), attributes.get("unsupported").is_some(), "{name}");
    assert_eq!(attributes["status"], json!(directive.status), "{name}");
    let got = json!({
        "base": directive.base,
        "rule": directive.rule,
        "status": directive.status,
        "notes": pairs(&directive.notes, |note| json!([note.path, note.remark])),
    });
    for key in ["base", "rule", "status", "notes"] {
        if let Some(expected) = expected.get(key) {
            assert_eq!(&got[key], expected, "{name}: {key}");
        }
    }
    for (attribute, expected) in expected.get("attrs").and_then(Value::as_object).into_iter().flatten() {
        assert_eq!(attributes.get(attribute).unwrap_or(&Value::Null), expected, "{name}: {attribute}");
    }
    if let Some(expected) = expected.get("provenance") {
        let mut kept: Vec<_> = directive.provenance.keys().collect();
        kept.sort();
        assert_eq!(&json!(kept), expected, "{name}");
        for (element, value) in &directive.provenance {
            assert_eq!(value, &document[element], "{name}: {element}");
        }
    }
}

#[test]
fn every_case_holds() {
    assert!(CASES.len() >= 100, "{} cases", CASES.len());
    CASES.iter().for_each(check);
}

/// The codes that any case expects there.
fn expected_codes(key: &str) -> Vec<Value> {
    let all = CASES.iter().filter_map(|case| case.expected.get(key)?.as_array());
    all.flatten().map(|found| found[1].clone()).collect()
}

#[test]
fn every_reason_has_a_case() {
    let expected = expected_codes("unsupported");
    for why in Why::ALL {
        assert!(expected.contains(&json!(why)), "{why:?} has no case");
    }
}

#[test]
fn every_remark_has_a_case() {
    let expected = expected_codes("notes");
    for remark in Remark::ALL {
        assert!(expected.contains(&json!(remark)), "{remark:?} has no case");
    }
}
