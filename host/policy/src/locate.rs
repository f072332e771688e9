//! Turns Cedar's diagnostics into problems with file, line and column.
//!
//! Cedar does not keep file names and gives byte offsets into the text it was handed; whoever parsed
//! that text says here which file it came from and where in it the text began.

use miette::Diagnostic;

use crate::error::LoadProblem;
use crate::source::SourceFile;

/// The problems of a diagnostic about text that begins at byte `start` of `file`.
pub(crate) fn problems(error: &dyn Diagnostic, file: &SourceFile, start: usize) -> Vec<LoadProblem> {
    let mut found = vec![one(error, file, start)];
    if let Some(related) = error.related() {
        found.extend(related.map(|error| one(error, file, start)));
    }
    found
}

fn one(error: &dyn Diagnostic, file: &SourceFile, start: usize) -> LoadProblem {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let problem = file.problem(start + offset, plain(&error.to_string()));
    match error.help() {
        Some(help) => problem.with_help(plain(&help.to_string())),
        None => problem,
    }
}

/// The problems of a merged schema: Cedar says what, and only sometimes where and in which text.
pub(crate) fn schema_problems(error: &dyn Diagnostic, files: &[SourceFile]) -> Vec<LoadProblem> {
    let mut found = vec![in_some_file(error, files)];
    if let Some(related) = error.related() {
        found.extend(related.map(|error| in_some_file(error, files)));
    }
    found
}

fn in_some_file(error: &dyn Diagnostic, files: &[SourceFile]) -> LoadProblem {
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let text = |file: &&SourceFile| {
        let whole = miette::SourceSpan::new(0.into(), file.text.len());
        error
            .source_code()
            .and_then(|code| code.read_span(&whole, 0, 0).ok())
            .is_some_and(|content| content.data() == file.text.as_bytes())
    };
    match (files.iter().find(text), offset) {
        (Some(file), Some(offset)) => {
            let problem = file.problem(offset, plain(&error.to_string()));
            match error.help() {
                Some(help) => problem.with_help(plain(&help.to_string())),
                None => problem,
            }
        }
        _ => {
            let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
            let problem = LoadProblem::of_file(&names.join(", "), plain(&error.to_string()));
            match error.help() {
                Some(help) => problem.with_help(plain(&help.to_string())),
                None => problem,
            }
        }
    }
}

/// One line, without a final period.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}
