//! Checks `data/codes.toml` and writes it as Rust statics to `OUT_DIR`.
//!
//! INVARIANT (no code without meaning): what a code is part of or equal to is defined in the file, and no
//! code is part of itself. All problems fail the build at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;

const FILE: &str = "data/codes.toml";
/// FHIR's consentaction.
const ACTIONS: [&str; 5] = ["access", "collect", "correct", "disclose", "use"];
/// How a purpose can be reached, and the names of the variants in `src/codes.rs`.
const REACHED: [(&str, &str); 2] = [("itself", "Itself"), ("itself-to-permit", "ItselfToPermit")];
/// What an actor can be to a request, likewise.
const PARTS: [(&str, &str); 3] =
    [("author", "Author"), ("custodian", "Custodian"), ("recipient", "Recipient")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    confidentiality: Vec<String>,
    sensitivity: BTreeMap<String, Code>,
    purposes: BTreeMap<String, Code>,
    actions: BTreeMap<String, Action>,
    roles: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    meaning: String,
    broader: Option<String>,
    equals: Option<String>,
    reached_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    is: Vec<String>,
    may: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    meaning: String,
    is: String,
}

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() -> ExitCode {
    let directory = |name| PathBuf::from(std::env::var_os(name).unwrap_or_default());
    println!("cargo::rerun-if-changed={FILE}");
    println!("cargo::rerun-if-changed=build");
    let path = directory("CARGO_MANIFEST_DIR").join(FILE);
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let result = read
        .and_then(|text| toml::from_str::<Codes>(&text).map_err(|error| error.to_string()))
        .map_err(|error| vec![error])
        .and_then(|codes| match problems(&codes) {
            problems if problems.is_empty() => Ok(code(&codes)),
            problems => Err(problems),
        })
        .and_then(|code| {
            std::fs::write(directory("OUT_DIR").join("codes.rs"), code)
                .map_err(|error| vec![error.to_string()])
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems.iter().flat_map(|problem| problem.lines()) {
                println!("cargo::error={FILE}: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn problems(codes: &Codes) -> Vec<String> {
    let mut problems = Vec::new();
    for (table, list) in [("sensitivity", &codes.sensitivity), ("purposes", &codes.purposes)] {
        for (name, code) in list {
            let mut problem = |message: String| problems.push(format!("{table}.{name}: {message}"));
            if code.meaning.trim().is_empty() {
                problem("expected a `meaning`".to_owned());
            }
            for other in code.broader.iter().chain(&code.equals).filter(|other| !list.contains_key(*other)) {
                problem(format!("`{other}` is not defined"));
            }
            // An equal of an equal would be looked up once only.
            if code.equals.as_ref().and_then(|other| list.get(other)).is_some_and(|of| of.equals.is_some()) {
                problem("`equals` names a code that has an `equals` itself".to_owned());
            }
            if code.equals.is_some() && code.broader.is_some() {
                problem("expected `equals` or `broader`, for the equal says what it is part of".to_owned());
            }
            if code.reached_by.as_ref().is_some_and(|word| REACHED.iter().all(|(known, _)| known != word)) {
                problem("`reached_by` is neither `itself` nor `itself-to-permit`".to_owned());
            }
            let above = std::iter::successors(code.broader.as_ref(), |at| list.get(*at)?.broader.as_ref());
            if above.take(list.len()).any(|at| at == name) {
                problem("`broader` leads back to itself".to_owned());
            }
        }
    }
    for (name, action) in &codes.actions {
        for word in action.is.iter().chain(&action.may).filter(|word| !ACTIONS.contains(&word.as_str())) {
            problems.push(format!("actions.{name}: `{word}` is no action of FHIR's consentaction"));
        }
    }
    for (name, role) in &codes.roles {
        if role.meaning.trim().is_empty() || PARTS.iter().all(|(known, _)| *known != role.is) {
            problems.push(format!("roles.{name}: expected a `meaning`, and `is` as one of {PARTS:?}"));
        }
    }
    problems
}

fn code(codes: &Codes) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a text cannot fail.
        _ = out.write_fmt(text);
        out.push('\n');
    };
    line(format_args!("/// Confidentiality, from the least to the most."));
    line(format_args!("pub static CONFIDENTIALITY: &[&str] = &{:?};", codes.confidentiality));
    for (doc, name, list) in [
        ("Sensitivity labels, by code.", "SENSITIVITY", &codes.sensitivity),
        ("Purposes of use, by code.", "PURPOSES", &codes.purposes),
    ] {
        line(format_args!("/// {doc}\npub static {name}: &[Code] = &["));
        for (code, entry) in list {
            let reached = entry.reached_by.as_deref().and_then(|word| variant(&REACHED, word));
            line(format_args!(
                "    Code {{ code: {code:?}, broader: {:?}, equals: {:?}, reached: Reached::{} }},",
                entry.broader,
                entry.equals,
                reached.unwrap_or("ByBroader")
            ));
        }
        line(format_args!("];"));
    }
    line(format_args!(
        "/// Actions of the policies: what each surely is, and what it may be.\npub static ACTIONS: &[Action] = &["
    ));
    for (name, action) in &codes.actions {
        line(format_args!("    Action {{ name: {name:?}, is: &{:?}, may: &{:?} }},", action.is, action.may));
    }
    line(format_args!(
        "];\n/// Roles of an actor that can be told from a request.\npub static ROLES: &[(&str, Part)] = &["
    ));
    for (name, role) in &codes.roles {
        line(format_args!("    ({name:?}, Part::{}),", variant(&PARTS, &role.is).unwrap_or_default()));
    }
    line(format_args!("];"));
    out
}

fn variant(list: &'static [(&str, &str)], word: &str) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == word).map(|(_, variant)| *variant)
}
