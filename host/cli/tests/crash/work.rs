//! One client's work: steps of every workflow on documents of its own, and what it was told of them.
//!
//! Nobody else changes its documents, so that it knows each to the letter; one counter is shared by all. Between two
//! answers there is at most one request that it knows nothing of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::Random;
use super::service::{Answer, Client, Request, patient};

/// A document: its collection and its id, which of an entity is `Type/id`.
pub(super) type Document = (&'static str, String);

pub(super) const SHARED: &str = "Patient/shared";
/// The attribute of the shared entity that counts.
pub(super) const COUNT: &str = "/attrs/identityLevel";
/// Requests with a key that are sent again after the kill.
const KEPT: usize = 4;

/// What a client knows of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Known {
    /// The answer that it had.
    There(Value),
    Gone,
}

/// What a step makes of its document, if it is taken.
#[derive(Clone, Debug)]
pub(super) enum Leads {
    To(&'static str, Value),
    Gone,
    /// The shared count is one more.
    Counted,
    /// It is refused, with this status.
    Refused(u16),
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) request: Request,
    pub(super) collection: &'static str,
    /// None: it is given one.
    pub(super) id: Option<String>,
    pub(super) leads: Leads,
}

impl Step {
    /// Whether a document is what the step makes.
    pub(super) fn made(&self, document: &Value) -> bool {
        matches!(&self.leads, Leads::To(pointer, value) if document.pointer(pointer) == Some(value))
    }
}

pub(super) struct Worker {
    pub(super) number: usize,
    random: Random,
    serial: u64,
    pub(super) known: BTreeMap<Document, Known>,
    /// The one request that had no answer.
    pub(super) in_flight: Option<Step>,
    /// The versions that its changes made, since they were last taken away.
    pub(super) versions: Vec<u64>,
    /// How often it was told that it counted.
    pub(super) counted: u64,
    /// Requests with a key, and what was answered.
    pub(super) keyed: Vec<(Request, Answer)>,
    pub(super) refused: u64,
    /// The kinds of steps that were answered.
    pub(super) taken: BTreeSet<&'static str>,
}

impl Worker {
    pub(super) fn new(number: usize, random: Random) -> Self {
        Self {
            number,
            random,
            serial: 0,
            known: BTreeMap::new(),
            in_flight: None,
            versions: vec![],
            counted: 0,
            keyed: vec![],
            refused: 0,
            taken: BTreeSet::new(),
        }
    }

    /// Works until it is over, or an answer does not come.
    pub(super) fn work(&mut self, address: &str, (over, done): (&AtomicBool, &AtomicU64)) {
        let mut client = Client::new(address);
        while !over.load(Ordering::Relaxed) {
            let Some(step) = self.next(&mut client) else { return };
            let Some(answer) = client.send(&step.request) else {
                // Of what is refused nothing may come, answer or not.
                self.in_flight = Some(step).filter(|step| !matches!(step.leads, Leads::Refused(_)));
                return;
            };
            done.fetch_add(1, Ordering::Relaxed);
            let again = step.request.key.is_some().then(|| step.request.clone());
            if !self.note(step, &answer) {
                continue;
            }
            let Some(again) = again else { continue };
            if self.random.below(8) == 0 {
                let Some(replayed) = client.send(&again) else { return };
                same(&replayed, &answer);
            }
            self.keyed.push((again, answer));
            if self.keyed.len() > KEPT {
                self.keyed.remove(0);
            }
        }
    }

    /// Remembers an answer; whether something changed.
    pub(super) fn note(&mut self, step: Step, answer: &Answer) -> bool {
        let Answer { status, body, .. } = answer;
        let overtaken = matches!(step.leads, Leads::Counted) && *status == 412;
        self.taken.insert(step.name);
        if let Leads::Refused(expected) = step.leads {
            assert_eq!(*status, expected, "{step:?}: {body}");
        }
        if overtaken || matches!(step.leads, Leads::Refused(_)) {
            self.refused += 1;
            return false;
        }
        assert!(matches!(status, 200 | 201) && !answer.is_replayed(), "{step:?}: {status} {body}");
        self.versions.push(answer.version());
        let known = match step.leads {
            Leads::Refused(_) => return false,
            Leads::Counted => {
                self.counted += 1;
                return true;
            }
            Leads::Gone => Known::Gone,
            Leads::To(..) => {
                assert!(step.made(body), "{step:?}: {body}");
                Known::There(body.clone())
            }
        };
        let id = step.id.unwrap_or_else(|| body["id"].as_str().unwrap().to_owned());
        self.known.insert((step.collection, id), known);
        true
    }

    /// The next step; none where the service does not answer.
    fn next(&mut self, client: &mut Client) -> Option<Step> {
        loop {
            self.serial += 1;
            let mark = format!("w{}-{}", self.number, self.serial);
            let choice = self.random.below(28);
            let step = match choice {
                0 => Some(counting(client)?),
                1..=6 => self.entity(choice, &mark),
                7..=12 => self.approval(choice, &mark),
                13..=16 => self.emergency(choice, &mark),
                17..=18 => self.disclosure(choice, &mark),
                19..=23 => self.hold(choice, &mark),
                _ => self.consent(choice, &mark),
            };
            if let Some(mut step) = step {
                step.request.key = (self.random.below(2) == 0).then_some(mark);
                return Some(step);
            }
        }
    }

    /// One of its documents of a collection for which this holds.
    fn one(&mut self, collection: &'static str, fits: impl Fn(&Value) -> bool) -> Option<(String, Value)> {
        let own: Vec<(&String, &Value)> = self
            .known
            .iter()
            .filter_map(|((of, id), known)| match known {
                Known::There(document) if *of == collection && fits(document) => Some((id, document)),
                Known::There(_) | Known::Gone => None,
            })
            .collect();
        self.random.of(&own).map(|(id, document)| ((*id).clone(), (*document).clone()))
    }

    fn entity(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

    fn approval(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

    fn emergency(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

    fn disclosure(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

    fn hold(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

    fn consent(&mut self, choice: u64, mark: &str) -> Option<Step> {
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

/// What comes again is answered as before.
pub(super) fn same(replayed: &Answer, answer: &Answer) {
    assert!(replayed.is_replayed(), "{replayed:?}, first {answer:?}");
    assert_eq!((replayed.status, replayed.version()), (answer.status, answer.version()));
    assert_eq!(replayed.body, answer.body);
}

/// One more, if nobody else counts meanwhile.
fn counting(client: &mut Client) -> Option<Step> {
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
