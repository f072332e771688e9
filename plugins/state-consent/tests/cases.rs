//! Every case of `cases/`, and that the cases reach every row in force.

mod harness;

use std::collections::BTreeSet;

use assent_law::sensitive::{Default, RULES};
use harness::{cases, findings, found};

#[test]
fn every_case_finds_exactly_what_it_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let findings = findings(&case);
        let found = found(&findings, &case.expect);
        if found != case.expect {
            wrong.push(format!("{}\n  expected {:?}\n  found    {found:?}", case.name, case.expect));
        }
        let Some(row) = &case.row else { continue };
        let reached = found.denials.contains(row)
            || found.reviews.contains(row)
            || found.redacts.contains(row)
            || found.obligations.iter().any(|obligation| obligation.ends_with(&format!(" {row}")));
        let withheld =
            found.denials.contains(row) || found.reviews.contains(row) || found.redacts.contains(row);
        // A negative may oblige: what matters is that the row does not withhold.
        if (case.reached == Some(true) && !reached) || (case.reached == Some(false) && withheld) {
            wrong.push(format!("{}: `{row}` reached: {reached}, withheld: {withheld}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// Rows that no pair of cases can reach, each with its reason. May only shrink.
const UNREACHED: &[(&str, &str)] = &[];

#[test]
fn every_row_in_force_has_a_case_that_reaches_it_and_one_that_does_not() {
    let cases = cases();
    let with = |reached: bool| -> BTreeSet<String> {
        let these = cases.iter().filter(|case| case.reached == Some(reached));
        these.filter_map(|case| case.row.clone()).collect()
    };
    let in_force = RULES.iter().filter(|rule| rule.default != Default::NotInForce).map(|rule| rule.id);
    let missing: Vec<_> = in_force
        .filter(|id| !UNREACHED.iter().any(|(known, _)| known == id))
        .filter(|id| !with(true).contains(*id) || !with(false).contains(*id))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "rows without a positive and a negative case");
    for (id, reason) in UNREACHED {
        assert!(!reason.is_empty());
        assert!(
            !with(true).contains(*id) || !with(false).contains(*id),
            "`{id}` is reached: take it off the list"
        );
    }
}
