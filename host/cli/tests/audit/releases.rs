//! Two persons for what is guarded in a release, as operators type it: a start that is refused with what to do, a
//! proposal, an approval by somebody else, a start that takes over; beside a running service as well.

use assent_server::{Clock, SystemClock};

use super::*;

/// What is guarded and small.
const APPROVAL: &str = "[[approval]]\nkind = \"export\"\nquorum = 2\nroles = [\"head\"]\n";
const WHY: &str = "one head is away";

/// A deployment that was started once, with this in its `organization.toml`.
fn started(tables: &str) -> Deployment {
    let deployment = logged();
    write(&deployment, tables);
    start(&deployment).end("TERM");
    deployment
}

/// Commands date their records by the clock of this machine, so the service does as well.
fn start(deployment: &Deployment) -> Running {
    Running::start_at(deployment, &SystemClock.now().to_string())
}

fn write(deployment: &Deployment, tables: &str) {
    let file = deployment.0.path().join("org/organization.toml");
    std::fs::write(file, format!("{ORGANIZATION}{tables}")).unwrap();
}

fn release(arguments: &[&str]) -> Output {
    assent(&[&["release"], arguments].concat())
}

fn done(arguments: &[&str]) -> String {
    let output = release(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// What a start says that is refused.
fn refused_start(deployment: &Deployment) -> String {
    let output = assent(&["serve", deployment.path(), "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    stderr(&output)
}

/// The id in `request ID, …`.
fn proposed(said: &str) -> String {
    let (_, rest) = said.split_once("request ").unwrap();
    rest.split(',').next().unwrap().to_owned()
}

fn propose(path: &str, by: &str) -> String {
    proposed(&done(&["propose", path, "--by", by, "--reason", WHY]))
}

fn records(path: &str, kind: &str) -> Vec<serde_json::Value> {
    let found = well(&["search", path, "--kind", kind, "--json", "--oldest-first"]);
    found.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The log's files and their lengths.
fn log_of(deployment: &Deployment) -> Vec<(PathBuf, u64)> {
    let segments = deployment.0.path().join(".assent/audit/clinic");
    let mut found = vec![];
    for year in std::fs::read_dir(segments).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(files) = std::fs::read_dir(year.join("segments")) else { continue };
        found.extend(
            files.map(|file| file.unwrap()).map(|file| (file.path(), file.metadata().unwrap().len())),
        );
    }
    found.sort();
    found
}

#[test]
fn a_guarded_part_changes_by_two_persons_and_the_start_that_takes_it_over_is_recorded() {
    let deployment = started(APPROVAL);
    let path = deployment.path();
    write(&deployment, &APPROVAL.replace("quorum = 2", "quorum = 1"));

    let log = log_of(&deployment);
    let said = refused_start(&deployment);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("`clinic`: guarded parts are not those that were activated last"), "{said}");
    assert!(lines[1].starts_with("  approval: changed, ") && !lines[2].starts_with("  "), "{said}");
    for expected in [
        format!("  assent release propose {path} --organization clinic --by NAME --reason TEXT"),
        format!("  assent release approve {path} --organization clinic --request REQUEST --by OTHER"),
        "nothing was started".to_owned(),
    ] {
        assert!(lines.contains(&expected.as_str()), "`{expected}` is not in: {said}");
    }
    assert_eq!(log_of(&deployment), log, "a start that is refused leaves no trace");
    let checked = assent(&["check", path]);
    assert!(
        stdout(&checked).contains("  a start needs two persons: it changes approval\n"),
        "{}",
        stdout(&checked)
    );
    assert!(stdout(&checked).ends_with("all good\n"));

    let said = done(&["propose", path, "--by", "ann", "--reason", WHY]);
    assert!(said.contains("  approval: changed, ") && said.contains("    [0].quorum: 2 → 1\n"), "{said}");
    let request = proposed(&said);
    let said = refused_start(&deployment);
    assert!(said.contains(&format!("request {request} of ann waits for somebody else")), "{said}");
    let said = refused(&release(&["propose", path, "--by", "bob", "--reason", WHY]));
    assert!(said.contains("waits for somebody else") && said.contains("release approve"), "{said}");
    let shown = done(&["show", path]);
    let line = format!("  request {request} of ann, ");
    assert!(shown.contains(&line) && shown.contains("open: guarded parts") && shown.contains(WHY), "{shown}");

    for (by, id, expected) in [
        ("Ann ", &*request, "`Ann` proposed this, so somebody else must approve it"),
        (" ", &*request, "`--by`: expected a person's name or id"),
        ("bob", "0000", "there is no request `0000`"),
    ] {
        let said = refused(&release(&["approve", path, "--request", id, "--by", by]));
        assert!(said.contains(expected), "{said}");
    }
    refused_start(&deployment);
    let said = done(&["approve", path, "--request", &request, "--by", "bob"]);
    assert!(said.starts_with("approved for `clinic`") && said.contains("    [0].quorum: 2 → 1\n"), "{said}");
    let again = done(&["approve", path, "--request", &request, "--by", "bob"]);
    assert_eq!(again, said, "typed again it says the same");
    let said = refused(&release(&["approve", path, "--request", &request, "--by", "eve"]));
    assert!(said.contains("`bob` has approved this already"), "{said}");
    let expected = format!("two persons agreed, by request {request}; it changes approval");
    assert!(stdout(&assent(&["check", path])).contains(&expected));

    let mut service = start(&deployment);
    service.says(&format!("`clinic`: guarded parts change, as agreed on by request {request}"));
    service.end("TERM");
    let activated = records(path, "release-activated");
    assert_eq!(activated.len(), 2);
    let [first, second] = [0, 1].map(|n| &activated[n]["record"]["event"]);
    assert!(first["request"].is_null() && second["request"] == *request, "{second}");
    assert_ne!(first["guarded"]["parts"]["approval"], second["guarded"]["parts"]["approval"]);
    assert_eq!(first["guarded"]["parts"]["consents"], second["guarded"]["parts"]["consents"]);
    let asked: Vec<_> =
        records(path, "administration").into_iter().map(|record| record["record"]["event"].clone()).collect();
    let [proposal, approval] = [&asked[1], &asked[2]];
    assert_eq!(
        (&proposal["action"], &approval["action"]),
        (&"release.propose".into(), &"release.approve".into())
    );
    assert_eq!((&proposal["before"], &proposal["after"]), (&first["guarded"], &second["guarded"]));
    assert!(approval["by"]["account"].as_str().unwrap().starts_with("uid "), "{approval}");
    assert_eq!(asked.len(), 3, "what was typed again or refused is not recorded");
    assert!(done(&["show", path]).contains(", took over: guarded parts"));

    // There and back: nobody's approval is left over.
    start(&deployment).end("TERM");
    write(&deployment, APPROVAL);
    assert!(refused_start(&deployment).contains("  approval: changed, "));
    let said = refused(&release(&["approve", path, "--request", &request, "--by", "bob"]));
    assert!(said.contains("has taken over since"), "{said}");
    well(&["verify", path]);
}

#[test]
fn what_was_approved_is_what_starts() {
    let deployment = started(APPROVAL);
    let path = deployment.path();
    let with =
        |quorum: u32| write(&deployment, &APPROVAL.replace("quorum = 2", &format!("quorum = {quorum}")));
    with(1);
    let request = propose(path, "ann");
    with(3);
    let said = refused(&release(&["approve", path, "--request", &request, "--by", "bob"]));
    assert!(
        said.contains("the files are not those that ann proposed") && said.contains("approval: changed"),
        "{said}"
    );
    with(1);
    done(&["approve", path, "--request", &request, "--by", "bob"]);
    with(3);
    assert!(refused_start(&deployment).contains("  approval: changed, "));
    // What is not guarded changes without anybody, and uses nothing up; so does what was in force.
    with(2);
    let policies = deployment.0.path().join("org/clinic.cedar");
    std::fs::write(&policies, POLICIES.replace("owners read", "owners read their own")).unwrap();
    start(&deployment).end("TERM");
    with(1);
    start(&deployment).end("TERM");
    assert_eq!(records(path, "release-activated").len(), 3);
}

#[test]
fn it_is_agreed_on_beside_the_service_that_goes_on_with_what_is_in_force() {
    let deployment = logged();
    let path = deployment.path();
    write(&deployment, APPROVAL);
    let service = start(&deployment);
    let said = refused(&release(&["propose", path, "--by", "ann", "--reason", WHY]));
    assert!(said.contains("the guarded parts are those in force"), "{said}");
    write(&deployment, "");
    let request = propose(path, "ann");
    done(&["approve", path, "--request", &request, "--by", "bob"]);
    assert!(service.ask(ANN).0, "the service never stopped");
    service.end("TERM");
    let letters = records(path, "administration")
        .iter()
        .filter(|record| record["record"]["letter"].is_string())
        .count();
    assert_eq!(letters, 2);
    start(&deployment).end("KILL");
    // A crash after it took over needs nobody again.
    start(&deployment).end("TERM");
}

#[test]
fn whether_two_persons_are_asked_is_for_what_is_in_force_to_say() {
    let off = "[releases]\ntwo_persons = false\n";
    let deployment = started(off);
    let path = deployment.path();
    write(&deployment, &format!("{off}{APPROVAL}"));
    let said = refused(&release(&["propose", path, "--by", "ann", "--reason", WHY]));
    assert!(said.contains("two persons are not asked for"), "{said}");
    let mut service = start(&deployment);
    service.says("`clinic`: guarded parts change, and two persons are not asked for: approval");
    service.end("TERM");
    // On by one person, off by two.
    write(&deployment, APPROVAL);
    start(&deployment).end("TERM");
    write(&deployment, &format!("{off}{APPROVAL}"));
    let said = refused_start(&deployment);
    assert!(said.contains("  releases.two_persons: changed, "), "{said}");
    let request = propose(path, "ann");
    done(&["approve", path, "--request", &request, "--by", "bob"]);
    start(&deployment).end("TERM");
    write(&deployment, off);
    start(&deployment).end("TERM");
}

#[test]
fn a_log_that_cannot_be_read_lets_nothing_take_over_and_without_one_nothing_is_compared() {
    let deployment = started(APPROVAL);
    let path = deployment.path();
    let year = SystemClock.now().year();
    let segment = deployment.0.path().join(format!(".assent/audit/clinic/{year}/segments/0000000001.seg"));
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    std::fs::remove_file(deployment.0.path().join(format!(".assent/audit/clinic/{year}.index"))).ok();
    let said = refused_start(&deployment);
    assert!(said.contains("0000000001.seg at byte ") && !said.contains("release propose"), "{said}");
    let checked = assent(&["check", path]);
    assert!(
        stdout(&checked).contains("whether a start needs two persons cannot be told here"),
        "{}",
        stdout(&checked)
    );
    assert!(checked.status.success());

    let no_log = Deployment::new(&[]);
    let said = refused(&release(&["propose", no_log.path(), "--by", "ann", "--reason", WHY]));
    assert!(said.contains("has no table `[audit]`"), "{said}");
    let unstarted = logged();
    assert!(
        stdout(&assent(&["check", unstarted.path()])).contains("no log yet: the first start takes these")
    );
    let said = refused(&release(&["propose", unstarted.path(), "--by", "ann", "--reason", WHY]));
    assert!(said.contains("has no log yet"), "{said}");
    assert_eq!(done(&["show", unstarted.path()]), "clinic\n  no log yet\n");
}

#[test]
fn of_several_organizations_each_that_differs_is_told_and_a_plugin_that_is_unbound_is_one() {
    // The examples, with their plugins and policies where they are.
    let directory = tempfile::tempdir().unwrap();
    let deployment = Deployment(directory);
    let base = deployment.0.path();
    let copied =
        Command::new("cp").arg("-r").arg(root().join("examples/clinics/.")).arg(base).status().unwrap();
    assert!(copied.success());
    std::fs::remove_dir_all(base.join(".assent")).ok();
    let organization = |id: &str| base.join("organizations").join(id).join("organization.toml");
    for id in ["bay-pediatrics", "lone-star-hospital"] {
        let text = std::fs::read_to_string(organization(id)).unwrap();
        std::fs::write(organization(id), text.replace("../../../..", root().to_str().unwrap())).unwrap();
    }
    well(&["init", deployment.path()]);
    start(&deployment).end("TERM");

    let text = std::fs::read_to_string(organization("lone-star-hospital")).unwrap();
    let (before, rest) = text.split_once("[[plugin]]\nid = \"exports\"").unwrap();
    let (_, after) = rest.split_once("\n# Who approves an export").unwrap();
    std::fs::write(organization("lone-star-hospital"), format!("{before}\n# Who approves an export{after}"))
        .unwrap();
    let said = refused_start(&deployment);
    assert!(said.contains("  plugin:exports: gone, was ") && !said.contains("bay-pediatrics"), "{said}");
    let text = std::fs::read_to_string(organization("bay-pediatrics")).unwrap();
    std::fs::write(
        organization("bay-pediatrics"),
        text.replace("no_consent = \"permit\"", "no_consent = \"deny\""),
    )
    .unwrap();
    let said = refused_start(&deployment);
    assert!(
        said.contains("  plugin:exports: gone, was ") && said.contains("  plugin:directives: changed, "),
        "{said}"
    );

    let path = deployment.path();
    for (id, expected) in [
        ("bay-pediatrics", "    settings.no_consent: \"permit\" → \"deny\"\n"),
        ("lone-star-hospital", "  plugin:exports: gone, was "),
    ] {
        let said = done(&["propose", path, "--organization", id, "--by", "ann", "--reason", WHY]);
        assert!(said.contains(expected), "{said}");
        let request = proposed(&said);
        done(&["approve", path, "--organization", id, "--request", &request, "--by", "bob"]);
    }
    start(&deployment).end("TERM");
}
