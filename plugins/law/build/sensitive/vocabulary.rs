//! The words that rules may use: labels, purposes, categories, forms of consent, exceptions.
//!
//! Each vocabulary is one file. INVARIANT (no word without meaning): whatever a rule or another
//! vocabulary refers to is defined here, so that a misspelt label cannot leave a record unprotected.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{near, parse, shown};
use crate::Build;

/// Kinds of evidence for an exception, and the names of their variants in `src/sensitive.rs`.
const EVIDENCE: &[(&str, &str)] = &[
    ("emergency", "Emergency"),
    ("treating", "Treating"),
    ("care-team", "CareTeam"),
    ("program", "Program"),
    ("payer", "Payer"),
    ("public-health", "PublicHealth"),
    ("author", "Author"),
    ("organization", "Organization"),
    ("relationship", "Relationship"),
    ("none", "None"),
];
/// Facts that can imply a label; the plugin reads exactly these.
const IMPLYING: &[&str] = &["resource.part2", "resource.counselingNotes", "patient.selfPayRestriction"];
/// Any purpose but those that are met only by themselves and machine learning.
const ANY: &str = "*";

/// All vocabularies.
#[derive(Default)]
pub(super) struct Vocabulary {
    pub(super) labels: BTreeMap<String, Label>,
    pub(super) purposes: BTreeMap<String, Purpose>,
    pub(super) categories: BTreeMap<String, Vec<String>>,
    pub(super) forms: BTreeMap<String, Form>,
    pub(super) exceptions: BTreeMap<String, Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    meaning: String,
    broader: Option<String>,
    equals: Option<String>,
    implied_by: Option<String>,
    #[serde(default)]
    demographic: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purpose {
    meaning: String,
    broader: Option<String>,
    #[serde(default)]
    exact: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    title: String,
    purposes: Vec<String>,
    #[serde(default)]
    except_purposes: Vec<String>,
    #[serde(default)]
    names_recipient: bool,
    lapses_after_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    words: String,
    evidence: String,
    #[serde(default)]
    purposes: Vec<String>,
}

impl Vocabulary {
    /// Reads the files and checks them against one another.
    pub(super) fn read(build: &mut Build, files: &BTreeMap<String, String>) -> Self {
        let words = Self {
            labels: parse(build, files, "labels.toml"),
            purposes: parse(build, files, "purposes.toml"),
            categories: parse(build, files, "categories.toml"),
            forms: parse(build, files, "forms.toml"),
            exceptions: parse(build, files, "exceptions.toml"),
        };
        words.check(build);
        words
    }

    fn check(&self, build: &mut Build) {
        for (code, label) in &self.labels {
            text(build, "labels.toml", code, "meaning", &label.meaning);
            for other in label.broader.iter().chain(&label.equals) {
                known(build, "labels.toml", code, "label", other, &self.labels);
            }
            // An equal of an equal would be looked up once only.
            if label
                .equals
                .as_ref()
                .and_then(|other| self.labels.get(other))
                .is_some_and(|of| of.equals.is_some())
            {
                build.problem(
                    &shown("labels.toml"),
                    code,
                    "`equals` names a label that has an `equals` itself",
                );
            }
            if label.equals.is_some() && label.broader.is_some() {
                let expected = "expected `equals` or `broader`, for the equal says what it is part of";
                build.problem(&shown("labels.toml"), code, expected);
            }
            if let Some(path) = label.implied_by.as_deref().filter(|path| !IMPLYING.contains(path)) {
                let list = IMPLYING.join("`, `");
                build.problem(
                    &shown("labels.toml"),
                    code,
                    format!("`implied_by` is `{path}`: expected one of `{list}`"),
                );
            }
        }
        acyclic(build, "labels.toml", &self.labels, |label| label.broader.as_ref());
        for (code, purpose) in &self.purposes {
            text(build, "purposes.toml", code, "meaning", &purpose.meaning);
            purpose
                .broader
                .iter()
                .for_each(|other| known(build, "purposes.toml", code, "purpose", other, &self.purposes));
        }
        acyclic(build, "purposes.toml", &self.purposes, |purpose| purpose.broader.as_ref());
        for (name, labels) in &self.categories {
            labels
                .iter()
                .for_each(|label| known(build, "categories.toml", name, "label", label, &self.labels));
        }
        for (id, form) in &self.forms {
            text(build, "forms.toml", id, "title", &form.title);
            if form.purposes.is_empty() {
                build.problem(
                    &shown("forms.toml"),
                    id,
                    "expected `purposes`; write `[\"*\"]` where any will do",
                );
            }
            for purpose in form.purposes.iter().chain(&form.except_purposes).filter(|p| *p != ANY) {
                known(build, "forms.toml", id, "purpose", purpose, &self.purposes);
            }
        }
        for (id, exception) in &self.exceptions {
            text(build, "exceptions.toml", id, "words", &exception.words);
            for purpose in &exception.purposes {
                known(build, "exceptions.toml", id, "purpose", purpose, &self.purposes);
            }
            variant(build, "exceptions.toml", id, ("evidence", EVIDENCE), &exception.evidence);
        }
    }

    /// The vocabularies as statics.
    pub(super) fn code(&self) -> String {
        let mut code =
            String::from("/// The sensitivity labels, by code.\npub static LABELS: &[Label] = &[\n");
        for (id, label) in &self.labels {
            code.push_str(&format!(
                "    Label {{ code: {id:?}, broader: {:?}, equals: {:?}, demographic: {} }},\n",
                label.broader, label.equals, label.demographic
            ));
        }
        code.push_str("];\n\n/// The purposes of use, by code.\npub static PURPOSES: &[Purpose] = &[\n");
        for (id, purpose) in &self.purposes {
            code.push_str(&format!(
                "    Purpose {{ code: {id:?}, broader: {:?}, exact: {} }},\n",
                purpose.broader, purpose.exact
            ));
        }
        code.push_str("];\n\n/// The categories of care with the labels they stand for, by name.\npub static CATEGORIES: &[(&str, &[&str])] = &[\n");
        for (name, labels) in &self.categories {
            code.push_str(&format!("    ({name:?}, &{labels:?}),\n"));
        }
        code.push_str("];\n\n/// The forms of consent, by id.\npub static FORMS: &[Form<'static>] = &[\n");
        for (id, form) in &self.forms {
            code.push_str(&format!("    Form {{ id: {id:?}, purposes: &{:?}, except_purposes: &{:?}, names_recipient: {}, lapses_after_days: {:?} }},\n",
                form.purposes, form.except_purposes, form.names_recipient, form.lapses_after_days
            ));
        }
        code.push_str("];\n\n/// The exceptions, by id.\npub static EXCEPTIONS: &[Exception] = &[\n");
        for (id, exception) in &self.exceptions {
            let evidence =
                EVIDENCE.iter().find(|(code, _)| *code == exception.evidence).map_or("None", |(_, v)| v);
            code.push_str(&format!("    Exception {{ id: {id:?}, words: {:?}, evidence: Evidence::{evidence}, purposes: &{:?} }},\n",
                exception.words, exception.purposes
            ));
        }
        code.push_str("];\n\n");
        code
    }
}

/// Requires a word of a vocabulary.
pub(super) fn known<T>(
    build: &mut Build,
    file: &str,
    row: &str,
    kind: &str,
    word: &str,
    words: &BTreeMap<String, T>,
) {
    if !words.contains_key(word) {
        let near = near(word, words.keys().map(String::as_str));
        build.problem(&shown(file), row, format!("unknown {kind} `{word}`{near}"));
    }
}

/// The variant of a code; a code that is not one of the list is a problem.
pub(super) fn variant(
    build: &mut Build,
    file: &str,
    row: &str,
    (key, list): (&str, &'static [(&str, &str)]),
    code: &str,
) -> &'static str {
    if let Some((_, variant)) = list.iter().find(|(known, _)| *known == code) {
        return variant;
    }
    let known: Vec<_> = list.iter().map(|(known, _)| format!("`{known}`")).collect();
    build.problem(&shown(file), row, format!("`{key}` is `{code}`: expected one of {}", known.join(", ")));
    ""
}

/// Requires a text that says something.
pub(super) fn text(build: &mut Build, file: &str, row: &str, key: &str, text: &str) {
    if text.trim().is_empty() {
        build.problem(&shown(file), row, format!("expected a `{key}`"));
    }
}

fn acyclic<T>(
    build: &mut Build,
    file: &str,
    words: &BTreeMap<String, T>,
    broader: impl Fn(&T) -> Option<&String>,
) {
    for code in words.keys() {
        let mut at = Some(code);
        let steps = std::iter::from_fn(|| {
            at = words.get(at?).and_then(&broader);
            at
        });
        if steps.take(words.len()).any(|above| above == code) {
            build.problem(&shown(file), code, "`broader` leads back to itself");
        }
    }
}
