//! A Consent from its root: what it is about, where it stands, and the entity of it all.
//!
//! A root without type is an exception to its policy in R4's words, and HL7's examples mean "deny" by it;
//! others narrow their policy by it. Only exceptions to the root can tell: they say the contrary of it. What
//! was signed, by whom, and whether it was verified says where the document comes from, and is no criterion: it
//! is kept beside the entity, except that `verified: false` is an objection, and that a form of consent
//! (`forms`) is one only when it was signed.
//! INVARIANT (nothing is passed over): whatever has a patient becomes an entity, if only an objection.
//! Sources: FHIR R4 Consent; IHE PCF.

use assent_model::{Digest, EntityId, Instant};
use serde_json::{Map, Value, json};

use crate::coding::{CONSENT_SCOPE, OBSERVATION_VALUE};
use crate::error::Unreadable;
use crate::forms::recipients;
use crate::moment::{Span, written};
use crate::outcome::{
    BaseSource, Combining, Directive, Other, OtherScope, Outcome, Remark, Rule, Status, Unsupported, Why,
};
use crate::provision::Provision;
use crate::reader::{At, Element, Reader, Records};
use crate::reference::is_id;
use crate::settings::{Effect, Settings};
use crate::shapes::{CONSENT, KEPT, NARRATIVE, READ_AND_KEPT, VERIFICATION};
use crate::text;
use crate::window::Criteria;

/// Labels and tags of a resource of which something is missing.
const INCOMPLETE: [&str; 3] = ["MASKED", "REDACTED", "SUBSETTED"];
/// Objections that an entity names; a document can have thousands, and every plugin call carries them.
const NAMED_MAX: usize = 32;

/// Digits of the digest in the id of a document that has none: 128 bits, which nobody meets by accident.
const ID_DIGITS: usize = 32;
pub(crate) const NOT_DATED: &str = "1970-01-01T00:00:00Z";

/// Reads a FHIR R4 Consent from its text.
///
/// `text` is one resource as JSON in UTF-8; the caller limits its length, to which memory and findings are
/// proportional. `now` is when it is read: what says that it was given later is an objection. `records` says
/// who is stored, as whom a document names must be, and who may sign for whom.
///
/// What comes of it is meant to be applied whole. [`Outcome::Directive`]: put [`Directive::entity`], show
/// [`Directive::unsupported`] to whoever sent it and to whoever resolves objections. [`Outcome::Other`]: remove
/// what had this id. An error: change nothing, and refuse the text with the error's message.
///
/// ```
/// use assent_fhir::{Outcome, Records, Settings, normalise};
///
/// let text = br#"{
///     "resourceType": "Consent",
///     "id": "c1",
///     "status": "active",
///     "scope": {"coding": [{
///         "system": "http://terminology.hl7.org/CodeSystem/consentscope",
///         "code": "patient-privacy"
///     }]},
///     "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
///     "patient": {"reference": "Patient/p1"},
///     "dateTime": "2026-01-05",
///     "provision": {"type": "permit", "data": []}
/// }"#;
/// let now = "2026-01-06T09:00:00Z".parse()?;
/// let records = Records { is_stored: &|_| true, represents: &|_, _| false };
/// let Outcome::Directive(directive) = normalise(text, &Settings::default(), now, &records)? else {
///     unreachable!("its scope is privacy");
/// };
/// assert_eq!(directive.entity["uid"], serde_json::json!({"type": "Consent", "id": "c1"}));
/// assert_eq!((&*directive.consent.id, &*directive.patient.id), ("c1", "p1"));
/// // An empty list is none of FHIR's: until somebody resolves that, the entity is an objection.
/// assert!(directive.is_objection());
/// assert_eq!(directive.entity["attrs"].get("base"), None);
/// assert_eq!(
///     directive.unsupported[0].to_string(),
///     "Consent.provision.data: not as FHIR R4 has it: expected a list with at least one item",
/// );
///
/// let nobody = br#"{"resourceType": "Consent", "id": "c1"}"#;
/// let error = normalise(nobody, &Settings::default(), now, &records).unwrap_err();
/// assert!(error.to_string().starts_with("`Consent.patient`: it cannot be told whose consent this is"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Only where no objection can be made of it: it is no JSON, no Consent, or of nobody who is stored.
pub fn normalise(
    text: &[u8],
    settings: &Settings,
    now: Instant,
    records: &Records<'_>,
) -> Result<Outcome, Unreadable> {
    let (value, found) = text::load(text, "Consent")?;
    let mut reader = Reader { settings, records, found, notes: Vec::new() };
    let unnamed =
        || format!("unnamed-{}", Digest::of(text).to_string().chars().take(ID_DIGITS).collect::<String>());
    reader.consent(&At { value: &value, path: "Consent".to_owned() }, now, unnamed)
}

/// The root's own elements.
struct Root<'a> {
    status: Status,
    given_at: String,
    provision: Option<Provision<'a>>,
    base: Option<Effect>,
    source: BaseSource,
    policies: Vec<&'a str>,
}

impl Reader<'_> {
    fn consent(
        &mut self,
        at: &At<'_>,
        now: Instant,
        unnamed: impl FnOnce() -> String,
    ) -> Result<Outcome, Unreadable> {
        if at.value.get("resourceType").and_then(Value::as_str) != Some("Consent") {
            return Err(Unreadable::NotAConsent);
        }
        let element = self.element(at, &CONSENT).ok_or(Unreadable::NotAConsent)?;
        // R5 made it a list.
        let is_list = element.members.get("provision").is_some_and(Value::is_array);
        if is_list {
            self.unsupported(element.path_of("provision"), Why::R5);
        }
        let is_r5 = is_list || element.members.keys().any(|name| CONSENT.has_in_r5(name));
        let patient =
            self.patient(&element, if is_r5 && element.has("subject") { "subject" } else { "patient" })?;
        let id = element.member("id").and_then(|at| at.text()).filter(|id| is_id(id));
        if id.is_none() {
            self.malformed(element.path_of("id"), "an id of 1 to 64 letters, digits, `-` and `.`");
        }
        let consent = EntityId::new("Consent", id.map_or_else(unnamed, str::to_owned));
        self.described_elements(&element);
        let other = if is_r5 { None } else { self.scope(&element) };
        // What is found from here on cannot change what it is about.
        let other = other.filter(|_| self.is_clean_since(0));
        let mut root = if is_r5 { self.r5_root(&element, now) } else { self.root(&element, now) };
        let is_clean = self.is_clean_since(0);
        let recipients = root.provision.as_ref().map(recipients).unwrap_or_default();
        let (nested, criteria) = match root.provision.take() {
            Some(provision) => (self.nested(provision.nested), provision.criteria),
            None => (Some(Vec::new()), Criteria::default()),
        };
        let rules = nested.filter(|_| is_clean).and_then(|nested| self.rules(root.base, criteria, &nested));
        let rules = rules.unwrap_or_default();
        let signed = self.signed_forms(&element, &root.policies, (&patient, &root.given_at), recipients);
        self.notes.sort_unstable();
        let unsupported = std::mem::take(&mut self.found).into_list();
        if let Some(scope) = other {
            return Ok(Outcome::Other(Box::new(Other { scope, consent, patient, unsupported })));
        }
        let mut attributes = Map::from_iter([
            ("patient".to_owned(), json!(patient)),
            ("status".to_owned(), root.status.as_str().into()),
            ("givenAt".to_owned(), root.given_at.into()),
            ("forms".to_owned(), json!([])),
        ]);
        attributes.extend(rules.attributes);
        if unsupported.is_empty() {
            attributes.extend(signed);
        } else {
            attributes.insert("unsupported".to_owned(), json!(named(&unsupported)));
        }
        let combining = match (unsupported.is_empty(), rules.is_within) {
            (false, _) => Combining::Objection,
            (true, true) => Combining::BaseWithinCriteria,
            (true, false) => Combining::ExceptionsToBase,
        };
        Ok(Outcome::Directive(Box::new(Directive {
            entity: json!({ "uid": consent, "attrs": attributes, "parents": [] }),
            consent,
            patient,
            status: root.status,
            base: root.base,
            rule: Rule { combining, base: root.source },
            unsupported,
            notes: std::mem::take(&mut self.notes),
            provenance: provenance(&element),
        })))
    }

    /// What else the consent is about; none: privacy, or it cannot be told.
    fn scope(&mut self, root: &Element<'_>) -> Option<OtherScope> {
        let Some(at) = root.member("scope") else {
            self.malformed(root.path_of("scope"), "a scope, such as `patient-privacy`");
            return None;
        };
        let malformed = self.found.malformed();
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
        if found.is_none() && self.found.malformed() == malformed {
            self.unsupported(at.path, Why::Scope);
        }
        found.filter(|_| self.found.malformed() == malformed)
    }

    fn root<'a>(&mut self, element: &Element<'a>, now: Instant) -> Root<'a> {
        if self.list(element, "category").is_empty() && !element.has("category") {
            self.malformed(element.path_of("category"), "at least one category");
        }
        // Of a status that cannot be read the one counts that objects.
        let status = element.member("status").and_then(|at| at.text()).and_then(Status::of);
        if status.is_none() {
            let expected =
                "a status: `draft`, `proposed`, `active`, `rejected`, `inactive` or `entered-in-error`";
            self.malformed(element.path_of("status"), expected);
        }
        let status = status.unwrap_or(Status::Active);
        self.verifications(element);
        let provision = element.member("provision").and_then(|at| self.provision(&at));
        let policies = self.policies(element);
        let (base, source) = self.base(element, provision.as_ref(), &policies);
        if let Some(provision) = provision.as_ref().filter(|provision| provision.effect.is_none()) {
            self.untyped_root(provision, base, element.path_of("provision"));
        }
        let given_at = self.given_at(element, "dateTime", now, base);
        Root { status, given_at, provision, base, source, policies }
    }

    /// A root without type that limits something: its policy's effect, or an exception to it?
    fn untyped_root(&mut self, provision: &Provision<'_>, base: Option<Effect>, path: String) {
        let criteria = &provision.criteria;
        if criteria.period.is_empty() && !criteria.limit_more_than_when() {
            return;
        }
        let contrary = base.map(|base| match base {
            Effect::Permit => Effect::Deny.as_str(),
            Effect::Deny => Effect::Permit.as_str(),
        });
        let is_contrary = |one: &At<'_>| one.value.get("type").and_then(Value::as_str) == contrary;
        let told =
            contrary.is_some() && !provision.nested.is_empty() && provision.nested.iter().all(is_contrary);
        let narrows = criteria.data.is_empty() && criteria.about.keys().all(|name| name == "purposes");
        if told && narrows {
            self.note(path, Remark::NarrowsPolicy);
        } else {
            self.unsupported(path, Why::Untyped);
        }
    }

    /// Of R5's shape only what an objection needs is read: whether it counts.
    fn r5_root<'a>(&mut self, element: &Element<'a>, now: Instant) -> Root<'a> {
        let status =
            element.member("status").and_then(|at| at.text()).and_then(Status::of).unwrap_or_else(|| {
                self.unsupported(element.path_of("status"), Why::R5);
                Status::Active
            });
        self.verifications(element);
        let date = if element.has("date") { "date" } else { "dateTime" };
        let given_at = self.given_at(element, date, now, None);
        let (base, source) = (None, BaseSource::Indeterminate);
        Root { status, given_at, provision: None, base, source, policies: Vec::new() }
    }

    /// Whose it is.
    fn patient(&mut self, root: &Element<'_>, name: &str) -> Result<EntityId, Unreadable> {
        let found = match root.member(name) {
            Some(at) => self.reference(&at, &["Patient"]),
            None => Err((root.path_of(name), Why::Malformed)),
        };
        found.map_err(|(path, why)| Unreadable::NoPatient { path, why })
    }

    /// When it was given. A refusal stands against permits that were not given later, so of a day it counts as
    /// the last moment, and a permit as the first. What cannot be told is 1970: it counts now in any case.
    fn given_at(&mut self, root: &Element<'_>, name: &str, now: Instant, base: Option<Effect>) -> String {
        let Some(Span { first, after, is_date }) = self.moment(root, name) else {
            if !root.has(name) {
                self.note(root.path_of(name), Remark::NotDated);
            }
            return NOT_DATED.to_owned();
        };
        if first.earliest > now {
            self.unsupported(root.path_of(name), Why::Future);
            return NOT_DATED.to_owned();
        }
        if is_date {
            self.note(root.path_of(name), Remark::AnyTimeZone);
        }
        let last = after.unwrap_or(first).latest.min(now);
        written(if is_date && base == Some(Effect::Deny) { last } else { first.earliest })
    }

    fn described_elements(&mut self, root: &Element<'_>) {
        for at in KEPT.into_iter().filter_map(|name| root.member(name)) {
            self.described(at);
        }
        if root.has("implicitRules") {
            self.unsupported(root.path_of("implicitRules"), Why::ImplicitRules);
        }
        let text = root.member("text").and_then(|at| self.element(&at, &NARRATIVE));
        if let Some(text) = text
            && self.text(&text, "status") == Some("additional")
        {
            self.unsupported(text.path_of("status"), Why::Narrative);
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
    }

    fn verifications(&mut self, root: &Element<'_>) {
        for at in self.list(root, "verification") {
            let Some(element) = self.element(&at, &VERIFICATION) else { continue };
            if let Some(with) = element.member("verifiedWith") {
                self.described(with);
            }
            match element.members.get("verified") {
                Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => self.unsupported(element.path_of("verified"), Why::NotVerified),
                _ => self.malformed(element.path_of("verified"), "`true` or `false`"),
            }
        }
    }
}

/// The first objections as sentences, and how many there are beside them.
fn named(unsupported: &[Unsupported]) -> Vec<String> {
    let mut named: Vec<String> = unsupported.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if let Some(more) = unsupported.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        named.push(format!("Consent: {more} more"));
    }
    named
}

fn provenance(root: &Element<'_>) -> Map<String, Value> {
    let names = READ_AND_KEPT.into_iter().chain(KEPT);
    names.filter_map(|name| Some((name.to_owned(), root.members.get(name)?.clone()))).collect()
}
