//! The deployment that is served: small, on the base schema, with every workflow and somebody for each of its steps.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::service::Service;
use super::*;

const CALLERS: &str = r#"organizations = ["org"]
[audit]
name = "crash.example.org"
[state]
[[caller]]
id = "portal"
organizations = ["clinic"]
environment = "production"
rights = ["decide"]
obligations = ["*"]
loopback = true
[[caller]]
id = "admin"
organizations = ["clinic"]
environment = "production"
rights = ["read-state", "write-state", "workflow", "hold"]
obligations = []
key_sha256 = "KEY"
"#;

const SETTINGS: &str = r#"id = "clinic"
name = "Clinic"
schema = ["../policies/base/health.cedarschema"]
policies = ["clinic.cedar"]
entities = ["clinic.json"]
cases = ["clinic.toml"]
[subjects]
practitioner = "Practitioner"
[resources]
observation = "Observation"
data-set = "DataSet"
[[approval]]
kind = "export"
records_over = 100
quorum = 2
roles = ["privacy-officer"]
uses = 3
[break_glass]
reasons = ["medical-emergency"]
lasts_hours = 24
review_within_hours = 72
declarers = ["physician"]
reviewers = ["privacy-officer"]
[disclosure_decisions]
expires_within_days = 90
"#;

const PERMITS: &str = r#"@id("emergency.read")
@intent("in a declared emergency physicians read")
permit (principal is Practitioner, action == Action::"read", resource is Observation) when { context has emergency };
@id("export")
@intent("the workforce exports, as far as plugins agree")
permit (principal is Practitioner, action == Action::"export", resource is DataSet);
"#;

const CASES: &str = r#"[[case]]
name = "without an emergency nobody reads"
now = "2026-11-21T18:00:00Z"
action = { name = "read" }
resource = { type = "observation", id = "o-0" }
subject = { type = "practitioner", id = "dr-0" }
expect = { decision = "deny", cause = "no_policy" }
"#;

/// A deployment of its own.
pub(super) struct Site(tempfile::TempDir);

impl Site {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// With these tables in the organization's settings.
    pub(super) fn with(tables: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for name in ["policies", "plugins"] {
            symlink(root().join(name), site.file(name)).unwrap();
        }
        std::fs::create_dir(site.file("org")).unwrap();
        let key: String =
            assent_server::key_digest("admin-key").iter().map(|byte| format!("{byte:02x}")).collect();
        let files = [
            ("assent.toml", CALLERS.replace("KEY", &key)),
            ("org/organization.toml", format!("{SETTINGS}{tables}")),
            ("org/clinic.cedar", PERMITS.to_owned()),
            ("org/clinic.json", entities().to_string()),
            ("org/clinic.toml", CASES.to_owned()),
        ];
        for (name, text) in files {
            std::fs::write(site.file(name), text).unwrap();
        }
        let made = assent(&["audit", "init", site.path()]);
        assert!(made.status.success(), "{}", stderr(&made));
        site
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// The files of the database that are there.
    fn database(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.file(".assent")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("state.db")).collect()
    }

    /// The database as it is while the service stands still.
    pub(super) fn copy_of_database(&self, service: &mut Service) -> BTreeMap<PathBuf, Vec<u8>> {
        service.while_it_stands(|| {
            let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
            self.database().into_iter().map(read).collect()
        })
    }

    pub(super) fn forget_database(&self) {
        let files = self.database();
        assert!(!files.is_empty());
        files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }

    pub(super) fn put_back(&self, copy: &BTreeMap<PathBuf, Vec<u8>>) {
        self.forget_database();
        copy.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}

/// Who is there: for each worker a physician, a requester, a patient with a record; two privacy officers.
fn entities() -> Value {
    let entity = |kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]| {
        let parents: Vec<Value> = parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
        json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": parents })
    };
    let clinic = json!({ "type": "Organization", "id": "clinic" });
    let person = |id: &str, role: &str| {
        let attrs = json!({ "organization": clinic, "accountType": "individual", "active": true, "licence": format!("CA-{id}") });
        entity("Practitioner", id, attrs, &[("Role", role)])
    };
    let mut all = vec![
        entity("Organization", "clinic", json!({ "category": "provider", "country": "US" }), &[]),
        entity("Organization", "other", json!({ "category": "provider", "country": "US" }), &[]),
        entity("RelatedPerson", "rp", json!({ "active": true }), &[]),
        entity("Patient", "shared", patient(), &[]),
        person("po-1", "privacy-officer"),
        person("po-2", "privacy-officer"),
    ];
    all.extend(["physician", "privacy-officer", "clerk"].map(|role| entity("Role", role, json!({}), &[])));
    for number in 0..WORKERS {
        let id = |prefix: &str| format!("{prefix}-{number}");
        let record = json!({ "patient": { "type": "Patient", "id": id("p") }, "organization": clinic,
            "labels": ["N"], "categories": ["general"], "function": "clinical" });
        all.extend([
            person(&id("dr"), "physician"),
            person(&id("him"), "clerk"),
            entity("Patient", &id("p"), patient(), &[]),
            entity("Observation", &id("o"), record, &[]),
        ]);
    }
    Value::Array(all)
}

/// The attributes of a patient.
pub(super) fn patient() -> Value {
    json!({ "organization": { "type": "Organization", "id": "clinic" }, "birthDate": "2012-06-30",
        "timeZone": "America/Chicago", "state": "TX", "active": true })
}
