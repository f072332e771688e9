//! Years of the log are let go, the database is lost, and a service makes the state again: as two persons type it.

use super::*;

const LONG_AGO: &str = "2015-06-01T12:00:00Z";

fn audit(arguments: &[&str]) -> Output {
    assent(&[&["audit"], arguments].concat())
}

/// What a command on the log prints that must succeed.
fn done(arguments: &[&str]) -> String {
    let output = audit(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// Puts a user of this role.
fn set(deployment: &Deployment, url: &str, id: &str, role: &str) {
    let user = json!({ "uid": { "type": "User", "id": id }, "attrs": { "role": role }, "parents": [] });
    let file = deployment.0.path().join("user.json");
    std::fs::write(&file, user.to_string()).unwrap();
    well(url, &["entity", "put", file.to_str().unwrap()]);
}

fn lose_the_database(deployment: &Deployment) {
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(deployment.0.path().join(format!(".assent/state.db{suffix}"))).ok();
    }
}

/// Asks for a year to go, and what is to be typed to agree.
fn ask(path: &str, year: &str) -> Vec<String> {
    let asked = done(&["expire", path, "--year", year, "--by", "ann", "--reason", "kept for long enough"]);
    let (_, rest) = asked.split_once("request ").unwrap();
    let request = rest.split(';').next().unwrap();
    ["expire", path, "--confirm", request, "--by", "bob"].map(str::to_owned).to_vec()
}

#[test]
fn what_decisions_stand_on_outlives_the_years_it_is_said_in() {
    let deployment = keeping_a_state();
    let path = deployment.path();
    let service = Running::start_at(&deployment, LONG_AGO);
    for (id, role) in [("carol", "nurse"), ("carol", "head"), ("dave", "clerk"), ("eve", "secret-role")] {
        set(&deployment, &service.url(), id, role);
    }
    well(&service.url(), &["entity", "set", "Record/r1", r#"owner:={"type":"User","id":"bob"}"#]);
    well(&service.url(), &["entity", "delete", "User/eve"]);
    service.end("TERM");
    let service = Running::start_at(&deployment, "2016-06-01T12:00:00Z");
    set(&deployment, &service.url(), "dave", "doctor");
    service.end("TERM");
    let service = Running::start(&deployment);
    set(&deployment, &service.url(), "frank", "porter");
    let list = |service: &Running| well(&service.url(), &["entity", "list", "User", "--json"]);
    let (held, bob) = (list(&service), ANN.replace("ann", "bob"));
    assert!(held.contains("head") && held.contains("doctor") && held.contains("porter"), "{held}");
    assert!(service.ask(&bob).0 && !service.ask(ANN).0);

    // One year beside the service, the other without one.
    let agree = ask(path, "2015");
    let agree: Vec<&str> = agree.iter().map(String::as_str).collect();
    assert!(done(&agree).starts_with("let go: "));
    service.end("TERM");
    let agree = ask(path, "2016");
    let agree: Vec<&str> = agree.iter().map(String::as_str).collect();
    // While the database cannot say what still counts, the year stays.
    let file = deployment.0.path().join(".assent/state.db");
    std::fs::rename(&file, file.with_extension("aside")).unwrap();
    let said = refused(&audit(&agree));
    assert!(said.contains("2016 stays") && said.contains("start the service"), "{said}");
    assert!(deployment.0.path().join(".assent/audit/clinic/2016").exists());
    lose_the_database(&deployment);
    std::fs::rename(file.with_extension("aside"), &file).unwrap();
    assert!(done(&agree).starts_with("let go: "));

    lose_the_database(&deployment);
    let service = Running::start(&deployment);
    assert_eq!(list(&service), held);
    assert!(service.ask(&bob).0 && !service.ask(ANN).0);
    set(&deployment, &service.url(), "frank", "nurse");
    service.end("TERM");

    // As a person sees what was carried; of what was removed nothing but that it was.
    done(&["verify", path]);
    let found = done(&["search", path, "--kind", "state-carried", "--oldest-first"]);
    assert!(found.contains("state of 2015") && found.contains("part 1 of 1"), "{found}");
    let place = found.lines().nth(1).unwrap().split_whitespace().find(|word| word.starts_with("2026-"));
    let listed = place.filter(|place| place[5..].parse::<u64>().is_ok()).unwrap_or_else(|| panic!("{found}"));
    let shown = done(&["show", path, "--id", listed]);
    for part in
        ["2015", "1 to 6", "entity User::carol, of version 2", "entity User::eve, of version 6, removed"]
    {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    let exported = done(&["export", path, "--format", "json-lines"]);
    let carried: Vec<_> = exported.lines().filter(|line| line.contains("state-carried")).collect();
    assert!(carried.len() == 2 && !exported.contains("secret-role"), "{exported}");
    assert!(carried.iter().all(|line| !line.contains("\"payload\"")), "{carried:?}");
}
