//! What the rule needs to know, and what follows from it without any judgement.

use assent_plugin_sdk::prelude::*;

relation! {
    /// A person's standing to act for the patient.
    pub struct Proxy: "ProxyGrant" {
        /// Whether the standing has been verified.
        verified: Fact<bool> = "verified",
        /// When it begins.
        start: Fact<Instant> = "start",
        /// When it ends.
        end: Option<Instant> = "end",
        /// Whether it has been revoked.
        revoked: Option<bool> = "revoked",
    }
}

relation! {
    /// An app's authorization by the patient.
    pub struct AppGrant: "AppGrant" {
        /// When it begins.
        start: Fact<Instant> = "start",
        /// When it ends.
        end: Option<Instant> = "end",
        /// Whether it has been revoked.
        revoked: Option<bool> = "revoked",
    }
}

facts! {
    /// What the rule needs to know.
    pub struct Facts {
        /// `patient-directed` for the patient's own app.
        subject_category: Option<String> = "subject.category",
        /// Standing to act for the patient.
        proxies: Vec<Proxy>,
        /// The patient's authorization of the app that asks.
        app_grants: Vec<AppGrant>,

        /// How many records leave.
        record_count: Option<i64> = "resource.recordCount",
        /// What exactly leaves.
        digest: Option<String> = "resource.digest",
        /// Its security labels.
        labels: Fact<Set<String>> = "resource.labels",
        /// Whether identifiers have been removed.
        deidentified: Option<bool> = "resource.deidentified",
        /// Whether it is invented.
        synthetic: Option<bool> = "resource.synthetic",
        /// Where the data lives; absent: in production.
        environment: Option<String> = "resource.environment",
        /// Whose data it is.
        owner: Option<EntityId> = "resource.organization",

        /// Why the person wants it.
        justification: Option<String> = "context.justification",
        /// The approvals the person has asked for.
        approvals: Vec<Approval> = "export",

        /// How it leaves: `file`, `print`, `direct`, `fhir`, `portal`.
        channel: Option<String> = "context.destination.channel",
        /// The environment it goes to.
        destination_environment: Fact<String> = "context.destination.environment",
        /// The country it goes to.
        destination_country: Option<String> = "context.destination.country",
        /// Who receives it.
        recipient: Option<EntityId> = "context.destination.organization",
        /// What the recipient is: `provider`, `payer`, `vendor`, ...
        recipient_category: Option<String> = "context.destination.organization.category",
        /// The country the recipient is in.
        recipient_country: Option<String> = "context.destination.organization.country",

        // The recipient's agreement, then those of the ones who answer for it. A path cannot say
        // "and so on": three links, and a longer chain is refused.
        /// Status of the recipient's agreement.
        status_0: Option<String> = "context.destination.organization.businessAssociateStatus",
        /// Its beginning.
        from_0: Option<Instant> = "context.destination.organization.businessAssociateFrom",
        /// Its end.
        until_0: Option<Instant> = "context.destination.organization.businessAssociateUntil",
        /// Its purposes.
        purposes_0: Option<Set<String>> = "context.destination.organization.businessAssociatePurposes",
        /// Whether the recipient is quarantined.
        quarantined_0: Option<bool> = "context.destination.organization.quarantined",
        /// Who answers for the recipient.
        answerable_0: Option<EntityId> = "context.destination.organization.subcontractorOf",
        /// Status of that one's agreement.
        status_1: Option<String> =
            "context.destination.organization.subcontractorOf.businessAssociateStatus",
        /// Its beginning.
        from_1: Option<Instant> = "context.destination.organization.subcontractorOf.businessAssociateFrom",
        /// Its end.
        until_1: Option<Instant> = "context.destination.organization.subcontractorOf.businessAssociateUntil",
        /// Its purposes.
        purposes_1: Option<Set<String>> =
            "context.destination.organization.subcontractorOf.businessAssociatePurposes",
        /// Whether that one is quarantined.
        quarantined_1: Option<bool> = "context.destination.organization.subcontractorOf.quarantined",
        /// Who answers for that one.
        answerable_1: Option<EntityId> = "context.destination.organization.subcontractorOf.subcontractorOf",
        /// Status of that one's agreement.
        status_2: Option<String> =
            "context.destination.organization.subcontractorOf.subcontractorOf.businessAssociateStatus",
        /// Its beginning.
        from_2: Option<Instant> =
            "context.destination.organization.subcontractorOf.subcontractorOf.businessAssociateFrom",
        /// Its end.
        until_2: Option<Instant> =
            "context.destination.organization.subcontractorOf.subcontractorOf.businessAssociateUntil",
        /// Its purposes.
        purposes_2: Option<Set<String>> =
            "context.destination.organization.subcontractorOf.subcontractorOf.businessAssociatePurposes",
        /// Whether that one is quarantined.
        quarantined_2: Option<bool> =
            "context.destination.organization.subcontractorOf.subcontractorOf.quarantined",
        /// Who answers for that one: one link too many.
        answerable_2: Option<EntityId> =
            "context.destination.organization.subcontractorOf.subcontractorOf.subcontractorOf",
    }
}

/// Resources that are one record each; of any other kind the request must say how many it is.
const SINGLE_RECORDS: [&str; 4] =
    ["DocumentReference", "Observation", "DiagnosticReport", "ExplanationOfBenefit"];

impl Facts {
    /// How many records leave, where that is known.
    pub(crate) fn records(&self, request: &Request) -> Option<u64> {
        match self.record_count {
            // A negative count is no count.
            Some(count) => u64::try_from(count).ok(),
            None => SINGLE_RECORDS.contains(&request.resource.kind.as_str()).then_some(1),
        }
    }

    /// What an approval must name: the digest of what leaves, else the resource's id.
    pub(crate) fn data_set<'a>(&'a self, request: &'a Request) -> &'a str {
        self.digest.as_deref().unwrap_or(&request.resource.id)
    }

    /// Whether people ask for their own record, a representative for the patient's, or the patient's
    /// own app for them. Whether they may is decided elsewhere.
    pub(crate) fn is_own_access(&self, request: &Request) -> bool {
        let Some(patient) = &request.patient else { return false };
        let now = request.now;
        match request.subject.kind.as_str() {
            "Patient" => request.subject == *patient,
            "RelatedPerson" => self
                .proxies
                .iter()
                .any(|proxy| proxy.verified.is(&true) && holds(&proxy.start, proxy.end, proxy.revoked, now)),
            "Application" => {
                self.subject_category.as_deref() == Some("patient-directed")
                    && self.app_grants.iter().any(|grant| holds(&grant.start, grant.end, grant.revoked, now))
            }
            _ => false,
        }
    }
}

/// Whether a grant holds now. One without a beginning has not begun.
fn holds(start: &Fact<Instant>, end: Option<Instant>, revoked: Option<bool>, now: Instant) -> bool {
    let begun = start.known().is_some_and(|start| *start <= now);
    begun && end.is_none_or(|end| now < end) && revoked != Some(true)
}
