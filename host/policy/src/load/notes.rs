//! Reads what a policy's annotations say: id, intent, source, message, obligations, advice, remedies.
//!
//! Cedar gives annotations no meaning and reports no misspelling; both are done here.

use std::collections::BTreeMap;

use assent_model::{Instant, Obligation, ObligationCode, PolicyNote, Remedy, Value};
use cedar_policy_core::ast;

use crate::error::LoadProblem;
use crate::source::{SourceFile, known_names};

const KEYS: &[&str] = &["id", "intent", "source", "message", "reveals", "obligation", "advice", "remedy"];
/// An id appears in every record of a decision and in metrics.
const ID_MAX_BYTES: usize = 64;

/// Reads the annotations of a policy whose text begins at byte `start` of the file.
pub(super) fn read(
    policy: &ast::Policy,
    file: &SourceFile,
    start: usize,
    problems: &mut Vec<LoadProblem>,
) -> PolicyNote {
    let permits = policy.effect() == ast::Effect::Permit;
    let mut note = PolicyNote {
        id: String::new(),
        permits,
        intent: None,
        source: None,
        message: None,
        reveals: false,
        obligations: Vec::new(),
        advice: Vec::new(),
        remedies: Vec::new(),
    };
    for (key, annotation) in policy.annotations() {
        let offset = start + annotation.loc.as_ref().map_or(0, |location| location.start());
        let value = annotation.val.as_str();
        let outcome = match key.as_ref() {
            "id" => {
                note.id = value.to_owned();
                check_id(value)
            }
            "intent" => set_text(&mut note.intent, value),
            "source" => set_text(&mut note.source, value),
            "message" => set_text(&mut note.message, value),
            "reveals" if permits || value != "existence" => {
                Err(Fault::new("expected `@reveals(\"existence\")`, on a `forbid` with a `@message`"))
            }
            "reveals" => {
                note.reveals = true;
                Ok(())
            }
            "obligation" => obligations(value).map(|read| note.obligations = read),
            "advice" => obligations(value).map(|read| note.advice = read),
            "remedy" if permits => {
                Err(Fault::new("a remedy says how a denial ends, so it belongs on a `forbid`"))
            }
            "remedy" => remedies(value).map(|read| note.remedies = read),
            unknown => Err(Fault {
                message: "this annotation is not known".to_owned(),
                help: Some(known_names(unknown, KEYS.iter().copied())),
            }),
        };
        if let Err(fault) = outcome {
            let mut problem = file.problem(offset, format!("`@{key}`: {}", fault.message));
            problem.help = fault.help;
            problems.push(problem);
        }
    }
    let has = |name: &str| policy.annotations().any(|(key, _)| key.as_ref() == name);
    if !has("id") {
        problems.push(
            file.problem(start, "this policy has no `@id`")
                .with_help("write `@id(\"family.rule\")` above it"),
        );
    }
    if !has("intent") {
        problems.push(
            file.problem(start, "this policy has no `@intent`")
                .with_help("say in one line what it is for: `@intent(\"...\")`"),
        );
    }
    note
}

/// What is wrong with an annotation.
struct Fault {
    message: String,
    help: Option<String>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }
}

fn check_id(id: &str) -> Result<(), Fault> {
    let well_formed = !id.is_empty()
        && id.len() <= ID_MAX_BYTES
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if well_formed {
        return Ok(());
    }
    Err(Fault::new(format!("expected 1 to {ID_MAX_BYTES} of `a-z`, `0-9`, `.`, `_` and `-`")))
}

fn set_text(field: &mut Option<String>, text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() || text.contains('\n') {
        return Err(Fault::new("expected one line of text"));
    }
    *field = Some(text.to_owned());
    Ok(())
}

/// One entry of a list such as `step-up acr=mfa; watermark text='for you only'`.
struct Entry {
    code: String,
    parameters: BTreeMap<String, String>,
}

fn entries(text: &str) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (code, after) = word(rest);
        if code.is_empty() {
            return Err(Fault::new("expected a code such as `audit`").with_syntax());
        }
        let mut entry = Entry { code: code.to_owned(), parameters: BTreeMap::new() };
        check_word(code)?;
        rest = after.trim_start();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(';') {
                rest = after.trim_start();
                break;
            }
            let (key, after) = word(rest);
            let Some(after) = after.strip_prefix('=') else {
                return Err(Fault::new(format!("expected `;` or `key=value` after `{code}`")).with_syntax());
            };
            check_word(key)?;
            let (value, after) = match after.strip_prefix('\'') {
                Some(quoted) => quoted
                    .split_once('\'')
                    .ok_or_else(|| Fault::new("a quoted value does not end").with_syntax())?,
                None => word(after),
            };
            if entry.parameters.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Fault::new(format!("`{key}` is given twice")));
            }
            rest = after.trim_start();
        }
        entries.push(entry);
    }
    if entries.is_empty() { Err(Fault::new("expected at least one code").with_syntax()) } else { Ok(entries) }
}

impl Fault {
    fn with_syntax(mut self) -> Self {
        self.help = Some("write `code; code key=value key='two words'`".to_owned());
        self
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| character.is_whitespace() || matches!(character, ';' | '=' | '\''))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn check_word(word: &str) -> Result<(), Fault> {
    let well_formed = !word.is_empty()
        && word.len() <= 64
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if well_formed {
        return Ok(());
    }
    Err(Fault::new(format!("`{word}` is not a name: 1 to 64 of `a-z A-Z 0-9 . _ -`")).with_syntax())
}

fn obligations(text: &str) -> Result<Vec<Obligation>, Fault> {
    let mut read = Vec::new();
    for entry in entries(text)? {
        let code = ObligationCode::from_code(&entry.code);
        if let ObligationCode::Custom(own) = &code {
            // An organization's own codes are free, but `watermrk` is no organization's own code.
            let near = ObligationCode::KNOWN.iter().find(|known| {
                known.as_str().len() > 4 && strsim::damerau_levenshtein(known.as_str(), own) <= 2
            });
            if let Some(near) = near {
                return Err(Fault {
                    message: format!("obligation `{own}` is not known"),
                    help: Some(format!("did you mean `{near}`?")),
                });
            }
        }
        let obligation =
            entry.parameters.into_iter().fold(Obligation::new(code), |obligation, (name, value)| {
                obligation.with(name, Value::Text(value.into()))
            });
        if read.contains(&obligation) {
            return Err(Fault::new(format!("`{}` is given twice", entry.code)));
        }
        read.push(obligation);
    }
    Ok(read)
}

fn remedies(text: &str) -> Result<Vec<Remedy>, Fault> {
    entries(text)?.into_iter().map(remedy).collect()
}

fn remedy(entry: Entry) -> Result<Remedy, Fault> {
    let code = entry.code;
    let mut fields = Fields {
        code: code.clone(),
        values: entry.parameters.into_iter().map(|(key, value)| (key.replace('-', "_"), value)).collect(),
        used: Vec::new(),
    };
    let remedy = match code.as_str() {
        "approval" => Remedy::Approval {
            kind: fields.text("kind")?,
            quorum: fields.number("quorum", Some(1))?,
            have: fields.number("have", Some(0))?,
            roles: fields.list("roles"),
            data_set: fields.optional("data_set"),
        },
        "consent" => Remedy::Consent { form: fields.text("form")?, category: fields.optional("category") },
        "clinician-decision" => Remedy::ClinicianDecision {
            question: fields.text("question")?,
            category: fields.optional("category"),
        },
        "step-up" => Remedy::StepUp { acr: fields.text("acr")? },
        "break-glass" => Remedy::BreakGlass,
        "identity-proofing" => Remedy::IdentityProofing { level: fields.text("level")? },
        "justification" => Remedy::Justification { min_length: fields.number("min_length", None)? },
        "agreement" => Remedy::Agreement { kind: fields.text("kind")? },
        "reduce-scope" => Remedy::ReduceScope { max_records: fields.number("max_records", None)? },
        "human-review" => Remedy::HumanReview { queue: fields.text("queue")? },
        "paper-request" => Remedy::PaperRequest,
        "wait-until" => Remedy::WaitUntil {
            instant: fields
                .text("instant")?
                .parse::<Instant>()
                .map_err(|error| Fault::new(format!("`instant` of `wait-until`: {error}")))?,
        },
        "supply-fact" => Remedy::SupplyFact { path: fields.text("path")? },
        "other" => Remedy::Other { code: fields.text("code")? },
        unknown => {
            return Err(Fault {
                message: format!("remedy `{unknown}` is not known"),
                help: Some(known_names(unknown, Remedy::CODES.iter().copied())),
            });
        }
    };
    fields.finish()?;
    Ok(remedy)
}

/// The parameters of one remedy; each must be one that the remedy has.
struct Fields {
    code: String,
    values: BTreeMap<String, String>,
    used: Vec<&'static str>,
}

impl Fields {
    fn optional(&mut self, name: &'static str) -> Option<String> {
        self.used.push(name);
        self.values.remove(name)
    }

    fn text(&mut self, name: &'static str) -> Result<String, Fault> {
        self.optional(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Fault::new(format!("`{}` needs `{}=...`", self.code, name.replace('_', "-"))))
    }

    fn number<T: std::str::FromStr>(&mut self, name: &'static str, default: Option<T>) -> Result<T, Fault> {
        match (self.optional(name), default) {
            (Some(text), _) => text.parse().map_err(|_| {
                Fault::new(format!("`{}` of `{}` must be a number", name.replace('_', "-"), self.code))
            }),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                Err(Fault::new(format!("`{}` needs `{}=...`", self.code, name.replace('_', "-"))))
            }
        }
    }

    fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn finish(self) -> Result<(), Fault> {
        let Some(unknown) = self.values.into_keys().next() else { return Ok(()) };
        Err(Fault {
            message: format!("`{}` has no `{unknown}`", self.code),
            help: Some(match self.used.is_empty() {
                true => "it takes no parameters".to_owned(),
                false => known_names(&unknown, self.used.iter().copied()),
            }),
        })
    }
}
