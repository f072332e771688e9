//! What the rule needs to know of a request.
//!
//! Every fact may be absent; what absence means is decided where the fact is read, and it never
//! releases: an unknown state is another state, an unknown recipient is nobody's recipient.

use assent_plugin_sdk::prelude::*;

facts! {
    /// What the rule needs to know.
    pub struct Facts {
        labels: Option<Set<String>> = "resource.labels",
        categories: Option<Set<String>> = "resource.categories",
        encounter_labels: Option<Set<String>> = "resource.encounter.labels",
        part2: Option<bool> = "resource.part2",
        counseling_notes: Option<bool> = "resource.counselingNotes",
        author: Option<EntityId> = "resource.author",
        holder: Option<EntityId> = "resource.organization",
        service_state: Option<String> = "resource.serviceState",
        encounter_state: Option<String> = "resource.encounter.state",
        session_count: Option<i64> = "resource.sessionCount",
        service_started: Option<Instant> = "resource.serviceStartedAt",
        medication: Option<bool> = "resource.medication",
        test_result: Option<String> = "resource.testResult",
        minor_consented: Option<String> = "resource.minorConsented",
        deidentified: Option<bool> = "resource.deidentified",
        synthetic: Option<bool> = "resource.synthetic",

        residence: Option<String> = "patient.state",
        patient_organization: Option<EntityId> = "patient.organization",
        birth_date: Option<Date> = "patient.birthDate",
        emancipated: Option<bool> = "patient.emancipated",
        status_minor: Option<String> = "patient.statusMinor",
        self_pay: Option<bool> = "patient.selfPayRestriction",
        privacy_flags: Option<Set<String>> = "patient.privacyFlags",
        teen_consents_part2: Option<bool> = "patient.teenConsentsPart2Disclosure",

        subject_category: Option<String> = "subject.category",
        subject_organization: Option<EntityId> = "subject.organization",
        subject_organization_category: Option<String> = "subject.organization.category",
        subject_organization_state: Option<String> = "subject.organization.state",

        scope: Option<String> = "context.scope",
        proxy_verified: Option<bool> = "context.proxy.verified",
        proxy_revoked: Option<bool> = "context.proxy.revoked",
        care: Option<EntityId> = "context.care",
        app_grant: Option<EntityId> = "context.appGrant",
        break_glass_acknowledged: Option<bool> = "context.breakGlass.acknowledged",
        break_glass_reason: Option<String> = "context.breakGlass.reason",
        destination: Option<EntityId> = "context.destination.organization",
        destination_category: Option<String> = "context.destination.organization.category",
        destination_state: Option<String> = "context.destination.organization.state",
        destination_country: Option<String> = "context.destination.country",

        consents: Vec<Consent>,
        decisions: Vec<DisclosureDecision>,
    }
}
