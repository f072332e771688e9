//! Licensed professionals' decisions: for whom, about what, from when until when.

use assent_adolescent_privacy::AdolescentPrivacy;
use assent_plugin_sdk::prelude::{Disclosure, DisclosureDecision, Findings};
use assent_plugin_sdk::testing::{TestRelation, TestRequest, configure, date, entity, instant, json, texts};

use crate::case::decided;

fn read(now: &str, decisions: &[DisclosureDecision]) -> Findings {
    let rule: AdolescentPrivacy = configure(json!({})).unwrap();
    let grant = TestRelation::new("ProxyGrant", "g")
        .attribute("relationship", "parent")
        .attribute("verified", true)
        .attribute("start", instant("2020-01-01T00:00:00Z"));
    let request = TestRequest::new("read")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .resource("Observation", "observation-1")
        .now(instant(now))
        .today(date("2026-11-21"))
        .attribute("patient.birthDate", date("2011-01-01"))
        .attribute("patient.state", "MD")
        .attribute("resource.encounter", entity("Encounter", "visit-1"))
        .attribute("resource.encounter.state", "MD")
        .attribute("resource.categories", texts(["sti_hiv"]))
        .relation(grant);
    let request = decisions.iter().fold(request, |request, decision| request.decision(decision.clone()));
    request.evaluate(&rule).unwrap()
}

const NOW: &str = "2026-11-21T12:00:00Z";

fn disclose() -> DisclosureDecision {
    decided("sti_hiv", Disclosure::Disclose)
}

#[test]
fn a_decision_holds_from_its_moment_up_to_its_end() {
    let decision = DisclosureDecision {
        decided_at: instant("2026-11-21T10:00:00Z"),
        expires_at: Some(instant("2026-11-21T12:00:00Z")),
        ..disclose()
    };
    for (now, allowed) in [
        ("2026-11-21T09:59:59.999Z", false),
        ("2026-11-21T10:00:00Z", true),
        ("2026-11-21T11:59:59.999Z", true),
        ("2026-11-21T12:00:00Z", false),
    ] {
        assert_eq!(read(now, std::slice::from_ref(&decision)).allows(), allowed, "{now}");
    }
}

#[test]
fn a_decision_is_about_its_category_service_and_recipient() {
    let service = |service: &str| DisclosureDecision { service: service.into(), ..disclose() };
    let recipient =
        |id: &str| DisclosureDecision { recipient: Some(entity("RelatedPerson", id)), ..disclose() };
    for (decision, allowed) in [
        (disclose(), true),
        (decided("contraception", Disclosure::Disclose), false),
        (service("visit-1"), true),
        (service("observation-1"), true),
        (service("visit-2"), false),
        (recipient("person-1"), true),
        (recipient("person-2"), false),
        (DisclosureDecision { licence: " ".into(), ..disclose() }, false),
        (DisclosureDecision { author: entity("RelatedPerson", "person-1"), ..disclose() }, false),
    ] {
        assert_eq!(read(NOW, std::slice::from_ref(&decision)).allows(), allowed, "{decision:?}");
    }
}

#[test]
fn of_two_decisions_the_one_that_withholds_counts() {
    let findings = read(NOW, &[disclose(), decided("sti_hiv", Disclosure::Withhold)]);
    assert_eq!(findings.codes(), ["P8w"]);
    assert_eq!(read(NOW, &[disclose()]).codes(), Vec::<&str>::new());
    assert_eq!(read(NOW, &[]).codes(), ["P8m"]);
}
