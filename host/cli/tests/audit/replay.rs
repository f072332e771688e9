//! A recorded decision replays from the log alone: whatever became of the deployment, over the turn of a year,
//! and never where the log, the archive in it or the machine is not what it was.

use std::path::PathBuf;

use assent_audit::archive::{self, Archive};
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::{Event, Record};
use assent_audit::shelf::{Archived, Shelf};
use assent_cli::{audit_keys, commands};
use assent_model::{Cause, Effect, Instant, OrganizationId};
use serde_json::Value;

use super::*;

#[path = "../../../../tests/guests/bare.rs"]
mod bare;

const COMPONENT: &str = "org/rule.wasm";
/// Gives up if its settings are more than `{}`.
const RULE: &str = "(if (result i32) (i32.gt_u (global.get $settings_bytes) (i32.const 2)) \
                    (then (i32.const 3072)) (else (i32.const 2048)))";
/// An error with the text of three bytes at 0.
const GAVE_UP: &str = r#"(data (i32.const 3072) "\01\00\00\00\00\00\00\00\03\00\00\00")"#;
/// One person changes its settings here.
const ALONE: &str = "[releases]\ntwo_persons = false\n";
const PLUGIN: &str = "[[plugin]]\nid = \"rule\"\ncomponent = \"rule.wasm\"\n";

fn organization(settings: &str) -> String {
    format!("{ORGANIZATION}{ALONE}{PLUGIN}{settings}")
}

/// A deployment with a plugin, that keeps its log.
fn with_plugin() -> Deployment {
    let deployment = logged();
    let rule = bare::component(GAVE_UP, RULE);
    std::fs::write(deployment.0.path().join(COMPONENT), rule).unwrap();
    change(&deployment, "org/organization.toml", &organization(""));
    deployment
}

fn change(deployment: &Deployment, file: &str, text: &str) {
    std::fs::write(deployment.0.path().join(file), text).unwrap();
}

/// The last line of `replay --json`.
fn summary(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = audit(&[&["replay"], arguments, &["--json"]].concat());
    let said = stdout(&output);
    let last = said.lines().last().unwrap_or_else(|| panic!("{}", stderr(&output)));
    (output.status.code(), serde_json::from_str(last).unwrap(), said)
}

fn kinds(deployment: &Deployment, year: &str) -> Vec<String> {
    let exported = well(&["export", deployment.path(), "--format", "json-lines", "--year", year]);
    let kind = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["record"]["event"]["kind"].as_str().unwrap().to_owned()
    };
    exported.lines().map(kind).collect()
}

#[test]
fn everything_replays_from_the_log_whatever_became_of_the_deployment() {
    let deployment = with_plugin();
    let path = deployment.path();
    let ask = |expected: bool| {
        let service = Running::start(&deployment);
        assert_eq!((service.ask(ANN).0, service.ask(&ANN.replace("ann", "bob")).0), (expected, false));
        service.end("TERM");
    };
    ask(true);
    // Nothing changed: nothing is archived again.
    ask(true);
    let archived = |year| kinds(&deployment, year).iter().filter(|kind| *kind == "release-archived").count();
    assert_eq!(archived("2026"), 1);
    let forbid = "@id(\"none\")\n@intent(\"nobody reads\")\nforbid (principal, action, resource);\n";
    change(&deployment, "org/clinic.cedar", &format!("{POLICIES}{forbid}"));
    ask(false);
    change(&deployment, "org/clinic.cedar", POLICIES);
    change(&deployment, "org/organization.toml", &organization("settings = { strict = true }\n"));
    ask(false);
    change(&deployment, "org/organization.toml", &organization(""));
    let to_bob = "\"attrs\": {\"owner\": {\"type\": \"User\", \"id\": \"bob\"}}";
    change(
        &deployment,
        "org/clinic.json",
        &ENTITIES.replace("\"attrs\": {\"owner\": {\"type\": \"User\", \"id\": \"ann\"}}", to_bob),
    );
    let service = Running::start(&deployment);
    assert_eq!((service.ask(ANN).0, service.ask(&ANN.replace("ann", "bob")).0), (false, true));
    service.end("TERM");
    assert_eq!(archived("2026"), 4);

    std::fs::remove_dir_all(deployment.0.path().join("org")).unwrap();
    std::fs::remove_dir_all(deployment.0.path().join(".assent/plugin-cache")).unwrap();
    let said = well(&["replay", path]);
    assert!(said.ends_with("\n10 came out the same, 0 differ, 0 not tried\n"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("release ")).count(), 4, "{said}");
    let (code, totals, _) = summary(&[path]);
    assert_eq!((code, &totals["same"], &totals["alarms"]), (Some(0), &10.into(), &0.into()));
    assert_eq!(totals["releases"].as_array().unwrap().len(), 4);
    let (code, totals, _) = summary(&[path, "--since", DAY, "--until", "2026-11-21T18:00:00.001Z"]);
    assert_eq!((code, &totals["same"]), (Some(0), &10.into()));
    // Nothing was tried, so nothing is well.
    let (code, totals, _) = summary(&[path, "--since", "2027-01-01T00:00:00Z"]);
    assert_eq!((code, &totals["same"]), (Some(1), &0.into()));
    assert!(!deployment.0.path().join(".assent/plugin-cache").exists(), "it writes nothing there");

    // No more than this is needed.
    let unused = logged();
    assert!(refused(&audit(&["replay", unused.path()])).contains("there is no log yet"));
    change(&deployment, "assent.toml", "[audit]\nname = \"pdp.example.org\"\n");
    well(&["replay", path, "-o", "clinic"]);
    assert!(refused(&audit(&["replay", path, "-o", "clinik"])).contains("expected one of `clinic`"));
}

#[test]
fn a_year_is_prepared_ahead_and_replays_without_the_one_before() {
    let deployment = with_plugin();
    let path = deployment.path();
    let mut service = Running::start_at(&deployment, "2026-12-31T23:59:30Z");
    service.says("a new audit log begins for `clinic`, year 2027");
    assert!(service.ask(ANN).0);
    service.end("TERM");
    // It has not begun: the service goes on in the old year, and then in the new one.
    for (clock, expected) in [("2026-12-31T23:59:59.999Z", true), ("2027-01-01T00:00:00Z", true)] {
        let service = Running::start_at(&deployment, clock);
        assert_eq!(service.ask(ANN).0, expected);
        service.end("TERM");
    }
    let start = ["service-started", "release-archived", "release-activated"];
    assert_eq!(kinds(&deployment, "2027")[..3], start);
    assert_eq!(kinds(&deployment, "2026").iter().filter(|kind| *kind == "release-archived").count(), 1);
    std::fs::remove_dir_all(deployment.0.path().join("org")).unwrap();
    std::fs::remove_dir_all(deployment.0.path().join(".assent/audit/clinic/2026")).unwrap();
    let replayed = well(&["replay", path, "--year", "2027"]);
    assert!(replayed.ends_with("\n1 came out the same, 0 differ, 0 not tried\n"), "{replayed}");
}

#[test]
fn an_archive_is_shown_by_name_and_number_and_leaves_its_log_never() {
    // What a patient's name would be, where it is stored and where it is decided.
    const CANARY: &str = "canary-7f3a";
    let deployment = with_plugin();
    let path = deployment.path();
    change(&deployment, "org/clinic.json", &ENTITIES.replace("\"bob\"", &format!("\"{CANARY}\"")));
    let service = Running::start(&deployment);
    service.ask(ANN);
    let said = service.end("TERM");
    let found = well(&["search", path, "--kind", "release-archived"]);
    let place = found.lines().last().and_then(|line| line.split_whitespace().next()).unwrap().to_owned();
    let shown = well(&["show", path, "--id", &place]);
    let headline = format!("release-archived, record {place}");
    for part in [&*headline, "part          1 of 1", "clinic.json, ", "rule.wasm, "] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
    assert!(found.contains("part 1 of 1") && found.lines().count() == 2, "{found}");
    let mut texts = vec![said, shown, found, well(&["search", path, "--json"])];
    for format in ["json-lines", "ocsf", "fhir", "syslog"] {
        texts.push(well(&["export", path, "--format", format]));
    }
    let whole = well(&["show", path, "--id", &place, "--json"]);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    let content = whole["record"]["event"]["pieces"][0]["content"].as_str().unwrap();
    for text in texts {
        assert!(!text.contains(CANARY) && !text.contains(content), "{text}");
    }
    // On disk it is sealed.
    let mut files = vec![];
    everything_below(&deployment.0.path().join(".assent"), &mut files);
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", file.display());
    }
}

fn everything_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { everything_below(&path, found) } else { found.push(path) }
    }
}

/// The log of a deployment, read and written with its keys: what somebody can do who has them.
struct Forger {
    config: LogsConfig,
    organization: OrganizationId,
}

impl Forger {
    fn of(deployment: &Deployment) -> Self {
        let config = audit_keys::load(&commands::read(deployment.0.path()).unwrap()).unwrap().unwrap();
        Self { config, organization: OrganizationId::new("clinic").unwrap() }
    }

    fn records(&self) -> Vec<Record> {
        let shelf = Shelf::new(self.config.clone(), self.organization.clone());
        shelf.records().unwrap().map(|found| found.unwrap().1).collect()
    }

    fn archive(&self, decision: &Record) -> Archive {
        let event = decision.decision().unwrap();
        let shelf = Shelf::new(self.config.clone(), self.organization.clone());
        match shelf.archived(2026, event.release, event.facts.snapshot).unwrap().unwrap() {
            Archived::Whole(archive) => archive,
            other => panic!("{other:?}"),
        }
    }

    fn write(&self, records: Vec<Record>) {
        let now: Instant = DAY.parse().unwrap();
        let (logs, _) = Logs::open(self.config.clone(), [self.organization.clone()], now).unwrap();
        let log = logs.log(&self.organization, now).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            for record in records {
                log.append(record.encode().unwrap(), deadline).await.unwrap();
            }
        });
        drop(log);
        logs.close().unwrap();
    }
}

/// What the archive of `forged` says, and what it holds.
fn cut(Archive { about, files }: &Archive) -> Vec<Record> {
    let files = files.iter().map(|file| (file.name.as_str(), file.bytes.as_slice()));
    let parts = archive::parts(about, files).unwrap();
    parts.into_iter().map(|part| Record::new(DAY.parse().unwrap(), Event::ReleaseArchived(part))).collect()
}

fn edit(archive: &Archive, name: &str, change: impl Fn(&str) -> String) -> Archive {
    let mut archive = archive.clone();
    let file = archive.files.iter_mut().find(|file| file.name == name).unwrap();
    let text = String::from_utf8(file.bytes.clone()).unwrap();
    file.bytes = change(&text).into_bytes();
    assert_ne!(text.as_bytes(), file.bytes);
    archive
}

#[test]
fn whatever_is_not_what_it_was_is_an_alarm_that_says_what() {
    let deployment = with_plugin();
    let service = Running::start(&deployment);
    service.ask(ANN);
    service.end("TERM");
    let forger = Forger::of(&deployment);
    let decision = forger.records().into_iter().find(|record| record.decision().is_some()).unwrap();
    let archive = forger.archive(&decision);
    let names: Vec<_> = archive.files.iter().map(|file| file.name.as_str()).collect();
    let expected = ["organization.toml", "clinic.cedarschema", "clinic.cedar", "clinic.json", "rule.wasm"];
    assert_eq!(names, expected);

    let mut other_component = archive.clone();
    other_component.files[4].bytes = bare::component("", bare::NOTHING);
    let mut foreign = archive.clone();
    foreign.about.organization = OrganizationId::new("hospital").unwrap();
    let mut without = archive.clone();
    without.files.remove(3);
    let foreign_inside =
        edit(&archive, "organization.toml", |text| text.replace("\"clinic\"", "\"hospital\""));
    let mut altered = cut(&archive);
    if let Event::ReleaseArchived(part) = &mut altered[0].event {
        part.pieces[2].content = part.pieces[3].content.clone();
    }
    let mut other_answer = decision.clone();
    if let Event::Decision(decision) = &mut other_answer.event {
        (decision.outcome.effect, decision.outcome.cause) = (Effect::Deny, Cause::NoPolicy);
    }
    let mut other_organization = decision.clone();
    if let Event::Decision(decision) = &mut other_organization.event {
        decision.organization = OrganizationId::new("hospital").unwrap();
    }
    let policies = edit(&archive, "clinic.cedar", |text| text.replace("owners read", "all read"));
    let entities = edit(&archive, "clinic.json", |text| text.replace("\"bob\"", "\"eve\""));
    let settings = edit(&archive, "organization.toml", |text| format!("{text}settings = {{ a = 1 }}\n"));
    let cases = [
        (cut(&policies), &decision, "release", "the archived release is another one"),
        (cut(&settings), &decision, "release", "the archived release is another one"),
        (cut(&other_component), &decision, "release", "the archived release is another one"),
        (cut(&entities), &decision, "facts", "the archived facts are others"),
        (cut(&foreign), &decision, "organization", "the archive is of `hospital`, in the log of `clinic`"),
        (cut(&foreign_inside), &decision, "organization", "the archive is of `hospital`"),
        (altered, &decision, "archive", "`clinic.cedar` of the archive is not what its digest says"),
        (cut(&without), &decision, "unbuildable", "is not in the archive"),
        (cut(&archive), &other_answer, "decision", "the decision comes out differently"),
        (cut(&archive), &other_organization, "organization", "the decision is of `hospital`"),
    ];
    for (mut records, decision, code, expected) in cases {
        let forged = logged();
        records.push(decision.clone());
        Forger::of(&forged).write(records);
        let (exit, totals, said) = summary(&[forged.path()]);
        assert_eq!((exit, &totals["alarms"], &totals["same"]), (Some(1), &1.into(), &0.into()), "{said}");
        assert!(said.starts_with(&format!("{{\"alarm\":\"{code}\"")) && said.contains(expected), "{said}");
        let said = audit(&["replay", forged.path()]);
        assert_eq!(said.status.code(), Some(1));
        assert!(stdout(&said).starts_with("ALARM: 2026-") && stdout(&said).contains(expected));
    }

    // And where nothing was forged, it is not.
    let copied = logged();
    let mut records = cut(&archive);
    records.push(decision.clone());
    Forger::of(&copied).write(records);
    well(&["replay", copied.path()]);
}

#[test]
fn without_an_archive_the_deployment_at_hand_is_tried_and_what_is_missing_is_said() {
    let deployment = with_plugin();
    let service = Running::start(&deployment);
    service.ask(ANN);
    service.end("TERM");
    let decision = Forger::of(&deployment).records().into_iter().find(|record| record.decision().is_some());
    let decision = decision.unwrap();
    let parts = cut(&Forger::of(&deployment).archive(&decision));

    let bare_log = with_plugin();
    Forger::of(&bare_log).write(vec![decision.clone()]);
    assert!(well(&["replay", bare_log.path()]).ends_with("\n1 came out the same, 0 differ, 0 not tried\n"));
    change(&bare_log, "org/clinic.cedar", &POLICIES.replace("owners read", "owners read their own"));
    let (exit, totals, _) = summary(&[bare_log.path()]);
    assert_eq!((exit, &totals["releases"][0]["not_tried"]["no-archive"]), (Some(1), &1.into()));
    let said = stdout(&audit(&["replay", bare_log.path()]));
    assert!(said.contains("1 not tried: the year's log has no archive of this release"), "{said}");
    assert!(said.contains("can be tried on the deployment as it was then"), "{said}");
    // A service that is killed while it archives.
    let half: Vec<_> = parts
        .into_iter()
        .map(|mut record| {
            if let Event::ReleaseArchived(part) = &mut record.event {
                part.parts = 2;
            }
            record
        })
        .chain([decision])
        .collect();
    let cut_off = logged();
    Forger::of(&cut_off).write(half);
    let (exit, totals, _) = summary(&[cut_off.path()]);
    assert_eq!((exit, &totals["releases"][0]["not_tried"]["incomplete-archive"]), (Some(1), &1.into()));
}
