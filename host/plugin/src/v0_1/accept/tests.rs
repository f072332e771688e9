//! Tests of what is accepted from a guest, and what is not.

use proptest::prelude::*;

use super::*;
use crate::v0_1::request::{Absence, Date as Day, EntityId as Name};

fn denial(code: &str, message: &str) -> answer::Denial {
    answer::Denial {
        code: code.into(),
        message: message.into(),
        ground: answer::Ground::Harm,
        citation: None,
        remedies: vec![],
        neutral: false,
    }
}

fn nothing() -> answer::Findings {
    answer::Findings { obligations: vec![], advice: vec![], denials: vec![], reviews: vec![], notes: vec![] }
}

fn with_denial(denial: answer::Denial) -> Result<Findings, FailureKind> {
    let returned = answer::Findings { denials: vec![denial], ..nothing() };
    accept_findings(returned, &Limits::default()).map_err(|failure| failure.kind)
}

fn with_parameters(parameters: Vec<(&str, Returned<String>)>) -> Result<Findings, FailureKind> {
    let parameters =
        parameters.into_iter().map(|(name, value)| answer::Parameter { name: name.into(), value }).collect();
    let returned = answer::Findings {
        advice: vec![answer::Obligation {
            code: answer::ObligationCode::Custom("redact".into()),
            parameters,
        }],
        ..nothing()
    };
    accept_findings(returned, &Limits::default()).map_err(|failure| failure.kind)
}

#[test]
fn codes_and_sentences_have_a_form() {
    for code in ["a", "P8d", "sti_hiv.1-2", &"x".repeat(64)] {
        assert!(with_denial(denial(code, "No.")).is_ok(), "{code}");
    }
    for code in ["", "a b", "é", "a/b", "a\n", &"x".repeat(65)] {
        assert_eq!(with_denial(denial(code, "No.")), Err(FailureKind::BadOutput), "{code}");
    }
    for message in ["", "  ", "a\0b", "a\u{1b}[2Jb", "a\rb"] {
        assert_eq!(with_denial(denial("a", message)), Err(FailureKind::BadOutput), "{message:?}");
    }
    assert!(with_denial(denial("a", "two\n\tlines, é ✓")).is_ok());
}

#[test]
fn remedies_and_citations_are_checked_too() {
    let with = |remedy| with_denial(answer::Denial { remedies: vec![remedy], ..denial("a", "No.") });
    assert!(with(answer::Remedy::WaitUntil(0)).is_ok());
    assert_eq!(with(answer::Remedy::WaitUntil(i64::MIN)), Err(FailureKind::BadOutput));
    assert_eq!(with(answer::Remedy::StepUp(String::new())), Err(FailureKind::BadOutput));
    assert_eq!(with(answer::Remedy::Other("a b".into())), Err(FailureKind::BadOutput));
    assert_eq!(with(answer::Remedy::HumanReview("q".repeat(257))), Err(FailureKind::OutputTooLarge));
    let many = (0..33).map(|_| answer::Remedy::BreakGlass).collect();
    assert_eq!(
        with_denial(answer::Denial { remedies: many, ..denial("a", "No.") }),
        Err(FailureKind::OutputTooLarge)
    );
    let cited = answer::Denial { citation: Some(String::new()), ..denial("a", "No.") };
    assert_eq!(with_denial(cited), Err(FailureKind::BadOutput));
}

#[test]
fn parameters_are_values_that_exist() {
    let scalar = |scalar| vec![("p", Returned::Scalar(scalar))];
    assert!(with_parameters(scalar(Scalar::Date(Day { year: 2024, month: 2, day: 29 }))).is_ok());
    for (year, month, day) in
        [(2025, 2, 29), (2024, 13, 1), (2024, 0, 1), (2024, 1, 0), (10_000, 1, 1), (1, 200, 200)]
    {
        let found = with_parameters(scalar(Scalar::Date(Day { year, month, day })));
        assert_eq!(found, Err(FailureKind::BadOutput), "{year}-{month}-{day}");
    }
    let nobody = Name { kind: String::new(), id: "x".into() };
    assert_eq!(with_parameters(scalar(Scalar::Entity(nobody))), Err(FailureKind::BadOutput));
    assert_eq!(
        with_parameters(vec![("p", Returned::Absent(Absence::NoPatient))]),
        Err(FailureKind::BadOutput)
    );
    let one = || Returned::Scalar(Scalar::Boolean(true));
    assert_eq!(with_parameters(vec![("p", one()), ("p", one())]), Err(FailureKind::BadOutput));
    assert_eq!(with_parameters(vec![("", one())]), Err(FailureKind::BadOutput));
}

#[test]
fn a_custom_code_that_has_a_name_is_that_code() {
    let findings = with_parameters(vec![]).unwrap();
    assert_eq!(findings.advice, [Obligation::new(ObligationCode::Redact)]);
}

#[test]
fn the_whole_answer_counts_against_its_limits() {
    let limits =
        |output_max_bytes| Limits { output_max_bytes, findings_max: 2, notes_max: 1, ..Limits::default() };
    let denials = |count| (0..count).map(|_| denial("12345", "12345")).collect();
    let returned = |count| answer::Findings { denials: denials(count), ..nothing() };
    assert!(accept_findings(returned(2), &limits(20)).is_ok());
    for (count, bytes) in [(2, 19), (3, 1_000)] {
        let kind = accept_findings(returned(count), &limits(bytes)).unwrap_err().kind;
        assert_eq!(kind, FailureKind::OutputTooLarge);
    }
    let notes = answer::Findings { notes: vec!["a".into(), "b".into()], ..nothing() };
    assert_eq!(accept_findings(notes, &limits(20)).unwrap_err().kind, FailureKind::OutputTooLarge);
}

#[test]
fn descriptions_are_checked_field_by_field() {
    let needs = || answer::Needs {
        attributes: vec!["patient.state".into()],
        memberships: vec![],
        relations: vec![],
        approvals: vec![],
        consents: false,
        disclosure_decisions: false,
        value_sets: vec![],
    };
    let good = || answer::Description {
        name: "export-approval".into(),
        version: "1.2.0-rc.1+build.7".into(),
        summary: "who may export".into(),
        settings_schema: r#"{"type": "object"}"#.into(),
        needs: needs(),
    };
    assert_eq!(accept_description(good()).unwrap().needs.attributes, ["patient.state"]);
    for name in ["", "Export", "a--b", "-a", "a_b", &"x".repeat(65)] {
        assert!(accept_description(answer::Description { name: name.into(), ..good() }).is_err(), "{name}");
    }
    for version in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-", "1.2.3+", "v1.2.3"] {
        assert!(
            accept_description(answer::Description { version: version.into(), ..good() }).is_err(),
            "{version}"
        );
    }
    let bad = answer::Description {
        name: "X".into(),
        version: "one".into(),
        summary: "two\nlines".into(),
        settings_schema: "{".into(),
        needs: answer::Needs { attributes: vec!["state".into()], ..needs() },
    };
    assert_eq!(accept_description(bad).unwrap_err().len(), 5);
}

proptest! {
    #[test]
    fn text_made_printable_is_short_and_on_one_line(text in any::<String>(), max in 0_usize..40) {
        let shown = printable(&text, max);
        prop_assert!(shown.len() <= max + '…'.len_utf8());
        prop_assert!(!shown.chars().any(char::is_control));
    }
}
