//! What differs between two written forms of a part, for a person to read: names, and the values before and after.

use std::collections::BTreeSet;

use serde_json::Value;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 80;

/// A line for each value that differs. Lists of texts are sets: what was added and what was taken away.
pub(super) fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let mut lines = vec![];
    if let (Some(before), Some(after)) = (before, after) {
        compare("", before, after, &mut lines);
    }
    lines
}

/// The lines of a text that are in one and not in the other, wherever they stand: first what is gone.
pub(super) fn lines(before: &str, after: &str) -> Vec<String> {
    let missing = |from: &str, other: &str, mark: char| {
        let mut left: Vec<&str> = other.lines().map(str::trim).collect();
        let mut found = vec![];
        for line in from.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match left.iter().position(|other| *other == line) {
                Some(at) => drop(left.swap_remove(at)),
                None => found.push(format!("{mark} {line}")),
            }
        }
        found
    };
    [missing(before, after, '-'), missing(after, before, '+')].concat()
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (old.get(name), new.get(name)) {
                    (Some(before), Some(after)) => compare(&path, before, after, lines),
                    (before, after) => {
                        lines.extend(before.map(|value| format!("{path}: taken away: {}", shown(value))));
                        lines.extend(after.map(|value| format!("{path}: added: {}", shown(value))));
                    }
                }
            }
        }
        (Value::Array(old), Value::Array(new))
            if texts(old) && texts(new) && (!old.is_empty() || !new.is_empty()) =>
        {
            let gone: Vec<_> = old
                .iter()
                .filter(|item| !new.contains(item))
                .map(|item| format!("- {}", shown(item)))
                .collect();
            let added: Vec<_> = new
                .iter()
                .filter(|item| !old.contains(item))
                .map(|item| format!("+ {}", shown(item)))
                .collect();
            let both = [gone, added].concat();
            let what = if both.is_empty() { "in another order".to_owned() } else { both.join(" ") };
            lines.push(format!("{}: {what}", named(path)));
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (before, after)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{at}]"), before, after, lines);
            }
        }
        (before, after) => lines.push(format!("{}: {} → {}", named(path), shown(before), shown(after))),
    }
}

fn texts(items: &[Value]) -> bool {
    items.iter().all(Value::is_string)
}

/// A part that is a single value has no path.
fn named(path: &str) -> &str {
    if path.is_empty() { "it" } else { path }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_that_are_in_one_text_alone_are_told() {
        let before = "permit (\n  principal\n)\nwhen { a };\n";
        let after = "permit (\n    principal\n)\n\nwhen { b };\nwhen { a };\nwhen { a };\n";
        assert_eq!(lines(before, after), ["+ when { b };", "+ when { a };"]);
        assert_eq!(lines(after, before), ["- when { b };", "- when { a };"]);
    }

    #[test]
    fn what_differs_is_named_with_its_values_and_nothing_else_is() {
        let before = json!({ "a": 1, "b": ["x", "y"], "c": { "d": true, "e": [{ "f": 1 }] }, "same": [1] });
        let after =
            json!({ "a": 2, "b": ["y", "z"], "c": { "d": true, "e": [{ "f": 2 }] }, "same": [1], "g": null });
        let expected = ["a: 1 → 2", "b: - \"x\" + \"z\"", "c.e[0].f: 1 → 2", "g: added: null"];
        assert_eq!(differences(Some(&before), Some(&after)), expected);
        assert_eq!(differences(Some(&before), Some(&before)), [""; 0]);
        assert_eq!(differences(Some(&json!(true)), Some(&json!(false))), ["it: true → false"]);
        let roles = |roles: &[&str]| json!({ "roles": roles });
        assert_eq!(
            differences(Some(&roles(&["a", "b"])), Some(&roles(&["b", "a"]))),
            ["roles: in another order"]
        );
        let long = json!({ "a": "x".repeat(500) });
        assert!(differences(Some(&json!({ "a": 1 })), Some(&long))[0].chars().count() < 100);
    }
}
