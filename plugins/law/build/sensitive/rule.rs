//! The rules: `rules/*.toml` to the static `RULES`.
//!
//! Says what a row may contain, and finds what is missing, unknown or contradictory in it.
//! INVARIANT (no unsourced row decides): a row without citation, dated source and owner is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::vocabulary::{Vocabulary, known, text, variant};
use super::{near, shown};
use crate::Build;
use crate::minor_consent::{STATES, partial_date};

/// Federal law, and rules without a statute.
const OTHER_JURISDICTIONS: [&str; 2] = ["US", "ORG"];
const MARKED_BY: &[(&str, &str)] =
    &[("any-label", "AnyLabel"), ("all-labels", "AllLabels"), ("any-record", "AnyRecord")];
const UNLESS: &[(&str, &str)] = &[("not-part2", "true")];
const WHAT: &[(&str, &str)] = &[("disclosure", "Disclosure"), ("use", "UseAndDisclosure")];
const HOLDERS: &[&str] = &[
    "provider",
    "mental-health-facility",
    "treatment-facility",
    "part2-program",
    "exchange",
    "health-plan",
    "digital-mental-health",
    "consumer-service",
];
const DEFAULTS: &[(&str, &str)] = &[
    ("deny", "Deny"),
    ("deny-also-to-patient", "DenyAlsoToPatient"),
    ("deny-always", "DenyAlways"),
    ("deny-exchange", "DenyExchange"),
    ("deny-out-of-state", "DenyOutOfState"),
    ("deny-out-of-state-process", "DenyOutOfStateProcess"),
    ("deny-outside-tpo", "DenyOutsideTpo"),
    ("deny-storage-abroad", "DenyStorageAbroad"),
    ("deny-to-plan", "DenyToPlan"),
    ("deny-without-relationship", "DenyWithoutRelationship"),
    ("may-refuse-representative", "MayRefuseRepresentative"),
    ("permit-relevant-part", "PermitRelevantPart"),
    ("route-communications", "RouteCommunications"),
    ("not-in-force", "NotInForce"),
];
/// Codes of obligations that rules use, with the parameter each needs.
const OBLIGATIONS: &[(&str, Option<&str>)] = &[
    ("account-disclosure", None),
    ("attach-consent", None),
    ("audit", None),
    ("filter-by-code-list", Some("list")),
    ("human-review", Some("queue")),
    ("minimum-necessary", None),
    ("notify", Some("body")),
    ("notify-without-phi", Some("to")),
    ("redisclosure-notice", Some("statement")),
    ("segregate", None),
    ("suppress-billing-detail", None),
];
const WHEN: &[(&str, &str)] = &[("always", "Always"), ("consent", "Consent"), ("exception", "Exception")];
const GROUNDS: &[(&str, &str)] = &[
    ("destination", "Destination"),
    ("endangerment", "Endangerment"),
    ("individual-request", "IndividualRequest"),
    ("law-prohibits", "LawProhibits"),
    ("no-consent", "NoConsent"),
    ("no-relationship", "NoRelationship"),
    ("part2", "Part2"),
    ("psychotherapy-notes", "PsychotherapyNotes"),
    ("purpose", "Purpose"),
];
const CONFIDENCE: &[(&str, &str)] = &[("high", "High"), ("medium", "Medium"), ("low", "Low")];
const BASIS: &[(&str, &str)] = &[("primary", "Primary"), ("secondary", "Secondary"), ("memory", "Memory")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    title: String,
    jurisdiction: String,
    #[serde(default)]
    records: Records,
    applies_to: AppliesTo,
    default_without_consent: String,
    consent: Consent,
    exceptions: Exceptions,
    #[serde(default)]
    obligations: Vec<BTreeMap<String, String>>,
    ground: String,
    citation: String,
    effective_from: Option<String>,
    source_snapshot: String,
    confidence: String,
    basis: String,
    #[serde(default)]
    under_review: bool,
    owner: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Records {
    marked_by: Option<String>,
    labels: Vec<String>,
    unless: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppliesTo {
    what: String,
    #[serde(default)]
    holders: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
    #[serde(default)]
    representatives: bool,
    words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    #[serde(default)]
    forms: Vec<String>,
    #[serde(default)]
    names_recipient: bool,
    #[serde(rename = "words")]
    _words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    codes: Vec<String>,
    #[serde(rename = "words")]
    _words: String,
}

/// Checks the rules of all files and writes them as a static.
pub(super) fn generate(build: &mut Build, files: &BTreeMap<String, String>, words: &Vocabulary) -> String {
    let mut rules = BTreeMap::new();
    for (file, content) in files.iter().filter(|(name, _)| name.starts_with("rules/")) {
        let mut table: toml::Table = match content.parse() {
            Ok(table) => table,
            Err(error) => {
                build.problem(&shown(file), "the file", super::one_line(&error));
                continue;
            }
        };
        let owner = table.remove("owner").and_then(|owner| owner.as_str().map(str::to_owned));
        for (id, value) in table {
            let code = match RuleEntry::deserialize(value) {
                Ok(entry) => rule(build, file, &id, owner.as_deref(), &entry, words),
                Err(error) => {
                    build.problem(&shown(file), &id, super::one_line(&error));
                    continue;
                }
            };
            if rules.insert(id.clone(), code).is_some() {
                build.problem(&shown(file), &id, "a second row of this id: expected one");
            }
        }
    }
    let rows: String = rules.into_values().collect();
    format!("/// The rules, by id.\npub static RULES: &[Rule<'static>] = &[\n{rows}];\n")
}

fn rule(
    build: &mut Build,
    file: &str,
    id: &str,
    owner: Option<&str>,
    entry: &RuleEntry,
    words: &Vocabulary,
) -> String {
    check(build, file, id, entry, words);
    let owner = entry.owner.as_deref().or(owner).unwrap_or_default();
    if owner.trim().is_empty() {
        build.problem(&shown(file), id, "expected an `owner`, of the row or of the file");
    }
    let mut word = |key, list, code: &str| variant(build, file, id, (key, list), code);
    let marked_by =
        word("records.marked_by", MARKED_BY, entry.records.marked_by.as_deref().unwrap_or("any-label"));
    let unless_not_part2 =
        entry.records.unless.as_deref().is_some_and(|u| !word("records.unless", UNLESS, u).is_empty());
    let what = word("applies_to.what", WHAT, &entry.applies_to.what);
    let default = word("default_without_consent", DEFAULTS, &entry.default_without_consent);
    let ground = word("ground", GROUNDS, &entry.ground);
    let confidence = word("confidence", CONFIDENCE, &entry.confidence);
    let basis = word("basis", BASIS, &entry.basis);
    let effective = effective(build, file, id, entry);
    let mut obligations = String::new();
    for obligation in &entry.obligations {
        obligations.push_str(&self::obligation(build, file, id, obligation));
    }
    format!(
        "    Rule {{ id: {id:?}, title: {:?}, jurisdiction: {:?}, marked_by: MarkedBy::{marked_by}, labels: &{:?}, \
         unless_not_part2: {unless_not_part2}, what: What::{what}, holders: &{:?}, purposes: &{:?}, representatives: {}, \
         default: Default::{default}, forms: &{:?}, names_recipient: {}, exceptions: &{:?}, obligations: &[{obligations}], \
         ground: Ground::{ground}, citation: {:?}, effective_from: {effective}, source_snapshot: {:?}, \
         confidence: Confidence::{confidence}, basis: Basis::{basis}, under_review: {}, owner: {owner:?} }},\n",
        entry.title,
        entry.jurisdiction,
        entry.records.labels,
        entry.applies_to.holders,
        entry.applies_to.purposes,
        entry.applies_to.representatives,
        entry.consent.forms,
        entry.consent.names_recipient,
        entry.exceptions.codes,
        entry.citation,
        entry.source_snapshot,
        entry.under_review,
    )
}

fn check(build: &mut Build, file: &str, id: &str, entry: &RuleEntry, words: &Vocabulary) {
    let well_formed =
        id.len() <= 64 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !well_formed {
        build.problem(&shown(file), id, "expected an id of at most 64 of `a-z`, `0-9` and `-`");
    }
    text(build, file, id, "title", &entry.title);
    text(build, file, id, "citation", &entry.citation);
    text(build, file, id, "applies_to.words", &entry.applies_to.words);
    let jurisdiction = entry.jurisdiction.as_str();
    if !STATES.contains(&jurisdiction) && !OTHER_JURISDICTIONS.contains(&jurisdiction) {
        let message =
            format!("`jurisdiction` is `{jurisdiction}`: expected a USPS code, such as `CA`, `US` or `ORG`");
        build.problem(&shown(file), id, message);
    }
    if partial_date(&entry.source_snapshot).is_none() {
        let message =
            format!("`source_snapshot` is `{}`: expected a date such as `2026-11-21`", entry.source_snapshot);
        build.problem(&shown(file), id, message);
    }
    entry.records.labels.iter().for_each(|label| known(build, file, id, "label", label, &words.labels));
    if entry.records.labels.is_empty() && entry.records.marked_by.as_deref() != Some("any-record") {
        build.problem(&shown(file), id, "expected `records.labels`, or `records.marked_by = \"any-record\"`");
    }
    for holder in entry.applies_to.holders.iter().filter(|holder| !HOLDERS.contains(&holder.as_str())) {
        let near = near(holder, HOLDERS.iter().copied());
        build.problem(&shown(file), id, format!("unknown kind of holder `{holder}`{near}"));
    }
    entry.applies_to.purposes.iter().for_each(|p| known(build, file, id, "purpose", p, &words.purposes));
    entry.consent.forms.iter().for_each(|form| known(build, file, id, "form of consent", form, &words.forms));
    entry
        .exceptions
        .codes
        .iter()
        .for_each(|code| known(build, file, id, "exception", code, &words.exceptions));
    let lifted_by_consent =
        !matches!(entry.default_without_consent.as_str(), "deny-always" | "deny-to-plan" | "not-in-force");
    if !lifted_by_consent && !entry.consent.forms.is_empty() {
        let message = format!(
            "`{}` is not lifted by consent: expected no `consent.forms`",
            entry.default_without_consent
        );
        build.problem(&shown(file), id, message);
    }
    if entry.default_without_consent == "deny" && entry.consent.forms.is_empty() {
        build.problem(
            &shown(file),
            id,
            "expected `consent.forms`; write `deny-always` where no consent is enough",
        );
    }
}

fn effective(build: &mut Build, file: &str, id: &str, entry: &RuleEntry) -> String {
    match entry.effective_from.as_deref().map(|text| (text, partial_date(text))) {
        None => "None".to_owned(),
        Some((text, Some((year, month, day)))) if text.len() == 10 => {
            format!("Some(Day {{ year: {year}, month: {month}, day: {day} }})")
        }
        Some((text, _)) => {
            let message = format!("`effective_from` is `{text}`: expected a date such as `2024-07-01`");
            build.problem(&shown(file), id, message);
            "None".to_owned()
        }
    }
}

fn obligation(build: &mut Build, file: &str, id: &str, entry: &BTreeMap<String, String>) -> String {
    let code = entry.get("code").map(String::as_str).unwrap_or_default();
    match OBLIGATIONS.iter().find(|(known, _)| *known == code) {
        None => {
            let near = near(code, OBLIGATIONS.iter().map(|(known, _)| *known));
            build.problem(&shown(file), id, format!("unknown obligation `{code}`{near}"));
        }
        Some((_, Some(parameter))) if !entry.contains_key(*parameter) => {
            build.problem(&shown(file), id, format!("the obligation `{code}` needs `{parameter}`"));
        }
        Some(_) => {}
    }
    let when = entry.get("when").map_or("always", String::as_str);
    let when = variant(build, file, id, ("when", WHEN), when);
    let mut parameters = String::new();
    for (name, value) in entry.iter().filter(|(name, _)| !matches!(name.as_str(), "code" | "when")) {
        parameters.push_str(&format!("({name:?}, {value:?}),"));
    }
    format!("Obligation {{ code: {code:?}, when: When::{when}, parameters: &[{parameters}] }},")
}
