//! What a service says that does not do what it is asked: Problem Details (RFC 9457), as sentences for whoever typed
//! the command.

use assent_audit::text::{one_line, printable};
use assent_outbound::service::Answer;
use serde_json::Value;

const CONTENT: &str = "application/problem+json";
const TYPE: &str = "urn:assent:problem:";

/// Why the service does not do it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: u16,
    /// Empty where what answered is no state of Assent's.
    code: String,
    detail: String,
    /// A place of the body, and what is wrong there.
    errors: Vec<(String, String)>,
}

impl Problem {
    /// What an answer says that is no success.
    pub(super) fn of(answer: &Answer) -> Self {
        let is_problem = answer.header("content-type").is_some_and(|kind| kind.starts_with(CONTENT));
        let body = serde_json::from_slice(&answer.body).ok().filter(|_| is_problem);
        Self::parsed(answer.status, &body.unwrap_or(Value::Null))
    }

    fn parsed(status: u16, body: &Value) -> Self {
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let code = text(body, "type").and_then(|kind| Some(kind.strip_prefix(TYPE)?.to_owned()));
        let Some(code) = code else {
            let detail = "what answers there is not the state of an Assent service: is `--url` right?";
            return Self { status, code: String::new(), detail: detail.to_owned(), errors: vec![] };
        };
        let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let errors = errors.map(|error| {
            (text(error, "pointer").unwrap_or_default(), text(error, "detail").unwrap_or_default())
        });
        Self { status, code, detail: text(body, "detail").unwrap_or_default(), errors: errors.collect() }
    }

    /// Whether it is this one.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// As sentences: what is wrong, then each place of it, named as `place` has it for a JSON Pointer into the body and
    /// what is said of it.
    pub(super) fn told(&self, mut place: impl FnMut(&str, &str) -> String) -> String {
        let verb = if self.status >= 500 { "cannot do it now" } else { "refuses it" };
        let code = format!("{} {}", self.status, self.code);
        let mut told = format!("the service {verb} ({}): {}", code.trim_end(), self.detail);
        told = one_line(&told);
        for (pointer, detail) in &self.errors {
            let place = place(pointer, detail);
            let separator = if place.is_empty() { "" } else { ": " };
            told = format!("{told}\n  {}", printable(&format!("{place}{separator}{}", one_line(detail))));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_and_a_line_for_each_place() {
        let body = json!({
            "type": "urn:assent:problem:invalid-facts",
            "detail": "what results does not\nfit the schema",
            "errors": [
                { "pointer": "/changes/1", "detail": "no attribute `rule`" },
                { "pointer": "", "detail": "and \u{1b}[2J this" },
            ],
        });
        assert_eq!(
            Problem::parsed(422, &body).told(|pointer, _| pointer.replace("/changes/1", "people.json:2")),
            "the service refuses it (422 invalid-facts): what results does not fit the schema\n  \
             people.json:2: no attribute `rule`\n  and \u{fffd}[2J this"
        );
        assert!(
            Problem::parsed(503, &body)
                .told(|pointer, _| pointer.to_owned())
                .starts_with("the service cannot do it now (503")
        );
    }

    #[test]
    fn what_is_no_problem_of_assents_is_taken_for_another_service() {
        for body in [Value::Null, json!({ "error": "x" }), json!({ "type": "about:blank", "detail": "x" })] {
            let problem = Problem::parsed(404, &body);
            assert!(!problem.is("not-found"));
            let told = problem.told(|pointer, _| pointer.to_owned());
            assert!(told.starts_with("the service refuses it (404): ") && told.contains("`--url`"), "{told}");
        }
    }
}
