//! Stories of the state, end to end over HTTP: what people ask for, decide and take back, and what the next decision
//! says. The example hospital, a real log, a real database, and a clock that the story moves.

mod clocks;
mod load;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use assent_audit::keys::MasterKey;
use assent_audit::logs::{Logs, LogsConfig};
use assent_audit::record::Event;
use assent_audit::shelf::Shelf;
use assent_engine::AuditRecorder;
use assent_engine::state::{Keeper, LiveState, Sharing, Store, Target};
use assent_model::{Instant, OrganizationId};
use assent_server::{Callers, Credential, RegisteredCaller, Service, ServiceParts};
use serde_json::{Value, json};

use crate::support::{CLINICS, Lines, Reply, Server, World, root, runtime};

/// A clock that stories move, and the milliseconds that pass, which no clock needs to show.
#[derive(Debug)]
struct Hand(AtomicI64, AtomicU64);

impl assent_server::Clock for Hand {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn passed(&self) -> Duration {
        Duration::from_millis(self.1.load(Ordering::Relaxed))
    }
}

const HOUR_MS: i64 = 3_600_000;

/// The example clinics with a state.
struct Clinics {
    server: Server,
    clock: Arc<Hand>,
    /// How far the service's clock is behind that of those who ask, in milliseconds.
    behind: AtomicI64,
    logs: Arc<Logs>,
    _directory: tempfile::TempDir,
}

impl Clinics {
    fn open() -> Self {
        Self::of(&CLINICS)
    }

    /// With these changes to the settings of the organizations.
    fn open_with(changes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["policies", "plugins"] {
            std::os::unix::fs::symlink(root().join(name), directory.path().join(name)).unwrap();
        }
        let clinics = directory.path().join("examples/clinics");
        copy(&root().join("examples/clinics"), &clinics, changes);
        Self::of(&crate::support::load(&clinics))
    }

    fn of(world: &World) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let start: Instant = "2026-11-21T18:00:00Z".parse().unwrap();
        let config = LogsConfig {
            directory: directory.path().join("audit"),
            name: "clinics.example.org".into(),
            signing_seed: [3; 32].into(),
            kek: Arc::new(MasterKey::from_bytes(&[4; 32]).unwrap()),
        };
        let organizations =
            world.built.organizations.iter().map(|built| built.release.organization().clone());
        let logs = Arc::new(Logs::open_briefly(config, organizations, start).unwrap().0);
        let recorder = AuditRecorder::new(Arc::clone(&logs));
        let states = runtime().block_on(async {
            let target = Target::Sqlite(directory.path().join("state.db"));
            let store = Store::open(target, "clinics.example.org").await.unwrap();
            let mut states = BTreeMap::new();
            for built in &world.built.organizations {
                let id = built.release.organization().clone();
                let keeper = Keeper::open(store.clone(), recorder.clone(), id.clone()).await.unwrap();
                let state =
                    LiveState::open(keeper, built.release.clone(), (built.rules.clone(), Sharing::default()))
                        .await
                        .unwrap();
                states.insert(id, Arc::new(state));
            }
            states
        });
        let registered = world.deployment.config.callers.iter().map(|config| RegisteredCaller {
            caller: assent_cli::deployment::build::caller(config),
            credential: Credential::KeySha256(assent_server::key_digest(&config.id)),
        });
        let clock = Arc::new(Hand(AtomicI64::new(start.as_millis()), AtomicU64::new(0)));
        let parts = ServiceParts {
            releases: world.built.organizations.iter().map(|built| built.release.clone()).collect(),
            states,
            callers: Callers::new(registered).unwrap(),
            recorder: Arc::new(recorder.clone()),
            audit: Some(recorder),
            rebuild: None,
            limits: assent_server::Limits::default(),
            public_url: Some("https://pdp.example.org".to_owned()),
            allow_remote_peers: false,
            clock: Arc::clone(&clock) as Arc<dyn assent_server::Clock>,
            ids: Arc::new(assent_server::RandomIds),
            log: Arc::new(Lines::default()),
            gauges: vec![],
        };
        let server = Server::serve(Arc::new(Service::new(parts).unwrap()));
        Self { server, clock, behind: AtomicI64::new(0), logs, _directory: directory }
    }

    fn later(&self, milliseconds: i64) {
        self.clock.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// The service's clock is put back, and nobody else's.
    fn put_back(&self, milliseconds: i64) {
        self.behind.fetch_add(milliseconds, Ordering::Relaxed);
        self.later(-milliseconds);
    }

    /// So much time goes by, and the clock goes on with it.
    fn passes(&self, milliseconds: i64) {
        self.clock.1.fetch_add(u64::try_from(milliseconds).unwrap(), Ordering::Relaxed);
        self.later(milliseconds);
    }

    /// A request of the administration's tool on behalf of this person.
    fn state(&self, method: &str, organization: &str, path: &str, person: &str, body: &Value) -> Reply {
        let headers = [
            ("Authorization", "Bearer administration"),
            ("Content-Type", "application/json"),
            ("Assent-Person", person),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.server.send(method, &format!("/{organization}/state/v1/{path}"), &headers, &body)
    }

    /// What the portal is answered.
    fn ask(&self, organization: &str, request: &Value) -> Value {
        let headers = [("Authorization", "Bearer portal"), ("Content-Type", "application/json")];
        let path = format!("/{organization}/access/v1/evaluation");
        let mut request = request.clone();
        let before = |minutes: i64| {
            let now = self.clock.0.load(Ordering::Relaxed) + self.behind.load(Ordering::Relaxed);
            json!(Instant::from_millis(now - minutes * 60_000).unwrap())
        };
        request["context"]["session"] = json!({
            "mfa": true, "authenticatedAt": before(30), "startedAt": before(60), "lastActivityAt": before(1),
        });
        let reply = self.server.send("POST", &path, &headers, &request.to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    fn permits(&self, organization: &str, request: &Value) -> bool {
        self.ask(organization, request)["decision"].as_bool().unwrap()
    }

    /// What each change did, as the log has it.
    fn changes(&self, organization: &str) -> Vec<Vec<(String, String)>> {
        let shelf = Shelf::new(self.logs.config().clone(), OrganizationId::new(organization).unwrap());
        let records = shelf.records().unwrap().map(|found| found.unwrap().1.event);
        records
            .filter_map(|event| match event {
                Event::StateChanged(change) if !change.items.is_empty() => Some(change.items),
                _ => None,
            })
            .map(|items| {
                let word = |item: &assent_audit::record::StateItem| {
                    let verb = serde_json::to_value(item.change).unwrap().as_str().unwrap().to_owned();
                    (item.section.clone(), verb)
                };
                items.iter().map(word).collect()
            })
            .collect()
    }
}

/// Copies what is written by hand, with changes to what organizations set.
fn copy(from: &Path, to: &Path, changes: &[(&str, &str)]) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == ".assent" {
            continue;
        } else if path.is_dir() {
            copy(&path, &to, changes);
        } else {
            let mut text = std::fs::read_to_string(&path).unwrap();
            if entry.file_name() == "organization.toml" {
                changes.iter().for_each(|(old, new)| text = text.replace(old, new));
            }
            std::fs::write(to, text).unwrap();
        }
    }
}

fn request(name: &str) -> Value {
    let path = root().join("examples/clinics/requests").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The hospital's export of 1,200 records, of another data set.
fn export(data_set: &str) -> Value {
    let mut export = request("export-lacks-approver.json");
    export["resource"]["properties"]["digest"] = json!(data_set);
    export
}

const HOSPITAL: &str = "lone-star-hospital";
const REQUESTER: &str = "Practitioner/him-ellis";
const OFFICER: &str = "Practitioner/po-whitfield";
const PHYSICIAN: &str = "Practitioner/cmo-baker";

/// What must be true of an answer.
fn good(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.body);
    reply.json()
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.json()["type"], format!("urn:assent:problem:{code}"), "{}", reply.body);
}

#[test]
fn a_denied_export_is_asked_for_approved_by_two_permitted_once_and_then_denied() {
    let clinics = Clinics::open();
    let export = export("sha256:registry-q4");
    let denied = clinics.ask(HOSPITAL, &export);
    assert_eq!(denied["decision"], false);
    let access = &denied["context"]["access_request"];
    assert_eq!(access["endpoint"], "https://pdp.example.org/lone-star-hospital/state/v1/approvals");
    let mut ask = access["template"].clone();
    ask["justification"] = json!("stroke registry, fourth quarter of 2026");
    let made = good(&clinics.state("POST", HOSPITAL, "approvals", REQUESTER, &ask), 201);
    assert_eq!((&made["status"], &made["quorum"]), (&json!("pending"), &json!(2)));
    let id = made["id"].as_str().unwrap().to_owned();
    let answer = |person: &str, approves: bool| {
        let path = format!("approvals/{id}/answer");
        clinics.state("POST", HOSPITAL, &path, person, &json!({ "approves": approves }))
    };
    refused(&answer(REQUESTER, true), 403, "own-request");
    refused(&answer("Practitioner/him-reyes", true), 403, "role-missing");
    assert_eq!(good(&answer(OFFICER, true), 200)["status"], "pending");
    refused(&answer(OFFICER, true), 409, "answered-already");
    assert!(!clinics.permits(HOSPITAL, &export));
    assert_eq!(good(&answer(PHYSICIAN, true), 200)["status"], "approved");

    // Bound to the data set, the action, the number of records.
    let mut more = export.clone();
    more["resource"]["properties"]["recordCount"] = json!(1_201);
    assert!(!clinics.permits(HOSPITAL, &more));
    assert!(clinics.permits(HOSPITAL, &export));
    assert!(!clinics.permits(HOSPITAL, &export));
    let shown = good(&clinics.state("GET", HOSPITAL, &format!("approvals/{id}"), OFFICER, &Value::Null), 200);
    assert_eq!((&shown["status"], &shown["usesLeft"]), (&json!("spent"), &json!(0)));
    let listed = clinics.state("GET", HOSPITAL, "approvals?status=spent", OFFICER, &Value::Null);
    assert_eq!(good(&listed, 200)["items"].as_array().unwrap().len(), 1);
    let of =
        |verb: &str| vec![("approval".to_owned(), verb.to_owned()), ("entity".to_owned(), verb.to_owned())];
    let expected = ["created", "updated", "activated", "ended"].map(of);
    assert_eq!(clinics.changes(HOSPITAL), expected);
}

/// An approval of the export of this data set: its path.
fn approved(clinics: &Clinics, data_set: &str) -> String {
    let mut ask = clinics.ask(HOSPITAL, &export(data_set))["context"]["access_request"]["template"].clone();
    ask["justification"] = json!("stroke registry, fourth quarter of 2026");
    let made = good(&clinics.state("POST", HOSPITAL, "approvals", REQUESTER, &ask), 201);
    let path = format!("approvals/{}", made["id"].as_str().unwrap());
    for person in [OFFICER, PHYSICIAN] {
        let body = json!({ "approves": true });
        good(&clinics.state("POST", HOSPITAL, &format!("{path}/answer"), person, &body), 200);
    }
    path
}

#[test]
fn an_approval_ends_when_it_is_revoked_withdrawn_refused_or_over() {
    let clinics = Clinics::open();
    let approved = |data_set: &str| (export(data_set), approved(&clinics, data_set));
    let (export, path) = approved("sha256:a");
    let body = json!({ "comment": "the registry closed" });
    good(&clinics.state("POST", HOSPITAL, &format!("{path}/revoke"), OFFICER, &body), 200);
    assert!(!clinics.permits(HOSPITAL, &export));
    let (export, path) = approved("sha256:b");
    refused(
        &clinics.state("POST", HOSPITAL, &format!("{path}/withdraw"), OFFICER, &json!({})),
        403,
        "not-requester",
    );
    good(&clinics.state("POST", HOSPITAL, &format!("{path}/withdraw"), REQUESTER, &json!({})), 200);
    assert!(!clinics.permits(HOSPITAL, &export));
    let (export, path) = approved("sha256:c");
    // A week, to the millisecond; the session and its log-in are of today in each question.
    clinics.later(168 * HOUR_MS);
    assert_eq!(good(&clinics.state("GET", HOSPITAL, &path, OFFICER, &Value::Null), 200)["status"], "expired");
    assert!(!clinics.permits(HOSPITAL, &export));
}

#[test]
fn a_hold_is_felt_by_the_next_decision_and_needs_two_to_be_released() {
    let clinics = Clinics::open();
    let export = request("export-approved.json");
    let place = |target: Value| {
        let body = json!({ "target": target, "reason": "credentials found in a paste" });
        good(&clinics.state("POST", HOSPITAL, "holds", OFFICER, &body), 201)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let release = |id: &str| {
        let path = format!("holds/{id}");
        let body = json!({ "comment": "keys were changed" });
        good(&clinics.state("POST", HOSPITAL, &format!("{path}/propose-release"), OFFICER, &body), 200);
        let confirm =
            |person| clinics.state("POST", HOSPITAL, &format!("{path}/confirm-release"), person, &json!({}));
        refused(&confirm(OFFICER), 403, "same-person");
        assert!(!clinics.permits(HOSPITAL, &export));
        assert_eq!(good(&confirm(PHYSICIAN), 200)["status"], "released");
    };
    for target in [
        json!({ "entity": { "type": "Practitioner", "id": "him-ellis" } }),
        json!({ "entity": { "type": "Organization", "id": "lone-star-hospital" } }),
        json!({ "caller": "portal" }),
        json!({ "plugin": "exports" }),
        json!("organization"),
    ] {
        let id = place(target.clone());
        // Nothing is said to whoever asks: a hold can be part of an investigation.
        assert_eq!(clinics.ask(HOSPITAL, &export), json!({ "decision": false }), "{target}");
        release(&id);
    }
    assert!(clinics.permits(HOSPITAL, &export));
    let unknown = json!({ "target": { "caller": "protal" }, "reason": "credentials found in a paste" });
    refused(&clinics.state("POST", HOSPITAL, "holds", OFFICER, &unknown), 422, "unknown-target");
}

#[test]
fn a_role_is_nobody_who_acts_and_who_is_under_sanction_acts_no_more() {
    let clinics = Clinics::open();
    let hold = json!({ "target": { "caller": "portal" }, "reason": "keys were seen elsewhere" });
    for nobody in ["Role/treatment", "Practitioner/nobody"] {
        refused(&clinics.state("POST", HOSPITAL, "holds", nobody, &hold), 403, "person-unfit");
    }
    let entity = format!("entities/{PHYSICIAN}");
    let sanction = |held: bool| {
        let attrs = json!({ "attrs": { "sanctionHold": held } });
        good(&clinics.state("PATCH", HOSPITAL, &entity, OFFICER, &attrs), 200);
    };
    sanction(true);
    refused(&clinics.state("POST", HOSPITAL, "holds", PHYSICIAN, &hold), 403, "person-unfit");
    sanction(false);
    let recertify_by = |moment: &str| {
        let moment = json!({ "__extn": { "fn": "datetime", "arg": moment } });
        let attrs = json!({ "attrs": { "recertifyBy": moment } });
        good(&clinics.state("PATCH", HOSPITAL, &entity, OFFICER, &attrs), 200);
    };
    recertify_by("2026-11-21T18:00:00Z");
    refused(&clinics.state("POST", HOSPITAL, "holds", PHYSICIAN, &hold), 403, "person-unfit");
    recertify_by("2026-11-21T18:00:00.001Z");
    good(&clinics.state("POST", HOSPITAL, "holds", PHYSICIAN, &hold), 201);
}

/// A question of somebody with a session of now.
fn asked_by(subject: (&str, &str), action: &str, resource: Value, purpose: &str) -> Value {
    json!({
        "subject": { "type": subject.0, "id": subject.1 },
        "action": { "name": action },
        "resource": resource,
        "context": { "session": {}, "purpose": purpose },
    })
}

#[test]
fn a_declared_emergency_opens_with_obligations_ends_by_itself_and_is_reviewed() {
    let clinics = Clinics::open();
    const DOCTOR: &str = "Practitioner/dr-okafor";
    let resource = json!({ "type": "document-reference", "id": "drew-recovery" });
    let mut read = asked_by(("practitioner", "dr-okafor"), "read", resource, "BTG");
    let said = json!({ "reason": "medical-emergency", "justification": "overdose, unresponsive", "acknowledged": true });
    read["context"]["breakGlass"] = said;
    let denied = clinics.ask(HOSPITAL, &read);
    assert_eq!(denied["decision"], false);
    assert_eq!(denied["context"]["remedies"][0]["type"], "break-glass", "{denied}");

    let patient = json!({ "type": "Patient", "id": "drew-mason" });
    let declare = |person: &str, justification: &str| {
        let body =
            json!({ "patient": patient, "reason": "medical-emergency", "justification": justification });
        clinics.state("POST", HOSPITAL, "emergencies", person, &body)
    };
    refused(&declare(OFFICER, "overdose, unresponsive"), 403, "role-missing");
    assert_eq!(declare(DOCTOR, "overdose").status, 422);
    let made = good(&declare(DOCTOR, "overdose, unresponsive"), 201);
    assert_eq!((&made["status"], &made["reviewState"]), (&json!("active"), &json!("open")));
    let path = format!("emergencies/{}", made["id"].as_str().unwrap());
    let permitted = clinics.ask(HOSPITAL, &read);
    assert_eq!(permitted["decision"], true, "{permitted}");
    let obligations = permitted["context"]["obligations"].to_string();
    for code in ["break-glass-review", "notify"] {
        assert!(obligations.contains(code), "{obligations}");
    }
    // Only this patient, only looking.
    let other = json!({ "type": "observation", "id": "emma-potassium" });
    let mut elsewhere = read.clone();
    elsewhere["resource"] = other;
    assert!(!clinics.permits(HOSPITAL, &elsewhere));
    let mut taking = read.clone();
    taking["action"]["name"] = json!("export");
    assert!(!clinics.permits(HOSPITAL, &taking));

    // Four hours, to the millisecond.
    clinics.later(4 * HOUR_MS - 1);
    assert!(clinics.permits(HOSPITAL, &read));
    clinics.later(1);
    assert!(!clinics.permits(HOSPITAL, &read));
    let shown = |expected: (&str, &str)| {
        let found = good(&clinics.state("GET", HOSPITAL, &path, OFFICER, &Value::Null), 200);
        assert_eq!((found["status"].as_str().unwrap(), found["reviewState"].as_str().unwrap()), expected);
    };
    shown(("expired", "open"));
    clinics.later(68 * HOUR_MS);
    shown(("expired", "overdue"));
    let queue = clinics.state("GET", HOSPITAL, "emergencies?reviewState=overdue", OFFICER, &Value::Null);
    assert_eq!(good(&queue, 200)["items"].as_array().unwrap().len(), 1);
    clinics.later(48 * HOUR_MS);
    shown(("expired", "escalated"));
    let review = |person: &str| {
        let body = json!({ "outcome": "justified" });
        clinics.state("POST", HOSPITAL, &format!("{path}/review"), person, &body)
    };
    refused(&review(DOCTOR), 403, "role-missing");
    good(&review(OFFICER), 200);
    shown(("expired", "closed"));
    refused(&review(OFFICER), 409, "reviewed-already");
}

/// What a declared emergency opens.
fn emergency_read() -> Value {
    let resource = json!({ "type": "document-reference", "id": "drew-recovery" });
    let mut read = asked_by(("practitioner", "dr-okafor"), "read", resource, "BTG");
    let said = json!({ "reason": "medical-emergency", "justification": "overdose, unresponsive", "acknowledged": true });
    read["context"]["breakGlass"] = said;
    read
}

/// The declaration of that emergency.
fn declared(clinics: &Clinics) -> Reply {
    let patient = json!({ "type": "Patient", "id": "drew-mason" });
    let body = json!({ "patient": patient, "reason": "medical-emergency", "justification": "overdose, unresponsive" });
    clinics.state("POST", HOSPITAL, "emergencies", "Practitioner/dr-okafor", &body)
}

#[test]
fn an_emergency_that_is_found_unjustified_is_over() {
    let clinics = Clinics::open();
    let read = emergency_read();
    let made = good(&declared(&clinics), 201);
    let path = format!("emergencies/{}/review", made["id"].as_str().unwrap());
    assert!(clinics.permits(HOSPITAL, &read));
    refused(
        &clinics.state("POST", HOSPITAL, &path, OFFICER, &json!({ "outcome": "unjustified" })),
        422,
        "invalid",
    );
    let body = json!({ "outcome": "unjustified", "comment": "the patient was not in the house" });
    assert_eq!(good(&clinics.state("POST", HOSPITAL, &path, OFFICER, &body), 200)["status"], "ended");
    assert!(!clinics.permits(HOSPITAL, &read));
}

const CLINIC: &str = "bay-pediatrics";

/// A consent of the family that permits, but for what is about violence at home.
fn consent(id: &str) -> Value {
    let coding = |system: &str, code: &str| json!([{ "system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code }]);
    json!({
        "resourceType": "Consent", "id": id, "status": "active",
        "scope": { "coding": coding("consentscope", "patient-privacy") },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/leo-rivera" }, "dateTime": "2026-05-01T18:00:00Z",
        "policyRule": { "coding": coding("v3-ActCode", "OPTIN") },
        "provision": { "type": "permit", "provision": [
            { "type": "deny", "securityLabel": coding("v3-ActCode", "VIO") },
        ] },
    })
}

/// What the consent of the family opens, where nothing is permitted without a directive.
fn search() -> Value {
    let bundle = json!({ "type": "bundle", "id": "leo-observations", "properties": {
        "patient": { "type": "Patient", "id": "leo-rivera" },
        "organization": { "type": "Organization", "id": "bay-pediatrics" },
        "labels": ["N"], "categories": ["general"], "function": "clinical", "resourceType": "Observation",
    } });
    asked_by(("practitioner", "dr-chen"), "search", bundle, "TREAT")
}

#[test]
fn a_consent_permits_with_redactions_until_it_is_revoked() {
    // The clinic, where nothing is permitted without a directive.
    let clinics = Clinics::open_with(&[("no_consent = \"permit\"", "no_consent = \"deny\"")]);
    let search = search();
    assert!(!clinics.permits(CLINIC, &search));
    let by = "Practitioner/po-adams";
    let put =
        |id: &str, resource: &Value| clinics.state("PUT", CLINIC, &format!("consents/{id}"), by, resource);
    assert_eq!(good(&put("leo-2026", &consent("leo-2026")), 201)["status"], "active");
    let permitted = clinics.ask(CLINIC, &search);
    assert_eq!(permitted["decision"], true, "{permitted}");
    assert!(permitted["context"]["obligations"].to_string().contains("redact"), "{permitted}");

    // What cannot be read makes it object, and says where; resolved, it permits again.
    let mut odd = consent("leo-2026");
    odd["provision"]["data"] =
        json!([{ "meaning": "instance", "reference": { "reference": "Observation/x" } }]);
    let objecting = good(&put("leo-2026", &odd), 200);
    assert_eq!(objecting["status"], "objecting");
    assert_eq!(objecting["objections"][0]["path"], "Consent.provision.data[0]", "{objecting}");
    assert!(!clinics.permits(CLINIC, &search));
    good(&put("leo-2026", &consent("leo-2026")), 200);
    assert!(clinics.permits(CLINIC, &search));

    let revoke = json!({ "reason": "the family asked for it" });
    assert_eq!(
        good(&clinics.state("POST", CLINIC, "consents/leo-2026/revoke", by, &revoke), 200)["status"],
        "revoked"
    );
    assert!(!clinics.permits(CLINIC, &search));
    refused(&put("leo-2026", &consent("leo-2026")), 409, "wrong-state");
    refused(&put("leo-2027", &consent("leo-2026")), 422, "other-id");
    let mut nobody = consent("leo-2028");
    nobody["patient"]["reference"] = json!("Patient/nobody");
    refused(&put("leo-2028", &nobody), 422, "unknown-patient");
    // An entity that a workflow makes is made by nothing else.
    let forged = json!({ "attrs": { "patient": { "type": "Patient", "id": "leo-rivera" }, "status": "active", "givenAt": "2026-05-01T18:00:00Z", "forms": [], "base": "permit" } });
    refused(&clinics.state("PUT", CLINIC, "entities/Consent/leo-2026", by, &forged), 403, "of-a-workflow");
}

#[test]
fn a_form_of_consent_opens_to_whom_it_names_once_it_is_signed_and_until_it_is_revoked() {
    let clinics = Clinics::open();
    let resource = json!({ "type": "document-reference", "id": "drew-recovery" });
    let mut share = asked_by(("practitioner", "him-ellis"), "share", resource, "HOPERAT");
    let context = share["context"].as_object_mut().unwrap();
    let clinic = json!({ "type": "Organization", "id": "lakeside-clinic" });
    context.insert("justification".to_owned(), json!("transfer of care, asked for by the patient"));
    context.insert("device".to_owned(), json!({ "managed": true, "encrypted": true }));
    context.insert("network".to_owned(), json!({ "trusted": true, "ip": "10.20.4.7" }));
    let destination = json!({ "organization": clinic, "country": "US", "environment": "production", "encrypted": true, "channel": "direct" });
    context.insert("destination".to_owned(), destination);
    assert!(!clinics.permits(HOSPITAL, &share));

    let mut document = consent("drew-lakeside");
    document["patient"] = json!({ "reference": "Patient/drew-mason" });
    document["policy"] =
        json!([{ "uri": "https://lone-star.example.org/forms/part-2-treatment-payment-operations" }]);
    document["provision"] = json!({ "type": "permit", "actor": [{
        "role": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP" }] },
        "reference": { "reference": "Organization/lakeside-clinic" },
    }] });
    let by = "Practitioner/po-whitfield";
    let put = |document: &Value| clinics.state("PUT", HOSPITAL, "consents/drew-lakeside", by, document);
    let unsigned = good(&put(&document), 201);
    assert!(unsigned["notes"].to_string().contains("counts for no form of consent"), "{unsigned}");
    assert!(!clinics.permits(HOSPITAL, &share));
    // A parent, and not of this patient.
    document["performer"] = json!([{ "reference": "RelatedPerson/emma-cole-parent" }]);
    good(&put(&document), 200);
    assert!(!clinics.permits(HOSPITAL, &share));
    document["performer"] = json!([{ "reference": "Patient/drew-mason" }]);
    let signed = good(&put(&document), 200);
    let permitted = clinics.ask(HOSPITAL, &share);
    assert_eq!(permitted["decision"], true, "{permitted} {signed}");
    share["context"]["destination"]["organization"]["id"] = json!("bay-pediatrics");
    assert!(!clinics.permits(HOSPITAL, &share));
    share["context"]["destination"]["organization"] = clinic;
    // What it takes back again, it does not open.
    let mut narrower = document.clone();
    let label = json!([{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD" }]);
    narrower["provision"]["provision"] = json!([{ "type": "deny", "securityLabel": label }]);
    good(&put(&narrower), 200);
    assert!(!clinics.permits(HOSPITAL, &share));
    good(&put(&document), 200);
    assert!(clinics.permits(HOSPITAL, &share));
    let revoke = json!({ "reason": "the patient asked for it" });
    good(&clinics.state("POST", HOSPITAL, "consents/drew-lakeside/revoke", by, &revoke), 200);
    assert!(!clinics.permits(HOSPITAL, &share));
}

#[test]
fn a_clinicians_decision_opens_a_masked_category_until_it_expires() {
    let clinics = Clinics::open();
    const DOCTOR: &str = "Practitioner/dr-chen";
    let resource = json!({ "type": "observation", "id": "min-chlamydia" });
    let read = asked_by(("related-person", "grace-park"), "read", resource, "FAMRQT");
    // The decision of the release's files ended on the first of December.
    clinics.later(14 * 24 * HOUR_MS);
    assert!(!clinics.permits(CLINIC, &read));
    let make = |person: &str, licence: &str, expires: &str| {
        let body = json!({
            "patient": { "type": "Patient", "id": "min-park" }, "category": "sti_hiv", "disclosure": "disclose",
            "licence": licence, "reason": "teen-agrees-parent-supports", "expiresAt": expires,
        });
        clinics.state("POST", CLINIC, "disclosure-decisions", person, &body)
    };
    refused(&make(DOCTOR, "CA-B000000", "2026-12-20T18:00:00Z"), 403, "licence-unknown");
    refused(&make("Practitioner/po-adams", "CA-A118822", "2026-12-20T18:00:00Z"), 403, "licence-unknown");
    refused(&make(DOCTOR, "CA-A118822", "2027-12-20T18:00:00Z"), 422, "invalid");
    let made = good(&make(DOCTOR, "CA-A118822", "2026-12-05T19:00:00Z"), 201);
    assert!(clinics.permits(CLINIC, &read));
    clinics.later(HOUR_MS - 1);
    assert!(clinics.permits(CLINIC, &read));
    clinics.later(1);
    assert!(!clinics.permits(CLINIC, &read));
    let path = format!("disclosure-decisions/{}", made["id"].as_str().unwrap());
    assert_eq!(good(&clinics.state("GET", CLINIC, &path, DOCTOR, &Value::Null), 200)["status"], "expired");

    let made = good(&make(DOCTOR, "CA-A118822", "2026-12-20T18:00:00Z"), 201);
    assert!(clinics.permits(CLINIC, &read));
    let path = format!("disclosure-decisions/{}/withdraw", made["id"].as_str().unwrap());
    refused(&clinics.state("POST", CLINIC, &path, "Practitioner/np-ortiz", &json!({})), 403, "role-missing");
    assert_eq!(good(&clinics.state("POST", CLINIC, &path, DOCTOR, &json!({})), 200)["status"], "withdrawn");
    assert!(!clinics.permits(CLINIC, &read));
    // What ends soon is told: the professional's own role among it.
    let lapses = good(&clinics.state("GET", CLINIC, "lapses?within=P60D", DOCTOR, &Value::Null), 200);
    let of_doctor = |item: &&Value| item["entity"]["id"] == "dr-chen" && item["what"] == "recertification";
    assert_eq!(lapses["items"].as_array().unwrap().iter().filter(of_doctor).count(), 1, "{lapses}");
}
