//! Settings without the parts that are wrong, so that what they mean can be checked all the same.
//!
//! Works on the text: to read the settings' type from anything else would take a second copy of what
//! is the largest part of a component. The text must be well-formed JSON that is not nested deeply,
//! for this recurses.

use super::escape;

/// What is left of settings.
pub(super) struct Rest {
    /// As JSON.
    pub(super) text: String,
    /// The lists that entries were left out of, and the places these had.
    gaps: Vec<(String, usize)>,
}

impl Rest {
    /// All of them.
    pub(super) fn whole(text: &str) -> Self {
        Self { text: text.to_owned(), gaps: vec![] }
    }

    /// The text without these parts, each named by a JSON Pointer.
    pub(super) fn of(text: &str, without: &[String]) -> Self {
        let mut copy = Copy { from: text, at: 0, without, rest: Self { text: String::new(), gaps: vec![] } };
        copy.value("", true);
        copy.rest
    }

    /// The place in the whole settings of a place in what is left of them.
    pub(super) fn place(&self, mut path: String) -> String {
        // In the order of the text, so that each gap finds the path as it is up to there.
        for (list, gap) in &self.gaps {
            let Some(entry) = path.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            let digits = entry.bytes().take_while(u8::is_ascii_digit).count();
            if let Some((index, inner)) = entry.split_at_checked(digits)
                && let Ok(index) = index.parse::<usize>()
                && index >= *gap
            {
                path = format!("{list}/{}{inner}", index + 1);
            }
        }
        path
    }
}

struct Copy<'a> {
    from: &'a str,
    at: usize,
    without: &'a [String],
    rest: Rest,
}

impl<'a> Copy<'a> {
    /// The byte to be read next; the end closes whatever is open.
    fn next(&self) -> u8 {
        self.from.as_bytes().get(self.at).copied().unwrap_or(b'}')
    }

    /// Copies the value at `path`, or passes over it.
    fn value(&mut self, path: &str, keep: bool) {
        self.blanks();
        if matches!(self.next(), b'{' | b'[') {
            return self.entries(path, keep);
        }
        let scalar = self.scalar();
        self.write(scalar, keep);
    }

    fn entries(&mut self, path: &str, keep: bool) {
        let is_list = self.next() == b'[';
        let mut first = true;
        let mut index = 0;
        self.write(if is_list { "[" } else { "{" }, keep);
        self.at += 1;
        loop {
            self.blanks();
            match self.next() {
                b']' | b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let key = if is_list { "" } else { self.scalar() };
                    let step = if is_list {
                        index.to_string()
                    } else {
                        escape(key.get(1..key.len() - 1).unwrap_or_default())
                    };
                    let inner = format!("{path}/{step}");
                    let keep_entry = keep && !self.without.contains(&inner);
                    if keep && is_list && !keep_entry {
                        self.rest.gaps.push((path.to_owned(), index));
                    }
                    self.write(",", keep_entry && !first);
                    if !is_list {
                        self.blanks();
                        self.at += 1; // the colon
                        self.write(key, keep_entry);
                        self.write(":", keep_entry);
                    }
                    first &= !keep_entry;
                    index += 1;
                    self.value(&inner, keep_entry);
                }
            }
        }
        self.write(if is_list { "]" } else { "}" }, keep);
        self.at += 1;
    }

    fn write(&mut self, text: &str, keep: bool) {
        if keep {
            self.rest.text.push_str(text);
        }
    }

    fn blanks(&mut self) {
        while self.next().is_ascii_whitespace() {
            self.at += 1;
        }
    }

    /// Passes over a string, number or word, and gives it.
    fn scalar(&mut self) -> &'a str {
        let start = self.at;
        let quoted = self.next() == b'"';
        self.at += 1;
        loop {
            match self.next() {
                b'"' if quoted => {
                    self.at += 1;
                    break;
                }
                b'\\' if quoted => self.at += 1,
                b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n' if !quoted => break,
                _ if self.at >= self.from.len() => break,
                _ => {}
            }
            self.at += 1;
        }
        self.from.get(start..self.at).unwrap_or_default()
    }
}
