//! The rule row by row, and writers against hostile names.

use assent_model::{Cause, DecisionId, Effect, Obligation, ObligationCode};
use proptest::prelude::*;

use super::*;
use crate::record::tests::{any_record, any_text, at, decided, plain_decision};

fn organization(id: &str) -> EntityId {
    EntityId::new("Organization", id)
}

fn scope() -> Scope {
    Scope {
        patient: EntityId::new("Patient", "pat-1"),
        holder: organization("clinic"),
        requested: at("2026-11-21T18:00:00Z"),
        from: None,
        time_zone: "America/Los_Angeles".into(),
        names: BTreeMap::new(),
        authorizations: vec![EntityId::new("Consent", "auth-1")],
        suspended: vec![],
        all: false,
    }
}

const RECENT: &str = "2026-11-01T03:00:00Z";

/// Somebody of another organization reads for treatment.
fn outside() -> DecisionEvent {
    let mut decision = plain_decision();
    decision.subject.organization = Some(organization("elsewhere"));
    decision
}

fn listing(change: impl FnOnce(&mut DecisionEvent)) -> Listing {
    let mut decision = outside();
    change(&mut decision);
    rule(at(RECENT), &decision, &scope())
}

#[test]
fn the_first_rule_that_applies_decides() {
    type Change = fn(&mut DecisionEvent);
    let rows: &[(Listing, Change)] = &[
        (Listing::Operations, |_| {}),
        (Listing::Denied, |d| {
            d.outcome.effect = Effect::Deny;
            d.outcome.cause = Cause::Forbidden;
        }),
        (Listing::Silent, |d| d.action = "update".into()),
        (Listing::Disclosure, |d| {
            d.action = "teleport".into();
            d.purpose = None;
        }),
        (Listing::Obliged, |d| {
            d.outcome.obligations = vec![Obligation::new(ObligationCode::AccountDisclosure)];
        }),
        (Listing::Individual, |d| d.subject.entity = EntityId::new("Patient", "pat-1")),
        (Listing::Representative, |d| d.relations = vec![EntityId::new("ProxyGrant", "x1")]),
        (Listing::Left, |d| {
            d.relations = vec![EntityId::new("ProxyGrant", "x1")];
            d.action = "export".into();
            d.recipient = Some(organization("school"));
        }),
        (Listing::Use, |d| d.subject.organization = Some(organization("clinic"))),
        (Listing::Left, |d| {
            d.subject.organization = Some(organization("clinic"));
            d.action = "print".into();
        }),
        (Listing::Use, |d| {
            d.action = "export".into();
            d.recipient = Some(organization("clinic"));
        }),
        (Listing::Part2, |d| d.resource.part2 = true),
        (Listing::Deidentified, |d| {
            d.outcome.obligations = vec![Obligation::new(ObligationCode::Deidentify)];
            d.action = "export".into();
        }),
        (Listing::Left, |d| d.action = "export".into()),
        (Listing::Authorized, |d| {
            d.purpose = Some("HRESCH".into());
            d.consents = vec![EntityId::new("Consent", "auth-1")];
        }),
        (Listing::Disclosure, |d| {
            d.purpose = Some("HRESCH".into());
            d.consents = vec![EntityId::new("Consent", "no-authorization")];
        }),
        (Listing::Operations, |d| d.purpose = Some("HPAYMT".into())),
        (Listing::Involved, |d| d.purpose = Some("FAMRQT".into())),
        (Listing::Disclosure, |d| d.purpose = Some("PUBHLTH".into())),
        (Listing::Disclosure, |d| d.purpose = Some("MLTRAINING".into())),
        (Listing::Disclosure, |d| d.purpose = Some("NEW-CODE".into())),
        (Listing::Disclosure, |d| d.purpose = None),
        (Listing::Operations, |d| d.subject.organization = None),
    ];
    for (number, (expected, change)) in rows.iter().enumerate() {
        assert_eq!(listing(change), *expected, "row {number}");
    }
}

#[test]
fn part_2_records_are_listed_for_three_years_and_by_hipaa_alone_before() {
    let mut decision = outside();
    decision.resource.part2 = true;
    let listed = |when: &str| rule(at(when), &decision, &scope());
    assert_eq!(listed("2023-11-21T18:00:00Z"), Listing::Part2);
    assert_eq!(listed("2023-11-21T17:59:59Z"), Listing::Operations);
}

#[test]
fn a_suspended_agency_is_left_out_until_the_suspension_ends() {
    let mut decision = outside();
    decision.purpose = Some("HLEGAL".into());
    decision.recipient = Some(organization("agency"));
    let record = decided(RECENT, decision);
    let rows = |until: &str| {
        let suspended = vec![(organization("agency"), at(until))];
        account([&record], &Scope { suspended, all: true, ..scope() }).rows.len()
    };
    assert_eq!(rows("2026-11-21T18:00:01Z"), 0);
    assert_eq!(rows("2026-11-21T18:00:00Z"), 1);
}

fn research(id: u128) -> DecisionEvent {
    let mut decision = outside();
    decision.id = DecisionId::from_bits(id);
    decision.purpose = Some("HRESCH".into());
    decision
}

#[test]
fn the_look_back_is_six_years_and_another_patient_is_not_listed() {
    let mut other = research(4);
    other.patient = Some(EntityId::new("Patient", "pat-2"));
    let records = [
        decided("2020-11-21T17:59:59Z", research(1)),
        decided("2020-11-21T18:00:00Z", research(2)),
        decided("2026-11-21T18:00:00Z", research(5)),
        decided("2026-11-21T18:00:01Z", research(3)),
        decided(RECENT, other),
    ];
    let accounting = account(&records, &scope());
    assert_eq!(accounting.rows.len(), 1);
    assert_eq!(accounting.rows[0].decisions, [2, 5].map(DecisionId::from_bits));
    let later = Scope { from: Some(at("2021-01-01T00:00:00Z")), ..scope() };
    assert_eq!(account(&records, &later).rows[0].decisions, [DecisionId::from_bits(5)]);
    let earlier = Scope { from: Some(at("2001-01-01T00:00:00Z")), ..scope() };
    assert_eq!(account(&records, &earlier).rows, accounting.rows);
    assert_eq!(years_before(at("2024-02-29T10:00:00Z"), 6), at("2018-02-28T10:00:00Z"));
}

#[test]
fn several_disclosures_for_one_purpose_under_164_512_become_one_row() {
    let mut single = outside();
    single.purpose = None;
    let records = [
        decided("2026-10-01T12:00:00Z", research(1)),
        decided("2026-10-20T12:00:00Z", single.clone()),
        decided("2026-10-22T12:00:00Z", research(2)),
        decided("2026-10-21T12:00:00Z", DecisionEvent { id: DecisionId::from_bits(9), ..single }),
        // The log gave the same record twice: at least once is not twice.
        decided("2026-10-22T12:00:00Z", research(2)),
    ];
    let accounting = account(&records, &scope());
    let rows: Vec<_> =
        accounting.rows.iter().map(|r| (r.date.as_str(), r.count, r.last_date.as_deref())).collect();
    assert_eq!(
        rows,
        [("2026-10-01", 2, Some("2026-10-22")), ("2026-10-20", 1, None), ("2026-10-21", 1, None)]
    );
}

#[test]
fn an_export_that_names_no_patient_may_include_this_one() {
    let mut decision = outside();
    decision.patient = None;
    decision.action = "export".into();
    decision.recipient = Some(organization("registry"));
    let mut read = outside();
    read.patient = None;
    let mut obliged = read.clone();
    obliged.id = DecisionId::from_bits(77);
    obliged.outcome.obligations = vec![Obligation::new(ObligationCode::AccountDisclosure)];
    let all = [decided(RECENT, decision), decided(RECENT, read), decided(RECENT, obliged)];
    let gathered = Gathered::from(all.iter().cloned(), &scope().patient);
    assert_eq!((gathered.records.len(), gathered.named), (2, false), "what may be about this one is kept");
    let accounting = account(&all, &scope());
    assert_eq!(accounting.rows.len(), 2);
    assert!(accounting.rows.iter().all(|row| row.may_include && row.required));
    assert!(accounting.to_text().contains("which may include yours"));
}

#[test]
fn all_shows_what_need_not_be_listed_with_its_reason() {
    let record = decided(RECENT, outside());
    assert_eq!(account([&record], &scope()).rows, []);
    let all = account([&record], &Scope { all: true, ..scope() });
    assert!(!all.rows[0].required && all.rows[0].listing.contains("164.528(a)(1)(i)"));
}

#[test]
fn days_are_those_of_the_time_zone_and_names_those_of_the_directory() {
    let mut decision = research(1);
    decision.recipient = Some(organization("uni"));
    let names = BTreeMap::from([(organization("uni"), "State University, 1 College Way".to_owned())]);
    let accounting = account(&[decided(RECENT, decision)], &Scope { names, ..scope() });
    assert_eq!(accounting.rows[0].date, "2026-10-31");
    assert_eq!(accounting.rows[0].recipient, "State University, 1 College Way");
}

proptest! {
    #[test]
    fn nothing_is_passed_over_in_silence(records in prop::collection::vec(any_record(), 0..40)) {
        let scope = Scope { requested: at("2026-12-31T00:00:00Z"), all: true, ..scope() };
        let shown: u64 = account(&records, &scope).rows.iter().map(|row| row.count).sum();
        let given_out = records.iter().filter_map(|record| Some((record.at, record.decision()?))).filter(|(at, d)| {
            let may_include = rule::leaves(&d.action) || d.obliges(&ObligationCode::AccountDisclosure);
            d.patient.as_ref().map_or(may_include, |p| *p == scope.patient) && rule(*at, d, &scope) != Listing::Denied
        });
        let given_out = given_out.filter(|(_, d)| d.permits() && d.action != "update").count();
        prop_assert_eq!(shown, given_out as u64);
    }

    #[test]
    fn hostile_names_stay_text(name in any_text()) {
        let mut decision = research(1);
        decision.recipient = Some(organization("x"));
        let names = BTreeMap::from([(organization("x"), name)]);
        let accounting = account(&[decided(RECENT, decision)], &Scope { names, ..scope() });
        prop_assert_eq!(accounting.to_text().lines().count(), 9);
        prop_assert_eq!(accounting.to_csv().split("\r\n").count(), 3);
        let html = accounting.to_html();
        prop_assert!(!html.contains("<script") && html.matches("<td>").count() == 5);
        for text in [accounting.to_text(), html] {
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        }
        let json = accounting.to_json().to_string();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}

#[test]
fn a_spreadsheet_computes_nothing() {
    let mut decision = research(1);
    decision.recipient = Some(organization("x"));
    let names = BTreeMap::from([(organization("x"), "=HYPERLINK(\"http://evil\")".to_owned())]);
    let csv = account(&[decided(RECENT, decision)], &Scope { names, ..scope() }).to_csv();
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""), "{csv}");
}
