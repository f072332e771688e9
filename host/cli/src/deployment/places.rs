//! Where each part of a TOML file stands, so that a problem that is found after reading still points
//! at its line.
//!
//! Parts are named by JSON Pointer (RFC 6901), such as `/caller/0/organizations/1`, which is also how
//! plugins name parts of their settings. Members stand where their key is, entries of lists where
//! they begin. What is not written has the place of what it would be part of.

use std::collections::BTreeMap;

use assent_policy::LoadProblem;
use toml::de::{DeTable, DeValue};

/// The places of one file.
#[derive(Clone, Debug, Default)]
pub struct Places {
    file: String,
    /// Line and column, both from 1.
    pointer_to_position: BTreeMap<String, (usize, usize)>,
}

impl Places {
    /// The places of a file's text; none where it is not TOML, which whoever reads it has reported.
    pub fn of(file: &str, text: &str) -> Self {
        let mut offsets = vec![];
        if let Ok(table) = DeTable::parse(text) {
            members(table.get_ref(), "", &mut offsets);
        }
        // In the order of the text, so that lines are counted once.
        offsets.sort();
        let (mut line, mut column, mut at) = (1, 1, 0);
        let mut pointer_to_position = BTreeMap::new();
        for (offset, pointer) in offsets {
            for character in text.get(at..offset).unwrap_or_default().chars() {
                (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            at = offset.max(at);
            pointer_to_position.insert(pointer, (line, column));
        }
        Self { file: file.to_owned(), pointer_to_position }
    }

    /// The file's name, as messages show it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether this part is written.
    pub fn has(&self, pointer: &str) -> bool {
        self.pointer_to_position.contains_key(pointer)
    }

    /// A problem with this part.
    pub fn problem(&self, pointer: &str, message: impl Into<String>) -> LoadProblem {
        let mut problem = LoadProblem::of_file(&self.file, message);
        let mut part = pointer;
        while let Some((whole, _)) = part.rsplit_once('/') {
            if let Some(position) = self.pointer_to_position.get(part) {
                (problem.line, problem.column) = *position;
                break;
            }
            part = whole;
        }
        problem
    }
}

/// A key as a step of a JSON Pointer.
pub fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn members(table: &DeTable<'_>, path: &str, found: &mut Vec<(usize, String)>) {
    for (key, value) in table {
        let pointer = format!("{path}/{}", step(key.get_ref()));
        found.push((key.span().start, pointer.clone()));
        below(value.get_ref(), &pointer, found);
    }
}

fn below(value: &DeValue<'_>, path: &str, found: &mut Vec<(usize, String)>) {
    match value {
        DeValue::Table(table) => members(table, path, found),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let pointer = format!("{path}/{index}");
                found.push((item.span().start, pointer.clone()));
                below(item.get_ref(), &pointer, found);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "listen = 1\nnames = [\"ä\", \"b\"]\n\n[[caller]]\nid = \"x\"\n[[caller]]\n\
                        a.b = { c = 1, d = [2,\n 3] }\n[caller.\"s/t\"]\nu = 1\n";

    #[test]
    fn each_part_has_its_line_and_column() {
        let places = Places::of("f.toml", TEXT);
        for (pointer, line, column) in [
            ("/listen", 1, 1),
            ("/names/0", 2, 10),
            ("/names/1", 2, 15),
            ("/caller/0/id", 5, 1),
            ("/caller/1", 6, 1),
            ("/caller/1/a/b/c", 7, 9),
            ("/caller/1/a/b/d/1", 8, 2),
            ("/caller/1/s~1t/u", 10, 1),
            // Not written: the place of what it would be part of.
            ("/caller/0/rights/3", 4, 1),
            ("/nothing", 0, 0),
            ("", 0, 0),
        ] {
            let problem = places.problem(pointer, "wrong");
            assert_eq!((problem.line, problem.column), (line, column), "{pointer}");
        }
        assert!(places.has("/caller/0/id") && !places.has("/caller/0/rights"));
    }

    #[test]
    fn what_is_not_toml_has_no_places() {
        assert_eq!(Places::of("f.toml", "= =").problem("/a", "wrong").to_string(), "f.toml: wrong");
    }
}
