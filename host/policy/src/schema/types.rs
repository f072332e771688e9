//! The types of attributes as this crate reads them: Cedar's, with what the annotations add.
//!
//! One description serves entity files, requests and the host's own values, so that a value means
//! the same wherever it comes from. Everything not marked as supplied is stored and cannot be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_model::EntityKind;
use cedar_policy_core::ast;
use smol_str::SmolStr;

use super::formats::Format;

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Text,
    /// Text that must be a calendar date (`@format("date")`); Cedar sees a String.
    Date,
    /// Text that must be one of a closed list of names; Cedar and everything else see text.
    Formatted(Format),
    Integer,
    Decimal,
    Boolean,
    Instant,
    Duration,
    Ip,
    /// A reference to an entity of the type of this name.
    Entity(Arc<str>),
    Set(Box<Type>),
    Record(Attributes),
}

/// Attributes by name, in order.
pub(crate) type Attributes = BTreeMap<SmolStr, Attribute>;

/// One attribute of an entity type, a record or a context.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) value: Type,
    pub(crate) required: bool,
    pub(crate) supplied: Option<Supplier>,
    /// What ends at this moment, in a word for people (`@lapses`).
    pub(crate) lapses: Option<SmolStr>,
    /// How old it may be to count, in milliseconds (`@fresh`).
    pub(crate) fresh: Option<i64>,
}

/// Who provides an attribute with a request (`@supplied`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supplier {
    Caller,
    Host,
}

/// What the schema says of an entity type.
#[derive(Clone, Debug)]
pub(crate) struct EntityType {
    pub(crate) name: Arc<str>,
    pub(crate) cedar: ast::EntityType,
    pub(crate) attributes: Attributes,
    pub(crate) kind: Option<EntityKind>,
    /// Whether a caller may describe an entity of this type that is not stored.
    pub(crate) caller_may_supply: bool,
    /// Names of the entity types it may be in.
    pub(crate) parents: Vec<Arc<str>>,
    /// The ids there can be, where the type is an enumeration.
    pub(crate) choices: Option<Vec<String>>,
}

/// What the schema says of an action.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// The action's Cedar id.
    pub(crate) id: String,
    pub(crate) uid: Arc<ast::EntityUID>,
    pub(crate) entity: Arc<ast::Entity>,
    pub(crate) subjects: Vec<Arc<str>>,
    pub(crate) resources: Vec<Arc<str>>,
    pub(crate) context: Attributes,
}

impl Action {
    /// Whether it applies to anything: groups of actions do not.
    pub(crate) fn applies(&self) -> bool {
        !self.subjects.is_empty() && !self.resources.is_empty()
    }
}

impl Type {
    /// What a value of this type must be, in words for messages.
    pub(crate) fn expected(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Date => "a date such as `2012-02-29`".to_owned(),
            Self::Formatted(format) => format.expected().to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Decimal => "a number with at most four decimal places".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Instant => "a moment such as `2026-11-21T18:00:00Z`, or a date".to_owned(),
            Self::Duration => "a duration such as `1d2h30m`".to_owned(),
            Self::Ip => "an IP address or network".to_owned(),
            Self::Entity(name) => format!("a reference to a `{name}`, with `type` and `id`"),
            Self::Set(element) => format!("a list, each element {}", element.expected()),
            Self::Record(_) => "an object".to_owned(),
        }
    }
}
