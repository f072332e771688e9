//! Cases as data, for the tests of plugins: a file of a plugin's `cases/` says what is asked, with which
//! facts and consents, and exactly what must be found. What a case does not say is as in its file's `[base]`.
//!
//! What is expected has a form of each plugin's own, the parameter `E`. Only tests use this crate.
//! INVARIANT (nothing is passed over): a word that a case file may not have, and a fact that the rule does
//! not ask for, stop the test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a mistake in a case must stop the test")]

mod consent;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use assent_plugin_sdk::Rule;
use assent_plugin_sdk::bindings::exports::assent::plugin::rules::{Scalar, Value};
use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::{TestRequest, configure, date, instant};
use serde::de::DeserializeOwned;

pub use consent::{Given, GivenProvision};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "E: DeserializeOwned + Default")]
struct File<E> {
    base: Case<E>,
    case: Vec<Case<E>>,
}

/// One case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, bound = "E: DeserializeOwned + Default")]
pub struct Case<E> {
    /// What it shows: a sentence, of which there is no second.
    pub name: String,
    /// Of rules that are tables: the row that the case is about.
    pub row: Option<String>,
    /// Whether that row withholds, asks or obliges.
    pub reached: Option<bool>,
    /// Settings by name.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// As the policies name it.
    pub action: Option<String>,
    /// `Practitioner::dr-a`.
    pub subject: Option<String>,
    /// `Observation::o-1`.
    pub resource: Option<String>,
    /// The id alone.
    pub patient: Option<String>,
    /// A code of v3-ActReason.
    pub purpose: Option<String>,
    /// The moment of the decision.
    pub now: Option<String>,
    /// The date in the patient's time zone.
    pub today: Option<String>,
    /// Attributes by path: `@Type::id` is an entity, `-` removes what the base says.
    pub facts: BTreeMap<String, toml::Value>,
    /// The consents on file.
    pub consents: Vec<Given>,
    /// Professionals' decisions.
    pub decisions: Vec<Decided>,
    /// What must be found.
    pub expect: E,
}

/// A professional's decision to disclose.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decided {
    /// The category of care.
    pub category: String,
    /// Until when.
    pub expires: Option<String>,
}

/// All cases of the folder `cases/` of a plugin, whose `CARGO_MANIFEST_DIR` is given.
pub fn cases<E: DeserializeOwned + Default>(plugin: &str) -> Vec<Case<E>> {
    let folder = Path::new(plugin).join("cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File<E> =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.case.into_iter().map(|case| over(&file.base, case)).collect::<Vec<_>>()
    };
    let cases: Vec<_> = paths.iter().flat_map(read).collect();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}

fn over<E>(base: &Case<E>, case: Case<E>) -> Case<E> {
    let mut settings = base.settings.clone();
    settings.extend(case.settings);
    let mut facts = base.facts.clone();
    facts.extend(case.facts);
    facts.retain(|_, value| value.as_str() != Some("-"));
    let pick =
        |own: Option<String>, base: &Option<String>| own.or_else(|| base.clone()).filter(|text| text != "-");
    Case {
        settings,
        facts,
        action: pick(case.action, &base.action),
        subject: pick(case.subject, &base.subject),
        resource: pick(case.resource, &base.resource),
        patient: pick(case.patient, &base.patient),
        purpose: pick(case.purpose, &base.purpose),
        now: pick(case.now, &base.now),
        today: pick(case.today, &base.today),
        ..case
    }
}

impl<E> Case<E> {
    /// The rule with the case's settings.
    pub fn rule<R: Rule>(&self) -> R {
        let settings = serde_json::to_value(&self.settings).unwrap();
        configure(settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", self.name))
    }

    /// What the rule finds.
    pub fn findings<R: Rule>(&self) -> Findings {
        let found = self.request().evaluate(&self.rule::<R>());
        found.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The request of the case.
    pub fn request(&self) -> TestRequest {
        let consents = self.consents.iter().enumerate();
        consents.fold(self.bare(), |request, (at, given)| request.consent(given.consent(at)))
    }

    /// The request without consents.
    pub fn bare(&self) -> TestRequest {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (subject, resource) = (id(&text(&self.subject)), id(&text(&self.resource)));
        let mut request = TestRequest::new(&text(&self.action))
            .subject(&subject.kind, &subject.id)
            .resource(&resource.kind, &resource.id);
        if let Some(patient) = &self.patient {
            request = request.patient(patient);
        }
        if let Some(purpose) = &self.purpose {
            request = request.purpose(purpose);
        }
        if let Some(now) = &self.now {
            request = request.now(instant(now));
        }
        if let Some(today) = &self.today {
            request = request.today(date(today));
        }
        for (path, value) in &self.facts {
            request = attribute(request, path, value);
        }
        for (at, decided) in self.decisions.iter().enumerate() {
            request = request.decision(decided.decision(at));
        }
        request
    }
}

fn attribute(request: TestRequest, path: &str, value: &toml::Value) -> TestRequest {
    match value {
        toml::Value::String(text) if text.starts_with('@') => {
            request.attribute(path, id(text.trim_start_matches('@')))
        }
        toml::Value::String(text) if path.ends_with("birthDate") => request.attribute(path, date(text)),
        toml::Value::String(text) if path.ends_with("Date") || path.ends_with("StartedAt") => {
            request.attribute(path, instant(text))
        }
        toml::Value::String(text) => request.attribute(path, text.as_str()),
        toml::Value::Boolean(yes) => request.attribute(path, *yes),
        toml::Value::Integer(number) => request.attribute(path, *number),
        toml::Value::Array(members) => {
            let members = members.iter().map(|member| member.as_str().unwrap().to_owned());
            request.attribute(path, members.collect::<Set<String>>())
        }
        other => panic!("`{path}`: {other}"),
    }
}

impl Decided {
    fn decision(&self, at: usize) -> DisclosureDecision {
        DisclosureDecision {
            id: format!("d-{at}"),
            category: self.category.clone(),
            service: String::new(),
            recipient: None,
            disclosure: Disclosure::Disclose,
            author: EntityId::new("Practitioner", "dr-1"),
            licence: "MD-1".to_owned(),
            reason: "clinical".to_owned(),
            decided_at: instant("2026-10-01T00:00:00Z"),
            expires_at: self.expires.as_deref().map(instant),
        }
    }
}

/// The entity that `Type::id` names.
pub fn id(text: &str) -> EntityId {
    let (kind, id) = text.split_once("::").unwrap_or_else(|| panic!("`{text}` is not `Type::id`"));
    EntityId::new(kind, id)
}

/// The values of an obligation's parameter, as texts; none: it has no such parameter.
pub fn values(obligation: &Obligation, name: &str) -> Option<Vec<String>> {
    obligation.parameters.iter().find(|parameter| parameter.name == name).map(|one| texts(&one.value))
}

/// The values of a parameter, as texts.
pub fn texts(value: &Value) -> Vec<String> {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Boolean(yes) => yes.to_string(),
        Scalar::Instant(at) => at.to_string(),
        other => panic!("{other:?}"),
    };
    match value {
        Value::Set(members) => members.iter().map(scalar).collect(),
        Value::Scalar(one) => vec![scalar(one)],
        Value::Absent(_) => panic!("an absent parameter"),
    }
}

/// The code of an obligation as the contract writes it: `account-disclosure`.
pub fn code(code: &ObligationCode) -> String {
    if let ObligationCode::Custom(code) = code {
        return code.clone();
    }
    let name = format!("{code:?}");
    let name = name.rsplit("::").next().unwrap();
    let mut kebab = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The parts of notes that are expected and found.
pub fn noted(findings: &Findings, expected: &[String]) -> Vec<String> {
    let found = |part: &&String| findings.notes.iter().any(|note| note.contains(*part));
    expected.iter().filter(found).cloned().collect()
}
