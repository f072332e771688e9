//! Sample records of every kind and what each form makes of them, as files whose differences a reviewer
//! reads. `data/records.jsonl` holds the canonical bytes of versions 1 and 2: they must be readable for ever.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assent_audit::disclosures::{Scope, account};
use assent_audit::export::{Source, fhir, jsonl, line, ocsf, syslog};
use assent_audit::record::Record;
use assent_model::EntityId;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn records() -> Vec<Record> {
    serde_json::from_str(&std::fs::read_to_string(data("records.json")).unwrap()).unwrap()
}

/// Compares with the files; what was made is left where it can be looked at and, if right, taken over.
fn golden(made: &[(&str, String)]) {
    let mut different = vec![];
    for (name, made) in made {
        if *made != std::fs::read_to_string(data(name)).unwrap_or_default() {
            std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), made).unwrap();
            different.push(*name);
        }
    }
    assert!(different.is_empty(), "{different:?} differ: see {}", env!("CARGO_TARGET_TMPDIR"));
}

fn source() -> Source {
    Source {
        log: "audit.example.org/lone-star-hospital/2026".into(),
        node: "pdp-1".into(),
        organization: "lone-star-hospital".into(),
        software: "0.1.0".into(),
        enterprise: 32_473,
    }
}

fn lines(view: impl Fn(u64, &Record) -> String) -> String {
    (4096..).zip(&records()).map(|(position, record)| view(position, record) + "\n").collect()
}

#[test]
fn canonical_bytes_are_those_of_their_version_and_read_back() {
    let written = lines(|_, record| String::from_utf8(record.encode().unwrap()).unwrap());
    golden(&[("records.jsonl", written.clone())]);
    for (text, record) in written.lines().zip(records()) {
        assert!(Record::decode(text.as_bytes()).unwrap() == record);
    }
}

#[test]
fn the_samples_have_every_kind_of_event() {
    let kinds: std::collections::BTreeSet<_> = records().iter().map(|record| record.event.kind()).collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}

#[test]
fn exports_are_as_reviewed() {
    let source = source();
    golden(&[
        ("export.jsonl", lines(|position, record| jsonl(&source, position, record))),
        ("ocsf.jsonl", lines(|position, record| line(&ocsf(&source, position, record)))),
        ("fhir.jsonl", lines(|position, record| line(&fhir(&source, position, record)))),
        ("syslog.txt", lines(|position, record| syslog(&source, position, record))),
    ]);
}

#[test]
fn accountings_are_as_reviewed() {
    let organization = |id: &str| EntityId::new("Organization", id);
    let scope = |all| Scope {
        patient: EntityId::new("Patient", "pat-553"),
        holder: organization("lone-star-hospital"),
        requested: "2026-11-22T00:00:00Z".parse().unwrap(),
        from: None,
        time_zone: "America/Chicago".into(),
        names: BTreeMap::from([(organization("state-university"), "State University, Austin".to_owned())]),
        authorizations: vec![],
        suspended: vec![],
        all,
    };
    let accounting = account(&records(), &scope(false));
    golden(&[
        ("disclosures.txt", accounting.to_text()),
        ("disclosures.csv", accounting.to_csv()),
        ("disclosures.json", serde_json::to_string_pretty(&accounting.to_json()).unwrap() + "\n"),
        ("disclosures.html", accounting.to_html()),
        ("disclosures-all.txt", account(&records(), &scope(true)).to_text()),
    ]);
}
