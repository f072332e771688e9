//! Every case says what comes of its document; what it does not say of what is unsupported must be nothing.

use assent_fhir::{Outcome, Problems, Why};
use serde_json::{Value, json};

use crate::support::{CASES, Case, read_consent};

fn pairs<T>(list: &[T], pair: impl Fn(&T) -> Value) -> Value {
    list.iter().map(pair).collect()
}

fn check(case: &Case) {
    let Case { name, document, expected } = case;
    let known = ["name", "document", "change", "problems", "other", "base", "rule", "attrs", "status"];
    let known = |key: &String| {
        known.contains(&key.as_str()) || ["unsupported", "notes", "provenance"].contains(&key.as_str())
    };
    assert!(expected.as_object().unwrap().keys().all(known), "{name}: an expectation that is not checked");
    let directive = match read_consent(document) {
        Err(Problems(problems)) => {
            let paths = pairs(&problems, |problem| json!(problem.path));
            return assert_eq!(Some(&paths), expected.get("problems"), "{name}: {problems:?}");
        }
        Ok(Outcome::Other(scope)) => {
            return assert_eq!(Some(&json!(scope)), expected.get("other"), "{name}");
        }
        Ok(Outcome::Directive(directive)) => directive,
    };
    assert!(expected.get("problems").or(expected.get("other")).is_none(), "{name}: it is a directive");
    let unsupported = pairs(&directive.unsupported, |found| json!([found.path, found.why]));
    assert_eq!(&unsupported, expected.get("unsupported").unwrap_or(&json!([])), "{name}");
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

#[test]
fn every_reason_has_a_case() {
    let all = [
        Why::ModifierExtension,
        Why::Extension,
        Why::UnknownElement,
        Why::R5,
        Why::ImplicitRules,
        Why::Incomplete,
        Why::Narrative,
        Why::Scope,
        Why::Untyped,
        Why::Contradiction,
        Why::NotVerified,
        Why::NoPlace,
        Why::CodeSystem,
        Why::Code,
        Why::TextOnly,
        Why::SeveralCodes,
        Why::ReferenceAbsolute,
        Why::ReferenceContained,
        Why::ReferenceIdentifier,
        Why::ReferenceDisplay,
        Why::ReferenceVersion,
        Why::ReferenceForm,
        Why::ReferenceType,
        Why::ReferenceKind,
        Why::ReferenceUnknown,
    ];
    for why in all {
        let code = json!(why);
        let has = |case: &Case| {
            let unsupported = case.expected["unsupported"].as_array().into_iter().flatten();
            unsupported.into_iter().any(|found| found[1] == code)
        };
        assert!(CASES.iter().any(has), "{why:?} has no case");
    }
}
