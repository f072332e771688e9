//! The context of one question: what the caller reports, what the host knows, the relation that
//! leads from the subject to the patient.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::{Entity, EntityId, EntityKind, Record, Request, Value};
use cedar_policy_core::ast;
use smol_str::SmolStr;

use super::{HostContext, bad, relation};
use crate::entities::Snapshot;
use crate::error::Unprepared;
use crate::policies::Policies;
use crate::schema::types::{Action, Attribute, Supplier, Type};
use crate::value::{Reader, dangling, fits, passed_over, to_cedar};

/// The context attribute that holds the action's own properties.
const ACTION: &str = "action";
/// The context attribute that holds the host's clock.
const NOW: &str = "now";

/// All that a context is made of.
pub(super) struct Circumstances<'a> {
    pub(super) policies: &'a Policies,
    pub(super) snapshot: &'a Snapshot,
    pub(super) request: &'a Request,
    pub(super) host: &'a HostContext,
    pub(super) action: &'a Action,
    pub(super) subject: &'a Entity,
    pub(super) resource: &'a Entity,
    pub(super) patient: Option<&'a Entity>,
}

impl Circumstances<'_> {
    /// The context, as everything else sees it and as Cedar sees it.
    pub(super) fn assemble(&self, ignored: &mut Vec<String>) -> Result<(Record, ast::Context), Unprepared> {
        let mut context: Vec<(SmolStr, Value)> = Vec::with_capacity(self.action.context.len());
        let mut cedar: BTreeMap<SmolStr, ast::Value> = BTreeMap::new();
        for (name, attribute) in &self.action.context {
            let Some(value) = self.value(name, attribute)? else { continue };
            let converted =
                to_cedar(&value, &|id| self.policies.uid(id, &|id| self.known(id))).ok_or_else(|| {
                    Unprepared::BadAttribute {
                        path: format!("context.{name}"),
                        expected: "within Cedar's range".to_owned(),
                    }
                })?;
            cedar.insert(name.clone(), converted);
            context.push((name.clone(), value));
        }
        for (name, json) in &self.request.context {
            let counts = self
                .action
                .context
                .get(name.as_str())
                .filter(|attribute| attribute.supplied == Some(Supplier::Caller) && name != ACTION);
            match counts {
                None => ignored.push(format!("context.{name}")),
                Some(attribute) => ignored.extend(
                    passed_over(json, &attribute.value).iter().map(|below| format!("context.{name}{below}")),
                ),
            }
        }
        let action_attributes = match self.action.context.get(ACTION).map(|attribute| &attribute.value) {
            Some(Type::Record(attributes)) => Some(attributes),
            _ => None,
        };
        for (name, json) in &self.request.action.properties {
            match action_attributes.and_then(|attributes| attributes.get(name.as_str())) {
                None => ignored.push(format!("action.properties.{name}")),
                Some(attribute) => ignored.extend(
                    passed_over(json, &attribute.value)
                        .iter()
                        .map(|below| format!("action.properties.{name}{below}")),
                ),
            }
        }
        Ok((context.into_iter().collect(), ast::Context::Value(Arc::new(cedar))))
    }

    fn known(&self, id: &EntityId) -> bool {
        *id == self.subject.id || *id == self.resource.id || self.snapshot.entity(id).is_some()
    }

    fn value(&self, name: &str, attribute: &Attribute) -> Result<Option<Value>, Unprepared> {
        match attribute.supplied {
            _ if name == ACTION => self.action_properties(attribute),
            Some(Supplier::Caller) => self.callers(name, attribute),
            Some(Supplier::Host) => self.hosts(name, attribute),
            None => Ok(self.relation(attribute)),
        }
    }

    fn read(
        &self,
        json: &serde_json::Value,
        value_type: &Type,
        path: &dyn Fn() -> String,
    ) -> Result<Option<Value>, Unprepared> {
        let type_name = |name: &str| self.policies.names.type_name(name);
        let reader = Reader { type_name: &type_name, ignore_unknown: true };
        let read = reader.read(json, value_type).map_err(|mismatches| bad(&path(), mismatches))?;
        if let Some(below) = read.as_ref().and_then(|value| dangling(value, &|id| self.known(id))) {
            return Err(Unprepared::DanglingReference { path: path() + &below });
        }
        Ok(read)
    }

    fn callers(&self, name: &str, attribute: &Attribute) -> Result<Option<Value>, Unprepared> {
        let path = || format!("context.{name}");
        let read = match self.request.context.get(name) {
            Some(json) => self.read(json, &attribute.value, &path)?,
            None => None,
        };
        match read {
            None if attribute.required => Err(Unprepared::BadAttribute {
                path: path(),
                expected: format!("present: {}", attribute.value.expected()),
            }),
            read => Ok(read),
        }
    }

    fn action_properties(&self, attribute: &Attribute) -> Result<Option<Value>, Unprepared> {
        let properties = &self.request.action.properties;
        if properties.is_empty() && !attribute.required {
            return Ok(None);
        }
        let json = serde_json::Value::Object(properties.clone());
        self.read(&json, &attribute.value, &|| "action.properties".to_owned())
    }

    fn hosts(&self, name: &str, attribute: &Attribute) -> Result<Option<Value>, Unprepared> {
        if name == NOW && attribute.value == Type::Instant {
            return Ok(Some(Value::Instant(self.host.now)));
        }
        if let Some(relation) = self.relation(attribute) {
            return Ok(Some(relation));
        }
        let refused = || Unprepared::HostValue {
            path: format!("context.{name}"),
            expected: attribute.value.expected(),
        };
        match self.host.values.get(name) {
            None if attribute.required => Err(refused()),
            None => Ok(None),
            Some(value) if !fits(value, &attribute.value) => Err(refused()),
            Some(value) if dangling(value, &|id| self.known(id)).is_some() => Err(refused()),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// The relation from the subject to the patient, where the attribute is one.
    fn relation(&self, attribute: &Attribute) -> Option<Value> {
        let Type::Entity(relation_type) = &attribute.value else { return None };
        let kind = self.policies.schema.types.get(relation_type)?.kind.as_ref()?;
        if !matches!(kind, EntityKind::Relation { .. }) {
            return None;
        }
        let facts = self.snapshot.facts();
        let holds =
            relation::that_holds(facts, relation_type, &self.subject.id, &self.patient?.id, self.host.now)?;
        Some(Value::Entity(holds.id.clone()))
    }
}
