//! What was found unsupported while a text was read: all of it is counted, the first of it listed.

use crate::outcome::{Unsupported, Why};

/// Findings that are listed: more than anybody resolves one by one. A hostile text of a megabyte could have
/// 100,000, each with a long path.
const LISTED_MAX: usize = 1_000;

/// Findings in the order in which they were made.
#[derive(Default)]
pub(crate) struct Findings {
    listed: Vec<Unsupported>,
    count: usize,
    malformed: usize,
}

impl Findings {
    pub(crate) fn add(&mut self, path: impl FnOnce() -> String, why: Why, expected: Option<&'static str>) {
        self.count += 1;
        self.malformed += usize::from(why == Why::Malformed);
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Unsupported { path: path(), why, expected });
        }
    }

    /// How many were made.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// How many of them are malformed.
    pub(crate) const fn malformed(&self) -> usize {
        self.malformed
    }

    /// What is listed, sorted, each once; where there was more, it says so.
    pub(crate) fn into_list(mut self) -> Vec<Unsupported> {
        if self.count > self.listed.len() {
            let expected = Some("at most 1,000 objections; there are more");
            self.listed.push(Unsupported { path: "Consent".to_owned(), why: Why::Malformed, expected });
        }
        self.listed.sort_unstable();
        self.listed.dedup();
        self.listed
    }
}
