//! Documents of the state as a person reads them: a table, or a page of one.
//!
//! Much of the text was typed by somebody, so everything printed goes through [`printable`].

use assent_audit::text::printable;
use serde_json::{Map, Value};

/// Characters of a cell of a table; the whole is on the document's page.
const CELL_CHARS_MAX: usize = 60;
/// The column of a page at which values begin.
const INDENT: usize = 16;

/// How it is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether what is read is a terminal that may show colours.
    pub(super) colours: bool,
}

impl Look {
    fn strong(self, text: &str) -> String {
        if self.colours { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Rows as lines under a head; columns in which nothing stands are left out.
    pub(super) fn table(self, heads: &[&str], rows: Vec<Vec<String>>) -> String {
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let is_used = |column: &usize| rows.iter().any(|row| !cell(row, *column).is_empty());
        let used: Vec<usize> = (0..heads.len()).filter(is_used).collect();
        let head: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        let shown = |row: &Vec<String>| -> Vec<String> {
            used.iter().map(|column| shortened(&printable(&cell(row, *column)))).collect()
        };
        let rows: Vec<Vec<String>> = std::iter::once(&head).chain(&rows).map(shown).collect();
        let chars = |row: &Vec<String>, column: usize| row.get(column).map(|cell| cell.chars().count());
        let width = |column| rows.iter().filter_map(|row| chars(row, column)).max().unwrap_or_default();
        let widths: Vec<usize> = (0..used.len()).map(width).collect();
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let line = if index == 0 { self.strong(line.trim_end()) } else { line.trim_end().to_owned() };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// A document: its title, then each member with its value.
    pub(super) fn page(self, title: &str, members: &Map<String, Value>) -> String {
        let mut lines = vec![self.strong(&printable(title))];
        for (name, value) in members {
            let mut values = match value {
                Value::Object(members) if entity(value).is_none() => members
                    .iter()
                    .map(|(name, value)| {
                        format!(
                            "{name}{} {}",
                            " ".repeat(22_usize.saturating_sub(name.chars().count())),
                            said(value)
                        )
                    })
                    .collect(),
                Value::Array(values) => values.iter().map(said).collect(),
                value => vec![said(value)],
            };
            if values.is_empty() {
                values.push("none".to_owned());
            }
            for (index, value) in values.iter().enumerate() {
                let name = if index == 0 { name } else { "" };
                lines.push(printable(format!("  {name:INDENT$}{value}").trim_end()));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// An entity that a value refers to, as it is typed; `None` for any other value.
pub(super) fn entity(value: &Value) -> Option<String> {
    let members = value.get("__entity").unwrap_or(value).as_object().filter(|members| members.len() == 2)?;
    Some(format!("{}/{}", members.get("type")?.as_str()?, members.get("id")?.as_str()?))
}

/// A value in words; what is nested stands in brackets.
pub(super) fn said(value: &Value) -> String {
    let nested = |value: &Value| match value {
        Value::Array(_) => format!("[{}]", said(value)),
        Value::Object(_) if entity(value).is_none() => format!("{{{}}}", said(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => said(value),
    };
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => values.iter().map(nested).collect::<Vec<_>>().join(", "),
        Value::Object(members) => entity(value).unwrap_or_else(|| {
            let members = members.iter().map(|(name, value)| format!("{name} {}", nested(value)));
            members.collect::<Vec<_>>().join(", ")
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Look = Look { colours: false };

    #[test]
    fn a_table_is_aligned_short_and_without_columns_of_nothing() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["a", "", "\u{202e}x"]), row(["abcde", "", &"y".repeat(80)])];
        let text = PLAIN.table(&["ID", "NOTHING", "ATTRIBUTES"], rows.clone());
        assert_eq!(text, format!("ID     ATTRIBUTES\na      \u{fffd}x\nabcde  {}…\n", "y".repeat(59)));
        let strong = Look { colours: true }.table(&["ID", "NOTHING", "ATTRIBUTES"], rows);
        assert!(strong.starts_with("\u{1b}[1mID     ATTRIBUTES\u{1b}[0m\na "), "{strong:?}");
    }

    #[test]
    fn a_page_has_a_line_for_each_value() {
        let document = json!({
            "status": "pending",
            "by": { "type": "Practitioner", "id": "dr-lee" },
            "attrs": { "role": "nurse", "teams": [{ "type": "CareTeam", "id": "teal" }] },
            "answers": [{ "who": { "type": "Practitioner", "id": "x" }, "approves": true }, { "a": { "b": [1, [2]] } }],
            "uses": [],
        });
        assert_eq!(
            PLAIN.page("approval 7", document.as_object().unwrap()),
            "approval 7\n  \
             status          pending\n  \
             by              Practitioner/dr-lee\n  \
             attrs           role                   nurse\n                  \
             teams                  CareTeam/teal\n  \
             answers         who Practitioner/x, approves true\n                  \
             a {b [1, [2]]}\n  \
             uses            none\n"
        );
    }
}
