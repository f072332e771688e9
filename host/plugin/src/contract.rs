//! Whether a component is one for this host: a component and not a module, without imports,
//! exporting the contract's interface and nothing else.
//!
//! Names are read first, so that the common mistakes get an answer that tells what to do; the
//! exact types are then compared with the contract's text.

use wasmparser::{Encoding, Parser, Payload};
use wit_parser::Resolve;

use crate::classify::contained;
use crate::error::AdmissionProblem;
use crate::v0_1::{INTERFACE, WIT, WORLD, printable};

/// The package and interface without version, as a component of any version exports it.
const ANY_VERSION: &str = "assent:plugin/rules@";

/// Everything in which the component differs from the contract.
pub(crate) fn check(component: &[u8]) -> Vec<AdmissionProblem> {
    if Parser::is_core_wasm(component) {
        return vec![AdmissionProblem::CoreModule];
    }
    // The parser says this in the numbers of the bytes.
    if !component.starts_with(b"\0asm") {
        let message = "the file does not begin as WebAssembly does".to_owned();
        return vec![AdmissionProblem::Malformed { message }];
    }
    let malformed =
        |message: String| vec![AdmissionProblem::Malformed { message: printable(&message, 1_000) }];
    let names = match contained(|| names(component)) {
        Ok(Ok(names)) => names,
        Ok(Err(error)) => return malformed(error.to_string()),
        Err(panic) => return malformed(panic),
    };
    let mut problems: Vec<_> =
        names.imports.into_iter().map(|name| AdmissionProblem::Import { name }).collect();
    let mut found = false;
    for name in names.exports {
        found |= name.starts_with(ANY_VERSION);
        if name.starts_with(ANY_VERSION) && name != INTERFACE {
            problems.push(AdmissionProblem::Version { found: name, supported: INTERFACE });
        } else if name != INTERFACE {
            problems.push(AdmissionProblem::Export { name, expected: INTERFACE });
        }
    }
    if !found {
        problems.push(AdmissionProblem::NoRules { expected: INTERFACE });
    }
    if problems.is_empty() {
        let fits = contained(|| fits(component)).unwrap_or_else(Err);
        problems.extend(fits.err().map(|message| AdmissionProblem::World { message }));
    }
    problems
}

struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The names at the component's own level; what is nested in it is its own affair.
fn names(component: &[u8]) -> wasmparser::Result<Names> {
    let mut names = Names { imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    names.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn fits(component: &[u8]) -> Result<(), String> {
    let mut contract = Resolve::default();
    let package = contract.push_str("plugin.wit", WIT).map_err(|error| error.to_string())?;
    let world = contract.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
    wit_component::targets(&contract, world, component).map_err(|error| format!("{error:#}"))
}
