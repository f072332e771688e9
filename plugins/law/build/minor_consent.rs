//! The table of minor consent: `data/minor_consent/*.toml` to `OUT_DIR/minor_consent.rs`.
//!
//! Each state is one file; this module says what a file may contain and what is wrong with one that
//! contains something else. Notes and conditions are for readers: they are required to be text,
//! and stay out of the compiled table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::Build;

/// The states and the District of Columbia, and `US` for federal rows.
pub(crate) const STATES: &[&str] = &[
    "AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS",
    "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV",
    "NY", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA", "WI", "WV", "WY",
    FEDERAL,
];
const FEDERAL: &str = "US";

/// Codes and the names of their variants in `src/minor_consent.rs`. Every state has a row for each
/// of the first six.
const CATEGORIES: &[(&str, &str)] = &[
    ("general_medical", "GeneralMedical"),
    ("outpatient_mental_health", "OutpatientMentalHealth"),
    ("substance_use", "SubstanceUse"),
    ("sti_hiv", "StiHiv"),
    ("contraception", "Contraception"),
    ("prenatal", "Prenatal"),
    ("hiv", "Hiv"),
    ("hiv_positive_result", "HivPositiveResult"),
    ("intimate_partner_violence", "IntimatePartnerViolence"),
    ("part2_sud_program", "Part2SudProgram"),
];
const REQUIRED_CATEGORIES: usize = 6;
const MAY_CONSENT: &[(&str, &str)] =
    &[("yes", "Yes"), ("conditional", "Conditional"), ("no", "No"), ("unclear", "Unclear")];
const DISCLOSURE: &[(&str, &str)] = &[
    ("prohibited", "Prohibited"),
    ("permitted", "Permitted"),
    ("required", "Required"),
    ("silent", "Silent"),
];
const BASIS: &[(&str, &str)] =
    &[("primary", "Primary"), ("secondary", "Secondary"), ("memory", "Memory"), ("not_found", "NotFound")];
const CONFIDENCE: &[(&str, &str)] = &[("high", "High"), ("medium", "Medium"), ("low", "Low")];

/// Ages in the table are completed years; nobody is a minor beyond this one.
const AGE_MAX: u8 = 21;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    #[serde(rename = "title")]
    _title: String,
    version: String,
    #[serde(rename = "sources")]
    _sources: String,
    #[serde(rename = "disclaimer")]
    _disclaimer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    state: String,
    #[serde(rename = "name")]
    _name: String,
    /// Of every row that names none.
    owner: Option<String>,
    majority: Option<MajorityEntry>,
    #[serde(default)]
    row: Vec<RowEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MajorityEntry {
    age: u8,
    citation: Option<String>,
    basis: String,
    #[serde(default)]
    earlier: Vec<EarlierEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlierEntry {
    category: String,
    age: u8,
    citation: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowEntry {
    category: String,
    minor_may_consent: String,
    min_age: Option<u8>,
    #[serde(rename = "conditions")]
    _conditions: String,
    parent_disclosure: String,
    sessions_max: Option<u16>,
    days_max: Option<u16>,
    #[serde(rename = "redetermine_after_days")]
    _redetermine_after_days: Option<u16>,
    #[serde(rename = "visits_per_week_max")]
    _visits_per_week_max: Option<u16>,
    medication_from_age: Option<u8>,
    #[serde(default)]
    negative_result_withheld: bool,
    #[serde(default)]
    only_positive_result: bool,
    #[serde(rename = "setting_limit")]
    _setting_limit: Option<String>,
    #[serde(rename = "subject_limit")]
    _subject_limit: Option<String>,
    #[serde(default)]
    billing_protected: bool,
    citation: Option<String>,
    effective_from: Option<String>,
    source_snapshot: Option<String>,
    basis: String,
    confidence: String,
    review_required: bool,
    owner: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// Checks the table and writes its statics.
pub(crate) fn generate(build: &mut Build) {
    let folder = build.data.join("minor_consent");
    let mut digest = Sha256::new();
    let mut rows = BTreeMap::new();
    let mut majorities = BTreeMap::new();
    let mut version = String::new();
    for (name, text) in read(build, &folder) {
        let path = PathBuf::from("data/minor_consent").join(&name);
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(&name);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(&text);
        if name == "table.toml" {
            match toml::from_str::<TableFile>(&text) {
                Ok(table) => version = table.version,
                Err(error) => build.problem(&path, "the table", one_line(&error)),
            }
            continue;
        }
        match toml::from_str::<StateFile>(&text) {
            Ok(file) => state(build, &path, &name, file, &mut rows, &mut majorities),
            Err(error) => build.problem(&path, "the file", one_line(&error)),
        }
    }
    check_complete(build, &folder, &version, &rows);
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut code = format!(
        "/// The table of minor consent.\npub static TABLE: Table = Table {{ version: {version:?}, digest: {digest:?}, rows: ROWS, majorities: MAJORITIES }};\n\nstatic ROWS: &[Row<'static>] = &[\n"
    );
    rows.values().for_each(|row| code.push_str(row));
    code.push_str("];\n\nstatic MAJORITIES: &[Majority] = &[\n");
    majorities.values().for_each(|majority| code.push_str(majority));
    code.push_str("];\n");
    if let Err(error) = std::fs::write(build.out.join("minor_consent.rs"), code) {
        build.problem(&folder, "the table", format!("could not be written: {error}"));
    }
}

/// The files of the folder, by name, with line ends as on every platform, so that the digest is the
/// same everywhere.
pub(crate) fn read(build: &mut Build, folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.unwrap_or_default() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match std::fs::read_to_string(entry.path()) {
            Ok(text) => {
                files.insert(name, text.replace("\r\n", "\n"));
            }
            Err(error) => build.problem(&entry.path(), "the file", format!("could not be read: {error}")),
        }
    }
    files
}

fn state(
    build: &mut Build,
    path: &Path,
    name: &str,
    file: StateFile,
    rows: &mut BTreeMap<(String, String), String>,
    majorities: &mut BTreeMap<String, String>,
) {
    if !STATES.contains(&file.state.as_str()) {
        build.problem(path, &file.state, "unknown state: expected a USPS code, such as `CA`, or `US`");
    }
    if name != format!("{}.toml", file.state) {
        build.problem(path, &file.state, format!("expected the file to be named `{}.toml`", file.state));
    }
    match &file.majority {
        Some(entry) => {
            let code = majority(build, path, &file.state, entry);
            majorities.insert(file.state.clone(), code);
        }
        None if file.state == FEDERAL => {}
        None => build.problem(path, &file.state, "expected `[majority]` with `age` and `basis`"),
    }
    for entry in &file.row {
        let id = format!("{}/{}", file.state, entry.category);
        let code = row(build, path, &id, &file, entry);
        if rows.insert((file.state.clone(), entry.category.clone()), code).is_some() {
            build.problem(path, &id, "a second row for this category: expected one");
        }
    }
}

fn majority(build: &mut Build, path: &Path, state: &str, entry: &MajorityEntry) -> String {
    let citation = entry.citation.as_deref().unwrap_or_default();
    let at = format!("{state} majority");
    word(build, path, &at, "basis", BASIS, &entry.basis);
    if !(18..=AGE_MAX).contains(&entry.age) {
        build.problem(path, &at, format!("`age` is {}: expected 18 to {AGE_MAX}", entry.age));
    }
    if entry.age != 18 && citation.trim().is_empty() {
        build.problem(path, &at, "an age other than 18 needs a `citation`");
    }
    let mut earlier = String::new();
    for exception in &entry.earlier {
        let category = word(build, path, &at, "category", CATEGORIES, &exception.category);
        if exception.age >= entry.age || exception.citation.trim().is_empty() {
            build.problem(path, &at, "`earlier` needs an age below the majority's and a `citation`");
        }
        earlier.push_str(&format!("(Category::{category}, {}),", exception.age));
    }
    format!(
        "    Majority {{ state: {state:?}, age: {}, citation: {citation:?}, earlier: &[{earlier}] }},\n",
        entry.age
    )
}

fn row(build: &mut Build, path: &Path, id: &str, file: &StateFile, entry: &RowEntry) -> String {
    let category = word(build, path, id, "category", CATEGORIES, &entry.category);
    let may_consent = word(build, path, id, "minor_may_consent", MAY_CONSENT, &entry.minor_may_consent);
    let disclosure = word(build, path, id, "parent_disclosure", DISCLOSURE, &entry.parent_disclosure);
    let basis = word(build, path, id, "basis", BASIS, &entry.basis);
    let confidence = word(build, path, id, "confidence", CONFIDENCE, &entry.confidence);
    let citation = entry.citation.as_deref().unwrap_or_default();
    if citation.trim().is_empty() {
        build.problem(path, id, "expected a `citation`; write `none located` where nothing was found");
    }
    let owner = entry.owner.as_deref().or(file.owner.as_deref()).unwrap_or_default();
    if owner.trim().is_empty() {
        build.problem(path, id, "expected an `owner`, of the row or of the file");
    }
    for (key, age) in [("min_age", entry.min_age), ("medication_from_age", entry.medication_from_age)] {
        if age.is_some_and(|age| age > AGE_MAX) {
            build.problem(path, id, format!("`{key}` is above {AGE_MAX}: expected completed years"));
        }
    }
    let snapshot = entry.source_snapshot.as_deref().unwrap_or_default();
    if !snapshot.is_empty() && partial_date(snapshot).is_none() {
        build.problem(
            path,
            id,
            format!("`source_snapshot` is `{snapshot}`: expected `2026`, `2026-02` or `2026-02-28`"),
        );
    }
    let effective = match entry.effective_from.as_deref().map(|text| (text, partial_date(text))) {
        None => "None".to_owned(),
        Some((text, Some((year, month, day)))) if text.len() == 10 => {
            format!("Some(Day {{ year: {year}, month: {month}, day: {day} }})")
        }
        Some((text, _)) => {
            build.problem(
                path,
                id,
                format!("`effective_from` is `{text}`: expected a date such as `2024-07-01`"),
            );
            "None".to_owned()
        }
    };
    format!(
        "    Row {{ id: {id:?}, state: {:?}, category: Category::{category}, may_consent: MayConsent::{may_consent}, \
         min_age: {:?}, disclosure: Disclosure::{disclosure}, limits: Limits {{ sessions_max: {:?}, days_max: {:?}, \
         medication_from_age: {:?}, negative_result_withheld: {}, only_positive_result: {} }}, billing_protected: {}, \
         citation: {citation:?}, effective_from: {effective}, source_snapshot: {snapshot:?}, basis: Basis::{basis}, \
         confidence: Confidence::{confidence}, review_required: {}, owner: {owner:?} }},\n",
        file.state,
        entry.min_age,
        entry.sessions_max,
        entry.days_max,
        entry.medication_from_age,
        entry.negative_result_withheld,
        entry.only_positive_result,
        entry.billing_protected,
        entry.review_required,
    )
}

/// The variant of a code; a code that is not one of the list is a problem.
fn word(
    build: &mut Build,
    path: &Path,
    id: &str,
    key: &str,
    list: &'static [(&str, &str)],
    code: &str,
) -> &'static str {
    if let Some((_, variant)) = list.iter().find(|(known, _)| *known == code) {
        return variant;
    }
    let known: Vec<_> = list.iter().map(|(known, _)| format!("`{known}`")).collect();
    build.problem(path, id, format!("`{key}` is `{code}`: expected one of {}", known.join(", ")));
    ""
}

/// `2026`, `2026-02` or `2026-02-28`; what is missing is 1. Only days that exist.
pub(crate) fn partial_date(text: &str) -> Option<(u16, u8, u8)> {
    let mut parts = text.split('-');
    let mut part = |length: usize| match parts.next() {
        None => Some(None),
        Some(digits) if digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u16>().ok().map(Some)
        }
        Some(_) => None,
    };
    let (year, month, day) = (part(4)??, part(2)?.unwrap_or(1), part(2)?.unwrap_or(1));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    let whole = (1..=length).contains(&day) && parts.next().is_none();
    whole.then_some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

fn check_complete(
    build: &mut Build,
    folder: &Path,
    version: &str,
    rows: &BTreeMap<(String, String), String>,
) {
    if version.trim().is_empty() {
        build.problem(&folder.join("table.toml"), "the table", "expected a `version`");
    }
    let have: BTreeSet<(&str, &str)> = rows.keys().map(|(s, c)| (s.as_str(), c.as_str())).collect();
    for state in STATES.iter().filter(|state| **state != FEDERAL) {
        for (category, _) in CATEGORIES.iter().take(REQUIRED_CATEGORIES) {
            if !have.contains(&(*state, *category)) {
                build.problem(
                    &folder.join(format!("{state}.toml")),
                    &format!("{state}/{category}"),
                    "no row: expected one for each of the six categories; write `minor_may_consent = \"unclear\"` where nothing was found",
                );
            }
        }
    }
}

/// An error of the format on one line: what, where, and what is known.
fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
