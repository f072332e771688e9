//! HTTP collectors: ones that fail in every way there is, ones that refuse some records or all, FHIR servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_outbound::export::{Format, Pace};
use serde_json::Value;
use zeroize::Zeroizing;

use super::support::*;

/// What came with one request.
#[derive(Clone)]
struct Came {
    path: String,
    headers: String,
    body: String,
}

/// What a collector does with one request.
enum Answer {
    /// This status with these header lines, and the body that came sent back: it may be quoted by nobody.
    Status(u16, &'static str),
    /// The statuses of a Bundle's entries.
    Bundle(Vec<u16>),
    /// What is no HTTP.
    Garbage,
    /// Nothing, and the connection ends.
    Close,
    /// Nothing, ever.
    Hang,
}

struct Server {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Server {
    /// A collector that answers the n-th request, from 0, so.
    fn start(answer: impl Fn(usize, &Came) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), came: Arc::default() };
        let came = Arc::clone(&server.came);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (came, answer) = (Arc::clone(&came), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream.unwrap(), &came, answer.as_ref()));
            }
        });
        server
    }

    fn to(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, came: &Mutex<Vec<Came>>, answer: &dyn Fn(usize, &Came) -> Answer) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let request = Came { path, headers: head, body };
        let count = {
            let mut came = came.lock().unwrap();
            came.push(request.clone());
            came.len() - 1
        };
        let (status, fields, body) = match answer(count, &request) {
            Answer::Status(status, fields) => (status, fields, request.body),
            Answer::Bundle(statuses) => {
                let entries: Vec<_> = statuses
                    .iter()
                    .map(|status| serde_json::json!({"response": {"status": format!("{status} x")}}))
                    .collect();
                let bundle =
                    serde_json::json!({"resourceType": "Bundle", "type": "batch-response", "entry": entries});
                (200, "", bundle.to_string())
            }
            Answer::Garbage => {
                drop((&*stream).write_all(format!("HELLO {}\r\n\r\n", request.body).as_bytes()));
                return;
            }
            Answer::Close => return,
            Answer::Hang => {
                // Until the other side has had enough.
                drop(reader.read_line(&mut String::new()));
                return;
            }
        };
        let head = format!("HTTP/1.1 {status} x\r\n{fields}content-length: {}\r\n\r\n", body.len());
        if (&*stream).write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn numbers(body: &str) -> Vec<u64> {
    body.lines().map(number).collect()
}

#[test]
fn a_collector_that_fails_in_every_way_gets_every_record_in_order_and_is_not_quoted() {
    let world = World::new();
    let taken = Arc::new(Mutex::new(vec![]));
    let take = Arc::clone(&taken);
    let server = Server::start(move |count, came| match count {
        0 => Answer::Status(500, ""),
        1 => Answer::Status(429, "retry-after: 0\r\n"),
        2 => Answer::Garbage,
        3 => Answer::Status(503, "retry-after: 3600\r\n"),
        4 => Answer::Hang,
        5 => Answer::Close,
        6 => Answer::Status(302, "location: http://127.0.0.1:1/\r\n"),
        7 => Answer::Status(401, ""),
        n if n % 5 == 0 => Answer::Status(500, ""),
        _ => {
            take.lock().unwrap().extend(numbers(&came.body));
            Answer::Status(200, "")
        }
    });
    world.record(100);
    let mut exporter = world.exporter("fails", Format::JsonLines, &server.to("/in"));
    exporter.token = Some(Zeroizing::new("t0ken".to_owned()));
    let running = world.start_at(&exporter, Pace { exchange: Duration::from_millis(500), ..pace() });
    wait_until_delivered(&running);
    assert_eq!(*taken.lock().unwrap(), (0..100).collect::<Vec<_>>());
    let came = server.came();
    assert!(came.iter().all(|came| came.headers.contains("content-type: application/x-ndjson\r\n")));
    assert!(came.iter().all(|came| came.headers.contains("authorization: Bearer t0ken\r\n")));
    assert!(came.iter().all(|came| came.path == "/in" && came.body.lines().count() <= 16));
    wait_for("it was said", || said("fails").len() >= 2);
    let told = format!("{:?} {:?} {:?} {exporter:?}", said("fails"), running.state(), running);
    assert!(came[0].body.contains(CANARIES[0]));
    assert!(CANARIES.iter().all(|canary| !told.contains(canary)) && !told.contains("t0ken"), "{told}");
}

#[test]
fn a_record_that_is_refused_for_what_it_is_is_set_aside_and_does_not_hold_up_the_others() {
    let world = World::new();
    let refused: Arc<Mutex<Vec<u64>>> = Arc::new(Mutex::new(vec![0, 17, 18, 40]));
    let taken = Arc::new(Mutex::new(vec![]));
    let (refuse, take) = (Arc::clone(&refused), Arc::clone(&taken));
    let server = Server::start(move |_, came| {
        let numbers = numbers(&came.body);
        if numbers.iter().any(|number| refuse.lock().unwrap().contains(number)) {
            return Answer::Status(422, "");
        }
        take.lock().unwrap().extend(numbers);
        Answer::Status(204, "")
    });
    world.record(60);
    let exporter = world.exporter("poison", Format::Ocsf, &server.to("/"));
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    let expected: Vec<u64> = (0..60).filter(|n| ![0, 17, 18, 40].contains(n)).collect();
    assert_eq!(*taken.lock().unwrap(), expected);
    wait_for("it is told", || running.state().organizations[0].set_aside == 4);
    assert!(
        said("poison").iter().any(|line| line.contains("refuses 1 records of `clinic`")),
        "{:?}",
        said("poison")
    );
    assert_eq!(running.state().organizations[0].sent, 56);
    drop(running);
    let standing = world.standing("poison");
    let places: Vec<String> = standing.set_aside.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["2026-0", "2026-17", "2026-18", "2026-40"]);
    // Retention must not pass them.
    assert_eq!(standing.undelivered().unwrap().to_string(), "2026-0");

    // The receiver was mended, but for one record; after a start they are offered again.
    *refused.lock().unwrap() = vec![18];
    let running = world.start(&exporter);
    wait_for("they are taken", || running.state().organizations[0].set_aside == 1);
    let mut all = taken.lock().unwrap().clone();
    all.sort_unstable();
    assert_eq!(all, (0..60).filter(|n| *n != 18).collect::<Vec<_>>());
    assert_eq!(world.standing("poison").undelivered().unwrap().to_string(), "2026-18");
}

#[test]
fn what_is_refused_again_and_again_does_not_keep_the_others_from_their_turn() {
    let world = World::new();
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    // Every second record is refused; at first all of these, then only the first forty, which fill two turns.
    let server = Server::start(move |_, came| {
        let most = if is_mended.load(std::sync::atomic::Ordering::Relaxed) { 80 } else { u64::MAX };
        let refuses = numbers(&came.body).iter().any(|number| number % 2 == 0 && *number < most);
        Answer::Status(if refuses { 422 } else { 200 }, "")
    });
    world.record(100);
    let exporter = world.exporter("turns", Format::JsonLines, &server.to("/"));
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    wait_for("all are set aside", || running.state().organizations[0].set_aside == 50);
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    drop(running);
    let running = world.start_at(&exporter, Pace { offer_again_every: Duration::ZERO, ..pace() });
    wait_for("the last ten are taken", || running.state().organizations[0].set_aside == 40);
    let left: Vec<u64> = world.standing("turns").set_aside.iter().map(|place| place.position).collect();
    assert_eq!(left, (0..40).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn what_one_organization_has_set_aside_and_cannot_read_does_not_hold_up_another() {
    let other = assent_model::OrganizationId::new("hospital").unwrap();
    let world = World::of(&[clinic(), other.clone()]);
    let server =
        Server::start(|_, came| Answer::Status(if numbers(&came.body).contains(&0) { 422 } else { 200 }, ""));
    let mut exporter = world.exporter("unread", Format::JsonLines, &server.to("/"));
    exporter.organizations.push(other.clone());
    world.record(3);
    let running = world.start(&exporter);
    wait_until_delivered(&running);
    wait_for("it is set aside", || running.state().organizations[0].set_aside == 1);
    drop(running);
    // The record that was set aside cannot be read any more.
    let keys = world.path("audit/clinic/2026/keys");
    for key in std::fs::read_dir(&keys).unwrap() {
        let path = key.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, "damaged").unwrap();
    }
    world.record_at(DAY, &other, 200);
    // Whatever fails for the exporter as a whole makes it wait for ever.
    let slow =
        Pace { wait_first: PATIENCE, wait_most: PATIENCE, offer_again_every: Duration::ZERO, ..pace() };
    let running = world.start_at(&exporter, slow);
    wait_for("the other is served", || running.state().organizations[1].lag == Some(0));
    assert!(running.state().failing);
    assert_eq!(running.state().organizations[0].set_aside, 1);
}

#[test]
fn a_receiver_that_refuses_everything_stops_its_exporter_and_says_so_and_loses_nothing() {
    let world = World::new();
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let taken = Arc::new(Mutex::new(vec![]));
    let take = Arc::clone(&taken);
    let server = Server::start(move |_, came| {
        if !is_mended.load(std::sync::atomic::Ordering::Relaxed) {
            return Answer::Status(400, "");
        }
        take.lock().unwrap().extend(numbers(&came.body));
        Answer::Status(200, "")
    });
    world.record(30);
    let running = world.start(&world.exporter("refuses", Format::JsonLines, &server.to("/")));
    wait_for("it says so", || !said("refuses").is_empty());
    assert!(said("refuses")[0].contains("refuses the records, with status 400"), "{:?}", said("refuses"));
    assert_eq!((lag(&running), running.state().failing), (30, true));
    assert_eq!(running.state().organizations[0].set_aside, 0);
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    wait_until_delivered(&running);
    assert_eq!(*taken.lock().unwrap(), (0..30).collect::<Vec<_>>());
    wait_for("it says that it works", || said("refuses").last().unwrap().ends_with("it works again"));
}

#[test]
fn the_records_of_one_organization_do_not_hold_up_anothers() {
    let other = assent_model::OrganizationId::new("hospital").unwrap();
    let world = World::of(&[clinic(), other.clone()]);
    let server = Server::start(move |_, came| {
        Answer::Status(if came.body.contains("/audit/clinic/") { 413 } else { 200 }, "")
    });
    let mut exporter = world.exporter("apart", Format::JsonLines, &server.to("/"));
    exporter.organizations.push(other.clone());
    world.record(20);
    world.record_at(DAY, &other, 200);
    let running = world.start_at(&exporter, Pace { wait_first: PATIENCE, wait_most: PATIENCE, ..pace() });
    wait_for("the other is served", || running.state().organizations[1].lag == Some(0));
    assert_eq!(lag(&running), 20);
}

#[test]
fn a_fhir_server_gets_batches_and_answers_for_each_resource() {
    let world = World::new();
    let taken = Arc::new(Mutex::new(vec![]));
    let take = Arc::clone(&taken);
    let server = Server::start(move |count, came| {
        let bundle: Value = serde_json::from_str(&came.body).unwrap();
        assert_eq!((&bundle["resourceType"], &bundle["type"]), (&"Bundle".into(), &"batch".into()));
        let entries = bundle["entry"].as_array().unwrap();
        let mut statuses = vec![];
        for entry in entries {
            assert_eq!(entry["request"], serde_json::json!({"method": "POST", "url": "AuditEvent"}));
            assert_eq!(entry["resource"]["resourceType"], "AuditEvent");
            let number = number(entry["resource"]["id"].as_str().unwrap());
            statuses.push(if number == 5 { 422 } else { 201 });
            if count > 1 && number != 5 {
                take.lock().unwrap().push(number);
            }
        }
        match count {
            // As many as were sent, or nobody knows which were taken.
            0 => Answer::Bundle(vec![201]),
            1 => Answer::Status(200, ""),
            _ => Answer::Bundle(statuses),
        }
    });
    world.record(40);
    let running = world.start(&world.exporter("fhir", Format::Fhir, &server.to("/fhir")));
    wait_until_delivered(&running);
    assert_eq!(*taken.lock().unwrap(), (0..40).filter(|n| *n != 5).collect::<Vec<_>>());
    wait_for("it is told", || running.state().organizations[0].set_aside == 1);
    let came = server.came();
    assert!(came.iter().all(|came| came.path == "/fhir"));
    assert!(came.iter().all(|came| came.headers.contains("content-type: application/fhir+json\r\n")));
    assert_eq!(world.standing("fhir").set_aside[0].to_string(), "2026-5");
}

#[test]
fn an_address_of_audit_events_gets_each_by_itself() {
    let world = World::new();
    let server = Server::start(|count, _| Answer::Status(if count == 3 { 500 } else { 201 }, ""));
    world.record(6);
    let running = world.start(&world.exporter("each", Format::Fhir, &server.to("/fhir/AuditEvent")));
    wait_until_delivered(&running);
    let came: Vec<u64> = server.came().iter().map(|came| number(&came.body)).collect();
    assert_eq!(came, [0, 1, 2, 3, 3, 4, 5]);
    let one: Value = serde_json::from_str(&server.came()[0].body).unwrap();
    assert_eq!(one["resourceType"], "AuditEvent");
}

#[test]
fn what_is_left_when_the_service_stops_still_goes_out_in_its_grace() {
    let world = World::new();
    let server = Server::start(|_, _| Answer::Status(200, ""));
    let running = world.start(&world.exporter("grace", Format::JsonLines, &server.to("/")));
    world.record(500);
    running.end(PATIENCE);
    running.wait_for_end();
    let came: Vec<u64> = server.came().iter().flat_map(|came| numbers(&came.body)).collect();
    assert_eq!(came, (0..500).collect::<Vec<_>>());
}
