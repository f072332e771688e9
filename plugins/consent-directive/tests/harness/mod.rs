//! Cases as data: a file of `cases/` says what is asked, with which facts and consents, and exactly what
//! must be found. What a case does not say is as in its file's `[base]`.
//!
//! Codes are written short: `TREAT` is of v3-ActReason, `R` of v3-Confidentiality, `SUD` of v3-ActCode; a bar
//! names another system (`urn:other|X`). Actors are `Practitioner::dr-b` (role IRCP) or `CST Organization::x`.
#![allow(dead_code, reason = "each test executable uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a mistake in a case must stop the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use assent_consent_directive::ConsentDirective;
use assent_consent_directive::codes::{
    ACT_CODE, ACT_REASON, CONFIDENTIALITY_SYSTEM, CONSENT_ACTION, PARTICIPATION, RESOURCE_TYPES,
    confidentiality,
};
use assent_plugin_sdk::bindings::exports::assent::plugin::rules::{Scalar, Value};
use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::{TestRequest, configure, instant};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: Case,
    case: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) settings: BTreeMap<String, serde_json::Value>,
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) patient: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) now: Option<String>,
    /// Attributes by path: `@Type::id` is an entity, `-` removes what the base says.
    pub(crate) facts: BTreeMap<String, toml::Value>,
    pub(crate) consents: Vec<Given>,
    pub(crate) expect: Expect,
}

/// A consent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Given {
    pub(crate) id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) given: Option<String>,
    pub(crate) forms: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) recipients: Vec<String>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) provisions: Vec<GivenProvision>,
    /// For what cannot be nested as written: the positions of parents, in place of nesting.
    pub(crate) parents: BTreeMap<String, u32>,
    pub(crate) unsupported: Vec<String>,
}

/// A provision of a consent, with those nested in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenProvision {
    pub(crate) effect: String,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) data_start: Option<String>,
    pub(crate) data_end: Option<String>,
    pub(crate) actors: Vec<String>,
    pub(crate) actions: Vec<String>,
    pub(crate) purposes: Vec<String>,
    pub(crate) classes: Vec<String>,
    pub(crate) codes: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) data: Vec<String>,
    pub(crate) but: Vec<GivenProvision>,
}

/// What must be found, exactly; what is not said must not be found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) denials: BTreeSet<String>,
    pub(crate) reviews: BTreeSet<String>,
    /// Obligations, as `redact labels=SUD,ETH unlabelled`, without the names of consents.
    pub(crate) obligations: BTreeSet<String>,
    /// Whether the denials look like an absent record. Checked where said.
    pub(crate) neutral: Option<bool>,
    /// Remedies of the denials. Checked where said.
    pub(crate) remedies: Option<BTreeSet<String>>,
    /// Parts of notes that must be there.
    pub(crate) notes: Vec<String>,
}

/// All cases of `cases/`.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.case.into_iter().map(|case| over(&file.base, case)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(read).collect()
}

fn over(base: &Case, case: Case) -> Case {
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
        ..case
    }
}

impl Case {
    /// The rule with the case's settings.
    pub(crate) fn rule(&self) -> ConsentDirective {
        let settings = serde_json::to_value(&self.settings).unwrap();
        configure(settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", self.name))
    }

    /// What the rule finds.
    pub(crate) fn findings(&self) -> Findings {
        self.request().evaluate(&self.rule()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The request of the case.
    pub(crate) fn request(&self) -> TestRequest {
        self.consents
            .iter()
            .enumerate()
            .fold(self.bare(), |request, (at, given)| request.consent(given.consent(at)))
    }

    /// The request without consents.
    pub(crate) fn bare(&self) -> TestRequest {
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
        self.facts.iter().fold(request, |request, (path, value)| attribute(request, path, value))
    }
}

fn attribute(request: TestRequest, path: &str, value: &toml::Value) -> TestRequest {
    match value {
        toml::Value::String(text) if text.starts_with('@') => {
            request.attribute(path, id(text.trim_start_matches('@')))
        }
        toml::Value::String(text) if path.ends_with("Date") => request.attribute(path, instant(text)),
        toml::Value::String(text) => request.attribute(path, text.as_str()),
        toml::Value::Boolean(yes) => request.attribute(path, *yes),
        toml::Value::Array(members) => {
            let members = members.iter().map(|member| member.as_str().unwrap().to_owned());
            request.attribute(path, members.collect::<Set<String>>())
        }
        other => panic!("`{path}`: {other}"),
    }
}

pub(crate) fn id(text: &str) -> EntityId {
    let (kind, id) = text.split_once("::").unwrap_or_else(|| panic!("`{text}` is not `Type::id`"));
    EntityId::new(kind, id)
}

fn codings(codes: &[String], system: impl Fn(&str) -> &'static str) -> Vec<Coding> {
    let coding = |text: &String| match text.rsplit_once('|') {
        Some((system, code)) => Coding::new(system, code),
        None => Coding::new(system(text), text.as_str()),
    };
    codes.iter().map(coding).collect()
}

fn effect(text: &str) -> ProvisionEffect {
    match text {
        "permit" => ProvisionEffect::Permit,
        "deny" => ProvisionEffect::Deny,
        other => panic!("`{other}` is neither permit nor deny"),
    }
}

fn period(start: &Option<String>, end: &Option<String>) -> Period {
    Period { start: start.as_deref().map(instant), end: end.as_deref().map(instant) }
}

impl Given {
    pub(crate) fn consent(&self, at: usize) -> Consent {
        let mut provisions = Vec::new();
        flatten(&self.provisions, None, &mut provisions);
        for (position, parent) in &self.parents {
            provisions[position.parse::<usize>().unwrap()].parent = Some(*parent);
        }
        Consent {
            id: self.id.clone().unwrap_or_else(|| format!("c-{at}")),
            status: match self.status.as_deref() {
                None | Some("active") => ConsentStatus::Active,
                Some("draft") => ConsentStatus::Draft,
                Some("proposed") => ConsentStatus::Proposed,
                Some("rejected") => ConsentStatus::Rejected,
                Some("inactive") => ConsentStatus::Inactive,
                Some("entered-in-error") => ConsentStatus::EnteredInError,
                Some(other) => panic!("`{other}`"),
            },
            given_at: instant(self.given.as_deref().unwrap_or("2026-01-01T00:00:00Z")),
            forms: self.forms.clone(),
            signed_by: vec![EntityId::new("Patient", "p1")],
            categories: self.categories.clone(),
            recipients: self.recipients.iter().map(|recipient| id(recipient)).collect(),
            period: period(&self.start, &self.end),
            base: self.base.as_deref().map(effect),
            provisions,
            unsupported: self.unsupported.clone(),
        }
    }
}

fn flatten(given: &[GivenProvision], parent: Option<u32>, into: &mut Vec<Provision>) {
    for one in given {
        let position = u32::try_from(into.len()).unwrap();
        into.push(one.provision(parent));
        flatten(&one.but, Some(position), into);
    }
}

impl GivenProvision {
    pub(crate) fn provision(&self, parent: Option<u32>) -> Provision {
        let actor = |text: &String| {
            let (role, who) = text.split_once(' ').unwrap_or(("IRCP", text));
            let role = if role == "-" { Coding::new("", "") } else { Coding::new(PARTICIPATION, role) };
            ConsentActor { role, who: id(who) }
        };
        let datum = |text: &String| {
            let (meaning, what) = text.split_once(' ').unwrap();
            let meaning = match meaning {
                "instance" => DataMeaning::Instance,
                "related" => DataMeaning::Related,
                "dependents" => DataMeaning::Dependents,
                "authored-by" => DataMeaning::AuthoredBy,
                other => panic!("`{other}`"),
            };
            ConsentData { meaning, what: id(what) }
        };
        let label =
            |code: &str| if confidentiality(code).is_some() { CONFIDENTIALITY_SYSTEM } else { ACT_CODE };
        Provision {
            parent,
            effect: effect(&self.effect),
            period: period(&self.start, &self.end),
            data_period: period(&self.data_start, &self.data_end),
            actors: self.actors.iter().map(actor).collect(),
            actions: codings(&self.actions, |_| CONSENT_ACTION),
            purposes: codings(&self.purposes, |_| ACT_REASON),
            classes: codings(&self.classes, |_| RESOURCE_TYPES),
            codes: codings(&self.codes, |_| ""),
            security_labels: codings(&self.labels, label),
            data: self.data.iter().map(datum).collect(),
        }
    }
}

/// What was found, in the form in which cases expect it.
pub(crate) fn found(findings: &Findings, expected: &Expect) -> Expect {
    let denials = || findings.denials.iter();
    let remedies = denials().flat_map(|denial| &denial.remedies).map(|remedy| match remedy {
        Remedy::Consent(consent) => format!("consent {}", consent.form),
        Remedy::HumanReview(queue) => format!("human-review {queue}"),
        Remedy::SupplyFact(path) => format!("supply-fact {path}"),
        other => panic!("{other:?}"),
    });
    Expect {
        denials: denials().map(|denial| denial.code.clone()).collect(),
        reviews: findings.reviews.iter().map(|review| review.code.clone()).collect(),
        obligations: findings.obligations.iter().map(shown).collect(),
        neutral: expected
            .neutral
            .is_some()
            .then(|| !findings.denials.is_empty() && denials().all(|d| d.neutral)),
        remedies: expected.remedies.is_some().then(|| remedies.collect()),
        notes: expected
            .notes
            .iter()
            .filter(|part| findings.notes.iter().any(|note| note.contains(*part)))
            .cloned()
            .collect(),
    }
}

/// The values of a parameter.
pub(crate) fn texts(value: &Value) -> Vec<String> {
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

/// An obligation as cases write it.
fn shown(obligation: &Obligation) -> String {
    let mut words = vec![match obligation.code {
        ObligationCode::Redact => "redact".to_owned(),
        ObligationCode::Deidentify => "deidentify".to_owned(),
        ref other => panic!("{other:?}"),
    }];
    for parameter in obligation.parameters.iter().filter(|parameter| parameter.name != "consents") {
        words.push(match texts(&parameter.value).join(",").as_str() {
            "true" => parameter.name.clone(),
            values => format!("{}={values}", parameter.name),
        });
    }
    words.join(" ")
}
