//! Tests of a rule, native and quick: requests by name, through the same code as in the component.
//!
//! INVARIANT (the test asks what the host would): a request holds exactly what the rule declared;
//! a fact that a test supplies but the rule does not ask for is the test's mistake, and panics.
#![expect(clippy::panic, clippy::expect_used, reason = "a mistake in a test must stop the test")]

use std::collections::{BTreeMap, BTreeSet};

pub use serde_json::json;

use crate::bindings::exports::assent::plugin::rules as wit;
use crate::findings::Findings;
use crate::records::{Absence, Approval, Coding, Consent, DisclosureDecision, EntityId, Period, Provision};
use crate::settings::Problem;
use crate::time::{Date, Duration, Instant};
use crate::values::{IntoValue, Set};
use crate::{Rule, runtime, settings};

/// The configured rule.
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn configure<R: Rule>(json: serde_json::Value) -> Result<R, Vec<Problem>> {
    runtime::configure(&json.to_string(), &settings::schema_text::<R::Settings>())
}

/// A date. Panics where there is none.
pub fn date(text: &str) -> Date {
    text.parse().unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// A moment. Panics where there is none.
pub fn instant(text: &str) -> Instant {
    text.parse().unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// A length of time. Panics where there is none.
pub fn duration(text: &str) -> Duration {
    text.parse().unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// A set of texts.
pub fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Set<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// A reference to an entity.
pub fn entity(kind: &str, id: &str) -> EntityId {
    EntityId::new(kind, id)
}

/// A request as a test describes it; whatever is not said is absent.
#[derive(Clone, Debug)]
pub struct TestRequest {
    organization: String,
    now: Instant,
    today: Option<Date>,
    subject: EntityId,
    action: String,
    resource: EntityId,
    patient: Option<EntityId>,
    purpose: Option<String>,
    attributes: BTreeMap<String, wit::Value>,
    memberships: BTreeSet<String>,
    relations: Vec<TestRelation>,
    approvals: Vec<Approval>,
    consents: Vec<Consent>,
    disclosure_decisions: Vec<DisclosureDecision>,
    value_sets: BTreeMap<String, Vec<Coding>>,
}

/// A relation as a test describes it; whatever is not said is absent.
#[derive(Clone, Debug)]
pub struct TestRelation {
    kind: String,
    id: String,
    attributes: BTreeMap<String, wit::Value>,
}

impl TestRelation {
    /// A relation of this type with this id.
    pub fn new(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned(), attributes: BTreeMap::new() }
    }

    /// The same with this attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl IntoValue) -> Self {
        self.attributes.insert(name.to_owned(), value.into_value());
        self
    }

    /// The same without this attribute, for this reason.
    #[must_use]
    pub fn absent(mut self, name: &str, why: Absence) -> Self {
        self.attributes.insert(name.to_owned(), wit::Value::Absent(why));
        self
    }
}

impl TestRequest {
    /// A request for this action: by `Practitioner "dr-1"`, for `DocumentReference "d-1"`, without a
    /// patient, at noon (UTC) on 21 November 2026.
    pub fn new(action: &str) -> Self {
        Self {
            organization: "org-1".to_owned(),
            now: instant("2026-11-21T12:00:00Z"),
            today: None,
            subject: EntityId::new("Practitioner", "dr-1"),
            action: action.to_owned(),
            resource: EntityId::new("DocumentReference", "d-1"),
            patient: None,
            purpose: None,
            attributes: BTreeMap::new(),
            memberships: BTreeSet::new(),
            relations: vec![],
            approvals: vec![],
            consents: vec![],
            disclosure_decisions: vec![],
            value_sets: BTreeMap::new(),
        }
    }

    /// By whom.
    #[must_use]
    pub fn subject(mut self, kind: &str, id: &str) -> Self {
        self.subject = EntityId::new(kind, id);
        self
    }

    /// For what.
    #[must_use]
    pub fn resource(mut self, kind: &str, id: &str) -> Self {
        self.resource = EntityId::new(kind, id);
        self
    }

    /// Of which patient.
    #[must_use]
    pub fn patient(mut self, id: &str) -> Self {
        self.patient = Some(EntityId::new("Patient", id));
        self
    }

    /// For which purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = Some(purpose.to_owned());
        self
    }

    /// In which organization.
    #[must_use]
    pub fn organization(mut self, id: &str) -> Self {
        self.organization = id.to_owned();
        self
    }

    /// At which moment.
    #[must_use]
    pub const fn now(mut self, now: Instant) -> Self {
        self.now = now;
        self
    }

    /// On which day in the patient's time zone.
    #[must_use]
    pub const fn today(mut self, today: Date) -> Self {
        self.today = Some(today);
        self
    }

    /// With this attribute.
    #[must_use]
    pub fn attribute(mut self, path: &str, value: impl IntoValue) -> Self {
        self.attributes.insert(path.to_owned(), value.into_value());
        self
    }

    /// Without this attribute, for this reason; an attribute that is not mentioned is not recorded.
    #[must_use]
    pub fn absent(mut self, path: &str, why: Absence) -> Self {
        self.attributes.insert(path.to_owned(), wit::Value::Absent(why));
        self
    }

    /// With the subject in this group, such as `Role::"nurse"`.
    #[must_use]
    pub fn member(mut self, group: &str) -> Self {
        self.memberships.insert(group.to_owned());
        self
    }

    /// With this relation between subject and patient.
    #[must_use]
    pub fn relation(mut self, relation: TestRelation) -> Self {
        self.relations.push(relation);
        self
    }

    /// With this approval.
    #[must_use]
    pub fn approval(mut self, approval: Approval) -> Self {
        self.approvals.push(approval);
        self
    }

    /// With this consent.
    #[must_use]
    pub fn consent(mut self, consent: Consent) -> Self {
        self.consents.push(consent);
        self
    }

    /// With this professional decision.
    #[must_use]
    pub fn decision(mut self, decision: DisclosureDecision) -> Self {
        self.disclosure_decisions.push(decision);
        self
    }

    /// With this value set; one that is not mentioned is not known.
    #[must_use]
    pub fn value_set(mut self, name: &str, codes: impl IntoIterator<Item = Coding>) -> Self {
        self.value_sets.insert(name.to_owned(), codes.into_iter().collect());
        self
    }

    /// What the rule finds. Panics where the test supplies what the rule does not ask for.
    ///
    /// # Errors
    /// Why the rule cannot say.
    pub fn evaluate<R: Rule>(&self, rule: &R) -> Result<Findings, String> {
        runtime::evaluate(rule, self.build(&runtime::needs::<R>()))
    }

    fn build(&self, needs: &wit::Needs) -> wit::Request {
        self.refuse_what_is_not_asked_for(needs);
        let not_recorded = wit::Value::Absent(Absence::NotRecorded);
        let relations = needs.relations.iter().flat_map(|need| {
            self.relations.iter().filter(|relation| relation.kind == need.kind).map(|relation| {
                wit::Relation {
                    kind: relation.kind.clone(),
                    id: relation.id.clone(),
                    attributes: need
                        .attributes
                        .iter()
                        .map(|name| relation.attributes.get(name).unwrap_or(&not_recorded).clone())
                        .collect(),
                }
            })
        });
        let value_sets = needs.value_sets.iter().map(|name| {
            let codes = self.value_sets.get(name);
            wit::ValueSet {
                name: name.clone(),
                version: String::new(),
                codes: codes.cloned().unwrap_or_default(),
                known: codes.is_some(),
            }
        });
        let absent = if self.patient.is_some() { Absence::NotRecorded } else { Absence::NoPatient };
        let attribute = |path: &String| match self.attributes.get(path) {
            Some(value) => value.clone(),
            None if path.starts_with("patient.") => wit::Value::Absent(absent),
            None => not_recorded.clone(),
        };
        wit::Request {
            organization: self.organization.clone(),
            now: self.now.0,
            today: self.today,
            subject: self.subject.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            patient: self.patient.clone(),
            purpose: self.purpose.clone(),
            attributes: needs.attributes.iter().map(attribute).collect(),
            memberships: needs.memberships.iter().map(|group| self.memberships.contains(group)).collect(),
            relations: relations.collect(),
            approvals: self
                .approvals
                .iter()
                .filter(|approval| needs.approvals.contains(&approval.kind))
                .map(raw_approval)
                .collect(),
            consents: self.consents.iter().map(raw_consent).collect(),
            disclosure_decisions: self.disclosure_decisions.iter().map(raw_decision).collect(),
            value_sets: value_sets.collect(),
        }
    }

    fn refuse_what_is_not_asked_for(&self, needs: &wit::Needs) {
        for path in self.attributes.keys() {
            assert!(needs.attributes.contains(path), "the rule does not ask for `{path}`");
        }
        for group in &self.memberships {
            assert!(needs.memberships.contains(group), "the rule does not ask for `{group}`");
        }
        for relation in &self.relations {
            let need = needs.relations.iter().find(|need| need.kind == relation.kind);
            let need = need.unwrap_or_else(|| panic!("the rule does not ask for `{}`", relation.kind));
            for name in relation.attributes.keys() {
                assert!(need.attributes.contains(name), "the rule does not ask for `{}.{name}`", need.kind);
            }
        }
        for name in self.value_sets.keys() {
            assert!(needs.value_sets.contains(name), "the rule does not ask for the value set `{name}`");
        }
        assert!(
            self.approvals.is_empty() || !needs.approvals.is_empty(),
            "the rule does not ask for approvals"
        );
        assert!(self.consents.is_empty() || needs.consents, "the rule does not ask for consents");
        assert!(
            self.disclosure_decisions.is_empty() || needs.disclosure_decisions,
            "the rule does not ask for disclosure decisions"
        );
    }
}

/// Checks what a host would refuse at admission, the description and the needs, and that
/// `settings.schema.json` says what the settings type says. Call it in a test of every plugin.
pub fn check_description<R: Rule>() {
    let schema = settings::schema_text::<R::Settings>();
    check_schema_file(&schema);
    let description = runtime::describe::<R>(&schema);
    let kebab = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    assert!(kebab(&description.name), "`{}` is not a kebab-case name", description.name);
    assert_eq!(
        description.version.split('.').count(),
        3,
        "`{}` is not a semantic version",
        description.version
    );
    assert!(
        !description.summary.is_empty() && !description.summary.contains('\n'),
        "expected a summary of one line"
    );
    serde_json::from_str::<serde_json::Map<_, _>>(&description.settings_schema).expect("the schema is JSON");
    let needs = description.needs;
    for path in &needs.attributes {
        let (root, rest) = path.split_once('.').unwrap_or((path, ""));
        let known = matches!(root, "subject" | "resource" | "patient" | "context" | "action");
        assert!(
            known && rest.split('.').all(|step| !step.is_empty()),
            "`{path}` is not a path of an attribute"
        );
    }
    let relations = needs.relations.iter().map(|need| need.kind.clone()).collect();
    for names in [needs.attributes, needs.memberships, needs.approvals, needs.value_sets, relations] {
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "a need is declared twice: {names:?}");
    }
}

/// The variable that makes [`check_description`] rewrite `settings.schema.json`.
const UPDATE: &str = "UPDATE_SETTINGS_SCHEMA";

fn check_schema_file(schema: &str) {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let path = std::path::Path::new(&package).join("settings.schema.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, schema).expect("settings.schema.json can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == schema,
        "`settings.schema.json` does not say what the settings type says: run the test again with {UPDATE}=1, \
         look at the change and commit it"
    );
}

fn raw_approval(approval: &Approval) -> wit::Approval {
    let approver = |approver: &crate::records::Approver| wit::Approver {
        who: approver.who.clone(),
        role: approver.role.clone(),
        at: approver.at.0,
    };
    wit::Approval {
        id: approval.id.clone(),
        kind: approval.kind.clone(),
        status: approval.status,
        requester: approval.requester.clone(),
        approvers: approval.approvers.iter().map(approver).collect(),
        data_set: approval.data_set.clone(),
        action: approval.action.clone(),
        purpose: approval.purpose.clone(),
        max_records: approval.max_records,
        requested_at: approval.requested_at.0,
        expires_at: approval.expires_at.map(|at| at.0),
        uses_left: approval.uses_left,
    }
}

fn raw_period(period: Period) -> wit::Period {
    wit::Period { start: period.start.map(|at| at.0), end: period.end.map(|at| at.0) }
}

fn raw_provision(provision: &Provision) -> wit::Provision {
    wit::Provision {
        parent: provision.parent,
        effect: provision.effect,
        period: raw_period(provision.period),
        data_period: raw_period(provision.data_period),
        actors: provision.actors.clone(),
        actions: provision.actions.clone(),
        purposes: provision.purposes.clone(),
        classes: provision.classes.clone(),
        codes: provision.codes.clone(),
        security_labels: provision.security_labels.clone(),
        data: provision.data.clone(),
    }
}

fn raw_consent(consent: &Consent) -> wit::Consent {
    wit::Consent {
        id: consent.id.clone(),
        status: consent.status,
        given_at: consent.given_at.0,
        forms: consent.forms.clone(),
        signed_by: consent.signed_by.clone(),
        categories: consent.categories.clone(),
        recipients: consent.recipients.clone(),
        period: raw_period(consent.period),
        base: consent.base,
        provisions: consent.provisions.iter().map(raw_provision).collect(),
        unsupported: consent.unsupported.clone(),
    }
}

fn raw_decision(decision: &DisclosureDecision) -> wit::DisclosureDecision {
    wit::DisclosureDecision {
        id: decision.id.clone(),
        category: decision.category.clone(),
        service: decision.service.clone(),
        recipient: decision.recipient.clone(),
        disclosure: decision.disclosure,
        author: decision.author.clone(),
        licence: decision.licence.clone(),
        reason: decision.reason.clone(),
        decided_at: decision.decided_at.0,
        expires_at: decision.expires_at.map(|at| at.0),
    }
}
