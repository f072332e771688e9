//! What is written is what decisions are made on: each entity goes into a snapshot under the base schema, and
//! labels are those that `consent-directive` knows.

use std::collections::BTreeSet;

use assent_fhir::Outcome;
use assent_policy::{Edit, Names, SourceFile, load};
use serde_json::json;

use crate::support::{CASES, STORED, read_text};

const SCHEMA: &str = include_str!("../../../../policies/base/health.cedarschema");

/// Attributes that the base schema demands of those whom the cases name.
fn stored() -> SourceFile {
    let hospital = json!({"type": "Organization", "id": "hospital"});
    let entities = STORED.iter().map(|&(kind, id)| {
        let attributes = match kind {
            "Organization" => json!({}),
            "Patient" => json!({
                "organization": hospital, "birthDate": "1970-01-01", "timeZone": "America/Chicago", "state": "TX",
                "active": true,
            }),
            "Practitioner" => json!({"organization": hospital, "accountType": "individual", "active": true}),
            "RelatedPerson" => json!({"active": true}),
            kind => panic!("what has a {kind}?"),
        };
        json!({"uid": {"type": kind, "id": id}, "attrs": attributes, "parents": []})
    });
    SourceFile::new("stored.json", entities.collect::<serde_json::Value>().to_string())
}

#[test]
fn every_entity_is_taken_into_a_snapshot_under_the_base_schema() {
    let schema = SourceFile::new("health.cedarschema", SCHEMA);
    let policies = load(&[schema], &[], Names::default()).unwrap();
    let others = policies.load_entities(&[stored()]).unwrap();
    let mut taken = 0;
    for case in CASES.iter() {
        if let Ok(Outcome::Directive(directive)) = read_text(case.text.as_bytes()) {
            let put = Edit::Put(SourceFile::new(&case.name, directive.entity.to_string()));
            let snapshot = policies.change(&others, &[put]).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(snapshot.facts().get(&directive.consent).is_some(), "{}", case.name);
            taken += 1;
        }
    }
    assert!(taken > 100, "{taken} entities");
}

#[test]
fn an_entity_that_does_not_fit_is_refused() {
    let schema = SourceFile::new("health.cedarschema", SCHEMA);
    let policies = load(&[schema], &[], Names::default()).unwrap();
    let others = policies.load_entities(&[stored()]).unwrap();
    let case = CASES.iter().find(|case| case.expected["base"] == "permit").unwrap();
    let Ok(Outcome::Directive(directive)) = read_text(case.text.as_bytes()) else { panic!("{}", case.name) };
    for (attribute, wrong) in [
        ("givenAt", json!("2026")),
        ("givenAt", json!(1)),
        ("patient", json!({"type": "Patient", "id": "p9"})),
        ("patient", json!({"type": "Practitioner", "id": "drb"})),
        ("forms", json!("part2-tpo")),
        ("provisions", json!([{"key": "0"}])),
        ("provisions", json!([{"key": "0", "effect": "deny", "colour": "red"}])),
        ("colour", json!("red")),
    ] {
        let mut entity = directive.entity.clone();
        entity["attrs"][attribute] = wrong;
        let put = Edit::Put(SourceFile::new("wrong", entity.to_string()));
        assert!(policies.change(&others, &[put]).is_err(), "{attribute}");
    }
}

#[test]
fn the_labels_that_are_known_are_those_of_consent_directive() {
    let labels = include_str!("../../../../plugins/law/data/sensitive/labels.toml");
    let codes = include_str!("../../../../plugins/consent-directive/data/codes.toml");
    let (_, marks) = codes.split_once("\n[marks]\n").unwrap();
    let (marks, _) = marks.split_once("\n[").unwrap();
    let theirs: BTreeSet<_> = labels
        .lines()
        .chain(marks.lines())
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(code, _)| code.trim_matches('"'))
        .collect();
    let ours: BTreeSet<_> = include_str!("../../data/labels.txt").split_whitespace().collect();
    assert!(ours.len() > 40, "{} labels", ours.len());
    assert_eq!(ours, theirs);
}
