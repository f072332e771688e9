//! Cases as data: a file of `cases/` says what is asked, with which facts and consents, and exactly
//! what must be found. What a case does not say is as in its file's `[base]`.
#![allow(dead_code, reason = "each test executable uses its own part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a mistake in a case must stop the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use assent_plugin_sdk::bindings::exports::assent::plugin::rules::{Scalar, Value};
use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::{TestRequest, configure, date, instant};
use assent_state_consent::StateConsent;

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
    /// The row that the case is about, and whether it withholds, asks or obliges (`reached`) or not.
    pub(crate) row: Option<String>,
    pub(crate) reached: Option<bool>,
    pub(crate) settings: BTreeMap<String, serde_json::Value>,
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) patient: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) now: Option<String>,
    pub(crate) today: Option<String>,
    /// Attributes by path: `@Type::id` is an entity, `-` removes what the base says.
    pub(crate) facts: BTreeMap<String, toml::Value>,
    pub(crate) consents: Vec<Given>,
    pub(crate) decisions: Vec<Decided>,
    pub(crate) expect: Expect,
}

/// A consent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Given {
    pub(crate) forms: Vec<String>,
    pub(crate) status: Option<String>,
    pub(crate) given: Option<String>,
    pub(crate) signed_by: Option<Vec<String>>,
    pub(crate) categories: Vec<String>,
    pub(crate) recipients: Vec<String>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) provisions: Vec<GivenProvision>,
    pub(crate) unsupported: Vec<String>,
}

/// A provision of a consent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenProvision {
    pub(crate) effect: String,
    pub(crate) purposes: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) actors: Vec<String>,
    pub(crate) codes: Vec<String>,
}

/// A professional's decision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Decided {
    pub(crate) category: String,
    pub(crate) expires: Option<String>,
}

/// What must be found, exactly; what is not said must not be found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) denials: BTreeSet<String>,
    pub(crate) reviews: BTreeSet<String>,
    /// The rules of the obligation to redact.
    pub(crate) redacts: BTreeSet<String>,
    /// Other obligations, as `code` or `code rule`.
    pub(crate) obligations: BTreeSet<String>,
    /// Of the denials: those that look like an absent record. Checked where said.
    pub(crate) neutral: Option<BTreeSet<String>>,
    /// Forms of consent named as remedies. Checked where said.
    pub(crate) remedies: Option<BTreeSet<String>>,
    /// Labels and categories of the obligation to redact, of which each must be there.
    pub(crate) redacted: BTreeSet<String>,
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
        today: pick(case.today, &base.today),
        ..case
    }
}

impl Case {
    /// The rule with the case's settings.
    pub(crate) fn rule(&self) -> StateConsent {
        let settings = serde_json::to_value(&self.settings).unwrap();
        configure(settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", self.name))
    }

    /// What the rule finds.
    pub(crate) fn findings(&self) -> Findings {
        self.request().evaluate(&self.rule()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The request of the case.
    pub(crate) fn request(&self) -> TestRequest {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let subject = id(&text(&self.subject));
        let resource = id(&text(&self.resource));
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
        for (at, given) in self.consents.iter().enumerate() {
            request = request.consent(given.consent(at));
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
        toml::Value::String(text) if path.ends_with("StartedAt") => request.attribute(path, instant(text)),
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

fn id(text: &str) -> EntityId {
    let (kind, id) = text.split_once("::").unwrap_or_else(|| panic!("`{text}` is not `Type::id`"));
    EntityId::new(kind, id)
}

fn codes(codes: &[String]) -> Vec<Coding> {
    codes.iter().map(|code| Coding::new("v3", code)).collect()
}

fn effect(text: &str) -> ProvisionEffect {
    match text {
        "permit" => ProvisionEffect::Permit,
        "deny" => ProvisionEffect::Deny,
        other => panic!("`{other}` is neither permit nor deny"),
    }
}

impl Given {
    pub(crate) fn consent(&self, at: usize) -> Consent {
        let signers = self.signed_by.clone().unwrap_or_else(|| vec!["Patient::p1".to_owned()]);
        Consent {
            id: format!("c-{at}"),
            status: match self.status.as_deref() {
                None | Some("active") => ConsentStatus::Active,
                Some("inactive") => ConsentStatus::Inactive,
                Some(other) => panic!("`{other}`"),
            },
            given_at: instant(self.given.as_deref().unwrap_or("2026-01-01T00:00:00Z")),
            forms: self.forms.clone(),
            signed_by: signers.iter().map(|signer| id(signer)).collect(),
            categories: self.categories.clone(),
            recipients: self.recipients.iter().map(|recipient| id(recipient)).collect(),
            period: Period {
                start: self.start.as_deref().map(instant),
                end: self.end.as_deref().map(instant),
            },
            base: self.base.as_deref().map(effect),
            provisions: self.provisions.iter().map(GivenProvision::provision).collect(),
            unsupported: self.unsupported.clone(),
        }
    }
}

impl GivenProvision {
    fn provision(&self) -> Provision {
        let actor = |who: &String| ConsentActor { role: Coding::new("", ""), who: id(who) };
        Provision {
            parent: None,
            effect: effect(&self.effect),
            period: Period::default(),
            data_period: Period::default(),
            actors: self.actors.iter().map(actor).collect(),
            actions: vec![],
            purposes: codes(&self.purposes),
            classes: vec![],
            codes: codes(&self.codes),
            security_labels: codes(&self.labels),
            data: vec![],
        }
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

/// What was found, in the form in which cases expect it.
pub(crate) fn found(findings: &Findings, expected: &Expect) -> Expect {
    let denials = || findings.denials.iter();
    let redact = findings.obligations.iter().find(|o| matches!(o.code, ObligationCode::Redact));
    let others = findings.obligations.iter().filter(|o| !matches!(o.code, ObligationCode::Redact));
    let forms = denials().flat_map(|denial| &denial.remedies).filter_map(|remedy| match remedy {
        Remedy::Consent(consent) => Some(consent.form.clone()),
        Remedy::HumanReview(_) => Some("human-review".to_owned()),
        Remedy::BreakGlass => Some("break-glass".to_owned()),
        _ => None,
    });
    let redacted: BTreeSet<_> = ["labels", "categories"]
        .iter()
        .flat_map(|name| redact.into_iter().flat_map(|o| texts(o, name)))
        .collect();
    Expect {
        denials: denials().map(|denial| denial.code.clone()).collect(),
        reviews: findings.reviews.iter().map(|review| review.code.clone()).collect(),
        redacts: redact.into_iter().flat_map(|redact| texts(redact, "rules")).collect(),
        obligations: others.map(shown).collect(),
        neutral: expected
            .neutral
            .is_some()
            .then(|| denials().filter(|denial| denial.neutral).map(|denial| denial.code.clone()).collect()),
        remedies: expected.remedies.is_some().then(|| forms.collect()),
        redacted: expected.redacted.intersection(&redacted).cloned().collect(),
        notes: expected
            .notes
            .iter()
            .filter(|part| findings.notes.iter().any(|note| note.contains(*part)))
            .cloned()
            .collect(),
    }
}

fn texts(obligation: &Obligation, name: &str) -> Vec<String> {
    let parameter = obligation.parameters.iter().find(|parameter| parameter.name == name);
    match parameter.map(|parameter| &parameter.value) {
        Some(Value::Set(members)) => members
            .iter()
            .map(|member| if let Scalar::Text(text) = member { text.clone() } else { panic!("not text") })
            .collect(),
        Some(Value::Scalar(Scalar::Text(text))) => vec![text.clone()],
        Some(Value::Scalar(_) | Value::Absent(_)) | None => vec![],
    }
}

/// An obligation as cases write it.
fn shown(obligation: &Obligation) -> String {
    let code = match &obligation.code {
        ObligationCode::Custom(code) => code.clone(),
        code => {
            // `ObligationCode::AccountDisclosure` in kebab-case.
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
    };
    let rule = texts(obligation, "rule");
    rule.first().map_or(code.clone(), |rule| format!("{code} {rule}"))
}
