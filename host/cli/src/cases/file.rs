//! The format of a case file (TOML).
//!
//! ```toml
//! [defaults]                      # for every case in the file
//! now = "2026-11-21T18:00:00Z"
//! caller = "portal"
//! [defaults.context]              # each case's context is laid over this, key by key
//! purpose = "FAMRQT"
//!
//! [[case]]
//! name = "a parent reads a young child's immunization"
//! subject = { type = "related-person", id = "maria" }
//! action = { name = "read" }
//! resource = { type = "immunization", id = "imm-1" }
//! entities = [{ uid = { type = "Patient", id = "ana" }, attrs = { birthDate = "2008-11-22" } }]
//! [case.expect]
//! decision = "permit"
//! policies = ["proxy.read"]
//! ```

use std::sync::Arc;

use assent_model::{Action, Cause, Effect, Instant, Party, Properties, Request};
use assent_policy::LoadProblem;
use serde::Deserialize;

use crate::deployment::files;
use crate::deployment::places::Places;

/// A file of cases, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default, rename = "case")]
    cases: Vec<WrittenCase>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Defaults {
    now: Option<Instant>,
    caller: Option<String>,
    subject: Option<WrittenParty>,
    action: Option<WrittenAction>,
    resource: Option<WrittenParty>,
    context: Properties,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    name: String,
    now: Option<Instant>,
    caller: Option<String>,
    subject: Option<WrittenParty>,
    action: Option<WrittenAction>,
    resource: Option<WrittenParty>,
    #[serde(default)]
    context: Properties,
    #[serde(default)]
    entities: Vec<serde_json::Value>,
    expect: Expected,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenParty {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAction {
    name: String,
    #[serde(default)]
    properties: Properties,
}

/// What a case expects. What is left out is not compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Permit or deny.
    pub decision: Effect,
    /// Why.
    pub cause: Option<Cause>,
    /// Ids of the determining policies.
    pub policies: Option<Vec<String>>,
    /// Denials and reviews of plugins, as `binding:code`.
    pub findings: Option<Vec<String>>,
    /// Codes of obligations.
    pub obligations: Option<Vec<String>>,
    /// Codes of remedies.
    pub remedies: Option<Vec<String>>,
    /// Ids of policies that could not be evaluated.
    pub errors: Option<Vec<String>>,
    /// Failures of plugins, as `binding:kind`.
    pub failures: Option<Vec<String>>,
}

/// One case, with the file's defaults applied.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows, as a sentence.
    pub name: String,
    /// The file it is in.
    pub file: String,
    /// Which of the file's cases it is, from 0.
    pub index: usize,
    /// Where the parts of the file stand.
    pub places: Arc<Places>,
    /// The clock.
    pub now: Instant,
    /// The caller's id; `None`: a caller that can honour everything.
    pub caller: Option<String>,
    /// The request.
    pub request: Request,
    /// Entities laid over the stored ones, as Cedar entity JSON.
    pub entities: Vec<serde_json::Value>,
    /// What must come out.
    pub expected: Expected,
}

/// The cases of one file.
pub type CaseFile = Vec<Case>;

/// Reads the cases of a file.
///
/// # Errors
/// Every problem of the file.
pub fn read(name: &str, text: &str) -> Result<CaseFile, Vec<LoadProblem>> {
    let Written { defaults, cases } = files::parse_toml(name, text).map_err(|problem| vec![problem])?;
    let places = Arc::new(Places::of(name, text));
    let mut problems = vec![];
    let mut read = vec![];
    if cases.is_empty() {
        problems.push(LoadProblem::of_file(name, "holds no `[[case]]`"));
    }
    for (index, case) in cases.into_iter().enumerate() {
        match complete(case, &defaults, index, &places) {
            Ok(case) => read.push(case),
            Err(message) => problems.push(places.problem(&format!("/case/{index}"), message)),
        }
    }
    let mut names = std::collections::BTreeSet::new();
    for case in &read {
        if !names.insert(&case.name) {
            problems.push(case.problem("/name", format!("the case name `{}` is used twice", case.name)));
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

fn complete(
    case: WrittenCase,
    defaults: &Defaults,
    index: usize,
    places: &Arc<Places>,
) -> Result<Case, String> {
    let missing =
        |what: &str| format!("case `{}` has no `{what}`, and `[defaults]` has none either", case.name);
    let subject = case.subject.or_else(|| defaults.subject.clone()).ok_or_else(|| missing("subject"))?;
    let action = case.action.or_else(|| defaults.action.clone()).ok_or_else(|| missing("action"))?;
    let resource = case.resource.or_else(|| defaults.resource.clone()).ok_or_else(|| missing("resource"))?;
    let now = case.now.or(defaults.now).ok_or_else(|| missing("now"))?;
    let mut context = defaults.context.clone();
    // `false` for a key takes a default away: `context.session = false`.
    for (key, value) in case.context {
        if value == serde_json::Value::Bool(false) && defaults.context.contains_key(&key) {
            context.remove(&key);
        } else {
            context.insert(key, value);
        }
    }
    let request = Request {
        subject: subject.into(),
        action: Action { name: action.name, properties: action.properties },
        resource: resource.into(),
        context,
    };
    Ok(Case {
        name: case.name,
        file: places.file().to_owned(),
        index,
        places: Arc::clone(places),
        now,
        caller: case.caller.or_else(|| defaults.caller.clone()),
        request,
        entities: case.entities,
        expected: case.expect,
    })
}

impl Case {
    /// A problem with a part of the case, such as `/subject/id`, or of the defaults that it comes from.
    pub(super) fn problem(&self, part: &str, message: impl Into<String>) -> LoadProblem {
        let own = format!("/case/{}{part}", self.index);
        let default = format!("/defaults{part}");
        let written = if !self.places.has(&own) && self.places.has(&default) { &default } else { &own };
        self.places.problem(written, message)
    }
}

impl From<WrittenParty> for Party {
    fn from(WrittenParty { kind, id, properties }: WrittenParty) -> Self {
        Self { kind, id, properties }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[defaults]
now = "2026-11-21T18:00:00Z"
subject = { type = "patient", id = "p1" }
[defaults.context]
purpose = "PATRQT"
session = { mfa = true }
[[case]]
name = "reads"
action = { name = "read" }
resource = { type = "observation", id = "o1" }
context = { session = false, scope = "item" }
expect = { decision = "permit", cause = "permit", policies = ["patient.read"] }
"#;

    #[test]
    fn defaults_are_laid_under_each_case() {
        let cases = read("cases.toml", FILE).unwrap();
        let case = &cases[0];
        assert_eq!(case.request.subject.id, "p1");
        let keys: Vec<_> = case.request.context.keys().map(String::as_str).collect();
        assert_eq!(keys, ["purpose", "scope"]);
        assert_eq!(case.expected.cause, Some(Cause::Permit));
    }

    #[test]
    fn a_mistyped_expectation_is_refused() {
        let problems = read("cases.toml", &FILE.replace("policies =", "policy =")).unwrap_err();
        assert!(problems[0].to_string().contains("policies"), "{problems:?}");
    }

    #[test]
    fn a_case_without_a_subject_is_refused() {
        let problems = read("cases.toml", &FILE.replace("subject =", "resource =")).unwrap_err();
        assert!(problems[0].message.contains("no `subject`"), "{problems:?}");
        assert_eq!((problems[0].line, problems[0].column), (8, 1));
    }
}
