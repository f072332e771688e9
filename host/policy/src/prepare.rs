//! From a request to a typed question: one snapshot, the caller's values where the schema lets them
//! in, the host's own values, and nothing else.
//!
//! INVARIANT (callers supply only what the schema says): request properties and context members
//! count only where the schema marks them `@supplied("caller")`; what it marks `@supplied("host")`
//! never comes from a request; what it does not know is passed over. A value that counts but does
//! not fit, or contradicts what is stored, refuses the request.

mod context;
mod relation;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use assent_model::{DecisionFacts, Entity, EntityId, EntityKind, Instant, Party, Record, Request, Value};
use cedar_policy_core::ast;

use crate::entities::{Seen, Snapshot, uid};
use crate::error::Unprepared;
use crate::policies::Policies;
use crate::schema::types::{Action, EntityType, Supplier};
use crate::value::{Reader, dangling, passed_over, to_cedar};

/// What the host itself knows of a request.
#[derive(Clone, Debug)]
pub struct HostContext {
    /// The host's clock.
    pub now: Instant,
    /// Values for context attributes marked `@supplied("host")`, such as `callerEnvironment`.
    pub values: BTreeMap<String, Value>,
}

/// A question that policies and plugins can be asked.
pub struct Prepared {
    /// The facts, for plugins and explanations: the same that policies see.
    pub facts: DecisionFacts,
    /// Paths that the caller sent and that do not count, such as `resource.properties.labels` or
    /// `context.session.browser`; names only, never values.
    pub ignored: Vec<String>,
    pub(crate) request: cedar_policy::Request,
    pub(crate) entities: cedar_policy::Entities,
}

/// INVARIANT (no patient in logs): the action and the entity types are printed, nothing else.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Prepared({:?}, {}, {:?})",
            self.facts.subject.id, self.facts.action, self.facts.resource.id
        )
    }
}

impl Policies {
    /// Makes a typed question of a request.
    ///
    /// # Errors
    /// Why policies cannot be asked; the answer to the request is then deny.
    pub fn prepare(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        host: &HostContext,
    ) -> Result<Prepared, Unprepared> {
        if !snapshot.is_of(&self.schema) {
            return Err(Unprepared::Facts);
        }
        let subject_type = self
            .names
            .subjects
            .get(&request.subject.kind)
            .ok_or(Unprepared::UnknownType { path: "subject.type" })?;
        let resource_type = self
            .names
            .resources
            .get(&request.resource.kind)
            .ok_or(Unprepared::UnknownType { path: "resource.type" })?;
        let action = self.names.actions.get(&request.action.name).ok_or(Unprepared::UnknownAction)?;
        applies(action, &action.subjects, "subject.type", subject_type)?;
        applies(action, &action.resources, "resource.type", resource_type)?;

        let mut ignored = Vec::new();
        let parties = self.parties(snapshot, request, [subject_type, resource_type], &mut ignored)?;
        let Parties { subject, resource, replaced } = parties;
        let patient = self.patient(snapshot, &subject.model, &resource.model, resource_type);
        let circumstances = context::Circumstances {
            policies: self,
            snapshot,
            request,
            host,
            action,
            subject: &subject.model,
            resource: &resource.model,
            patient: patient.as_deref(),
        };
        let (context, cedar_context) = circumstances.assemble(&mut ignored)?;

        let mut mentioned = vec![&subject.model.id, &resource.model.id];
        mentioned.extend(patient.as_ref().map(|patient| &patient.id));
        for value in context.values() {
            crate::value::references(value, &mut |id| mentioned.push(id));
        }
        let entities = snapshot.slice(self, &replaced, mentioned, host.now)?;
        if let Some(patient) = &patient {
            self.check_relations_fresh(snapshot, (&subject.model.id, &patient.id), host.now)?;
        }
        let known = |uid: Arc<ast::EntityUID>| ast::EntityUIDEntry::Known { euid: uid, loc: None };
        let uid_of = |seen: &Seen| Arc::new(seen.cedar.uid().clone());
        let cedar_request = ast::Request::new_unchecked(
            known(uid_of(&subject)),
            known(Arc::clone(&action.uid)),
            known(uid_of(&resource)),
            Some(cedar_context),
        );
        let purpose = context.get("purpose").and_then(Value::as_text).map(str::to_owned);
        let today = patient
            .as_ref()
            .and_then(|patient| patient.attributes.get("timeZone")?.as_text())
            .and_then(|zone| host.now.date_in(zone));
        let facts = DecisionFacts {
            facts: Arc::clone(snapshot.facts()),
            subject: subject.model,
            action: action.id.clone(),
            resource: resource.model,
            patient,
            context,
            purpose,
            now: host.now,
            today,
        };
        Ok(Prepared { facts, ignored, request: cedar_request.into(), entities })
    }

    /// The first fact of an entity that is too old to count, as `Type.attribute`; `None` where none is.
    pub fn stale(&self, entity: &Entity, now: Instant) -> Option<String> {
        self.schema.stale(entity, now).map(|attribute| format!("{}.{attribute}", entity.id.kind))
    }

    /// Refuses facts that are too old of the relations between two that hold now: plugins may be given all of them.
    fn check_relations_fresh(
        &self,
        snapshot: &Snapshot,
        (from, to): (&EntityId, &EntityId),
        now: Instant,
    ) -> Result<(), Unprepared> {
        let types = self.schema.types.values();
        for kind in types.filter(|of| of.attributes.values().any(|attribute| attribute.fresh.is_some())) {
            let mut relations = snapshot.facts().relations(&kind.name, from, to);
            let stale = relations.find_map(|relation| {
                relation::holds(relation, now).then(|| self.stale(relation, now)).flatten()
            });
            if let Some(path) = stale {
                return Err(Unprepared::Stale { path });
            }
        }
        Ok(())
    }

    /// The patient whose record it is: the resource itself, or the one its `patient` refers to.
    fn patient(
        &self,
        snapshot: &Snapshot,
        subject: &Arc<Entity>,
        resource: &Arc<Entity>,
        resource_type: &EntityType,
    ) -> Option<Arc<Entity>> {
        if resource_type.kind == Some(EntityKind::Patient) {
            return Some(Arc::clone(resource));
        }
        let id = resource.attributes.get("patient")?.as_entity()?;
        if self.schema.types.get(id.kind.as_str())?.kind != Some(EntityKind::Patient) {
            return None;
        }
        if *id == subject.id { Some(Arc::clone(subject)) } else { snapshot.entity(id).cloned() }
    }

    fn parties(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        [subject_type, resource_type]: [&Arc<EntityType>; 2],
        ignored: &mut Vec<String>,
    ) -> Result<Parties, Unprepared> {
        let subject_id = EntityId::new(&*subject_type.name, &request.subject.id);
        let resource_id = EntityId::new(&*resource_type.name, &request.resource.id);
        // Existence comes first, so that attributes tell nothing of an entity that is not there.
        let exists = |id: &EntityId, entity_type: &EntityType| {
            entity_type.caller_may_supply || snapshot.entity(id).is_some()
        };
        if !exists(&subject_id, subject_type) {
            return Err(Unprepared::UnknownSubject);
        }
        if !exists(&resource_id, resource_type) {
            return Err(Unprepared::UnknownResource);
        }
        let known = |id: &EntityId| *id == subject_id || *id == resource_id || snapshot.entity(id).is_some();
        let overlay = Overlay { policies: self, known: &known };
        let mut for_subject = overlay.read(&request.subject, subject_type, "subject.properties", ignored)?;
        let mut for_resource =
            overlay.read(&request.resource, resource_type, "resource.properties", ignored)?;
        if subject_id == resource_id {
            // One entity, described twice: both descriptions hold for it, unless they contradict
            // one another.
            let differs = |(name, value): &(&String, &Value)| {
                for_subject.get(*name).is_some_and(|other| other != *value)
            };
            if let Some((name, _)) = for_resource.iter().find(differs) {
                return Err(Unprepared::Contradiction { path: format!("resource.properties.{name}") });
            }
            for_subject.append(&mut for_resource.clone());
            for_resource.clone_from(&for_subject);
        }
        let build = |id: &EntityId, entity_type: &EntityType, overlay, path| {
            Built { snapshot, known: &known, types: self }.build(id, entity_type, overlay, path)
        };
        let subject = build(&subject_id, subject_type, for_subject, "subject.properties")?;
        let resource = if subject_id == resource_id {
            None
        } else {
            Some(build(&resource_id, resource_type, for_resource, "resource.properties")?)
        };
        let resource = resource.unwrap_or_else(|| subject.clone());
        let mut replaced = Vec::new();
        if subject.1 {
            replaced.push(subject.0.clone());
        }
        if resource.1 && subject_id != resource_id {
            replaced.push(resource.0.clone());
        }
        Ok(Parties { subject: subject.0, resource: resource.0, replaced })
    }
}

fn applies(
    action: &Action,
    allowed: &[Arc<str>],
    path: &'static str,
    entity_type: &EntityType,
) -> Result<(), Unprepared> {
    if allowed.binary_search(&entity_type.name).is_ok() {
        return Ok(());
    }
    Err(Unprepared::NotApplicable {
        action: action.id.clone(),
        path,
        entity_type: entity_type.name.to_string(),
    })
}

/// Subject and resource as this request sees them, and those that differ from what is stored.
struct Parties {
    subject: Seen,
    resource: Seen,
    replaced: Vec<Seen>,
}

struct Overlay<'a> {
    policies: &'a Policies,
    known: &'a dyn Fn(&EntityId) -> bool,
}

impl Overlay<'_> {
    /// The properties that count.
    fn read(
        &self,
        party: &Party,
        entity_type: &EntityType,
        path: &str,
        ignored: &mut Vec<String>,
    ) -> Result<BTreeMap<String, Value>, Unprepared> {
        let type_name = |name: &str| self.policies.names.type_name(name);
        let reader = Reader { type_name: &type_name, ignore_unknown: true };
        let mut overlay = BTreeMap::new();
        for (name, json) in &party.properties {
            let attribute = entity_type
                .attributes
                .get(name.as_str())
                .filter(|attribute| attribute.supplied == Some(Supplier::Caller));
            let Some(attribute) = attribute else {
                ignored.push(format!("{path}.{name}"));
                continue;
            };
            let at = || format!("{path}.{name}");
            let read = reader.read(json, &attribute.value).map_err(|mismatches| bad(&at(), mismatches))?;
            ignored.extend(passed_over(json, &attribute.value).into_iter().map(|below| at() + &below));
            let Some(value) = read else { continue };
            if let Some(below) = dangling(&value, self.known) {
                return Err(Unprepared::DanglingReference { path: at() + &below });
            }
            overlay.insert(name.clone(), value);
        }
        Ok(overlay)
    }
}

/// The first mismatch as a refusal.
fn bad(path: &str, mismatches: Vec<crate::value::Mismatch>) -> Unprepared {
    mismatches.into_iter().next().map_or(Unprepared::Facts, |mismatch| Unprepared::BadAttribute {
        path: format!("{path}{}", mismatch.path),
        expected: mismatch.expected,
    })
}

struct Built<'a> {
    snapshot: &'a Snapshot,
    known: &'a dyn Fn(&EntityId) -> bool,
    types: &'a Policies,
}

impl Built<'_> {
    /// The entity with the overlay, and whether it differs from what is stored.
    fn build(
        &self,
        id: &EntityId,
        entity_type: &EntityType,
        overlay: BTreeMap<String, Value>,
        path: &str,
    ) -> Result<(Seen, bool), Unprepared> {
        let stored = match self.snapshot.entity(id) {
            Some(model) => {
                let cedar = self.snapshot.cedar(&self.types.schema, model).ok_or(Unprepared::Facts)?;
                Some(Seen { model: Arc::clone(model), cedar })
            }
            None => None,
        };
        if let (Some(stored), true) = (&stored, overlay.is_empty()) {
            return Ok((stored.clone(), false));
        }
        let (own_uid, mut attributes, indirect, parents, _tags) = match &stored {
            Some(stored) => stored.cedar.as_ref().clone().into_inner(),
            None => ast::Entity::with_uid(uid(entity_type, &id.id)).into_inner(),
        };
        let mut model = match &stored {
            Some(stored) => stored.model.as_ref().clone(),
            None => Entity {
                id: id.clone(),
                attributes: Record::default(),
                ancestors: Arc::default(),
                provided: None,
            },
        };
        for (name, value) in overlay {
            if model.attributes.get(&name).is_some_and(|stored| *stored != value) {
                return Err(Unprepared::Contradiction { path: format!("{path}.{name}") });
            }
            let cedar = to_cedar(&value, &|id| self.uid(id)).ok_or_else(|| Unprepared::BadAttribute {
                path: format!("{path}.{name}"),
                expected: "within Cedar's range".to_owned(),
            })?;
            attributes.insert(name.as_str().into(), cedar.into());
            model.attributes.insert(name, value);
        }
        let missing = entity_type
            .attributes
            .iter()
            .find(|(name, attribute)| attribute.required && !model.attributes.contains_key(name.as_str()));
        if let Some((name, attribute)) = missing {
            return Err(Unprepared::BadAttribute {
                path: format!("{path}.{name}"),
                expected: format!("present: {}", attribute.value.expected()),
            });
        }
        let cedar = ast::Entity::new_with_attr_partial_value(own_uid, attributes, indirect, parents, []);
        Ok((Seen { model: Arc::new(model), cedar: Arc::new(cedar) }, true))
    }

    fn uid(&self, id: &EntityId) -> Option<Arc<ast::EntityUID>> {
        self.types.uid(id, self.known)
    }
}

impl Policies {
    /// The Cedar name of an entity that this request may refer to.
    fn uid(&self, id: &EntityId, known: &dyn Fn(&EntityId) -> bool) -> Option<Arc<ast::EntityUID>> {
        let entity_type = self.schema.types.get(id.kind.as_str()).filter(|_| known(id))?;
        Some(Arc::new(uid(entity_type, &id.id)))
    }
}

#[cfg(test)]
mod tests;
