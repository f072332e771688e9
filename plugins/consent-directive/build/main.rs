//! Checks `data/codes.toml` and writes it as Rust statics to `OUT_DIR`.
//!
//! INVARIANT (no code without meaning): every mark and role says what it means, and actions and parts are
//! words that the rule has. All problems fail the build at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;

const FILE: &str = "data/codes.toml";
/// FHIR's consentaction.
const ACTIONS: [&str; 5] = ["access", "collect", "correct", "disclose", "use"];
/// What an actor can be to a request, and the names of the variants in `src/codes.rs`.
const PARTS: [(&str, &str); 3] =
    [("author", "Author"), ("custodian", "Custodian"), ("recipient", "Recipient")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    confidentiality: Vec<String>,
    marks: BTreeMap<String, String>,
    actions: BTreeMap<String, Action>,
    roles: BTreeMap<String, Role>,
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
    for (name, _) in codes.marks.iter().filter(|(_, meaning)| meaning.trim().is_empty()) {
        problems.push(format!("marks.{name}: expected what it means"));
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
    line(format_args!("/// Marks of privacy law, by code."));
    line(format_args!("pub static MARKS: &[&str] = &{:?};", codes.marks.keys().collect::<Vec<_>>()));
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
