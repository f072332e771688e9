//! INVARIANT (an approval is used as often as it says): of all who ask at once, before a kill and after it, no more are
//! let through than the approval has uses, and each by a use that is counted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::service::{Client, Request};
use super::*;

/// Uses of each approval, as the settings say.
const USES: usize = 3;
/// Approvals that are used at once.
const APPROVALS: usize = 2;
const CYCLES: u64 = 4;

/// What the plugin for exports is bound with, as the example hospital has it.
fn binding() -> String {
    let path = root().join("examples/clinics/organizations/lone-star-hospital/organization.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, from) = text.split_once("[[plugin]]\nid = \"exports\"").unwrap();
    let (binding, _) = from.split_once("# Who approves").unwrap();
    format!("[[plugin]]\nid = \"exports\"{}", binding.replace("../../../../", "../"))
}

/// An approved export.
struct Approved {
    id: String,
    question: Request,
    /// Decisions that permitted it.
    permitted: BTreeSet<String>,
    /// Questions that had no answer.
    unanswered: usize,
}

fn post(path: String, person: &str, body: Value) -> Request {
    Request { method: "POST", path, person: person.into(), body, ..Request::default() }
}

fn approved(service: &Service, data_set: &str) -> Approved {
    let mut client = Client::new(&service.address);
    let ask = json!({ "kind": "export", "action": "export", "purpose": "HOPERAT", "dataSet": data_set, "records": 1200,
        "justification": "stroke registry, third quarter" });
    let made = client.ask(&post("state/v1/approvals".into(), "him-0", ask));
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().unwrap().to_owned();
    for person in ["po-1", "po-2"] {
        let path = format!("state/v1/approvals/{id}/answer");
        assert_eq!(client.ask(&post(path, person, json!({ "approves": true }))).status, 200);
    }
    let path = root().join("examples/clinics/requests/export-lacks-approver.json");
    let mut question: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    question["subject"]["id"] = json!("him-0");
    question["resource"]["properties"]["digest"] = json!(data_set);
    question["resource"]["properties"]["organization"]["id"] = json!("clinic");
    question["context"]["destination"]["organization"]["id"] = json!("other");
    let question = post("access/v1/evaluation".into(), "", question);
    Approved { id, question, permitted: BTreeSet::new(), unanswered: 0 }
}

/// Asks for the exports from several clients at once, until each is told no, or nobody answers.
fn ask_at_once(service: &mut Service, exports: &mut [Approved], kill: Option<(&mut Random, u64)>) {
    let answered = AtomicU64::new(0);
    let address = service.address.clone();
    let questions: Vec<Request> = exports.iter().map(|export| export.question.clone()).collect();
    let asked = std::thread::scope(|scope| {
        let (questions, answered, address) = (&questions, &answered, &address);
        let ask = move || {
            let mut client = Client::new(address);
            let mut permitted = vec![];
            let mut open: Vec<usize> = (0..questions.len()).collect();
            while !open.is_empty() {
                for at in std::mem::take(&mut open) {
                    let Some(answer) = client.send(&questions[at]) else { return (permitted, Some(at)) };
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.body["decision"] == true {
                        permitted.push((at, answer.headers["x-decision-id"].clone()));
                        open.push(at);
                    }
                }
            }
            (permitted, None)
        };
        let clients: Vec<_> = (0..WORKERS).map(|_| scope.spawn(ask)).collect();
        if let Some((random, after)) = kill {
            kill_after((service, random), (answered, after), &clients);
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    for (permitted, unanswered) in asked {
        for (at, decision) in permitted {
            assert!(exports[at].permitted.insert(decision), "two decisions have one id");
        }
        if let Some(at) = unanswered {
            exports[at].unanswered += 1;
        }
    }
}

/// How often it was used; each permit is one of the uses.
fn uses(service: &Service, export: &Approved, context: &str) -> usize {
    let path = format!("state/v1/approvals/{}", export.id);
    let get = |path: String| {
        let request = Request { method: "GET", path, ..Request::default() };
        Client::new(&service.address).ask(&request).body
    };
    let shown = get(path);
    let used: BTreeSet<String> = shown["uses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|used| used["decision"].as_str().unwrap().to_owned())
        .collect();
    let Approved { permitted, unanswered, .. } = export;
    assert!(permitted.is_subset(&used), "{context}: {permitted:?} were let through, and {shown}");
    assert!(used.len() <= permitted.len() + unanswered, "{context}: {shown}");
    assert_eq!(shown["usesLeft"], json!(USES - used.len()), "{context}: {shown}");
    let entity = get(format!("state/v1/entities/Approval/{}", export.id));
    assert_eq!(
        (&entity["attrs"]["usesLeft"], &entity["version"]),
        (&shown["usesLeft"], &shown["version"]),
        "{context}"
    );
    used.len()
}

#[test]
fn an_approval_lets_through_as_many_as_it_says_however_many_ask_and_whatever_is_killed() {
    let (cycles, mut random) = cycles(CYCLES);
    let site = Site::with(&binding());
    let mut service = Service::start(&site);
    let (mut permits, mut lost) = (0, 0);
    for cycle in 0..cycles {
        let context = format!("cycle {cycle}");
        let mut exports: Vec<Approved> =
            (0..APPROVALS).map(|number| approved(&service, &format!("sha256:{cycle}-{number}"))).collect();
        let after = random.below(8);
        ask_at_once(&mut service, &mut exports, Some((&mut random, after)));
        service = Service::start(&site);
        for export in &exports {
            uses(&service, export, &context);
        }
        ask_at_once(&mut service, &mut exports, None);
        for export in &exports {
            assert_eq!(uses(&service, export, &context), USES, "{context}");
            assert!(export.permitted.len() <= USES, "{context}: {:?}", export.permitted);
            permits += export.permitted.len();
            lost += USES - export.permitted.len();
        }
    }
    println!("{permits} permits, {lost} uses that nobody had, {cycles} kills");
    assert!(permits > 0, "nothing was tested");
}
