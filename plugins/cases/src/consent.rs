//! Consents as cases write them.
//!
//! Codes are written short: `TREAT` is of v3-ActReason, `R` of v3-Confidentiality, `SUD` of v3-ActCode; a bar
//! names another system (`urn:other|X`). Actors are `Practitioner::dr-b` (role IRCP), `CST Organization::x`,
//! or `- Organization::x` for one without a role.

use std::collections::BTreeMap;

use assent_plugin_sdk::prelude::*;
use assent_plugin_sdk::testing::instant;

use crate::id;

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// A consent: active, given on 1 January 2026 and signed by the patient, where a case does not say otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the member of the contract's consent")]
pub struct Given {
    pub id: Option<String>,
    pub status: Option<String>,
    pub given: Option<String>,
    pub forms: Vec<String>,
    pub signed_by: Option<Vec<String>>,
    pub categories: Vec<String>,
    pub recipients: Vec<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub base: Option<String>,
    pub provisions: Vec<GivenProvision>,
    /// For what cannot be nested as written: the positions of parents, in place of nesting.
    pub parents: BTreeMap<String, u32>,
    pub unsupported: Vec<String>,
}

/// A provision of a consent, with those nested in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is the member of the contract's provision")]
pub struct GivenProvision {
    pub effect: String,
    pub start: Option<String>,
    pub end: Option<String>,
    pub data_start: Option<String>,
    pub data_end: Option<String>,
    pub actors: Vec<String>,
    pub actions: Vec<String>,
    pub purposes: Vec<String>,
    pub classes: Vec<String>,
    pub codes: Vec<String>,
    pub labels: Vec<String>,
    pub data: Vec<String>,
    /// The exceptions nested in it.
    pub but: Vec<GivenProvision>,
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
    /// The consent; `at` makes its id where it has none.
    pub fn consent(&self, at: usize) -> Consent {
        let mut provisions = Vec::new();
        flatten(&self.provisions, None, &mut provisions);
        for (position, parent) in &self.parents {
            let at = position.parse::<usize>().unwrap();
            provisions.get_mut(at).unwrap_or_else(|| panic!("no provision {at}")).parent = Some(*parent);
        }
        let signers = self.signed_by.clone().unwrap_or_else(|| vec!["Patient::p1".to_owned()]);
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
            signed_by: signers.iter().map(|signer| id(signer)).collect(),
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
    /// The provision, without those nested in it.
    pub fn provision(&self, parent: Option<u32>) -> Provision {
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
        let label = |code: &str| match code {
            "U" | "L" | "M" | "N" | "R" | "V" => CONFIDENTIALITY,
            _ => ACT_CODE,
        };
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
