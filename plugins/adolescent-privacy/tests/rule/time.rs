//! Birthdays, ends and revocations, to the day and to the millisecond.
//!
//! The date comes with the request, in the patient's zone; the host's own tests hold the second at
//! which it changes. Here, the request of the last second of a day and of the first of the next
//! differ in `today`.

use assent_adolescent_privacy::AdolescentPrivacy;
use assent_plugin_sdk::prelude::{Findings, Instant};
use assent_plugin_sdk::testing::{TestRelation, TestRequest, configure, date, instant, json, texts};

fn rule(settings: serde_json::Value) -> AdolescentPrivacy {
    configure(settings).unwrap()
}

fn grant(id: &str) -> TestRelation {
    TestRelation::new("ProxyGrant", id)
        .attribute("relationship", "parent")
        .attribute("verified", true)
        .attribute("start", instant("2020-01-01T00:00:00Z"))
}

fn request(birth: &str, state: &str, categories: &[&str]) -> TestRequest {
    TestRequest::new("read")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .resource("Observation", "observation-1")
        .today(date("2026-11-21"))
        .attribute("patient.birthDate", date(birth))
        .attribute("patient.state", state)
        .attribute("resource.serviceState", state)
        .attribute("resource.categories", texts(categories.iter().copied()))
}

/// The line of the table that decided.
fn line(findings: &Findings) -> String {
    let note = findings.notes.first().unwrap();
    note.strip_prefix("rule ").unwrap().split_once(';').unwrap().0.to_owned()
}

fn check(request: TestRequest, rule: &AdolescentPrivacy, expected: &str) {
    assert_eq!(line(&request.evaluate(rule).unwrap()), expected);
}

#[test]
fn a_parents_view_changes_on_the_birthday_and_not_a_day_before() {
    let limited = json!({ "posture": "limited" });
    let sti = &["sti_hiv"][..];
    let general = &["general"][..];
    for (birth, today, categories, settings, expected) in [
        // 11 to 12: California's age for treatment of infections, and the limited posture.
        ("2014-06-02", "2026-06-01", sti, json!({}), "P8n"),
        ("2014-06-02", "2026-06-02", sti, json!({}), "P8d"),
        ("2014-06-02", "2026-06-01", general, limited.clone(), "P7"),
        ("2014-06-02", "2026-06-02", general, limited, "P11"),
        // 17 to 18: the standing ends by itself.
        ("2008-06-02", "2026-06-01", general, json!({}), "P11c"),
        ("2008-06-02", "2026-06-02", general, json!({}), "P3"),
        // A birthday that is corrected in the record moves the line with it.
        ("2008-06-01", "2026-06-01", general, json!({}), "P3"),
        // 29 February: 1 March in a common year, unless the organization says 28 February.
        ("2008-02-29", "2026-02-28", general, json!({}), "P11c"),
        ("2008-02-29", "2026-03-01", general, json!({}), "P3"),
        ("2008-02-29", "2026-02-27", general, json!({ "leap_day": "last-of-february" }), "P11c"),
        ("2008-02-29", "2026-02-28", general, json!({ "leap_day": "last-of-february" }), "P3"),
    ] {
        let request = request(birth, "CA", categories).today(date(today)).relation(grant("g"));
        check(request, &rule(settings), expected);
    }
}

#[test]
fn a_teens_own_account_opens_at_13() {
    for (today, expected) in [("2026-06-01", "R1c"), ("2026-06-02", "R1e")] {
        let request = request("2013-06-02", "CA", &["general"])
            .subject("Patient", "patient-1")
            .attribute("subject.identityProofed", true);
        check(request.today(date(today)), &rule(json!({})), expected);
    }
}

#[test]
fn a_patient_without_a_date_is_not_judged() {
    let rule = rule(json!({}));
    let born_later = request("2030-01-01", "CA", &["general"]).relation(grant("g"));
    let no_zone = TestRequest::new("read")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .attribute("patient.birthDate", date("2012-01-01"))
        .attribute("patient.state", "CA")
        .relation(grant("g"));
    let odd_status = request("2012-01-01", "CA", &["general"])
        .attribute("patient.statusMinor", "astronaut")
        .relation(grant("g"));
    let nobody = TestRequest::new("export").subject("RelatedPerson", "person-1");
    for request in [born_later, no_zone, odd_status, nobody] {
        let findings = request.evaluate(&rule).unwrap();
        assert_eq!(findings.codes(), ["R0", "R0"], "a denial and a review");
    }
}

#[test]
fn standing_ends_at_its_end_and_begins_at_its_start() {
    let rule = rule(json!({}));
    let at = |now: &str, grant: TestRelation| {
        let request = request("2015-01-01", "CA", &["general"]).now(instant(now)).relation(grant);
        line(&request.evaluate(&rule).unwrap())
    };
    let ending = grant("g").attribute("end", instant("2026-11-21T12:00:00Z"));
    assert_eq!(at("2026-11-21T11:59:59.999Z", ending.clone()), "P7");
    assert_eq!(at("2026-11-21T12:00:00Z", ending), "P1");
    let lapsing = grant("g").attribute("recertifyBy", instant("2026-11-21T12:00:00Z"));
    assert_eq!(at("2026-11-21T11:59:59.999Z", lapsing.clone()), "P7");
    assert_eq!(at("2026-11-21T12:00:00Z", lapsing), "P1");
    let beginning = grant("g").attribute("start", instant("2026-11-21T12:00:00Z"));
    assert_eq!(at("2026-11-21T11:59:59.999Z", beginning.clone()), "P1");
    assert_eq!(at("2026-11-21T12:00:00Z", beginning), "P7");
    assert_eq!(at("2026-11-21T12:00:00Z", grant("g").attribute("revoked", true)), "P1");
}

#[test]
fn a_teen_who_revokes_a_grant_is_heard_at_once() {
    let rule = rule(json!({}));
    let sti = request("2011-01-01", "CA", &["sti_hiv"]).relation(grant("g"));
    check(sti.clone().attribute("patient.teenGrant", "full"), &rule, "P8g");
    check(sti.clone().attribute("patient.teenGrant", "none"), &rule, "P8d");
    check(sti, &rule, "P8d");
}

#[test]
fn two_parents_stand_each_on_their_own_grant() {
    let rule = rule(json!({}));
    let base = request("2015-01-01", "CA", &["general"]);
    check(base.clone().relation(grant("mother")), &rule, "P7");
    check(base.clone().relation(grant("father").attribute("courtOrderNoAccess", true)), &rule, "P1c");
    // What a court has said of a person stands, whichever of their grants it is written on.
    let ended = grant("old").attribute("revoked", true).attribute("courtOrderNoAccess", true);
    check(base.relation(grant("new")).relation(ended), &rule, "P1c");
}

#[test]
fn a_state_move_between_service_and_request_leaves_the_law_of_service() {
    let rule = rule(json!({}));
    let moved = |residence: &str| {
        TestRequest::new("read")
            .subject("RelatedPerson", "person-1")
            .patient("patient-1")
            .resource("Observation", "observation-1")
            .today(date("2026-11-21"))
            .attribute("patient.birthDate", date("2011-01-01"))
            .attribute("patient.state", residence)
            .attribute("resource.encounter.state", "CA")
            .attribute("resource.categories", texts(["sti_hiv"]))
            .relation(grant("g"))
    };
    check(moved("CA"), &rule, "P8d");
    check(moved("KY"), &rule, "P8d");
    let findings = moved("KY").evaluate(&rule).unwrap();
    assert!(findings.denials[0].citation.as_deref().unwrap().contains("Cal. Fam. Code 6926"));
}

#[test]
fn a_row_that_was_not_in_force_when_the_service_was_given_does_not_decide() {
    let rule = rule(json!({}));
    let served = |when: Instant| {
        let request = request("2011-01-01", "CA", &["outpatient_mental_health"]).relation(grant("g"));
        line(&request.attribute("resource.serviceDate", when).evaluate(&rule).unwrap())
    };
    assert_eq!(served(instant("2024-07-01T00:00:00Z")), "P8d");
    assert_eq!(served(instant("2024-06-30T23:59:59Z")), "P8r");
}

#[test]
fn clinicians_and_applications_are_not_the_rules_business() {
    let rule = rule(json!({}));
    for kind in ["Practitioner", "Application"] {
        let findings = request("2011-01-01", "CA", &["sti_hiv"]).subject(kind, "x").evaluate(&rule).unwrap();
        assert!(findings.allows() && findings.obligations.is_empty() && findings.notes.is_empty());
    }
    // Another patient has no standing.
    check(request("2011-01-01", "CA", &["general"]).subject("Patient", "patient-2"), &rule, "P1");
}
