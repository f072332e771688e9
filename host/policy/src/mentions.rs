//! Which policies mention certain words, and what of the schema these lean on: for rules about policies, such as
//! that two persons must agree on those that open in an emergency.
//!
//! Words are looked for in everything that a policy is made of: names of attributes, types, entities and actions,
//! texts, annotations; so it errs on the side of more. INVARIANT (what a policy does is in its form): the form is
//! Cedar's JSON of a policy, which has all of it but comments, blanks and the order of annotations.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy_core::ast;
use serde_json::{Value as Json, json};

use crate::big_stack;
use crate::policies::{Policies, Policy};
use crate::schema::types::{Attribute, Attributes, EntityType, Supplier, Type};

/// What has one of some words in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mentions {
    /// The policies by id, each in Cedar's JSON form.
    pub policies: BTreeMap<String, Json>,
    /// Of the schema: the `attributes` and `types` with one of the words, and the actions in those `groups` that these
    /// policies name.
    pub schema: Json,
}

impl Policies {
    /// What has one of these words in it, as a part of a word and whatever its case. Words are in lower case.
    pub fn mentions(&self, words: &[&str]) -> Mentions {
        let has = |text: &str| {
            let text = text.to_lowercase();
            words.iter().any(|word| text.contains(word))
        };
        let forms = big_stack::map(&self.policies, |policy| form(policy));
        let found = self.policies.iter().zip(forms).filter_map(|(policy, form)| match form.flatten() {
            Some(form) => mentioned(&form, &has).then_some((policy, form)),
            // What has no form counts as it is written.
            None => Some((policy, json!({ "text": policy.info.text }))),
        });
        let (mut policies, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for (policy, form) in found {
            for group in named_actions(policy) {
                groups.entry(group.to_string()).or_insert_with(|| self.members(group));
            }
            policies.insert(policy.note().id.clone(), form);
        }
        let schema =
            json!({ "attributes": self.attributes(&has), "groups": groups, "types": self.types(&has) });
        Mentions { policies, schema }
    }

    /// The actions that are, or are in, this one.
    fn members(&self, group: &ast::EntityUID) -> BTreeSet<String> {
        let all = self.schema.action_entities();
        let within = all.filter(|action| action.uid() == group || action.is_descendant_of(group));
        within.map(|action| action.uid().to_string()).collect()
    }

    /// Attributes of actions' contexts and of entities, by where they are.
    fn attributes(&self, has: &impl Fn(&str) -> bool) -> BTreeMap<String, Json> {
        let actions = self.schema.actions.values().map(|action| (action.uid.to_string(), &action.context));
        let types = self.schema.types.iter().map(|(name, of)| (name.to_string(), &of.attributes));
        let mut found = BTreeMap::new();
        for (owner, attributes) in actions.chain(types) {
            for (name, attribute) in attributes {
                let form = attribute_form(attribute);
                if has(name) || mentioned(&form, has) {
                    found.insert(format!("{owner}.{name}"), form);
                }
            }
        }
        found
    }

    fn types(&self, has: &impl Fn(&str) -> bool) -> BTreeMap<String, Json> {
        let types = self.schema.types.iter().filter(|(name, _)| has(name));
        types.map(|(name, of)| (name.to_string(), type_form(of))).collect()
    }
}

/// Cedar's JSON of a policy. Must run on a big stack.
fn form(policy: &Policy) -> Option<Json> {
    cedar_policy::Policy::parse(None, &policy.info.text).ok()?.to_json().ok()
}

fn named_actions(policy: &Policy) -> impl Iterator<Item = &ast::EntityUID> {
    let scope = match policy.cedar.action_constraint() {
        ast::ActionConstraint::Any => vec![],
        ast::ActionConstraint::Eq(action) => vec![&**action],
        ast::ActionConstraint::In(actions) => actions.iter().map(|action| &**action).collect(),
    };
    scope.into_iter().chain(policy.named.iter().map(|named| &**named).filter(|named| named.is_action()))
}

/// Whether a name or text in this has one of the words.
fn mentioned(json: &Json, has: &impl Fn(&str) -> bool) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
        Json::String(text) => has(text),
        Json::Array(items) => {
            // What `like` compares with is a list of letters.
            let letters = items.iter().filter_map(|item| item.get("Literal")?.as_str());
            has(&letters.collect::<String>()) || items.iter().any(|item| mentioned(item, has))
        }
        Json::Object(members) => members.iter().any(|(name, item)| has(name) || mentioned(item, has)),
    }
}

// Both are taken apart whole, so that what is added to them is not forgotten here.

fn type_form(of: &EntityType) -> Json {
    let EntityType { name: _, cedar: _, attributes, kind, caller_may_supply, parents, choices } = of;
    let parents: BTreeSet<&str> = parents.iter().map(|parent| &**parent).collect();
    let choices: Option<BTreeSet<&String>> = choices.as_ref().map(|choices| choices.iter().collect());
    json!({
        "attributes": attributes_form(attributes),
        "kind": kind,
        "supplied": caller_may_supply,
        "parents": parents,
        "choices": choices,
    })
}

fn attributes_form(attributes: &Attributes) -> BTreeMap<&str, Json> {
    attributes.iter().map(|(name, attribute)| (name.as_str(), attribute_form(attribute))).collect()
}

fn attribute_form(attribute: &Attribute) -> Json {
    // When something lapses is shown to people, and decides nothing.
    let Attribute { value, required, supplied, lapses: _, fresh } = attribute;
    let supplied = supplied.map(|supplier| match supplier {
        Supplier::Caller => "caller",
        Supplier::Host => "host",
    });
    json!({ "type": value_form(value), "required": required, "supplied": supplied, "fresh_ms": fresh })
}

fn value_form(of: &Type) -> Json {
    match of {
        Type::Text => "String".into(),
        Type::Date => "date".into(),
        Type::Formatted(format) => format.expected().into(),
        Type::Integer => "Long".into(),
        Type::Decimal => "decimal".into(),
        Type::Boolean => "Bool".into(),
        Type::Instant => "datetime".into(),
        Type::Duration => "duration".into(),
        Type::Ip => "ipaddr".into(),
        Type::Entity(name) => json!({ "entity": &**name }),
        Type::Set(element) => json!({ "set": value_form(element) }),
        Type::Record(attributes) => json!({ "record": attributes_form(attributes) }),
    }
}

#[cfg(test)]
mod tests;
