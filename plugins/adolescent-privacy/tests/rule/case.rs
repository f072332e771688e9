//! The format of the case files, and the two ways to put a case: to the decision table itself, and
//! through the SDK, as facts of a request.

use assent_adolescent_privacy::input::{
    ConfidentialBasis, Decided, Flags, Function, Input, Kind, MinorConsented, Organization, Patient,
    Requested, Resource, Subject, SubjectKind, TeenGrant, TestResult,
};
use assent_adolescent_privacy::settings::Settings;
use assent_law::minor_consent::Day;
use assent_plugin_sdk::prelude::{Disclosure, DisclosureDecision};
use assent_plugin_sdk::testing::{TestRelation, TestRequest, date, entity, instant, texts};
use serde::Deserialize;

/// The day of every case.
pub(crate) const TODAY: (u16, u8, u8) = (2026, 11, 21);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    pub(crate) case: Vec<Case>,
}

/// One case; what is left out is a verified parent, a Californian of 14, one item of general care.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// The line of the table that would decide, but for one fact of this case.
    pub(crate) instead_of: Option<String>,
    #[serde(default)]
    subject: CaseSubject,
    #[serde(default)]
    patient: CasePatient,
    #[serde(default)]
    resource: CaseResource,
    #[serde(default)]
    flags: CaseFlags,
    #[serde(default)]
    org: toml::Table,
    pub(crate) expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) decision: String,
    pub(crate) rule: String,
    #[serde(default)]
    pub(crate) obligations: Vec<String>,
    #[serde(default)]
    pub(crate) mask_categories: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseSubject {
    kind: String,
    #[serde(default)]
    relationship: String,
    #[serde(default)]
    relationship_verified: bool,
    #[serde(default)]
    identity_proofed: bool,
    #[serde(default)]
    proxy_expired: bool,
    #[serde(default)]
    proxy_revoked: bool,
    #[serde(default)]
    delegation_by_parent: bool,
    #[serde(default)]
    adult_authorization: Vec<String>,
}

impl Default for CaseSubject {
    fn default() -> Self {
        Self {
            kind: "proxy".into(),
            relationship: "parent".into(),
            relationship_verified: true,
            identity_proofed: false,
            proxy_expired: false,
            proxy_revoked: false,
            delegation_by_parent: false,
            adult_authorization: vec![],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CasePatient {
    age: Option<u32>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    emancipated: bool,
    #[serde(default)]
    status_minor: bool,
    #[serde(default)]
    diminished_capacity: bool,
    teen_grant: Option<String>,
    #[serde(default)]
    teen_requests_parent_as_rep: bool,
    #[serde(default)]
    teen_consents_part2_disclosure: bool,
}

impl Default for CasePatient {
    fn default() -> Self {
        Self {
            age: Some(14),
            state: "CA".into(),
            emancipated: false,
            status_minor: false,
            diminished_capacity: false,
            teen_grant: None,
            teen_requests_parent_as_rep: false,
            teen_consents_part2_disclosure: false,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseResource {
    categories: Vec<String>,
    kind: Option<String>,
    function: Option<String>,
    service_state: Option<String>,
    minor_consented: Option<String>,
    #[serde(default)]
    alternative_lawful_consent: bool,
    #[serde(default)]
    confidentiality_agreement: bool,
    #[serde(default)]
    part2: bool,
    #[serde(default)]
    confidential_note: bool,
    confidential_basis: Option<String>,
    #[serde(default)]
    teen_authored_message: bool,
    sessions: Option<i64>,
    days: Option<i64>,
    #[serde(default)]
    medication: bool,
    test_result: Option<String>,
}

impl Default for CaseResource {
    fn default() -> Self {
        toml::from_str("categories = [\"general\"]").unwrap()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFlags {
    #[serde(default)]
    court_order_no_access: bool,
    #[serde(default)]
    rights_terminated: bool,
    #[serde(default)]
    endangerment: bool,
    #[serde(default)]
    patient_harm: bool,
    #[serde(default)]
    harm_statement: bool,
    #[serde(default)]
    harm_item: bool,
    #[serde(default)]
    statutory_exception_recorded: bool,
    clinician_decision: Option<String>,
}

impl Case {
    /// The settings, as an organization would write them.
    pub(crate) fn settings(&self) -> serde_json::Value {
        serde_json::to_value(&self.org).unwrap()
    }

    pub(crate) fn organization(&self) -> Organization {
        serde_json::from_value::<Settings>(self.settings()).unwrap().organization().unwrap()
    }

    /// The case as input of the decision table.
    pub(crate) fn input<'a>(&'a self, organization: &'a Organization) -> Input<'a> {
        let (subject, patient, resource, flags) = (&self.subject, &self.patient, &self.resource, &self.flags);
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        Input {
            subject: Subject {
                kind: match subject.kind.as_str() {
                    "self" => Some(SubjectKind::Own),
                    "proxy" => Some(SubjectKind::Proxy),
                    _ => None,
                },
                relationship: &subject.relationship,
                relationship_verified: subject.relationship_verified,
                identity_proofed: subject.identity_proofed,
                proxy_expired: subject.proxy_expired,
                proxy_revoked: subject.proxy_revoked,
                delegation_by_parent: subject.delegation_by_parent,
                adult_authorization: subject.adult_authorization.iter().map(String::as_str).collect(),
            },
            patient: Patient {
                age: patient.age,
                state: &patient.state,
                emancipated: patient.emancipated,
                status_minor: patient.status_minor,
                diminished_capacity: patient.diminished_capacity,
                teen_grant: match text(&patient.teen_grant) {
                    "messages" => TeenGrant::Messages,
                    "standard" => TeenGrant::Standard,
                    "full" => TeenGrant::Full,
                    _ => TeenGrant::None,
                },
                teen_requests_representative: patient.teen_requests_parent_as_rep,
                teen_consents_part2_disclosure: patient.teen_consents_part2_disclosure,
            },
            resource: Resource {
                categories: resource
                    .categories
                    .iter()
                    .map(|code| Requested { code, implied: false })
                    .collect(),
                kind: if text(&resource.kind) == "list" { Kind::List } else { Kind::Item },
                function: match text(&resource.function) {
                    "messaging" => Function::Messaging,
                    "scheduling" => Function::Scheduling,
                    "immunization" => Function::Immunization,
                    "billing" => Function::Billing,
                    "forms" => Function::Forms,
                    "proxy_admin" => Function::ProxyAdmin,
                    _ => Function::Clinical,
                },
                service_state: resource.service_state.as_deref().unwrap_or(&patient.state),
                service_date: None,
                minor_consented: match text(&resource.minor_consented) {
                    "yes" => MinorConsented::Yes,
                    "no" => MinorConsented::No,
                    _ => MinorConsented::Unknown,
                },
                alternative_lawful_consent: resource.alternative_lawful_consent,
                confidentiality_agreement: resource.confidentiality_agreement,
                part2: resource.part2,
                confidential_note: resource.confidential_note,
                confidential_basis: match text(&resource.confidential_basis) {
                    "harm" => Some(ConfidentialBasis::Harm),
                    "agreement" => Some(ConfidentialBasis::Agreement),
                    "court" => Some(ConfidentialBasis::Court),
                    "psychotherapy" => Some(ConfidentialBasis::Psychotherapy),
                    "minor_consent" => Some(ConfidentialBasis::MinorConsent),
                    _ => None,
                },
                teen_authored: resource.teen_authored_message,
                statutory_exception: flags.statutory_exception_recorded,
                harm_statement: flags.harm_statement,
                harm_item: flags.harm_item,
                sessions: resource.sessions,
                days: resource.days,
                medication: resource.medication,
                test_result: match text(&resource.test_result) {
                    "positive" => Some(TestResult::Positive),
                    "negative" => Some(TestResult::Negative),
                    _ => None,
                },
            },
            flags: Flags {
                court_order_no_access: flags.court_order_no_access,
                rights_terminated: flags.rights_terminated,
                endangerment: flags.endangerment,
                patient_harm: flags.patient_harm,
                decisions: match flags.clinician_decision.as_deref() {
                    None => vec![],
                    Some(decision) => {
                        let disclose = decision == "permit";
                        resource.categories.iter().map(|category| Decided { category, disclose }).collect()
                    }
                },
            },
            organization,
            today: Some(Day { year: TODAY.0, month: TODAY.1, day: TODAY.2 }),
        }
    }

    /// The case as facts of a request: today is the patient's birthday.
    pub(crate) fn request(&self) -> TestRequest {
        let (subject, patient, resource, flags) = (&self.subject, &self.patient, &self.resource, &self.flags);
        let mut request = TestRequest::new("read")
            .now(instant("2026-11-21T20:00:00Z"))
            .today(date("2026-11-21"))
            .patient("patient-1")
            .resource("Observation", "observation-1");
        if subject.kind == "self" {
            request = request.subject("Patient", "patient-1");
        } else {
            request = request.subject("RelatedPerson", "person-1").relation(self.grant());
        }
        if let Some(age) = patient.age {
            request = request.attribute("patient.birthDate", date(&format!("{}-11-21", 2026 - age)));
        }
        if !patient.state.is_empty() {
            let service = resource.service_state.as_ref().unwrap_or(&patient.state);
            request = request
                .attribute("patient.state", patient.state.as_str())
                .attribute("resource.serviceState", service.as_str());
        }
        request = request
            .attribute("resource.categories", texts(resource.categories.iter().map(String::as_str)))
            .attribute("context.scope", resource.kind.as_deref().unwrap_or("item"))
            .attribute("subject.identityProofed", subject.identity_proofed)
            .attribute("resource.function", resource.function.as_deref().unwrap_or("clinical"))
            .attribute("resource.minorConsented", resource.minor_consented.as_deref().unwrap_or("unknown"));
        let consented = patient.teen_consents_part2_disclosure;
        for (path, flag) in [
            ("patient.emancipated", patient.emancipated),
            ("patient.diminishedCapacity", patient.diminished_capacity),
            ("patient.teenRequestsRepresentative", patient.teen_requests_parent_as_rep),
            ("patient.teenConsentsPart2Disclosure", consented),
            ("patient.harmFlag", flags.patient_harm),
            ("resource.alternativeLawfulConsent", resource.alternative_lawful_consent),
            ("resource.confidentialityAgreement", resource.confidentiality_agreement),
            ("resource.part2", resource.part2),
            ("resource.confidentialNote", resource.confidential_note),
            ("resource.teenAuthored", resource.teen_authored_message),
            ("resource.medication", resource.medication),
            ("resource.harmStatement", flags.harm_statement),
            ("resource.statutoryExceptionRecorded", flags.statutory_exception_recorded),
        ] {
            if flag {
                request = request.attribute(path, true);
            }
        }
        if patient.status_minor {
            request = request.attribute("patient.statusMinor", "married");
        }
        for (path, text) in [
            ("patient.teenGrant", &patient.teen_grant),
            ("resource.confidentialBasis", &resource.confidential_basis),
            ("resource.testResult", &resource.test_result),
        ] {
            if let Some(text) = text {
                request = request.attribute(path, text.as_str());
            }
        }
        if let Some(sessions) = resource.sessions {
            request = request.attribute("resource.sessionCount", sessions);
        }
        if let Some(days) = resource.days {
            let from = date("2026-11-21").add_days(-days).unwrap();
            request = request.attribute("resource.serviceStartedAt", instant(&format!("{from}T09:00:00Z")));
        }
        if let Some(decision) = &flags.clinician_decision {
            for category in &resource.categories {
                let disclosure =
                    if decision == "permit" { Disclosure::Disclose } else { Disclosure::Withhold };
                request = request.decision(decided(category, disclosure));
            }
        }
        request
    }

    fn grant(&self) -> TestRelation {
        let (subject, flags) = (&self.subject, &self.flags);
        let end = if subject.proxy_expired { "2026-11-21T20:00:00Z" } else { "2027-11-21T00:00:00Z" };
        let authorized = texts(subject.adult_authorization.iter().map(String::as_str));
        TestRelation::new("ProxyGrant", "grant-1")
            .attribute("relationship", subject.relationship.as_str())
            .attribute("verified", subject.relationship_verified)
            .attribute("start", instant("2020-01-01T00:00:00Z"))
            .attribute("end", instant(end))
            .attribute("revoked", subject.proxy_revoked)
            .attribute("delegationByParent", subject.delegation_by_parent)
            .attribute("adultAuthorizationCategories", authorized)
            .attribute("courtOrderNoAccess", flags.court_order_no_access)
            .attribute("rightsTerminated", flags.rights_terminated)
            .attribute("endangerment", flags.endangerment)
    }
}

/// A professional's decision on a category that holds on the day of the cases.
pub(crate) fn decided(category: &str, disclosure: Disclosure) -> DisclosureDecision {
    DisclosureDecision {
        id: "decision-1".into(),
        category: category.into(),
        service: String::new(),
        recipient: None,
        disclosure,
        author: entity("Practitioner", "dr-1"),
        licence: "A12345".into(),
        reason: "treatment-involvement".into(),
        decided_at: instant("2026-11-20T00:00:00Z"),
        expires_at: Some(instant("2026-11-28T00:00:00Z")),
    }
}
