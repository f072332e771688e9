//! Whether what a guest returned can be believed: counts, lengths, characters, dates.
//!
//! INVARIANT (a failed plugin never permits): an answer is taken whole or refused whole. Dropping
//! one malformed finding could drop the denial. Messages name the field and never its value.

use std::collections::BTreeMap;

use assent_model::value::Decimal;
use assent_model::{
    Date, Denial, EntityId, FailureKind, Findings, Instant, Obligation, ObligationCode, PluginFailure,
    Remedy, Review, Value,
};

use crate::error::AdmissionProblem;
use crate::limits::Limits;
use crate::needs::{Needs, RawNeeds, RelationNeed};
use crate::plugin::Description;
use crate::v0_1::answer;
use crate::v0_1::request::{Scalar, Value as Returned};

/// A code: what rules, obligations and parameters are called.
const CODE_MAX_BYTES: usize = 64;
/// A name of something else: a queue, a form, a role, a path.
const NAME_MAX_BYTES: usize = 256;
/// A sentence for a person, or a note.
const SENTENCE_MAX_BYTES: usize = 2_000;
/// Parameters of one obligation: the richest known one has six.
const PARAMETERS_MAX: usize = 32;
/// Remedies of one denial, and roles of one remedy.
const REMEDIES_MAX: usize = 32;
/// Problems that `configure` reports: more than anybody reads at once.
const PROBLEMS_MAX: usize = 200;

type Accepted<T> = Result<T, PluginFailure>;

/// The findings, if every one of them is well-formed and they keep within the limits.
pub(crate) fn accept_findings(returned: answer::Findings, limits: &Limits) -> Accepted<Findings> {
    let count =
        returned.obligations.len() + returned.advice.len() + returned.denials.len() + returned.reviews.len();
    within(count, usize::try_from(limits.findings_max).unwrap_or(usize::MAX), "findings")?;
    within(returned.notes.len(), usize::try_from(limits.notes_max).unwrap_or(usize::MAX), "notes")?;
    let mut reader = Reader { bytes_left: usize::try_from(limits.output_max_bytes).unwrap_or(usize::MAX) };
    Ok(Findings {
        obligations: each(returned.obligations, |one| reader.obligation(one))?,
        advice: each(returned.advice, |one| reader.obligation(one))?,
        denials: each(returned.denials, |one| reader.denial(one))?,
        reviews: each(returned.reviews, |one| reader.review(one))?,
        notes: each(returned.notes, |note| reader.text(note, "notes", SENTENCE_MAX_BYTES))?,
    })
}

/// The description, or everything that is wrong with it.
pub(crate) fn accept_description(
    returned: answer::Description,
) -> Result<Description, Vec<AdmissionProblem>> {
    let mut problems = Vec::new();
    let mut check = |good: bool, field: &'static str, expected: &str| {
        if !good {
            problems.push(AdmissionProblem::Description { field, message: format!("expected {expected}") });
        }
    };
    check(is_kebab(&returned.name), "name", "1 to 64 of `a-z`, `0-9` and `-`, such as `export-approval`");
    check(is_version(&returned.version), "version", "a semantic version such as `1.2.0`");
    let summary = &returned.summary;
    let one_line =
        !summary.trim().is_empty() && summary.len() <= NAME_MAX_BYTES && !summary.contains(char::is_control);
    check(one_line, "summary", "one line of at most 256 bytes");
    let settings_schema = serde_json::from_str(&returned.settings_schema).unwrap_or_default();
    check(
        matches!(settings_schema, serde_json::Value::Object(_) | serde_json::Value::Bool(_)),
        "settings-schema",
        "a JSON Schema: an object",
    );
    let needs = returned.needs;
    let relations = needs.relations.into_iter();
    let raw = RawNeeds {
        attributes: needs.attributes,
        memberships: needs.memberships,
        relations: relations
            .map(|need| RelationNeed { kind: need.kind, attributes: need.attributes })
            .collect(),
        approvals: needs.approvals,
        consents: needs.consents,
        disclosure_decisions: needs.disclosure_decisions,
        value_sets: needs.value_sets,
    };
    match Needs::read(raw) {
        Ok(needs) if problems.is_empty() => Ok(Description {
            name: returned.name,
            version: returned.version,
            summary: returned.summary,
            settings_schema,
            needs,
        }),
        Ok(_) => Err(problems),
        Err(malformed) => Err(problems.into_iter().chain(malformed).collect()),
    }
}

/// What `configure` reported, as problems of the settings. Never empty: a refusal without a
/// reason is still a refusal.
pub(crate) fn accept_problems(returned: Vec<answer::Problem>) -> Vec<AdmissionProblem> {
    let mut problems: Vec<_> = returned
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|problem| AdmissionProblem::Settings {
            path: printable(&problem.path, NAME_MAX_BYTES),
            message: printable(&problem.message, SENTENCE_MAX_BYTES),
        })
        .collect();
    if problems.is_empty() {
        let message = "refused by the plugin without a reason".to_owned();
        problems.push(AdmissionProblem::Settings { path: String::new(), message });
    }
    problems
}

/// Text from a guest made fit for a message: on one line, and not too long.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() > max_bytes {
        shown.truncate(shown.floor_char_boundary(max_bytes));
        shown.push('…');
    }
    shown
}

/// Reads an answer while counting its text.
struct Reader {
    bytes_left: usize,
}

impl Reader {
    fn obligation(&mut self, returned: answer::Obligation) -> Accepted<Obligation> {
        let code = match ObligationCode::from(returned.code) {
            // A custom code that has a name of its own is that: callers know one spelling.
            ObligationCode::Custom(code) => ObligationCode::from_code(&self.code(code, "obligation code")?),
            known => known,
        };
        within(returned.parameters.len(), PARAMETERS_MAX, "parameters of an obligation")?;
        let mut parameters = BTreeMap::new();
        for parameter in returned.parameters {
            let name = self.code(parameter.name, "name of a parameter")?;
            let value = self.value(parameter.value)?;
            if parameters.insert(name, value).is_some() {
                return Err(bad("an obligation has two parameters of the same name"));
            }
        }
        Ok(Obligation { code, parameters })
    }

    fn denial(&mut self, returned: answer::Denial) -> Accepted<Denial> {
        within(returned.remedies.len(), REMEDIES_MAX, "remedies of a denial")?;
        Ok(Denial {
            code: self.code(returned.code, "code of a denial")?,
            message: self.sentence(returned.message, "message of a denial")?,
            ground: returned.ground.into(),
            citation: self.optional_name(returned.citation, "citation")?,
            remedies: each(returned.remedies, |remedy| self.remedy(remedy))?,
            neutral: returned.neutral,
        })
    }

    fn review(&mut self, returned: answer::Review) -> Accepted<Review> {
        Ok(Review {
            code: self.code(returned.code, "code of a review")?,
            question: self.sentence(returned.question, "question of a review")?,
            ground: returned.ground.into(),
            citation: self.optional_name(returned.citation, "citation")?,
            queue: self.name(returned.queue, "queue of a review")?,
        })
    }

    fn remedy(&mut self, returned: answer::Remedy) -> Accepted<Remedy> {
        Ok(match returned {
            answer::Remedy::Approval(approval) => {
                within(approval.roles.len(), REMEDIES_MAX, "roles of a remedy")?;
                Remedy::Approval {
                    kind: self.name(approval.kind, "kind of an approval")?,
                    quorum: approval.quorum,
                    have: approval.have,
                    roles: each(approval.roles, |role| self.name(role, "role of a remedy"))?,
                    data_set: self.optional_name(approval.data_set, "data set of a remedy")?,
                }
            }
            answer::Remedy::Consent(consent) => Remedy::Consent {
                form: self.name(consent.form, "form of a consent")?,
                category: self.optional_name(consent.category, "category of a remedy")?,
            },
            answer::Remedy::ClinicianDecision(decision) => Remedy::ClinicianDecision {
                question: self.name(decision.question, "question of a remedy")?,
                category: self.optional_name(decision.category, "category of a remedy")?,
            },
            answer::Remedy::StepUp(acr) => Remedy::StepUp { acr: self.name(acr, "step-up class")? },
            answer::Remedy::BreakGlass => Remedy::BreakGlass,
            answer::Remedy::IdentityProofing(level) => {
                Remedy::IdentityProofing { level: self.name(level, "level of identity proofing")? }
            }
            answer::Remedy::Justification(min_length) => Remedy::Justification { min_length },
            answer::Remedy::Agreement(kind) => {
                Remedy::Agreement { kind: self.name(kind, "kind of agreement")? }
            }
            answer::Remedy::ReduceScope(max_records) => Remedy::ReduceScope { max_records },
            answer::Remedy::HumanReview(queue) => {
                Remedy::HumanReview { queue: self.name(queue, "queue of a remedy")? }
            }
            answer::Remedy::PaperRequest => Remedy::PaperRequest,
            answer::Remedy::WaitUntil(millis) => Remedy::WaitUntil { instant: instant(millis)? },
            answer::Remedy::SupplyFact(path) => {
                Remedy::SupplyFact { path: self.name(path, "path of a remedy")? }
            }
            answer::Remedy::Other(code) => Remedy::Other { code: self.code(code, "code of a remedy")? },
        })
    }

    fn value(&mut self, returned: Returned<String>) -> Accepted<Value> {
        match returned {
            Returned::Scalar(scalar) => self.scalar(scalar),
            Returned::Set(scalars) => Ok(Value::set(each(scalars, |scalar| self.scalar(scalar))?)),
            Returned::Absent(_) => Err(bad("a parameter of an obligation is `absent`")),
        }
    }

    fn scalar(&mut self, returned: Scalar<String>) -> Accepted<Value> {
        Ok(match returned {
            Scalar::Text(text) => Value::Text(self.text(text, "parameter", usize::MAX)?.into()),
            Scalar::Integer(integer) => Value::Integer(integer),
            Scalar::Decimal(units) => Value::Decimal(Decimal::from_ten_thousandths(units)),
            Scalar::Boolean(boolean) => Value::Boolean(boolean),
            Scalar::Instant(millis) => Value::Instant(instant(millis)?),
            Scalar::Date(date) => Value::Date(
                Date::new(i32::from(date.year), date.month, date.day)
                    .map_err(|_| bad("a parameter is a date that does not exist"))?,
            ),
            Scalar::Duration(millis) => Value::Duration(millis),
            Scalar::Ip(text) => Value::Ip(self.name(text, "IP address of a parameter")?.into()),
            Scalar::Entity(id) => Value::Entity(EntityId::new(
                self.name(id.kind, "entity type of a parameter")?,
                self.name(id.id, "entity id of a parameter")?,
            )),
        })
    }

    fn code(&mut self, text: String, what: &str) -> Accepted<String> {
        let of_code = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > CODE_MAX_BYTES || !text.bytes().all(of_code) {
            return Err(bad(format!("the {what} is not 1 to {CODE_MAX_BYTES} of `a-z A-Z 0-9 . _ -`")));
        }
        self.text(text, what, CODE_MAX_BYTES)
    }

    fn name(&mut self, text: String, what: &str) -> Accepted<String> {
        if text.is_empty() {
            return Err(bad(format!("the {what} is empty")));
        }
        self.text(text, what, NAME_MAX_BYTES)
    }

    fn optional_name(&mut self, text: Option<String>, what: &str) -> Accepted<Option<String>> {
        text.map(|text| self.name(text, what)).transpose()
    }

    fn sentence(&mut self, text: String, what: &str) -> Accepted<String> {
        if text.trim().is_empty() {
            return Err(bad(format!("the {what} is empty")));
        }
        self.text(text, what, SENTENCE_MAX_BYTES)
    }

    fn text(&mut self, text: String, what: &str, max_bytes: usize) -> Accepted<String> {
        within(text.len(), max_bytes, &format_args!("bytes in the {what}"))?;
        self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or_else(|| {
            PluginFailure::new(
                FailureKind::OutputTooLarge,
                "the answer has more text than `output_max_bytes`",
            )
        })?;
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(bad(format!("the {what} contains a control character")));
        }
        Ok(text)
    }
}

fn each<A, B>(items: Vec<A>, accept: impl FnMut(A) -> Accepted<B>) -> Accepted<Vec<B>> {
    items.into_iter().map(accept).collect()
}

fn within(count: usize, max: usize, what: &(impl std::fmt::Display + ?Sized)) -> Accepted<()> {
    if count <= max {
        return Ok(());
    }
    Err(PluginFailure::new(FailureKind::OutputTooLarge, format!("{count} {what}, where {max} are allowed")))
}

fn instant(millis: i64) -> Accepted<Instant> {
    Instant::from_millis(millis).map_err(|_| bad("an instant is outside the years 0000 to 9999"))
}

fn bad(message: impl Into<String>) -> PluginFailure {
    PluginFailure::new(FailureKind::BadOutput, message)
}

fn is_kebab(text: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= CODE_MAX_BYTES && text.split('-').all(word)
}

/// `MAJOR.MINOR.PATCH`, with `-pre` and `+build` (<https://semver.org>).
fn is_version(text: &str) -> bool {
    let suffix = |text: &str| {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        text.split('.').all(word)
    };
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    text.len() <= CODE_MAX_BYTES
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(suffix)
        && build.is_none_or(|build| build.len() <= CODE_MAX_BYTES && suffix(build))
}

#[cfg(test)]
mod tests;
