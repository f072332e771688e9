//! Source texts: where a byte offset lies, and what may be given to Cedar's parser at all.
//!
//! INVARIANT (limits first): Cedar's parser needs about 14 kB of stack for each open bracket and
//! ends the process when the stack is used up, so brackets, statements and files are measured here
//! before it sees a byte. Splitting a file into its policies lets each be reported on its own: one
//! syntax error does not hide the next.

use std::ops::Range;

use crate::error::LoadProblem;

/// A text file with the name by which messages refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name shown in messages.
    pub name: String,
    /// The content.
    pub text: String,
}

impl SourceFile {
    /// A file of this name and content.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A problem at a byte offset of this file.
    pub(crate) fn problem(&self, offset: usize, message: impl Into<String>) -> LoadProblem {
        let (line, column) = position(&self.text, offset);
        LoadProblem { file: self.name.clone(), line, column, message: message.into(), help: None }
    }
}

/// Policies and schemas of 1 MiB are a hundred times the largest known; a larger file is a mistake.
pub(crate) const FILE_MAX_BYTES: usize = 1 << 20;
/// A policy's text; bounds chains of operators, whose trees are walked recursively.
pub(crate) const STATEMENT_MAX_BYTES: usize = 32 << 10;
/// Open brackets; at 14 kB of stack each far below the 256 MiB of the parsing thread.
pub(crate) const BRACKETS_MAX: usize = 100;

/// Line and column (in characters) of a byte offset, both counted from 1.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    Cursor::new(text).advance(offset)
}

/// Finds the positions of ascending offsets in one pass over a text.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
    line: usize,
    column: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), offset: 0, line: 1, column: 1 }
    }

    /// Line and column of this offset, which must not lie before the last one asked for.
    pub(crate) fn advance(&mut self, offset: usize) -> (usize, usize) {
        let end = offset.clamp(self.offset, self.bytes.len());
        for byte in self.bytes.get(self.offset..end).unwrap_or(&[]) {
            if *byte == b'\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else if byte & 0xC0 != 0x80 {
                // Not the continuation of a character of several bytes.
                self.column += 1;
            }
        }
        self.offset = end;
        (self.line, self.column)
    }
}

/// The byte ranges of the statements of a Cedar policy file: each ends with `;` or with the file.
/// Blanks and comments alone make no statement.
///
/// # Errors
/// What exceeds a limit.
pub(crate) fn statements(file: &SourceFile) -> Result<Vec<Range<usize>>, LoadProblem> {
    scan(file, Some(STATEMENT_MAX_BYTES))
}

/// Refuses a schema text that exceeds a limit. Schemas have no chains of operators, so that only
/// brackets and the whole size matter.
///
/// # Errors
/// What exceeds a limit.
pub(crate) fn check_schema_limits(file: &SourceFile) -> Result<(), LoadProblem> {
    scan(file, None).map(drop)
}

fn scan(file: &SourceFile, statement_max: Option<usize>) -> Result<Vec<Range<usize>>, LoadProblem> {
    if file.text.len() > FILE_MAX_BYTES {
        return Err(LoadProblem::of_file(
            &file.name,
            format!("the file is larger than {} KiB", FILE_MAX_BYTES >> 10),
        )
        .with_help("split it into several files"));
    }
    let mut statements = Vec::new();
    let mut start: Option<usize> = None;
    let mut depth = 0_usize;
    let mut chars = file.text.char_indices().peekable();
    while let Some((offset, character)) = chars.next() {
        match character {
            '/' if chars.peek().is_some_and(|(_, next)| *next == '/') => {
                while chars.next_if(|(_, next)| *next != '\n').is_some() {}
                continue;
            }
            blank if blank.is_whitespace() => continue,
            _ => {}
        }
        let begin = *start.get_or_insert(offset);
        if statement_max.is_some_and(|max| offset - begin > max) {
            return Err(file
                .problem(begin, format!("this policy is longer than {} KiB", STATEMENT_MAX_BYTES >> 10))
                .with_help("split it into several policies"));
        }
        match character {
            '"' => loop {
                match chars.next() {
                    None | Some((_, '"')) => break,
                    Some((_, '\\')) => drop(chars.next()),
                    Some(_) => {}
                }
            },
            // In a schema, `<` opens the element type of a set.
            '<' if statement_max.is_some() => {}
            '(' | '[' | '{' | '<' => {
                depth += 1;
                if depth > BRACKETS_MAX {
                    return Err(file
                        .problem(offset, format!("brackets are nested more than {BRACKETS_MAX} deep"))
                        .with_help("use `[\"a\", \"b\"].contains(x)`, or split the policy"));
                }
            }
            '>' if statement_max.is_some() => {}
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            ';' => {
                statements.push(begin..offset + 1);
                start = None;
                depth = 0;
            }
            _ => {}
        }
    }
    if let Some(begin) = start {
        if statement_max.is_some_and(|max| file.text.len() - begin > max) {
            return Err(file
                .problem(begin, format!("this policy is longer than {} KiB", STATEMENT_MAX_BYTES >> 10))
                .with_help("split it into several policies"));
        }
        statements.push(begin..file.text.len());
    }
    Ok(statements)
}

/// The nearest of the known names, as advice: `did you mean ...?`; `None` where nothing is near.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The nearest of the known names: at most a third of it differs.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Advice on a name that is not known: the nearest one, or else all of them.
pub(crate) fn known_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    suggestion(name, known.clone()).unwrap_or_else(|| {
        if known.clone().into_iter().next().is_none() {
            return "there are none".to_owned();
        }
        let mut names: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
        names.sort();
        format!("known are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let file = SourceFile::new("f", text);
        statements(&file).unwrap().into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn a_file_is_split_at_semicolons_outside_strings_and_comments() {
        assert_eq!(texts("a; // x; y\nb \";\\\";\" ; c"), ["a;", "b \";\\\";\" ;", "c"]);
        assert_eq!(texts(" // only a comment\n"), Vec::<String>::new());
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        assert_eq!(position("ab\ncäd", 0), (1, 1));
        assert_eq!(position("ab\ncäd", 6), (2, 3));
        assert_eq!(position("ab", 99), (1, 3));
    }

    #[test]
    fn each_limit_lets_its_own_size_pass_and_refuses_one_more() {
        let nested = |n: usize| SourceFile::new("f", "(".repeat(n));
        assert!(statements(&nested(BRACKETS_MAX)).is_ok());
        assert!(statements(&nested(BRACKETS_MAX + 1)).is_err());
        let long = |n: usize| SourceFile::new("f", "x".repeat(n));
        assert!(statements(&long(STATEMENT_MAX_BYTES)).is_ok());
        assert!(statements(&long(STATEMENT_MAX_BYTES + 1)).is_err());
        let large = |n: usize| SourceFile::new("f", " ".repeat(n));
        assert!(statements(&large(FILE_MAX_BYTES)).is_ok());
        assert!(statements(&large(FILE_MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(suggestion("itent", ["id", "intent"]).as_deref(), Some("did you mean `intent`?"));
        assert_eq!(suggestion("zebra", ["id", "intent"]), None);
    }
}
