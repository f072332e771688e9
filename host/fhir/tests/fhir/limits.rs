//! Each limit, one under and one over.

use assent_fhir::{PROVISION_DEPTH_MAX, PROVISIONS_MAX};
use serde_json::{Value, json};

use crate::support::{directive, document, read_consent};

/// A consent with provisions nested to this depth, the root included.
fn deep(levels: usize) -> Value {
    let innermost = json!({"type": "deny"});
    let provision = (1..levels).fold(innermost, |inner, _| json!({"type": "permit", "provision": [inner]}));
    let mut consent = document("plain");
    consent["provision"] = provision;
    consent
}

/// A consent with this many provisions, the root included.
fn wide(count: usize) -> Value {
    let mut consent = document("plain");
    consent["provision"]["provision"] = (1..count).map(|_| json!({"type": "deny"})).collect();
    consent
}

#[test]
fn provisions_are_nested_as_deep_as_the_limit_and_no_deeper() {
    let written = &directive(&deep(PROVISION_DEPTH_MAX)).entity["attrs"]["provisions"];
    assert_eq!(written.as_array().unwrap().len(), PROVISION_DEPTH_MAX - 1);
    for levels in [PROVISION_DEPTH_MAX + 1, 200] {
        let problems = read_consent(&deep(levels)).unwrap_err();
        let text = problems.to_string();
        assert_eq!(problems.0.len(), 1, "{text}");
        assert!(
            text.ends_with(&format!("expected at most {PROVISION_DEPTH_MAX} levels of provisions")),
            "{text}"
        );
    }
}

#[test]
fn provisions_are_as_many_as_the_limit_and_no_more() {
    let written = &directive(&wide(PROVISIONS_MAX)).entity["attrs"]["provisions"];
    assert_eq!(written.as_array().unwrap().len(), PROVISIONS_MAX - 1);
    let problems = read_consent(&wide(PROVISIONS_MAX + 1)).unwrap_err();
    assert_eq!(
        problems.to_string(),
        format!("`Consent.provision`: expected at most {PROVISIONS_MAX} provisions")
    );
}

#[test]
fn an_entity_names_the_first_objections_and_counts_the_rest() {
    let mut consent = document("plain");
    for number in 0..40 {
        consent[format!("x{number}")] = json!(1);
    }
    let directive = directive(&consent);
    assert_eq!(directive.unsupported.len(), 40);
    let marks = directive.entity["attrs"]["unsupported"].as_array().unwrap();
    assert_eq!((marks.len(), &marks[32]), (33, &json!("Consent: 8 more")));
}

#[test]
fn a_message_spells_out_the_first_problems_and_counts_the_rest() {
    let mut consent = document("plain");
    consent["provision"]["provision"] = (0..17).map(|_| json!({"type": "allow"})).collect();
    let problems = read_consent(&consent).unwrap_err();
    assert_eq!(problems.0.len(), 17);
    assert!(problems.to_string().ends_with("; and 1 more"), "{problems}");
    problems.0.iter().for_each(|problem| assert!(problem.path.ends_with(".type"), "{problem}"));
}
