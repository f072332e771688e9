//! The `assent` command as a person runs it: what it prints, how it ends, how it refuses.
//!
//! The deployments are the AuthZEN examples and small ones of its own; only `crash::uses` needs a plugin.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod audit;
mod crash;
mod nodes;
mod state;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn assent(arguments: &[&str]) -> Output {
    assent_with_input(arguments, "")
}

fn assent_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_assent"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A deployment of one organization, with these changes to its files.
struct Deployment(tempfile::TempDir);

const ASSENT: &str = r#"organizations = ["org"]
[[caller]]
id = "portal"
organizations = ["clinic"]
environment = "production"
rights = ["decide"]
obligations = ["*"]
loopback = true
"#;
const ORGANIZATION: &str = r#"id = "clinic"
name = "Clinic"
schema = ["clinic.cedarschema"]
policies = ["clinic.cedar"]
entities = ["clinic.json"]
cases = ["clinic.toml"]
[subjects]
user = "User"
[resources]
record = "Record"
"#;
const SCHEMA: &str = r#"entity User;
entity Record = { owner: User };
action "read" appliesTo { principal: [User], resource: [Record] };
"#;
const POLICIES: &str = r#"@id("owner.read")
@intent("owners read")
permit (principal, action == Action::"read", resource) when { resource.owner == principal };
"#;
const ENTITIES: &str = r#"[
{"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": []},
{"uid": {"type": "User", "id": "bob"}, "attrs": {}, "parents": []},
{"uid": {"type": "Record", "id": "r1"}, "attrs": {"owner": {"type": "User", "id": "ann"}}, "parents": []}
]"#;
const CASES: &str = r#"[defaults]
now = "2026-11-21T18:00:00Z"
action = { name = "read" }
resource = { type = "record", id = "r1" }
[[case]]
name = "the owner reads"
subject = { type = "user", id = "ann" }
expect = { decision = "permit", policies = ["owner.read"] }
[[case]]
name = "nobody else does"
subject = { type = "user", id = "bob" }
expect = { decision = "deny", cause = "no_policy" }
"#;

impl Deployment {
    fn new(changes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("org")).unwrap();
        let files = [
            ("assent.toml", ASSENT),
            ("org/organization.toml", ORGANIZATION),
            ("org/clinic.cedarschema", SCHEMA),
            ("org/clinic.cedar", POLICIES),
            ("org/clinic.json", ENTITIES),
            ("org/clinic.toml", CASES),
        ];
        for (name, text) in files.iter().chain(changes) {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

const ANN: &str = r#"{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},"resource":{"type":"record","id":"r1"}}"#;

#[test]
fn check_sums_up_a_deployment_that_is_well() {
    let output = assent(&["check", Deployment::new(&[]).path()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("1 policies, 3 entities")
            && text.contains("2 decision cases")
            && text.contains("all good")
    );
}

#[test]
fn check_reports_every_mistake_with_its_place() {
    // What is wrong → what must be said of it.
    let mistakes: &[(&str, String, &[&str])] = &[
        (
            "assent.toml",
            ASSENT.replace("loopback", "lopback"),
            &["assent.toml:8:1", "lopback", "did you mean `loopback`?"],
        ),
        (
            "assent.toml",
            ASSENT.replace("\"org\"", "\"orgs\""),
            &["assent.toml:1:18", "orgs", "expected a folder"],
        ),
        (
            "assent.toml",
            ASSENT.replace("\"clinic\"", "\"clinik\""),
            &["assent.toml:4:18", "clinik", "did you mean `clinic`?"],
        ),
        (
            "assent.toml",
            ASSENT.replace("[\"*\"]", "[\"audti\"]"),
            &["assent.toml:7:16", "audti", "did you mean `audit`?"],
        ),
        ("assent.toml", ASSENT.replace("loopback = true", ""), &["assent.toml:2:1", "portal", "key_sha256"]),
        ("assent.toml", ASSENT.replace("[\"decide\"]", "[]"), &["assent.toml:6:1", "portal", "rights"]),
        (
            "assent.toml",
            format!("{ASSENT}[plugins]\nslots = 0\n"),
            &["assent.toml:10:1", "plugins.slots", "1 to"],
        ),
        (
            "assent.toml",
            format!("{ASSENT}[server]\npublic_url = \"http://pdp\"\n"),
            &["assent.toml:10:1", "http://pdp", "https"],
        ),
        (
            "assent.toml",
            format!("{ASSENT}[server]\nlisten = \"0.0.0.0:80\"\n"),
            &["assent.toml:10:1", "0.0.0.0:80", "127.0.0.1"],
        ),
        (
            "assent.toml",
            format!("{ASSENT}[server]\nlisten = \"localhost\"\n"),
            &["assent.toml:10:10", "socket address", "such as `127.0.0.1:8180`"],
        ),
        (
            "org/organization.toml",
            ORGANIZATION.replace("[\"clinic.cedarschema\"]", "[]"),
            &["organization.toml:3:1: `schema` is empty", "1 problem found"],
        ),
        (
            "org/organization.toml",
            format!("{ORGANIZATION}[[plugin]]\nid = \"p\"\ncomponent = \"clinic.toml\"\n"),
            &[
                "organization.toml:13:1: plugin `p`: this is not a WebAssembly component: the file does not begin",
                "1 problem found",
            ],
        ),
        (
            "assent.toml",
            format!("{ASSENT}[server.limits]\nin_flight_max = 0\n"),
            &["assent.toml:10:1", "in_flight_max", "expected 1 to"],
        ),
        (
            "assent.toml",
            format!(
                "{ASSENT}{}",
                ASSENT.replace("organizations = [\"org\"]\n", "").replace("portal", "other")
            ),
            &["assent.toml:15:1", "other", "only one caller can have `loopback = true`"],
        ),
        (
            "assent.toml",
            format!(
                "{}{}",
                ASSENT.replace("loopback = true", &format!("key_sha256 = \"{}\"", "ab".repeat(32))),
                ASSENT
                    .replace("organizations = [\"org\"]\n", "")
                    .replace("portal", "other")
                    .replace("loopback = true", &format!("key_sha256 = \"{}\"", "ab".repeat(32))),
            ),
            &["assent.toml:15:1", "caller `other` has the same key as caller `portal`"],
        ),
        ("assent.toml", ASSENT.replace("[\"org\"]", "[\"org\", \"org\"]"), &["assent.toml:1:25", "twice"]),
        ("org/organization.toml", ORGANIZATION.replace("policies", "polices"), &["did you mean `policies`?"]),
        (
            "org/organization.toml",
            ORGANIZATION.replace("\"User\"", "\"Usr\""),
            &["organization.toml:8:1: `user` is mapped", "Usr", "User"],
        ),
        (
            "org/organization.toml",
            ORGANIZATION.replace("clinic.json", "absent.json"),
            &["organization.toml:5:13", "absent.json"],
        ),
        ("org/clinic.cedar", POLICIES.replace("owner ==", "onwer =="), &["clinic.cedar:3", "onwer"]),
        ("org/clinic.cedar", POLICIES.replace("@id(\"owner.read\")\n", ""), &["clinic.cedar:1", "@id"]),
        ("org/clinic.cedar", format!("{POLICIES}{POLICIES}"), &["owner.read", "clinic.cedar:4"]),
        ("org/clinic.json", ENTITIES.replace("\"owner\"", "\"ownr\""), &["ownr", "owner"]),
        (
            "org/clinic.json",
            ENTITIES.replace("{\"owner\"", "{\"owner\": {\"type\": \"User\", \"id\": \"bob\"}, \"owner\""),
            &["owner", "twice"],
        ),
        (
            "org/clinic.json",
            ENTITIES.replace("User\", \"id\": \"bob\"", "User\", \"id\": \"ann\""),
            &["clinic.json"],
        ),
        (
            "org/organization.toml",
            format!(
                "{ORGANIZATION}[[plugin]]\nid = \"p\"\ncomponent = \"p.wasm\"\nscope = {{ actions = [\"raed\"] }}\n"
            ),
            &["organization.toml:14:22: plugin `p`", "raed", "did you mean `read`?"],
        ),
        (
            "org/clinic.toml",
            CASES.replace("policies =", "polices ="),
            &["clinic.toml:8", "did you mean `policies`?"],
        ),
        (
            "org/clinic.toml",
            CASES.replace("18:00:00Z", "25:00:00Z"),
            &["clinic.toml:2", "2026-11-21T18:00:00Z"],
        ),
    ];
    for (file, text, expected) in mistakes {
        let output = assent(&["check", Deployment::new(&[(file, text)]).path()]);
        let said = stderr(&output);
        assert!(!output.status.success(), "{file} was accepted:\n{text}");
        for part in *expected {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn check_looks_up_every_name_in_a_case() {
    let expect = "decision = \"permit\", policies = [\"owner.read\"]";
    let with = |more: &str| CASES.replace(expect, &format!("{expect}, {more}"));
    let mistakes: &[(String, &[&str])] = &[
        (
            CASES.replace("owner.read", "ownr.read"),
            &["clinic.toml:8:45: there is no policy `ownr.read`; did you mean `owner.read`?"],
        ),
        (with("errors = [\"owner.rea\"]"), &["there is no policy `owner.rea`; did you mean `owner.read`?"]),
        (with("findings = [\"exports:x\"]"), &["clinic.toml:8:", "no plugin is bound as `exports`"]),
        (with("failures = [\"exports:fuel\"]"), &["clinic.toml:8:", "no plugin is bound as `exports`"]),
        (
            with("obligations = [\"audti\"]"),
            &["clinic.toml:8:", "the obligation `audti` is not a known one; did you mean `audit`?"],
        ),
        (
            with("remedies = [\"break-glas\"]"),
            &["clinic.toml:8:", "there is no remedy `break-glas`; did you mean `break-glass`?"],
        ),
        // The defaults' mistake is reported where it stands, once.
        (
            CASES.replace("name = \"read\"", "name = \"raed\""),
            &[
                "clinic.toml:3:12: action.name: the action `raed` is not known; did you mean `read`?",
                "1 problem found",
            ],
        ),
        (
            CASES.replace("type = \"record\"", "type = \"recrod\""),
            &["clinic.toml:4:14: resource.type: the type `recrod`", "did you mean `record`?"],
        ),
        (
            CASES.replace("\"r1\"", "\"r99999\""),
            &["clinic.toml:4:31: resource.id: `Record::\"r99999\"`", "cause = \"indeterminate\""],
        ),
        (
            CASES.replace("\"ann\"", "\"anna\""),
            &["clinic.toml:7:28: subject.id: `User::\"anna\"`", "did you mean `ann`?"],
        ),
        (
            CASES.replace("now =", "caller = \"portl\"\nnow ="),
            &["clinic.toml:2:1: the caller `portl` is not in assent.toml; did you mean `portal`?"],
        ),
        (
            format!(
                "{CASES}entities = [{{ uid = {{ type = \"User\", id = \"c\" }} }}, {{ uid = {{ type = \"Usr\", id = \"d\" }} }}]\n"
            ),
            &["clinic.toml:13:", "uid.type: the schema has no entity type `Usr`; did you mean `User`?"],
        ),
        (
            format!("{CASES}entities = [{{ uid = {{ type = \"User\", id = \"ann\" }}, absent = true }}]\n"),
            &["clinic.toml:13:1: the stored entities no longer fit", "User::\"ann\""],
        ),
    ];
    for (text, expected) in mistakes {
        let output = assent(&["check", Deployment::new(&[("org/clinic.toml", text)]).path()]);
        let said = stderr(&output);
        assert!(!output.status.success(), "accepted:\n{text}");
        for part in *expected {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
    }
    // A case may be about somebody who does not exist, or who exists in this case alone.
    let text =
        CASES.replace("cause = \"no_policy\"", "cause = \"indeterminate\"").replace("\"bob\"", "\"nobody\"");
    let added = "entities = [{ uid = { type = \"User\", id = \"carl\" } }]";
    let added = format!("{}{added}\n", CASES.replace("\"bob\"", "\"carl\""));
    for text in [text, added] {
        let output = assent(&["check", Deployment::new(&[("org/clinic.toml", &text)]).path()]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn a_policy_about_a_role_of_nearly_the_same_name_is_refused_and_about_none_at_all_noted() {
    let schema = SCHEMA.replace("entity User;", "entity Role;\nentity User in [Role];");
    let entities = ENTITIES.replace("[\n", "[\n{\"uid\": {\"type\": \"Role\", \"id\": \"nurse\"}},\n");
    let check = |role: &str| {
        let rule = "@id(\"r\") @intent(\"i\") forbid (principal in Role::\"ROLE\", action, resource);";
        let policies = format!("{POLICIES}{}\n", rule.replace("ROLE", role));
        let changes = [
            ("org/clinic.cedarschema", schema.as_str()),
            ("org/clinic.json", &entities),
            ("org/clinic.cedar", &policies),
        ];
        assent(&["check", Deployment::new(&changes).path()])
    };
    let refused = check("nurze");
    assert!(!refused.status.success());
    let said = stderr(&refused);
    assert!(said.contains("clinic.cedar:4:1: policy `r` names `Role::\"nurze\"`"), "{said}");
    assert!(said.contains("did you mean `nurse`? if not, add `Role::\"nurze\"` to the entities"), "{said}");
    let noted = check("surgeon");
    assert!(noted.status.success(), "{}", stderr(&noted));
    assert!(
        stdout(&noted).contains("note: ") && stdout(&noted).contains("Role::\"surgeon\""),
        "{}",
        stdout(&noted)
    );
    assert!(check("nurse").status.success());
}

#[test]
fn a_broken_file_of_entities_is_reported_without_what_follows_from_it() {
    let deployment = Deployment::new(&[
        ("org/organization.toml", &ORGANIZATION.replace("clinic.json\"", "clinic.json\", \"people.json\"")),
        ("org/people.json", "[{\"uid\": {\"type\": \"User\", \"id\": \"eve\"}},"),
        (
            "org/clinic.json",
            &ENTITIES
                .replace("{\"type\": \"User\", \"id\": \"ann\"}}", "{\"type\": \"User\", \"id\": \"eve\"}}"),
        ),
    ]);
    let said = stderr(&assent(&["check", deployment.path()]));
    assert!(said.contains("people.json:1:40: this is not a JSON list of entities"), "{said}");
    assert!(said.contains("references between entities were not checked because of it"), "{said}");
    assert!(said.contains("1 problem found") && !said.contains("eve"), "{said}");
}

#[test]
fn files_from_other_editors_are_read_or_refused_at_the_place() {
    let bytes = |file: &str, content: &[u8]| {
        let deployment = Deployment::new(&[]);
        std::fs::write(deployment.0.path().join(file), content).unwrap();
        assent(&["check", deployment.path()])
    };
    for (file, text) in [
        ("assent.toml", ASSENT),
        ("org/organization.toml", ORGANIZATION),
        ("org/clinic.cedarschema", SCHEMA),
        ("org/clinic.cedar", POLICIES),
        ("org/clinic.json", ENTITIES),
        ("org/clinic.toml", CASES),
    ] {
        let output = bytes(file, format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes());
        assert!(output.status.success(), "{file}: {}", stderr(&output));
        let second_line = text.find('\n').unwrap() + 1;
        let mut latin1 = text.as_bytes().to_vec();
        latin1.insert(second_line + 2, 0xE4);
        let output = bytes(file, &latin1);
        let expected = format!(
            "{}:2:3: this is not UTF-8 text; save the file as UTF-8",
            file.rsplit('/').next().unwrap()
        );
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        // Nothing at all: without policies, it is the cases that name one.
        let output = bytes(file, b"");
        let named = if file == "org/clinic.cedar" { "clinic.toml" } else { file };
        assert!(!output.status.success(), "{file}");
        assert!(stderr(&output).contains(named), "{file}: {}", stderr(&output));
    }
}

#[test]
fn check_reports_the_mistakes_of_several_files_at_once() {
    let policies = POLICIES.replace("owner ==", "onwer ==");
    let entities = ENTITIES.replace("\"owner\"", "\"ownr\"");
    let organization = format!("{ORGANIZATION}[[plugin]]\nid = \"p\"\ncomponent = \"absent.wasm\"\n");
    let changes = [
        ("org/clinic.cedar", policies.as_str()),
        ("org/clinic.json", &entities),
        ("org/organization.toml", &organization),
    ];
    let said = stderr(&assent(&["check", Deployment::new(&changes).path()]));
    assert!(said.contains("onwer") && said.contains("absent.wasm"), "{said}");
    assert!(said.contains("problems found; nothing was loaded"), "{said}");
}

#[test]
fn test_shows_expected_against_got() {
    let wrong = CASES.replace("cause = \"no_policy\"", "cause = \"forbidden\"");
    let output = assent(&["test", Deployment::new(&[("org/clinic.toml", &wrong)]).path()]);
    assert!(!output.status.success());
    let text = stdout(&output);
    assert!(
        text.contains("nobody else does") && text.contains("expected forbidden, got no_policy"),
        "{text}"
    );
    assert!(text.contains("1 passed, 1 failed"), "{text}");
    let output = assent(&["test", Deployment::new(&[]).path(), "owner"]);
    assert!(output.status.success() && stdout(&output).contains("1 passed, 0 failed"));
    // A filter that matches nothing has tested nothing.
    assert!(!assent(&["test", Deployment::new(&[]).path(), "nosuch"]).status.success());
}

#[test]
fn eval_explains_and_ends_by_the_decision() {
    let deployment = Deployment::new(&[]);
    let output = assent_with_input(&["eval", deployment.path(), "-", "--now", "2026-11-21T18:00:00Z"], ANN);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.starts_with("PERMIT") && text.contains("owner.read") && text.contains("resource.owner"),
        "{text}"
    );

    let bob = ANN.replace("ann", "bob");
    let output = assent_with_input(&["eval", deployment.path(), "-", "--json"], &bob);
    assert_eq!(output.status.code(), Some(2));
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&view["effect"], &view["cause"]), (&"deny".into(), &"no_policy".into()));
    assert_eq!(view["ignored"], serde_json::json!([]));
}

#[test]
fn eval_names_what_was_sent_and_ignored_without_its_values() {
    let deployment = Deployment::new(&[]);
    let request = ANN.replace(
        "\"r1\"}",
        "\"r1\",\"properties\":{\"owner\":\"secret\"}},\"context\":{\"purpose\":\"secret\"}",
    );
    let output = assent_with_input(&["eval", deployment.path(), "-"], &request);
    let text = stdout(&output);
    let expected = "  sent, but ignored (the schema does not mark it `@supplied(\"caller\")`):\n    context.purpose\n    resource.properties.owner\n";
    assert!(text.contains(expected) && !text.contains("secret"), "{text}{}", stderr(&output));
    let output = assent_with_input(&["eval", deployment.path(), "-", "--json"], &request);
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["ignored"], serde_json::json!(["context.purpose", "resource.properties.owner"]));
}

#[test]
fn a_mistyped_option_is_an_error_and_not_a_denial() {
    let deployment = Deployment::new(&[]);
    for arguments in
        [["eval", deployment.path(), "-", "--jsn"], ["eval", deployment.path(), "-", "--now=yesterday"]]
    {
        assert_eq!(assent(&arguments).status.code(), Some(1), "{arguments:?}");
    }
    assert_eq!(assent(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_service_that_does_not_start_names_no_patient() {
    let entities = ENTITIES
        .replace("{\"type\": \"User\", \"id\": \"ann\"}}", "{\"type\": \"User\", \"id\": \"mrn-123\"}}");
    let deployment = Deployment::new(&[("org/clinic.json", &entities)]);
    let said = stderr(&assent(&["serve", deployment.path()]));
    assert!(said.contains("clinic.json") && !said.contains("mrn-123"), "{said}");
    assert!(stderr(&assent(&["check", deployment.path()])).contains("mrn-123"));
}

#[test]
fn eval_refuses_what_is_no_request() {
    let deployment = Deployment::new(&[]);
    for (request, expected) in [("", "-"), ("{", "-"), ("[]", "object"), ("{\"subject\":1}", "subject")] {
        let output = assent_with_input(&["eval", deployment.path(), "-"], request);
        assert_eq!(output.status.code(), Some(1), "{request}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn the_clock_stands_still_on_loopback_only() {
    let remote = format!("{ASSENT}[server]\nlisten = \"0.0.0.0:0\"\nallow_remote = true\n");
    let deployment = Deployment::new(&[("assent.toml", &remote)]);
    let output = assent(&["serve", deployment.path(), "--stopped-clock", "2026-11-21T18:00:00Z"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("demonstrations"), "{}", stderr(&output));
}

#[test]
fn two_organizations_of_one_id_are_one_problem() {
    let deployment = Deployment::new(&[("assent.toml", &ASSENT.replace("[\"org\"]", "[\"org\", \"two\"]"))]);
    let two = deployment.0.path().join("two");
    std::fs::create_dir(&two).unwrap();
    std::fs::write(two.join("organization.toml"), ORGANIZATION).unwrap();
    let said = stderr(&assent(&["check", deployment.path()]));
    assert!(said.contains("two/organization.toml:1:1: the id `clinic` is already taken"), "{said}");
    assert!(said.contains("org/organization.toml") && said.contains("1 problem found"), "{said}");
}

#[test]
fn a_directory_that_is_no_deployment_is_refused_with_what_is_missing() {
    let empty = tempfile::tempdir().unwrap();
    let output = assent(&["check", empty.path().to_str().unwrap()]);
    assert!(stderr(&output).contains("assent.toml: does not exist"), "{}", stderr(&output));
    assert!(!output.status.success());
    let deployment = Deployment::new(&[]);
    let file = format!("{}/assent.toml", deployment.path());
    let said = stderr(&assent(&["check", &file]));
    assert!(said.contains("this is a file: expected the folder that holds `assent.toml`"), "{said}");
}
