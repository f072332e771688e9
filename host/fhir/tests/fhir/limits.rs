//! Each limit, one under and one over.

use assent_fhir::{Outcome, PROVISION_DEPTH_MAX, PROVISIONS_MAX, Why};
use serde_json::{Value, json};

use crate::support::{directive, document, read_text};

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
    for levels in [PROVISION_DEPTH_MAX + 1, PROVISION_DEPTH_MAX + 10] {
        // What is nested too deep, and all beside it, is not read: nothing is left but the objection.
        refused(&deep(levels), &format!("expected at most {PROVISION_DEPTH_MAX} levels of provisions"));
    }
}

/// Asserts that a document becomes an objection for this alone, which says nothing else.
fn refused(consent: &Value, message: &str) {
    let read = directive(consent);
    let [found] = &read.unsupported[..] else { panic!("{:?}", read.unsupported) };
    assert_eq!(found.why, Why::Malformed);
    assert!(found.to_string().ends_with(message), "{found}");
    let attributes = read.entity["attrs"].as_object().unwrap();
    assert!(attributes.get("base").is_none() && attributes.get("provisions").is_none());
}

#[test]
fn provisions_are_as_many_as_the_limit_and_no_more() {
    let written = &directive(&wide(PROVISIONS_MAX)).entity["attrs"]["provisions"];
    assert_eq!(written.as_array().unwrap().len(), PROVISIONS_MAX - 1);
    refused(
        &wide(PROVISIONS_MAX + 1),
        "expected at most 512 provisions; one that days limit and that both permits and denies counts twice",
    );
}

#[test]
fn provisions_that_are_written_twice_count_twice() {
    let with = |count: usize| {
        let split =
            json!({"type": "deny", "period": {"start": "2026-01-05"}, "provision": [{"type": "permit"}]});
        let mut consent = document("plain");
        consent["provision"]["provision"] = (0..count).map(|_| split.clone()).collect();
        consent
    };
    // Each is three provisions where it is written, and two where it is read.
    let most = (PROVISIONS_MAX - 1) / 3;
    let written = &directive(&with(most)).entity["attrs"]["provisions"];
    assert_eq!(written.as_array().unwrap().len(), most * 3);
    refused(&with(most + 1), "counts twice");
}

/// A plain consent with lists around lists in its narrative's place, the root included in the levels.
fn nested_text(levels: usize) -> String {
    let text = document("plain").to_string();
    let lists = levels - 1;
    text.replacen('{', &format!("{{\"contained\":{}{},", "[".repeat(lists), "]".repeat(lists)), 1)
}

#[test]
fn json_is_as_deep_as_the_limit_and_what_is_deeper_is_left_out() {
    let Ok(Outcome::Directive(read)) = read_text(nested_text(100).as_bytes()) else { panic!() };
    assert!(!read.is_objection(), "{:?}", read.unsupported);
    for levels in [101, 200, 1_000_000] {
        let Ok(Outcome::Directive(read)) = read_text(nested_text(levels).as_bytes()) else { panic!() };
        let [found] = &read.unsupported[..] else { panic!("{:?}", read.unsupported) };
        assert!(found.to_string().ends_with("expected at most 100 levels of JSON"), "{found}");
    }
}

#[test]
fn an_entity_names_the_first_objections_and_counts_the_rest() {
    let mut consent = document("plain");
    consent["verification"] = (0..40).map(|_| json!({"verified": false})).collect();
    let directive = directive(&consent);
    assert_eq!(directive.unsupported.len(), 40);
    let marks = directive.entity["attrs"]["unsupported"].as_array().unwrap();
    assert_eq!((marks.len(), &marks[32]), (33, &json!("Consent: 8 more")));
}

#[test]
fn objections_are_listed_up_to_the_limit_and_said_to_be_more() {
    let with = |count: usize| {
        let mut consent = document("plain");
        consent["verification"] = (0..count).map(|_| json!({"verified": false})).collect();
        directive(&consent).unsupported
    };
    assert!(with(1_000).iter().all(|found| found.why == Why::NotVerified));
    let more = with(1_001);
    assert_eq!(more.len(), 1_001);
    assert!(more[0].to_string().ends_with("at most 1,000 objections; there are more"), "{}", more[0]);
}

#[test]
fn what_is_found_beyond_the_limit_still_closes() {
    // The exception stands after more findings than are listed, and is not read in full.
    let mut consent = document("plain");
    let unread = json!({"type": "permit", "purpose": [{"code": "TREAT"}]});
    consent["provision"]["provision"] = (0..500)
        .map(|_| {
            let mut one = unread.clone();
            one["purpose"] = json!([{"code": "TREAT"}, {"code": "TREAT"}, {"code": "TREAT"}]);
            one
        })
        .chain([unread.clone()])
        .collect();
    let read = directive(&consent);
    assert_eq!(read.entity["attrs"]["base"], "permit");
    let written = read.entity["attrs"]["provisions"].as_array().unwrap();
    assert_eq!(written.len(), 501);
    assert!(written.iter().all(|one| one["effect"] == "deny" && one.get("purposes").is_none()));
}
