//! What the rule needs to know of a request.
//!
//! Every fact may be absent; what absence means is decided where the fact is read, and it never releases.

use assent_plugin_sdk::prelude::*;

facts! {
    /// What the rule needs to know.
    pub struct Facts {
        labels: Option<Set<String>> = "resource.labels",
        categories: Option<Set<String>> = "resource.categories",
        encounter_labels: Option<Set<String>> = "resource.encounter.labels",
        privacy_flags: Option<Set<String>> = "patient.privacyFlags",
        part2: Option<bool> = "resource.part2",
        counseling_notes: Option<bool> = "resource.counselingNotes",
        codes: Option<Set<String>> = "resource.codes",
        resource_type: Option<String> = "resource.resourceType",
        encounter: Option<EntityId> = "resource.encounter",
        author: Option<EntityId> = "resource.author",
        holder: Option<EntityId> = "resource.organization",
        service_date: Option<Instant> = "resource.serviceDate",
        deidentified: Option<bool> = "resource.deidentified",
        synthetic: Option<bool> = "resource.synthetic",

        subject_organization: Option<EntityId> = "subject.organization",
        destination: Option<EntityId> = "context.destination.organization",
        scope: Option<String> = "context.scope",

        consents: Vec<Consent>,
    }
}
