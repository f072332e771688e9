//! Keeping logs, copying them and letting them go, as two persons type it, with and without a running service.

use std::io::BufRead;
use std::path::PathBuf;

use assent_server::{Clock, SystemClock};

use super::*;

/// Long enough ago that its log need not be kept.
const LONG_AGO: &str = "2015-06-01T12:00:00Z";
const WHY: &str = "kept for long enough";

/// A deployment with a log of 2015 and one of 2026, with this in its `assent.toml`.
pub(super) fn two_years(more: &str) -> Deployment {
    let deployment = Deployment::new(&[("assent.toml", &keeping_a_log(more))]);
    well(&["init", deployment.path()]);
    let service = Running::start_at(&deployment, LONG_AGO);
    assert!(service.ask(ANN).0);
    service.end("TERM");
    Running::start(&deployment).end("TERM");
    deployment
}

fn logs(deployment: &Deployment) -> PathBuf {
    deployment.0.path().join(".assent/audit/clinic")
}

/// The id in `asked: request ID; …`.
pub(super) fn request(said: &str) -> String {
    let (_, rest) = said.split_once("request ").unwrap();
    rest.split(';').next().unwrap().to_owned()
}

fn ask(path: &str, more: &[&str]) -> String {
    request(&well(&[&["expire", path, "--year", "2015", "--by", "ann", "--reason", WHY], more].concat()))
}

#[test]
fn a_year_goes_by_two_persons_and_leaves_its_last_checkpoint() {
    let deployment = two_years("");
    let path = deployment.path();
    let key = well(&["keys", path, "--year", "2015"]);
    let checkpoint = std::fs::read_to_string(logs(&deployment).join("2015/checkpoint")).unwrap();
    let listed = well(&["expire", path]);
    assert!(
        listed.contains("  2015: can be let go") && listed.contains("  2026: stays: it is the newest"),
        "{listed}"
    );
    let said = refused(&audit(&["expire", path, "--year", "2026", "--by", "ann", "--reason", WHY]));
    assert!(
        said.contains("2026 stays: it is the newest") && said.contains("it is kept through 2032"),
        "{said}"
    );

    let id = ask(path, &[]);
    assert!(logs(&deployment).join("2015").exists(), "one person asked");
    assert!(well(&["expire", path]).contains(&format!("request {id} of ann")));
    for (by, expected) in [("Ann ", "somebody else must confirm"), (" ", "`--by`")] {
        let said = refused(&audit(&["expire", path, "--confirm", &id, "--by", by]));
        assert!(said.contains(expected), "{said}");
    }
    let said = refused(&audit(&["expire", path, "--confirm", "0000", "--by", "bob"]));
    assert!(said.contains("there is no request `0000`"), "{said}");
    assert!(logs(&deployment).join("2015").exists());

    let gone = well(&["expire", path, "--confirm", &id, "--by", "bob"]);
    assert!(gone.starts_with("let go: ") && gone.contains(" records of 2015"), "{gone}");
    let mut left: Vec<_> =
        std::fs::read_dir(logs(&deployment)).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.retain(|name| name.to_string_lossy().starts_with("2015"));
    assert_eq!(left, ["2015.let-go"]);
    let noted = std::fs::read_to_string(logs(&deployment).join("2015.let-go")).unwrap();
    let noted: serde_json::Value = serde_json::from_str(&noted).unwrap();
    assert_eq!((&noted["checkpoint"], &noted["key"]), (&checkpoint.into(), &key.trim().into()));
    assert!(well(&["expire", path]).contains(&format!(" records (request {id})")));
    // Typed again it finds nothing left to do.
    assert!(well(&["expire", path, "--confirm", &id, "--by", "bob"]).starts_with("let go"));
    let said = refused(&audit(&["verify", path, "--year", "2015"]));
    assert!(said.contains(&format!("was let go, by request {id}: it has 2026")), "{said}");
    let said = refused(&audit(&["expire", path, "--confirm", &id, "--by", "eve"]));
    assert!(said.contains("`bob` has confirmed this already"), "{said}");
    // What somebody puts back does not go by what was agreed on before.
    let back = logs(&deployment).join("2015");
    std::fs::create_dir_all(back.join("segments")).unwrap();
    let said = refused(&audit(&["expire", path, "--confirm", &id, "--by", "bob"]));
    assert!(said.contains("a log of 2015 was put back since"), "{said}");
    let listed = well(&["expire", path]);
    assert!(listed.contains("2015: was let go (request") && listed.contains("was put back"), "{listed}");
    assert!(back.exists());
    std::fs::remove_dir_all(&back).unwrap();

    well(&["verify", path]);
    let records = well(&["search", path, "--kind", "retention", "--json"]);
    for part in
        ["let-go-asked", "let-go-confirmed", "expired-before", "\"account\":\"uid ", "\"caller\":\"cli\""]
    {
        assert!(records.contains(part), "`{part}` is not in {records}");
    }
    assert_eq!(records.lines().count(), 3, "what was typed again is not recorded again");
    Running::start(&deployment).end("TERM");
}

#[test]
fn a_hold_keeps_a_year_until_two_persons_release_it_beside_a_running_service() {
    let deployment = two_years("");
    let path = deployment.path();
    let asked = ask(path, &[]);
    // Requests end by the clock of this machine, so the service that dates them goes by it as well.
    let service = Running::start_at(&deployment, &SystemClock.now().to_string());
    let held = well(&[
        "hold",
        "place",
        path,
        "--id",
        "case-7",
        "--years",
        "2015",
        "--by",
        "ann",
        "--reason",
        "a lawsuit",
    ]);
    assert!(held.starts_with("held: 2015 of `clinic`"), "{held}");
    assert!(well(&["expire", path]).contains("2015: stays: held by case-7"));
    // Also what was asked for before.
    let said = refused(&audit(&["expire", path, "--confirm", &asked, "--by", "bob"]));
    assert!(said.contains("2015 stays: held by case-7"), "{said}");
    let said =
        refused(&audit(&["hold", "release", path, "--id", "case-8", "--by", "ann", "--reason", "over"]));
    assert!(said.contains("nothing is held by `case-8`"), "{said}");

    let id =
        request(&well(&["hold", "release", path, "--id", "case-7", "--by", "ann", "--reason", "it is over"]));
    let said = refused(&audit(&["hold", "release", path, "--confirm", &id, "--by", "ANN"]));
    assert!(said.contains("somebody else must confirm"), "{said}");
    let said = refused(&audit(&["expire", path, "--confirm", &id, "--by", "bob"]));
    assert!(said.contains("confirm it with `assent audit hold release`"), "{said}");
    let listed = well(&["hold", "list", path]);
    assert!(
        listed.contains("case-7: 2015, by ann since") && listed.contains(&format!("request {id} of ann")),
        "{listed}"
    );
    well(&["hold", "release", path, "--confirm", &id, "--by", "bob"]);
    assert!(well(&["hold", "list", path]).contains("; released"));

    assert!(well(&["expire", path, "--confirm", &asked, "--by", "bob"]).starts_with("let go: "));
    assert!(service.ask(ANN).0, "the service never stopped");
    service.end("TERM");
    let records = well(&["search", path, "--kind", "retention", "--json"]);
    assert_eq!((records.lines().count(), records.matches("\"letter\":").count()), (6, 6), "{records}");
    let inbox = logs(&deployment).join("inbox");
    assert_eq!(std::fs::read_dir(inbox).unwrap().count(), 0);
    well(&["verify", path]);
}

#[test]
fn a_hold_of_another_year_outlives_the_year_that_it_stands_in() {
    let deployment = logged();
    let path = deployment.path();
    Running::start_at(&deployment, "2014-06-01T12:00:00Z").end("TERM");
    let service = Running::start_at(&deployment, LONG_AGO);
    well(&[
        "hold",
        "place",
        path,
        "--id",
        "case-1",
        "--years",
        "2014",
        "--by",
        "ann",
        "--reason",
        "an inquiry",
    ]);
    assert!(well(&["hold", "list", path]).contains("case-1: 2014, by ann since 2015-06-01T12:00:00Z (2015-"));
    service.end("TERM");
    Running::start(&deployment).end("TERM");

    let id = ask(path, &[]);
    well(&["expire", path, "--confirm", &id, "--by", "bob"]);
    let listed = well(&["hold", "list", path]);
    assert!(listed.contains("case-1: 2014, by ann") && listed.contains("(2026-"), "{listed}");
    assert!(well(&["expire", path]).contains("2014: stays: held by case-1"));
    assert!(well(&["search", path, "--kind", "retention", "--json"]).contains("\"carried_from\":\"2015-"));
}

#[test]
fn a_damaged_year_goes_only_if_both_know_that_it_is_damaged() {
    let deployment = two_years("");
    let path = deployment.path();
    let segment = logs(&deployment).join("2015/segments/0000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let with = |more: &[&'static str]| {
        let asked = ["expire", path, "--year", "2015", "--by", "ann", "--reason", WHY];
        audit(&[&asked[..], more].concat())
    };
    for said in [refused(&audit(&["expire", path])), refused(&with(&[]))] {
        assert!(said.contains("--even-damaged") && said.contains("2015"), "{said}");
    }
    let id = request(&stdout(&with(&["--even-damaged"])));
    let said = well(&["expire", path, "--confirm", &id, "--by", "bob"]);
    assert!(said.starts_with("2015 cannot be read from 1 places on: a hold"), "{said}");
    assert!(said.contains("\nlet go: ") && said.contains(" records of 2015"), "{said}");
    let noted = std::fs::read_to_string(logs(&deployment).join("2015.let-go")).unwrap();
    assert!(noted.contains("\"whole\": false"), "{noted}");
    well(&["verify", path]);
}

#[test]
fn a_copy_is_made_by_the_service_and_by_the_command_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("[audit.copy]\nto = \"file://{}\"\n", folder.path().display());
    let deployment = two_years(&to);
    let path = deployment.path();
    let key = well(&["keys", path, "--year", "2015"]);
    // The service copies by itself what is finished.
    let service = Running::start(&deployment);
    let copied = folder.path().join("clinic/2015");
    wait_for("both years are copied", || {
        copied.join("checkpoint").exists() && folder.path().join("clinic/2026/checkpoint").exists()
    });
    let said = well(&["copy", path]);
    assert!(said.contains("not copied: 0 sealed segments"), "{said}");
    service.end("TERM");
    let said = well(&["copy", path, "--compare"]);
    assert!(said.starts_with("copied: 1 segments") && said.contains("byte for byte"), "{said}");
    assert!(said.contains("not copied: 0 sealed segments; 0 records"), "{said}");
    let verified = well(&["verify", "--log", copied.to_str().unwrap(), "--key", &key]);
    assert!(verified.starts_with("whole: ") && verified.contains(" records under"), "{verified}");

    // What is not as it was copied is an alarm, and left.
    let segment = copied.join("segments/0000000001.seg");
    std::fs::write(&segment, "something else").unwrap();
    let output = audit(&["copy", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("ALARM: file://"), "{}", stdout(&output));
    assert_eq!(std::fs::read(&segment).unwrap(), b"something else");
}

#[test]
fn a_year_that_is_not_copied_stays() {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("[audit.copy]\nto = \"file://{}\"\n", folder.path().display());
    let deployment = two_years(&to);
    let path = deployment.path();
    // As if the copy had been lost.
    std::fs::remove_dir_all(folder.path().join("clinic")).ok();
    let listed = well(&["expire", path]);
    assert!(listed.contains("2015: stays: its copy is not whole: there is none"), "{listed}");
    let said = refused(&audit(&["expire", path, "--year", "2015", "--by", "ann", "--reason", WHY]));
    assert!(said.contains("its copy is not whole"), "{said}");
    well(&["copy", path]);
    let id = ask(path, &[]);
    let said = well(&["expire", path, "--confirm", &id, "--by", "bob"]);
    assert!(said.contains("the copy is as it was"), "{said}");
    assert!(folder.path().join("clinic/2015/checkpoint").exists());
}

#[test]
fn mistakes_in_retention_and_copies_are_named_at_their_line() {
    let with = |more: &str| {
        Deployment::new(&[("assent.toml", &format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\n{more}"))])
    };
    for (more, expected) in [
        ("[audit.retention]\nyears = 3\n", "45 CFR 164.316"),
        ("[audit.retention]\nyears = 0\nallow_shorter = true\n", "expected 6 to 100"),
        ("[audit.retention]\nyaers = 7\n", "unknown field `yaers`"),
        ("signing_key = \"hunter2\"\n", "never the key"),
        ("[audit.copy]\nto = \"s3://b\"\nsecret_access_key = \"hunter2\"\n", "never the value"),
        ("signing_key = \"fiel:hunter2\"\n", "`audit.signing_key`: expected `file:PATH`"),
        ("sealing_key = \"hunter2\"\n", "is no place of a key: expected `file:PATH`"),
    ] {
        let deployment = with(more);
        let said = refused(&assent(&["check", deployment.path()]));
        assert!(said.contains(expected) && said.contains("assent.toml:1"), "{expected}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let fine = with("[audit.retention]\nyears = 3\nallow_shorter = true\n");
    assert_eq!(assent(&["check", fine.path()]).status.code(), Some(0));

    for (more, expected) in [
        ("", "no table `[audit.copy]`"),
        ("[audit.copy]\nto = \"/copies\"\n", "expected `file:///folder` or `s3://bucket/prefix`"),
        ("[audit.copy]\nto = \"file:///absent/folder\"\n", "made beforehand"),
        ("[audit.copy]\nto = \"s3://bucket\"\n", "`access_key_id` is missing"),
    ] {
        let deployment = with(more);
        well(&["init", deployment.path()]);
        let said = refused(&audit(&["copy", deployment.path()]));
        assert!(said.contains(expected), "{expected}: {said}");
        if !more.is_empty() {
            assert_eq!(refused(&assent(&["check", deployment.path()])), said);
        }
        if !more.is_empty() {
            let served = refused(&assent(&["serve", deployment.path(), "--listen", "127.0.0.1:0"]));
            assert!(served.contains(expected), "nothing is served without its copies: {served}");
        }
    }
    let deployment = logged();
    assert_eq!(well(&["expire", deployment.path()]), "clinic\n  no log yet\n");
    let said = refused(&audit(&["expire", deployment.path(), "--organization", "clinik"]));
    assert!(said.contains("there is no organization `clinik`"), "{said}");

    let deployment = two_years("");
    let inside = format!(
        "{ASSENT}[audit]\nname = \"pdp.example.org\"\n[audit.copy]\nto = \"file://{}\"\n",
        logs(&deployment).display()
    );
    std::fs::write(deployment.0.path().join("assent.toml"), inside).unwrap();
    let said = refused(&audit(&["copy", deployment.path()]));
    assert!(said.contains("must not contain one another"), "{said}");
}

#[test]
fn a_year_that_is_gone_is_missed_by_whatever_is_made_of_all_years() {
    let deployment = two_years("");
    let path = deployment.path();
    std::fs::rename(logs(&deployment).join("2015"), deployment.0.path().join("elsewhere")).unwrap();
    // A hold, or a disclosure, may stand in it.
    for command in [
        &["search", path, "--oldest-first"][..],
        &["disclosures", path, "--patient", "Patient::p"],
        &["report", path, "--name", "exports"],
        &["export", path, "--format", "ocsf"],
        &["replay", path],
        &["hold", "list", path],
        &["expire", path],
        &["show", path, "--id", "2015-1"],
        &["verify", path, "--year", "2015"],
    ] {
        let output = audit(command);
        let said = refused(&output);
        assert!(
            said.contains("clinic/2015 is gone, but") && said.contains("mount or restore it"),
            "{command:?}: {said}"
        );
        assert!(!stdout(&output).contains("can be let go"), "{}", stdout(&output));
    }
    well(&["search", path, "--limit", "2"]);
    well(&["search", path, "--year", "2026", "--oldest-first"]);
    // To hold more is always possible.
    well(&["hold", "place", path, "--id", "case", "--by", "ann", "--reason", "an inquiry"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_assent"))
        .args(["serve", path, "--listen", "127.0.0.1:0", "--stopped-clock", DAY])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = vec![];
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said.push(line.unwrap());
        if said.last().is_some_and(|line| line.starts_with("serving")) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        said.iter()
            .any(|line| line.ends_with("until then nothing is let go, and searches and accountings fail")),
        "{said:?}"
    );
    assert!(said.last().unwrap().starts_with("serving"), "{said:?}");
}
