//! Which forms of consent a document satisfies, who signed it, and to whom records may go by it.
//!
//! FHIR has no code for "this is the authorization that 42 CFR 2.31 asks for": the organization says by which
//! policies (`policy.uri`) it knows its own papers. INVARIANT (a form opens only when it was signed): the document is
//! read in full, dated, and agreed to by its patient or somebody who may sign for that patient: a related person is
//! nobody's signer for being stored, since it may be another patient's. Whether that is enough (a minor's own
//! signature, a recipient by name, how long it lasts) is for the rule that asks for the form.

use std::collections::BTreeSet;

use assent_model::EntityId;
use serde_json::{Map, Value, json};

use crate::consent::NOT_DATED;
use crate::outcome::Remark;
use crate::provision::Provision;
use crate::reader::{Element, Reader};
use crate::settings::Effect;

/// Whom a root that permits names, by the attributes of the entity: nobody else gets anything by it.
pub(crate) type Recipients = Map<String, Value>;

/// The roles (v3-ParticipationType) of actors to whom records go. Who keeps a record, or wrote it, gets nothing for that.
const RECIPIENT_ROLES: [&str; 2] = [
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|IRCP",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|PRCP",
];

/// The actors of a root provision that permits, to whom records go. (Those of one that denies are whom it keeps out.)
pub(crate) fn recipients(root: &Provision<'_>) -> Recipients {
    let mut recipients = Recipients::new();
    if root.effect != Some(Effect::Permit) {
        return recipients;
    }
    let actors = root.criteria.about.get("actors").and_then(Value::as_array).into_iter().flatten();
    let gets = |actor: &&Value| {
        let role = actor.get("role").and_then(Value::as_str);
        role.is_some_and(|role| RECIPIENT_ROLES.contains(&role))
    };
    for actor in actors.filter(gets) {
        let kinds = [
            ("organization", "recipientOrganizations"),
            ("practitioner", "recipientPractitioners"),
            ("person", "recipientPersons"),
        ];
        for (kind, attribute) in kinds {
            if let (Some(who), Value::Array(all)) =
                (actor.get(kind), recipients.entry(attribute).or_insert_with(|| json!([])))
                && !all.contains(who)
            {
                all.push(who.clone());
            }
        }
    }
    recipients.retain(|_, all| all.as_array().is_some_and(|all| !all.is_empty()));
    recipients
}

impl Reader<'_> {
    /// What an entity says of the forms that a document satisfies; nothing where it satisfies none.
    pub(crate) fn signed_forms(
        &mut self,
        root: &Element<'_>,
        policies: &[&str],
        (patient, given_at): (&EntityId, &str),
        recipients: Recipients,
    ) -> Map<String, Value> {
        let of_policies = policies.iter().filter_map(|uri| self.settings.forms.get(*uri)).flatten();
        let forms: BTreeSet<&String> = of_policies.collect();
        if forms.is_empty() {
            return Map::new();
        }
        let forms = json!(forms);
        let mut by_patient = false;
        let mut by_others = BTreeSet::new();
        for at in self.list(root, "performer") {
            // Somebody else may have agreed as well, such as a clinic that is not stored.
            match self.reference(&at, &["Patient", "RelatedPerson"]) {
                Ok(who) if who == *patient => by_patient = true,
                Ok(who) if (self.records.represents)(&who, patient) => drop(by_others.insert(who)),
                Ok(_) | Err(_) => {}
            }
        }
        if given_at == NOT_DATED || !(by_patient || !by_others.is_empty()) {
            self.note(root.path_of("policy"), Remark::NotSigned);
            return Map::new();
        }
        let mut attributes = recipients;
        attributes.insert("forms".to_owned(), forms);
        attributes.insert("signedByPatient".to_owned(), by_patient.into());
        if !by_others.is_empty() {
            attributes.insert("signedByProxies".to_owned(), json!(by_others));
        }
        attributes
    }
}
