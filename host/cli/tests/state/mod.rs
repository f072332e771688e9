//! The commands that use the state of a running service: entities on a real service, workflows and what goes wrong on
//! a listener that says what a test has it say.

mod import;
mod listener;
mod workflows;
mod years;

use assent_model::Digest;
use serde_json::{Value, json};

use super::audit::Running;
use super::*;
use listener::{Listener, Says};

const KEY: &str = "admin-key";
const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";

const USERS: &str = r#"entity User in [User] = { role?: String, active?: Bool, boss?: User };
entity Record = { owner: User };
action "read" appliesTo { principal: [User], resource: [Record] };
"#;

/// A deployment that keeps a state, and its service.
fn stateful() -> (Deployment, Running) {
    let deployment = keeping_a_state();
    let service = Running::start(&deployment);
    (deployment, service)
}

/// The same, before it is served.
fn keeping_a_state() -> Deployment {
    let key = Digest::of(KEY.as_bytes());
    let config = format!(
        "{ASSENT}[audit]\nname = \"pdp.example.org\"\n[state]\n[[caller]]\nid = \"administration\"\n\
         organizations = [\"clinic\"]\nenvironment = \"production\"\nrights = [\"read-state\", \"write-state\"]\n\
         obligations = []\nkey_sha256 = \"{key}\"\n"
    );
    let deployment = Deployment::new(&[("assent.toml", &config), ("org/clinic.cedarschema", USERS)]);
    assert!(assent(&["audit", "init", deployment.path()]).status.success());
    deployment
}

/// Runs a command on a service.
fn at(url: &str, arguments: &[&str]) -> Output {
    with(url, arguments, &[("ASSENT_ORGANIZATION", "clinic"), ("ASSENT_KEY", KEY)], "")
}

fn with(url: &str, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
    for name in ["ASSENT_ORGANIZATION", "ASSENT_KEY", "ASSENT_PERSON", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.args(arguments).env("ASSENT_URL", url).envs(environment.iter().copied());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// What a command prints that must succeed.
fn well(url: &str, arguments: &[&str]) -> String {
    let output = at(url, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// What a command says that must fail.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", stdout(output));
    let said = stderr(output);
    assert!(!said.contains("panicked") && !said.contains(KEY), "{said}");
    said
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn an_entity_is_put_read_changed_listed_and_deleted() {
    let (deployment, service) = stateful();
    let url = service.url();
    let file = deployment.0.path().join("carol.json");
    std::fs::write(&file, r#"{"uid":{"type":"User","id":"carol/1"},"attrs":{"role":"nurse"},"parents":[]}"#)
        .unwrap();
    let file = file.to_str().unwrap();
    let put = well(&url, &["entity", "put", file, "--new", "--person", "User/ann"]);
    assert_eq!(put, "created User/carol/1; the state is of version 1\n");
    let again = refused(&at(&url, &["entity", "put", file, "--new"]));
    assert!(again.starts_with("the service refuses it (412 changed-meanwhile): "), "{again}");

    let set = ["entity", "set", "User/carol/1", "role=head", "active:=true", "--if-version", "1"];
    assert_eq!(well(&url, &set), "changed User/carol/1; the state is of version 2\n");
    refused(&at(&url, &set));
    let shown = well(&url, &["entity", "get", "User/carol/1"]);
    assert!(shown.starts_with("User/carol/1, version 2: "), "{shown}");
    assert!(shown.contains("role                   head\n") && shown.contains("User/ann"), "{shown}");
    let shown = json_of(&well(&url, &["entity", "get", "User/carol/1", "--json"]));
    assert_eq!((&shown["version"], &shown["attrs"]), (&json!(2), &json!({ "role": "head", "active": true })));
    well(&url, &["entity", "set", "User/carol/1", "--unset", "active", "--parent", "User/bob"]);
    let shown = json_of(&well(&url, &["entity", "get", "User/carol/1", "--json"]));
    assert_eq!(shown["attrs"], json!({ "role": "head" }));
    assert_eq!(shown["parents"], json!([{ "type": "User", "id": "bob" }]));

    let of_files = well(&url, &["entity", "get", "User/ann"]);
    assert!(of_files.contains("version 0") && of_files.contains("release's files"), "{of_files}");
    let listed = well(&url, &["entity", "list", "User"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("ID       VERSION  CHANGED "), "{listed}");
    assert!(lines.iter().any(|line| *line == "ann      0"), "{listed}");
    let carol = lines.iter().find(|line| line.starts_with("carol/1  3 ")).unwrap();
    assert!(carol.contains("role head"), "{listed}");
    assert_eq!(well(&url, &["entity", "list", "Usre"]), "there are none\n");

    // The next decision knows.
    assert!(!service.ask(&ANN.replace("ann", "bob")).0);
    well(&url, &["entity", "set", "Record/r1", r#"owner:={"type":"User","id":"bob"}"#]);
    assert!(service.ask(&ANN.replace("ann", "bob")).0);

    assert_eq!(
        well(&url, &["entity", "delete", "User/carol/1"]),
        "deleted User/carol/1; the state is of version 5\n"
    );
    assert_eq!(refused(&at(&url, &["entity", "get", "User/carol/1"])), "there is no entity `User/carol/1`\n");
    let said = refused(&at(&url, &["entity", "delete", "User/ann"]));
    assert!(said.contains("(409 in-files)"), "{said}");
    well(&url, &["entity", "set", "User/ann", "role=guest"]);
    let given_back = well(&url, &["entity", "delete", "User/ann"]);
    assert_eq!(given_back, "gave back to the release's files: User/ann; the state is of version 7\n");
}

#[test]
fn what_the_schema_does_not_take_is_said_with_what_is_near() {
    let (_deployment, service) = stateful();
    let url = service.url();
    let said = refused(&at(&url, &["entity", "set", "User/ann", "rule=nurse", "--json"]));
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("the service refuses it (422 invalid-facts): ") && lines.len() == 2,
        "{said}"
    );
    assert!(lines[1].starts_with("  ") && lines[1].contains("did you mean `role`?"), "{said}");
    let environment = [("ASSENT_ORGANIZATION", "clinic"), ("ASSENT_KEY", KEY)];
    let put = |text: &str| refused(&with(&url, &["entity", "put", "-"], &environment, text));
    let unknown = put(r#"{"uid":{"type":"Usre","id":"x"}}"#);
    assert!(unknown.contains("(422 invalid-facts)") && unknown.contains("Usre"), "{unknown}");
    assert!(put("[]").contains("entity import"), "{}", put("[]"));
    for text in ["{}", "7", r#"{"uid":{"type":"User"}}"#] {
        assert!(put(text).contains("expected an entity"), "{}", put(text));
    }
    // A member that is there twice is for the service to refuse, so it is sent as it was written.
    let twice = put(r#"{"uid":{"type":"User","id":"x"},"attrs":{"role":"a","role":"b"}}"#);
    assert!(twice.contains("(400 malformed)"), "{twice}");
}

#[test]
fn a_long_list_comes_in_pages() {
    let (deployment, service) = stateful();
    let url = service.url();
    let users: Vec<Value> =
        (0..7).map(|n| json!({ "uid": { "type": "User", "id": format!("u{n}") }, "attrs": {} })).collect();
    let file = deployment.0.path().join("users.json");
    std::fs::write(&file, json!(users).to_string()).unwrap();
    well(&url, &["entity", "import", file.to_str().unwrap()]);
    // Two are in the files.
    let first = well(&url, &["entity", "list", "User", "--limit", "5"]);
    assert!(first.lines().count() == 7 && first.ends_with("`--after u2`, or with `--all`\n"), "{first}");
    let next = well(&url, &["entity", "list", "User", "--limit", "3", "--after", "u2"]);
    assert!(next.contains("\nu3 ") && next.contains("\nu5 ") && !next.contains("u2 "), "{next}");
    assert_eq!(well(&url, &["entity", "list", "User", "--all", "--limit", "2"]).lines().count(), 10);
    let pages = well(&url, &["entity", "list", "User", "--all", "--limit", "2", "--json"]);
    let items = pages.lines().map(|page| json_of(page)["items"].as_array().unwrap().len()).sum::<usize>();
    assert_eq!(items, 9);
}

#[test]
fn misuse_is_refused_with_what_to_do() {
    let (deployment, service) = stateful();
    let url = service.url();
    let get = ["entity", "get", "User/ann"];
    let organization = ("ASSENT_ORGANIZATION", "clinic");
    let said = |environment: &[(&str, &str)], more: &[&str]| {
        refused(&with(&url, &[&get, more].concat(), environment, ""))
    };
    let none = said(&[organization], &[]);
    assert!(none.contains("`--key file:PATH`") && none.contains("`ASSENT_KEY` is not set"), "{none}");
    // What is typed instead of a reference may be the key.
    let value = said(&[organization], &["--key", KEY]);
    assert!(value.contains("expected `file:PATH`"), "{value}");
    let unknown = said(&[organization, ("ASSENT_KEY", "another")], &[]);
    assert!(unknown.contains("(401 unauthenticated)") && !unknown.contains("another"), "{unknown}");
    assert!(said(&[("ASSENT_KEY", KEY)], &[]).contains("`--organization ID`"));
    assert!(said(&[("ASSENT_KEY", KEY)], &["-o", "elsewhere"]).contains("(403 no-right)"));
    let person = said(&[organization, ("ASSENT_KEY", KEY)], &["--person", "dr-lee"]);
    assert!(person.contains("`--person`") && person.contains("TYPE/ID"), "{person}");

    let file = deployment.0.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let reference = format!("file:{}", file.display());
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let exposed = said(&[organization], &["--key", &reference]);
    assert!(exposed.contains("can be read by others than its owner: `chmod 400"), "{exposed}");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let output = with(&url, &[&get[..], &["--key", &reference]].concat(), &[organization], "");
    assert!(output.status.success(), "{}", stderr(&output));

    for (wrong, expected) in [
        ("http://pdp.example.org", "expected `https`, or `http` on this machine"),
        ("pdp", "is not a URL"),
        ("http://127.0.0.1:1", "cannot be reached: is the service running, and is `--url` right?"),
        (&format!("{url}/elsewhere"), "is `--url` right?"),
    ] {
        let said = refused(&at(wrong, &get));
        assert!(said.contains(expected), "{said}");
    }
    for arguments in [
        &["entity", "get", "User"][..],
        &["entity", "get", "User/.."],
        &["entity", "set", "User/ann"],
        &["entity", "put", "absent.json"],
        &["entity", "put", "x", "--new", "--if-version", "1"],
        &["entity", "list", "User", "--limit", "501"],
        &["entity", "import"],
        &["entity", "import", "-"],
        &["entity", "import", "absent.json"],
        &["entity", "import", "Cargo.toml", "--batch", "1001"],
        &["hold", "place", "--reason", "x"],
        &["hold", "place", "--reason", "x", "--caller", "a", "--plugin", "b"],
        &["break-glass", "review", "x", "--outcome", "good"],
    ] {
        refused(&at(&url, arguments));
    }
}
