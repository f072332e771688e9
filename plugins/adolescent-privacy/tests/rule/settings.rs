//! Settings: what is refused and where, and what an adopted row changes.

use assent_adolescent_privacy::AdolescentPrivacy;
use assent_plugin_sdk::testing::{TestRelation, TestRequest, configure, date, instant, json, texts};

fn problems(settings: serde_json::Value) -> Vec<String> {
    let problems = configure::<AdolescentPrivacy>(settings).unwrap_err();
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn an_override_without_an_approver_is_refused() {
    let paths = problems(json!({ "overrides": [
        { "row": "OH/outpatient_mental_health", "approved_on": "2026-03-01", "reason": "read by counsel" },
        { "row": "CA/sti_hiv", "approved_by": " ", "parent_disclosure": "permitted" },
    ] }));
    assert_eq!(
        paths,
        [
            "/overrides/0/approved_by",
            "/overrides/1/citation",
            "/overrides/1/approved_by",
            "/overrides/1/reason",
            "/overrides/1/approved_on",
        ]
    );
}

#[test]
fn problems_are_found_all_at_once_and_where_they_are() {
    let adopted = json!({ "row": "OH/sti_hiv", "approved_by": "J. Ortiz", "approved_on": "2026-03-01", "reason": "ok" });
    let with = |key: &str, value: serde_json::Value| {
        let mut row = adopted.clone();
        row[key] = value;
        json!({ "overrides": [row] })
    };
    for (settings, path) in [
        (json!({ "majority_age": 17 }), "/majority_age"),
        (json!({ "teen_account_min": 40 }), "/teen_account_min"),
        (json!({ "full_proxy_below": 19 }), "/full_proxy_below"),
        (json!({ "review_queue": "" }), "/review_queue"),
        (json!({ "overrides": [adopted, adopted] }), "/overrides/1/row"),
        (with("row", json!("Ohio")), "/overrides/0/row"),
        (with("row", json!("OH/dentistry")), "/overrides/0/row"),
        (with("row", json!("PR/sti_hiv")), "/overrides/0/row"),
        (with("min_age", json!(30)), "/overrides/0/min_age"),
    ] {
        assert!(problems(settings.clone()).contains(&path.to_owned()), "{settings}");
    }
    assert_eq!(problems(json!({ "majority_age": 17, "full_proxy_below": 19 })).len(), 2);
    assert_eq!(problems(json!({ "teen_acount_min": 13 })), ["/teen_acount_min"]);
    assert!(configure::<AdolescentPrivacy>(json!({})).is_ok());
}

/// The codes found for a parent of a 15-year-old who consented.
fn codes(settings: serde_json::Value, state: &str, category: &str) -> Vec<String> {
    let rule: AdolescentPrivacy = configure(settings).unwrap();
    let grant = TestRelation::new("ProxyGrant", "g")
        .attribute("relationship", "parent")
        .attribute("verified", true)
        .attribute("start", instant("2020-01-01T00:00:00Z"));
    let findings = TestRequest::new("read")
        .subject("RelatedPerson", "person-1")
        .patient("patient-1")
        .resource("Observation", "observation-1")
        .today(date("2026-11-21"))
        .attribute("patient.birthDate", date("2011-01-01"))
        .attribute("patient.state", state)
        .attribute("resource.categories", texts([category]))
        .attribute("resource.minorConsented", "yes")
        .relation(grant)
        .evaluate(&rule)
        .unwrap();
    findings.codes().into_iter().map(str::to_owned).collect()
}

#[test]
fn an_adopted_row_decides_from_the_day_of_its_approval() {
    let adopt = |approved_on: &str| {
        json!({ "overrides": [{
            "row": "OH/outpatient_mental_health", "approved_by": "J. Ortiz", "approved_on": approved_on,
            "reason": "HB 172 was not enacted",
        }] })
    };
    assert_eq!(codes(json!({}), "OH", "outpatient_mental_health"), ["P8r", "P8r"]);
    assert_eq!(codes(adopt("2026-11-21"), "OH", "outpatient_mental_health"), ["P8d"]);
    assert_eq!(codes(adopt("2026-11-22"), "OH", "outpatient_mental_health"), ["P8r", "P8r"]);
}

#[test]
fn an_override_changes_what_it_names_and_can_add_a_territory() {
    let change = |row: &str, key: &str, value: serde_json::Value| {
        let mut change = json!({
            "row": row, "approved_by": "J. Ortiz", "approved_on": "2026-03-01", "reason": "counsel",
            "citation": "a statute",
        });
        change[key] = value;
        change
    };
    let settings = |change: serde_json::Value| json!({ "overrides": [change] });
    let permitted = settings(change("CA/sti_hiv", "parent_disclosure", json!("permitted")));
    assert_eq!(codes(permitted, "CA", "sti_hiv"), ["P8m"]);
    let older = settings(change("CA/sti_hiv", "min_age", json!(16)));
    assert_eq!(codes(older, "CA", "sti_hiv"), Vec::<String>::new());
    let mut territory = change("PR/sti_hiv", "parent_disclosure", json!("prohibited"));
    territory["minor_may_consent"] = json!("yes");
    assert_eq!(codes(settings(territory), "PR", "sti_hiv"), ["P8d"]);
    assert_eq!(codes(json!({}), "PR", "sti_hiv"), ["P8x", "P8x"]);
}
