//! What the rule needs to know of a request, and how that becomes the input of the decision table.
//!
//! INVARIANT (unreadable is unknown): a value that the vocabulary does not have is treated as not
//! known, and what is not known protects the minor or denies.

use assent_plugin_sdk::prelude::*;

use crate::input::{
    ConfidentialBasis, Decided, Flags, Function, Input, Kind, MinorConsented, Organization, Patient,
    Requested, Resource, Subject, SubjectKind, TeenGrant, TestResult,
};
use crate::settings::day;

facts! {
    /// What the rule needs to know.
    pub struct Facts {
        birth_date: Option<Date> = "patient.birthDate",
        state: Option<String> = "patient.state",
        emancipated: Option<bool> = "patient.emancipated",
        status_minor: Option<String> = "patient.statusMinor",
        diminished_capacity: Option<bool> = "patient.diminishedCapacity",
        teen_grant: Option<String> = "patient.teenGrant",
        teen_requests_representative: Option<bool> = "patient.teenRequestsRepresentative",
        teen_consents_part2: Option<bool> = "patient.teenConsentsPart2Disclosure",
        harm_flag: Option<bool> = "patient.harmFlag",
        identity_proofed: Option<bool> = "subject.identityProofed",
        categories: Option<Set<String>> = "resource.categories",
        labels: Option<Set<String>> = "resource.labels",
        function: Option<String> = "resource.function",
        service_state: Option<String> = "resource.serviceState",
        encounter_state: Option<String> = "resource.encounter.state",
        encounter: Option<EntityId> = "resource.encounter",
        service_date: Option<Instant> = "resource.serviceDate",
        service_started: Option<Instant> = "resource.serviceStartedAt",
        session_count: Option<i64> = "resource.sessionCount",
        medication: Option<bool> = "resource.medication",
        test_result: Option<String> = "resource.testResult",
        minor_consented: Option<String> = "resource.minorConsented",
        alternative_consent: Option<bool> = "resource.alternativeLawfulConsent",
        confidentiality_agreement: Option<bool> = "resource.confidentialityAgreement",
        part2: Option<bool> = "resource.part2",
        confidential_note: Option<bool> = "resource.confidentialNote",
        confidential_basis: Option<String> = "resource.confidentialBasis",
        harm_statement: Option<bool> = "resource.harmStatement",
        statutory_exception: Option<bool> = "resource.statutoryExceptionRecorded",
        teen_authored: Option<bool> = "resource.teenAuthored",
        scope: Option<String> = "context.scope",
        grants: Vec<Grant>,
        decisions: Vec<DisclosureDecision>,
    }
}

relation! {
    /// A person's standing to act for a patient.
    pub struct Grant: "ProxyGrant" {
        relationship: Option<String> = "relationship",
        verified: Option<bool> = "verified",
        start: Option<Instant> = "start",
        end: Option<Instant> = "end",
        recertify_by: Option<Instant> = "recertifyBy",
        revoked: Option<bool> = "revoked",
        delegation_by_parent: Option<bool> = "delegationByParent",
        court_order_no_access: Option<bool> = "courtOrderNoAccess",
        rights_terminated: Option<bool> = "rightsTerminated",
        endangerment: Option<bool> = "endangerment",
        adult_authorization: Option<Set<String>> = "adultAuthorizationCategories",
    }
}

/// An item of which nobody says what category of care it belongs to.
pub const UNCATEGORIZED: &str = "uncategorized";

/// What the answer to a search may hold where nobody says: general care, every category that the
/// table of law knows for patients, and whatever it does not know.
const ANYTHING: &[&str] = &[
    "outpatient_mental_health",
    "substance_use",
    "sti_hiv",
    "contraception",
    "prenatal",
    "hiv",
    "intimate_partner_violence",
    UNCATEGORIZED,
];

/// HL7 sensitivity labels that put a record into a category of care, whatever else it says. Those
/// without a category in the table of law name one that is not in it.
const LABELS: &[(&str, &str)] = &[
    ("SUD", "substance_use"),
    ("ETH", "substance_use"),
    ("ETHUD", "substance_use"),
    ("OPIOIDUD", "substance_use"),
    ("HIV", "hiv"),
    ("STD", "sti_hiv"),
    ("BH", "outpatient_mental_health"),
    ("MH", "outpatient_mental_health"),
    ("PSY", "outpatient_mental_health"),
    ("PSYTHPN", "outpatient_mental_health"),
    ("EMOTDIS", "outpatient_mental_health"),
    ("PREGNANT", "prenatal"),
    ("SEX", "sexual_health"),
    ("SDV", "violence"),
    ("VIO", "violence"),
    ("GENDER", "gender_affirming"),
    ("ADOL", "adolescent_confidential"),
];

/// Whether the rule has anything to say to this subject: patients and persons who act for them.
pub fn concerns(request: &Request) -> bool {
    matches!(request.subject.kind.as_str(), "Patient" | "RelatedPerson")
}

impl Facts {
    /// The input of the decision table.
    pub fn input<'a>(
        &'a self,
        request: &'a Request,
        organization: &'a Organization,
        leap_day: LeapDay,
    ) -> Input<'a> {
        let today = request.today.known().copied();
        let kind = self.kind(request);
        Input {
            subject: self.subject(request),
            patient: self.patient(today, leap_day),
            resource: self.resource(request, kind, today),
            flags: Flags {
                court_order_no_access: self.any_grant(|grant| grant.court_order_no_access),
                rights_terminated: self.any_grant(|grant| grant.rights_terminated),
                endangerment: self.any_grant(|grant| grant.endangerment),
                patient_harm: self.harm_flag == Some(true),
                decisions: self.decisions_in_force(request, kind),
            },
            organization,
            today: today.map(day),
        }
    }

    /// What stands against a person stands, whichever of their grants it is written on, and even if
    /// that grant has ended.
    fn any_grant(&self, flag: fn(&Grant) -> Option<bool>) -> bool {
        self.grants.iter().any(|grant| flag(grant) == Some(true))
    }

    fn subject<'a>(&'a self, request: &Request) -> Subject<'a> {
        let own = request.patient.as_ref() == Some(&request.subject);
        let kind = match (&request.patient, own) {
            (None, _) => None,
            (Some(_), true) => Some(SubjectKind::Own),
            (Some(_), false) => Some(SubjectKind::Proxy),
        };
        let verified = || self.grants.iter().filter(|grant| grant.verified == Some(true));
        let unrevoked = || verified().filter(|grant| grant.revoked != Some(true));
        let holding: Vec<&Grant> = unrevoked().filter(|grant| grant.holds(request.now)).collect();
        let representative = holding.iter().find(|grant| is_representative(grant.relationship()));
        Subject {
            kind,
            relationship: representative.or(holding.first()).map_or("", |grant| grant.relationship()),
            relationship_verified: verified().next().is_some(),
            identity_proofed: self.identity_proofed == Some(true),
            proxy_expired: holding.is_empty(),
            proxy_revoked: unrevoked().next().is_none(),
            delegation_by_parent: holding.iter().any(|grant| grant.delegation_by_parent == Some(true)),
            adult_authorization: holding
                .iter()
                .filter_map(|grant| grant.adult_authorization.as_ref())
                .flatten()
                .map(String::as_str)
                .collect(),
        }
    }

    fn patient(&self, today: Option<Date>, leap_day: LeapDay) -> Patient<'_> {
        let age = self.birth_date.zip(today).and_then(|(born, today)| born.age_on_with(today, leap_day));
        let (status_minor, readable) = match self.status_minor.as_deref() {
            None | Some("") => (false, true),
            Some("married" | "military" | "parent" | "living-apart") => (true, true),
            Some(_) => (false, false),
        };
        Patient {
            age: age.filter(|_| readable),
            state: self.state.as_deref().unwrap_or_default(),
            emancipated: self.emancipated == Some(true),
            status_minor,
            diminished_capacity: self.diminished_capacity == Some(true),
            teen_grant: match self.teen_grant.as_deref() {
                Some("messages") => TeenGrant::Messages,
                Some("standard") => TeenGrant::Standard,
                Some("full") => TeenGrant::Full,
                Some(_) | None => TeenGrant::None,
            },
            teen_requests_representative: self.teen_requests_representative == Some(true),
            teen_consents_part2_disclosure: self.teen_consents_part2 == Some(true),
        }
    }

    fn kind(&self, request: &Request) -> Kind {
        let list = request.action == "search"
            || matches!(request.resource.kind.as_str(), "Bundle" | "DataSet")
            || self.scope.as_deref() == Some("list");
        if list { Kind::List } else { Kind::Item }
    }

    fn resource<'a>(&'a self, request: &Request, kind: Kind, today: Option<Date>) -> Resource<'a> {
        let harm = self.harm_statement == Some(true);
        // The day in UTC: a service has no zone of its own. It decides only whether a row of law was in
        // force, and how long a treatment lasted.
        let service_date = self.service_date.and_then(Instant::date_utc);
        let started = self.service_started.and_then(Instant::date_utc);
        let service_state = self.service_state.as_deref().or(self.encounter_state.as_deref());
        Resource {
            categories: self.requested(request, kind),
            kind,
            function: self.portal_function(request),
            service_state: service_state.unwrap_or_default(),
            service_date: service_date.map(day),
            minor_consented: match self.minor_consented.as_deref() {
                Some("yes") => MinorConsented::Yes,
                Some("no") => MinorConsented::No,
                Some(_) | None => MinorConsented::Unknown,
            },
            alternative_lawful_consent: self.alternative_consent == Some(true),
            confidentiality_agreement: self.confidentiality_agreement == Some(true),
            part2: self.part2 == Some(true),
            confidential_note: self.confidential_note == Some(true),
            confidential_basis: match self.confidential_basis.as_deref() {
                Some("harm") => Some(ConfidentialBasis::Harm),
                Some("agreement") => Some(ConfidentialBasis::Agreement),
                Some("court") => Some(ConfidentialBasis::Court),
                Some("psychotherapy") => Some(ConfidentialBasis::Psychotherapy),
                Some("minor_consent") => Some(ConfidentialBasis::MinorConsent),
                Some(_) | None => None,
            },
            teen_authored: self.teen_authored == Some(true),
            statutory_exception: self.statutory_exception == Some(true),
            harm_statement: harm,
            harm_item: harm,
            sessions: self.session_count,
            days: started.zip(service_date.or(today)).map(|(from, to)| from.days_until(to)),
            medication: self.medication == Some(true),
            test_result: match self.test_result.as_deref() {
                Some("positive") => Some(TestResult::Positive),
                Some("negative") => Some(TestResult::Negative),
                Some(_) | None => None,
            },
        }
    }

    /// What a person hands in, and the patient's own demographic data, counts as forms.
    fn portal_function(&self, request: &Request) -> Function {
        match self.function.as_deref() {
            Some("messaging") => Function::Messaging,
            Some("scheduling") => Function::Scheduling,
            Some("immunization") => Function::Immunization,
            Some("billing") => Function::Billing,
            Some("forms") => Function::Forms,
            Some("proxy_admin") => Function::ProxyAdmin,
            None if matches!(request.resource.kind.as_str(), "Patient" | "NewResource") => Function::Forms,
            Some(_) | None => Function::Clinical,
        }
    }

    fn requested<'a>(&'a self, request: &Request, kind: Kind) -> Vec<Requested<'a>> {
        let named = self.categories.iter().flatten().map(String::as_str);
        let mut codes: Vec<&str> = named.filter(|code| !code.is_empty()).collect();
        for (label, category) in LABELS {
            if self.labels.as_ref().is_some_and(|labels| labels.has(*label)) && !codes.contains(category) {
                codes.push(category);
            }
        }
        if !codes.is_empty() {
            return codes.into_iter().map(|code| Requested { code, implied: false }).collect();
        }
        let categorized = self.categories.is_some();
        let labelled = self.labels.as_ref().is_some_and(|labels| !labels.is_empty());
        let general = Requested { code: "general", implied: false };
        match request.resource.kind.as_str() {
            // Data about the person, and what a person is about to hand in.
            "Patient" | "NewResource" => vec![general],
            // Labelled as ordinary, where categories are not recorded at all.
            _ if labelled && !categorized => vec![general],
            _ if kind == Kind::List => {
                let anything = ANYTHING.iter().map(|code| Requested { code, implied: true });
                std::iter::once(general).chain(anything).collect()
            }
            _ => vec![Requested { code: UNCATEGORIZED, implied: false }],
        }
    }

    /// Decisions about this service and this person that hold now, by somebody with a licence. In a
    /// list, one that withholds a single service withholds the category, and one that discloses a
    /// single service does not disclose it.
    fn decisions_in_force<'a>(&'a self, request: &Request, kind: Kind) -> Vec<Decided<'a>> {
        let encounter = self.encounter.as_ref().map_or("", |encounter| encounter.id.as_str());
        let in_force = self.decisions.iter().filter(|decision| {
            decision.decided_at <= request.now
                && decision.expires_at.is_none_or(|expires| request.now < expires)
                && decision.recipient.as_ref().is_none_or(|recipient| *recipient == request.subject)
                && !decision.licence.trim().is_empty()
                && decision.author != request.subject
        });
        let about_this = in_force.filter(|decision| {
            let service = decision.service.as_str();
            let this = service.is_empty() || service == request.resource.id || service == encounter;
            match (decision.disclosure, kind) {
                (Disclosure::Disclose, Kind::List) => service.is_empty(),
                (Disclosure::Withhold, Kind::List) => true,
                (Disclosure::Disclose | Disclosure::Withhold, Kind::Item) => this,
            }
        });
        about_this
            .map(|decision| Decided {
                category: &decision.category,
                disclose: match decision.disclosure {
                    Disclosure::Disclose => true,
                    Disclosure::Withhold => false,
                },
            })
            .collect()
    }
}

impl Grant {
    fn relationship(&self) -> &str {
        self.relationship.as_deref().unwrap_or_default()
    }

    /// From its start, up to but not including its end or the day by which somebody must recertify it.
    fn holds(&self, now: Instant) -> bool {
        self.start.is_some_and(|start| start <= now)
            && self.end.is_none_or(|end| now < end)
            && self.recertify_by.is_none_or(|by| now < by)
    }
}

/// Relationships that make a person the minor's representative.
pub(crate) fn is_representative(relationship: &str) -> bool {
    matches!(relationship, "parent" | "guardian" | "court-custodian" | "in-loco-parentis")
}
