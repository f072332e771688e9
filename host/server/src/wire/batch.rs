//! A batch of evaluations (AuthZEN 1.0, section 7): defaults, items, and when to stop.
//!
//! Items are independent: a malformed one is false in its place, and the batch goes on. Only what
//! is wrong with the batch as a whole refuses it. Without items it is a single evaluation.

use assent_model::Request;
use serde_json::Value;

use crate::wire::error::WireError;
use crate::wire::request::{Members, present};

/// What the body of an evaluations request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluations {
    /// `evaluations` is absent or empty: one question, answered as by the single endpoint.
    Single(Box<Request>),
    /// One question for each item, in order; or why the item cannot be one.
    Batch {
        /// When to stop.
        semantic: Semantic,
        /// The items.
        items: Vec<Result<Request, WireError>>,
    },
}

/// `options.evaluations_semantic`: which items of a batch are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantic {
    /// All of them.
    #[default]
    ExecuteAll,
    /// Those up to and including the first denial; an item that cannot be decided denies.
    DenyOnFirstDeny,
    /// Those up to and including the first permit.
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether an item answered so is the last one.
    pub const fn stops_after(self, permitted: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !permitted,
            Self::PermitOnFirstPermit => permitted,
        }
    }
}

const SEMANTICS: WireError = WireError::Expected {
    path: "options.evaluations_semantic",
    expected: "`execute_all`, `deny_on_first_deny` or `permit_on_first_permit`",
};

/// The questions that the body of an evaluations request asks, of at most `batch_max` items.
///
/// # Errors
/// When the body is no object, `evaluations` is no array or too long, `options` is no object or
/// names an unknown semantic; and, for a body without items, as [`super::evaluation`].
pub fn evaluations(body: &Value, batch_max: usize) -> Result<Evaluations, WireError> {
    let body = body.as_object().ok_or(WireError::NotAnObject)?;
    let semantic = match present(body, "options") {
        None => Semantic::default(),
        Some(options) => semantic(options)?,
    };
    let defaults = Members::of(body);
    let items = match present(body, "evaluations") {
        None => &[],
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => return Err(WireError::Expected { path: "evaluations", expected: "an array" }),
    };
    if items.is_empty() {
        return defaults.request().map(|request| Evaluations::Single(Box::new(request)));
    }
    if items.len() > batch_max {
        return Err(WireError::BatchTooLarge { max: batch_max });
    }
    let item = |item: &Value| match item {
        Value::Object(members) => Members::of(members).or(defaults).request(),
        _ => Err(WireError::NotAnObject),
    };
    Ok(Evaluations::Batch { semantic, items: items.iter().map(item).collect() })
}

fn semantic(options: &Value) -> Result<Semantic, WireError> {
    let options =
        options.as_object().ok_or(WireError::Expected { path: "options", expected: "an object" })?;
    match present(options, "evaluations_semantic").map(Value::as_str) {
        None | Some(Some("execute_all")) => Ok(Semantic::ExecuteAll),
        Some(Some("deny_on_first_deny")) => Ok(Semantic::DenyOnFirstDeny),
        Some(Some("permit_on_first_permit")) => Ok(Semantic::PermitOnFirstPermit),
        Some(_) => Err(SEMANTICS),
    }
}
