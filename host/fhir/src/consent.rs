//! A Consent from its root: what it is about, where it stands, and the entity of it all.
//!
//! A root without type is an exception to its policy in R4's words, and HL7's examples mean "deny" by it;
//! others narrow their policy by it. Purposes and period narrow it here; anything else cannot be told, and
//! is unsupported. What was signed, by whom, and whether it was verified says where the document comes
//! from, and is no criterion: it is kept beside the entity, except that `verified: false` is an objection.
//! Sources: FHIR R4 Consent; IHE PCF.

use assent_model::EntityId;
use serde_json::{Map, Value, json};

use crate::coding::{CONSENT_SCOPE, OBSERVATION_VALUE};
use crate::moment::written;
use crate::outcome::{
    BaseSource, Combining, Directive, OtherScope, Outcome, Remark, Rule, Status, Unsupported, Why,
};
use crate::problem::{Problem, Problems};
use crate::provision::{Provision, ROOT_KEY};
use crate::reader::{At, Element, Reader};
use crate::reference::is_id;
use crate::settings::{Effect, Settings};

const CONSENT: [&str; 20] = [
    "resourceType",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "identifier",
    "status",
    "scope",
    "category",
    "patient",
    "dateTime",
    "performer",
    "organization",
    "sourceAttachment",
    "sourceReference",
    "policy",
    "policyRule",
    "verification",
    "provision",
];
/// What says where the document comes from, and is copied as it is.
const PROVENANCE: [&str; 12] = [
    "meta",
    "identifier",
    "category",
    "dateTime",
    "performer",
    "organization",
    "sourceAttachment",
    "sourceReference",
    "policy",
    "policyRule",
    "verification",
    "language",
];
/// What of it is not read otherwise.
const DESCRIPTION: [&str; 9] = [
    "meta",
    "identifier",
    "category",
    "performer",
    "organization",
    "sourceAttachment",
    "sourceReference",
    "policy",
    "verification",
];
/// Labels and tags of a resource of which something is missing.
const INCOMPLETE: [&str; 3] = ["MASKED", "REDACTED", "SUBSETTED"];
/// Objections that an entity names; a document can have thousands, and every plugin call carries them.
const NAMED_MAX: usize = 32;

const NOT_DATED: &str = "1970-01-01T00:00:00Z";

/// Reads a FHIR R4 Consent.
///
/// `is_stored` says whether an entity is stored: whom a document names must be.
/// The resource comes from a parser that refuses an object with two members of the same name, since of
/// those only one would be read here.
///
/// ```
/// use assent_fhir::{Outcome, Settings, normalise};
///
/// let consent = serde_json::json!({
///     "resourceType": "Consent",
///     "id": "c1",
///     "status": "active",
///     "scope": {"coding": [{
///         "system": "http://terminology.hl7.org/CodeSystem/consentscope",
///         "code": "patient-privacy",
///     }]},
///     "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
///     "patient": {"reference": "Patient/p1"},
///     "dateTime": "2026-01-05",
///     "provision": {"type": "permit"},
/// });
/// let Outcome::Directive(directive) = normalise(&consent, &Settings::default(), &|_| true)? else {
///     unreachable!("its scope is privacy");
/// };
/// assert_eq!(directive.entity["attrs"]["base"], "permit");
/// assert!(!directive.is_objection());
/// # Ok::<(), assent_fhir::Problems>(())
/// ```
///
/// # Errors
/// All problems at once, where it is no Consent that could be stored: not R4's shape, or of nobody stored.
pub fn normalise(
    resource: &Value,
    settings: &Settings,
    is_stored: &dyn Fn(&EntityId) -> bool,
) -> Result<Outcome, Problems> {
    let mut reader =
        Reader { settings, is_stored, problems: Vec::new(), unsupported: Vec::new(), notes: Vec::new() };
    let outcome = reader.consent(&At { value: resource, path: "Consent".to_owned() });
    let mut problems = std::mem::take(&mut reader.problems);
    problems.sort_unstable();
    problems.dedup();
    match outcome {
        Some(outcome) if problems.is_empty() => Ok(outcome),
        _ if problems.is_empty() => {
            Err(Problems(vec![Problem { path: "Consent".to_owned(), expected: "a Consent" }]))
        }
        _ => Err(Problems(problems)),
    }
}

/// The root's own elements; those that are missing are reported.
struct Root<'a> {
    status: Option<Status>,
    patient: Option<EntityId>,
    given_at: String,
    provision: Option<Provision<'a>>,
    base: Option<Effect>,
    source: BaseSource,
}

impl Reader<'_> {
    fn consent(&mut self, at: &At<'_>) -> Option<Outcome> {
        if at.value.get("resourceType").and_then(Value::as_str) != Some("Consent") {
            self.problem(at.path.as_str(), "a resource with `resourceType` `Consent`");
            return None;
        }
        let element = self.element(at, &CONSENT)?;
        // R5 made it a list.
        let is_list = element.members.get("provision").is_some_and(Value::is_array);
        if is_list {
            self.unsupported(element.path_of("provision"), Why::R5);
        }
        let is_r5 = self.unsupported.iter().any(|found| found.why == Why::R5);
        if !is_r5 && let Some(scope) = self.scope(&element) {
            return Some(Outcome::Other(scope));
        }
        let id = element.member("id").and_then(|at| at.text()).filter(|id| is_id(id));
        if id.is_none() {
            self.problem(element.path_of("id"), "an id of 1 to 64 letters, digits, `-` and `.`");
        }
        let mut root = if is_r5 { self.r5_root(&element) } else { self.root(&element) };
        let is_clean = self.is_clean_since(0);
        let nested = root.provision.as_mut().map(|root| std::mem::take(&mut root.nested)).unwrap_or_default();
        let criteria = root.provision.map(|root| root.criteria).unwrap_or_default();
        let within = root.base.filter(|_| criteria.keys().any(|name| !is_period(name)));
        let nested = self.nested(nested, within.map(|_| ROOT_KEY));
        self.unsupported.sort_unstable();
        self.notes.sort_unstable();
        let (id, status, patient) = (id?, root.status?, root.patient?);

        let mut attributes = Map::from_iter([
            ("patient".to_owned(), json!(patient)),
            ("status".to_owned(), status.as_str().into()),
            ("givenAt".to_owned(), root.given_at.into()),
            ("forms".to_owned(), json!([])),
        ]);
        if is_clean {
            attributes.extend(rules(root.base, within, criteria, nested));
        }
        if !self.unsupported.is_empty() {
            attributes.insert("unsupported".to_owned(), json!(named(&self.unsupported)));
        }
        let combining = match (self.unsupported.is_empty(), within) {
            (false, _) => Combining::Objection,
            (true, Some(_)) => Combining::BaseWithinCriteria,
            (true, None) => Combining::ExceptionsToBase,
        };
        Some(Outcome::Directive(Box::new(Directive {
            entity: json!({
                "uid": { "type": "Consent", "id": id },
                "attrs": attributes,
                "parents": [],
            }),
            status,
            base: root.base,
            rule: Rule { combining, base: root.source },
            unsupported: std::mem::take(&mut self.unsupported),
            notes: std::mem::take(&mut self.notes),
            provenance: provenance(&element),
        })))
    }

    /// What else the consent is about; none: privacy, or it cannot be told.
    fn scope(&mut self, root: &Element<'_>) -> Option<OtherScope> {
        let Some(at) = root.member("scope") else {
            self.problem(root.path_of("scope"), "a scope, such as `patient-privacy`");
            return None;
        };
        let problems = self.problems.len();
        let codings = self.codings(&at);
        if codings.iter().any(|coding| coding.is(CONSENT_SCOPE, "patient-privacy")) {
            return None;
        }
        let others = [
            ("adr", OtherScope::AdvanceDirective),
            ("research", OtherScope::Research),
            ("treatment", OtherScope::Treatment),
        ];
        let other = |code| others.into_iter().find(|(known, _)| *known == code).map(|(_, other)| other);
        let known: Option<Vec<_>> = codings
            .iter()
            .map(|coding| coding.code.filter(|_| coding.system == Some(CONSENT_SCOPE)).and_then(other))
            .collect();
        let found = known.and_then(|known| known.first().copied());
        if found.is_none() && self.problems.len() == problems {
            self.unsupported(at.path, Why::Scope);
        }
        found.filter(|_| self.problems.len() == problems)
    }

    fn root<'a>(&mut self, element: &Element<'a>) -> Root<'a> {
        self.described_elements(element);
        if self.list(element, "category").is_empty() && !element.has("category") {
            self.problem(element.path_of("category"), "at least one category");
        }
        let status = element.member("status").and_then(|at| at.text()).and_then(Status::of);
        if status.is_none() {
            let expected =
                "a status: `draft`, `proposed`, `active`, `rejected`, `inactive` or `entered-in-error`";
            self.problem(element.path_of("status"), expected);
        }
        let patient = self.patient(element, "patient");
        let given_at = self.given_at(element, "dateTime");
        let provision = element.member("provision").and_then(|at| self.provision(&at));
        let (base, source) = self.base(element, provision.as_ref());
        if let Some(Provision { effect: None, criteria, .. }) = &provision {
            let narrows = |name: &String| is_period(name) || name == "purposes" && base.is_some();
            if !criteria.keys().all(narrows) {
                self.unsupported(element.path_of("provision"), Why::Untyped);
            } else if !criteria.is_empty() {
                self.note(element.path_of("provision"), Remark::NarrowsPolicy);
            }
        }
        Root { status, patient, given_at, provision, base, source }
    }

    /// Of R5's shape only what an objection needs is read: whose it is, and whether it counts.
    fn r5_root<'a>(&mut self, element: &Element<'a>) -> Root<'a> {
        self.described_elements(element);
        let status =
            element.member("status").and_then(|at| at.text()).and_then(Status::of).unwrap_or_else(|| {
                self.unsupported(element.path_of("status"), Why::R5);
                Status::Active
            });
        let patient = if element.has("subject") { "subject" } else { "patient" };
        let patient = self.patient(element, patient);
        let date = if element.has("date") { "date" } else { "dateTime" };
        let given_at = self.given_at(element, date);
        let source = BaseSource::Indeterminate;
        Root { status: Some(status), patient, given_at, provision: None, base: None, source }
    }

    fn patient(&mut self, root: &Element<'_>, name: &str) -> Option<EntityId> {
        let expected = "a reference to a stored patient, such as `Patient/p1`";
        let Some(at) = root.member(name) else {
            self.problem(root.path_of(name), expected);
            return None;
        };
        // Whose it is cannot be told: there is nobody for whom it could be an objection.
        self.reference(&at, &["Patient"])?.map_err(|(path, _)| self.problem(path, expected)).ok()
    }

    fn given_at(&mut self, root: &Element<'_>, name: &str) -> String {
        let found = self.moment(root, name);
        match &found {
            Some(span) if span.is_date => self.note(root.path_of(name), Remark::FirstMoment),
            Some(_) => {}
            None => self.note(root.path_of(name), Remark::NotDated),
        }
        found.map_or_else(|| NOT_DATED.to_owned(), |span| written(span.first))
    }

    fn described_elements(&mut self, root: &Element<'_>) {
        for at in DESCRIPTION.into_iter().filter_map(|name| root.member(name)) {
            self.described(at);
        }
        if root.has("implicitRules") {
            self.unsupported(root.path_of("implicitRules"), Why::ImplicitRules);
        }
        if root.members.get("text").and_then(|text| text.get("status")) == Some(&json!("additional")) {
            self.unsupported(root.path_of("text.status"), Why::Narrative);
        }
        if let Some(meta) = root.member("meta") {
            for name in ["security", "tag"] {
                let items = meta.value.get(name).and_then(Value::as_array).into_iter().flatten();
                for (position, item) in items.enumerate() {
                    let of = |name| item.get(name).and_then(Value::as_str);
                    let incomplete = of("code").is_some_and(|code| INCOMPLETE.contains(&code));
                    if incomplete && of("system") == Some(OBSERVATION_VALUE) {
                        self.unsupported(format!("{}.{name}[{position}]", meta.path), Why::Incomplete);
                    }
                }
            }
        }
        for item in self.list(root, "verification") {
            let path = format!("{}.verified", item.path);
            match item.value.get("verified") {
                Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => self.unsupported(path, Why::NotVerified),
                _ => self.problem(path, "`true` or `false`"),
            }
        }
    }
}

/// Whether a criterion of the root says when the consent holds, and not for what.
fn is_period(name: &str) -> bool {
    matches!(name, "start" | "end")
}

/// What an entity says of a root that was read in full: its period, its base, and the provisions. `within`
/// is the base where the root has criteria, which become a provision of their own.
fn rules(
    base: Option<Effect>,
    within: Option<Effect>,
    criteria: Map<String, Value>,
    nested: Vec<Value>,
) -> Map<String, Value> {
    let (mut rules, mut criteria): (Map<_, _>, Map<_, _>) =
        criteria.into_iter().partition(|(name, _)| is_period(name));
    let mut provisions = Vec::new();
    if let Some(effect) = within {
        criteria.insert("key".to_owned(), ROOT_KEY.into());
        criteria.insert("effect".to_owned(), effect.as_str().into());
        provisions.push(Value::Object(criteria));
    }
    let base = if within.is_some() { Some(Effect::Deny) } else { base };
    rules.extend(base.map(|base| ("base".to_owned(), base.as_str().into())));
    provisions.extend(nested);
    if !provisions.is_empty() {
        rules.insert("provisions".to_owned(), Value::Array(provisions));
    }
    rules
}

/// The first objections as sentences, and how many there are beside them.
fn named(unsupported: &[Unsupported]) -> Vec<String> {
    let mut named: Vec<String> = unsupported.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    named.dedup();
    if let Some(more) = unsupported.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        named.push(format!("Consent: {more} more"));
    }
    named
}

fn provenance(root: &Element<'_>) -> Map<String, Value> {
    let own =
        PROVENANCE.into_iter().filter_map(|name| Some((name.to_owned(), root.members.get(name)?.clone())));
    own.collect()
}
