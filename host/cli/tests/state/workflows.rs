//! Workflows as requests, what is printed of their answers, and what is done where none comes.

use super::*;

fn answering(status: u16, body: Value) -> Listener {
    Listener::start(move |_, _| Some((status, JSON, body.to_string())))
}

#[test]
fn each_command_is_the_request_that_it_says() {
    let patient = json!({ "type": "Patient", "id": "jun-park" });
    let consent = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(consent.path(), r#"{"resourceType":"Consent","status":"active"}"#).unwrap();
    let rows: &[(&[&str], &str, Value)] = &[
        (&["approval", "show", "a/1"], "GET approvals/a%2F1", Value::Null),
        (
            &["approval", "request", "--kind", "export", "--data-set", "D", "--justification", "because"],
            "POST approvals",
            json!({ "kind": "export", "dataSet": "D", "justification": "because" }),
        ),
        (
            &[
                "approval",
                "request",
                "--kind",
                "export",
                "--data-set",
                "D",
                "--action",
                "export",
                "--purpose",
                "HRESCH",
                "--records",
                "5",
                "--justification",
                "because",
            ],
            "POST approvals",
            json!({
                "kind": "export", "action": "export", "purpose": "HRESCH", "dataSet": "D", "records": 5,
                "justification": "because",
            }),
        ),
        (&["approval", "approve", "1"], "POST approvals/1/answer", json!({ "approves": true })),
        (
            &["approval", "refuse", "1", "--comment", "no"],
            "POST approvals/1/answer",
            json!({ "approves": false, "comment": "no" }),
        ),
        (&["approval", "withdraw", "1"], "POST approvals/1/withdraw", json!({})),
        (
            &["approval", "revoke", "1", "--comment", "c"],
            "POST approvals/1/revoke",
            json!({ "comment": "c" }),
        ),
        (&["break-glass", "show", "1"], "GET emergencies/1", Value::Null),
        (
            &[
                "break-glass",
                "declare",
                "--patient",
                "Patient/jun-park",
                "--reason",
                "r",
                "--justification",
                "j",
            ],
            "POST emergencies",
            json!({ "patient": patient, "reason": "r", "justification": "j" }),
        ),
        (&["break-glass", "end", "1"], "POST emergencies/1/end", json!({})),
        (
            &["break-glass", "review", "1", "--outcome", "unjustified", "--comment", "c"],
            "POST emergencies/1/review",
            json!({ "outcome": "unjustified", "comment": "c" }),
        ),
        (
            &[
                "disclosure",
                "make",
                "--patient",
                "Patient/jun-park",
                "--category",
                "lab",
                "--disclosure",
                "withhold",
                "--licence",
                "L",
                "--reason",
                "r",
                "--service",
                "s",
                "--recipient",
                "RelatedPerson/g",
                "--expires",
                "2026-12-01T00:00:00Z",
            ],
            "POST disclosure-decisions",
            json!({
                "patient": patient, "category": "lab", "service": "s",
                "recipient": { "type": "RelatedPerson", "id": "g" }, "disclosure": "withhold", "licence": "L",
                "reason": "r", "expiresAt": "2026-12-01T00:00:00Z",
            }),
        ),
        (&["disclosure", "withdraw", "1"], "POST disclosure-decisions/1/withdraw", json!({})),
        (
            &["hold", "place", "--entity", "Patient/jun-park", "--reason", "r"],
            "POST holds",
            json!({ "target": { "entity": patient }, "reason": "r" }),
        ),
        (
            &["hold", "place", "--caller", "portal", "--reason", "r"],
            "POST holds",
            json!({ "target": { "caller": "portal" }, "reason": "r" }),
        ),
        (
            &["hold", "place", "--plugin", "exports", "--reason", "r"],
            "POST holds",
            json!({ "target": { "plugin": "exports" }, "reason": "r" }),
        ),
        (
            &["hold", "place", "--organization-whole", "--reason", "r"],
            "POST holds",
            json!({ "target": "organization", "reason": "r" }),
        ),
        (
            &["hold", "propose-release", "1", "--comment", "c"],
            "POST holds/1/propose-release",
            json!({ "comment": "c" }),
        ),
        (&["hold", "confirm-release", "1"], "POST holds/1/confirm-release", json!({})),
        (&["hold", "take-back", "1"], "POST holds/1/take-back", json!({})),
        (
            &["consent", "put", "c1", consent.path().to_str().unwrap()],
            "PUT consents/c1",
            json!({ "resourceType": "Consent", "status": "active" }),
        ),
        (&["consent", "revoke", "c1", "--reason", "r"], "POST consents/c1/revoke", json!({ "reason": "r" })),
    ];
    let listener = answering(200, json!({ "id": "1", "status": "as-it-is", "uses": [] }));
    for (arguments, what, body) in rows {
        let printed = well(&listener.url(), &[arguments, &["--person", "Practitioner/dr-lee"][..]].concat());
        assert!(printed.contains("  status          as-it-is\n"), "{printed}");
        let asked = listener.asked().pop().unwrap();
        let (method, path) = what.split_once(' ').unwrap();
        assert_eq!((asked.what.as_str(), &asked.body), (&*format!("{method} /clinic/state/v1/{path}"), body));
        assert_eq!(asked.header("authorization"), Some("Bearer admin-key"));
        assert_eq!(asked.header("assent-person"), Some("Practitioner/dr-lee"));
        assert_eq!(asked.header("idempotency-key").is_some(), method != "GET", "{what}");
    }
}

#[test]
fn a_list_is_a_table_with_the_columns_that_there_are() {
    let lines = |arguments: &[&str], items: Value| {
        let listener = answering(200, json!({ "items": items, "next": null }));
        let printed = well(&listener.url(), arguments);
        (printed, listener.asked().pop().unwrap().what)
    };
    let by = json!({ "type": "Practitioner", "id": "dr-lee" });
    let approval = json!({ "id": "a1", "status": "pending", "ask": { "kind": "export", "requester": by } });
    let (printed, what) = lines(&["approval", "list", "--status", "pending"], json!([approval]));
    assert_eq!(printed, "ID  STATUS   KIND    BY\na1  pending  export  Practitioner/dr-lee\n");
    assert_eq!(what, "GET /clinic/state/v1/approvals?status=pending");
    let hold = json!({ "id": "h", "status": "active", "target": { "entity": by }, "reason": "court" });
    let (printed, _) = lines(&["hold", "list"], json!([hold, { "id": "i", "target": "organization" }]));
    assert_eq!(
        printed,
        "ID  STATUS  ON                          REASON\nh   active  entity Practitioner/dr-lee  court\ni           organization\n"
    );
    let lapse = json!({ "at": "2026-12-01T00:00:00Z", "what": "consent", "entity": by, "attribute": "end" });
    let (printed, what) = lines(&["lapse", "list", "--within", "P30D"], json!([lapse]));
    assert!(printed.ends_with("2026-12-01T00:00:00Z  consent  Practitioner/dr-lee  end\n"), "{printed}");
    assert_eq!(what, "GET /clinic/state/v1/lapses?within=P30D");
    assert_eq!(lines(&["consent", "list"], json!([])).0, "nothing found\n");
}

#[test]
fn a_change_is_tried_three_times_with_one_key() {
    let busy =
        || Some((503, PROBLEM, json!({ "type": "urn:assent:problem:x", "detail": "busy" }).to_string()));
    let listener = Listener::start(move |number, _| match number {
        0 => None,
        1 => busy(),
        _ => Some((200, JSON, json!({ "id": "1", "status": "ended" }).to_string())),
    });
    assert!(well(&listener.url(), &["break-glass", "end", "1"]).starts_with("emergency 1\n"));
    let asked = listener.asked();
    let keys: std::collections::BTreeSet<_> =
        asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert_eq!((asked.len(), keys.len()), (3, 1));
    well(&listener.url(), &["break-glass", "end", "1"]);
    assert_ne!(listener.asked().pop().unwrap().header("idempotency-key"), asked[0].header("idempotency-key"));
}

#[test]
fn what_stays_without_an_answer_is_said_to_be_in_doubt() {
    let silent = Listener::start(|_, _| None);
    let said = refused(&at(&silent.url(), &["hold", "take-back", "1"]));
    assert!(said.contains("did not answer, so it is not known whether the change was made: look"), "{said}");
    assert_eq!(silent.asked().len(), 3);
    let said = refused(&at(&silent.url(), &["hold", "show", "1"]));
    assert!(said.contains("did not answer") && !said.contains("not known"), "{said}");
    let full = Listener::start(|_, _| {
        Some((
            503,
            PROBLEM,
            json!({ "type": "urn:assent:problem:unavailable", "detail": "full" }).to_string(),
        ))
    });
    assert_eq!(
        refused(&at(&full.url(), &["hold", "list"])),
        "the service cannot do it now (503 unavailable): full\n"
    );
    assert_eq!(full.asked().len(), 3);
}

#[test]
fn a_problem_is_a_sentence_with_a_line_for_each_place_and_is_not_tried_again() {
    let problem = json!({
        "type": "urn:assent:problem:refused",
        "detail": "it is over",
        "errors": [{ "pointer": "/comment", "detail": "expected text" }],
    });
    let says: Says = Some((409, PROBLEM, problem.to_string()));
    let listener = Listener::start(move |_, _| says.clone());
    let said = refused(&at(&listener.url(), &["approval", "approve", "1"]));
    assert_eq!(said, "the service refuses it (409 refused): it is over\n  /comment: expected text\n");
    assert_eq!(listener.asked().len(), 1);
    let missing = json!({ "type": "urn:assent:problem:not-found", "detail": "nothing is served here" });
    let listener = Listener::start(move |_, _| Some((404, PROBLEM, missing.to_string())));
    assert_eq!(refused(&at(&listener.url(), &["approval", "show", "x"])), "there is no approval `x`\n");
}

#[test]
fn what_answers_and_is_no_service_is_not_believed() {
    for (status, kind, body) in [
        (200, "text/html", "<html>"),
        (200, JSON, "[]"),
        (404, "text/html", "<html>"),
        (302, "text/html", ""),
        (409, JSON, "{}"),
    ] {
        let listener: Listener = Listener::start(move |_, _| Some((status, kind, body.to_owned())));
        for arguments in
            [&["approval", "list"][..], &["approval", "show", "1"], &["approval", "withdraw", "1"]]
        {
            let said = refused(&at(&listener.url(), arguments));
            assert!(said.contains("what ") && !said.contains("<html>"), "{status}: {said}");
        }
    }
}

#[test]
fn json_is_printed_as_it_came() {
    let body = "{ \"id\": \"1\",  \"items\": [1.50], \"next\": null }";
    let listener = Listener::start(move |_, _| Some((200, JSON, body.to_owned())));
    for arguments in [&["approval", "show", "1"][..], &["approval", "list"], &["approval", "withdraw", "1"]] {
        assert_eq!(well(&listener.url(), &[arguments, &["--json"]].concat()), format!("{body}\n"));
    }
}

#[test]
fn what_the_service_requires_the_command_asks_for_before_it_sends_anything() {
    let listener = answering(200, json!({ "id": "1" }));
    for arguments in [
        &["hold", "propose-release", "1"][..],
        &["hold", "place", "--caller", "portal"],
        &["approval", "revoke", "1"],
        &["approval", "request", "--kind", "export", "--data-set", "D"],
        &["consent", "revoke", "1"],
        &["break-glass", "review", "1", "--outcome", "unjustified"],
        &["break-glass", "review", "1", "--outcome", "unclear"],
    ] {
        let said = refused(&at(&listener.url(), arguments));
        assert!(said.contains("required arguments were not provided"), "{arguments:?}: {said}");
    }
    assert!(listener.asked().is_empty());
    well(&listener.url(), &["break-glass", "review", "1", "--outcome", "justified"]);
}
