//! The stories of the examples over HTTP: every decision case of the clinics is asked of a real
//! server at its moment, and comes out as it does in the engine; and what a person may not know
//! does not show, neither in the answer nor in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_cli::cases::{self, Case};
use assent_model::{Effect, Instant};
use serde_json::{Value, json};

use crate::support::{CLINICS, Lines, Reply, Server};

/// A case with the organization it belongs to.
struct Story {
    organization: String,
    case: Case,
}

/// The cases that can be asked as they are: without entities of their own.
fn stories() -> BTreeMap<Instant, Vec<Story>> {
    let mut stories: BTreeMap<Instant, Vec<Story>> = BTreeMap::new();
    for organization in &CLINICS.built.organizations {
        for file in &organization.case_files {
            for case in cases::read(&file.name, &file.text).unwrap() {
                if case.entities.is_empty() {
                    let organization = organization.release.organization().to_string();
                    stories.entry(case.now).or_default().push(Story { organization, case });
                }
            }
        }
    }
    stories
}

fn ask(server: &Server, story: &Story, request: &Value) -> Reply {
    let key = format!("Bearer {}", story.case.caller.as_deref().unwrap_or("portal"));
    let headers = [("Content-Type", "application/json"), ("Authorization", key.as_str())];
    let path = format!("/{}/access/v1/evaluation", story.organization);
    server.send("POST", &path, &headers, &request.to_string())
}

fn codes(answer: &Value) -> Vec<String> {
    let mut codes: Vec<String> = answer["context"]["obligations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|obligation| match obligation["type"].as_str().unwrap() {
            "custom" => obligation["properties"]["code"].as_str().unwrap().to_owned(),
            "notification" => "notify".to_owned(),
            "session_termination" => "session-termination".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn every_story_comes_out_over_http_as_it_is_written() {
    let (mut asked, mut failures) = (0, vec![]);
    for (now, stories) in stories() {
        let server = Server::start_for_cases(&CLINICS, now);
        for story in &stories {
            let request = serde_json::to_value(&story.case.request).unwrap();
            let reply = ask(&server, story, &request);
            let answer = reply.json();
            let expected = &story.case.expected;
            asked += 1;
            if reply.status != 200 || answer["decision"] != json!(expected.decision == Effect::Permit) {
                failures.push(format!("{}: {} {}", story.case.name, reply.status, reply.body));
            }
            if let Some(obligations) =
                expected.obligations.as_ref().filter(|_| expected.decision == Effect::Permit)
            {
                let mut obligations = obligations.clone();
                obligations.sort();
                if codes(&answer) != obligations {
                    failures.push(format!("{}: obligations {:?}", story.case.name, codes(&answer)));
                }
            }
        }
        assert_eq!(server.recorder.records().len(), stories.len(), "each answer has its record");
    }
    println!("{asked} stories asked over HTTP");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(asked > 50, "only {asked} stories were found");
}

/// What a person can see of an answer: everything but the ids that each answer has of its own.
fn visible(reply: &Reply) -> (u16, BTreeMap<String, String>, String) {
    let mut headers = reply.headers.clone();
    for name in ["x-decision-id", "x-request-id", "x-audit-position", "date"] {
        headers.remove(name);
    }
    (reply.status, headers, reply.body.clone())
}

#[test]
fn absent_looks_like_forbidden() {
    let mut compared = 0;
    for (now, stories) in stories() {
        let server = Server::start_for_cases(&CLINICS, now);
        for story in &stories {
            let decision = story.case.expected.decision;
            let findings = story.case.expected.findings.as_deref().unwrap_or_default();
            if decision == Effect::Permit
                || !findings.iter().any(|finding| finding.starts_with("adolescent:"))
            {
                continue;
            }
            let mut request = serde_json::to_value(&story.case.request).unwrap();
            let masked = ask(&server, story, &request);
            if masked.json().get("context").is_some() {
                // A denial that its rule lets be told, such as the end of a representation.
                continue;
            }
            request["resource"]["id"] = json!("no-such-record");
            let absent = ask(&server, story, &request);
            assert_eq!(visible(&masked), visible(&absent), "{}", story.case.name);
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} masked records were compared with absent ones");
}

/// Somebody without standing, or whose session has ended, learns nothing about which records exist:
/// the question without its session is answered as for a record that does not exist, unless the
/// person would otherwise have had access and no plugin hides the record.
#[test]
fn a_missing_session_does_not_tell_what_exists() {
    let mut compared = 0;
    for (now, stories) in stories() {
        let server = Server::start_for_cases(&CLINICS, now);
        for story in &stories {
            let denied = story.case.expected.decision == Effect::Deny;
            let portal_user =
                ["related-person", "patient"].contains(&story.case.request.subject.kind.as_str());
            if !denied || !portal_user {
                continue;
            }
            let mut request = serde_json::to_value(&story.case.request).unwrap();
            if ask(&server, story, &request).json().get("context").is_some() {
                continue; // told on purpose: the person's own standing, not the record
            }
            request["context"].as_object_mut().unwrap().remove("session");
            let forbidden = ask(&server, story, &request);
            request["resource"]["id"] = json!("no-such-record");
            let absent = ask(&server, story, &request);
            assert_eq!(visible(&forbidden), visible(&absent), "{}", story.case.name);
            compared += 1;
        }
    }
    assert!(compared >= 10, "only {compared} questions were compared");
}

#[test]
fn no_patient_in_logs() {
    let lines = Arc::new(Lines::default());
    let mut values = vec![];
    for (now, stories) in stories() {
        let server = Server::start_for_cases_with_log(&CLINICS, now, Arc::clone(&lines));
        for story in &stories {
            let mut request = serde_json::to_value(&story.case.request).unwrap();
            values
                .extend([&story.case.request.subject.id, &story.case.request.resource.id].map(Clone::clone));
            ask(&server, story, &request);
            // Also where the request is refused.
            request["action"] = json!("pat-secret");
            ask(&server, story, &request);
        }
    }
    let lines = lines.0.lock().unwrap();
    assert!(lines.len() > 100, "only {} lines were logged", lines.len());
    values.push("pat-secret".to_owned());
    for line in lines.iter() {
        // Whole words: `staging`, a caller, is not the data set `aging`.
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && !"-_:.".contains(c)).collect();
        for value in &values {
            assert!(!words.contains(&value.as_str()), "`{value}` is in the log: {line}");
        }
    }
}

#[test]
fn batch_items_come_out_as_the_single_questions_do_in_any_order() {
    let (now, stories) = stories().into_iter().max_by_key(|(_, stories)| stories.len()).unwrap();
    let server = Server::start_for_cases(&CLINICS, now);
    let of_one: Vec<&Story> = stories
        .iter()
        .filter(|story| {
            story.organization == "bay-pediatrics"
                && story.case.caller.as_deref().is_none_or(|c| c == "portal")
        })
        .collect();
    assert!(of_one.len() > 10, "too few questions for a batch");
    let requests: Vec<Value> =
        of_one.iter().map(|story| serde_json::to_value(&story.case.request).unwrap()).collect();
    let singles: Vec<Value> =
        of_one.iter().zip(&requests).map(|(story, r)| ask(&server, story, r).json()).collect();
    let batch = |requests: &[Value]| {
        let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer portal")];
        let body = json!({ "evaluations": requests }).to_string();
        let reply = server.send("POST", "/bay-pediatrics/access/v1/evaluations", &headers, &body);
        reply.json()["evaluations"].as_array().unwrap().clone()
    };
    assert_eq!(batch(&requests), singles);
    let reversed: Vec<Value> = requests.iter().rev().cloned().collect();
    let mut answers = batch(&reversed);
    answers.reverse();
    assert_eq!(answers, singles);
}
