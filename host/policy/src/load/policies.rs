//! Parses policy files, one policy at a time, so that each problem has its place and one does not
//! hide the next.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;

use assent_model::PolicyNote;
use cedar_policy_core::ast;

use super::notes;
use super::shape::Shape;
use crate::big_stack;
use crate::error::LoadProblem;
use crate::locate;
use crate::source::{Cursor, SourceFile, statements};

/// Levels of a condition. The reader wants it far below this; 200 levels evaluate in 1 MB of stack.
pub(crate) const DEPTH_MAX: usize = 200;

/// A policy that was parsed and whose annotations were read.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) file: &'a SourceFile,
    pub(super) range: Range<usize>,
    /// The line it begins on, counted from 1.
    pub(super) line: usize,
    /// Renamed to its `@id`.
    pub(super) policy: ast::Policy,
    pub(super) note: PolicyNote,
    pub(super) shape: Shape,
}

impl Parsed<'_> {
    pub(super) fn text(&self) -> &str {
        self.file.text.get(self.range.clone()).unwrap_or("")
    }
}

/// Parses all files; policies with problems are left out of the result.
pub(super) fn parse<'a>(files: &'a [SourceFile], problems: &mut Vec<LoadProblem>) -> Vec<Parsed<'a>> {
    let mut texts: Vec<(&SourceFile, Range<usize>, usize)> = Vec::new();
    for file in files {
        match statements(file) {
            Ok(ranges) => {
                let mut cursor = Cursor::new(&file.text);
                texts.extend(ranges.into_iter().map(|range| {
                    let (line, _) = cursor.advance(range.start);
                    (file, range, line)
                }));
            }
            Err(problem) => problems.push(problem),
        }
    }
    let results = big_stack::map(&texts, |(file, range, line)| parse_one(file, range.clone(), *line));
    let mut parsed = Vec::new();
    for (result, (file, range, _)) in results.into_iter().zip(&texts) {
        match result {
            Some(Ok(policy)) => parsed.push(policy),
            Some(Err(found)) => problems.extend(found),
            None => problems.push(file.problem(range.start, "this policy could not be read")),
        }
    }
    parsed
}

fn parse_one(file: &SourceFile, range: Range<usize>, line: usize) -> Result<Parsed<'_>, Vec<LoadProblem>> {
    let text = file.text.get(range.clone()).unwrap_or("");
    let start = range.start;
    let set = cedar_policy::PolicySet::from_str(text).map_err(|errors| {
        errors.iter().flat_map(|error| locate::problems(error, file, start)).collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        let problem = file
            .problem(start, "templates (`?principal`, `?resource`) are not supported")
            .with_help("write a policy; keep who it is about in entities, such as a relation");
        return Err(vec![problem]);
    }
    let Some(policy) = set.policies().next() else {
        return Err(vec![file.problem(start, "a policy was expected")]);
    };
    let policy: &ast::Policy = policy.as_ref();
    let shape = Shape::of(policy.non_scope_constraints());
    let mut problems = Vec::new();
    if shape.depth > DEPTH_MAX {
        problems.push(
            file.problem(
                start,
                format!("this policy's condition is {} levels deep; {DEPTH_MAX} are allowed", shape.depth),
            )
            .with_help("write `[\"a\", \"b\"].contains(x)` instead of a chain of `||`"),
        );
    }
    let note = notes::read(policy, file, start, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let policy = policy.new_id(ast::PolicyID::from_string(&note.id));
    Ok(Parsed { file, range, line, policy, note, shape })
}

/// Reports ids that were given twice.
pub(super) fn check_ids(parsed: &[Parsed<'_>], problems: &mut Vec<LoadProblem>) {
    let mut first: HashMap<&str, &Parsed<'_>> = HashMap::new();
    for policy in parsed {
        match first.get(policy.note.id.as_str()) {
            Some(earlier) => problems.push(
                policy
                    .file
                    .problem(
                        policy.range.start,
                        format!("there is already a policy with `@id(\"{}\")`", policy.note.id),
                    )
                    .with_help(format!("the other is at {}:{}", earlier.file.name, earlier.line)),
            ),
            None => drop(first.insert(&policy.note.id, policy)),
        }
    }
}
