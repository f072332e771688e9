//! How a service ends: in order, whenever it is asked to, whoever listens, and whatever fails on the way.

use super::*;

/// The records of this kind.
fn count(path: &str, kind: &str) -> usize {
    well(&["search", path, "--kind", kind, "--limit", "100", "--json"]).lines().count()
}

#[test]
fn a_service_that_is_asked_to_stop_as_soon_as_it_says_that_it_serves_ends_in_order() {
    let deployment = logged();
    let path = deployment.path();
    for turn in 1..=20 {
        // Returns with the line; nothing is between it and the signal.
        let signal = if turn % 2 == 0 { Signal::INT } else { Signal::TERM };
        let (status, said) = Running::start(&deployment).ended_by(signal);
        assert_eq!(status.code(), Some(0), "turn {turn}: {status}: {said}");
        assert!(said.contains("stopping: "), "turn {turn}: {said}");
    }
    assert_eq!((count(path, "service-started"), count(path, "service-stopped")), (20, 20));
    // Closed with a checkpoint of everything.
    let verified = well(&["verify", path]);
    assert!(verified.contains("  0 after it;") && !verified.contains("unfinished"), "{verified}");
}

#[test]
fn a_start_that_cannot_succeed_leaves_no_record() {
    let deployment = logged();
    let path = deployment.path();
    Running::start(&deployment).end("TERM");
    let before = well(&["export", path, "--format", "json-lines"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refused(&assent(&["serve", path, "--listen", &taken.local_addr().unwrap().to_string()]));
    assert!(said.contains("cannot be listened on"), "{said}");
    assert_eq!(well(&["export", path, "--format", "json-lines"]), before);
}

#[test]
fn a_service_that_nobody_listens_to_goes_on_and_ends_in_order() {
    let deployment = logged();
    let mut service = Running::start(&deployment);
    // Whoever read its lines has gone.
    service.stderr = BufReader::new(closed());
    let inbox = deployment.0.path().join(".assent/audit/clinic/inbox");
    std::fs::create_dir_all(&inbox).unwrap();
    std::fs::write(inbox.join("00.letter"), "no letter at all").unwrap();
    wait_for("something is said", || inbox.join("00.refused").exists());
    assert!(service.ask(ANN).0);
    service.end("TERM");
    assert_eq!(count(deployment.path(), "service-stopped"), 1);
}

/// A pipe without anybody at its other end.
fn closed() -> ChildStderr {
    let mut child = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stderr.take().unwrap()
}

#[test]
fn a_log_that_failed_keeps_no_other_organizations_log_from_records_and_a_good_end() {
    let two = ASSENT.replace("[\"org\"]", "[\"org\", \"hill\"]");
    let two = two.replace("[\"clinic\"]", "[\"clinic\", \"hill\"]");
    let deployment =
        Deployment::new(&[("assent.toml", &format!("{two}[audit]\nname = \"pdp.example.org\"\n"))]);
    let folder = deployment.0.path().join("hill");
    std::fs::create_dir(&folder).unwrap();
    for file in ["clinic.cedarschema", "clinic.cedar", "clinic.json", "clinic.toml"] {
        std::fs::copy(deployment.0.path().join("org").join(file), folder.join(file)).unwrap();
    }
    let organization = ORGANIZATION.replace("id = \"clinic\"", "id = \"hill\"");
    std::fs::write(folder.join("organization.toml"), organization).unwrap();
    let path = deployment.path();
    well(&["init", path]);

    let mut service = Running::start(&deployment);
    // The log of `clinic` is taken away under it.
    let logs = deployment.0.path().join(".assent/audit");
    std::fs::rename(logs.join("clinic/2026"), logs.join("clinic/gone")).unwrap();
    assert!(!service.ask(ANN).0);
    service.says("everything of `clinic` is denied: ");
    // What commands ask for `hill` is recorded all the same.
    let placed =
        ["hold", "place", path, "-o", "hill", "--id", "case-1", "--by", "ann", "--reason", "a lawsuit"];
    well(&placed);
    let (status, said) = service.ended_by(Signal::TERM);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("that the service stopped is not in the log of `clinic`: "), "{said}");
    assert!(said.contains("the audit log could not be closed: "), "{said}");
    assert!(!said.contains("of `hill`"), "{said}");
    let of_hill = well(&["search", path, "-o", "hill", "--kind", "service-stopped", "--json"]);
    assert_eq!(of_hill.lines().count(), 1, "{of_hill}");
    assert!(well(&["verify", path, "-o", "hill"]).contains("  0 after it;"));
}
