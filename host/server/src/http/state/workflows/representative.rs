//! Who may sign a consent for a patient.
//!
//! A related person stands for some patients and for no others, and says which by no attribute of its own: a
//! `ProxyGrant` leads from it to the patient. INVARIANT (nobody signs for a stranger): of that grant nothing may be
//! amiss at the moment that the paper is recorded, by the same terms by which the base policies let a representative
//! in (`policies/base/proxy.cedar`), and its scope must be full: who may book appointments signs no disclosure.

use assent_model::{Entity, EntityId, Facts, Instant, Value};
use assent_policy::Policies;

const GRANT: &str = "ProxyGrant";
/// What ends a grant's standing, or suspends it, where it is true.
const AMISS: [&str; 4] = ["revoked", "courtOrderNoAccess", "rightsTerminated", "endangerment"];

/// Whether a related person may sign for a patient.
pub(super) fn represents(
    policies: &Policies,
    facts: &Facts,
    (person, patient): (&EntityId, &EntityId),
    now: Instant,
) -> bool {
    let (mut stands, mut closed) = (false, false);
    for grant in facts.relations(GRANT, person, patient).filter(|grant| holds(grant, now)) {
        stands |= is(grant, "verified") && is_current(grant, now) && is_full(grant);
        // By facts that are too old nobody can tell what is amiss.
        closed |= policies.stale(grant, now).is_some();
        // Where several lead there, one that a court or a professional closed is not made good by another.
        closed |= AMISS.iter().any(|name| is(grant, name));
    }
    stands && !closed
}

fn is(grant: &Entity, name: &str) -> bool {
    grant.attributes.get(name).and_then(Value::as_boolean) == Some(true)
}

fn moment(grant: &Entity, name: &str) -> Option<Instant> {
    grant.attributes.get(name).and_then(Value::as_instant)
}

fn holds(grant: &Entity, now: Instant) -> bool {
    moment(grant, "start").is_some_and(|start| start <= now)
        && moment(grant, "end").is_none_or(|end| now < end)
}

/// Whether it was certified anew, where it had to be.
fn is_current(grant: &Entity, now: Instant) -> bool {
    moment(grant, "recertifyBy").is_none_or(|by| now < by)
}

fn is_full(grant: &Entity) -> bool {
    match grant.attributes.get("scope") {
        Some(Value::Set(scope)) => scope.iter().any(|one| one.as_text() == Some("full")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use assent_policy::{Names, SourceFile, load};
    use serde_json::{Value as Json, json};

    use super::*;

    const SCHEMA: &str = r#"
        entity Patient;
        entity RelatedPerson;
        @kind("relation") @from("person") @to("patient")
        entity ProxyGrant = {
            person: RelatedPerson, patient: Patient, @fresh("30d") verified: Bool, start: datetime, end?: datetime,
            revoked?: Bool, courtOrderNoAccess?: Bool, rightsTerminated?: Bool, endangerment?: Bool,
            scope?: Set<String>, recertifyBy?: datetime,
        };
        action a appliesTo { principal: RelatedPerson, resource: Patient };
    "#;

    /// Whether `mother` may sign for `child`, with these grants: each the standing one with some changes.
    fn signs(grants: &[Json]) -> bool {
        let names = Names { subjects: [].into(), resources: [].into(), actions: [].into() };
        let policies = load(&[SourceFile::new("s.cedarschema", SCHEMA)], &[], names).unwrap();
        let entity = |kind: &str, id: String, attrs: Json| json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": [] });
        let bare = |kind: &str, id: &str| entity(kind, id.to_owned(), json!({}));
        let mut entities =
            vec![bare("RelatedPerson", "mother"), bare("Patient", "child"), bare("Patient", "other")];
        for (number, change) in grants.iter().enumerate() {
            let mut attrs = json!({
                "person": { "type": "RelatedPerson", "id": "mother" },
                "patient": { "type": "Patient", "id": "child" },
                "verified": true, "start": "2026-01-01T00:00:00Z", "scope": ["full"],
                "provided": "2026-05-20T00:00:00Z",
            });
            for (name, value) in change.as_object().unwrap() {
                attrs[name] = value.clone();
            }
            attrs.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            let at = attrs.as_object_mut().unwrap().remove("provided");
            let mut grant = entity("ProxyGrant", format!("g{number}"), attrs);
            grant["provenance"] = json!({ "*": { "at": at } });
            entities.push(grant);
        }
        let file = SourceFile::new("e.json", Json::Array(entities).to_string());
        let snapshot = policies.load_entities(&[file]).unwrap_or_else(|errors| panic!("{errors}"));
        let (mother, child) = (EntityId::new("RelatedPerson", "mother"), EntityId::new("Patient", "child"));
        represents(&policies, snapshot.facts(), (&mother, &child), "2026-06-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_grant_that_holds_and_has_nothing_amiss_lets_sign() {
        for change in [
            json!({}),
            json!({ "scope": ["billing", "full"], "revoked": false }),
            json!({ "end": "2026-06-01T00:00:00.001Z", "recertifyBy": "2026-06-01T00:00:00.001Z" }),
        ] {
            assert!(signs(std::slice::from_ref(&change)), "{change}");
        }
    }

    #[test]
    fn whoever_is_another_patients_or_has_no_standing_now_signs_nothing() {
        assert!(!signs(&[]));
        for change in [
            json!({ "patient": { "type": "Patient", "id": "other" } }),
            json!({ "verified": false }),
            json!({ "start": "2026-06-01T00:00:00.001Z" }),
            json!({ "end": "2026-06-01T00:00:00Z" }),
            json!({ "recertifyBy": "2026-06-01T00:00:00Z" }),
            json!({ "scope": ["scheduling"] }),
            json!({ "scope": null }),
            json!({ "revoked": true }),
            json!({ "courtOrderNoAccess": true }),
            json!({ "rightsTerminated": true }),
            json!({ "endangerment": true }),
            json!({ "provided": "2026-05-02T00:00:00Z" }),
        ] {
            assert!(!signs(std::slice::from_ref(&change)), "{change}");
        }
    }

    #[test]
    fn a_grant_that_a_court_closed_is_not_made_good_by_another() {
        let closed = json!({ "courtOrderNoAccess": true });
        assert!(!signs(&[json!({}), closed]));
        let ended = json!({ "revoked": true, "end": "2026-02-01T00:00:00Z" });
        assert!(signs(&[ended, json!({})]));
    }
}
