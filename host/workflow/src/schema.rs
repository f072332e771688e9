//! Tests that entities are what the base schema declares.
//!
//! A reader of Cedar's schema language is a heavy library, and `policy` alone names it. This reads the entities that
//! matter here, in the few forms that they use, and fails on any other.

use std::collections::BTreeMap;
use std::iter::Peekable;

use assent_model::Instant;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../policies/base/health.cedarschema");

type Attributes = BTreeMap<String, (bool, Type)>;

enum Type {
    Text,
    Integer,
    Boolean,
    Instant,
    Entity(String),
    Set(Box<Type>),
    Record(Attributes),
}

/// The entity has the attributes of its type and no others, each of its type.
pub(crate) fn assert_fits(entity: &Value) {
    let kind = entity["uid"]["type"].as_str().unwrap();
    assert!(entity["uid"]["id"].is_string() && entity["parents"].is_array());
    assert_eq!(entity.as_object().unwrap().len(), 3);
    check(&entity["attrs"], &declared(kind), kind);
}

/// A line without its comment, and without the annotation that it may begin with.
fn uncommented(line: &str) -> &str {
    let line = line.split("//").next().unwrap().trim();
    match line.strip_prefix("@lapses(\"") {
        Some(annotated) => annotated.split_once("\")").unwrap().1,
        None => line,
    }
}

fn declared(kind: &str) -> Type {
    let text: String = SCHEMA.lines().map(|line| uncommented(line).to_owned() + " ").collect();
    let (_, text) = text.split_once(&format!("entity {kind} =")).unwrap();
    let spaced: String =
        text.chars().map(|c| if "{}<>:,?".contains(c) { format!(" {c} ") } else { c.into() }).collect();
    read(&mut spaced.split_whitespace().peekable())
}

fn read<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Type {
    match words.next().unwrap() {
        "String" => Type::Text,
        "Long" => Type::Integer,
        "Bool" => Type::Boolean,
        "datetime" => Type::Instant,
        "Set" => {
            assert_eq!(words.next(), Some("<"));
            let members = read(words);
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
                attributes.insert(name.to_owned(), (optional, read(words)));
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
        Type::Text => assert!(value.is_string(), "{at}"),
        Type::Integer => assert!(value.is_i64(), "{at}"),
        Type::Boolean => assert!(value.is_boolean(), "{at}"),
        Type::Instant => {
            assert_eq!(value["__extn"]["fn"], "datetime", "{at}");
            let text = value["__extn"]["arg"].as_str().unwrap();
            assert!(text.parse::<Instant>().is_ok(), "{at}: {text}");
            assert!(
                [20, 24].contains(&text.len()),
                "Cedar takes three digits of milliseconds or none: {text}"
            );
        }
        Type::Entity(kind) => {
            let id = &value["__entity"];
            assert_eq!(id["type"], **kind, "{at}");
            assert!(id["id"].is_string() && id.as_object().unwrap().len() == 2, "{at}");
        }
        Type::Set(members) => value.as_array().unwrap().iter().for_each(|value| check(value, members, at)),
        Type::Record(attributes) => {
            let value = value.as_object().unwrap();
            for name in value.keys() {
                assert!(attributes.contains_key(name), "{at} has no attribute `{name}`");
            }
            for (name, (optional, of)) in attributes {
                match value.get(name) {
                    Some(value) => check(value, of, &format!("{at}.{name}")),
                    None => assert!(*optional, "{at}.{name} is missing"),
                }
            }
        }
    }
}
