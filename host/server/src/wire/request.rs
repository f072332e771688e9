//! One evaluation: subject, action, resource, context (AuthZEN 1.0, sections 5 and 6.1).
//!
//! Unknown members are ignored wherever they are. `null` is the same as absent, and so is refused
//! where a member is required. A known member of the wrong type is refused with its path.

use assent_model::{Action, Party, Properties, Request};
use serde_json::{Map, Value};

use crate::wire::error::WireError;

const ENTITY: &str = "an object with `type` and `id`";
const ACTION: &str = "an object with `name`";
const OBJECT: &str = "an object";
const TEXT: &str = "text";

/// The question that the body of an evaluation request asks.
///
/// # Errors
/// When it is no object, lacks a required member, or has one of the wrong type.
pub fn evaluation(body: &Value) -> Result<Request, WireError> {
    Members::of(body.as_object().ok_or(WireError::NotAnObject)?).request()
}

/// The four members of a question, as sent. Copied, not checked: in a batch, a default may be
/// incomplete as long as every item replaces it.
#[derive(Clone, Copy)]
pub(super) struct Members<'a> {
    subject: Option<&'a Value>,
    action: Option<&'a Value>,
    resource: Option<&'a Value>,
    context: Option<&'a Value>,
}

impl<'a> Members<'a> {
    pub(super) fn of(object: &'a Map<String, Value>) -> Self {
        Self {
            subject: present(object, "subject"),
            action: present(object, "action"),
            resource: present(object, "resource"),
            context: present(object, "context"),
        }
    }

    /// These, and the defaults where one is absent. A member replaces its default whole
    /// (section 7.1.1); nothing is merged within.
    pub(super) fn or(self, defaults: Self) -> Self {
        Self {
            subject: self.subject.or(defaults.subject),
            action: self.action.or(defaults.action),
            resource: self.resource.or(defaults.resource),
            context: self.context.or(defaults.context),
        }
    }

    pub(super) fn request(self) -> Result<Request, WireError> {
        const SUBJECT: PartyPaths = PartyPaths {
            whole: "subject",
            kind: "subject.type",
            id: "subject.id",
            properties: "subject.properties",
        };
        const RESOURCE: PartyPaths = PartyPaths {
            whole: "resource",
            kind: "resource.type",
            id: "resource.id",
            properties: "resource.properties",
        };
        Ok(Request {
            subject: party(self.subject, SUBJECT)?,
            action: action(self.action)?,
            resource: party(self.resource, RESOURCE)?,
            context: match self.context {
                None => Properties::new(),
                Some(context) => object(context, "context", OBJECT)?.clone(),
            },
        })
    }
}

struct PartyPaths {
    whole: &'static str,
    kind: &'static str,
    id: &'static str,
    properties: &'static str,
}

fn party(value: Option<&Value>, paths: PartyPaths) -> Result<Party, WireError> {
    let value = value.ok_or(WireError::Missing { path: paths.whole, expected: ENTITY })?;
    let party = object(value, paths.whole, ENTITY)?;
    Ok(Party {
        kind: text(party, "type", paths.kind)?,
        id: text(party, "id", paths.id)?,
        properties: properties(party, paths.properties)?,
    })
}

fn action(value: Option<&Value>) -> Result<Action, WireError> {
    let value = value.ok_or(WireError::Missing { path: "action", expected: ACTION })?;
    let action = object(value, "action", ACTION)?;
    Ok(Action {
        name: text(action, "name", "action.name")?,
        properties: properties(action, "action.properties")?,
    })
}

fn text(members: &Map<String, Value>, name: &str, path: &'static str) -> Result<String, WireError> {
    let value = present(members, name).ok_or(WireError::Missing { path, expected: TEXT })?;
    value.as_str().map(str::to_owned).ok_or(WireError::Expected { path, expected: TEXT })
}

fn properties(members: &Map<String, Value>, path: &'static str) -> Result<Properties, WireError> {
    match present(members, "properties") {
        None => Ok(Properties::new()),
        Some(value) => object(value, path, OBJECT).cloned(),
    }
}

fn object<'a>(
    value: &'a Value,
    path: &'static str,
    expected: &'static str,
) -> Result<&'a Map<String, Value>, WireError> {
    value.as_object().ok_or(WireError::Expected { path, expected })
}

pub(super) fn present<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}
