//! Every case of `cases/`, and that the cases reach every code of a finding.

mod harness;

use std::collections::BTreeSet;

use harness::{cases, findings, found};

#[test]
fn every_case_finds_exactly_what_it_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = found(&findings(&case), &case.expect);
        if found != case.expect {
            wrong.push(format!("{}\n  expected {:?}\n  found    {found:?}", case.name, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_code_of_a_finding_is_reached_by_a_case() {
    let expected: BTreeSet<_> = cases()
        .into_iter()
        .flat_map(|case| case.expect.denials.into_iter().chain(case.expect.reviews))
        .collect();
    let source = include_str!("../src/report.rs").to_owned() + include_str!("../src/lib.rs");
    let written: BTreeSet<_> = source
        .split('"')
        .filter(|text| text.strip_prefix("consent.").is_some_and(|rest| !rest.contains(' ')))
        .map(str::to_owned)
        .collect();
    assert!(written.len() >= 8, "{written:?}");
    assert_eq!(written, expected);
}
