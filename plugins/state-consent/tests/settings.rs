//! What the settings refuse, each with its place, and what the plugin says of itself.

use assent_plugin_sdk::testing::{check_description, configure, json};
use assent_state_consent::StateConsent;

#[test]
fn the_description_is_one_that_a_host_admits() {
    check_description::<StateConsent>();
}

#[test]
fn settings_that_say_what_and_where_the_organization_is_are_enough() {
    configure::<StateConsent>(json!({ "kinds": ["provider"], "states": ["CA"] })).unwrap();
}

#[test]
fn each_problem_is_shown_at_its_place_and_all_at_once() {
    let signed = json!({ "approved_by": "A. Counsel", "approved_on": "2026-10-01", "reason": "read" });
    let with = |more: serde_json::Value| {
        let mut all = signed.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let without = |key: &str| {
        let mut all = with(json!({ "row": "ny-hiv", "names_recipient": true }));
        all.as_object_mut().unwrap().remove(key);
        all
    };
    for (settings, expected) in [
        (json!({ "kinds": [], "states": ["CA"] }), vec!["/kinds"]),
        (json!({ "kinds": ["hospital"], "states": [] }), vec!["/kinds/0", "/states"]),
        (json!({ "kinds": ["provider"], "states": ["XX", "CA", "US"] }), vec!["/states/0", "/states/2"]),
        (json!({ "kinds": ["provider"], "states": ["CA"], "queue": " " }), vec!["/queue"]),
        (json!({ "kinds": ["provider"], "states": ["CA"], "unlabeled": "unknown" }), vec!["/unlabeled"]),
        (
            json!({ "kinds": ["provider"], "states": ["NY"], "overrides": [
                without("approved_by"), without("approved_on"), without("reason"),
            ] }),
            vec!["/overrides/0/approved_by", "/overrides/1/approved_on", "/overrides/2/reason"],
        ),
        (
            json!({ "kinds": ["provider"], "states": ["NY"], "overrides": [
                with(json!({ "row": "ny-hivv", "forms": ["hiv-specfic"] })),
                with(json!({ "row": "ny-hiv", "exceptions": ["treatment", "friends"] })),
                with(json!({ "row": "ny-hiv", "default_without_consent": "allow" })),
                with(json!({ "row": "ny-hiv" })),
            ] }),
            vec![
                "/overrides/0/row",
                "/overrides/0/forms/0",
                "/overrides/1/exceptions/1",
                "/overrides/2/default_without_consent",
                "/overrides/3",
            ],
        ),
        (
            json!({ "kinds": ["provider"], "states": ["WA"], "trusted": [{ "row": "wa-repro" }] }),
            vec!["/trusted/0/approved_by", "/trusted/0/reason", "/trusted/0/approved_on"],
        ),
        (
            json!({ "kinds": ["provider"], "states": ["WA"], "trusted": [
                with(json!({ "row": "wa-repro", "exceptions": ["treatment"] })),
            ] }),
            vec!["/trusted/0"],
        ),
    ] {
        let problems = configure::<StateConsent>(settings.clone()).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(places, expected, "{settings}: {problems:?}");
    }
}

#[test]
fn a_misspelt_row_is_answered_with_the_nearest() {
    let settings = json!({ "kinds": ["provider"], "states": ["NY"], "trusted": [
        { "row": "wa-rep", "approved_by": "A. Counsel", "approved_on": "2026-10-01", "reason": "read" },
    ] });
    let problems = configure::<StateConsent>(settings).unwrap_err();
    assert_eq!(problems[0].message, "`wa-rep` is not known: did you mean `wa-repro`?");
}
