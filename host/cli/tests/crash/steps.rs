//! The steps that clients take: of every workflow, each with what it makes, and some that are to be refused.

use serde_json::{Value, json};

use super::service::{Client, Request};
use super::site::patient;
use super::work::{COUNT, Leads, SHARED, Step, Worker};

impl Worker {
    pub(super) fn entity(&mut self, choice: u64, mark: &str) -> Option<Step> {
        let mut attrs = patient();
        attrs["teenGrant"] = json!(mark);
        let leads = Leads::To("/attrs/teenGrant", json!(mark));
        let of = |name, method, id: String, body: Value, leads: Leads| {
            let path = format!("state/v1/entities/{id}");
            let request = Request { method, path, body, ..Request::default() };
            Some(Step { name, request, collection: "entities", id: Some(id), leads })
        };
        let patch = json!({ "attrs": { "teenGrant": mark } });
        let new = format!("Patient/{mark}");
        match choice {
            1 => of("entity made", "PUT", new, json!({ "attrs": attrs }), leads),
            2 => of("entity misshapen", "PUT", new, json!({ "attrs": {} }), Leads::Refused(422)),
            3 => {
                let forged = format!("EmergencyAccess/{mark}");
                of("entity forged", "PUT", forged, json!({ "attrs": {} }), Leads::Refused(403))
            }
            4 => {
                let (id, found) = self.one("entities", |_| true)?;
                let mut step = of("entity patched", "PATCH", id, patch, leads)?;
                step.request.if_match = found["version"].as_u64();
                Some(step)
            }
            5 => {
                let (id, found) = self.one("entities", |_| true)?;
                let mut step = of("entity patched late", "PATCH", id, patch, Leads::Refused(412))?;
                step.request.if_match = found["version"].as_u64().map(|version| version - 1);
                Some(step)
            }
            _ => {
                let (id, _) = self.one("entities", |_| true)?;
                of("entity deleted", "DELETE", id, Value::Null, Leads::Gone)
            }
        }
    }

    pub(super) fn approval(&mut self, choice: u64, mark: &str) -> Option<Step> {
        const APPROVALS: &str = "approvals";
        let requester = format!("him-{}", self.number);
        let is = |status: &'static str| move |found: &Value| found["status"] == status;
        let status = |text: &str| Leads::To("/status", json!(text));
        match choice {
            7 => {
                let ask = json!({ "kind": "export", "dataSet": mark, "records": 200, "justification": mark });
                let leads = Leads::To("/ask/justification", json!(mark));
                Some(made("approval asked", APPROVALS, (requester, ask), leads))
            }
            8 | 9 => {
                let (id, found) = self.one(APPROVALS, is("pending"))?;
                let answered = found["approved"].as_u64().unwrap();
                let approver = if answered == 0 { "po-1" } else { "po-2" };
                let leads = Leads::To("/approved", json!(answered + 1));
                let by = (approver.to_owned(), json!({ "approves": true }));
                Some(taken("approval given", (APPROVALS, id, "answer"), by, leads))
            }
            10 => {
                let (id, _) = self.one(APPROVALS, is("pending"))?;
                let (by, leads) = match self.random.below(2) {
                    0 => (requester, Leads::Refused(403)),
                    _ => ("po-2".to_owned(), status("refused")),
                };
                let by = (by, json!({ "approves": false }));
                Some(taken("approval refused", (APPROVALS, id, "answer"), by, leads))
            }
            11 => {
                let (id, found) = self.one(APPROVALS, |_| true)?;
                let is_open = found["status"] == "pending" || found["status"] == "approved";
                let leads = if is_open { status("withdrawn") } else { Leads::Refused(409) };
                Some(taken("approval withdrawn", (APPROVALS, id, "withdraw"), (requester, json!({})), leads))
            }
            _ => {
                let (id, _) = self.one(APPROVALS, is("approved"))?;
                let by = ("po-1".to_owned(), json!({ "comment": mark }));
                Some(taken("approval revoked", (APPROVALS, id, "revoke"), by, status("revoked")))
            }
        }
    }

    pub(super) fn emergency(&mut self, choice: u64, mark: &str) -> Option<Step> {
        const EMERGENCIES: &str = "emergencies";
        let doctor = format!("dr-{}", self.number);
        match choice {
            13 | 14 => {
                let justification = format!("unresponsive, {mark}");
                let patient = json!({ "type": "Patient", "id": format!("p-{}", self.number) });
                let body = json!({ "patient": patient, "reason": "medical-emergency", "justification": justification });
                let leads = Leads::To("/justification", json!(justification));
                Some(made("emergency declared", EMERGENCIES, (doctor, body), leads))
            }
            15 => {
                let (id, found) = self.one(EMERGENCIES, |_| true)?;
                let ended = Leads::To("/status", json!("ended"));
                let leads = if found["status"] == "active" { ended } else { Leads::Refused(409) };
                Some(taken("emergency ended", (EMERGENCIES, id, "end"), (doctor, json!({})), leads))
            }
            _ => {
                let (id, found) = self.one(EMERGENCIES, |_| true)?;
                let closed = Leads::To("/reviewState", json!("closed"));
                let leads = if found["reviewState"] == "open" { closed } else { Leads::Refused(409) };
                let by = ("po-1".to_owned(), json!({ "outcome": "unjustified", "comment": mark }));
                Some(taken("emergency reviewed", (EMERGENCIES, id, "review"), by, leads))
            }
        }
    }

    pub(super) fn disclosure(&mut self, choice: u64, mark: &str) -> Option<Step> {
        const DECISIONS: &str = "disclosure-decisions";
        let doctor = format!("dr-{}", self.number);
        if choice == 17 {
            let body = json!({ "patient": { "type": "Patient", "id": format!("p-{}", self.number) }, "category": "sti_hiv",
                "disclosure": "disclose", "licence": format!("CA-{doctor}"), "reason": mark });
            let leads = Leads::To("/statement/reason", json!(mark));
            return Some(made("decision made", DECISIONS, (doctor, body), leads));
        }
        let (id, found) = self.one(DECISIONS, |_| true)?;
        let withdrawn = Leads::To("/status", json!("withdrawn"));
        let leads = if found["status"] == "active" { withdrawn } else { Leads::Refused(409) };
        Some(taken("decision withdrawn", (DECISIONS, id, "withdraw"), (doctor, json!({})), leads))
    }

    pub(super) fn hold(&mut self, choice: u64, mark: &str) -> Option<Step> {
        const HOLDS: &str = "holds";
        let status = |text: &str| Leads::To("/status", json!(text));
        let by = |person: &str, body: Value| (person.to_owned(), body);
        match choice {
            19 | 20 => {
                let target = json!({ "entity": { "type": "RelatedPerson", "id": "rp" } });
                let body = json!({ "target": target, "reason": mark });
                Some(made("hold placed", HOLDS, by("po-1", body), Leads::To("/reason", json!(mark))))
            }
            21 => {
                let (id, _) = self.one(HOLDS, |found| found["status"] == "active")?;
                let by = by("po-1", json!({ "comment": mark }));
                Some(taken(
                    "release proposed",
                    (HOLDS, id, "propose-release"),
                    by,
                    status("release-proposed"),
                ))
            }
            22 => {
                let (id, _) = self.one(HOLDS, |found| found["status"] == "release-proposed")?;
                let (person, leads) = match self.random.below(2) {
                    0 => ("po-1", Leads::Refused(403)),
                    _ => ("po-2", status("released")),
                };
                Some(taken("release confirmed", (HOLDS, id, "confirm-release"), by(person, json!({})), leads))
            }
            _ => {
                let (id, found) = self.one(HOLDS, |_| true)?;
                let is_open = found["status"] == "release-proposed";
                let leads = if is_open { status("active") } else { Leads::Refused(409) };
                Some(taken("release taken back", (HOLDS, id, "take-back"), by("po-1", json!({})), leads))
            }
        }
    }

    pub(super) fn consent(&mut self, choice: u64, mark: &str) -> Option<Step> {
        const CONSENTS: &str = "consents";
        let put = |id: String, person: usize, leads: Leads| {
            let (path, body) = (format!("state/v1/{CONSENTS}/{id}"), consent(&id, person));
            let request = Request { method: "PUT", path, person: "po-1".into(), body, ..Request::default() };
            Some(Step { name: "consent recorded", request, collection: CONSENTS, id: Some(id), leads })
        };
        match choice {
            24 => put(mark.to_owned(), self.number, Leads::To("/revision", json!(1))),
            25 | 26 => {
                let (id, found) = self.one(CONSENTS, |_| true)?;
                let next = Leads::To("/revision", json!(found["revision"].as_u64().unwrap() + 1));
                let leads = if found["status"] == "revoked" { Leads::Refused(409) } else { next };
                put(id, self.number, leads)
            }
            _ => {
                let (id, found) = self.one(CONSENTS, |_| true)?;
                let revoked = Leads::To("/status", json!("revoked"));
                let leads = if found["status"] == "active" { revoked } else { Leads::Refused(409) };
                let by = ("po-1".to_owned(), json!({ "reason": mark }));
                Some(taken("consent revoked", (CONSENTS, id, "revoke"), by, leads))
            }
        }
    }
}

/// One more, if nobody else counts meanwhile.
pub(super) fn counting(client: &mut Client) -> Option<Step> {
    let path = format!("state/v1/entities/{SHARED}");
    let request = Request { method: "GET", path: path.clone(), ..Request::default() };
    let found = client.send(&request)?;
    let count = found.body.pointer(COUNT).map_or(0, |count| count.as_u64().unwrap());
    let body = json!({ "attrs": { "identityLevel": count + 1 } });
    let request =
        Request { method: "PATCH", path, body, if_match: Some(found.version()), ..Request::default() };
    let id = Some(SHARED.to_owned());
    Some(Step { name: "counted", request, collection: "entities", id, leads: Leads::Counted })
}

fn made(name: &'static str, collection: &'static str, (person, body): (String, Value), leads: Leads) -> Step {
    let path = format!("state/v1/{collection}");
    let request = Request { method: "POST", path, person, body, ..Request::default() };
    Step { name, request, collection, id: None, leads }
}

fn taken(
    name: &'static str,
    (collection, id, step): (&'static str, String, &str),
    (person, body): (String, Value),
    leads: Leads,
) -> Step {
    let path = format!("state/v1/{collection}/{id}/{step}");
    let request = Request { method: "POST", path, person, body, ..Request::default() };
    Step { name, request, collection, id: Some(id), leads }
}

/// A consent that permits.
fn consent(id: &str, patient: usize) -> Value {
    let coding = |system: &str, code: &str| json!([{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }]);
    json!({
        "resourceType": "Consent", "id": id, "status": "active",
        "scope": { "coding": coding("consentscope", "patient-privacy") },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": format!("Patient/p-{patient}") }, "dateTime": "2026-05-01T18:00:00Z",
        "policyRule": { "coding": coding("v3-ActCode", "OPTIN") },
        "provision": { "type": "permit" },
    })
}
