//! A decision as AuthZEN's response, with obligations in the shape of its obligations profile.
//!
//! INVARIANT (absent looks like forbidden): everything in a response beyond the boolean comes from
//! [`CallerView`]; an empty view gives the same bytes, `{"decision":false}`, whatever was decided.
//! A response that permits is made from a decision that permits, and from nothing else: the
//! fields are private and there is no other constructor that could.
//!
//! Members of `context`, in this order and only where there is something to say: `reason_user`,
//! `reasons`, `remedies`, `access_request`, `obligations`, `advice`, `reason_admin`, `explanation`, `error`.

use std::collections::BTreeMap;

use assent_engine::explain::Reason;
use assent_engine::{CallerView, Decision, FullView};
use assent_model::{Cause, Effect, Obligation, ObligationCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::wire::value::plain;

/// The code system of the HL7 codes that obligations carry.
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Response {
    decision: bool,
    #[serde(skip_serializing_if = "Context::is_empty")]
    context: Context,
}

/// The answers to a batch, in the order of its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    /// One answer for each item; fewer where the batch stopped early.
    pub evaluations: Vec<Response>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize)]
struct Context {
    #[serde(skip_serializing_if = "Map::is_empty")]
    reason_user: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_request: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obligations: Vec<WireObligation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<WireObligation>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    reason_admin: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
struct WireObligation {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    properties: Map<String, Value>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
struct ItemError {
    status: u16,
    message: String,
}

/// INVARIANT (no patient in logs): sentences, parameters and facts are not printed.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Context {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Response {
    /// The answer that this decision is, with what may be said of it. `full` only for callers
    /// with the right to explain.
    pub fn of(decision: &Decision, view: &CallerView, full: Option<&FullView>) -> Self {
        let mut counts = BTreeMap::new();
        let mut obligation = |obligation: &Obligation| wire_obligation(obligation, &mut counts);
        let context = Context {
            reason_user: reason_user(&view.reasons),
            reasons: view.reasons.clone(),
            remedies: view.remedies.iter().map(without_nulls).collect(),
            access_request: None,
            obligations: view.obligations.iter().map(&mut obligation).collect(),
            advice: view.advice.iter().map(&mut obligation).collect(),
            reason_admin: full.map(reason_admin).unwrap_or_default(),
            explanation: full.map(without_nulls),
            error: None,
        };
        Self { decision: decision.effect() == Effect::Permit, context }
    }

    /// The same denial, naming where an approval can be asked for, and with what (AuthZEN Access Request and Approval
    /// Profile, draft 1: a requestable denial).
    #[must_use]
    pub fn requestable(mut self, endpoint: String, template: &impl Serialize) -> Self {
        self.context.access_request =
            (!self.decision).then(|| json!({ "endpoint": endpoint, "template": without_nulls(template) }));
        self
    }

    /// The answer to an item of a batch that could not be decided: false, and why.
    pub fn item_error(status: u16, message: impl Into<String>) -> Self {
        let error = Some(ItemError { status, message: message.into() });
        Self { decision: false, context: Context { error, ..Context::default() } }
    }

    /// Whether it permits.
    pub const fn permits(&self) -> bool {
        self.decision
    }
}

/// The sentences for the person who asked, under the status that a denial has for them.
fn reason_user(reasons: &[Reason]) -> Map<String, Value> {
    let mut sentences: Vec<&str> = vec![];
    for reason in reasons {
        if !sentences.contains(&reason.message.as_str()) {
            sentences.push(&reason.message);
        }
    }
    if sentences.is_empty() { Map::new() } else { by_status(sentences.join(" ")) }
}

/// One line for the operator: what denied, by name. Permits need none.
fn reason_admin(view: &FullView) -> Map<String, Value> {
    match view.cause {
        Cause::Permit => return Map::new(),
        Cause::Forbidden | Cause::NoPolicy | Cause::Indeterminate => {}
    }
    let policies =
        view.policies.iter().filter(|note| !note.permits).map(|note| format!("policy `{}`", note.id));
    let plugins = view.plugins.iter().flat_map(|plugin| {
        let findings = plugin.findings.iter();
        let codes = findings.flat_map(|found| {
            let denials = found.denials.iter().map(|denial| &denial.code);
            denials.chain(found.reviews.iter().map(|review| &review.code))
        });
        codes.map(|code| format!("plugin `{}`: {code}", plugin.binding))
    });
    let problems = view.problems.iter().map(|problem| format!("{}: {}", problem.code.code(), problem.detail));
    let parts: Vec<String> = policies.chain(plugins).chain(problems).collect();
    let cause = view.cause.code();
    by_status(if parts.is_empty() { cause.to_owned() } else { format!("{cause}: {}", parts.join("; ")) })
}

fn by_status(text: String) -> Map<String, Value> {
    Map::from_iter([("403".to_owned(), Value::String(text))])
}

/// The obligation in the profile's shape. Its id is its code and how many of that code came
/// before: unique within the response, and the same each time.
fn wire_obligation(obligation: &Obligation, counts: &mut BTreeMap<ObligationCode, usize>) -> WireObligation {
    let count = counts.entry(obligation.code.clone()).or_default();
    *count += 1;
    let id = format!("{}-{count}", obligation.code);
    let parameters = obligation.parameters.iter().map(|(name, value)| (name.clone(), plain(value)));
    match registered(obligation) {
        Some(properties) => WireObligation { id, kind: obligation.code.authzen_type(), properties },
        None => {
            let mut properties = Map::from_iter([("code".to_owned(), json!(obligation.code.as_str()))]);
            if let Some(hl7) = obligation.code.hl7() {
                properties.insert("coding".to_owned(), json!({ "system": ACT_CODE, "code": hl7 }));
            }
            properties.extend(parameters.map(|(name, value)| match name.as_str() {
                // A parameter must neither hide what the obligation is nor get lost.
                "code" | "coding" => (format!("parameter.{name}"), value),
                _ => (name, value),
            }));
            WireObligation { id, kind: "custom", properties }
        }
    }
}

/// The properties of an obligation of a registered type. `None` where the type is not registered,
/// or where a property that the type requires is absent: the obligation then goes out as `custom`,
/// and a caller that does not know it denies.
fn registered(obligation: &Obligation) -> Option<Map<String, Value>> {
    let (parameter, required): (&str, &[&str]) = match &obligation.code {
        ObligationCode::StepUp => ("acr", &["acr_value"]),
        ObligationCode::Notify => ("", &["to", "body"]),
        ObligationCode::SessionTermination => ("", &["subject"]),
        _ => return None,
    };
    let mut properties: Map<String, Value> = obligation
        .parameters
        .iter()
        .map(|(name, value)| {
            let name = if name == parameter { "acr_value" } else { name };
            (name.to_owned(), plain(value))
        })
        .collect();
    // `session_termination` names its subject in whatever form the session has.
    let whole = required.iter().all(|name| match properties.get(*name) {
        Some(Value::String(_)) => true,
        Some(_) => *name == "subject",
        None => false,
    });
    properties.sort_keys();
    whole.then_some(properties)
}

/// The value as JSON without null members (RFC 7493 leaves them to the sender; AuthZEN asks to
/// leave them out).
fn without_nulls(value: &impl Serialize) -> Value {
    fn strip(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                members.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, strip(v))).collect()
            }
            Value::Array(items) => items.into_iter().map(strip).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }
    // Serialization to a value fails only for maps whose keys are not text, and there are none.
    serde_json::to_value(value).map(strip).unwrap_or_default()
}
