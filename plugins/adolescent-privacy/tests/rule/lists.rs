//! Answers to searches: what is left out, who must be asked, what an answer of unknown content holds.

use assent_adolescent_privacy::AdolescentPrivacy;
use assent_plugin_sdk::prelude::{Findings, Obligation, ObligationCode, Set};
use assent_plugin_sdk::testing::{TestRelation, TestRequest, configure, date, instant, json, texts};
use assent_plugin_sdk::values::IntoValue;

fn search(state: &str) -> TestRequest {
    let grant = TestRelation::new("ProxyGrant", "g")
        .attribute("relationship", "parent")
        .attribute("verified", true)
        .attribute("start", instant("2020-01-01T00:00:00Z"));
    TestRequest::new("search")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .resource("Bundle", "labs")
        .today(date("2026-11-21"))
        .attribute("patient.birthDate", date("2011-01-01"))
        .attribute("patient.state", state)
        .relation(grant)
}

fn find(request: TestRequest) -> Findings {
    let rule: AdolescentPrivacy = configure(json!({})).unwrap();
    let findings = request.evaluate(&rule).unwrap();
    assert!(findings.allows(), "{:?}", findings.codes());
    findings
}

fn parameter<T: IntoValue>(obligation: &Obligation, name: &str, expected: T) -> bool {
    let expected = expected.into_value();
    obligation.parameters.iter().any(|parameter| parameter.name == name && parameter.value == expected)
}

fn obligation<'f>(findings: &'f Findings, code: &ObligationCode) -> Option<&'f Obligation> {
    findings.obligations.iter().find(|obligation| obligation.code == *code)
}

#[test]
fn a_search_is_answered_without_the_masked_categories() {
    let categories = texts(["general", "sti_hiv", "substance_use", "abortion"]);
    let findings = find(
        search("MD").attribute("resource.serviceState", "MD").attribute("resource.categories", categories),
    );
    let masked: Set<String> = texts(["abortion", "sti_hiv", "substance_use"]);
    assert!(parameter(obligation(&findings, &ObligationCode::Redact).unwrap(), "categories", masked));
    let route = obligation(&findings, &ObligationCode::RouteToClinician).unwrap();
    assert!(parameter(route, "question", "disclose-to-parent"));
    assert!(parameter(route, "categories", texts(["sti_hiv", "substance_use"])));
    let review = obligation(&findings, &ObligationCode::HumanReview).unwrap();
    assert!(parameter(review, "queue", "privacy") && parameter(review, "categories", texts(["abortion"])));
}

#[test]
fn an_answer_of_unknown_content_may_hold_anything_but_asks_nobody() {
    let findings = find(search("MD"));
    let masked = texts([
        "contraception",
        "hiv",
        "intimate_partner_violence",
        "outpatient_mental_health",
        "prenatal",
        "sti_hiv",
        "substance_use",
        "uncategorized",
    ]);
    assert!(parameter(obligation(&findings, &ObligationCode::Redact).unwrap(), "categories", masked));
    assert_eq!(obligation(&findings, &ObligationCode::RouteToClinician), None);
    assert_eq!(obligation(&findings, &ObligationCode::HumanReview), None);
}

#[test]
fn a_chart_with_services_of_two_states_leaves_out_what_was_given_elsewhere() {
    // Contraception is the parent's to see in Ohio; a visit in Maryland is in the same chart.
    let findings = find(search("OH").attribute("resource.categories", texts(["general", "contraception"])));
    let elsewhere = obligation(&findings, &ObligationCode::Redact).unwrap();
    assert!(parameter(elsewhere, "served-outside", "OH"));
    assert!(parameter(elsewhere, "categories", texts(["contraception"])));
    // Where the state of service is known, there is no elsewhere.
    let known = search("OH").attribute("resource.serviceState", "OH");
    let findings = find(known.attribute("resource.categories", texts(["general", "contraception"])));
    assert_eq!(obligation(&findings, &ObligationCode::Redact), None);
    // General care is no state's business.
    let findings = find(search("OH").attribute("resource.categories", texts(["general"])));
    assert!(findings.obligations.is_empty());
}

#[test]
fn an_unsettled_row_that_withholds_nothing_is_still_put_before_a_person() {
    let request = search("OH").attribute("resource.serviceState", "OH");
    let findings = find(request.attribute("resource.categories", texts(["contraception"])));
    let advice = findings.advice.first().unwrap();
    assert_eq!(advice.code, ObligationCode::HumanReview);
    assert!(findings.notes.iter().any(|note| note.contains("OH/contraception")), "{:?}", findings.notes);
}

#[test]
fn notes_name_row_and_table_and_no_patient() {
    let findings = find(search("CA").attribute("resource.categories", texts(["sti_hiv"])));
    let notes = findings.notes.join("\n");
    assert!(notes.contains("table digest ") && notes.contains("CA/sti_hiv"), "{notes}");
    assert!(!notes.contains("patient-1") && !notes.contains("person-1"));
}

#[test]
fn an_item_without_a_category_is_not_general_care() {
    let rule: AdolescentPrivacy = configure(json!({})).unwrap();
    let item = search("CA").resource("Observation", "o");
    let read = |request: TestRequest| {
        let mut request = request;
        request = request.attribute("resource.categories", texts([]));
        request.evaluate(&rule).unwrap()
    };
    // `search` is a list whatever the resource; a read of the same is an item.
    assert!(read(item).allows());
    let grant = TestRelation::new("ProxyGrant", "g")
        .attribute("relationship", "parent")
        .attribute("verified", true)
        .attribute("start", instant("2020-01-01T00:00:00Z"));
    let item = TestRequest::new("read")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .today(date("2026-11-21"))
        .attribute("patient.birthDate", date("2011-01-01"))
        .attribute("patient.state", "CA")
        .relation(grant);
    let codes = |findings: Findings| findings.codes().into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(codes(read(item.clone())), ["P8x", "P8x"]);
    // An encounter has labels only; one that says nothing of it is not ordinary.
    let visit = item.resource("Encounter", "e");
    assert_eq!(
        codes(visit.clone().attribute("resource.labels", texts([])).evaluate(&rule).unwrap()),
        ["P8x", "P8x"]
    );
    assert!(visit.clone().attribute("resource.labels", texts(["N"])).evaluate(&rule).unwrap().allows());
    assert_eq!(
        codes(visit.clone().attribute("resource.labels", texts(["R", "STD"])).evaluate(&rule).unwrap()),
        ["P8d"]
    );
    // Labels count beside the category.
    let mislabelled = visit.resource("Observation", "o").attribute("resource.labels", texts(["SUD"]));
    let findings = mislabelled.attribute("resource.categories", texts(["general"])).evaluate(&rule).unwrap();
    assert_eq!(codes(findings), ["P8d"]);
}
