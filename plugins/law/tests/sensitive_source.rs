//! The table of sensitive categories against the list it was compiled from, where that is at hand
//! (`../shared` beside the project): every row is there, and says the same.

use std::collections::BTreeSet;
use std::path::Path;

use assent_law::sensitive::{Basis, Confidence, PURPOSES, RULES, known_label, rule};
use serde_json::Value;

#[test]
fn every_row_of_the_source_is_in_the_table_and_says_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/health/sensitive_rules.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let source: Value = serde_json::from_str(&text).unwrap();
    let rows = source["rules"].as_array().unwrap();
    let ids: BTreeSet<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, RULES.iter().map(|rule| rule.id).collect::<BTreeSet<_>>());
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let id = text("id");
        let rule = rule(id).unwrap();
        let jurisdiction = text("jurisdiction").replace("org", "ORG");
        assert_eq!(rule.jurisdiction, jurisdiction, "{id}");
        assert_eq!(rule.title, text("category"), "{id}");
        assert!(text("citation").starts_with(rule.citation), "{id}");
        let labels = row["hl7_labels"].as_array().unwrap().iter().filter_map(Value::as_str);
        for label in labels.filter(|label| !label.starts_with('(')) {
            assert!(rule.labels.contains(&label), "{id}: {label}");
        }
        let confidence = match rule.confidence {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        };
        assert_eq!(confidence, text("confidence"), "{id}");
        let basis = match rule.basis {
            Basis::Primary => "primary",
            Basis::Secondary => "secondary",
            Basis::Memory => "memory",
            Basis::NotFound => "not_found",
        };
        assert_eq!(basis, text("basis"), "{id}");
        let effective =
            rule.effective_from.map(|day| format!("{:04}-{:02}-{:02}", day.year, day.month, day.day));
        assert_eq!(effective.as_deref(), row["effective_from"].as_str(), "{id}");
    }
}

/// Labels and purposes against HL7's own: nothing is missing, and what is part of what is as HL7 has it.
#[test]
fn labels_and_purposes_are_those_of_hl7() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/health/hl7_v3_security_terms.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let source: Value = serde_json::from_str(&text).unwrap();
    let concepts = |key: &str| source[key]["concepts"].as_array().unwrap().clone();
    for concept in concepts("information_sensitivity") {
        let code = concept["code"].as_str().unwrap();
        // Codes that begin with `_` are headings, which no record carries.
        if code.starts_with('_') {
            continue;
        }
        let label = known_label(code).unwrap_or_else(|| panic!("no label `{code}`"));
        assert_eq!(label.broader, parent(&concept, &[]), "{code}");
    }
    for concept in concepts("purpose_of_use") {
        let code = concept["code"].as_str().unwrap();
        if code == "PurposeOfUse" {
            continue;
        }
        let purpose = PURPOSES.iter().find(|known| known.code == code);
        assert_eq!(purpose.unwrap().broader, parent(&concept, &["PurposeOfUse"]), "{code}");
    }
}

fn parent<'a>(concept: &'a Value, roots: &[&str]) -> Option<&'a str> {
    let mut parents = concept["parents"].as_array()?.iter().filter_map(Value::as_str);
    parents.find(|parent| !parent.starts_with('_') && !roots.contains(parent))
}
