//! What a running service tells the person who runs it: lines on standard error, which mostly end in a log.
//!
//! INVARIANT (no patient in logs): names, counts, and what is wrong with files and connections; never what a record
//! says. Standard error may be a pipe whose reader has gone. To have nobody to tell must end no service and no
//! exporter, so nothing here fails or panics, as `eprintln!` would.

use std::collections::BTreeMap;
use std::io::Write;

/// Says a line.
pub fn say(line: &str) {
    // One write for the whole line, so that two never mix.
    drop(std::io::stderr().lock().write_all(format!("{line}\n").as_bytes()));
}

/// Problems that are looked at again and again. Each is said when it begins, and when it becomes another one.
#[derive(Debug)]
pub struct Problems<Of>(BTreeMap<Of, String>);

impl<Of: Ord> Problems<Of> {
    /// None yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How it is now with one of those that are looked at: its problem is said, unless that was the last word.
    pub fn now(&mut self, of: Of, problem: Option<String>) {
        if let Some(line) = self.news(of, problem) {
            say(&line);
        }
    }

    fn news(&mut self, of: Of, problem: Option<String>) -> Option<String> {
        match problem {
            None => {
                self.0.remove(&of);
                None
            }
            Some(line) => (self.0.insert(of, line.clone()).as_ref() != Some(&line)).then_some(line),
        }
    }
}

impl<Of: Ord> Default for Problems<Of> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_when_it_begins_changes_or_comes_back() {
        let mut problems = Problems::new();
        let full = || Some("the disk is full".to_owned());
        for (of, problem, said) in [
            ("a", full(), true),
            ("a", full(), false),
            ("b", full(), true),
            ("a", Some("the disk is gone".to_owned()), true),
            ("b", full(), false),
            ("a", None, false),
            ("a", full(), true),
        ] {
            let expected = said.then(|| problem.clone()).flatten();
            assert_eq!(problems.news(of, problem.clone()), expected, "{of}: {problem:?}");
        }
    }
}
