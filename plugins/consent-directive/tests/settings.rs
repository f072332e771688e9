//! What the settings refuse, each with its place, and what the plugin says of itself.

use assent_consent_directive::ConsentDirective;
use assent_plugin_sdk::testing::{check_description, configure, json};

#[test]
fn the_description_is_one_that_a_host_admits() {
    check_description::<ConsentDirective>();
}

#[test]
fn what_holds_without_a_consent_must_be_said_and_is_enough() {
    for word in ["permit", "deny"] {
        configure::<ConsentDirective>(json!({ "no_consent": word })).unwrap();
    }
    for nothing in [json!({}), json!({ "no_consent": null })] {
        let problems = configure::<ConsentDirective>(nothing).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "/no_consent");
    }
}

#[test]
fn each_problem_is_shown_at_its_place_and_all_at_once() {
    for (settings, expected) in [
        (json!({ "no_consent": "allow", "queue": " " }), vec!["/no_consent", "/queue"]),
        (
            json!({ "no_consent": "deny", "queue": "", "authorizations": ["part2-tpo", ""] }),
            vec!["/queue", "/authorizations/1"],
        ),
        (json!({ "no_consent": "deny", "expired": "permit" }), vec!["/expired"]),
        (
            json!({ "no_consent": "deny", "callers_redact": ["codes", "dates", "labels"] }),
            vec!["/callers_redact/2"],
        ),
        (json!({ "no_consent": "deny", "consents": "newest" }), vec!["/consents"]),
        (
            json!({ "no_consent": "deny", "groups": [
                { "name": "Group::a", "members": [] },
                { "name": "Group::a", "members": ["dr-1", "Practitioner::dr-1", "Group::a"] },
                { "name": "north", "members": ["Organization::"] },
            ] }),
            vec![
                "/groups/0/members",
                "/groups/1/name",
                "/groups/1/members/0",
                "/groups/1/members/2",
                "/groups/2/name",
                "/groups/2/members/0",
            ],
        ),
    ] {
        let problems = configure::<ConsentDirective>(settings.clone()).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(places, expected, "{settings}: {problems:?}");
    }
}
