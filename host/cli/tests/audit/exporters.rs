//! Exporters as an operator has them: refused with file and line where they are wrong, beside a real service,
//! through a kill and a start, and never quoting a record.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A deployment that keeps its log, with this after the table `[audit]`.
fn exporting(tables: &str) -> Deployment {
    let deployment = Deployment::new(&[("assent.toml", &keeping_a_log(tables))]);
    well(&["init", deployment.path()]);
    deployment
}

#[test]
fn what_is_wrong_with_an_exporter_is_refused_with_its_line() {
    let good = "id = \"siem\"\nformat = \"ocsf\"\nto = \"file:siem.log\"\n";
    let with = |line: &str| format!("[[audit.export]]\n{good}{line}\n");
    let to = |format: &str, to: &str, rest: &str| {
        format!("[[audit.export]]\nid = \"siem\"\nformat = \"{format}\"\nto = \"{to}\"\n{rest}")
    };
    // The table begins in line 11.
    for (tables, line, parts) in [
        (with("form = 1"), 15, &["unknown field `form`", "did you mean `format`?"] as &[_]),
        (to("cef", "file:x", ""), 13, &["unknown variant `cef`"]),
        (to("ocsf", "http://siem.example.org/in", ""), 14, &["over TLS only", "https://"]),
        (to("syslog", "syslog+tcp://siem.example.org", ""), 14, &["over TLS only", "syslog+tls://"]),
        (to("syslog", "siem.example.org:6514", ""), 14, &["no receiver"]),
        (to("ocsf", "syslog+tls://siem.example.org", ""), 13, &["does not go to", "expected `syslog`"]),
        (to("ocsf", "file:none/siem.log", ""), 14, &["none/siem.log", "folder does not exist"]),
        (to("ocsf", "https://siem.example.org/", "authorities = \"ca.pem\""), 15, &["ca.pem"]),
        (to("ocsf", "https://siem.example.org/", "token = \"file:token\""), 15, &["token does not exist"]),
        (to("ocsf", "https://siem.example.org/", "token = \"env:ASSENT_NONE\""), 15, &["not set"]),
        (to("ocsf", "https://siem.example.org/", "token = \"hunter2\""), 15, &["no reference"]),
        (
            to("ocsf", "https://siem.example.org/", "certificate = \"file:c.pem\""),
            15,
            &["`certificate` needs its `key`"],
        ),
        (with("token = \"env:HOME\""), 15, &["has no meaning for `file:"]),
        (with("organizations = [\"clinik\"]"), 15, &["`clinik`", "did you mean `clinic`?"]),
        (with("organizations = []"), 15, &["no organizations"]),
        (with("") + &with(""), 17, &["`siem` is taken twice"]),
        (with("").replace("\"siem\"", "\"SIEM/..\""), 12, &["cannot be an exporter's id"]),
    ] {
        let config = format!("{ASSENT}[audit]\nname = \"pdp.example.org\"\n{tables}");
        let deployment = Deployment::new(&[("assent.toml", &config)]);
        well_or_not(&deployment);
        for command in ["check", "serve"] {
            let output = assent(&[command, deployment.path()]);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{tables}: {said}");
            let place = format!("assent.toml:{line}:");
            assert!(said.contains(&place), "`{place}` is not in: {said}");
            assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} are not in: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

/// Makes the keys, where the deployment can be read that far.
fn well_or_not(deployment: &Deployment) {
    drop(audit(&["init", deployment.path()]));
}

const CANARY: &str = "canary-4711";

/// A collector that refuses everything, and sends it back.
fn echoing() -> String {
    collector(Arc::new(AtomicBool::new(false)))
}

/// A collector that takes what it gets if it is to, and else refuses it and sends it back.
fn collector(takes: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let status = if takes.load(Ordering::SeqCst) { "200" } else { "500" };
            let answer =
                format!("HTTP/1.1 {status} {CANARY}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            reader.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    url
}

#[test]
fn a_service_exports_by_itself_through_a_kill_and_tells_of_no_patient() {
    let tables = format!(
        "[[audit.export]]\nid = \"tail\"\nformat = \"json-lines\"\nto = \"file:tail.log\"\nmandatory = true\n\
         [[audit.export]]\nid = \"down\"\nformat = \"ocsf\"\nto = \"{}\"\n",
        echoing()
    );
    let deployment = exporting(&tables);
    let path = deployment.path().to_owned();
    let lines = || {
        let text = std::fs::read_to_string(format!("{path}/tail.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let service = Running::start(&deployment);
    let mut ids: Vec<String> = (0..5).map(|_| service.ask(&ANN.replace("ann", CANARY)).1).collect();
    wait_for("they are in the file", || {
        lines().iter().filter(|line| line.contains("\"decision\"")).count() >= 5
    });
    service.end("KILL");

    let service = Running::start(&deployment);
    ids.push(service.ask(ANN).1);
    let has = |line: &str| service.metrics().lines().any(|found| found == line);
    wait_for("all is in the file", || {
        has("assent_export_lag_records{organization=\"clinic\",exporter=\"tail\"} 0")
    });
    wait_for("the other is missed", || has("assent_export_failing{exporter=\"down\"} 1"));
    let text = service.metrics();
    let lag = text.lines().find_map(|line| {
        line.strip_prefix("assent_export_lag_records{organization=\"clinic\",exporter=\"down\"} ")
    });
    assert!(lag.is_some_and(|lag| lag.parse::<f64>().unwrap() >= 10.0), "{text}");
    assert!(has("assent_export_failing{exporter=\"tail\"} 0"), "{text}");
    assert!(
        text.contains("assent_export_lag_seconds{organization=\"clinic\",exporter=\"down\"} 0\n"),
        "{text}"
    );
    assert!(!text.contains(CANARY) && !text.contains("ann"), "{text}");
    wait_for("it was tried three times", || {
        service.gauge("assent_export_failures_total{exporter=\"down\"}").is_some_and(|tries| tries >= 3.0)
    });

    let said = service.end("TERM");
    assert!(
        said.contains("exporter `down`: the receiver answered with status 500; 3 tries have failed"),
        "{said}"
    );
    assert!(!said.contains(CANARY) && !said.contains("User::"), "{said}");

    // Also what was recorded last of all: that the service stopped.
    let lines = lines();
    assert!(lines.last().unwrap().contains("service-stopped"), "{lines:?}");
    for id in ids {
        assert!(lines.iter().any(|line| line.contains(&id)), "{id} is missing");
    }
    let shown = well(&["exporters", &path]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["EXPORTER", "ORGANIZATION", "NEXT", "LAG"]);
    let count: u64 = rows[2][3].parse().unwrap();
    let end = format!("2026-{count}");
    assert_eq!(rows[1][..8], ["tail", "clinic", &end, "0", "-", "0", "yes", "json-lines"], "{shown}");
    assert_eq!(rows[2][..8], ["down", "clinic", "2026-0", rows[2][3], DAY, "0", "no", "ocsf"], "{shown}");
    assert!(count > 10, "{shown}");
    let json: serde_json::Value = serde_json::from_str(&well(&["exporters", &path, "--json"])).unwrap();
    assert_eq!((&json[1]["lag"], &json[1]["next"]), (&count.into(), &"2026-0".into()));
    assert_eq!((&json[0]["mandatory"], &json[0]["undelivered"]), (&true.into(), &end.as_str().into()));
}

#[test]
fn a_deployment_without_exporters_or_without_a_log_says_so() {
    let deployment = exporting("");
    assert!(well(&["exporters", deployment.path()]).contains("[[audit.export]]"));
    let in_memory = Deployment::new(&[]);
    assert!(refused(&audit(&["exporters", in_memory.path()])).contains("no table `[audit]`"));
}

/// A table of an exporter to this collector, which must have every record or need not.
fn to(url: &str, mandatory: bool) -> String {
    format!("[[audit.export]]\nid = \"siem\"\nformat = \"ocsf\"\nto = \"{url}\"\nmandatory = {mandatory}\n")
}

#[test]
fn a_year_stays_until_a_mandatory_exporter_has_all_of_it() {
    let takes = Arc::new(AtomicBool::new(false));
    let url = collector(Arc::clone(&takes));
    let deployment = keeping::two_years(&to(&url, false));
    let path = deployment.path();
    let expire = ["expire", path, "--year", "2015", "--by", "ann", "--reason", "kept for long enough"];
    assert!(
        well(&["expire", path]).contains("2015: can be let go"),
        "whoever need not have it keeps nothing"
    );
    let asked = keeping::request(&well(&expire));

    // What was asked for before does not go either.
    let file = deployment.0.path().join("assent.toml");
    let optional = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, optional.replace("mandatory = false", "mandatory = true")).unwrap();
    let stays = "2015 stays: not read by exporter `siem`, which is at 2015-0";
    let confirm = ["expire", path, "--confirm", &asked, "--by", "bob"];
    for refused_by in [&expire[..], &confirm] {
        let said = refused(&audit(refused_by));
        assert!(said.contains(stays), "{said}");
    }
    assert!(well(&["expire", path]).contains(&stays.replace(" stays", ": stays")));

    // Nor while it has only begun.
    let service = Running::start(&deployment);
    wait_for("it fails", || service.gauge("assent_export_failing{exporter=\"siem\"}") == Some(1.0));
    let said = refused(&audit(&confirm));
    assert!(said.contains(stays), "{said}");

    takes.store(true, Ordering::SeqCst);
    let behind = "assent_export_lag_records{organization=\"clinic\",exporter=\"siem\"}";
    wait_for("it has everything", || service.gauge(behind) == Some(0.0));
    assert!(well(&["expire", path]).contains("2015: can be let go"));
    assert!(well(&confirm).starts_with("let go: "));
    service.end("TERM");
}
