//! What an author is told of mistakes around plugins, where only real components can tell: each at its
//! line, all at once.

use assent_cli::deployment;

use crate::support::root;

/// The problems of a deployment whose one organization is the example clinic with these changes.
fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let example = root().join("examples/clinics/organizations/bay-pediatrics");
    let written = std::fs::read_to_string(example.join("organization.toml")).unwrap();
    let mut changed = written;
    for (from, to) in changes {
        assert!(changed.contains(from), "`{from}` is not in the example any more");
        changed = changed.replacen(from, to, 1);
    }
    // Relative paths lead from the example to the project.
    let changed = changed.replace("../../../..", root().to_str().unwrap());
    let path = |name: &str| directory.path().join("bay").join(name);
    std::fs::create_dir(directory.path().join("bay")).unwrap();
    std::fs::write(path("organization.toml"), changed).unwrap();
    for folder in ["policies", "entities", "cases"] {
        std::os::unix::fs::symlink(example.join(folder), path(folder)).unwrap();
    }
    // What did not change has been compiled for the example.
    let cache = root().join("examples/clinics/.assent/plugin-cache");
    let deployment = format!("organizations = [\"bay\"]\n[plugins]\ncache = {cache:?}\n");
    std::fs::write(directory.path().join("assent.toml"), deployment).unwrap();
    let shown = |text: String| text.replace(&path("").display().to_string(), "");
    let built = deployment::read(directory.path()).and_then(|d| deployment::build::build(&d));
    match built {
        Ok(_) => vec![],
        Err(errors) => errors.0.iter().map(|problem| shown(problem.to_string())).collect(),
    }
}

/// The line of the example's file that begins so.
fn line(start: &str) -> usize {
    let example = root().join("examples/clinics/organizations/bay-pediatrics/organization.toml");
    let text = std::fs::read_to_string(example).unwrap();
    text.lines().position(|line| line.starts_with(start)).unwrap() + 1
}

#[test]
fn mistakes_in_settings_are_reported_at_their_lines_shape_and_meaning_together() {
    let (quorum, posture) = (line("quorum = 1"), line("posture = "));
    assert_eq!(
        problems(&[
            ("quorum = 1", "quorum = 0"),
            ("posture = \"category_scoped\"", "majority_age = 30\nposture = \"category-scoped\""),
        ]),
        [
            format!(
                "organization.toml:{}:1: plugin `adolescent`: settings at `/posture`: unknown name `category-scoped`: \
                 expected one of `category_scoped`, `limited`; did you mean `category_scoped`?",
                posture + 1
            ),
            format!(
                "organization.toml:{posture}:1: plugin `adolescent`: settings at `/majority_age`: expected 18 to 21; leave \
                 it out for the table's age by state"
            ),
            format!(
                "organization.toml:{}:1: plugin `exports`: settings at `/approvals/0/quorum`: expected 1 to 20",
                quorum + 1
            ),
        ]
    );
}

#[test]
fn mistakes_in_grants_and_scopes_are_reported_at_their_lines() {
    let grants = line("    \"patient.birthDate\", \"patient.state\"");
    let missing = problems(&[("    \"patient.birthDate\", ", "    ")]);
    assert_eq!(missing.len(), 1, "{missing:?}");
    let place = format!(
        "organization.toml:{}:1: plugin `adolescent`: the plugin needs `patient.birthDate`",
        grants - 1
    );
    assert!(missing[0].starts_with(&place), "{missing:?}");
    let misspelt = problems(&[("    \"patient.birthDate\", ", "    \"patient.birthDat\", ")]);
    let place = format!("organization.toml:{grants}:5: plugin `adolescent`: `patient.birthDat` is granted");
    assert!(misspelt.iter().any(|problem| problem.starts_with(&place)), "{misspelt:?}");
    let scope = line("    \"download\", \"print\"");
    assert_eq!(
        problems(&[("    \"download\", \"print\"", "    \"download\", \"prnt\"")]),
        [format!(
            "organization.toml:{scope}:17: plugin `state-consent`: its scope names the action `prnt`, which the schema does \
             not have; did you mean `print`?"
        )]
    );
}

#[test]
fn a_missing_component_is_reported_where_it_is_named() {
    let component = line("component = ");
    let problems = problems(&[("adolescent-privacy.wasm", "adolescent.wasm")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .starts_with(&format!("organization.toml:{component}:1: plugin `adolescent`: the component"))
    );
    assert!(problems[0].contains("does not exist; `cargo xtask plugins` builds"), "{problems:?}");
}

#[test]
fn an_action_that_is_to_go_on_and_does_not_exist_is_reported_at_its_line() {
    let subjects = line("[subjects]");
    assert_eq!(
        problems(&[("[subjects]", "[state]\ngo_on_when_stale = [\"read\", \"serach\"]\n[subjects]")]),
        [format!(
            "organization.toml:{}:29: `state.go_on_when_stale` names the action `serach`, which the schema does not have; \
             did you mean `search`?",
            subjects + 1
        )]
    );
}

#[test]
fn a_declared_emergency_has_its_own_end_and_no_fresh_facts() {
    let written = std::fs::read_to_string(root().join("policies/base/health.cedarschema")).unwrap();
    let fresh = written.replace("@lapses(\"emergency\") end", "@fresh(\"4h\") end");
    assert_ne!(written, fresh);
    let directory = tempfile::tempdir().unwrap();
    let schema = directory.path().join("health.cedarschema");
    std::fs::write(&schema, fresh).unwrap();
    let place = ("../../../../policies/base/health.cedarschema", schema.to_str().unwrap());
    let table =
        "[break_glass]\nreasons = [\"disaster\"]\ndeclarers = [\"physician\"]\nreviewers = [\"physician\"]\n";
    let problems = problems(&[place, ("[subjects]", &format!("{table}[subjects]"))]);
    let expected =
        "`break_glass` lets emergencies be declared, but the schema has `@fresh` on an attribute of";
    assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
}

#[test]
fn two_rows_of_approvals_that_begin_alike_are_refused_at_the_second() {
    let row = "[[approval]]\nkind = \"export\"\nrecords_over = 50\nquorum = 2\nroles = [\"physician\"]\n\n";
    let first = line("[[approval]]");
    assert_eq!(
        problems(&[("[[approval]]", &format!("{row}[[approval]]"))]),
        [format!(
            "organization.toml:{}:1: `approval`: row 2 is of the kind `export` and begins above 50 records, as row 1 does; \
             write one, or have them begin differently",
            first + 8
        )]
    );
    let elsewhere = [row.replace("50", "51"), row.replace("export", "access")].join("");
    assert_eq!(problems(&[("[[approval]]", &format!("{elsewhere}[[approval]]"))]), [""; 0]);
}

#[test]
fn a_role_of_nearly_the_right_name_is_refused_where_a_workflow_names_it() {
    let (roles, withdrawing) = (line("[[approval]]") + 4, line("withdrawing_roles"));
    let help = |name: &str, meant: &str| {
        format!("did you mean `{meant}`? if not, add `Role::\"{name}\"` to the entities")
    };
    let emergencies = "[break_glass]\nreasons = [\"disaster\"]\ndeclarers = [\"emergency-acces\"]\nreviewers = [\"elders\"]\n";
    let changes = [
        (
            "\nroles = [\"privacy-officer\", \"physician\"]\n\n# What",
            "\nroles = [\"privacy-officer\", \"phisician\"]\n\n# What",
        ),
        (
            "withdrawing_roles = [\"privacy-officer\"]",
            "withdrawing_roles = [\"privacy-oficer\", \"chaplain\"]",
        ),
        ("[disclosure_decisions]", &format!("{emergencies}[disclosure_decisions]")),
    ];
    let said = |line: usize, column: usize, setting: &str, name: &str, meant: &str| {
        format!(
            "organization.toml:{line}:{column}: `{setting}` names the role `{name}`, {}; {}",
            assent_policy::NOT_AMONG_ENTITIES,
            help(name, meant)
        )
    };
    // `chaplain` and `elders` are like no role that there is: notes.
    assert_eq!(
        problems(&changes),
        [
            said(roles, 29, "approval.roles", "phisician", "physician"),
            said(withdrawing, 14, "break_glass.declarers", "emergency-acces", "emergency-access"),
            said(
                withdrawing + 4,
                22,
                "disclosure_decisions.withdrawing_roles",
                "privacy-oficer",
                "privacy-officer"
            ),
        ]
    );
}
