//! What is written is what the base schema declares.
//!
//! A reader of Cedar's schema language is a heavy library, and `policy` alone names it. These tests read the
//! one entity that matters here, in the few forms that it uses, and fail on any other.

use std::collections::BTreeMap;
use std::iter::Peekable;

use serde_json::Value;

use assent_fhir::Outcome;

use crate::support::{CASES, read_consent};

const SCHEMA: &str = include_str!("../../../../policies/base/health.cedarschema");

type Attributes = BTreeMap<String, (bool, Type)>;

#[derive(Debug)]
enum Type {
    Text,
    Boolean,
    Instant,
    Entity(String),
    Set(Box<Type>),
    Record(Attributes),
}

/// The attributes of `entity Consent`.
fn consent() -> Attributes {
    let text: String = SCHEMA.lines().map(|line| line.split("//").next().unwrap().to_owned() + " ").collect();
    let (_, text) = text.split_once("entity Consent =").unwrap();
    let spaced: String =
        text.chars().map(|c| if "{}<>:,?".contains(c) { format!(" {c} ") } else { c.into() }).collect();
    let mut words = spaced.split_whitespace().peekable();
    let Type::Record(attributes) = read_type(&mut words) else { panic!("Consent is no record") };
    attributes
}

fn read_type<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Type {
    match words.next().unwrap() {
        "String" => Type::Text,
        "Bool" => Type::Boolean,
        "datetime" => Type::Instant,
        "Set" => {
            assert_eq!(words.next(), Some("<"));
            let members = read_type(words);
            assert_eq!(words.next(), Some(">"));
            Type::Set(Box::new(members))
        }
        "{" => {
            let mut attributes = Attributes::new();
            loop {
                let name = words.next().unwrap();
                if name == "}" {
                    return Type::Record(attributes);
                }
                let optional = words.next_if_eq(&"?").is_some();
                assert_eq!(words.next(), Some(":"), "{name}");
                attributes.insert(name.to_owned(), (optional, read_type(words)));
                words.next_if_eq(&",");
            }
        }
        entity => {
            assert!(SCHEMA.contains(&format!("entity {entity} ")), "`{entity}` is no type");
            Type::Entity(entity.to_owned())
        }
    }
}

fn check(value: &Value, of: &Type, at: &str) {
    match of {
        Type::Text => assert!(value.is_string(), "{at}: {value}"),
        Type::Boolean => assert!(value.is_boolean(), "{at}: {value}"),
        Type::Instant => {
            let text = value.as_str().unwrap();
            assert!(text.parse::<assent_model::Instant>().is_ok(), "{at}: {text}");
            assert!(
                [20, 24].contains(&text.len()),
                "Cedar takes three digits of milliseconds or none: {text}"
            );
        }
        Type::Entity(kind) => {
            assert_eq!(value["type"], **kind, "{at}: {value}");
            assert!(value["id"].is_string() && value.as_object().unwrap().len() == 2, "{at}: {value}");
        }
        Type::Set(members) => value.as_array().unwrap().iter().for_each(|value| check(value, members, at)),
        Type::Record(attributes) => {
            let value = value.as_object().unwrap();
            for name in value.keys() {
                assert!(attributes.contains_key(name), "{at}: the schema has no `{name}`");
            }
            for (name, (optional, of)) in attributes {
                match value.get(name) {
                    Some(value) => check(value, of, &format!("{at}.{name}")),
                    None => assert!(optional, "{at}: `{name}` is missing"),
                }
            }
        }
    }
}

#[test]
fn every_entity_has_the_attributes_that_the_base_schema_declares() {
    let schema = Type::Record(consent());
    let mut checked = 0;
    for case in CASES.iter() {
        if let Ok(Outcome::Directive(directive)) = read_consent(&case.document) {
            let entity = &directive.entity;
            assert_eq!(entity["uid"]["type"], "Consent", "{}", case.name);
            assert_eq!(entity["uid"]["id"], case.document["id"], "{}", case.name);
            assert_eq!(entity["parents"], serde_json::json!([]), "{}", case.name);
            check(&entity["attrs"], &schema, &case.name);
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked} entities");
}
